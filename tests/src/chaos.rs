//! People who go on talking while everything around them is killed.
//!
//! The killers here never end by themselves. A subject races them, in a `select!`, against what must get done in
//! spite of them; whatever they had started is killed as they are dropped.

use std::{
    convert::Infallible,
    fs::{self, File},
    path::PathBuf,
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Result, bail, ensure};
use tokio::time::{sleep, timeout};

use crate::{
    homeserver::Homeserver,
    oracle::Ledger,
    process::PATIENCE,
    profile::{Attempt, Message, Profile, messages},
    random::Random,
};

/// How many have been killed while they ran. A subject in which nobody dies shows nothing.
#[derive(Debug, Default)]
pub struct Toll {
    /// Homeservers.
    pub homeservers: AtomicU32,
    /// Agents.
    pub agents: AtomicU32,
    /// Printers of what is received.
    pub tails: AtomicU32,
    /// Senders of one message.
    pub sends: AtomicU32,
}

impl Toll {
    /// Prints it, and fails if any of them is below `least`.
    pub fn ensure_at_least(&self, least: u32) -> Result<()> {
        println!("killed: {self:?}");
        let Self { homeservers, agents, tails, sends } = self;
        for one in [homeservers, agents, tails, sends] {
            ensure!(one.load(Ordering::Relaxed) >= least, "too few were killed: {self:?}");
        }
        Ok(())
    }
}

/// Kills `server` again and again, and brings it back after a moment.
pub async fn kill_homeserver(
    server: &mut Homeserver,
    mut random: Random,
    toll: &Toll,
) -> Result<Infallible> {
    loop {
        sleep(random.pause(500, 4000)).await;
        server.kill().await?;
        toll.homeservers.fetch_add(1, Ordering::Relaxed);
        sleep(random.pause(0, 500)).await;
        server.start().await?;
    }
}

/// Keeps an agent running on `profile`, and kills it again and again.
///
/// Somebody else may own the profile for a moment, a `send` or `tail` that found no agent; then the agent does not
/// start, and is tried again.
pub async fn kill_agents(profile: &Profile, mut random: Random, toll: &Toll) -> Result<Infallible> {
    loop {
        let mut agent = profile.start_agent()?;
        if timeout(random.pause(500, 5000), agent.wait(PATIENCE)).await.is_err() {
            agent.kill().await?;
            toll.agents.fetch_add(1, Ordering::Relaxed);
        }
        sleep(random.pause(50, 500)).await;
    }
}

/// Lets `profile` print what it receives, and kills the printer again and again. [`printed`] reads what came of it.
pub async fn kill_tails(profile: &Profile, mut random: Random, toll: &Toll) -> Result<Infallible> {
    let directory = prints(profile);
    fs::create_dir_all(&directory)?;
    let log = File::options().append(true).create(true).open(profile.log_file())?;
    for run in 0_u64.. {
        let mut tail = profile.tail_command()?;
        // A file keeps what it wrote, though nobody were left to read it.
        tail.stdin(Stdio::null()).stdout(File::create(directory.join(format!("{run:06}")))?);
        let mut tail = tail.stderr(log.try_clone()?).kill_on_drop(true).spawn()?;
        if timeout(random.pause(500, 5000), tail.wait()).await.is_err() {
            tail.kill().await?;
            toll.tails.fetch_add(1, Ordering::Relaxed);
        }
        sleep(random.pause(50, 200)).await;
    }
    bail!("numbers have run out")
}

/// What [`kill_tails`] printed on `profile`, a list for each printer. A line that one did not finish does not count.
pub fn printed(profile: &Profile) -> Result<Vec<Vec<Message>>> {
    let mut files = fs::read_dir(prints(profile))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.sort();
    let read = |file| -> Result<Vec<Message>> {
        let text = fs::read_to_string(file)?;
        let (whole, _unfinished) = text.rsplit_once('\n').unwrap_or_default();
        messages(whole.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
    };
    files.into_iter().map(read).collect()
}

fn prints(profile: &Profile) -> PathBuf {
    profile.directory().join("prints")
}

/// Sends `count` messages from `profile` to `target`, one after the other, each until it is taken, and gives what was
/// sent. One `send` in twenty is killed at a random moment; like any that failed, it is tried again under its id.
pub async fn talk(
    profile: &Profile,
    target: &str,
    count: usize,
    mut random: Random,
    toll: &Toll,
) -> Result<Ledger> {
    let (author, mut ledger) = (profile.label(), Ledger::default());
    for number in 0..count {
        let (id, text) =
            (random.id().to_string(), format!("{author} {number:04} {}", random.word()));
        ledger.attempt(&author, &id, &text);
        send_until_taken(profile, target, &id, &text, &mut random, toll).await?;
        ledger.acknowledge(&id);
    }
    Ok(ledger)
}

async fn send_until_taken(
    profile: &Profile,
    target: &str,
    id: &str,
    text: &str,
    random: &mut Random,
    toll: &Toll,
) -> Result<()> {
    const TRIES: u32 = 60;
    let mut last = None;
    for _ in 0..TRIES {
        let sending = profile.try_send(target, text, id, Some("5s"));
        let life = if random.below(20) == 0 { random.pause(0, 100) } else { PATIENCE };
        match timeout(life, sending).await {
            Ok(attempt) => match attempt? {
                Attempt::Taken { .. } => return Ok(()),
                Attempt::Failed(finished) => last = Some(finished),
            },
            Err(_killed) => {
                toll.sends.fetch_add(1, Ordering::Relaxed);
            }
        }
        sleep(random.pause(50, 300)).await;
    }
    match last {
        Some(finished) => bail!("not taken after {TRIES} tries: {finished}"),
        None => bail!("killed {TRIES} times in a row"),
    }
}

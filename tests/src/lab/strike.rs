//! Carrying out a schedule: one task of its own for the links, for each home, and for each agent.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::time::{Duration, Instant, sleep, sleep_until, timeout};

use super::{
    link::{Both, Link as Relay},
    schedule::{Fault, Link, Process, Schedule, Strike, Trouble},
    stage::{Device, PEER_ITEMS},
    trouble::{Conditions, Cut},
};
use crate::{faults, homeserver::Homeserver, process::Running};

/// How often a home is asked how long its queues are, and an agent whether it runs.
const LOOK: Duration = Duration::from_secs(2);
/// How long a killed agent's successor is given where somebody else owns the profile for a moment.
const AGAIN: Duration = Duration::from_millis(500);

/// What was done to whom, and what was seen meanwhile.
#[derive(Debug, Default)]
pub(super) struct Struck {
    /// How many faults began.
    pub(super) count: usize,
    /// The longest queue for a peer that was seen.
    pub(super) longest_queue: u64,
    /// What must not happen whatever is wrong.
    pub(super) violations: Vec<String>,
}

impl Struck {
    pub(super) fn and(mut self, other: Self) -> Self {
        self.violations.extend(other.violations);
        Self {
            count: self.count.saturating_add(other.count),
            longest_queue: self.longest_queue.max(other.longest_queue),
            violations: self.violations,
        }
    }
}

/// How a link is under `trouble` that began at `since`.
fn conditions(trouble: Trouble, since: Instant) -> Both {
    let well = Conditions::default();
    let closed = Conditions { cut: Cut::Closed, ..well };
    match trouble {
        Trouble::Partition => [closed; 2],
        Trouble::OneWay { there: true } => [closed, well],
        Trouble::OneWay { there: false } => [well, closed],
        Trouble::Flapping { period } => {
            [Conditions { cut: Cut::Flapping { since, period }, ..well }; 2]
        }
        Trouble::Loss(loss) => [Conditions { loss, duplicate: loss.div_ceil(10), ..well }; 2],
        Trouble::Slow => {
            let (delay, jitter) = (Duration::from_millis(300), Duration::from_millis(100));
            [Conditions { delay, jitter, reorder: 10, ..well }; 2]
        }
    }
}

/// Makes links bad and good again.
pub(super) async fn strike_links(
    links: &BTreeMap<Link, Vec<Relay>>,
    schedule: &Schedule,
    begun: Instant,
) -> Result<Struck> {
    let mut struck = Struck::default();
    let mut in_force: Vec<Strike> = vec![];
    for (at, begins, strike) in schedule.steps(|fault| matches!(fault, Fault::Link(..))) {
        sleep_until(begun.checked_add(at).context("time")?).await;
        if begins {
            struck.count = struck.count.saturating_add(1);
            in_force.push(strike);
        } else if let Some(place) = in_force.iter().position(|one| *one == strike) {
            in_force.remove(place);
        }
        let Fault::Link(link, _) = strike.fault else { continue };
        let mut now = Both::default();
        for other in &in_force {
            let Fault::Link(which, trouble) = other.fault else { continue };
            if which == link {
                let since = begun.checked_add(other.from).context("time")?;
                let [there, back] = conditions(trouble, since);
                now = [now[0].and(there), now[1].and(back)];
            }
        }
        for (number, relay) in links.get(&link).context("a link")?.iter().enumerate() {
            // Of two homes, each has made its own: what is there for one is back for the other.
            relay.set(if number == 0 { now } else { [now[1], now[0]] });
        }
    }
    Ok(struck)
}

/// Kills a home, fills its disk and turns its clock, and undoes each.
pub(super) async fn strike_home(
    home: &mut Homeserver,
    number: usize,
    schedule: &Schedule,
    begun: Instant,
) -> Result<Struck> {
    let mut struck = Struck::default();
    let is_of_it = |fault: &Fault| fault.process() == Some(Process::Home(number));
    for (at, begins, strike) in schedule.steps(is_of_it) {
        let at = begun.checked_add(at).context("time")?;
        while let Some(left) = at.checked_duration_since(Instant::now()) {
            sleep(left.min(LOOK)).await;
            // Where its disk is full or it was killed, it may not answer.
            if let Ok(queue) = longest_queue(home).await {
                struck.longest_queue = struck.longest_queue.max(queue);
            }
        }
        if begins {
            struck.count = struck.count.saturating_add(1);
            if !home.runs()? {
                let log = crate::process::log_tail(&home.log_file());
                struck.violations.push(format!("{} ended by itself\n{log}", home.ready().name));
                home.kill().await.ok();
                home.start().await?;
            }
        }
        match (strike.fault, begins) {
            (Fault::Kill(_), true) => home.kill().await?,
            (Fault::Kill(_), false) => home.start().await?,
            (Fault::FullDisk(_), true) => home.faults()?.set(faults::Fault::DiskFull)?,
            (Fault::FullDisk(_), false) => home.faults()?.clear()?,
            (Fault::Clock(_, by), true) => home.faults()?.shift_clock(by)?,
            (Fault::Clock(..), false) => home.faults()?.shift_clock(0)?,
            (Fault::Link(..), _) => {}
        }
    }
    if struck.longest_queue > PEER_ITEMS {
        let (name, queue) = (&home.ready().name, struck.longest_queue);
        struck
            .violations
            .push(format!("I8: {queue} waited at {name}, whose bound is {PEER_ITEMS}"));
    }
    Ok(struck)
}

/// How many wait for that peer for which most do.
pub(super) async fn longest_queue(home: &Homeserver) -> Result<u64> {
    let listed = home.admin(&["peer", "list"]).await?.success()?.json()?;
    let peers = listed.pointer("/data/peers").and_then(Value::as_array).context("no peers")?;
    let waiting = peers.iter().filter_map(|peer| peer.get("waiting")?.as_u64());
    waiting.max().context("no queue")
}

/// Keeps an agent running but for when it is killed, and turns its clock.
pub(super) async fn strike_agent(
    device: &Device,
    agent: &mut Running,
    number: usize,
    schedule: &Schedule,
    begun: Instant,
) -> Result<Struck> {
    let mut struck = Struck::default();
    let is_of_it = |fault: &Fault| fault.process() == Some(Process::Agent(number));
    let mut is_wanted = true;
    for (at, begins, strike) in schedule.steps(is_of_it) {
        let at = begun.checked_add(at).context("time")?;
        while let Some(left) = at.checked_duration_since(Instant::now()) {
            sleep(left.min(AGAIN)).await;
            if is_wanted && agent.has_ended()? {
                *agent = device.profile.start_agent()?;
            }
        }
        struck.count = struck.count.saturating_add(begins.into());
        match (strike.fault, begins) {
            (Fault::Kill(_), true) => agent.kill().await?,
            (Fault::Kill(_), false) => *agent = device.profile.start_agent()?,
            (Fault::Clock(_, by), true) => device.profile.faults()?.shift_clock(by)?,
            (Fault::Clock(..), false) => device.profile.faults()?.shift_clock(0)?,
            (Fault::FullDisk(_) | Fault::Link(..), _) => {}
        }
        if matches!(strike.fault, Fault::Kill(_)) {
            is_wanted = !begins;
        }
    }
    Ok(struck)
}

/// Waits until every device has an agent that stays: another process that owned the profile has gone.
pub(super) async fn settle_agent(device: &Device, agent: &mut Running) -> Result<()> {
    const TRIES: usize = 20;
    for _ in 0..TRIES {
        if timeout(AGAIN.saturating_mul(2), agent.wait(crate::process::PATIENCE)).await.is_err() {
            return Ok(());
        }
        *agent = device.profile.start_agent()?;
    }
    let log = fs::read_to_string(device.profile.log_file()).unwrap_or_default();
    ensure!(false, "the agent of {} does not stay\n{log}", device.profile.label());
    Ok(())
}

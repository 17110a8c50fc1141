//! Real clients with a lot to catch up on: a channel that went on without them, and the long log of a community that they join.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use rookery_cli::{
    agent::{Agent, Asked, Remote, verb},
    config::Place,
};
use rookery_protocol::io::client::Dialer;
use rookery_tests::bare::{Bare, community::Commons};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    messages::as_f64,
    server::{Server, now},
    wall::{rookery, run},
};

/// How many texts are handed to the agent at a time.
const LANES: usize = 32;
/// How long a text is, in bytes.
const TEXT_BYTES: usize = 300;
/// Statements that stand after one entry and go in one request: their base is to be among the last 256.
const BATCH: usize = 200;

/// A server with people who have real clients.
struct Scene {
    server: Server,
}

/// A program that ends with this.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Scene {
    fn of(names: &[&str]) -> anyhow::Result<Self> {
        let server = Server::start()?;
        let password = server.directory.join("password");
        std::fs::write(&password, "a password for the load\n")?;
        let scene = Self { server };
        for name in names {
            let link = scene.server.invite.to_string();
            let arguments = ["register", &link, name, "--password-file"];
            run(rookery(&scene.home(name))?.args(arguments).arg(&password))?;
        }
        Ok(scene)
    }

    fn home(&self, name: &str) -> PathBuf {
        self.server.directory.join(name)
    }

    /// What a command says, as JSON.
    fn ask(&self, name: &str, arguments: &[&str]) -> anyhow::Result<Value> {
        let mut command = rookery(&self.home(name))?;
        let output = command.args(arguments).arg("--json").stdout(Stdio::piped()).output()?;
        ensure!(output.status.success(), "{arguments:?} ended with {}", output.status);
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// A community of `owner`'s that anybody may join; its id, and a link to it.
    fn found(&self, owner: &str) -> anyhow::Result<(String, String)> {
        let made = self.ask(owner, &["community", "create", "club", "--policy", "open"])?;
        let invite = self.ask(owner, &["community", "invite", "club"])?;
        Ok((text_at(&made, "id")?, text_at(&invite, "link")?))
    }

    fn agent(&self, name: &str) -> anyhow::Result<Running> {
        let agent = Running(rookery(&self.home(name))?.arg("daemon").spawn()?);
        for _ in 0..100 {
            std::thread::sleep(Duration::from_millis(100));
            if self.socket(name)?.exists() {
                return Ok(agent);
            }
        }
        bail!("the agent of {name} does not come up")
    }

    fn socket(&self, name: &str) -> anyhow::Result<PathBuf> {
        Ok(Place::find(Some(self.home(name)), None)?.socket()?)
    }
}

fn text_at(answer: &Value, key: &str) -> anyhow::Result<String> {
    let found = answer.get(key).or_else(|| answer.pointer(&format!("/data/{key}")));
    Ok(found.and_then(Value::as_str).with_context(|| format!("no {key} in {answer}"))?.to_owned())
}

/// Messages that a member missed: fetched, opened, stored and told by a process that is started for it.
pub(crate) async fn channel(messages: usize) -> anyhow::Result<()> {
    let scene = Scene::of(&["alice", "bob"])?;
    let (_, link) = scene.found("alice")?;
    run(rookery(&scene.home("bob"))?.args(["community", "join", &link]))?;
    let agent = scene.agent("alice")?;
    let first = told(&scene.home("bob"), 0, || {
        run(rookery(&scene.home("alice"))?.args(["send", "club#general", "welcome"])).map(|_| ())
    })?;
    let posting = now();
    let text = |number| format!("{number:0>TEXT_BYTES$}");
    post(&scene.socket("alice")?, "club#general", messages, text).await?;
    let posting = posting.elapsed();
    drop(agent);
    let all = told(&scene.home("bob"), messages, || Ok(()))?;
    let count = as_f64(u64::try_from(messages)?);
    println!(
        "catch-up: a member's client comes back to {messages} messages of {TEXT_BYTES} bytes in a channel"
    );
    println!("  start to the last one told      {:>10.2} s", all.as_secs_f64());
    println!("  messages a second               {:>10.0}", count / all.as_secs_f64());
    println!(
        "  (one message: {:.2} s; posting them: {:.1} s)",
        first.as_secs_f64(),
        posting.as_secs_f64()
    );
    Ok(())
}

/// How long it takes from the start of a `tail` until it has told the first message and `more` of them; `meanwhile` is done once it runs.
fn told(
    home: &Path,
    more: usize,
    meanwhile: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Duration> {
    let begin = now();
    let mut command: Command = rookery(home)?;
    command.args(["tail", "club#general", "--json", "--since", "1d"]).stdout(Stdio::piped());
    let mut tail = Running(command.spawn()?);
    let lines = BufReader::new(tail.0.stdout.take().context("no output")?).lines();
    meanwhile()?;
    let mut count = 0_usize;
    for line in lines {
        line?;
        count = count.saturating_add(1);
        if count > more {
            return Ok(begin.elapsed());
        }
    }
    bail!("the client told {count} of {more} messages and ended")
}

/// Has the agent at `socket` send `count` texts to somebody, and waits until all are stored at the server.
pub(crate) async fn post(
    socket: &Path,
    to: &'static str,
    count: usize,
    text: impl Fn(usize) -> String + Copy + Send + 'static,
) -> anyhow::Result<()> {
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        let remote = Remote::connect(socket).await?.context("no agent")?;
        let mut agent = Agent::Other(Box::new(remote));
        lanes.spawn(async move {
            for number in (lane..count).step_by(LANES) {
                let send = verb::Send {
                    to: to.to_owned(),
                    text: text(number),
                    file: None,
                    file_name: None,
                    id: None,
                    until: verb::Until::Sent,
                    timeout_ms: None,
                    no_queue: false,
                    expires_after: None,
                    reply_to: None,
                    thread: None,
                };
                match agent.ask(send, |_| Ok(())).await {
                    Asked::Answered(answer) => drop(answer?),
                    Asked::Gone => bail!("the agent is gone"),
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = lanes.join_next().await {
        done??;
    }
    Ok(())
}

/// A newcomer whose client checks a log, next to one who joined when it was short.
pub(crate) async fn log(statements: usize) -> anyhow::Result<()> {
    let scene = Scene::of(&["alice", "bob", "carol"])?;
    let (community, link) = scene.found("alice")?;
    let join = |name: &str| run(rookery(&scene.home(name))?.args(["community", "join", &link]));
    let short = join("bob")?;
    let dialer = Dialer::towards(scene.server.address)?;
    let dave = Bare::register(&dialer, &scene.server.invite, "dave".to_owned()).await?;
    let mut commons = Commons::find(&dave, community.parse()?, 0).await?;
    commons.join(&dave).await?;
    for begin in (0..statements).step_by(BATCH) {
        commons.rename(&dave, statements.saturating_sub(begin).min(BATCH)).await?;
    }
    let long = join("carol")?;
    let count = as_f64(u64::try_from(statements)?);
    let checking = long.saturating_sub(short);
    println!("newcomer: `rookery community join` where the log has {statements} statements");
    println!("  with a short log                {:>10.2} s", short.as_secs_f64());
    println!("  with the long one               {:>10.2} s", long.as_secs_f64());
    println!("  a statement fetched and checked {:>10.1} µs", checking.as_secs_f64() * 1e6 / count);
    Ok(())
}

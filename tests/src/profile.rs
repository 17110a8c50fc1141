//! One `ROOKERY_HOME`, which is one device of one person, driven by the commands that a script would type.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::process::Command;

use crate::{
    faults::{Faults, Unsynced},
    process::{Finished, PATIENCE, Place, Running, run},
    world::eventually,
};

/// A message as `read --json` and `tail --json` show it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Message {
    /// The version of this object's shape.
    pub v: u64,
    /// Which message it is; the same on every device.
    pub id: String,
    /// Who wrote it, as `name@home`.
    pub from: String,
    /// When, by RFC 3339.
    pub at: String,
    /// What it says.
    pub text: String,
    /// How far it has come, in one word.
    pub state: String,
    /// Keys that the contract leaves open.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// What came of an attempt to send something.
#[derive(Debug)]
pub enum Attempt {
    /// It has been taken, and must arrive.
    Taken {
        /// How far it has come: `queued`, `sent`, and so on.
        state: String,
    },
    /// Nothing was promised.
    Failed(Finished),
}

/// One installation of `rookery`, with keys of its own.
#[derive(Debug)]
pub struct Profile {
    user: String,
    device: String,
    directory: PathBuf,
    faults: Option<Faults>,
    place: Place,
}

impl Profile {
    /// The device `device` of `user`, with all its files below `directory`.
    pub fn new(user: &str, device: &str, directory: PathBuf) -> Result<Self> {
        let (user_name, device) = (user.to_owned(), device.to_owned());
        let place = Place::default();
        let profile = Self { user: user_name, device, directory, faults: None, place };
        fs::create_dir_all(profile.home())?;
        fs::write(profile.password_file(), format!("the password of {user}\n"))?;
        Ok(profile)
    }

    /// Itself, with the fault library beneath its home from now on. Only one process at a time may use the home then,
    /// which is what the agent is for.
    pub async fn with_faults(mut self, unsynced: Unsynced) -> Result<Self> {
        let workshop = self.directory.join("faults");
        self.faults = Some(Faults::aim(&workshop, &self.home(), unsynced).await?);
        Ok(self)
    }

    /// Itself, on another network.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// The faults that it was given.
    pub fn faults(&self) -> Result<&Faults> {
        self.faults.as_ref().context("this profile has no faults")
    }

    /// Whose device it is.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Which device of whose, such as `alice/laptop`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}/{}", self.user, self.device)
    }

    /// Its `ROOKERY_HOME`.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.directory.join("home")
    }

    /// Where its recovery key lies, unless registration was told otherwise.
    #[must_use]
    pub fn recovery_key_file(&self) -> PathBuf {
        self.home().join("recovery-key")
    }

    /// What its processes said on standard error.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Where those who run it may leave files of their own.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn password_file(&self) -> PathBuf {
        self.directory.join("password")
    }

    /// `rookery ARGUMENTS` on this device, not yet started.
    pub fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = self.place.program("rookery")?;
        command
            .args(arguments)
            .env("ROOKERY_HOME", self.home())
            .env("HOME", &self.directory)
            .env("RUST_BACKTRACE", "1")
            // Without it the agent's socket lies in the profile, where other profiles do not meet it.
            .env_remove("XDG_RUNTIME_DIR");
        if let Some(faults) = &self.faults {
            faults.apply(&mut command);
        }
        Ok(command)
    }

    /// Runs `rookery ARGUMENTS` to its end, whatever that is.
    pub async fn run(&self, arguments: &[&str]) -> Result<Finished> {
        run(self.command(arguments)?, b"", PATIENCE).await
    }

    /// Runs `rookery ARGUMENTS --json`, which must succeed and answer with one object.
    pub async fn ask(&self, arguments: &[&str]) -> Result<Value> {
        self.run(&[arguments, &["--json"]].concat()).await?.success()?.json()
    }

    /// Registers its user with the invite `link`.
    pub async fn register(&self, link: &str) -> Result<Value> {
        let password = self.password_file();
        self.ask(&["register", link, &self.user, "--password-file", text(&password)?]).await
    }

    /// Logs in as one more device of its user, which can do nothing yet but be linked or recovered.
    pub async fn log_in(&self, link: &str) -> Result<Value> {
        self.log_in_with(link, &[]).await
    }

    async fn log_in_with(&self, link: &str, more: &[&str]) -> Result<Value> {
        let password = self.password_file();
        let login = ["login", link, &self.user, "--password-file", text(&password)?];
        self.ask(&[&login, more].concat()).await
    }

    /// Makes this a device of its user, as a person with `first` at hand would: log in here, ask there for a code,
    /// type it in here.
    pub async fn link_to(&self, first: &Self, link: &str) -> Result<()> {
        self.log_in(link).await?;
        let mut linking = first.start(&["device", "link", "--yes", "--json"])?;
        let answer = linking.expect(PATIENCE).await?;
        let code = answer.get("code").and_then(Value::as_str);
        let file = self.directory.join("code");
        fs::write(&file, code.with_context(|| format!("no code in {answer}"))?)?;
        self.log_in_with(link, &["--code-file", text(&file)?]).await?;
        let end = linking.wait(PATIENCE).await?;
        ensure!(end.success(), "device link: {end}\n{}", linking.log_tail());
        Ok(())
    }

    /// Makes this a device of its user with the recovery key in `file` and nobody's help.
    pub async fn recover(&self, link: &str, file: &Path) -> Result<()> {
        self.log_in(link).await?;
        self.ask(&["recovery", "use", "--recovery-key-file", text(file)?]).await?;
        Ok(())
    }

    /// Sends `message` to `target`, to be *sent* when this returns, and gives its id.
    pub async fn send(&self, target: &str, message: &str) -> Result<String> {
        let answer = self.ask(&["send", target, message]).await?;
        let id = answer.get("id").and_then(Value::as_str);
        Ok(id.with_context(|| format!("no id in {answer}"))?.to_owned())
    }

    /// Sends `message` to `target` under `id`, and says whether it was taken: sent, or at least kept for sending, which
    /// must be as good. With no `timeout`, it does not wait for a connection that is not there.
    pub async fn try_send(
        &self,
        target: &str,
        message: &str,
        id: &str,
        timeout: Option<&str>,
    ) -> Result<Attempt> {
        let mut arguments = vec!["send", target, message, "--id", id, "--json"];
        arguments.extend(timeout.into_iter().flat_map(|timeout| ["--timeout", timeout]));
        let finished = self.run(&arguments).await?;
        let state = |object: &Value| Some(object.get("state")?.as_str()?.to_owned());
        let said = finished.json().ok().as_ref().and_then(state);
        // Whoever looks at the exit code alone must not be told anything else: 0 is a promise that it was sent, 3 that it is kept. Of one that
        // was killed, what it had said counts.
        let agree = match said.as_deref() {
            Some("sent" | "waiting" | "delivered" | "read" | "posted") => finished.code() <= 0,
            Some(state) => finished.code() != 0 && state == "queued",
            None => ![0, 3].contains(&finished.code()),
        };
        ensure!(agree, "exit code and output differ: {finished}");
        Ok(match said {
            Some(state) => Attempt::Taken { state },
            None => Attempt::Failed(finished),
        })
    }

    /// The last `count` messages with `target`, oldest first.
    pub async fn read(&self, target: &str, count: usize) -> Result<Vec<Message>> {
        let count = count.to_string();
        let answer = self.run(&["read", target, "-n", &count, "--json"]).await?.success()?;
        messages(answer.json_lines()?)
    }

    /// Reads `room` until all of `wanted` are there, in this order among others.
    pub async fn read_until(&self, room: &str, wanted: &[&str]) -> Result<Vec<Message>> {
        eventually(PATIENCE, async || {
            let messages = self.read(room, 200).await?;
            let texts: Vec<&str> = messages.iter().map(|message| message.text.as_str()).collect();
            let mut rest = texts.iter();
            let all = wanted.iter().all(|text| rest.any(|shown| shown == text));
            ensure!(all, "{} sees {texts:?}, not {wanted:?}", self.user);
            Ok(messages)
        })
        .await
    }

    /// A link by which whoever has it comes into `community`.
    pub async fn link_into(&self, community: &str, arguments: &[&str]) -> Result<String> {
        let made = self.ask(&[&["community", "invite", community], arguments].concat()).await?;
        Ok(made.get("link").and_then(Value::as_str).context("a link")?.to_owned())
    }

    /// Starts `rookery ARGUMENTS`, which goes on.
    pub fn start(&self, arguments: &[&str]) -> Result<Running> {
        Running::start(self.command(arguments)?, &self.log_file())
    }

    /// Starts its agent: the process that owns its keys, store and connection.
    pub fn start_agent(&self) -> Result<Running> {
        self.start(&["daemon"])
    }

    /// A `tail` that prints what it has not printed before, by its cursor file; the first, all there is.
    pub fn tail_command(&self) -> Result<Command> {
        let cursor = self.directory.join("cursor");
        self.command(&["tail", "--json", "--since", "1h", "--cursor-file", text(&cursor)?])
    }

    /// Starts that.
    pub fn start_tail(&self) -> Result<Running> {
        Running::start(self.tail_command()?, &self.log_file())
    }

    /// Waits until `status` says that it is connected.
    pub async fn wait_until_connected(&self) -> Result<()> {
        eventually(PATIENCE, async || {
            let status = self.run(&["status", "--json"]).await?;
            ensure!(status.code() == 0, "not connected: {status}");
            Ok(())
        })
        .await
    }

    /// Gives up waiting for more than `limit` for `target` to hold `count` messages here, and gives them.
    pub async fn read_all(
        &self,
        target: &str,
        count: usize,
        limit: Duration,
    ) -> Result<Vec<Message>> {
        let more = count.saturating_add(1000);
        eventually(limit, async || {
            let shown = self.read(target, more).await?;
            let there = shown.len();
            ensure!(there >= count, "{} shows {there} of {count} messages", self.label());
            Ok(shown)
        })
        .await
    }
}

/// What `objects` of `read` or `tail` say.
pub fn messages(objects: Vec<Value>) -> Result<Vec<Message>> {
    objects
        .into_iter()
        .map(|object| {
            serde_json::from_value(object.clone()).with_context(|| format!("no message: {object}"))
        })
        .collect()
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not text", path.display()))
}

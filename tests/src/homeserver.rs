//! A real `rookeryd serve`, which can be stopped, killed, and brought back where it was.

use std::{
    env,
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    process::Command,
    time::{Instant, sleep},
};
use uuid::Uuid;

use crate::{
    faults::{Faults, Unsynced},
    impostor::Impostor,
    process::{Finished, PATIENCE, Place, Running, binary, run},
    world::eventually,
};

/// What a homeserver is started with.
#[derive(Debug)]
pub struct Setup {
    name: String,
    directory: PathBuf,
    limits: Option<String>,
    database: Option<String>,
    unsynced: Option<Unsynced>,
    log_filter: Option<String>,
    federation: Option<&'static str>,
    place: Place,
    address: Option<SocketAddr>,
    settings: Vec<(&'static str, String)>,
}

impl Setup {
    /// The homeserver `name`, with all its files below `directory`, and without limits of rate.
    #[must_use]
    pub fn new(name: &str, directory: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            directory,
            limits: None,
            database: None,
            unsynced: None,
            log_filter: None,
            federation: None,
            place: Place::default(),
            address: None,
            settings: vec![],
        }
    }

    /// On another network, where it listens at `address`.
    #[must_use]
    pub fn at(mut self, place: Place, address: SocketAddr) -> Self {
        self.place = place;
        self.address = Some(address);
        self
    }

    /// With `value` in the environment variable `key`, which stands for a setting.
    #[must_use]
    pub fn setting(mut self, key: &'static str, value: &str) -> Self {
        self.settings.push((key, value.to_owned()));
        self
    }

    /// By the name of another one, in a directory of its own.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// With `mode` for the setting `server.federation`.
    #[must_use]
    pub fn federation(mut self, mode: &'static str) -> Self {
        self.federation = Some(mode);
        self
    }

    /// With the limits in `toml` instead of none.
    #[must_use]
    pub fn limits(mut self, toml: &str) -> Self {
        self.limits = Some(toml.to_owned());
        self
    }

    /// On the PostgreSQL database at `url` instead of SQLite.
    #[must_use]
    pub fn database(mut self, url: &str) -> Self {
        self.database = Some(url.to_owned());
        self
    }

    /// With the fault library beneath its data directory.
    #[must_use]
    pub fn faults(mut self, unsynced: Unsynced) -> Self {
        self.unsynced = Some(unsynced);
        self
    }

    /// Logging all that it can.
    #[must_use]
    pub fn verbose(mut self) -> Self {
        let filter = "debug,rookery_homeserver=trace,rookery_protocol=trace,sqlx=trace";
        self.log_filter = Some(filter.to_owned());
        self
    }

    /// Starts it, and waits until it is ready.
    pub async fn start(self) -> Result<Homeserver> {
        let mut server = self.prepare().await?;
        server.start().await?;
        Ok(server)
    }

    /// Makes it ready to be started.
    pub async fn prepare(self) -> Result<Homeserver> {
        let data = self.directory.join("data");
        fs::create_dir_all(&self.directory)?;
        if let Some(toml) = &self.limits {
            fs::write(self.directory.join("limits.toml"), toml)?;
        }
        let faults = match self.unsynced {
            Some(unsynced) => {
                Some(Faults::aim(&self.directory.join("faults"), &data, unsynced).await?)
            }
            None => None,
        };
        let address = match self.address {
            Some(address) => address,
            None => (Ipv4Addr::LOCALHOST, free_port()?).into(),
        };
        Ok(Homeserver {
            setup: self,
            data,
            address,
            faults,
            ready: Ready::default(),
            process: None,
        })
    }
}

/// What `--ready-file` says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// Where it listens, `127.0.0.1:PORT`.
    pub address: String,
    /// Its name, the part of an address behind the `@`.
    pub name: String,
    /// The fingerprint of its root key.
    pub fingerprint: String,
    /// A link that lets a newcomer register.
    pub invite: String,
}

/// A homeserver's process, and what outlives it. Dropping it kills it.
#[derive(Debug)]
pub struct Homeserver {
    setup: Setup,
    data: PathBuf,
    address: SocketAddr,
    faults: Option<Faults>,
    ready: Ready,
    process: Option<Running>,
}

impl Homeserver {
    /// What it said of itself when it was last ready.
    #[must_use]
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Its data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The faults that it was set up with.
    pub fn faults(&self) -> Result<&Faults> {
        self.faults.as_ref().context("this homeserver was set up without faults")
    }

    /// Its process id.
    pub fn id(&self) -> Result<u32> {
        self.process.as_ref().and_then(Running::id).context("the homeserver does not run")
    }

    /// Has `value` in the environment variable `key`, which stands for a setting, when it is started again.
    pub fn set(&mut self, key: &'static str, value: &str) {
        self.setup.settings.retain(|(known, _)| *known != key);
        self.setup.settings.push((key, value.to_owned()));
    }

    /// Starts it on the port and the data that it had before, and waits until it is ready.
    pub async fn start(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "the homeserver runs already");
        let ready_file = self.setup.directory.join("ready.json");
        drop(fs::remove_file(&ready_file));
        let mut process = Running::start(self.serve(&ready_file)?, &self.log_file())?;
        let deadline = Instant::now().checked_add(PATIENCE).context("time")?;
        self.ready = loop {
            // It may be read half written only if it is not put in place whole, which would be a fault of its own.
            if let Ok(text) = fs::read_to_string(&ready_file) {
                break serde_json::from_str(&text)
                    .with_context(|| format!("ready file: {text}"))?;
            }
            if process.has_ended()? || Instant::now() > deadline {
                bail!("the homeserver did not become ready\n{}", process.log_tail());
            }
            sleep(Duration::from_millis(10)).await;
        };
        if let (Some(faults), Some(id)) = (&self.faults, process.id()) {
            faults.ensure_loaded(id)?;
        }
        self.process = Some(process);
        Ok(())
    }

    fn serve(&self, ready_file: &Path) -> Result<Command> {
        let Setup { name, directory, limits, database, log_filter, federation, settings, .. } =
            &self.setup;
        let mut command = self.program()?;
        command
            .arg("serve")
            .arg("--data-dir")
            .arg(&self.data)
            .args(["--listen", &self.address.to_string(), "--name", name])
            .arg("--ready-file")
            .arg(ready_file)
            .arg("--limits")
            .env("RUST_BACKTRACE", "1")
            // Nothing is looked up outside of this machine.
            .env("ROOKERYD_DISCOVERY_NAMESERVER", "off")
            .envs(settings.iter().map(|(key, value)| (*key, value)));
        match limits {
            Some(_) => command.arg(directory.join("limits.toml")),
            None => command.arg("off"),
        };
        if let Some(filter) = log_filter {
            command.env("ROOKERYD_LOG_FILTER", filter);
        }
        if let Some(mode) = federation {
            command.env("ROOKERYD_SERVER_FEDERATION", mode);
        }
        if let Some(url) = database {
            command.args(["--database", url]);
        }
        if let Some(faults) = &self.faults {
            faults.apply(&mut command);
        }
        Ok(command)
    }

    fn program(&self) -> Result<Command> {
        let mut command = self.setup.place.program("rookeryd")?;
        command.env("HOME", &self.setup.directory).env_remove("XDG_RUNTIME_DIR");
        Ok(command)
    }

    /// Ends it in order, by SIGTERM, and says how it ended.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        self.process.take().context("the homeserver does not run")?.stop().await
    }

    /// Ends it by SIGKILL, unless a fault has done so; with [`Unsynced::IsLost`], that is the power cut.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.take().context("the homeserver does not run")?.kill().await
    }

    /// Whether it runs; it may have been ended, by us or by a fault.
    pub fn runs(&mut self) -> Result<bool> {
        Ok(match &mut self.process {
            Some(process) => !process.has_ended()?,
            None => false,
        })
    }

    /// Runs one of the admin's commands on it: `rookeryd --data-dir D ARGUMENTS --json`.
    pub async fn admin(&self, arguments: &[&str]) -> Result<Finished> {
        let mut command = self.program()?;
        command.arg("--data-dir").arg(&self.data).args(arguments).arg("--json");
        run(command, b"", PATIENCE).await
    }

    /// The same, which prints for people.
    pub async fn admin_text(&self, arguments: &[&str]) -> Result<Finished> {
        let mut command = self.program()?;
        command.arg("--data-dir").arg(&self.data).args(arguments);
        run(command, b"", PATIENCE).await
    }

    /// Has it know `other` as a peer, where that listens and with the root key that it has.
    pub async fn know(&self, other: &Self) -> Result<()> {
        self.know_at(other, &other.ready().address).await
    }

    /// Has it know somebody whom we play, who dials and is never dialled.
    pub async fn know_impostor(&self, other: &Impostor) -> Result<()> {
        let (name, root) = (other.record.name.as_str(), other.root().to_string());
        self.admin(&["peer", "add", name, "127.0.0.1:9", &root]).await?.success()?;
        Ok(())
    }

    /// The same, where `address` leads to the other one.
    pub async fn know_at(&self, other: &Self, address: &str) -> Result<()> {
        let Ready { name, fingerprint, .. } = other.ready();
        self.admin(&["peer", "add", name, address, fingerprint]).await?.success()?;
        Ok(())
    }

    /// What it says of its peer `name`.
    pub async fn peer(&self, name: &str) -> Result<Value> {
        let shown = self.admin(&["peer", "show", name]).await?.success()?.json()?;
        Ok(shown.get("data").context("no data")?.clone())
    }

    /// Waits until its peer `name` is in `state`.
    pub async fn wait_for_peer(&self, name: &str, state: &str) -> Result<()> {
        eventually(PATIENCE, async || {
            let shown = self.peer(name).await?;
            ensure!(shown.get("state").and_then(Value::as_str) == Some(state), "{shown}");
            Ok(())
        })
        .await
    }

    /// A new invite link, for `uses` people.
    pub async fn invite(&self, uses: u32) -> Result<String> {
        let uses = uses.to_string();
        let answer = self.admin(&["invite", "create", "--uses", &uses]).await?.success()?.json()?;
        let link = answer.pointer("/data/link").and_then(Value::as_str);
        Ok(link.with_context(|| format!("no link in {answer}"))?.to_owned())
    }

    /// The file that has all it said on standard error.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.setup.directory.join("log")
    }
}

/// Makes a database in the PostgreSQL that `ROOKERY_TEST_POSTGRES` names, and gives its URL.
pub async fn new_postgresql_database() -> Result<String> {
    let server = env::var("ROOKERY_TEST_POSTGRES")
        .context("no PostgreSQL: run the tests by `tests/run`, or under `tests/postgres run`")?;
    let name = format!("world_{}", Uuid::new_v4().simple());
    let mut psql = Command::new("psql");
    psql.args([&server, "--quiet", "--no-psqlrc", "--command", &format!("CREATE DATABASE {name}")]);
    run(psql, b"", PATIENCE).await?.success()?;
    let (host, _) = server.rsplit_once('/').context("ROOKERY_TEST_POSTGRES is no URL")?;
    Ok(format!("{host}/{name}"))
}

/// A port of 127.0.0.1 that is free for UDP and TCP. It lies below those that the system gives to clients, so that
/// none of them takes it between this and the server's start, or while the server is down; nor does another test, for as long as this one runs.
pub fn free_port() -> Result<u16> {
    static TURN: AtomicU16 = AtomicU16::new(0);
    static TAKEN: Mutex<Vec<File>> = Mutex::new(vec![]);
    let locks = binary("rookeryd")?.with_file_name("test-ports");
    fs::create_dir_all(&locks)?;
    let own = u16::try_from(std::process::id() % 997)?.wrapping_mul(10);
    for _ in 0..500 {
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        let port = (own.wrapping_add(turn) % 10_000).saturating_add(10_000);
        let lock = File::create(locks.join(port.to_string()))?;
        if lock.try_lock().is_ok()
            && UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
            && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        {
            TAKEN.lock().unwrap_or_else(PoisonError::into_inner).push(lock);
            return Ok(port);
        }
    }
    bail!("no free port");
}

//! The server under load: a process, and what the kernel says of it.

use std::{
    net::SocketAddr,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rookery_protocol::{io::client::Trust, name::JoinLink};

/// One `rookeryd serve`; it ends when this is dropped, and its directory goes unless it was given one.
pub(crate) struct Server {
    child: Child,
    pub(crate) directory: PathBuf,
    pub(crate) invite: JoinLink,
    pub(crate) address: SocketAddr,
    temporary: Option<tempfile::TempDir>,
}

/// CPU time of a process, in microseconds.
#[derive(Clone, Copy)]
pub(crate) struct CpuTime(u64);

impl CpuTime {
    pub(crate) fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Where the binary `name` was built, beside this one.
pub(crate) fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if !path.exists() {
        bail!("{} is missing: cargo build --release --workspace makes it", path.display());
    }
    Ok(path)
}

impl Server {
    /// Starts a server without limits and waits until it is ready.
    pub(crate) fn start() -> anyhow::Result<Self> {
        Self::start_called("load.example")
    }

    /// The same under a name.
    pub(crate) fn start_called(name: &str) -> anyhow::Result<Self> {
        // Not in /tmp, which may be memory: what is measured includes the disk.
        let directory = tempfile::Builder::new()
            .prefix("load-")
            .tempdir_in(binary("load")?.with_file_name("."))?;
        let path = directory.path().to_owned();
        let mut server = Self::start_as(name, path, "127.0.0.1:0".parse()?)?;
        server.temporary = Some(directory);
        Ok(server)
    }

    /// Starts the server whose files are in `directory`, or makes it there.
    pub(crate) fn start_in(directory: PathBuf, address: SocketAddr) -> anyhow::Result<Self> {
        Self::start_as("load.example", directory, address)
    }

    fn start_as(name: &str, directory: PathBuf, address: SocketAddr) -> anyhow::Result<Self> {
        let mut child = serve(name, &directory, address)?;
        let address = match wait_for(&directory, &mut child).and_then(|facts| address_in(&facts)) {
            Ok(address) => address,
            Err(error) => {
                child.kill().ok();
                child.wait().ok();
                return Err(error);
            }
        };
        let invite = invite_to(&directory)?;
        Ok(Self { child, directory, invite, address, temporary: None })
    }

    /// Ends it in order; [`start_again`](Self::start_again) brings it back where it was.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        rookery_tests::screen::signal(self.child.id(), "TERM")?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again.
    pub(crate) fn start_again(&mut self) -> anyhow::Result<()> {
        self.child = serve(self.invite.server.as_str(), &self.directory, self.address)?;
        wait_for(&self.directory, &mut self.child)?;
        Ok(())
    }

    /// Makes `other` a peer of this server.
    pub(crate) fn add_peer(&self, other: &Self) -> anyhow::Result<()> {
        self.add_peer_at(other, other.address)
    }

    /// The same with another address.
    pub(crate) fn add_peer_at(&self, other: &Self, address: SocketAddr) -> anyhow::Result<()> {
        let made = Command::new(binary("rookeryd")?)
            .arg("--data-dir")
            .arg(self.directory.join("data"))
            .args(["peer", "add", other.invite.server.as_str(), &address.to_string()])
            .arg(other.invite.key.to_string())
            .output()?;
        if !made.status.success() {
            bail!("the peer was not added: {}", String::from_utf8_lossy(&made.stderr));
        }
        Ok(())
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::Pinned(self.invite.key)
    }

    /// CPU time that the server has used, user and system.
    pub(crate) fn cpu(&self) -> anyhow::Result<CpuTime> {
        cpu_of(&self.child.id().to_string())
    }

    /// Resident memory, in bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("/proc has another form")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes.saturating_mul(1024))
    }
}

/// CPU time that a process has used, user and system; `self` is this one.
pub(crate) fn cpu_of(process: &str) -> anyhow::Result<CpuTime> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Behind the name in parentheses: the 12th and 13th field are user and system ticks of 10 ms (proc(5)).
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    let ticks = ticks(11).zip(ticks(12)).map(|(user, system)| user.saturating_add(system));
    Ok(CpuTime(ticks.context("/proc has another form")?.saturating_mul(10_000)))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn serve(name: &str, directory: &Path, address: SocketAddr) -> anyhow::Result<Child> {
    std::fs::create_dir_all(directory)?;
    std::fs::remove_file(directory.join("ready.json")).ok();
    let child = Command::new(binary("rookeryd")?)
        .arg("--data-dir")
        .arg(directory.join("data"))
        .args(["serve", "--listen", &address.to_string(), "--name", name])
        .args(["--limits", "off", "--ready-file"])
        .arg(directory.join("ready.json"))
        .env("RUST_LOG", "warn")
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(directory.join("server.log"))?)
        .spawn()?;
    Ok(child)
}

fn address_in(facts: &serde_json::Value) -> anyhow::Result<SocketAddr> {
    let address = facts.get("address").and_then(|value| value.as_str());
    Ok(address.context("the ready file lacks a key")?.parse()?)
}

fn invite_to(directory: &Path) -> anyhow::Result<JoinLink> {
    let made = Command::new(binary("rookeryd")?)
        .arg("--data-dir")
        .arg(directory.join("data"))
        .args(["invite", "create", "--uses", "100000", "--json"])
        .output()?;
    let made: serde_json::Value =
        serde_json::from_slice(&made.stdout).context("no invite was made")?;
    let link = made.pointer("/data/link").and_then(|link| link.as_str());
    Ok(link.context("the invite has no link")?.parse()?)
}

fn wait_for(directory: &Path, child: &mut Child) -> anyhow::Result<serde_json::Value> {
    let ready = directory.join("ready.json");
    for _ in 0..400 {
        if let Ok(text) = std::fs::read_to_string(&ready)
            && let Ok(facts) = serde_json::from_str(&text)
        {
            return Ok(facts);
        }
        if let Some(status) = child.try_wait()? {
            bail!("rookeryd ended with {status} before it was ready");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("rookeryd was not ready after 20 s")
}

/// The median time of an `fdatasync` after a 4 KiB write on the disk that holds `directory`.
pub(crate) fn fsync_time(directory: &Path) -> anyhow::Result<Duration> {
    let file = std::fs::File::create(directory.join("fsync"))?;
    let mut times = Vec::new();
    for block in 0..200_u64 {
        file.write_all_at(&[0x5a; 4096], block.saturating_mul(4096))?;
        let begin = now();
        file.sync_data()?;
        times.push(begin.elapsed());
    }
    times.sort();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}

/// The wall clock of a measurement.
#[expect(clippy::disallowed_methods, reason = "measuring time is what this program is for")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

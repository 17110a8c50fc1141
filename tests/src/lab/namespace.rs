//! Network namespaces: made, joined to this machine by a cable each, and removed.
//!
//! A namespace reaches its own end of its cable and the machine's, and nothing else: there are no routes, and nothing forwards. What goes
//! from one to another goes through a relay of ours on the machine's side ([`super::link`]).

use std::{
    fs,
    net::{Ipv4Addr, UdpSocket},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{self, Command},
};

use anyhow::{Context, Result, bail, ensure};

use crate::process::Place;

/// Where the system keeps the names of namespaces.
const NAMES: &str = "/run/netns";
/// What ours are called, before the number of the process that made them.
const PREFIX: &str = "rookery-lab-";
/// Of the range that is set apart for measuring networks (RFC 2544 §C.2.2), which is nobody's.
const FIRST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
/// How many addresses the range has.
const RANGE: u32 = 131_072;
/// How many addresses one lab takes: four a namespace.
const BLOCK: u32 = 64;
/// How many namespaces that is enough for.
pub const MOST: usize = 16;

/// A part of the range that no other lab on this machine has.
#[derive(Debug)]
pub struct Ground {
    first: u32,
}

impl Ground {
    /// Finds one, removes what labs left that were killed, and fails where namespaces cannot be had.
    pub fn take() -> Result<Self> {
        let is_root = fs::metadata("/proc/self")?.uid() == 0;
        ensure!(is_root, "the lab makes network namespaces, which only root may: run it as root");
        sweep();
        let blocks = RANGE.checked_div(BLOCK).context("blocks")?;
        let own = process::id().checked_rem(blocks).context("block")?;
        for turn in 0..blocks {
            let block = own.wrapping_add(turn).checked_rem(blocks).context("block")?;
            let first = u32::from(FIRST).wrapping_add(block.wrapping_mul(BLOCK));
            let ground = Self { first };
            // Whoever has an address can take a port of it.
            if UdpSocket::bind((ground.address(0, 1), 0)).is_err() {
                return Ok(ground);
            }
        }
        bail!(
            "every address of {FIRST}/15 is taken: remove what `ip netns list` shows of old labs"
        );
    }

    fn address(&self, number: u32, of_four: u32) -> Ipv4Addr {
        let offset = number.wrapping_mul(4).wrapping_add(of_four);
        Ipv4Addr::from(self.first.wrapping_add(offset))
    }

    /// Makes the namespace `number`, which is below [`MOST`].
    pub fn namespace(&self, number: usize) -> Result<Namespace> {
        ensure!(number < MOST, "a lab has at most {MOST} namespaces");
        let number = u32::try_from(number)?;
        let (id, cable) = (process::id(), format!("rkl{}n{number}", process::id()));
        let name = format!("{PREFIX}{id}-{number}");
        let (near, far) = (self.address(number, 1), self.address(number, 2));
        ip(&format!("netns add {name}"))?;
        let namespace = Namespace { name, near, far };
        let name = &namespace.name;
        ip(&format!("link add {cable} type veth peer name home netns {name}"))?;
        ip(&format!("addr add {near}/30 dev {cable}"))?;
        ip(&format!("link set {cable} up"))?;
        ip(&format!("-n {name} addr add {far}/30 dev home"))?;
        ip(&format!("-n {name} link set home up"))?;
        ip(&format!("-n {name} link set lo up"))?;
        Ok(namespace)
    }
}

/// A network namespace, removed when this is dropped, and its cable with it. What runs in it goes on.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    near: Ipv4Addr,
    far: Ipv4Addr,
}

impl Namespace {
    /// For programs that are to run in it.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::within(PathBuf::from(NAMES).join(&self.name))
    }

    /// The machine's address, as it is reached from inside.
    #[must_use]
    pub const fn near(&self) -> Ipv4Addr {
        self.near
    }

    /// The namespace's own address.
    #[must_use]
    pub const fn far(&self) -> Ipv4Addr {
        self.far
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = ip(&format!("netns del {}", self.name)) {
            eprintln!("the namespace {} stays: {error:#}", self.name);
        }
    }
}

/// Removes what labs left whose process is gone.
fn sweep() {
    let entries = fs::read_dir(NAMES).into_iter().flatten().flatten();
    for name in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
        let id = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if id.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            // Somebody else may be sweeping as well.
            ip(&format!("netns del {name}")).ok();
        }
    }
}

fn ip(words: &str) -> Result<()> {
    let done = Command::new("ip").args(words.split(' ')).output();
    let done = done.context("the lab needs `ip`, of the package iproute2")?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(
        done.status.success(),
        "no network namespaces can be had here: `ip {words}` says {}",
        said.trim()
    );
    Ok(())
}

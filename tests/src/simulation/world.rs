//! The world before anything goes wrong: made once in a process, and copied for each seed.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use rookery_cli::{
    agent::verb::{
        CommunityCreate, CommunityInvite, CommunityJoin, ContactAct, ContactChange, ContactList,
        HistoryWord, MemberList, PolicyWord, RoleChange, Verb,
    },
    e2ee::identity::MadeFor,
    engine::{self, RegisterOrder},
    store::{self, Secret},
};
use rookery_homeserver::{repository::memory::Memory, service::peer::admin};
use rookery_protocol::{
    io::simulation::Network,
    name::HostPort,
    request::peering::AddPeer,
    time::{Clock as _, SystemClock, Timestamp},
};
use tempfile::TempDir;
use tokio::time::{Duration, Instant, sleep};

use super::{
    after,
    clock::VirtualClock,
    device::Device,
    home::{Home, name_of_home},
    runtime, spot_of_device, spot_of_home, temporary,
};

/// What the community is called.
pub(super) const CLUB: &str = "club";
/// Its channel.
pub(super) const CHANNEL: &str = "club#general";
/// A role that people bear or not.
pub(super) const ROLE: &str = "guard";
const NAMES: [&str; 8] = ["ada", "bea", "cyd", "dan", "eve", "fay", "gus", "hal"];
/// How long anything may take while the world is made.
const PATIENCE: Duration = Duration::from_mins(1);

/// How large a world is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// Homes, 2 to 4.
    pub homes: usize,
    /// People with a device each, 3 to 8: each home in turn has the next. The first owns the community, and the last is not in it yet.
    pub devices: usize,
}

/// A world at rest.
#[derive(Debug)]
pub struct World {
    pub(super) size: Size,
    pub(super) homes: Vec<(Memory, PathBuf)>,
    pub(super) devices: Vec<PathBuf>,
    /// The way into the community.
    pub(super) invitation: String,
    pub(super) at: Timestamp,
    _folder: TempDir,
}

/// The home of the person `number`.
pub(super) fn home_of(size: Size, number: usize) -> usize {
    number.checked_rem(size.homes).unwrap_or(0)
}

/// How everybody writes the name of the person `number`.
pub(super) fn address_of(size: Size, number: usize) -> String {
    let name = NAMES.get(number).copied().unwrap_or("nobody");
    format!("@{name}@{}", name_of_home(home_of(size, number)))
}

/// Who write to each other: everybody with the next.
pub(super) fn pairs(size: Size) -> Vec<(usize, usize)> {
    (1..size.devices).map(|number| (number.saturating_sub(1), number)).collect()
}

impl World {
    /// Makes a world with real registrations, real contacts and a real community.
    pub fn make(size: Size) -> Result<Self> {
        let network = Network::new(1);
        let _entered = network.enter();
        runtime()?.block_on(Box::pin(make(size)))
    }
}

async fn make(size: Size) -> Result<World> {
    let folder = temporary()?;
    let clock = Arc::new(VirtualClock::at(SystemClock.now()));
    let mut homes = vec![];
    for number in 0..size.homes {
        let storage = Memory::new(u64::try_from(number)?.saturating_add(1));
        let mut home = Home::new(number, storage, None, folder.path(), Arc::clone(&clock))?;
        home.start().await?;
        homes.push(home);
    }
    join_homes(&homes).await?;
    let mut devices = vec![];
    for number in 0..size.devices {
        let device = Device::new(number, None, folder.path(), Arc::clone(&clock))?;
        let home = homes.get(home_of(size, number)).context("a home")?;
        register(&device, home, number).await?;
        device.start().await?;
        devices.push(device);
    }
    acquaint(&devices, size).await?;
    let invitation = found(&devices).await?;
    // Whatever is still on its way arrives.
    sleep(Duration::from_secs(30)).await;
    for device in &devices {
        device.stop().await?;
    }
    for home in &mut homes {
        home.stop().await?;
    }
    Ok(World {
        size,
        homes: homes.iter().map(|home| (home.storage.clone(), home.data())).collect(),
        devices: devices.iter().map(Device::data).collect(),
        invitation,
        at: clock.now(),
        _folder: folder,
    })
}

/// Makes all homes peers of each other.
async fn join_homes(homes: &[Home]) -> Result<()> {
    for one in homes {
        for other in homes.iter().filter(|other| other.number != one.number) {
            let services = &other.running()?.services;
            let address = spot_of_home(one.number)?.reaches(spot_of_home(other.number)?);
            let request = AddPeer {
                name: services.identity.name.clone(),
                address: HostPort { host: address.ip().to_string(), port: address.port() },
                root: services.identity.server(),
            };
            admin::add(&one.running()?.services, request).await.map_err(|error| {
                anyhow::anyhow!("{:?} does not know its peer: {error:?}", one.number)
            })?;
        }
    }
    Ok(())
}

async fn register(device: &Device, home: &Home, number: usize) -> Result<()> {
    let mut link = home.running()?.first_invite().await?;
    let address = spot_of_device(number)?.reaches(spot_of_home(home.number)?);
    link.address = HostPort { host: address.ip().to_string(), port: address.port() };
    let place = device.place()?;
    place.create()?;
    let store = store::create(&place, Secret::Found).await?;
    let order = RegisterOrder {
        link,
        name: NAMES.get(number).context("a name")?.parse()?,
        password: "correct horse battery staple".to_owned().into(),
        recovery_key_file: place.recovery_key(),
        device_name: "laptop".to_owned(),
        made_for: MadeFor::Person,
    };
    Box::pin(engine::register(&place, &store, order)).await?;
    store.close().await;
    Ok(())
}

async fn acquaint(devices: &[Device], size: Size) -> Result<()> {
    for (one, other) in pairs(size) {
        let (first, second) =
            (devices.get(one).context("a device")?, devices.get(other).context("a device")?);
        let asked = address_of(size, other);
        let add = ContactChange { who: asked.clone(), act: ContactAct::Add };
        patiently(first, &add).await?;
        let accept = ContactChange { who: address_of(size, one), act: ContactAct::Accept };
        patiently(second, &accept).await?;
        let name = asked.trim_start_matches('@');
        loop {
            let listed = patiently(first, &ContactList {}).await?;
            if listed.iter().any(|line| line.name == name && line.state == "accepted") {
                break;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(())
}

/// Founds the community, and brings everybody in but the last. Gives the way into it.
async fn found(devices: &[Device]) -> Result<String> {
    let (owner, others) = devices.split_first().context("an owner")?;
    let create = CommunityCreate {
        name: CLUB.to_owned(),
        group: false,
        topic: None,
        policy: PolicyWord::default(),
        history: HistoryWord::default(),
        channels: vec![],
        with: vec![],
    };
    patiently(owner, &create).await?;
    let role = RoleChange {
        community: CLUB.to_owned(),
        role: None,
        delete: false,
        name: Some(ROLE.to_owned()),
        rank: Some(1),
        colour: None,
        permissions: None,
    };
    patiently(owner, &role).await?;
    let invite = CommunityInvite {
        community: CLUB.to_owned(),
        who: None,
        uses: None,
        for_ms: None,
        roles: vec![],
        revoke: None,
    };
    let link = patiently(owner, &invite).await?.link.context("a link")?;
    let (_, members) = others.split_last().context("a guest")?;
    for member in members {
        patiently(member, &CommunityJoin { link: link.clone() }).await?;
    }
    let deadline = after(Instant::now(), PATIENCE);
    let count = members.len().saturating_add(1);
    loop {
        let mut is_known = true;
        for device in devices.iter().take(count) {
            let listed = patiently(device, &MemberList { community: CLUB.to_owned() }).await?;
            is_known &= listed.len() == count;
        }
        if is_known {
            return Ok(link);
        }
        ensure!(Instant::now() < deadline, "the members do not know each other");
        sleep(Duration::from_millis(200)).await;
    }
}

/// Asks until there is an answer: homes find each other in their own time.
async fn patiently<V: Verb + Clone>(device: &Device, verb: &V) -> Result<V::Reply> {
    let deadline = after(Instant::now(), PATIENCE);
    loop {
        match Box::pin(device.ask(verb.clone())).await {
            Ok(reply) => return Ok(reply),
            Err(error) if Instant::now() >= deadline => {
                return Err(error).with_context(|| V::METHOD);
            }
            Err(_) => sleep(Duration::from_millis(300)).await,
        }
    }
}

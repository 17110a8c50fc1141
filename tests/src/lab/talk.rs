//! What people do while things go wrong: they write, come, go and are sent away, and it is written down what they were told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Result, ensure};
use futures::future::{join_all, try_join};
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    cast::Part,
    stage::{Device, Room, Stage},
};
use crate::{oracle::Ledger, profile::Attempt, random::Random};

/// How long a person waits for a message to be sent before they let it wait by itself.
const PATIENCE: &str = "5s";
/// How long after everything is well again a change to the community may still need: people try it until it is done.
const CHANGING: Duration = Duration::from_secs(45);

/// How the community stands for those who come and go: by person.
#[derive(Debug, Default)]
pub(super) struct Guests(BTreeMap<usize, Guest>);

#[derive(Debug, Default)]
struct Guest {
    /// They may write in it.
    writes: AtomicBool,
    /// They have gone, or been sent away, and that was acknowledged.
    is_gone: AtomicBool,
}

impl Guests {
    pub(super) fn of(stage: &Stage) -> Self {
        let guests = stage.people.iter().enumerate().filter(|(_, who)| who.part != Part::Stays);
        let guest = |part| Guest { writes: (part != Part::ComesLate).into(), ..Guest::default() };
        Self(guests.map(|(number, who)| (number, guest(who.part))).collect())
    }

    fn may_write(&self, person: usize) -> bool {
        self.0.get(&person).is_none_or(|guest| guest.writes.load(Ordering::Relaxed))
    }

    fn gone(&self) -> BTreeSet<usize> {
        let gone = self.0.iter().filter(|(_, guest)| guest.is_gone.load(Ordering::Relaxed));
        gone.map(|(person, _)| *person).collect()
    }
}

/// What was said, and told to whoever said it.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) rooms: BTreeMap<Room, Ledger>,
    /// What was begun to be said in the community after somebody was gone, which they must not have; by person.
    pub(super) withheld: BTreeMap<usize, BTreeSet<String>>,
    /// How many attempts failed.
    pub(super) failed: usize,
    /// What must not happen whatever is wrong.
    pub(super) violations: Vec<String>,
}

impl Said {
    fn merge(&mut self, other: Self) {
        for (room, ledger) in other.rooms {
            self.rooms.entry(room).or_default().merge(ledger);
        }
        for (person, ids) in other.withheld {
            self.withheld.entry(person).or_default().extend(ids);
        }
        self.failed = self.failed.saturating_add(other.failed);
        self.violations.extend(other.violations);
    }

    /// How many messages were acknowledged.
    pub(super) fn acknowledged(&self) -> usize {
        self.rooms.values().map(Ledger::acknowledged).sum()
    }
}

/// What the people of the lab have at hand: everything but homes and agents, which are struck meanwhile.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) devices: &'a [Device],
    pub(super) targets: &'a Targets,
    pub(super) guests: &'a Guests,
    pub(super) begun: Instant,
    pub(super) end: Instant,
}

/// In which rooms each device writes, and what they are called there.
#[derive(Debug)]
pub(super) struct Targets {
    by_device: Vec<Vec<(Room, String)>>,
    /// Whose the community is.
    owner: usize,
    /// How everybody is addressed.
    addresses: Vec<String>,
    /// The way into the community.
    invitation: String,
    parts: Vec<Part>,
}

impl Targets {
    pub(super) fn of(stage: &Stage) -> Result<Self> {
        let rooms = stage.rooms();
        let of_device = |device: &Device| {
            let targets = rooms.iter().map(|room| Ok((room, stage.target(room, device.person)?)));
            let targets = targets.collect::<Result<Vec<_>>>()?;
            let known = targets.into_iter();
            Ok(known.filter_map(|(room, name)| Some((room.clone(), name?))).collect())
        };
        Ok(Self {
            by_device: stage.devices.iter().map(of_device).collect::<Result<_>>()?,
            owner: stage.owner()?,
            addresses: (0..stage.people.len())
                .map(|person| stage.address(person))
                .collect::<Result<_>>()?,
            invitation: stage.invitation.clone(),
            parts: stage.people.iter().map(|person| person.part).collect(),
        })
    }
}

impl Scene<'_> {
    /// Lets everybody talk, and those come and go who do, until the end and a little longer.
    pub(super) async fn play(self, mut random: Random) -> Result<Said> {
        let talking = (0..self.devices.len()).map(|device| self.talk(device, random.split()));
        let talking = async { Ok::<_, anyhow::Error>(join_all(talking.collect::<Vec<_>>()).await) };
        let changing = async {
            let guests = self.guests.0.iter();
            let changes = guests.map(|(person, guest)| self.change(*person, guest));
            Ok(join_all(changes.collect::<Vec<_>>()).await)
        };
        let (talked, changed) = Box::pin(try_join(talking, changing)).await?;
        let mut all = Said::default();
        for said in talked {
            all.merge(said);
        }
        all.violations
            .extend(changed.into_iter().filter_map(Result::err).map(|why| format!("{why:#}")));
        Ok(all)
    }

    async fn talk(self, number: usize, mut random: Random) -> Said {
        let mut said = Said::default();
        let Some((device, rooms)) =
            self.devices.get(number).zip(self.targets.by_device.get(number))
        else {
            return said;
        };
        for count in 0_u32.. {
            sleep(random.pause(100, 1_200)).await;
            if Instant::now() >= self.end {
                break;
            }
            let open = |room: &Room| *room != Room::Club || self.guests.may_write(device.person);
            let rooms: Vec<_> = rooms.iter().filter(|(room, _)| open(room)).collect();
            let place = random.below(u64::try_from(rooms.len()).unwrap_or(0));
            let Some((room, target)) = usize::try_from(place).ok().and_then(|at| rooms.get(at))
            else {
                continue;
            };
            let (author, id) = (device.profile.label(), random.id().to_string());
            let text = format!("{author} {count:05} {}", random.word());
            if *room == Room::Club {
                for person in self.guests.gone() {
                    said.withheld.entry(person).or_default().insert(id.clone());
                }
            }
            let ledger = said.rooms.entry(room.clone()).or_default();
            ledger.attempt(&author, &id, &text);
            match device.profile.try_send(target, &text, &id, Some(PATIENCE)).await {
                // What is only kept for sending may be overtaken by its author's going.
                Ok(Attempt::Taken { state })
                    if *room == Room::Club && state == "queued" && self.may_go(device.person) => {}
                Ok(Attempt::Taken { .. }) => ledger.acknowledge(&id),
                Ok(Attempt::Failed(_)) => said.failed = said.failed.saturating_add(1),
                Err(error) => said.violations.push(format!("{author} to {target}: {error:#}")),
            }
        }
        said
    }

    fn may_go(self, person: usize) -> bool {
        matches!(self.targets.parts.get(person), Some(Part::Leaves | Part::IsSentAway))
    }

    /// Does what is to happen to a guest, again and again until it is done.
    async fn change(self, person: usize, guest: &Guest) -> Result<()> {
        let part = self.targets.parts.get(person).copied().unwrap_or(Part::Stays);
        let whole = self.end.saturating_duration_since(self.begun);
        let after = whole.checked_div(4).unwrap_or(whole);
        let after = if part == Part::ComesLate { after } else { after.saturating_mul(2) };
        sleep_until(self.begun.checked_add(after).unwrap_or(self.end)).await;
        if part != Part::ComesLate {
            guest.writes.store(false, Ordering::Relaxed);
        }
        let address = self.targets.addresses.get(person).map(String::as_str).unwrap_or_default();
        let (who, words, wanted): (usize, &[&str], &str) = match part {
            Part::Stays => return Ok(()),
            Part::ComesLate => (person, &["community", "join", &self.targets.invitation], "member"),
            Part::Leaves => (person, &["community", "leave", "club"], "gone"),
            Part::IsSentAway => (self.targets.owner, &["member", "kick", "club", address], ""),
        };
        let Some(device) = self.devices.iter().find(|device| device.person == who) else {
            return Ok(());
        };
        let deadline = self.end.checked_add(CHANGING).unwrap_or(self.end);
        loop {
            let done = device.profile.run(words).await?;
            // An answer may be lost: then trying again says that there is nothing to do.
            if done.code() == 0 || is_so(device, part, address, wanted).await? {
                guest.writes.store(part == Part::ComesLate, Ordering::Relaxed);
                guest.is_gone.store(part != Part::ComesLate, Ordering::Relaxed);
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{part:?} of {address} did not come about: {done}");
            sleep(Duration::from_millis(700)).await;
        }
    }
}

/// Whether what was to become of the guest at `address` shows on `device`.
async fn is_so(device: &Device, part: Part, address: &str, wanted: &str) -> Result<bool> {
    if part == Part::IsSentAway {
        let listed = device.profile.run(&["member", "list", "club"]).await?;
        let name = address.trim_start_matches('@');
        return Ok(listed.code() == 0 && !listed.stdout.contains(name));
    }
    let listed = device.profile.run(&["community", "list", "--json"]).await?;
    let is_club = |line: &Value| line.get("name").and_then(Value::as_str) == Some("club");
    let club = listed.json_lines()?.into_iter().find(is_club);
    let standing = club.as_ref().and_then(|line| line.get("standing")).and_then(Value::as_str);
    Ok(listed.code() == 0 && standing == Some(wanted))
}

//! One world at play: its homes and devices, and what its people do.

use std::{cell::RefCell, collections::BTreeSet, sync::Arc};

use anyhow::{Context as _, Result};
use futures::future::join_all;
use rookery_cli::agent::verb::{
    CommunityJoin, CommunityLeave, MemberAct, MemberChangeOrder, Read, Send, Until,
};
use rookery_protocol::io::simulation::Network;
use tempfile::TempDir;
use tokio::{
    sync::Mutex,
    time::{Duration, Instant, sleep, sleep_until},
};

use super::{
    after,
    clock::VirtualClock,
    device::Device,
    home::Home,
    schedule::{Act, Deed},
    temporary,
    trouble::Sky,
    world::{CHANNEL, CLUB, ROLE, World, address_of, home_of},
};
use crate::random::Random;

/// How long somebody waits for what they asked.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a person tries again to join, to leave, or to send somebody away; and how long they wait before.
const TRIES: usize = 4;
const AGAIN: Duration = Duration::from_secs(4);

/// A world at play.
pub(super) struct Stage<'w> {
    pub(super) world: &'w World,
    pub(super) network: Network,
    pub(super) homes: Vec<Mutex<Home>>,
    pub(super) clocks: Vec<Arc<VirtualClock>>,
    /// Each with who may kill or start it.
    pub(super) devices: Vec<(Device, Mutex<()>)>,
    pub(super) sky: RefCell<Sky>,
    pub(super) begun: Instant,
    pub(super) said: RefCell<Vec<Said>>,
    pub(super) people: RefCell<Vec<Person>>,
    trace: RefCell<Vec<String>>,
    _folder: TempDir,
}

/// Where somebody writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Room {
    /// The two, by their numbers.
    Between(usize, usize),
    Club,
}

/// Something that somebody wrote, or tried to.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) room: Room,
    pub(super) author: usize,
    pub(super) id: String,
    pub(super) text: String,
    /// How far it had come when its author was told that it was taken.
    pub(super) taken: Option<String>,
    /// Who had been put out before it was begun.
    pub(super) withheld: BTreeSet<usize>,
    /// Who was a member for sure when it was begun.
    pub(super) members: BTreeSet<usize>,
}

/// How somebody stands to the community, as far as they were told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) is_member: bool,
    /// Somebody has tried to put them out, or they have tried to go.
    pub(super) may_be_out: bool,
    /// They are out for sure.
    pub(super) is_out: bool,
}

impl<'w> Stage<'w> {
    /// Starts everything that `world` has.
    pub(super) async fn start(world: &'w World, network: Network) -> Result<Self> {
        let folder = temporary()?;
        let origin = world.at.plus(Duration::from_secs(1));
        let (mut homes, mut clocks, mut devices) = (vec![], vec![], vec![]);
        for (number, (storage, data)) in world.homes.iter().enumerate() {
            let clock = Arc::new(VirtualClock::at(origin));
            clocks.push(Arc::clone(&clock));
            let mut home = Home::new(number, storage.cut(), Some(data), folder.path(), clock)?;
            home.start().await?;
            homes.push(Mutex::new(home));
        }
        for (number, data) in world.devices.iter().enumerate() {
            let clock = Arc::new(VirtualClock::at(origin));
            let device = Device::new(number, Some(data), folder.path(), clock)?;
            device.start().await?;
            devices.push((device, Mutex::new(())));
        }
        let last = world.size.devices.saturating_sub(1);
        let person = |number| Person { is_member: number < last, ..Person::default() };
        Ok(Self {
            world,
            network,
            homes,
            clocks,
            devices,
            sky: RefCell::default(),
            begun: Instant::now(),
            said: RefCell::default(),
            people: RefCell::new((0..world.size.devices).map(person).collect()),
            trace: RefCell::default(),
            _folder: folder,
        })
    }

    /// Writes down what happens now.
    pub(super) fn note(&self, what: impl FnOnce() -> String) {
        let at = self.begun.elapsed();
        self.trace.borrow_mut().push(format!("{:>7} {}", at.as_millis(), what()));
    }

    /// What has happened.
    pub(super) fn trace(&self) -> Vec<String> {
        self.trace.borrow().clone()
    }

    /// Lets everybody do what they are to do: each one thing after the other.
    pub(super) async fn act_all(&self, acts: &[Act], random: &mut Random) -> Result<()> {
        let turns = self.devices.iter().map(|(device, _)| {
            let mut random = random.split();
            async move {
                for act in acts.iter().filter(|act| act.device == device.number) {
                    sleep_until(after(self.begun, act.at)).await;
                    while device.engine().is_none() {
                        sleep(Duration::from_millis(50)).await;
                    }
                    Box::pin(self.act(device, act, &mut random)).await?;
                }
                Ok(())
            }
        });
        join_all(turns).await.into_iter().collect()
    }

    async fn act(&self, device: &Device, act: &Act, random: &mut Random) -> Result<()> {
        let who = device.number;
        match act.deed {
            Deed::Write(other) => {
                let room = Room::Between(who.min(other), who.max(other));
                self.write(device, room, address_of(self.world.size, other), random).await;
            }
            Deed::Post => {
                if self.person(who)?.is_member && !self.person(who)?.may_be_out {
                    self.write(device, Room::Club, CHANNEL.to_owned(), random).await;
                }
            }
            Deed::Read => {
                let read = device.ask(reading(CHANNEL)).await;
                self.note(|| format!("device {who} reads {}", word(&read)));
            }
            Deed::Join => {
                let link = self.world.invitation.clone();
                let join = CommunityJoin { link };
                let joined = Box::pin(self.try_often(device, act.deed, join)).await.is_some();
                self.change(who, |person| person.is_member = joined);
            }
            Deed::Leave => {
                self.change(who, |person| person.may_be_out = true);
                let leave = CommunityLeave { community: CLUB.to_owned(), delete: false };
                let left = Box::pin(self.try_often(device, act.deed, leave)).await;
                let is_out = left.is_some_and(|left| left.leaving.is_none());
                self.change(who, |person| person.is_out = is_out);
            }
            Deed::Kick(whom) => {
                self.change(whom, |person| person.may_be_out = true);
                let order = self.order(whom, MemberAct::Kick, None);
                let is_out = Box::pin(self.try_often(device, act.deed, order)).await.is_some();
                self.change(whom, |person| person.is_out = is_out);
            }
            Deed::Role(whom, gives) => {
                let act = if gives { MemberAct::GiveRole } else { MemberAct::TakeRole };
                let order = self.order(whom, act, Some(ROLE.to_owned()));
                let changed =
                    tokio::time::timeout(PATIENCE.saturating_mul(4), device.ask(order)).await;
                self.note(|| match changed {
                    Ok(changed) => format!("role of {whom}: {gives} {}", word(&changed)),
                    Err(_) => format!("role of {whom}: {gives} late"),
                });
            }
        }
        Ok(())
    }

    fn order(&self, whom: usize, act: MemberAct, name: Option<String>) -> MemberChangeOrder {
        let who = address_of(self.world.size, whom);
        MemberChangeOrder { community: CLUB.to_owned(), who, act, name, reason: None }
    }

    async fn write(&self, device: &Device, room: Room, to: String, random: &mut Random) {
        let (id, who) = (random.id().to_string(), device.number);
        let text = format!("{who} says {}", random.word());
        let people = self.people.borrow().clone();
        let all = |wanted: fn(&Person) -> bool| {
            let chosen = people.iter().enumerate().filter(|(_, person)| wanted(person));
            chosen.map(|(number, _)| number).collect()
        };
        let said = Said {
            room,
            author: who,
            id: id.clone(),
            text: text.clone(),
            taken: None,
            withheld: all(|person| person.is_out),
            members: all(|person| person.is_member && !person.may_be_out),
        };
        let place = self.said.borrow().len();
        self.said.borrow_mut().push(said);
        let send = Send {
            to,
            text: text.clone(),
            file: None,
            file_name: None,
            id: Some(id),
            until: Until::Sent,
            timeout_ms: u64::try_from(PATIENCE.as_millis()).ok(),
            no_queue: false,
            expires_after: None,
            reply_to: None,
            thread: None,
        };
        let outcome = device.ask(send).await;
        self.note(|| match &outcome {
            Ok(line) => format!("{text} in {room:?}: {}", line.state),
            Err(error) => format!("{text} in {room:?}: {error}"),
        });
        if let (Ok(line), Some(said)) = (outcome, self.said.borrow_mut().get_mut(place)) {
            said.taken = Some(line.state);
        }
    }

    /// Asks what a person asks again when it did not work.
    async fn try_often<V>(&self, device: &Device, deed: Deed, verb: V) -> Option<V::Reply>
    where
        V: rookery_cli::agent::verb::Verb + Clone,
    {
        for _ in 0..TRIES {
            let asked =
                tokio::time::timeout(PATIENCE.saturating_mul(10), device.ask(verb.clone())).await;
            match asked {
                Ok(Ok(reply)) => {
                    self.note(|| format!("device {} {deed:?}: done", device.number));
                    return Some(reply);
                }
                Ok(Err(error)) => {
                    self.note(|| format!("device {} {deed:?}: {error}", device.number));
                }
                Err(_) => self.note(|| format!("device {} {deed:?}: late", device.number)),
            }
            sleep(AGAIN).await;
        }
        None
    }

    pub(super) fn person(&self, number: usize) -> Result<Person> {
        self.people.borrow().get(number).copied().context("a person")
    }

    fn change(&self, number: usize, change: impl FnOnce(&mut Person)) {
        if let Some(person) = self.people.borrow_mut().get_mut(number) {
            change(person);
        }
    }

    /// The home of the person `number`.
    pub(super) fn home_of(&self, number: usize) -> usize {
        home_of(self.world.size, number)
    }
}

/// Reads what is there of a conversation.
pub(super) fn reading(with: &str) -> Read {
    Read {
        with: with.to_owned(),
        count: 200,
        peek: true,
        local: true,
        before: None,
        after: None,
        around: None,
        from: None,
    }
}

fn word<T>(outcome: &Result<T, rookery_cli::error::CommandError>) -> String {
    outcome.as_ref().map_or_else(ToString::to_string, |_| "done".to_owned())
}

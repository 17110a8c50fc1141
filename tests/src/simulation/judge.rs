//! What must hold once nothing is wrong any more, and nobody helps.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};
use rookery_cli::agent::verb::{CommunityShow, MemberList, MessageLine, Status};
use rookery_protocol::{chain::Entry, codec, id::ChainId};
use serde_json::{Map, Value};

use super::{
    device::Device,
    stage::{Room, Said, Stage, reading},
    world::{CHANNEL, CLUB, address_of, pairs},
};
use crate::{oracle::Ledger, profile::Message};

impl Stage<'_> {
    /// Fails unless all that must hold does.
    pub(super) async fn judge(&self) -> Result<()> {
        let listed = self.members_on(self.device(0)?).await?;
        let members: BTreeSet<usize> = (0..self.world.size.devices)
            .filter(|number| {
                let name = address_of(self.world.size, *number);
                listed.contains(name.trim_start_matches('@'))
            })
            .collect();
        for (number, person) in self.people.borrow().iter().enumerate() {
            let is_listed = members.contains(&number);
            ensure!(!person.is_out || !is_listed, "{number} is out, and a member");
            ensure!(
                !person.is_member || person.may_be_out || is_listed,
                "{number} has joined, and is no member"
            );
        }
        for (device, _) in &self.devices {
            for (one, other) in pairs(self.world.size) {
                let with = if device.number == one { other } else { one };
                if device.number == one || device.number == other {
                    self.look_at_pair(device, (one, other), with).await?;
                }
            }
            self.look_at_club(device, &members).await?;
            is_at_rest(device).await?;
        }
        self.compare_members(&members).await?;
        self.compare_homes(&members).await
    }

    fn device(&self, number: usize) -> Result<&Device> {
        Ok(&self.devices.get(number).context("a device")?.0)
    }

    async fn members_on(&self, device: &Device) -> Result<BTreeSet<String>> {
        let listed = device.ask(MemberList { community: CLUB.to_owned() }).await?;
        Ok(listed.into_iter().map(|line| line.name).collect())
    }

    async fn look_at_pair(
        &self,
        device: &Device,
        (one, other): (usize, usize),
        with: usize,
    ) -> Result<()> {
        let room = Room::Between(one, other);
        let ledger = self.ledger(room, |said| said.taken.is_some());
        let shown = device.ask(reading(&address_of(self.world.size, with))).await;
        let shown = match shown {
            Ok(shown) => messages(shown.messages),
            // Nothing was ever written.
            Err(_) if ledger.acknowledged() == 0 => vec![],
            Err(error) => return Err(error).context(format!("device {}", device.number)),
        };
        ledger.judge(&shown).ensure_clean(&format!("device {}, {room:?}", device.number))
    }

    async fn look_at_club(&self, device: &Device, members: &BTreeSet<usize>) -> Result<()> {
        let who = device.number;
        let person = self.person(who)?;
        let label = format!("device {who}, {CHANNEL}");
        let shown = device.ask(reading(CHANNEL)).await;
        let is_member = members.contains(&who);
        if !is_member && !person.is_member {
            ensure!(shown.is_err(), "I5: {label}: who was never in it reads it");
            return Ok(());
        }
        let shown = match shown {
            Ok(shown) => messages(shown.messages),
            Err(_) if !is_member => vec![],
            Err(error) => return Err(error).context(label),
        };
        let people = self.people.borrow().clone();
        let ledger = self.ledger(Room::Club, |said| {
            // What is only kept for sending may be overtaken by its author's going.
            let may_be_out = people.get(said.author).is_some_and(|author| author.may_be_out);
            let is_taken = match said.taken.as_deref() {
                None => false,
                Some("queued") => !may_be_out,
                Some(_) => true,
            };
            is_taken && is_member && said.members.contains(&who)
        });
        let verdict = ledger.judge(&shown);
        verdict.ensure_clean(&label)?;
        let said = self.said.borrow();
        let is_withheld = |message: &&Message| {
            said.iter().any(|said| said.id == message.id && said.withheld.contains(&who))
        };
        if let Some(message) = shown.iter().find(is_withheld) {
            bail!("I5: {label}: who is out shows {:?}", message.text);
        }
        Ok(())
    }

    /// What was said in a room, with what `must` be there as acknowledged.
    fn ledger(&self, room: Room, must: impl Fn(&Said) -> bool) -> Ledger {
        let mut ledger = Ledger::default();
        for said in self.said.borrow().iter().filter(|said| said.room == room) {
            ledger.attempt(&said.author.to_string(), &said.id, &said.text);
            if must(said) {
                ledger.acknowledge(&said.id);
            }
        }
        ledger
    }

    /// What the members' clients say of the community is the same (I6).
    async fn compare_members(&self, members: &BTreeSet<usize>) -> Result<()> {
        let mut seen: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for number in members {
            let device = self.device(*number)?;
            let shown = device.ask(CommunityShow { community: CLUB.to_owned() }).await?;
            let shown = serde_json::to_value(shown)?;
            for key in ["alarm", "warning"] {
                ensure!(shown.get(key).is_none(), "I7: on device {number}: {shown}");
            }
            let same = ["id", "owner", "hub", "policy", "history", "epoch", "log", "roles"];
            let state: Map<String, Value> = same
                .iter()
                .filter_map(|key| Some(((*key).to_owned(), shown.get(*key)?.clone())))
                .collect();
            let listed = self.members_on(device).await?;
            let state = format!("{} {listed:?}", Value::Object(state));
            seen.entry(state).or_default().push(*number);
        }
        ensure!(seen.len() == 1, "I6: the members differ: {seen:#?}");
        Ok(())
    }

    /// The copies of a chain are beginnings of each other (I3), and those of the community are whole wherever a member is at home.
    async fn compare_homes(&self, members: &BTreeSet<usize>) -> Result<()> {
        let mut homes = vec![];
        for home in &self.homes {
            homes.push(home.lock().await.storage.shared_chains());
        }
        let empty: Vec<Entry> = vec![];
        for (one, chains) in homes.iter().enumerate() {
            for (other, others) in homes.iter().enumerate().skip(one.saturating_add(1)) {
                for (chain, entries) in chains {
                    let theirs = others.get(chain).unwrap_or(&empty);
                    for (mine, theirs) in entries.iter().zip(theirs) {
                        ensure!(
                            codec::encode(mine) == codec::encode(theirs),
                            "I3: {chain} differs between {one} and {other} at {}",
                            mine.seq
                        );
                    }
                }
            }
        }
        let places: BTreeSet<usize> = members.iter().map(|number| self.home_of(*number)).collect();
        let hub = homes.first().context("a hub")?;
        let of_club = self.club_chains(hub).await?;
        for place in places {
            let copy = homes.get(place).context("a home")?;
            for chain in &of_club {
                let (whole, has) = (hub.get(chain).map(Vec::len), copy.get(chain).map(Vec::len));
                ensure!(whole == has, "I9: {chain} has {has:?} entries at {place}, not {whole:?}");
            }
        }
        Ok(())
    }

    /// The community's chains at its hub: those that are nobody's own.
    async fn club_chains(&self, hub: &BTreeMap<ChainId, Vec<Entry>>) -> Result<Vec<ChainId>> {
        use rookery_protocol::id::{ChannelId, CommunityId};
        let shown = self.device(0)?.ask(CommunityShow { community: CLUB.to_owned() }).await?;
        let community: CommunityId = shown.summary.id.parse()?;
        let channel = ChainId::of_channel(community, ChannelId::from_number(1));
        let log = ChainId::of_log(community);
        ensure!(hub.contains_key(&log), "the hub has no log");
        Ok(vec![log, channel])
    }
}

fn messages(lines: Vec<MessageLine>) -> Vec<Message> {
    let message = |line: MessageLine| Message {
        v: 1,
        id: line.id,
        from: line.from,
        at: line.at,
        text: line.text,
        state: line.state,
        more: Map::new(),
    };
    lines.into_iter().map(message).collect()
}

/// Nothing waits on a device any more (I9).
async fn is_at_rest(device: &Device) -> Result<()> {
    let status = serde_json::to_value(device.ask(Status {}).await?)?;
    let of =
        |key: &str| status.get(key).and_then(Value::as_u64).with_context(|| format!("no {key}"));
    ensure!(of("queued")? == 0, "I9: on device {}: {status}", device.number);
    ensure!(of("resets")? == 0, "a session was lost on device {}: {status}", device.number);
    Ok(())
}

//! What happens: drawn from a seed.

mod event;

use std::collections::HashMap;

use rookery_protocol::{
    chain::Entry,
    codec::Octets,
    community::{
        Action, AudienceRule, AudienceSet, ChannelKind, ChannelSet, CommunityKind, Create,
        EpochReason, History, JoinPolicy, Permissions, RoleSet,
    },
    id::{AudienceId, ChannelId, CommunityId, RoleId, ServerId},
};

use super::{
    check,
    device::{Batch, Client},
    hub::{Answer, Hub, action_of},
    people::{People, USERS},
};
use crate::e2ee::{SeededRandom, epoch::TextOf, random::Random as _};

const STEPS: u64 = 70;
/// How often everybody looks at everything in the end, at most.
const ROUNDS: usize = 30;
pub(super) const COMMON: ChannelId = ChannelId::from_number(1);
pub(super) const PRIVATE: ChannelId = ChannelId::from_number(2);
const CREW: RoleId = RoleId::from_number(1);
const CREW_ONLY: AudienceId = AudienceId::from_number(1);

/// Something on its way to a device.
struct Packet {
    to: usize,
    channel: Option<ChannelId>,
    entry: Entry,
}

pub(super) struct World {
    pub(super) random: SeededRandom,
    pub(super) people: People,
    pub(super) hub: Hub,
    pub(super) clients: Vec<Client>,
    pub(super) community: CommunityId,
    mail: Vec<Packet>,
    /// How much of the log and of each channel each device was sent.
    sent: HashMap<(usize, Option<ChannelId>), usize>,
}

/// Runs one world to its end and checks it; says how many messages there were.
pub(super) fn run(seed: u64) -> usize {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    world.finish();
    check::all(&mut world)
}

impl World {
    fn new(seed: u64) -> Self {
        let people = People::new();
        let nobody = CommunityId::from_bytes([0; 32]);
        let clients = vec![Client::new(&people, 0, 0, nobody)];
        let mut world = Self {
            random: SeededRandom::new(seed),
            people,
            hub: Hub::default(),
            clients,
            community: nobody,
            mail: vec![],
            sent: HashMap::new(),
        };
        world.found();
        world
    }

    fn draw(&mut self, below: u64) -> u64 {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        u64::from_be_bytes(bytes) % below
    }

    fn pick(&mut self, below: usize) -> usize {
        usize::try_from(self.draw(below as u64)).unwrap()
    }

    fn history(&mut self) -> History {
        if self.draw(2) == 0 { History::Full } else { History::SinceJoin }
    }

    /// An open community with a channel for all and one for the crew.
    fn found(&mut self) {
        let (history, private) = (self.history(), self.history());
        let Self { random, people, hub, clients, .. } = self;
        let client = &mut clients[0];
        let mut batch = Batch::of(client, people, hub);
        let create = Create {
            kind: CommunityKind::Community,
            hub: "hub.example".parse().unwrap(),
            hub_key: ServerId::from_bytes([8; 32]),
            nonce: Octets::parse(vec![7; 16]).unwrap(),
            policy: JoinPolicy::Open,
            history,
            permissions: Permissions::DEFAULT.bits(),
            puk: people.0[0].pin(),
        };
        assert!(batch.say(people, client, Action::Create(create), random));
        client.community = batch.community;
        self.community = batch.community;
        assert!(batch.rotate(people, client, AudienceId::MEMBERS, EpochReason::Begin, random));
        let name = Some(batch.text(AudienceId::MEMBERS, TextOf::RoleName(CREW), "crew", random));
        let permissions = Permissions::DEFAULT.bits();
        let role = RoleSet { role: CREW, rank: 1, permissions, colour: None, name };
        assert!(batch.say(people, client, Action::RoleSet(role), random));
        let rule = Some(AudienceRule { roles: vec![CREW], users: vec![] });
        let set = AudienceSet { audience: CREW_ONLY, rule, history: private };
        assert!(batch.say(people, client, Action::AudienceSet(set), random));
        assert!(batch.settle(people, client, random));
        for (channel, audience) in [(COMMON, AudienceId::MEMBERS), (PRIVATE, CREW_ONLY)] {
            let name = batch.text(audience, TextOf::ChannelName(channel), "talk", random);
            let set = ChannelSet {
                channel,
                kind: ChannelKind::Text,
                audience,
                position: 0,
                slow_mode_s: 0,
                is_archived: false,
                name,
                topic: None,
            };
            assert!(batch.say(people, client, Action::ChannelSet(set), random));
        }
        assert_eq!(batch.submit(people, hub, client), Answer::Done);
        self.sync(0);
    }

    /// Puts what is new on its way to whoever may have it; some of it twice.
    fn tell(&mut self) {
        for to in 0..self.clients.len() {
            let user = self.clients[to].user;
            let state = self.hub.state().clone();
            if !state.members.contains_key(&user) {
                continue;
            }
            let channels = [COMMON, PRIVATE].into_iter().filter(|id| state.may_read(user, *id));
            for channel in std::iter::once(None).chain(channels.map(Some)) {
                let from = self.sent.get(&(to, channel)).copied().unwrap_or(0);
                let new: Vec<Entry> = self.entries(channel).iter().skip(from).cloned().collect();
                self.sent.insert((to, channel), from + new.len());
                for entry in new {
                    if self.draw(8) == 0 {
                        self.mail.push(Packet { to, channel, entry: entry.clone() });
                    }
                    self.mail.push(Packet { to, channel, entry });
                }
            }
        }
    }

    fn entries(&self, channel: Option<ChannelId>) -> &[Entry] {
        match channel {
            None => &self.hub.log,
            Some(channel) => self.hub.channels.get(&channel).map_or(&[], Vec::as_slice),
        }
    }

    /// Delivers something, whichever it is.
    fn deliver(&mut self) {
        if self.mail.is_empty() {
            return;
        }
        let which = self.pick(self.mail.len());
        let Packet { to, channel, entry } = self.mail.swap_remove(which);
        let client = &mut self.clients[to];
        if !client.is_live(&self.people) {
            return;
        }
        match channel {
            None => {
                client.hear_log(&self.people, entry);
                for channel in [COMMON, PRIVATE] {
                    client.go_on(&self.people, &self.hub, channel);
                }
            }
            Some(channel) => client.hear(&self.people, &self.hub, channel, entry),
        }
    }

    /// A device fetches all that it may have. The log is also for whoever is about to join.
    pub(super) fn sync(&mut self, which: usize) {
        let Self { people, hub, clients, .. } = self;
        let client = &mut clients[which];
        for entry in &hub.log {
            if entry.seq >= client.log.len() as u64 {
                client.hear_log(people, entry.clone());
            }
        }
        for channel in [COMMON, PRIVATE] {
            if hub.state().may_read(client.user, channel) {
                for entry in hub.channels.get(&channel).into_iter().flatten() {
                    client.hear(people, hub, channel, entry.clone());
                }
            }
        }
    }

    fn live_clients(&self) -> Vec<usize> {
        (0..self.clients.len()).filter(|one| self.clients[*one].is_live(&self.people)).collect()
    }

    fn members(&self) -> Vec<usize> {
        let members = &self.hub.state().members;
        let live = self.live_clients();
        live.into_iter().filter(|one| members.contains_key(&self.clients[*one].user)).collect()
    }

    fn some_member(&mut self) -> usize {
        let members = self.members();
        members[self.pick(members.len())]
    }

    fn owner(&mut self) -> usize {
        let owned: Vec<_> =
            self.members().into_iter().filter(|one| self.clients[*one].who == 0).collect();
        owned[self.pick(owned.len())]
    }

    /// A device states what `build` makes at the end of the log as it has it. When another was faster, it fetches what came.
    fn commit(
        &mut self,
        which: usize,
        build: impl FnOnce(&mut Batch, &People, &Client, &mut SeededRandom) -> bool,
    ) -> Option<Answer> {
        let Self { random, people, hub, clients, .. } = self;
        let client = &mut clients[which];
        client.state()?;
        let before = hub.log.len();
        let mut batch = Batch::of(client, people, hub);
        if !build(&mut batch, people, client, random) {
            return None;
        }
        let answer = batch.submit(people, hub, client);
        for seq in before..self.hub.log.len() {
            if let Action::Epoch(start) = action_of(&self.hub.log[seq])
                && self.draw(6) == 0
            {
                let unlucky = self.pick(USERS);
                self.hub.lost.insert((self.people.0[unlucky].user, start.wraps));
            }
        }
        if answer != Answer::Done || self.draw(8) > 0 {
            self.sync(which);
        }
        self.tell();
        Some(answer)
    }

    /// Everything is delivered, and everybody does what is theirs to do.
    pub(super) fn finish(&mut self) {
        for _ in 0..ROUNDS {
            for which in self.members() {
                self.sync(which);
                self.keep(which);
                self.sync(which);
                self.rotate_if_due(which);
                for _ in 0..4 {
                    let Self { random, people, hub, clients, .. } = self;
                    clients[which].post(people, hub, random, false);
                }
            }
            let length = self.hub.log.len();
            let waits = self.members().iter().any(|one| !self.clients[*one].outbox.is_empty());
            let lacks = self.hub.state().audiences.values().any(|known| known.lacking.size() > 0);
            if !waits
                && !lacks
                && self.members().iter().all(|one| self.clients[*one].log.len() == length)
            {
                break;
            }
        }
        for which in self.members() {
            self.sync(which);
            assert!(self.clients[which].outbox.is_empty(), "something is never said");
        }
    }
}

fn random_bit(random: &mut SeededRandom) -> bool {
    let mut byte = [0];
    random.fill(&mut byte);
    byte[0] & 1 == 1
}

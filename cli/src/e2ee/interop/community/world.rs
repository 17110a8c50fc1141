//! A small community: three people, three epochs, one channel, by the protocol's own rules.

use rookery_protocol::{
    chain::{Entry, Kind, Seen, Submission},
    codec::{self, Octets},
    community::{
        Action, Admit, Ban, Chains, ChannelKind, ChannelSet, CommunityKind, Create, Edit,
        EpochReason, Join, JoinBy, JoinPolicy, Missing, Nickname, Permissions, Place, Post, PukPin,
        RoleSet, SealedText, SenderKeyUse, State, Statement, announce_item, judge_announce,
        judge_message, verify_and_apply,
    },
    id::{AudienceId, ChainId, ChannelId, CommunityId, ItemId, RoleId, ServerId, UserId},
    key::KemKey,
    user,
};

use super::super::*;
use crate::e2ee::{
    content::{Content, Edit as EditContent, MessageRef, React, Text},
    epoch::{
        EpochKeys, EpochPlace, EpochPlan, EpochSecret, MetadataKey, Receiver, TextOf, WrapContext,
        build_epoch,
    },
    identity::{DeviceSecrets, MadeFor},
    puk::PukRing,
    recovery::RecoveryKey,
    sender_key::{AnnounceFacts, ChannelPlace, MessageFacts, OutboundSenderKey},
    statement::{Founder, found},
};

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
pub(super) const CHANNEL: ChannelId = ChannelId::from_number(1);
pub(super) const MEMBERS: AudienceId = AudienceId::MEMBERS;

/// A user with one device.
pub(super) struct Person {
    pub(super) user: UserId,
    pub(super) device: DeviceSecrets,
    pub(super) ring: PukRing,
    pub(super) chain: user::History,
    pub(super) key: KemKey,
}

impl Person {
    fn new(seed: u64) -> Self {
        let mut random = SeededRandom::new(seed);
        let (device, recovery) =
            (DeviceSecrets::generate(&mut random), RecoveryKey::generate(&mut random));
        let ring = PukRing::generate(&mut random);
        let name = ring.seal_device_name(device.id(), "laptop", &mut random);
        let keys = device.public(MadeFor::Person, name);
        let founder = Founder { device: &device, keys: &keys, recovery: &recovery, ring: &ring };
        let home = ("home.example".parse().unwrap(), ServerId::from_bytes([9; 32]));
        let founding = found(home.0, home.1, founder, NOW, &mut random).unwrap();
        let mut chain = user::History::new(founding.user);
        let genesis = founding.genesis.place(ChainId::of_user(founding.user), 0, None);
        chain.extend(&genesis).unwrap();
        let key = ring.kem(1).unwrap().public();
        Self { user: founding.user, device, ring, chain, key }
    }

    fn state(&self) -> &user::State {
        self.chain.latest().unwrap()
    }

    fn pin(&self) -> PukPin {
        PukPin { generation: 1, public: rookery_protocol::hash::plain(self.key.as_bytes()) }
    }
}

pub(super) struct People(pub(super) [Person; 3]);

impl Chains for People {
    fn user_at(&self, user: UserId, head: Seen) -> Result<user::State, Missing> {
        let person = self.0.iter().find(|person| person.user == user).ok_or(Missing::NotAtHand)?;
        person.chain.at(head).cloned()
    }
}

/// The community as its hub and its first member have it.
pub(super) struct World {
    pub(super) people: People,
    pub(super) community: CommunityId,
    pub(super) state: Option<State>,
    pub(super) log: Vec<Entry>,
    pub(super) channel: Vec<Entry>,
    pub(super) blobs: Vec<(String, Vec<u8>)>,
    pub(super) secrets: Vec<EpochSecret>,
    pub(super) uses: Vec<SenderKeyUse>,
    pub(super) random: SeededRandom,
    pub(super) items: u8,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            people: People([Person::new(1), Person::new(2), Person::new(3)]),
            community: CommunityId::from_bytes([0; 32]),
            state: None,
            log: vec![],
            channel: vec![],
            blobs: vec![],
            secrets: vec![],
            uses: vec![],
            random: SeededRandom::new(4),
            items: 0,
        };
        let create = Create {
            kind: CommunityKind::Community,
            hub: "hub.example".parse().unwrap(),
            hub_key: ServerId::from_bytes([8; 32]),
            nonce: Octets::parse(vec![7; 16]).unwrap(),
            policy: JoinPolicy::Open,
            history: rookery_protocol::community::History::Full,
            permissions: Permissions::DEFAULT.bits(),
            puk: world.people.0[0].pin(),
        };
        world.say(0, Action::Create(create));
        world.begin_epoch(EpochReason::Begin);
        world
    }

    pub(super) fn state(&self) -> &State {
        self.state.as_ref().unwrap()
    }

    fn item(&mut self) -> ItemId {
        self.items += 1;
        ItemId::from_bytes([self.items; 16])
    }

    /// States `action` as person number `author`, by the rules.
    fn say(&mut self, author: usize, action: Action) {
        let item = self.item();
        let head = self.state.as_ref().map(|state| state.head);
        let place = match head {
            None => Place::First,
            Some(head) if action.is_strict() => Place::Next(head),
            Some(head) => Place::Later(head),
        };
        let person = &self.people.0[author];
        let statement = Statement {
            suite: 1,
            community: head.map(|_| self.community),
            place,
            author: person.user,
            author_head: person.state().head,
            action,
        };
        let body = codec::encode(&statement);
        if head.is_none() {
            self.community = Statement::community_id(&body);
        }
        let (chain, kind) = (ChainId::of_log(self.community), Kind::CommunityStatement);
        let signed =
            Submission::sign(person.device.signing(), chain, item, kind, body, NOW, head).unwrap();
        let entry = signed.place(chain, 0, head);
        let next = verify_and_apply(self.community, self.state.as_ref(), &entry, &self.people);
        self.state = Some(next.unwrap());
        self.log.push(entry);
    }

    /// The first member begins an epoch for all who belong here now.
    fn begin_epoch(&mut self, reason: EpochReason) {
        let people = &self.people;
        let key_of = |user: UserId, _: &rookery_protocol::community::Member| {
            people.0.iter().find(|person| person.user == user).map(|person| &person.key)
        };
        let plan = EpochPlan::of(
            self.state.as_ref().unwrap(),
            MEMBERS,
            reason,
            key_of,
            self.secrets.last(),
        )
        .unwrap();
        let built = build_epoch(&plan, &mut self.random).unwrap();
        self.blobs.push((hex(built.start.wraps.as_bytes()), built.wraps));
        self.say(0, Action::Epoch(built.start));
        self.secrets.push(built.secret);
    }

    pub(super) fn place(&self) -> EpochPlace {
        let epoch = u32::try_from(self.secrets.len()).unwrap() - 1;
        EpochPlace { community: self.community, audience: MEMBERS, epoch }
    }

    fn metadata(&self) -> MetadataKey {
        self.secrets.last().unwrap().metadata(self.community, MEMBERS)
    }

    fn text(&mut self, what: TextOf, text: &str) -> SealedText {
        let (metadata, place) = (self.metadata(), self.place());
        metadata.seal_text(place, what, text, &mut self.random).unwrap()
    }

    fn keys(&self) -> EpochKeys {
        let epoch = self.state().audiences.get(&MEMBERS).unwrap().epoch.as_ref().unwrap();
        let secret = self.secrets.last().unwrap();
        secret.keys(self.place(), &epoch.roster_root, &epoch.log_root)
    }

    fn join(&mut self, who: usize) {
        let join = Join { puk: self.people.0[who].pin(), by: JoinBy::Open };
        self.say(who, Action::Join(join));
    }

    fn admit(&mut self, who: usize) {
        let epoch = self.state().audiences.get(&MEMBERS).unwrap().epoch.clone().unwrap();
        let context = WrapContext { place: self.place(), roster_root: epoch.roster_root };
        let (user, key) = (self.people.0[who].user, &self.people.0[who].key);
        let secret = self.secrets.last().unwrap();
        let wrap = secret.wrap(key, &context, Receiver::User(user), &mut self.random).unwrap();
        self.say(0, Action::Admit(Admit { audience: MEMBERS, epoch: epoch.number, user, wrap }));
    }

    /// Puts something into the channel, as the hub does.
    fn post(&mut self, author: usize, item: ItemId, kind: Kind, body: Vec<u8>) {
        let chain = ChainId::of_channel(self.community, CHANNEL);
        let head = self.channel.last().map(Entry::seen);
        let signing = self.people.0[author].device.signing();
        let signed = Submission::sign(signing, chain, item, kind, body, NOW, head).unwrap();
        let item = signed.verify(chain).unwrap();
        let state = self.state();
        let post = Post { signed: &signed.signed, item: &item, body: signed.body.as_slice() };
        let known = if kind == Kind::Announce {
            judge_announce(state, &self.people, post, |_| None).unwrap().1
        } else {
            let last = self.uses.last().copied();
            judge_message(state, &self.people, post, |_| last).unwrap().1
        };
        self.uses.push(known);
        let mut entry = signed.place(chain, 0, head);
        entry.log_pos = Some(self.state().head.seq);
        self.channel.push(entry);
    }

    fn announce(&mut self, author: usize) -> OutboundSenderKey {
        let place = ChannelPlace { epoch: self.place(), channel: CHANNEL };
        let key = OutboundSenderKey::generate(place, NOW, &mut self.random);
        let person = &self.people.0[author];
        let facts = AnnounceFacts {
            user: person.user,
            device: person.device.id(),
            head: person.state().head,
            history: self.state().audiences.get(&MEMBERS).unwrap().history,
        };
        let announce = key.announce(&self.keys(), &facts, &mut self.random).unwrap();
        self.post(author, announce_item(key.id()), Kind::Announce, codec::encode(&announce));
        key
    }

    fn send(
        &mut self,
        author: usize,
        key: OutboundSenderKey,
        content: &Content,
    ) -> OutboundSenderKey {
        let item = self.item();
        let person = &self.people.0[author];
        let facts = MessageFacts {
            user: person.user,
            device: person.device.id(),
            log: self.state().head,
            item,
            own_prev: None,
            seen: self.channel.last().map(Entry::hash),
        };
        let sealed = key.seal(&self.keys(), &facts, content, &mut self.random).unwrap();
        self.post(author, item, Kind::Message, codec::encode(&sealed.message));
        *sealed.key
    }

    /// The community as `who` would hand it to the independent implementation.
    pub(super) fn dump(&self, who: usize) -> Value {
        let entries = |chain: &[Entry]| -> Vec<String> {
            chain.iter().map(|entry| hex(&codec::encode(entry))).collect()
        };
        let blobs: std::collections::BTreeMap<_, _> =
            self.blobs.iter().map(|(name, blob)| (name.clone(), hex(blob))).collect();
        let person = &self.people.0[who];
        let seed = hex(person.ring.kem(1).unwrap().seed());
        json!({
            "community": hex(self.community.as_bytes()),
            "log": entries(&self.log),
            "channels": {CHANNEL.number().to_string(): entries(&self.channel)},
            "blobs": blobs,
            "member": {"user": hex(person.user.as_bytes()), "puks": {"1": seed}},
        })
    }
}

pub(super) fn text(text: &str) -> Content {
    Content::Text(Text {
        text: text.to_owned(),
        reply_to: None,
        thread: None,
        mentions: vec![],
        mentions_all: false,
        stays: None,
        file: None,
    })
}

/// Three people, three epochs: the second comes and is let in, the third comes with the second epoch and is sent away before the third.
pub(super) fn told() -> World {
    let mut world = World::new();
    let edit = Edit {
        name: Some(world.text(TextOf::CommunityName, "Garden")),
        topic: Some(world.text(TextOf::CommunityTopic, "all that grows")),
        policy: None,
    };
    world.say(0, Action::Edit(edit));
    let channel = ChannelSet {
        channel: CHANNEL,
        kind: ChannelKind::Text,
        audience: MEMBERS,
        position: 0,
        slow_mode_s: 0,
        is_archived: false,
        name: world.text(TextOf::ChannelName(CHANNEL), "beds"),
        topic: Some(world.text(TextOf::ChannelTopic(CHANNEL), "vegetables")),
    };
    world.say(0, Action::ChannelSet(channel));
    let key = world.announce(0);
    let key = world.send(0, key, &text("before anybody came"));
    world.join(1);
    world.admit(1);
    let key = world.send(0, key, &text("Grüße 🌱"));
    world.send(0, key, &text("to be erased"));
    world.join(2);
    world.begin_epoch(EpochReason::Age);
    let role = RoleId::from_number(1);
    let name = Some(world.text(TextOf::RoleName(role), "gardener"));
    let permissions = Permissions::DEFAULT.bits();
    world.say(0, Action::RoleSet(RoleSet { role, rank: 1, permissions, colour: None, name }));
    let key = world.announce(2);
    world.send(2, key, &text("spam"));
    let (user, reason) = (world.people.0[2].user, "spam");
    let reason = Some(world.text(TextOf::Reason(user), reason));
    world.say(0, Action::Ban(Ban { user, reason }));
    world.begin_epoch(EpochReason::Removal);
    let user = world.people.0[1].user;
    let name = Some(world.text(TextOf::Nickname(user), "Beetroot"));
    world.say(0, Action::Nickname(Nickname { user, name }));
    let key = world.announce(1);
    let target = MessageRef { author: user, item: ItemId::from_bytes([world.items + 1; 16]) };
    let key = world.send(1, key, &text("they are gone"));
    let edit = EditContent { target, text: "they have gone".to_owned(), mentions: vec![] };
    let key = world.send(1, key, &Content::Edit(edit));
    world.send(1, key, &Content::React(React { target, emoji: "🎉".to_owned(), on: true }));
    world
}

//! A small community, made with the protocol's own rules and our own sealing, that the independent implementation reads.

use rookery_protocol::{
    chain::{Entry, Kind, Seen, Submission},
    codec::{self, Octets},
    community::{
        Action, Admit, Announce, Ban, Chains, ChannelKind, ChannelMessage, ChannelSet,
        CommunityKind, Create, Edit, EpochReason, Join, JoinBy, JoinPolicy, Missing, Nickname,
        Permissions, Place, PukPin, RoleSet, SealedText, SenderKeyUse, State, Statement,
        announce_item, judge_announce, judge_message, verify_and_apply,
    },
    id::{AudienceId, ChainId, ChannelId, CommunityId, ItemId, RoleId, ServerId, UserId},
    key::KemKey,
    user,
};

use super::*;
use crate::e2ee::{
    content::{Content, Edit as EditContent, MessageRef, React, Text},
    epoch::{
        EpochKeys, EpochPlace, EpochPlan, EpochSecret, MetadataKey, Receiver, TextOf, WrapContext,
        build_epoch, wrap_at, wrap_index,
    },
    identity::{DeviceSecrets, MadeFor},
    puk::PukRing,
    recovery::RecoveryKey,
    sender_key::{AnnounceFacts, ChannelPlace, InboundSenderKey, MessageFacts, OutboundSenderKey},
    statement::{Founder, found},
};

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
const CHANNEL: ChannelId = ChannelId::from_number(1);
const MEMBERS: AudienceId = AudienceId::MEMBERS;

/// A user with one device.
struct Person {
    user: UserId,
    device: DeviceSecrets,
    ring: PukRing,
    chain: user::History,
    key: KemKey,
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

struct People([Person; 3]);

impl Chains for People {
    fn user_at(&self, user: UserId, head: Seen) -> Result<user::State, Missing> {
        let person = self.0.iter().find(|person| person.user == user).ok_or(Missing::NotAtHand)?;
        person.chain.at(head).cloned()
    }
}

/// The community as its hub and its first member have it.
struct World {
    people: People,
    community: CommunityId,
    state: Option<State>,
    log: Vec<Entry>,
    channel: Vec<Entry>,
    blobs: Vec<(String, Vec<u8>)>,
    secrets: Vec<EpochSecret>,
    uses: Vec<SenderKeyUse>,
    random: SeededRandom,
    items: u8,
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

    fn state(&self) -> &State {
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

    fn place(&self) -> EpochPlace {
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
        let (device, state) = (self.people.0[author].device.id(), self.state());
        let body = signed.body.as_slice();
        let known = if kind == Kind::Announce {
            judge_announce(state, &item, device, body).unwrap().1
        } else {
            let last = self.uses.last().copied();
            judge_message(state, &item, device, body, |_| last).unwrap().1
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
    fn dump(&self, who: usize) -> Value {
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

fn text(text: &str) -> Content {
    Content::Text(Text {
        text: text.to_owned(),
        reply_to: None,
        thread: None,
        mentions: vec![],
        mentions_all: false,
    })
}

/// Three people, three epochs: the second comes and is let in, the third comes with the second epoch and is sent away before the third.
fn told() -> World {
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

/// The lines about messages: kind and text of each.
fn said(lines: &[Value]) -> Vec<(Value, Value)> {
    let messages = lines.iter().filter(|line| line.get("channel").is_some());
    messages.map(|line| (line["kind"].clone(), line["text"].clone())).collect()
}

fn names(lines: &[Value]) -> Vec<Value> {
    let texts = lines.iter().filter(|line| line.get("log").is_some());
    texts.map(|line| line["text"].clone()).collect()
}

#[test]
fn a_community_is_read_by_an_independent_implementation() {
    let mut world = told();
    world.channel[3].body = None;
    let lines = lines("epoch.py", &world.dump(1));
    assert_eq!(
        names(&lines),
        ["Garden", "all that grows", "beds", "vegetables", "gardener", "spam", "Beetroot"]
    );
    let expected = [
        (json!(1), json!("before anybody came")),
        (json!(1), json!("Grüße 🌱")),
        (Value::Null, Value::Null),
        (json!(1), json!("spam")),
        (json!(1), json!("they are gone")),
        (json!(2), json!("they have gone")),
        (json!(3), json!("🎉")),
    ];
    assert_eq!(said(&lines), expected);
    let erased = lines.iter().filter(|line| line["erased"] == json!(true)).count();
    assert_eq!(erased, 1);
}

#[test]
fn whoever_was_sent_away_reads_nothing_of_what_came_after() {
    let lines = lines("epoch.py", &told().dump(2));
    let messages: Vec<_> = said(&lines).into_iter().map(|(_, text)| text).collect();
    let read = ["before anybody came", "Grüße 🌱", "to be erased", "spam"].map(Value::from);
    assert_eq!(messages[..4], read);
    assert_eq!(messages[4..], [Value::Null, Value::Null, Value::Null]);
    assert_eq!(names(&lines)[4..], [json!("gardener"), json!("spam"), Value::Null]);
}

#[test]
fn an_independent_implementation_refuses_a_dump_that_was_changed() {
    let world = told();
    let changes: [fn(&mut World); 4] = [
        |world| world.log.swap(2, 3),
        |world| world.channel[1].log_pos = Some(0),
        |world| world.channel[1].body = world.channel[2].body.clone(),
        // A committer who gives one member another secret.
        |world| {
            let context = WrapContext {
                place: EpochPlace { community: world.community, audience: MEMBERS, epoch: 0 },
                roster_root: Digest::ZERO,
            };
            let Person { user, key, .. } = &world.people.0[1];
            let other = EpochSecret::generate(&mut world.random);
            let receiver = Receiver::User(*user);
            let wrap = other.wrap(key, &context, receiver, &mut world.random).unwrap();
            world.blobs[2].1[1..1 + wrap.len()].copy_from_slice(wrap.as_slice());
            world.blobs[2].1.truncate(1_168);
        },
    ];
    assert!(!lines("epoch.py", &world.dump(1)).is_empty());
    for (number, change) in changes.into_iter().enumerate() {
        let mut world = told();
        change(&mut world);
        let (_, is_good) = run("epoch.py", &world.dump(1));
        assert!(!is_good, "{number}");
    }
}

#[test]
fn the_second_member_reads_the_same_by_our_own_code() {
    let world = told();
    let person = &world.people.0[1];
    // The blob of the last epoch has their wrap where the state says it is.
    let state = world.state();
    let epoch = state.audiences.get(&MEMBERS).unwrap().epoch.as_ref().unwrap();
    let receiver = Receiver::User(person.user);
    let index = wrap_index(state, MEMBERS, receiver).unwrap();
    let wrap = wrap_at(&world.blobs[2].1, index).unwrap();
    let context = WrapContext { place: world.place(), roster_root: epoch.roster_root };
    let secret =
        EpochSecret::unwrap(&person.ring.kem(1).unwrap(), &context, receiver, &wrap, &epoch.commit)
            .unwrap();
    let former = world.secrets[1].commit(MEMBERS, 1);
    let previous = epoch.previous.as_ref().unwrap();
    let opened = secret.open_previous(world.place(), previous, &former).unwrap();
    assert_eq!(opened.to_bytes(), world.secrets[1].to_bytes());
    let metadata = secret.metadata(world.community, MEMBERS);
    let previous = epoch.previous_meta.as_ref().unwrap();
    let before = metadata.open_previous(world.place(), previous).unwrap();
    let role = state.roles.get(&RoleId::from_number(1)).unwrap().name.as_ref().unwrap();
    let name = before.open_text(world.community, TextOf::RoleName(RoleId::from_number(1)), role);
    assert_eq!(name.unwrap(), "gardener");
    let keys = secret.keys(world.place(), &epoch.roster_root, &epoch.log_root);
    let body = |place: usize| world.channel[place].body.as_ref().unwrap().as_slice();
    let announce: Announce = codec::decode(body(6)).unwrap();
    let key = InboundSenderKey::from_announce(&keys, &announce).unwrap();
    let message: ChannelMessage = codec::decode(body(7)).unwrap();
    let (header, sealed) = (message.header.as_slice(), message.sealed.as_slice());
    assert_eq!(key.open(&keys, header, sealed).unwrap().message.content, text("they are gone"));
}

#[test]
fn the_frozen_vectors_are_made_again_by_an_independent_implementation() {
    let path = format!("{}/../tests/vectors/epoch.json", env!("CARGO_MANIFEST_DIR"));
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let lines = lines("epoch.py", &json!({ "vectors": vectors }));
    let own = hex(&[18; 32]);
    let line = |index: u32, kind: u32, text: Value, own_prev: Value, seen: Value| json!({"index": index, "kind": kind, "text": text, "own_prev": own_prev, "seen": seen});
    let seen = json!(hex(&[19; 32]));
    let expected = [
        line(0, 1, json!("Grüße"), Value::Null, Value::Null),
        line(1, 2, json!("other"), json!(own), Value::Null),
        line(255, 3, json!("🎉"), json!(own), seen.clone()),
        line(260, 4, Value::Null, json!(own), seen),
    ];
    assert_eq!(lines, expected);
    let mut changed = vectors;
    changed["commit"] = json!(hex(&[0; 32]));
    assert!(!run("epoch.py", &json!({ "vectors": changed })).1);
}

//! A device: what it takes in, what it holds until more has come, and what it states and says.

mod batch;
mod keys;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use rookery_protocol::{
    chain::{Entry, Item, Kind, Seen, Submission},
    codec,
    community::{
        Announce, ChannelMessage, MessageHeader, Post, State, announce_item, judge_announce,
        judge_message, verify_and_apply,
    },
    id::{
        AudienceId, ChainId, ChannelId, CommunityId, DeviceId, Digest, ItemId, SenderKeyId, UserId,
    },
};

use super::{
    hub::{Answer, Hub},
    people::{NOW, People},
};
use crate::e2ee::{
    SeededRandom,
    content::{Content, Text},
    epoch::EpochSecret,
    random::Random as _,
    sender_key::{AnnounceFacts, ChannelPlace, InboundSenderKey, MessageFacts, OutboundSenderKey},
};

pub(super) use batch::Batch;

/// What a device has of a channel.
#[derive(Default)]
pub(super) struct View {
    pub(super) have: Option<Seen>,
    /// What it read, by place.
    pub(super) read: BTreeMap<u64, String>,
    last: HashMap<(UserId, DeviceId), Digest>,
    /// The hash of every entry.
    stood: HashSet<Digest>,
    /// Entries that came too early.
    early: BTreeMap<u64, Entry>,
}

/// Something to be said.
pub(super) struct Outgoing {
    channel: ChannelId,
    item: ItemId,
    text: String,
    sealed: Option<Vec<Submission>>,
}

pub(super) struct Client {
    pub(super) who: usize,
    pub(super) device: usize,
    pub(super) user: UserId,
    pub(super) community: CommunityId,
    pub(super) states: Vec<State>,
    pub(super) log: Vec<Entry>,
    early: BTreeMap<u64, Entry>,
    pub(super) secrets: BTreeMap<(AudienceId, u32), EpochSecret>,
    pub(super) channels: BTreeMap<ChannelId, View>,
    inbound: HashMap<SenderKeyId, InboundSenderKey>,
    own: BTreeMap<ChannelId, OutboundSenderKey>,
    own_prev: BTreeMap<ChannelId, Digest>,
    pub(super) outbox: VecDeque<Outgoing>,
}

/// A second copy of a secret.
pub(super) fn copy(secret: &EpochSecret) -> EpochSecret {
    EpochSecret::from_bytes(secret.to_bytes().as_ref()).unwrap()
}

pub(super) fn text(text: &str) -> Content {
    let text = text.to_owned();
    Content::Text(Text {
        text,
        reply_to: None,
        thread: None,
        mentions: vec![],
        mentions_all: false,
        stays: None,
        file: None,
    })
}

impl Client {
    pub(super) fn new(people: &People, who: usize, device: usize, community: CommunityId) -> Self {
        Self {
            who,
            device,
            user: people.0[who].user,
            community,
            states: vec![],
            log: vec![],
            early: BTreeMap::new(),
            secrets: BTreeMap::new(),
            channels: BTreeMap::new(),
            inbound: HashMap::new(),
            own: BTreeMap::new(),
            own_prev: BTreeMap::new(),
            outbox: VecDeque::new(),
        }
    }

    pub(super) fn state(&self) -> Option<&State> {
        self.states.last()
    }

    pub(super) fn is_live(&self, people: &People) -> bool {
        people.0[self.who].devices[self.device].is_live
    }

    /// Takes in an entry of the log, or keeps it for later.
    pub(super) fn hear_log(&mut self, people: &People, entry: Entry) {
        self.early.insert(entry.seq, entry);
        while let Some(entry) = self.early.remove(&(self.log.len() as u64)) {
            let next = verify_and_apply(self.community, self.states.last(), &entry, people);
            self.states.push(next.expect("what the hub let in breaks the rules"));
            self.log.push(entry);
        }
        let length = self.log.len() as u64;
        self.early.retain(|seq, _| *seq > length);
    }

    /// Takes in an entry of a channel, or keeps it for later.
    pub(super) fn hear(&mut self, people: &People, hub: &Hub, channel: ChannelId, entry: Entry) {
        let seq = entry.seq;
        let view = self.channels.entry(channel).or_default();
        if view.have.is_none_or(|have| have.seq < seq) {
            view.early.insert(seq, entry);
        }
        self.go_on(people, hub, channel);
    }

    /// Takes in what was kept, as far as it goes.
    pub(super) fn go_on(&mut self, people: &People, hub: &Hub, channel: ChannelId) {
        loop {
            let view = self.channels.entry(channel).or_default();
            let next = view.have.map_or(0, |have| have.seq + 1);
            let Some(entry) = view.early.get(&next).cloned() else { return };
            if !self.take_in(people, hub, channel, &entry) {
                return;
            }
            let view = self.channels.entry(channel).or_default();
            view.early.remove(&next);
            view.have = Some(entry.seen());
            view.stood.insert(entry.hash());
        }
    }

    /// Says whether the entry is done with.
    fn take_in(&mut self, people: &People, hub: &Hub, channel: ChannelId, entry: &Entry) -> bool {
        let view = self.channels.entry(channel).or_default();
        let item = entry.verify_after(view.have).expect("a channel that does not hold");
        let position = usize::try_from(entry.log_pos.unwrap()).unwrap();
        let Some(state) = self.states.get(position).cloned() else { return false };
        let audience = state.channels[&channel].audience;
        let number = state.audiences[&audience].epoch.as_ref().unwrap().number;
        let Some(keys) = self.keys(people, hub, audience, number) else {
            let now = self.states.last().unwrap();
            // Whoever may not read at present may come back, and goes on from here.
            if !now.is_in_audience(self.user, audience) {
                return false;
            }
            let in_force = now.audiences[&audience].epoch.as_ref().unwrap().number;
            if self.secret(people, hub, audience, in_force).is_none() {
                return false;
            }
            self.note_unread(channel, entry, &item);
            return true;
        };
        let body = entry.body.as_ref().unwrap().as_slice();
        let post = Post { signed: &entry.signed, item: &item, body };
        let inbound = &self.inbound;
        let known = |id: SenderKeyId| inbound.get(&id).map(InboundSenderKey::usage);
        if item.kind == Kind::Announce {
            judge_announce(&state, people, post, known).expect("an announcement is refused");
            let announce: Announce = codec::decode(body).unwrap();
            let key = InboundSenderKey::from_announce(&keys, &announce)
                .expect("an announcement does not open");
            self.inbound.insert(key.id(), key);
            return true;
        }
        let (header, _) = judge_message(&state, people, post, known).expect("a message is refused");
        self.check_agreement(&header);
        let message: ChannelMessage = codec::decode(body).unwrap();
        let opened = self.inbound[&header.sender_key]
            .open(&keys, message.header.as_slice(), message.sealed.as_slice())
            .expect("a message does not open");
        self.inbound.insert(header.sender_key, *opened.key);
        let view = self.channels.entry(channel).or_default();
        let author = (header.user, header.device);
        assert_eq!(opened.message.own_prev, view.last.get(&author).copied(), "a message is missed");
        let seen = opened.message.seen;
        assert!(seen.is_none_or(|seen| view.stood.contains(&seen)), "another channel was seen");
        view.last.insert(author, entry.signed.digest());
        let Content::Text(text) = opened.message.content else { panic!("another content") };
        view.read.insert(entry.seq, text.text);
        true
    }

    /// Remembers a message that cannot be read, so that the author's next one is not thought to follow on something withheld.
    fn note_unread(&mut self, channel: ChannelId, entry: &Entry, item: &Item) {
        if item.kind == Kind::Message {
            let body = entry.body.as_ref().unwrap().as_slice();
            let message: ChannelMessage = codec::decode(body).unwrap();
            let header: MessageHeader = codec::decode(message.header.as_slice()).unwrap();
            let view = self.channels.entry(channel).or_default();
            view.last.insert((header.user, header.device), entry.signed.digest());
        }
    }

    /// The author's log and this one's are the same as far as the author had seen.
    fn check_agreement(&self, header: &MessageHeader) {
        let place = usize::try_from(header.log.seq).unwrap();
        assert_eq!(
            self.log[place].hash(),
            header.log.hash,
            "author and reader have different logs"
        );
    }

    /// Has something to say.
    pub(super) fn say(&mut self, channel: ChannelId, random: &mut SeededRandom) {
        let mut id = [0; 16];
        random.fill(&mut id);
        let item = ItemId::from_bytes(id);
        let text = format!("{}/{}: {item}", self.who, self.device);
        self.outbox.push_back(Outgoing { channel, item, text, sealed: None });
    }

    /// Tries to get the first of what it has to say into its channel. With `is_cut_off` the hub dies before it answers.
    pub(super) fn post(
        &mut self,
        people: &People,
        hub: &mut Hub,
        random: &mut SeededRandom,
        is_cut_off: bool,
    ) {
        let Some(mut first) = self.outbox.pop_front() else { return };
        let Some(state) = self.state().cloned() else { return };
        if !state.may_read(self.user, first.channel) {
            return;
        }
        if first.sealed.is_none() {
            first.sealed = self.seal(people, hub, &first, random);
        }
        let Some(items) = first.sealed.clone() else {
            self.outbox.push_front(first);
            return;
        };
        let answer = hub.post(people, first.channel, &items);
        if is_cut_off {
            self.outbox.push_front(first);
            return;
        }
        match answer {
            Answer::Done => {
                self.own_prev.insert(first.channel, items.last().unwrap().signed.digest());
            }
            Answer::Stale | Answer::Denied => {
                self.own.remove(&first.channel);
                self.outbox.push_front(Outgoing { sealed: None, ..first });
            }
        }
    }

    fn seal(
        &mut self,
        people: &People,
        hub: &Hub,
        what: &Outgoing,
        random: &mut SeededRandom,
    ) -> Option<Vec<Submission>> {
        let state = self.state()?.clone();
        let audience = state.channels[&what.channel].audience;
        if state.audiences[&audience].must_rotate().is_some() || !state.owed.is_empty() {
            return None;
        }
        let (number, _) = self.in_force(people, hub, audience)?;
        let keys = self.keys(people, hub, audience, number)?;
        let place = ChannelPlace { epoch: self.place(audience, number), channel: what.channel };
        let person = &people.0[self.who];
        let device = &person.devices[self.device].secrets;
        let chain = ChainId::of_channel(self.community, what.channel);
        let sign = |item, kind, body| {
            Submission::sign(device.signing(), chain, item, kind, body, NOW, None).unwrap()
        };
        let mut items = vec![];
        let known = self.own.remove(&what.channel).filter(|key| key.place() == place);
        let key = known.unwrap_or_else(|| {
            let key = OutboundSenderKey::generate(place, NOW, random);
            let facts = AnnounceFacts {
                user: self.user,
                device: device.id(),
                head: person.state().head,
                history: state.audiences[&audience].history,
            };
            let announce = key.announce(&keys, &facts, random).unwrap();
            items.push(sign(announce_item(key.id()), Kind::Announce, codec::encode(&announce)));
            key
        });
        let facts = MessageFacts {
            user: self.user,
            device: device.id(),
            log: state.head,
            item: what.item,
            own_prev: self.own_prev.get(&what.channel).copied(),
            seen: self.channels.get(&what.channel).and_then(|view| view.have).map(|have| have.hash),
        };
        let sealed = key.seal(&keys, &facts, &text(&what.text), random).unwrap();
        items.push(sign(what.item, Kind::Message, codec::encode(&sealed.message)));
        self.own.insert(what.channel, *sealed.key);
        Some(items)
    }
}

//! A community on a server without a network. What is sealed is nonsense: nothing here could open it.

use std::collections::VecDeque;

use rookery_protocol::{
    chain::{Entry, Kind, Seen, Submission},
    codec::{self, Octets},
    community::{
        Action, Announce, AnnounceBody, Ban, ChannelKind, ChannelMessage, ChannelSet,
        CommunityKind, Create, EpochReason, EpochStart, History, Join, JoinBy, JoinPolicy,
        MessageHeader, Permissions, Place, PukPin, Redact, SealedText, State, Statement, apply,
    },
    id::{
        AudienceId, BlobId, ChainId, ChannelId, CommunityId, Digest, ItemId, SenderKeyId, UserId,
    },
    request::{
        Failure,
        blob::{PART_BYTES, PutBlob},
        channel::{PostChannel, PostError, Posted},
        community::{AppendLog, AppendLogError},
    },
    session::{Authenticated, FollowDown},
};

use super::super::{append, append::WRAP_BYTES, blob, chains::Known, post};
use crate::service::{
    Services,
    feed::{Feed, Live},
    testing::{Bench, NOW, Person, bench, item},
};

/// Somebody, and who they are on their connection.
pub(super) struct Citizen {
    pub(super) person: Person,
    pub(super) who: Authenticated,
}

impl Citizen {
    pub(super) async fn new(bench: &Bench, name: &str) -> Self {
        let (person, who, ..) = bench.person(name).await;
        Self { person, who }
    }

    pub(super) fn user(&self) -> UserId {
        self.who.user
    }

    pub(super) fn follow(&self, services: &Services, chains: &[ChainId]) -> std::sync::Arc<Feed> {
        let feed = services.feeds.open(self.who.user, self.who.device);
        for chain in chains {
            services.feeds.follow(&feed, *chain);
        }
        feed
    }
}

/// What a feed holds: the places of entries, and notices.
pub(super) fn heard(feed: &Feed) -> (Vec<(ChainId, u64)>, Vec<FollowDown>) {
    let (mut entries, mut notices) = (vec![], vec![]);
    for live in feed.take().map_or_else(VecDeque::new, |taken| taken.items) {
        match live {
            Live::Entry { chain, seq, .. } => entries.push((chain, seq)),
            Live::Notice(frame) => notices.push(codec::decode(&frame).unwrap()),
            _ => {}
        }
    }
    (entries, notices)
}

pub(super) const CHANNEL: ChannelId = ChannelId::from_number(1);

/// A community with one channel, whose owner is alice.
pub(super) struct Town {
    pub(super) bench: Bench,
    pub(super) alice: Citizen,
    pub(super) community: CommunityId,
    count: std::sync::atomic::AtomicU32,
}

pub(super) fn sealed() -> SealedText {
    let sealed = Octets::parse(vec![1; 40]).unwrap();
    SealedText { audience: AudienceId::MEMBERS, epoch: 0, sealed }
}

pub(super) fn create(
    bench: &Bench,
    puk: PukPin,
    kind: CommunityKind,
    policy: JoinPolicy,
) -> Action {
    Action::Create(Create {
        kind,
        hub: bench.services.identity.name.clone(),
        hub_key: bench.services.identity.server(),
        nonce: Octets::parse(vec![5; 16]).unwrap(),
        policy,
        history: History::Full,
        permissions: Permissions::DEFAULT.bits(),
        puk,
    })
}

pub(super) fn channel_set(slow_mode_s: u32) -> Action {
    Action::ChannelSet(ChannelSet {
        channel: CHANNEL,
        kind: ChannelKind::Text,
        audience: AudienceId::MEMBERS,
        position: 0,
        slow_mode_s,
        is_archived: false,
        name: sealed(),
        topic: None,
    })
}

/// Statements on their way: the community as it will be after them.
pub(super) struct Draft {
    pub(super) community: Option<CommunityId>,
    pub(super) state: Option<State>,
    pub(super) made: Vec<Submission>,
}

pub(super) async fn puk(services: &Services, user: UserId) -> PukPin {
    PukPin::of(services.resident(user).await.unwrap().unwrap().state.puk().unwrap())
}

impl Draft {
    pub(super) fn on(state: &State) -> Self {
        Self { community: Some(state.community), state: Some(state.clone()), made: vec![] }
    }

    /// Adds a statement of `author`, in its strict place or after the head.
    pub(super) async fn say(
        &mut self,
        services: &Services,
        author: &Citizen,
        id: u32,
        action: Action,
    ) -> Entry {
        let place = match &self.state {
            None => Place::First,
            Some(state) if action.is_strict() => Place::Next(state.head),
            Some(state) => Place::Later(state.head),
        };
        let statement = Statement {
            suite: 1,
            community: self.community.filter(|_| self.state.is_some()),
            place,
            author: author.user(),
            author_head: author.person.head,
            action,
        };
        let body = codec::encode(&statement);
        let community = self.community.unwrap_or_else(|| Statement::community_id(&body));
        self.community = Some(community);
        let (key, chain) = (&author.person.device.key, ChainId::of_log(community));
        let kind = Kind::CommunityStatement;
        let made = Submission::sign(key, chain, item(id), kind, body, NOW, None).unwrap();
        let head = self.state.as_ref().map(|state| state.head);
        let owner_epoch = self.state.as_ref().map_or(0, |state| state.owner_epoch);
        let entry = made.clone().place(chain, owner_epoch, head);
        self.made.push(made);
        let mut known = Known::default();
        let mut view = services.storage.read().await.unwrap();
        let users = self.state.iter().flat_map(|state| state.members.keys().copied());
        for user in users.chain([author.user()]).collect::<Vec<_>>() {
            services.bring(&mut *view, &mut known, user, 0).await.unwrap();
        }
        let read = entry.signed.verify().unwrap();
        // A statement that the rules forbid goes out all the same: the hub is to refuse it.
        if let Ok(next) = apply(community, self.state.as_ref(), &entry, &read, &known) {
            self.state = Some(next);
        }
        entry
    }

    /// Adds a new epoch of all members, and gives the bytes of its wraps.
    pub(super) async fn epoch(
        &mut self,
        services: &Services,
        author: &Citizen,
        id: u32,
        reason: EpochReason,
    ) -> Vec<u8> {
        let state = self.state.as_ref().unwrap();
        let audience = state.audiences.get(&AudienceId::MEMBERS).unwrap();
        let epoch = audience.epoch.as_ref().map_or(0, |epoch| epoch.number.saturating_add(1));
        let (roster_root, count) = state.roster_root(AudienceId::MEMBERS);
        let links = u64::try_from(state.wrapped_links(AudienceId::MEMBERS).count()).unwrap();
        let size = u64::from(count).saturating_add(links).saturating_mul(WRAP_BYTES);
        let wraps = vec![u8::try_from(id % 251).unwrap(); usize::try_from(size).unwrap()];
        let secret = || (epoch > 0).then(|| Octets::parse(vec![2; 60]).unwrap());
        let start = EpochStart {
            audience: AudienceId::MEMBERS,
            epoch,
            reason,
            roster_root,
            count,
            commit: Digest::from_bytes([3; 32]),
            wraps: BlobId::of(&wraps),
            previous: secret(),
            previous_meta: secret(),
        };
        self.say(services, author, id, Action::Epoch(start)).await;
        wraps
    }

    pub(super) fn request(&self) -> AppendLog {
        AppendLog { community: self.community.unwrap(), statements: self.made.clone(), hub: None }
    }
}

/// Puts wraps, part by part.
pub(super) async fn put(services: &Services, who: Authenticated, of: CommunityId, bytes: &[u8]) {
    let size = u64::try_from(bytes.len()).unwrap();
    let mut offset = 0;
    while offset < size {
        let left = &bytes[usize::try_from(offset).unwrap()..];
        let part = Octets::parse(left[..left.len().min(PART_BYTES)].to_vec()).unwrap();
        let request = PutBlob { community: of, blob: BlobId::of(bytes), size, offset, bytes: part };
        offset = blob::put(services, who, request).await.unwrap().have;
    }
}

/// A founding batch by `founder`, with these item ids, and its wraps.
pub(super) async fn founding(
    bench: &Bench,
    founder: &Citizen,
    kind: CommunityKind,
    policy: JoinPolicy,
    [create_id, epoch_id, channel_id]: [u32; 3],
) -> (Draft, Vec<u8>) {
    let services = &bench.services;
    let mut draft = Draft { community: None, state: None, made: vec![] };
    let action = create(bench, puk(services, founder.user()).await, kind, policy);
    draft.say(services, founder, create_id, action).await;
    let wraps = draft.epoch(services, founder, epoch_id, EpochReason::Begin).await;
    draft.say(services, founder, channel_id, channel_set(0)).await;
    (draft, wraps)
}

impl Town {
    /// An open community.
    pub(super) async fn open(settings: &[(&str, &str)]) -> Self {
        Self::founded(settings, CommunityKind::Community, JoinPolicy::Open).await
    }

    pub(super) async fn founded(
        settings: &[(&str, &str)],
        kind: CommunityKind,
        policy: JoinPolicy,
    ) -> Self {
        let bench = bench(settings);
        let alice = Citizen::new(&bench, "alice").await;
        let (draft, wraps) = founding(&bench, &alice, kind, policy, [1, 2, 3]).await;
        let community = draft.community.unwrap();
        put(&bench.services, alice.who, community, &wraps).await;
        append::append(&bench.services, alice.who, draft.request()).await.unwrap();
        Self { bench, alice, community, count: std::sync::atomic::AtomicU32::new(100) }
    }

    pub(super) fn services(&self) -> &Services {
        &self.bench.services
    }

    pub(super) fn next(&self) -> u32 {
        self.count.fetch_add(1, std::sync::atomic::Ordering::SeqCst)
    }

    pub(super) fn log(&self) -> ChainId {
        ChainId::of_log(self.community)
    }

    pub(super) fn channel(&self) -> ChainId {
        ChainId::of_channel(self.community, CHANNEL)
    }

    pub(super) async fn state(&self) -> State {
        self.services().hosted(self.community).await.unwrap().unwrap().state.clone()
    }

    /// States one thing on top of the log as it is.
    pub(super) async fn say(
        &self,
        author: &Citizen,
        action: Action,
    ) -> Result<(), Failure<AppendLogError>> {
        let mut draft = Draft::on(&self.state().await);
        draft.say(self.services(), author, self.next(), action).await;
        append::append(self.services(), author.who, draft.request()).await.map(|_| ())
    }

    /// Somebody new, who has joined.
    pub(super) async fn joiner(&self, name: &str) -> Citizen {
        let citizen = Citizen::new(&self.bench, name).await;
        let puk = puk(self.services(), citizen.user()).await;
        self.say(&citizen, Action::Join(Join { puk, by: JoinBy::Open })).await.unwrap();
        citizen
    }

    /// Sends somebody away, with the epoch that goes with it.
    pub(super) async fn kick(&self, user: UserId) {
        let services = self.services();
        let mut draft = Draft::on(&self.state().await);
        let kick = Action::Kick(Ban { user, reason: None });
        draft.say(services, &self.alice, self.next(), kick).await;
        let id = self.next();
        let wraps = draft.epoch(services, &self.alice, id, EpochReason::Removal).await;
        put(services, self.alice.who, self.community, &wraps).await;
        append::append(services, self.alice.who, draft.request()).await.unwrap();
    }

    /// The announcement of the Sender Key number `key` for the epoch in force.
    pub(super) async fn announce(&self, author: &Citizen, key: u8) -> Submission {
        let state = self.state().await;
        let audience = state.audiences.get(&AudienceId::MEMBERS).unwrap();
        let sender_key = SenderKeyId::from_bytes([key; 16]);
        let header = AnnounceBody {
            suite: 1,
            community: self.community,
            channel: CHANNEL,
            audience: AudienceId::MEMBERS,
            epoch: audience.epoch.as_ref().unwrap().number,
            user: author.user(),
            device: author.who.device,
            head: author.person.head,
            sender_key,
            start_index: 0,
            history: audience.history,
        };
        let body = Announce {
            header: Octets::parse(codec::encode(&header)).unwrap(),
            sealed: Octets::parse(vec![6; 200]).unwrap(),
        };
        let id = ItemId::from_bytes([key; 16]);
        self.sign(author, id, Kind::Announce, codec::encode(&body))
    }

    /// A message under the Sender Key number `key`.
    pub(super) async fn message(
        &self,
        author: &Citizen,
        key: u8,
        index: u32,
        id: u32,
    ) -> Submission {
        let state = self.state().await;
        let audience = state.audiences.get(&AudienceId::MEMBERS).unwrap();
        let epoch = audience.epoch.as_ref().unwrap().number;
        self.message_at(author, (key, index, id), epoch, state.head)
    }

    pub(super) fn message_at(
        &self,
        author: &Citizen,
        (key, index, id): (u8, u32, u32),
        epoch: u32,
        log: Seen,
    ) -> Submission {
        let header = MessageHeader {
            suite: 1,
            community: self.community,
            channel: CHANNEL,
            audience: AudienceId::MEMBERS,
            epoch,
            log,
            user: author.user(),
            device: author.who.device,
            sender_key: SenderKeyId::from_bytes([key; 16]),
            index,
            item: item(id),
        };
        let body = ChannelMessage {
            header: Octets::parse(codec::encode(&header)).unwrap(),
            sealed: Octets::parse(vec![7; 300]).unwrap(),
        };
        self.sign(author, item(id), Kind::Message, codec::encode(&body))
    }

    pub(super) async fn redact(&self, author: &Citizen, targets: Vec<u64>, id: u32) -> Submission {
        let body = Redact {
            suite: 1,
            community: self.community,
            channel: CHANNEL,
            log: self.state().await.head,
            user: author.user(),
            head: author.person.head,
            targets,
            reason: None,
        };
        self.sign(author, item(id), Kind::Redact, codec::encode(&body))
    }

    fn sign(&self, author: &Citizen, id: ItemId, kind: Kind, body: Vec<u8>) -> Submission {
        let key = &author.person.device.key;
        Submission::sign(key, self.channel(), id, kind, body, NOW, None).unwrap()
    }

    pub(super) async fn post(
        &self,
        author: &Citizen,
        items: Vec<Submission>,
    ) -> Result<Posted, Failure<PostError>> {
        let request = PostChannel { community: self.community, channel: CHANNEL, items };
        post::post(self.services(), author.who, request).await
    }
}

//! A community of people without a client: one open channel, whose names, wraps and posts are random bytes of the right length.

use anyhow::Context as _;
use rookery_cli::e2ee::epoch::LinkSecret;
use rookery_protocol::{
    chain::{HeadRef, Kind, Seen, Submission},
    codec::{self, Octets},
    community::{
        Action, Announce, AnnounceBody, ChannelKind, ChannelMessage, ChannelSet, CommunityKind,
        Create, EpochReason, EpochStart, History, Join, JoinBy, JoinPolicy, Member, MessageHeader,
        Nickname, Permissions, Place, SealedText, Statement, announce_item, roster_root,
    },
    id::{
        AudienceId, BlobId, ChainId, ChannelId, CommunityId, Digest, InviteId, ItemId, SenderKeyId,
        from_base32,
    },
    name::JoinLink,
    request::{
        blob::{PART_BYTES, PutBlob},
        channel::{PostChannel, Posted},
        community::{AppendLog, PreviewLog},
    },
    time::{Clock as _, SystemClock},
    version::SUITE,
};

use super::{Bare, random, random_bytes};
use crate::impostor::Invented;

/// What the wrap of an epoch's secret for one user takes: an X-Wing ciphertext (1,120 bytes), the secret (32) and a tag (16).
const WRAP_BYTES: usize = 1_168;
/// What a Sender Key takes as it is announced: nonce, the session key of 229 bytes in its record, tag.
const ANNOUNCED_BYTES: usize = 300;
/// A secret or key before, sealed under the one after it.
const PREVIOUS_BYTES: usize = 72;
/// The channel that there is.
const CHANNEL: ChannelId = ChannelId::from_number(1);

/// One open community with one channel, as its members see it.
#[derive(Clone, Debug)]
pub struct Commons {
    community: CommunityId,
    /// Where the log stands.
    head: Seen,
    /// The epoch in force.
    epoch: u32,
}

/// The secret part of a link into a community.
pub struct Link {
    community: CommunityId,
    invite: InviteId,
    secret: LinkSecret,
}

impl std::str::FromStr for Link {
    type Err = anyhow::Error;

    /// Reads it out of a link as a client has printed it.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let parts = text.split_once('#').context("a link without its secret part")?.1.split('&');
        let parts: std::collections::BTreeMap<&str, &str> =
            parts.filter_map(|part| part.split_once('=')).collect();
        let part = |name: &str| parts.get(name).copied().with_context(|| format!("no {name}"));
        let secret = from_base32(part("secret")?).context("a secret that is none")?;
        Ok(Self {
            community: part("community")?.parse()?,
            invite: InviteId::from_number(part("invite")?.parse()?),
            secret: LinkSecret::from_bytes(&secret).context("a secret of another length")?,
        })
    }
}

impl Link {
    fn right_of(&self, person: &Bare) -> JoinBy {
        let proof = self.secret.keys().prove(self.community, self.invite, person.user);
        JoinBy::Link { invite: self.invite, proof }
    }
}

impl Commons {
    /// Founds an open community on the server of `link`.
    pub async fn found(owner: &Bare, link: &JoinLink) -> anyhow::Result<Self> {
        let create = Action::Create(Create {
            kind: CommunityKind::Community,
            hub: link.server.clone(),
            hub_key: link.key,
            nonce: Octets::parse(random::<16>()?.to_vec())?,
            policy: JoinPolicy::Open,
            history: History::Full,
            permissions: Permissions::DEFAULT.bits(),
            puk: owner.puk,
        });
        let statement = statement(owner, None, Place::First, create);
        let community = Statement::community_id(&codec::encode(&statement));
        let mut commons = Self { community, head: owner.seen(), epoch: 0 };
        let mut batch = vec![];
        let first = commons.sign(owner, &statement)?;
        commons.head = first.clone().place(commons.log(), 0, None).seen();
        batch.push(first);
        let (epoch, wraps) = epoch_for(&[owner], 0, EpochReason::Begin)?;
        let channel = Action::ChannelSet(ChannelSet {
            channel: CHANNEL,
            kind: ChannelKind::Text,
            audience: AudienceId::MEMBERS,
            position: 0,
            slow_mode_s: 0,
            is_archived: false,
            name: sealed_text(0)?,
            topic: None,
        });
        for action in [Action::Epoch(epoch), channel] {
            let next = Place::Next(commons.head);
            let made =
                commons.sign(owner, &self::statement(owner, Some(community), next, action))?;
            commons.head = made.clone().place(commons.log(), 0, Some(commons.head)).seen();
            batch.push(made);
        }
        commons.put(owner, &wraps).await?;
        commons.append(owner, batch).await?;
        Ok(commons)
    }

    /// The open community `community` as somebody sees it who may join; `epoch` is the one in force.
    pub async fn find(person: &Bare, community: CommunityId, epoch: u32) -> anyhow::Result<Self> {
        Self::preview(person, community, &JoinBy::Open, epoch).await
    }

    async fn preview(
        person: &Bare,
        community: CommunityId,
        by: &JoinBy,
        epoch: u32,
    ) -> anyhow::Result<Self> {
        let mut head = None;
        loop {
            let request = PreviewLog {
                community,
                by: by.clone(),
                after: head.map(|head: Seen| head.seq),
                limit: 256,
                hub: None,
            };
            let page = person.client.call(&request).await?;
            head = page.entries.last().map(rookery_protocol::chain::Entry::seen).or(head);
            if !page.more {
                let head = head.ok_or_else(|| anyhow::anyhow!("the log is empty"))?;
                return Ok(Self { community, head, epoch });
            }
        }
    }

    /// Which community.
    #[must_use]
    pub const fn community(&self) -> CommunityId {
        self.community
    }

    /// The log's chain.
    #[must_use]
    pub fn log(&self) -> ChainId {
        ChainId::of_log(self.community)
    }

    /// The channel's chain.
    #[must_use]
    pub fn channel(&self) -> ChainId {
        ChainId::of_channel(self.community, CHANNEL)
    }

    /// Has `person` join.
    pub async fn join(&mut self, person: &Bare) -> anyhow::Result<()> {
        let join = Action::Join(Join { puk: person.puk, by: JoinBy::Open });
        self.say(person, vec![join]).await
    }

    /// How somebody says that they join whom a server of ours has invented.
    pub fn join_of(&self, invented: &Invented) -> anyhow::Result<AppendLog> {
        let HeadRef { seq, hash } = invented.head;
        let statement = Statement {
            suite: SUITE,
            community: Some(self.community),
            place: Place::Later(self.head),
            author: invented.user,
            author_head: Seen { seq, hash },
            action: Action::Join(Join { puk: invented.puk, by: JoinBy::Open }),
        };
        let (item, body) = (ItemId::from_bytes(random()?), codec::encode(&statement));
        let (key, kind) = (invented.device.signing(), Kind::CommunityStatement);
        let made = Submission::sign(key, self.log(), item, kind, body, SystemClock.now(), None)?;
        Ok(AppendLog { community: self.community, statements: vec![made], hub: None })
    }

    /// The community that a link leads to, as `person` sees it who may join by it.
    pub async fn seen_by(person: &Bare, link: &Link) -> anyhow::Result<Self> {
        Self::preview(person, link.community, &link.right_of(person), 0).await
    }

    /// Has `person` join by a link with the key of the epoch.
    pub async fn join_by(&mut self, person: &Bare, link: &Link) -> anyhow::Result<()> {
        let by = link.right_of(person);
        self.say(person, vec![Action::Join(Join { puk: person.puk, by })]).await
    }

    /// States `count` times, in as many statements, what `person` is called here.
    pub async fn rename(&mut self, person: &Bare, count: usize) -> anyhow::Result<()> {
        let name = Some(sealed_text(self.epoch)?);
        let nickname = Action::Nickname(Nickname { user: person.user, name });
        self.say(person, vec![nickname; count]).await
    }

    /// Begins a new epoch for `members`, who are all there are.
    pub async fn renew(&mut self, owner: &Bare, members: &[&Bare]) -> anyhow::Result<()> {
        self.epoch = self.epoch.saturating_add(1);
        let (epoch, wraps) = epoch_for(members, self.epoch, EpochReason::Join)?;
        self.put(owner, &wraps).await?;
        let (community, next) = (Some(self.community), Place::Next(self.head));
        let made = self.sign(owner, &statement(owner, community, next, Action::Epoch(epoch)))?;
        self.append(owner, vec![made]).await
    }

    /// The announcement of a Sender Key of `author`.
    pub fn announce(&self, author: &Bare, sender_key: SenderKeyId) -> anyhow::Result<Submission> {
        let header = AnnounceBody {
            suite: SUITE,
            community: self.community,
            channel: CHANNEL,
            audience: AudienceId::MEMBERS,
            epoch: self.epoch,
            user: author.user,
            device: author.device,
            head: author.seen(),
            sender_key,
            start_index: 0,
            history: History::Full,
        };
        let body = Announce {
            header: Octets::parse(codec::encode(&header))?,
            sealed: Octets::parse(random_bytes(ANNOUNCED_BYTES)?)?,
        };
        let body = codec::encode(&body);
        self.sign_post(author, announce_item(sender_key), Kind::Announce, body)
    }

    /// A message of `author` under an announced key, sealed in so many bytes.
    pub fn message(
        &self,
        author: &Bare,
        (sender_key, index): (SenderKeyId, u32),
        item: ItemId,
        sealed_bytes: usize,
    ) -> anyhow::Result<Submission> {
        let header = MessageHeader {
            suite: SUITE,
            community: self.community,
            channel: CHANNEL,
            audience: AudienceId::MEMBERS,
            epoch: self.epoch,
            log: self.head,
            user: author.user,
            device: author.device,
            sender_key,
            index,
            item,
        };
        let body = ChannelMessage {
            header: Octets::parse(codec::encode(&header))?,
            sealed: Octets::parse(random_bytes(sealed_bytes)?)?,
        };
        self.sign_post(author, item, Kind::Message, codec::encode(&body))
    }

    /// Posts items; they are stored when this is done.
    pub async fn post(&self, author: &Bare, items: Vec<Submission>) -> anyhow::Result<Posted> {
        let request = PostChannel { community: self.community, channel: CHANNEL, items };
        Ok(author.client.call(&request).await?)
    }

    /// States what may stand anywhere after the last entry that was seen.
    async fn say(&mut self, author: &Bare, actions: Vec<Action>) -> anyhow::Result<()> {
        let (community, later) = (Some(self.community), Place::Later(self.head));
        let made: anyhow::Result<Vec<Submission>> = actions
            .into_iter()
            .map(|action| self.sign(author, &statement(author, community, later, action)))
            .collect();
        self.append(author, made?).await
    }

    async fn append(&mut self, author: &Bare, statements: Vec<Submission>) -> anyhow::Result<()> {
        let request = AppendLog { community: self.community, statements, hub: None };
        let HeadRef { seq, hash } = author.client.call(&request).await?;
        self.head = Seen { seq, hash };
        Ok(())
    }

    async fn put(&self, author: &Bare, wraps: &[u8]) -> anyhow::Result<()> {
        let (blob, size) = (BlobId::of(wraps), u64::try_from(wraps.len())?);
        let mut offset = 0;
        for part in wraps.chunks(PART_BYTES) {
            let bytes = Octets::parse(part.to_vec())?;
            let part = PutBlob { community: self.community, blob, size, offset, bytes };
            offset = author.client.call(&part).await?.have;
        }
        Ok(())
    }

    fn sign(&self, author: &Bare, statement: &Statement) -> anyhow::Result<Submission> {
        let (item, body) = (ItemId::from_bytes(random()?), codec::encode(statement));
        let (at, kind) = (SystemClock.now(), Kind::CommunityStatement);
        Ok(Submission::sign(&author.key, self.log(), item, kind, body, at, None)?)
    }

    fn sign_post(
        &self,
        author: &Bare,
        item: ItemId,
        kind: Kind,
        body: Vec<u8>,
    ) -> anyhow::Result<Submission> {
        let at = SystemClock.now();
        Ok(Submission::sign(&author.key, self.channel(), item, kind, body, at, None)?)
    }
}

fn statement(
    author: &Bare,
    community: Option<CommunityId>,
    place: Place,
    action: Action,
) -> Statement {
    let (author_head, author) = (author.seen(), author.user);
    Statement { suite: SUITE, community, place, author, author_head, action }
}

fn sealed_text(epoch: u32) -> anyhow::Result<SealedText> {
    let sealed = Octets::parse(random_bytes(104)?)?;
    Ok(SealedText { audience: AudienceId::MEMBERS, epoch, sealed })
}

/// An epoch for exactly `members`, and its wraps.
fn epoch_for(
    members: &[&Bare],
    epoch: u32,
    reason: EpochReason,
) -> anyhow::Result<(EpochStart, Vec<u8>)> {
    let mut roster: Vec<_> =
        members.iter().map(|person| (person.user, as_member(person))).collect();
    roster.sort_unstable_by_key(|(user, _)| *user);
    let (roster_root, count) = roster_root(roster.iter().map(|(user, member)| (*user, member)));
    let wraps = random_bytes(members.len().saturating_mul(WRAP_BYTES))?;
    let previous = || {
        let sealed = random_bytes(PREVIOUS_BYTES)?;
        anyhow::Ok((epoch > 0).then_some(Octets::parse(sealed)?))
    };
    let start = EpochStart {
        audience: AudienceId::MEMBERS,
        epoch,
        reason,
        roster_root,
        count,
        commit: Digest::from_bytes(random()?),
        wraps: BlobId::of(&wraps),
        previous: previous()?,
        previous_meta: previous()?,
    };
    Ok((start, wraps))
}

/// What the roster takes of a member.
fn as_member(person: &Bare) -> Member {
    Member { head: person.seen(), puk: person.puk, roles: vec![], joined: 0, nickname: None }
}

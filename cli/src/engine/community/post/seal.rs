//! Sealing what waits for a channel, for the epoch in force; one that has to end is ended first.

use std::time::Duration;

use rookery_protocol::{
    chain::{Kind, Submission},
    codec,
    community::{Audience, EpochReason, Redact, State, announce_item},
    id::{ChainId, ChannelId, CommunityId, Digest, ItemId},
    time::Timestamp,
    version::SUITE,
};

use super::super::{super::Engine, book::Book};
use super::{MAX_STALE, Unplaced};
use crate::{
    e2ee::{
        OsRandom,
        content::Content,
        epoch::{EpochKeys, EpochPlace, TextOf},
        sender_key::{AnnounceFacts, ChannelPlace, MessageFacts, OutboundSenderKey},
    },
    error::CommandError,
    store::{Posting, Unit},
};

/// When something that waits for a log to be checked is tried again.
const CHECKING: Duration = Duration::from_secs(1);

/// All that sealing needs of a community at one moment.
struct Ground {
    state: State,
    keys: EpochKeys,
    place: ChannelPlace,
    head: rookery_protocol::chain::Seen,
}

impl Engine {
    /// Seals what is not sealed yet, and stores it all before anything leaves. A batch in which something was sealed before goes alone, as it
    /// was: the hub may have it already.
    pub(super) async fn seal_batch(
        &self,
        community: CommunityId,
        channel: ChannelId,
        batch: Vec<Posting>,
    ) -> Result<(Vec<Posting>, Vec<Submission>), Unplaced> {
        let sealed_before: Vec<Posting> =
            batch.iter().take_while(|posting| posting.sealed.is_some()).cloned().collect();
        if !sealed_before.is_empty() {
            let items = sealed_before.iter().filter_map(|posting| posting.sealed.clone()).flatten();
            let items = items.collect();
            return Ok((sealed_before, items));
        }
        let ground = self.ground(community, channel).await?;
        let chain = ChainId::of_channel(community, channel);
        let book = self.trusted(community).await?;
        let mut reasons = vec![];
        for posting in &batch {
            reasons.push(match &posting.reason {
                Some(reason) => Some(super::super::draft::Draft::begin(self, &book).await?.seal(
                    ground.place.epoch.audience,
                    TextOf::Redaction(channel),
                    reason,
                )?),
                None => None,
            });
        }
        let mut unit = self.store.write().await?;
        let seen = unit.channel(chain).await?.and_then(|row| row.have).map(|have| have.hash);
        let mut own_prev = unit.last_hash(chain, self.user, self.device).await?;
        let (mut done, mut items) = (vec![], vec![]);
        for (posting, reason) in batch.into_iter().zip(reasons) {
            let submissions = if posting.erases.is_empty() {
                let made = self.seal_message(&mut unit, &ground, &posting, own_prev, seen).await?;
                own_prev = made.last().map(|last| last.signed.digest());
                made
            } else {
                vec![self.redaction(&ground, &posting, reason)?]
            };
            items.extend(submissions.iter().cloned());
            let posting = Posting { sealed: Some(submissions), ..posting };
            unit.update_posting(self.user, &posting).await?;
            done.push(posting);
        }
        unit.commit().await?;
        Ok((done, items))
    }

    /// The state to seal for, with its keys. An epoch that has to end is ended first.
    async fn ground(&self, community: CommunityId, channel: ChannelId) -> Result<Ground, Unplaced> {
        for _ in 0..MAX_STALE {
            let book = self.trusted(community).await?;
            if book.is_checking(self.user) {
                let why = "the community's log is still being checked; what is said waits for that";
                return Err(Unplaced::Later(why.to_owned(), Some(CHECKING)));
            }
            let Book { state, .. } = book;
            let state = state.ok_or_else(|| {
                Unplaced::Later("the community's log is not here yet".to_owned(), None)
            })?;
            let audience = state.channels.get(&channel).map(|channel| channel.audience);
            let audience =
                audience.filter(|audience| state.is_in_audience(self.user, *audience)).ok_or_else(
                    || Unplaced::Failed("there is no such channel for you".to_owned()),
                )?;
            let known = state.audiences.get(&audience);
            if let Some(reason) = known.and_then(Audience::must_rotate) {
                self.rotate(community, audience, reason).await?;
                continue;
            }
            let epoch = known.and_then(|known| known.epoch.as_ref());
            let epoch = epoch
                .ok_or_else(|| Unplaced::Later("the channel has no key yet".to_owned(), None))?;
            let place = EpochPlace { community, audience, epoch: epoch.number };
            let Some(secret) = self.epoch_secret(community, audience, epoch).await? else {
                self.owe_community(community);
                return Err(Unplaced::Later(
                    "this device does not have the channel's key yet; any member who is online gives it"
                        .to_owned(),
                    Some(Duration::from_millis(500)),
                ));
            };
            let own = self.store.read().await?.person(self.user).await?;
            let head = own.map(|own| own.head).ok_or_else(|| {
                Unplaced::Later("this account's devices are not known here yet".to_owned(), None)
            })?;
            let keys = secret.keys(place, &epoch.roster_root, &epoch.log_root);
            let place = ChannelPlace { epoch: place, channel };
            return Ok(Ground { state, keys, place, head });
        }
        Err(Unplaced::Later("the channel's keys keep changing".to_owned(), None))
    }

    /// Starts a new epoch, unless somebody else has meanwhile.
    pub(in super::super) async fn rotate(
        &self,
        community: CommunityId,
        audience: rookery_protocol::id::AudienceId,
        reason: EpochReason,
    ) -> Result<(), CommandError> {
        self.state_to(community, |draft| {
            let known = draft.state()?.audiences.get(&audience);
            let is_due = known.is_some_and(|known| known.should_rotate().is_some())
                || reason == EpochReason::Age;
            if is_due { draft.rotate(audience, reason) } else { Ok(()) }
        })
        .await
    }

    async fn seal_message(
        &self,
        unit: &mut Unit,
        ground: &Ground,
        posting: &Posting,
        own_prev: Option<Digest>,
        seen: Option<Digest>,
    ) -> Result<Vec<Submission>, Unplaced> {
        let chain = posting.chain();
        let failed = |error: &dyn std::error::Error| Unplaced::Failed(error.to_string());
        let stored = unit.own_sender_key(chain).await?;
        let known = stored
            .and_then(|bytes| OutboundSenderKey::from_bytes(&bytes).ok())
            .filter(|key| key.place() == ground.place && !key.must_replace(self.now()));
        let mut submissions = vec![];
        let key = if let Some(key) = known {
            key
        } else {
            let key = OutboundSenderKey::generate(ground.place, self.now(), &mut OsRandom);
            let history = ground
                .state
                .audiences
                .get(&ground.place.epoch.audience)
                .map(|audience| audience.history);
            let history =
                history.ok_or_else(|| Unplaced::Later("no such audience".to_owned(), None))?;
            let facts =
                AnnounceFacts { user: self.user, device: self.device, head: ground.head, history };
            let announce = key
                .announce(&ground.keys, &facts, &mut OsRandom)
                .map_err(|error| failed(&error))?;
            submissions.push(self.submission(
                chain,
                announce_item(key.id()),
                Kind::Announce,
                codec::encode(&announce),
                posting.since,
            )?);
            key
        };
        let facts = MessageFacts {
            user: self.user,
            device: self.device,
            log: ground.state.head,
            item: posting.item,
            own_prev,
            seen,
        };
        let content = Content::decode(posting.kind, &posting.content);
        let sealed = key
            .seal(&ground.keys, &facts, &content, &mut OsRandom)
            .map_err(|unsealed| failed(&unsealed.reason))?;
        unit.put_own_sender_key(chain, &sealed.key.to_bytes()).await?;
        submissions.push(self.submission(
            chain,
            posting.item,
            Kind::Message,
            codec::encode(&sealed.message),
            posting.since,
        )?);
        Ok(submissions)
    }

    fn redaction(
        &self,
        ground: &Ground,
        posting: &Posting,
        reason: Option<rookery_protocol::community::SealedText>,
    ) -> Result<Submission, Unplaced> {
        let redact = Redact {
            suite: SUITE,
            community: posting.community,
            channel: posting.channel,
            log: ground.state.head,
            user: self.user,
            head: ground.head,
            targets: posting.erases.clone(),
            reason,
        };
        self.submission(
            posting.chain(),
            posting.item,
            Kind::Redact,
            codec::encode(&redact),
            posting.since,
        )
    }

    fn submission(
        &self,
        chain: ChainId,
        item: ItemId,
        kind: Kind,
        body: Vec<u8>,
        at: Timestamp,
    ) -> Result<Submission, Unplaced> {
        Submission::sign(self.secrets.signing(), chain, item, kind, body, at, None)
            .map_err(|_| Unplaced::Failed("the message is too long".to_owned()))
    }
}

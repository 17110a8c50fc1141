//! The secrets of epochs: where they come from, and what they open besides messages.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use rookery_protocol::{
    codec,
    community::{Action, Epoch, SealedText, State, Statement},
    id::{AudienceId, CommunityId},
    io::client::{CallError, Client},
    key::HpkeBox,
    request::blob::{GetBlob, GetBlobError},
};

use super::{
    super::{Engine, refusal::failed_as},
    abroad::hub_away,
    book::Book,
};
use crate::{
    e2ee::{
        KemSecret,
        epoch::{
            EpochPlace, EpochSecret, LinkSecret, MetadataKey, Receiver, TextOf, WRAP_BYTES,
            WrapContext, wrap_at, wrap_index,
        },
    },
    error::{CommandError, Kind},
    store::StoreError,
};

/// Metadata keys that were derived already: lists of names ask for the same few again and again.
#[derive(Default)]
pub(in super::super) struct MetadataKeys(Mutex<HashMap<EpochPlace, MetadataKey>>);

impl std::fmt::Debug for MetadataKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("MetadataKeys(secret)")
    }
}

impl MetadataKeys {
    fn get(&self, place: EpochPlace) -> Option<MetadataKey> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.get(&place).and_then(|key| MetadataKey::from_bytes(key.to_bytes().as_ref()))
    }

    fn put(&self, place: EpochPlace, key: &MetadataKey) {
        if let Some(copy) = MetadataKey::from_bytes(key.to_bytes().as_ref()) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(place, copy);
        }
    }
}

/// Where the wrap context of an epoch is known from.
pub(super) fn wrap_context(place: EpochPlace, epoch: &Epoch) -> WrapContext {
    WrapContext { place, roster_root: epoch.roster_root }
}

impl Engine {
    /// The secret of an epoch, if it is here.
    pub(super) async fn epoch_secret(
        &self,
        community: CommunityId,
        audience: AudienceId,
        epoch: &Epoch,
    ) -> Result<Option<EpochSecret>, StoreError> {
        let stored = self
            .store
            .read()
            .await?
            .epoch_secret(community, audience, epoch.number, epoch.commit)
            .await?;
        Ok(stored.and_then(|bytes| EpochSecret::from_bytes(&bytes)))
    }

    pub(super) async fn keep_secret(
        &self,
        place: EpochPlace,
        epoch: &Epoch,
        secret: &EpochSecret,
    ) -> Result<(), StoreError> {
        let mut unit = self.store.write().await?;
        unit.put_epoch_secret(
            place.community,
            place.audience,
            place.epoch,
            epoch.commit,
            secret.to_bytes().as_ref(),
        )
        .await?;
        unit.commit().await?;
        self.timeline_changed();
        self.postings_wake.notify_one();
        Ok(())
    }

    /// Gets the secrets of all epochs that this user may have. Says in which audiences the one in force is still missing.
    pub(super) async fn obtain_secrets(
        &self,
        client: &Client,
        book: &Book,
    ) -> Result<Vec<AudienceId>, CommandError> {
        let Some(state) = &book.state else { return Ok(vec![]) };
        let mut missing = vec![];
        for (id, audience) in &state.audiences {
            let Some(epoch) = &audience.epoch else { continue };
            if !state.is_in_audience(self.user, *id) {
                continue;
            }
            let place =
                EpochPlace { community: state.community, audience: *id, epoch: epoch.number };
            let known = match self.epoch_secret(state.community, *id, epoch).await? {
                Some(secret) => Some(secret),
                None => self.unwrap_epoch(client, book, place, epoch).await?,
            };
            match known {
                Some(secret) => self.walk_back(book, place, secret).await?,
                None => missing.push(*id),
            }
        }
        Ok(missing)
    }

    /// The secret of one epoch, whichever way it is to be had: it is here, a later one opens it, or it was wrapped for this user. Where
    /// history begins with one's coming no epoch opens the one before, and whoever was away has only the wraps.
    pub(super) async fn obtain_secret(
        &self,
        client: &Client,
        book: &Book,
        place: EpochPlace,
        epoch: &Epoch,
    ) -> Result<Option<EpochSecret>, CommandError> {
        let here = self.epoch_secret(place.community, place.audience, epoch).await?;
        if here.is_some() {
            return Ok(here);
        }
        let in_force =
            book.state.as_ref().and_then(|now| now.audiences.get(&place.audience)?.epoch.as_ref());
        if let Some(latest) = in_force
            && let Some(secret) = self.epoch_secret(place.community, place.audience, latest).await?
        {
            self.walk_back(book, book.place(place.audience, latest.number), secret).await?;
            let opened = self.epoch_secret(place.community, place.audience, epoch).await?;
            if opened.is_some() {
                return Ok(opened);
            }
        }
        self.unwrap_epoch(client, book, place, epoch).await
    }

    /// Opens the wrap of an epoch that is for this user: in its blob, in the log, or for the link that they came by.
    pub(super) async fn unwrap_epoch(
        &self,
        client: &Client,
        book: &Book,
        place: EpochPlace,
        epoch: &Epoch,
    ) -> Result<Option<EpochSecret>, CommandError> {
        let Some(then) = self.state_at(place.community, epoch.seq).await? else { return Ok(None) };
        let mut tries: Vec<(KemSecret, Receiver, HpkeBox)> = vec![];
        let ring = self.store.read().await?.per_user_keys().await?;
        let own_key = |state: &State| {
            let generation = state.members.get(&self.user)?.puk.generation;
            ring.as_ref()?.kem(generation)
        };
        let me = Receiver::User(self.user);
        if then.is_in_audience(self.user, place.audience)
            && let Some(index) = wrap_index(&then, place.audience, me)
            && let Some(wrap) = self.fetch_wrap(client, place, epoch, index).await?
            && let Some(key) = own_key(&then)
        {
            tries.push((key, me, wrap));
        }
        if let Some(now) = &book.state {
            for wrap in self.admitted(place).await? {
                // It was wrapped for the key that was pinned when it was stated, which is the one in force unless a device went since.
                for state in [now, &then] {
                    if let Some(key) = own_key(state) {
                        tries.push((key, me, wrap.clone()));
                    }
                }
            }
        }
        if let Some((secret, invite)) = book.row.link() {
            let receiver = Receiver::Link(invite);
            let keys = secret.keys();
            let in_blob = wrap_index(&then, place.audience, receiver);
            let wrap = match in_blob {
                Some(index) => self.fetch_wrap(client, place, epoch, index).await?,
                None => self.invited_wrap(place, invite).await?,
            };
            if let Some(wrap) = wrap {
                tries.push((keys.kem, receiver, wrap));
            }
        }
        let context = wrap_context(place, epoch);
        for (key, receiver, wrap) in tries {
            match EpochSecret::unwrap(&key, &context, receiver, &wrap, &epoch.commit) {
                Ok(secret) => {
                    self.keep_secret(place, epoch, &secret).await?;
                    return Ok(Some(secret));
                }
                Err(error) => {
                    tracing::warn!(%error, ?place, "a wrap of an epoch gave no secret");
                }
            }
        }
        Ok(None)
    }

    async fn fetch_wrap(
        &self,
        client: &Client,
        place: EpochPlace,
        epoch: &Epoch,
        index: usize,
    ) -> Result<Option<HpkeBox>, CommandError> {
        let offset = u64::try_from(index.saturating_mul(WRAP_BYTES)).unwrap_or(u64::MAX);
        let length = u32::try_from(WRAP_BYTES).unwrap_or(u32::MAX);
        let request = GetBlob { community: place.community, blob: epoch.wraps, offset, length };
        match client.call_watched(&request).await {
            Ok(part) => Ok(wrap_at(part.bytes.as_slice(), 0)),
            Err(error @ (CallError::Lost(_) | CallError::TimedOut | CallError::Refused(_))) => {
                Err(failed_as(error, |_| Kind::Failed))
            }
            Err(CallError::Request(GetBlobError::HubAway { hub, since })) => {
                Err(hub_away(&hub, since))
            }
            // The hub has lost it, or withholds it: any member can wrap the epoch again.
            Err(error) => {
                tracing::debug!(%error, "the wraps of an epoch could not be had");
                Ok(None)
            }
        }
    }

    /// Wraps for this user that members have put into the log since the epoch began.
    async fn admitted(&self, place: EpochPlace) -> Result<Vec<HpkeBox>, StoreError> {
        let mut wraps = vec![];
        self.each_statement(place.community, |statement| {
            if let Action::Admit(admit) = &statement.action
                && (admit.audience, admit.epoch) == (place.audience, place.epoch)
                && admit.user == self.user
            {
                wraps.push(admit.wrap.clone());
            }
        })
        .await?;
        Ok(wraps)
    }

    /// The wrap that came with the invitation of a link.
    async fn invited_wrap(
        &self,
        place: EpochPlace,
        invite: rookery_protocol::id::InviteId,
    ) -> Result<Option<HpkeBox>, StoreError> {
        let mut wrap = None;
        self.each_statement(place.community, |statement| {
            if let Action::InviteCreate(create) = &statement.action
                && create.invite == invite
            {
                wrap.clone_from(&create.wrap);
            }
        })
        .await?;
        Ok(wrap)
    }

    /// Looks at every statement of a log as it is stored here.
    pub(super) async fn each_statement(
        &self,
        community: CommunityId,
        mut look: impl FnMut(&Statement),
    ) -> Result<(), StoreError> {
        let mut from = 0;
        loop {
            let entries = self.store.read().await?.log_entries(community, from, 512).await?;
            let Some(last) = entries.last() else { return Ok(()) };
            from = last.seq.saturating_add(1);
            for entry in &entries {
                if let Some(body) = &entry.body
                    && let Ok(statement) = codec::decode::<Statement>(body.as_slice())
                {
                    look(&statement);
                }
            }
        }
    }

    /// Opens the secrets of the epochs before, where history is full, until one is here already.
    pub(super) async fn walk_back(
        &self,
        book: &Book,
        mut place: EpochPlace,
        mut secret: EpochSecret,
    ) -> Result<(), CommandError> {
        while let Some(epoch) = book.epochs.get(&(place.audience, place.epoch))
            && let Some(previous) = &epoch.previous
            && let Some(number) = place.epoch.checked_sub(1)
            && let Some(former) = book.epochs.get(&(place.audience, number))
        {
            if self.epoch_secret(place.community, place.audience, former).await?.is_some() {
                return Ok(());
            }
            match secret.open_previous(place, previous.as_slice(), &former.commit) {
                Ok(opened) => {
                    place.epoch = number;
                    self.keep_secret(place, former, &opened).await?;
                    secret = opened;
                }
                Err(error) => {
                    tracing::warn!(%error, ?place, "history before this epoch does not open");
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The metadata key of an epoch: out of its secret, or out of a later one's.
    async fn metadata_key(
        &self,
        book: &Book,
        place: EpochPlace,
    ) -> Result<Option<MetadataKey>, StoreError> {
        if let Some(key) = self.metadata_keys.get(place) {
            return Ok(Some(key));
        }
        // The nearest later epoch whose secret is here, and from there back.
        let mut start = None;
        for ((_, number), epoch) in
            book.epochs.range((place.audience, place.epoch)..=(place.audience, u32::MAX))
        {
            if let Some(secret) = self.epoch_secret(place.community, place.audience, epoch).await? {
                start = Some((*number, secret.metadata(place.community, place.audience)));
                break;
            }
        }
        let Some((mut number, mut key)) = start else { return Ok(None) };
        while number > place.epoch {
            let at = EpochPlace { epoch: number, ..place };
            let sealed = book.epochs.get(&(place.audience, number));
            let Some(sealed) = sealed.and_then(|epoch| epoch.previous_meta.as_ref()) else {
                return Ok(None);
            };
            let Ok(former) = key.open_previous(at, sealed.as_slice()) else { return Ok(None) };
            key = former;
            number = number.saturating_sub(1);
        }
        self.metadata_keys.put(place, &key);
        Ok(Some(key))
    }

    /// A name, a topic or a reason, if this user may read it.
    pub(in super::super) async fn open_text(
        &self,
        book: &Book,
        what: TextOf,
        sealed: &SealedText,
    ) -> Result<Option<String>, StoreError> {
        let community = book.row.community;
        let place = EpochPlace { community, audience: sealed.audience, epoch: sealed.epoch };
        let key = self.metadata_key(book, place).await?;
        Ok(key.and_then(|key| key.open_text(community, what, sealed).ok()))
    }
}

impl crate::store::CommunityRow {
    /// The link that this user came by.
    pub(super) fn link(&self) -> Option<(LinkSecret, rookery_protocol::id::InviteId)> {
        let secret = LinkSecret::from_bytes(self.link_secret.as_deref()?)?;
        Some((secret, self.invite?))
    }
}

//! One post on its way through the rules.

use rookery_protocol::{
    chain::{Entry, HeadRef, Kind},
    community::{
        Misposted, Permissions, Post, SenderKeyUse, State, Unposted, judge_announce, judge_message,
        judge_redact,
    },
    id::{Digest, SenderKeyId},
    request::{Failure, channel::PostError},
};

use super::{
    super::{
        author::Author,
        post::{Draft, Job, denied},
    },
    Bench, Trial,
};
use crate::{
    repository::chain::{EntryNote, StoredEntry},
    service::Services,
};

/// An id that somebody else has used is none to be answered for.
pub(super) fn check_own(note: &EntryNote, author: &Author) -> Result<(), Failure<PostError>> {
    if author.state().devices.contains_key(&note.author) {
        return Ok(());
    }
    Err(denied("the item id was used by somebody else"))
}

/// One post on its way through the rules.
pub(super) struct Case<'b> {
    pub(super) bench: &'b Bench,
    pub(super) services: &'b Services,
    pub(super) job: &'b Job,
    pub(super) author: &'b Author,
    pub(super) state: &'b State,
    pub(super) owner_epoch: u64,
    pub(super) head: Option<HeadRef>,
    pub(super) trial: Trial,
}

impl Case<'_> {
    /// Judges one item, and gives it its place.
    pub(super) fn place(&mut self, draft: &Draft) -> Result<u64, Failure<PostError>> {
        let key = (self.job.chain, draft.item.item_id);
        if let Some(note) = self.bench.notes.get(&key) {
            check_own(note, self.author)?;
            return Ok(note.seq);
        }
        if let Some(twin) = self.trial.entries.iter().find(|entry| entry.item == key.1) {
            return Ok(twin.entry.seq);
        }
        if self.author.state().live_device(draft.author).is_none() {
            return Err(denied(Misposted::NotADevice));
        }
        match draft.item.kind {
            Kind::Announce => self.announce(draft)?,
            Kind::Message => self.message(draft)?,
            Kind::Redact => self.redact(draft)?,
            Kind::UserStatement | Kind::Journal | Kind::CommunityStatement => {
                return Err(denied("another kind of entry"));
            }
        }
        let (seq, prev) =
            self.head.map_or((0, Digest::ZERO), |head| (head.seq.saturating_add(1), head.hash));
        let entry = Entry {
            chain: self.job.chain,
            owner_epoch: self.owner_epoch,
            seq,
            prev,
            log_pos: Some(self.state.head.seq),
            signed: draft.signed.clone(),
            body: Some(draft.body.clone()),
        };
        self.head = Some(entry.seen().into());
        let (item, kind, author) = (draft.item.item_id, draft.item.kind, draft.author);
        self.trial.entries.push(StoredEntry { entry, item, kind, author, at: self.bench.at });
        Ok(seq)
    }

    fn announce(&mut self, draft: &Draft) -> Result<(), Failure<PostError>> {
        let known = |key| self.known_key(key);
        let judged = judge_announce(self.state, &self.bench.histories, post_of(draft), known);
        let (header, used) = judged.map_err(|error| self.refuse(&error))?;
        if header.user != self.job.user {
            return Err(denied("everybody announces keys of their own"));
        }
        self.trial.keys.insert(header.sender_key, used);
        Ok(())
    }

    fn message(&mut self, draft: &Draft) -> Result<(), Failure<PostError>> {
        let known = |key| self.known_key(key);
        let judged = judge_message(self.state, &self.bench.histories, post_of(draft), known);
        let (header, used) = judged.map_err(|error| self.refuse(&error))?;
        if header.user != self.job.user {
            return Err(denied("everybody speaks in their own name"));
        }
        self.check_pace()?;
        self.trial.keys.insert(header.sender_key, used);
        Ok(())
    }

    fn known_key(&self, key: SenderKeyId) -> Option<SenderKeyUse> {
        let tried = self.trial.keys.get(&key);
        tried.or_else(|| self.bench.keys.get(&(self.job.chain, key))).copied()
    }

    /// Refuses whoever speaks again too soon in a channel in slow mode.
    fn check_pace(&mut self) -> Result<(), Failure<PostError>> {
        let Some(channel) = self.state.channels.get(&self.job.channel) else { return Ok(()) };
        let allowed = self.state.permissions_of(self.job.user, Some(self.job.channel));
        if channel.slow_mode_s == 0 || allowed.contain(Permissions::SKIP_SLOW_MODE) {
            return Ok(());
        }
        let key = (self.job.chain, self.job.user);
        let last = if self.trial.spoke {
            Some(self.bench.at)
        } else {
            self.bench.spoken.get(&key).copied().or_else(|| self.services.hub.spoken.get(&key))
        };
        let pace = u64::from(channel.slow_mode_s).saturating_mul(1_000);
        let again = last.map_or(0, |last| last.as_millis().saturating_add(pace));
        let retry_after_ms = again.saturating_sub(self.bench.at.as_millis());
        if retry_after_ms > 0 {
            return Err(Failure::Error(PostError::SlowMode { retry_after_ms }));
        }
        self.trial.spoke = true;
        Ok(())
    }

    fn redact(&mut self, draft: &Draft) -> Result<(), Failure<PostError>> {
        let author = self.author;
        let target = |seq: u64| {
            let pending = self.trial.entries.iter().find(|entry| entry.entry.seq == seq);
            let pending = pending.map(|entry| (entry.item, entry.kind, entry.author));
            let stored = self.bench.targets.get(&(self.job.chain, seq));
            let stored = stored.map(|note| (note.item, note.kind, note.author));
            // Announcements open what stays: they are never erased.
            pending.or(stored).filter(|(_, kind, _)| *kind == Kind::Message)
        };
        let author_of = |seq: u64| {
            let (_, _, device) = target(seq)?;
            author.state().devices.contains_key(&device).then_some(author.user())
        };
        let judged = judge_redact(self.state, &self.bench.histories, post_of(draft), author_of);
        let redact = judged.map_err(|error| self.refuse(&error))?;
        if redact.user != self.job.user {
            return Err(denied("everybody erases in their own name"));
        }
        let mut items = Vec::with_capacity(redact.targets.len());
        for seq in redact.targets {
            let (item, ..) = target(seq).ok_or_else(|| denied("there is no such message"))?;
            items.push(item);
        }
        self.trial.erased.extend(items);
        Ok(())
    }

    fn refuse(&self, error: &Unposted) -> Failure<PostError> {
        let misposted = match error {
            Unposted::Misposted(misposted) => misposted,
            // Whoever lives here has no other chain, and a foreigner's was fetched as far as they name it.
            Unposted::Hold { .. } => &Misposted::NotADevice,
        };
        Failure::Error(match misposted {
            Misposted::OldEpoch | Misposted::Forked => {
                PostError::Stale { log: self.state.head.into() }
            }
            Misposted::NoChannel => PostError::NotFound,
            Misposted::UsedIndex => PostError::UsedKey,
            other => PostError::Denied { reason: other.to_string() },
        })
    }
}

fn post_of(draft: &Draft) -> Post<'_> {
    Post { signed: &draft.signed, item: &draft.item, body: draft.body.as_slice() }
}

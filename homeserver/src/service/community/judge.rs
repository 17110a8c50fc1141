//! One batch of posts, judged at the heads of their communities' logs.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use rookery_protocol::{
    chain::{Entry, HeadRef, Kind},
    community::{
        Misposted, Permissions, Post, SenderKeyUse, State, Unposted, judge_announce, judge_message,
        judge_redact,
    },
    id::{ChainId, CommunityId, Digest, ItemId, SenderKeyId, UserId},
    request::{
        Failure, Refusal,
        channel::{PostError, Posted},
    },
    time::Timestamp,
};

use super::{
    Hosted,
    author::Author,
    chains::Known,
    post::{Answer, Draft, Job, Needs, denied},
};
use crate::{
    repository::{
        StorageError,
        chain::{EntryNote, StoredChain, StoredEntry},
        community::StoredSenderKey,
    },
    service::Services,
};

/// Everything that is needed to judge a batch.
pub(super) struct Bench {
    at: Timestamp,
    hosted: HashMap<CommunityId, Arc<Hosted>>,
    authors: HashMap<UserId, Author>,
    histories: Known,
    chains: HashMap<ChainId, StoredChain>,
    /// Entries that are there already, by item.
    notes: HashMap<(ChainId, ItemId), EntryNote>,
    /// Entries that redactions name, by place.
    targets: HashMap<(ChainId, u64), EntryNote>,
    keys: HashMap<(ChainId, SenderKeyId), SenderKeyUse>,
    spoken: HashMap<(ChainId, UserId), Timestamp>,
}

/// What is to be stored of a batch.
#[derive(Default)]
pub(super) struct Judged {
    /// New entries, each chain once.
    pub(super) entries: Vec<(ChainId, Vec<StoredEntry>)>,
    /// What is known of Sender Keys from now on.
    pub(super) keys: Vec<StoredSenderKey>,
    /// Items whose bodies are erased.
    pub(super) erased: Vec<(ChainId, Vec<ItemId>)>,
    /// Who spoke in channels in slow mode.
    pub(super) spoken: HashMap<(ChainId, UserId), Timestamp>,
    /// Where the logs stood that posts were judged at.
    pub(super) logs: HashMap<ChainId, Option<HeadRef>>,
}

impl Judged {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// What one post would change.
#[derive(Default)]
struct Trial {
    entries: Vec<StoredEntry>,
    keys: HashMap<SenderKeyId, SenderKeyUse>,
    erased: Vec<ItemId>,
    spoke: bool,
}

impl Bench {
    /// Reads what the batch needs. Under [`Services::order`], so that it stays true until the batch is stored.
    pub(super) async fn prepare(services: &Services, jobs: &[Job]) -> Result<Self, StorageError> {
        let mut bench = Self {
            at: services.clock.now(),
            hosted: HashMap::new(),
            authors: HashMap::new(),
            histories: Known::default(),
            chains: HashMap::new(),
            notes: HashMap::new(),
            targets: HashMap::new(),
            keys: HashMap::new(),
            spoken: HashMap::new(),
        };
        for job in jobs {
            if let Some(hosted) = services.hosted(job.community).await? {
                bench.hosted.insert(job.community, hosted);
            }
            if let Some(author) = services.author(job.user, job.side).await? {
                bench.authors.insert(job.user, author);
            }
        }
        bench.read_rows(services, jobs).await?;
        Ok(bench)
    }

    async fn read_rows(&mut self, services: &Services, jobs: &[Job]) -> Result<(), StorageError> {
        let drafts =
            || jobs.iter().flat_map(|job| job.drafts.iter().map(move |draft| (job, draft)));
        let chains: HashSet<ChainId> = jobs.iter().map(|job| job.chain).collect();
        let chains: Vec<ChainId> = chains.into_iter().collect();
        let items: HashSet<(ChainId, ItemId)> =
            drafts().map(|(job, draft)| (job.chain, draft.item.item_id)).collect();
        let items: Vec<_> = items.into_iter().collect();
        let (mut keys, mut targets, mut histories) =
            (HashSet::new(), HashSet::new(), HashMap::<UserId, u64>::new());
        for author in self.authors.values() {
            histories.insert(author.user(), author.state().head.seq);
        }
        for (job, draft) in drafts() {
            let mut history = |seq: u64| {
                let most = histories.entry(job.user).or_default();
                *most = seq.max(*most);
            };
            match &draft.needs {
                Needs::SenderKey(key) => drop(keys.insert((job.chain, *key))),
                Needs::History(seq) => history(*seq),
                Needs::Targets { seqs, history: seq } => {
                    history(*seq);
                    targets.extend(seqs.iter().map(|seq| (job.chain, *seq)));
                }
            }
        }
        let (keys, targets): (Vec<_>, Vec<_>) =
            (keys.into_iter().collect(), targets.into_iter().collect());
        let mut view = services.storage.read().await?;
        let found = view.chains(&chains).await?;
        self.chains = found.into_iter().map(|stored| (stored.chain, stored)).collect();
        let notes = view.notes_of(&items).await?;
        self.notes = notes.into_iter().map(|note| ((note.chain, note.item), note)).collect();
        let targets = view.notes_at(&targets).await?;
        self.targets = targets.into_iter().map(|note| ((note.chain, note.seq), note)).collect();
        let keys = view.sender_keys(&keys).await?;
        self.keys = keys.into_iter().map(|key| ((key.chain, key.sender_key), key.used)).collect();
        for (user, seq) in histories {
            services.bring(&mut *view, &mut self.histories, user, seq).await?;
        }
        Ok(())
    }

    /// Judges each job as if those before it were stored.
    pub(super) fn judge(mut self, services: &Services, jobs: &[Job]) -> (Vec<Answer>, Judged) {
        let mut judged = Judged::default();
        let mut entries: HashMap<ChainId, Vec<StoredEntry>> = HashMap::new();
        let mut changed = HashSet::new();
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            let (answer, trial) = match self.judge_job(services, job) {
                Ok(done) => done,
                Err(failure) => {
                    answers.push(Err(failure));
                    continue;
                }
            };
            answers.push(Ok(answer));
            if trial.entries.is_empty() {
                continue;
            }
            if let Some(hosted) = self.hosted.get(&job.community) {
                judged.logs.insert(ChainId::of_log(job.community), Some(hosted.head()));
            }
            for (key, used) in trial.keys {
                self.keys.insert((job.chain, key), used);
                changed.insert((job.chain, key));
            }
            if trial.spoke {
                self.spoken.insert((job.chain, job.user), self.at);
            }
            if !trial.erased.is_empty() {
                judged.erased.push((job.chain, trial.erased));
            }
            self.take_in(job.chain, &trial.entries);
            entries.entry(job.chain).or_default().extend(trial.entries);
        }
        judged.entries = entries.into_iter().collect();
        judged.keys = changed
            .into_iter()
            .filter_map(|(chain, sender_key)| {
                let used = self.keys.get(&(chain, sender_key)).copied()?;
                Some(StoredSenderKey { chain, sender_key, used })
            })
            .collect();
        judged.spoken = self.spoken;
        (answers, judged)
    }

    /// From here on the entries count as stored.
    fn take_in(&mut self, chain: ChainId, entries: &[StoredEntry]) {
        for stored in entries {
            let note = EntryNote {
                chain,
                seq: stored.entry.seq,
                item: stored.item,
                kind: stored.kind,
                author: stored.author,
                at: stored.at,
            };
            self.notes.insert((chain, stored.item), note);
            self.targets.insert((chain, note.seq), note);
        }
        if let (Some(stored), Some(last)) = (self.chains.get_mut(&chain), entries.last()) {
            stored.head = Some(last.entry.seen().into());
        }
    }

    fn judge_job(
        &self,
        services: &Services,
        job: &Job,
    ) -> Result<(Posted, Trial), Failure<PostError>> {
        let author = self.authors.get(&job.user).ok_or(Refusal::NotAuthenticated)?;
        if let Some(posted) = self.already(job, author)? {
            return Ok((posted, Trial::default()));
        }
        let not_found = || Failure::Error(PostError::NotFound);
        let hosted = self.hosted.get(&job.community).filter(|hosted| hosted.row.hub.is_none());
        let hosted = hosted.ok_or_else(not_found)?;
        let stored = self.chains.get(&job.chain).ok_or_else(not_found)?;
        if !hosted.may_read(job.user, Some(job.channel)) {
            return Err(not_found());
        }
        if hosted.row.is_frozen {
            return Err(Failure::Error(PostError::Frozen));
        }
        let mut case = Case {
            bench: self,
            services,
            job,
            author,
            state: &hosted.state,
            owner_epoch: stored.owner_epoch,
            head: stored.head,
            trial: Trial::default(),
        };
        let mut places = Vec::with_capacity(job.drafts.len());
        for draft in &job.drafts {
            places.push(case.place(draft)?);
        }
        Ok((Posted { places, at: self.at }, case.trial))
    }

    /// The answer of the first time, if all items are there.
    fn already(&self, job: &Job, author: &Author) -> Result<Option<Posted>, Failure<PostError>> {
        let mut posted = Posted { places: vec![], at: Timestamp::from_millis(0) };
        for draft in &job.drafts {
            let Some(note) = self.notes.get(&(job.chain, draft.item.item_id)) else {
                return Ok(None);
            };
            check_own(note, author)?;
            posted.places.push(note.seq);
            posted.at = posted.at.max(note.at);
        }
        Ok(Some(posted))
    }
}

/// An id that somebody else has used is none to be answered for.
fn check_own(note: &EntryNote, author: &Author) -> Result<(), Failure<PostError>> {
    if author.state().devices.contains_key(&note.author) {
        return Ok(());
    }
    Err(denied("the item id was used by somebody else"))
}

/// One post on its way through the rules.
struct Case<'b> {
    bench: &'b Bench,
    services: &'b Services,
    job: &'b Job,
    author: &'b Author,
    state: &'b State,
    owner_epoch: u64,
    head: Option<HeadRef>,
    trial: Trial,
}

impl Case<'_> {
    /// Judges one item, and gives it its place.
    fn place(&mut self, draft: &Draft) -> Result<u64, Failure<PostError>> {
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

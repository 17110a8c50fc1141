//! One batch of posts, judged at the heads of their communities' logs.

mod case;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use rookery_protocol::{
    chain::HeadRef,
    community::SenderKeyUse,
    id::{ChainId, CommunityId, ItemId, SenderKeyId, UserId},
    request::{
        Failure, Refusal,
        channel::{PostError, Posted},
    },
    time::Timestamp,
};

use self::case::{Case, check_own};
use super::{
    Hosted,
    author::Author,
    chains::Known,
    post::{Answer, Job, Needs},
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
        let hosted = self.hosted.get(&job.community).ok_or_else(not_found)?;
        let stored = self.chains.get(&job.chain).ok_or_else(not_found)?;
        if !hosted.may_read(job.user, Some(job.channel)) {
            return Err(not_found());
        }
        if let Some(hub) = hosted.row.hub.clone() {
            // It has been handed over, or is about to be handed to this server: whoever posts comes again.
            return Err(Failure::Error(PostError::HubAway { hub, since: self.at }));
        }
        services.hub.moves.check_free(job.community)?;
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

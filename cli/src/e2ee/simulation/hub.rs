//! The hub: the real rules, over lists.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rookery_protocol::{
    chain::{Entry, Kind, Submission},
    codec,
    community::{
        Action, Denied, Post, Refused, SenderKeyUse, State, Statement, judge_announce,
        judge_message, verify_and_apply,
    },
    id::{BlobId, ChainId, ChannelId, CommunityId, ItemId, SenderKeyId, UserId},
};

use super::people::People;

/// What the hub says to a batch or to a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    /// The log has gone on, or the epoch is over.
    Stale,
    /// The rules forbid it.
    Denied,
}

#[derive(Default)]
pub(super) struct Hub {
    pub(super) log: Vec<Entry>,
    /// What the log comes to at each of its entries.
    pub(super) states: Vec<State>,
    pub(super) channels: BTreeMap<ChannelId, Vec<Entry>>,
    pub(super) blobs: HashMap<BlobId, Vec<u8>>,
    /// Blobs that it has lost for somebody.
    pub(super) lost: BTreeSet<(UserId, BlobId)>,
    uses: HashMap<SenderKeyId, SenderKeyUse>,
    placed: BTreeSet<(ChannelId, ItemId)>,
}

impl Hub {
    pub(super) fn state(&self) -> &State {
        self.states.last().unwrap()
    }

    /// Appends all of a batch, or none of it.
    pub(super) fn append(
        &mut self,
        people: &People,
        community: CommunityId,
        batch: &[Submission],
    ) -> Answer {
        let mut states: Vec<State> = vec![];
        let mut entries: Vec<Entry> = vec![];
        for statement in batch {
            let state = states.last().or(self.states.last());
            let head = state.map(|state| state.head);
            let entry = statement.clone().place(ChainId::of_log(community), 0, head);
            match verify_and_apply(community, state, &entry, people) {
                Ok(next) => {
                    states.push(next);
                    entries.push(entry);
                }
                Err(Refused::Denied(Denied::Misplaced(_) | Denied::Already(_))) => {
                    return Answer::Stale;
                }
                Err(_) => return Answer::Denied,
            }
        }
        let is_complete = states.last().is_none_or(|state| state.owed.is_empty());
        let has_wraps = entries.iter().all(|entry| match action_of(entry) {
            Action::Epoch(start) => self.blobs.contains_key(&start.wraps),
            _ => true,
        });
        if !is_complete || !has_wraps {
            return Answer::Denied;
        }
        self.log.extend(entries);
        self.states.extend(states);
        Answer::Done
    }

    /// Puts items into a channel, all or none; what is there already keeps its place.
    pub(super) fn post(
        &mut self,
        people: &People,
        channel: ChannelId,
        items: &[Submission],
    ) -> Answer {
        let state = self.state().clone();
        let chain = ChainId::of_channel(state.community, channel);
        let (mut uses, mut entries) = (self.uses.clone(), vec![]);
        let mut head = self.channels.get(&channel).and_then(|all| all.last()).map(Entry::seen);
        for submission in items {
            let item = submission.verify(chain).unwrap();
            if self.placed.contains(&(channel, item.item_id)) {
                continue;
            }
            let body = submission.body.as_slice();
            let post = Post { signed: &submission.signed, item: &item, body };
            let known = |id: SenderKeyId| uses.get(&id).copied();
            let judged = match item.kind {
                Kind::Announce => judge_announce(&state, people, post, known)
                    .map(|(header, used)| (header.sender_key, used)),
                _ => judge_message(&state, people, post, known)
                    .map(|(header, used)| (header.sender_key, used)),
            };
            let Ok((id, used)) = judged else { return Answer::Stale };
            uses.insert(id, used);
            let mut entry = submission.clone().place(chain, 0, head);
            entry.log_pos = Some(state.head.seq);
            head = Some(entry.seen());
            entries.push((item.item_id, entry));
        }
        self.uses = uses;
        for (item, entry) in entries {
            self.placed.insert((channel, item));
            self.channels.entry(channel).or_default().push(entry);
        }
        Answer::Done
    }
}

/// What an entry of a log says.
pub(super) fn action_of(entry: &Entry) -> Action {
    let body = entry.body.as_ref().unwrap().as_slice();
    codec::decode::<Statement>(body).unwrap().action
}

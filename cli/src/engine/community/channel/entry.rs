//! One entry of a channel: what may stand there is opened and kept, and what may not is passed over.

use rookery_protocol::{
    chain::{BrokenEntry, Entry, Item, Kind},
    codec,
    community::{
        Announce, ChannelMessage, MessageHeader, Misposted, Permissions, Post as Judged, Redact,
        State, Unposted, judge_announce, judge_message, judge_redact,
    },
    id::{ChainId, Digest, SenderKeyId, UserId},
};

use super::super::{
    super::{Engine, chains::ChainError},
    book::Book,
};
use super::{EpochKeyring, Reading, Step};
use crate::{
    e2ee::{
        content::Content,
        epoch::{EpochPlace, TextOf},
        sender_key::{InboundSenderKey, OpenedMessage},
    },
    store::{ChannelRow, Erased, MessageState, Post, StoreError, Unit},
};

/// Places of missing messages that are remembered.
const MAX_GAPS: usize = 32;
/// What is said of a message whose author's one before did not come.
const WITHHELD: &str = "a message of theirs before this one was withheld";
/// What is said of a message whose author had seen what does not stand before it here.
const REORDERED: &str = "its author was shown something else before it: the server withholds entries, or puts them in another order";

impl Engine {
    pub(super) async fn take_in_entry(
        &self,
        unit: &mut Unit,
        reading: &Reading<'_>,
        row: &mut ChannelRow,
        entry: &Entry,
    ) -> Result<Step, ChainError> {
        let item = match entry.verify_after(row.have) {
            Ok(item) => item,
            Err(BrokenEntry::Gap { .. }) => {
                return Ok(Step::Broken("the server leaves out entries of a channel".to_owned()));
            }
            Err(error) => {
                return Ok(Step::Broken(format!("entry {} of a channel: {error}", entry.seq)));
            }
        };
        let Some(position) = entry.log_pos else {
            return Ok(Step::Broken("an entry of a channel has no position in the log".to_owned()));
        };
        if position < row.log_pos {
            return Ok(Step::Broken(
                "entries of a channel go back before the log's position".to_owned(),
            ));
        }
        let Ok(index) = reading.states.binary_search_by_key(&position, |state| state.head.seq)
        else {
            return Ok(Step::Broken("a position in the log that the log does not have".to_owned()));
        };
        let Some(state) = reading.states.get(index) else { return Ok(Step::Taken) };
        if entry.chain != ChainId::of_channel(row.community, row.channel) {
            return Ok(Step::Broken("an entry of another channel".to_owned()));
        }
        let Some(body) = &entry.body else {
            return self.take_in_erased(unit, row, entry, &item).await;
        };
        let post = Judged { signed: &entry.signed, item: &item, body: body.as_slice() };
        match item.kind {
            Kind::Announce => self.take_in_announce(unit, reading, state, row, post).await,
            Kind::Message => self.take_in_message(unit, reading, state, row, post, entry).await,
            Kind::Redact => self.take_in_redact(unit, reading.book, state, row, post).await,
            Kind::UserStatement | Kind::Journal | Kind::CommunityStatement => {
                Ok(Step::Broken("an entry of another kind of chain".to_owned()))
            }
        }
    }

    async fn take_in_announce(
        &self,
        unit: &mut Unit,
        reading: &Reading<'_>,
        state: &State,
        row: &ChannelRow,
        post: Judged<'_>,
    ) -> Result<Step, ChainError> {
        let chain = row.chain();
        let known = self
            .known_sender(unit, chain, SenderKeyId::from_bytes(*post.item.item_id.as_bytes()))
            .await?;
        let judged = judge_announce(state, self.books.histories(), post, |_| {
            known.as_ref().map(InboundSenderKey::usage)
        });
        let (header, _) = match judged {
            Ok(judged) => judged,
            Err(error) => return Ok(unposted(error)),
        };
        let place = reading.book.place(header.audience, header.epoch);
        let Some(keys) = reading.keyring.of(place) else {
            return Ok(self.without_keys(reading.keyring, state, place));
        };
        let announce: Announce = match codec::decode(post.body) {
            Ok(announce) => announce,
            Err(error) => return Ok(Step::Passed(error.to_string())),
        };
        match InboundSenderKey::from_announce(keys, &announce) {
            Ok(key) => {
                unit.put_sender_key(chain, header.sender_key, &key.to_bytes()).await?;
                Ok(Step::Taken)
            }
            Err(error) => Ok(Step::Passed(format!("a sender key: {error}"))),
        }
    }

    async fn take_in_message(
        &self,
        unit: &mut Unit,
        reading: &Reading<'_>,
        state: &State,
        row: &mut ChannelRow,
        post: Judged<'_>,
        entry: &Entry,
    ) -> Result<Step, ChainError> {
        let chain = row.chain();
        let message: ChannelMessage = match codec::decode(post.body) {
            Ok(message) => message,
            Err(error) => return Ok(Step::Passed(error.to_string())),
        };
        let header: MessageHeader = match codec::decode(message.header.as_slice()) {
            Ok(header) => header,
            Err(error) => return Ok(Step::Passed(error.to_string())),
        };
        let place = reading.book.place(header.audience, header.epoch);
        if reading.keyring.of(place).is_none() {
            let step = self.without_keys(reading.keyring, state, place);
            // It cannot be read, and was not withheld: the next of that device follows on it.
            let author = entry.signed.author().map(|key| key.device_id());
            if !matches!(step, Step::Wait) && author == Some(header.device) {
                let digest = entry.signed.digest();
                unit.put_last_hash(chain, header.user, header.device, digest).await?;
            }
            return Ok(step);
        }
        let known = self.known_sender(unit, chain, header.sender_key).await?;
        let judged = judge_message(state, self.books.histories(), post, |_| {
            known.as_ref().map(InboundSenderKey::usage)
        });
        let header = match judged {
            Ok((header, _)) => header,
            Err(error) => return Ok(unposted(error)),
        };
        let (Some(keys), Some(key)) = (reading.keyring.of(place), known) else {
            return Ok(Step::Passed("its sender key is not known".to_owned()));
        };
        let opened = key.open(keys, message.header.as_slice(), message.sealed.as_slice());
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => return Ok(Step::Passed(format!("a message: {error}"))),
        };
        unit.put_sender_key(chain, header.sender_key, &opened.key.to_bytes()).await?;
        let message = opened.message;
        let doubt = self.doubt_of(unit, reading, row, entry, &message).await?;
        let post = self.post_of(entry, post.item, &message, doubt);
        self.keep_post(unit, state, row, &post, &message.content).await?;
        Ok(Step::Taken)
    }

    /// What a person should know of a message: whether its author had been shown something else than stands before it here.
    async fn doubt_of(
        &self,
        unit: &mut Unit,
        reading: &Reading<'_>,
        row: &mut ChannelRow,
        entry: &Entry,
        message: &OpenedMessage,
    ) -> Result<Option<String>, StoreError> {
        let OpenedMessage { header, own_prev, seen, .. } = message;
        // This device links its messages as it sends them, which may be ahead of what comes back.
        if header.device == self.device {
            return Ok(None);
        }
        let chain = row.chain();
        let is_linked = *own_prev == unit.last_hash(chain, header.user, header.device).await?;
        unit.put_last_hash(chain, header.user, header.device, entry.signed.digest()).await?;
        if !is_linked {
            if row.gaps.len() < MAX_GAPS {
                row.gaps.push(entry.seq);
            }
            return Ok(Some(WITHHELD.to_owned()));
        }
        let is_there = match seen {
            Some(seen) => stands_before(unit, reading, row, *seen).await?,
            None => true,
        };
        Ok((!is_there).then(|| REORDERED.to_owned()))
    }

    fn post_of(
        &self,
        entry: &Entry,
        item: &Item,
        message: &OpenedMessage,
        doubt: Option<String>,
    ) -> Post {
        let OpenedMessage { header, content, .. } = message;
        let is_own = header.user == self.user;
        Post {
            chain: entry.chain,
            item: header.item,
            author: header.user,
            device: header.device,
            at: item.at,
            seq: Some(entry.seq),
            kind: content.kind(),
            content: content.encode(),
            state: if is_own { MessageState::Posted } else { MessageState::Received },
            reason: None,
            erased: None,
            hash: Some(entry.hash()),
            doubt,
        }
    }

    async fn keep_post(
        &self,
        unit: &mut Unit,
        state: &State,
        row: &mut ChannelRow,
        post: &Post,
        content: &Content,
    ) -> Result<(), StoreError> {
        let allowed = state.permissions_of(post.author, Some(row.channel));
        if !is_allowed(content, allowed, post.author) {
            row.pass_over("somebody did what their roles do not allow".to_owned());
            return Ok(());
        }
        let is_own = post.author == self.user;
        if unit.add_post(post).await?
            && !is_own
            && let Some(seq) = post.seq
        {
            self.count_unread(row, content, allowed, seq);
        }
        if is_own {
            unit.dequeue_posting(self.user, post.chain, post.item).await?;
        }
        Ok(())
    }

    fn count_unread(
        &self,
        row: &mut ChannelRow,
        content: &Content,
        allowed: Permissions,
        seq: u64,
    ) {
        let Content::Text(text) = content else { return };
        if row.read.is_some_and(|read| seq <= read) {
            return;
        }
        row.unread = row.unread.saturating_add(1);
        let is_for_all = text.mentions_all && allowed.contain(Permissions::MENTION_ALL);
        if is_for_all || text.mentions.contains(&self.user) {
            row.mentions = row.mentions.saturating_add(1);
        }
    }

    async fn take_in_redact(
        &self,
        unit: &mut Unit,
        book: &Book,
        state: &State,
        row: &ChannelRow,
        post: Judged<'_>,
    ) -> Result<Step, ChainError> {
        let chain = row.chain();
        let Ok(claimed) = codec::decode::<Redact>(post.body) else {
            return Ok(Step::Passed("a redaction that cannot be read".to_owned()));
        };
        let mut targets = vec![];
        for seq in &claimed.targets {
            if let Some(placed) = unit.post_at(chain, *seq).await? {
                targets.push((*seq, placed.post));
            }
        }
        let author_of =
            |seq: u64| targets.iter().find(|(known, _)| *known == seq).map(|(_, post)| post.author);
        let redact = match judge_redact(state, self.books.histories(), post, author_of) {
            Ok(redact) => redact,
            Err(error) => return Ok(unposted(error)),
        };
        let reason = match &redact.reason {
            Some(sealed) => self.open_text(book, TextOf::Redaction(row.channel), sealed).await?,
            None => None,
        };
        for (_, target) in targets {
            let erased = Some(Erased { by: redact.user, reason: reason.clone() });
            unit.update_post(&Post { content: vec![], erased, ..target }).await?;
        }
        Ok(Step::Taken)
    }

    /// A body that the hub has dropped: a redaction after it says by whose word, or does not.
    async fn take_in_erased(
        &self,
        unit: &mut Unit,
        row: &mut ChannelRow,
        entry: &Entry,
        item: &Item,
    ) -> Result<Step, ChainError> {
        if item.kind != Kind::Message {
            return Ok(Step::Passed("an entry without its body".to_owned()));
        }
        // Who wrote it is not told any more: only which device signed. The next message of that device is linked to it all the same.
        let Some(device) = entry.signed.author().map(|key| key.device_id()) else {
            return Ok(Step::Taken);
        };
        let chain = row.chain();
        if let Some(author) = self.books.histories().owner_of(device) {
            unit.put_last_hash(chain, author, device, entry.signed.digest()).await?;
            let post = Post {
                chain,
                item: item.item_id,
                author,
                device,
                at: item.at,
                seq: Some(entry.seq),
                kind: Content::TEXT,
                content: vec![],
                state: MessageState::Read,
                reason: None,
                erased: Some(Erased { by: author, reason: None }),
                hash: Some(entry.hash()),
                doubt: None,
            };
            unit.add_post(&post).await?;
        }
        Ok(Step::Taken)
    }

    async fn known_sender(
        &self,
        unit: &mut Unit,
        chain: ChainId,
        id: SenderKeyId,
    ) -> Result<Option<InboundSenderKey>, StoreError> {
        let bytes = unit.sender_key(chain, id).await?;
        bytes
            .map(|bytes| {
                InboundSenderKey::from_bytes(&bytes)
                    .map_err(|_| StoreError::Damaged { table: "sender_key" })
            })
            .transpose()
    }

    /// What to do with something of an epoch whose secret is not here: wait while it may come, or pass over.
    fn without_keys(&self, keyring: &EpochKeyring, then: &State, place: EpochPlace) -> Step {
        if keyring.expected.contains(&place) {
            return Step::Wait;
        }
        let came_later = !then.is_in_audience(self.user, place.audience);
        if came_later {
            return Step::Taken;
        }
        Step::Passed(format!("the keys of epoch {} never came", place.epoch))
    }
}

/// Whether an entry of that hash stands before what comes next. A hash covers all entries before its own, so that one that does not stand here
/// means that the server shows its author another channel; or that the author lies, for which nobody is to be locked out: it is a doubt, and no
/// alarm.
async fn stands_before(
    unit: &mut Unit,
    reading: &Reading<'_>,
    row: &ChannelRow,
    hash: Digest,
) -> Result<bool, StoreError> {
    // An earlier version kept no hashes: what it took in cannot be told from what never was.
    let is_whole = row.hashes_from == Some(0);
    Ok(!is_whole
        || reading.passed.iter().rev().any(|passed| *passed == hash)
        || unit.has_channel_entry(row.chain(), hash).await?)
}

fn unposted(error: Unposted) -> Step {
    match error {
        Unposted::Misposted(Misposted::Forked) => {
            Step::Broken("a member has seen another log than this device was shown".to_owned())
        }
        Unposted::Misposted(error) => Step::Passed(error.to_string()),
        Unposted::Hold { .. } => Step::Hold,
    }
}

/// Whether its author may say that: what the hub cannot see, readers check.
fn is_allowed(content: &Content, allowed: Permissions, author: UserId) -> bool {
    match content {
        Content::Text(_) => allowed.contain(Permissions::POST),
        Content::Edit(edit) => edit.target.author == author && allowed.contain(Permissions::POST),
        Content::React(_) => allowed.contain(Permissions::REACT),
        Content::Pin(_) => allowed.contain(Permissions::PIN),
        Content::Unknown(_) => true,
    }
}

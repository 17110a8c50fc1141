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
    super::{Engine, chains::ChainError, expiry::why_deleted},
    book::Book,
};
use super::{
    EpochKeyring, Reading, Step,
    gathered::{Gathered, News},
};
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
    /// Judges one entry, of which its signatures say `item`.
    pub(super) async fn take_in_entry(
        &self,
        reading: &Reading<'_>,
        gathered: &mut Gathered,
        row: &mut ChannelRow,
        entry: &Entry,
        item: Result<Item, BrokenEntry>,
    ) -> Result<Step, ChainError> {
        let item = match entry.check_place(row.have).and(item) {
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
        // A channel that has ended since is in no later period: of it what was in force then says all.
        let newest = reading.book.state.as_ref();
        let now = newest.filter(|now| now.channels.contains_key(&row.channel)).unwrap_or(state);
        if let Err(error) = now.check_term(row.channel, entry) {
            return Ok(Step::Broken(format!("entry {} of a channel: {error}", entry.seq)));
        }
        let Some(body) = &entry.body else {
            return Ok(self.take_in_erased(gathered, entry, &item));
        };
        let post = Judged { signed: &entry.signed, item: &item, body: body.as_slice() };
        match item.kind {
            Kind::Announce => self.take_in_announce(reading, gathered, state, row, post).await,
            Kind::Message => self.take_in_message(reading, gathered, state, row, post, entry).await,
            Kind::Redact => {
                // It may be about what stands in this very page.
                gathered.write_posts(row).await?;
                self.take_in_redact(&mut gathered.unit, reading.book, state, row, post).await
            }
            Kind::UserStatement | Kind::Journal | Kind::CommunityStatement => {
                Ok(Step::Broken("an entry of another kind of chain".to_owned()))
            }
        }
    }

    async fn take_in_announce(
        &self,
        reading: &Reading<'_>,
        gathered: &mut Gathered,
        state: &State,
        row: &ChannelRow,
        post: Judged<'_>,
    ) -> Result<Step, ChainError> {
        let id = SenderKeyId::from_bytes(*post.item.item_id.as_bytes());
        let known = gathered.sender_key(row.chain(), id).await?;
        let judged = judge_announce(state, self.books.histories(), post, |_| {
            known.map(InboundSenderKey::usage)
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
                gathered.put_sender_key(header.sender_key, Box::new(key));
                Ok(Step::Taken)
            }
            Err(error) => Ok(Step::Passed(format!("a sender key: {error}"))),
        }
    }

    async fn take_in_message(
        &self,
        reading: &Reading<'_>,
        gathered: &mut Gathered,
        state: &State,
        row: &mut ChannelRow,
        post: Judged<'_>,
        entry: &Entry,
    ) -> Result<Step, ChainError> {
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
                gathered.put_last_hash(header.user, header.device, entry.signed.digest());
            }
            return Ok(step);
        }
        let known = gathered.sender_key(row.chain(), header.sender_key).await?;
        let judged = judge_message(state, self.books.histories(), post, |_| {
            known.map(InboundSenderKey::usage)
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
        gathered.put_sender_key(header.sender_key, opened.key);
        let message = opened.message;
        let doubt = self.doubt_of(gathered, row, entry, &message).await?;
        let post = self.post_of(entry, post.item, &message, doubt);
        self.keep_post(gathered, state, row, post, &message.content).await?;
        Ok(Step::Taken)
    }

    /// What a person should know of a message: whether its author had been shown something else than stands before it here.
    async fn doubt_of(
        &self,
        gathered: &mut Gathered,
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
        let last = gathered.last_hash(chain, header.user, header.device).await?;
        let is_linked = *own_prev == last;
        gathered.put_last_hash(header.user, header.device, entry.signed.digest());
        if !is_linked {
            if row.gaps.len() < MAX_GAPS {
                row.gaps.push(entry.seq);
            }
            return Ok(Some(WITHHELD.to_owned()));
        }
        let is_there = match seen {
            Some(seen) => stands_before(gathered, row, *seen).await?,
            None => true,
        };
        Ok((!is_there).then(|| REORDERED.to_owned()))
    }

    pub(in super::super) fn post_of(
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
        gathered: &mut Gathered,
        state: &State,
        row: &mut ChannelRow,
        post: Post,
        content: &Content,
    ) -> Result<(), StoreError> {
        let allowed = state.permissions_of(post.author, Some(row.channel));
        if !is_allowed(content, allowed, post.author) {
            row.pass_over("somebody did what their roles do not allow".to_owned());
            return Ok(());
        }
        if post.author == self.user {
            gathered.unit.dequeue_posting(self.user, post.chain, post.item).await?;
        }
        let news = self.news_of(row, &post, content, allowed);
        gathered.add_post(post, news);
        Ok(())
    }

    /// What a message is to this user, when it is new here.
    fn news_of(
        &self,
        row: &ChannelRow,
        post: &Post,
        content: &Content,
        allowed: Permissions,
    ) -> News {
        let Content::Text(text) = content else { return News::None };
        if post.author == self.user || self.read_through(row) >= post.seq {
            return News::None;
        }
        let is_for_all = text.mentions_all && allowed.contain(Permissions::MENTION_ALL);
        if is_for_all || text.mentions.contains(&self.user) {
            return News::Mention;
        }
        News::Unread
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
            let unsaid = (redact.user == target.author).then(|| why_deleted(&target, self.now()));
            let reason = reason.clone().or_else(|| unsaid.flatten());
            let erased = Some(Erased { by: redact.user, reason });
            unit.update_post(&Post { content: vec![], erased, ..target }).await?;
        }
        Ok(Step::Taken)
    }

    /// A body that the hub has dropped: a redaction after it says by whose word, or does not.
    fn take_in_erased(&self, gathered: &mut Gathered, entry: &Entry, item: &Item) -> Step {
        if item.kind != Kind::Message {
            return Step::Passed("an entry without its body".to_owned());
        }
        // Who wrote it is not told any more: only which device signed. The next message of that device is linked to it all the same.
        let Some(device) = entry.signed.author().map(|key| key.device_id()) else {
            return Step::Taken;
        };
        if let Some(author) = self.books.histories().owner_of(device) {
            gathered.put_last_hash(author, device, entry.signed.digest());
            let post = Post {
                chain: entry.chain,
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
            gathered.add_post(post, News::None);
        }
        Step::Taken
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
    gathered: &mut Gathered,
    row: &ChannelRow,
    hash: Digest,
) -> Result<bool, StoreError> {
    // An earlier version kept no hashes: what it took in cannot be told from what never was.
    let is_whole = row.hashes_from == Some(0);
    Ok(!is_whole
        || gathered.passed.iter().rev().any(|passed| *passed == hash)
        || gathered.unit.has_channel_entry(row.chain(), hash).await?)
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
pub(in super::super) fn is_allowed(
    content: &Content,
    allowed: Permissions,
    author: UserId,
) -> bool {
    match content {
        Content::Text(_) => allowed.contain(Permissions::POST),
        Content::Edit(edit) => edit.target.author == author && allowed.contain(Permissions::POST),
        Content::React(_) => allowed.contain(Permissions::REACT),
        Content::Pin(_) => allowed.contain(Permissions::PIN),
        Content::Unknown(_) => true,
    }
}

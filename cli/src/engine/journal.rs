//! The journal: what this user's devices keep for one another.
//!
//! It holds the archive of direct messages, each once by its id, and operations on the common state. A message that comes by the journal
//! while the device follows is not shown at once: the mailbox brings it as well, in the order of its author. Only what the mailbox has not
//! brought some time after it was empty is taken from the journal; and everything, when a new device reads the journal for the first time.

use std::time::Duration;

use rookery_protocol::{
    chain::Entry,
    id::ChainId,
    io::client::Client,
    request::chain::{AppendJournal, ReadChain, ReadError},
    time::Timestamp,
};

use super::{Engine, chains::ChainError, derived_item, refusal::failed};
use crate::{
    e2ee::{
        OsRandom,
        journal::{JournalError, JournalWriter, read_journal},
        journal_state::{Change, JournalState},
        payload::{Archive, Payload, Record, Text},
    },
    error::{CommandError, Kind},
    store::{JournalEntry, Message, MessageState, StoreError, Unit},
};

/// Entries read and written at once.
const PAGE: u32 = 256;
/// How long the mailbox has to bring a message that the journal has.
pub(super) const HOLD: Duration = Duration::from_secs(5);

/// Whether entries are read for the first time, or as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// From before this device was there: nothing else will bring them.
    Replay,
    /// While the device follows.
    Live,
}

/// The common state, folded from the operations that are known here.
pub(super) async fn fold(unit: &mut Unit) -> Result<JournalState, StoreError> {
    let mut state = JournalState::new();
    for bytes in unit.operations().await? {
        if let Record::Op(op) = Record::decode(&bytes) {
            state.apply(&op);
        }
    }
    Ok(state)
}

impl Engine {
    /// Reads the journal for the first time on this device.
    pub(super) async fn replay_journal(&self, client: &Client) -> Result<(), CommandError> {
        self.fetch_journal(client, Arrival::Replay).await?;
        let mut unit = self.store.write().await?;
        let head = unit.journal_head().await?;
        unit.mark_journal(head).await?;
        Ok(unit.commit().await?)
    }

    /// Fetches what is missing of the journal.
    pub(super) async fn fetch_journal(
        &self,
        client: &Client,
        arrival: Arrival,
    ) -> Result<(), ChainError> {
        let chain = ChainId::of_journal(self.user);
        loop {
            let after = self.store.read().await?.journal_head().await?.map(|head| head.seq);
            let page = match client.call(&ReadChain { chain, after, limit: PAGE }).await {
                Ok(page) => page,
                // Nobody has written yet.
                Err(rookery_protocol::io::client::CallError::Request(ReadError::NotFound)) => {
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            let is_last = !page.more || page.entries.is_empty();
            self.take_in_journal(client, page.entries, arrival).await?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Takes in entries that follow one another.
    pub(super) async fn take_in_journal(
        &self,
        client: &Client,
        entries: Vec<Entry>,
        arrival: Arrival,
    ) -> Result<(), ChainError> {
        let mut unit = self.store.write().await?;
        let Some(mut own) = unit.person(self.user).await? else { return Err(ChainError::NotFound) };
        let mut ring = unit.per_user_keys().await?;
        let mut head = unit.journal_head().await?;
        let mut has_messages = false;
        for entry in entries {
            if head.is_some_and(|head| entry.seq <= head.seq) {
                continue;
            }
            if entry.verify_after(head.map(Into::into)).is_err() {
                if head.map_or(0, |head| head.seq.saturating_add(1)) < entry.seq {
                    // Something is missing: it is fetched, this entry with it.
                    drop(unit);
                    return Box::pin(self.fetch_journal(client, arrival)).await;
                }
                return Err(ChainError::Call(CommandError::new(
                    Kind::Trust,
                    "the server shows a journal that does not hold",
                )));
            }
            let mut read = ring.as_ref().map(|ring| read_journal(ring, &own, &entry));
            if matches!(
                read,
                None | Some(Err(JournalError::UnknownGeneration { .. } | JournalError::NotOurs))
            ) {
                // A device or a generation that is newer than what is here.
                unit.mark_journal(head).await?;
                unit.commit().await?;
                own = self.fetch_chain(client, self.user).await?;
                unit = self.store.write().await?;
                ring = unit.per_user_keys().await?;
                read = ring.as_ref().map(|ring| read_journal(ring, &own, &entry));
            }
            match read {
                Some(Ok(item)) => {
                    let record = Record::decode(&item.plaintext);
                    has_messages |=
                        self.take_in_record(&mut unit, record, &item.plaintext, arrival).await?;
                    unit.settle_journal(item.item).await?;
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, seq = entry.seq, "an entry of the journal was passed over");
                }
                None => tracing::debug!(
                    seq = entry.seq,
                    "an entry of the journal is from before this device; it was passed over"
                ),
            }
            head = Some(entry.seen().into());
        }
        unit.mark_journal(head).await?;
        unit.commit().await?;
        if has_messages {
            self.timeline_changed();
        }
        Ok(())
    }

    /// Says whether the timeline has changed.
    async fn take_in_record(
        &self,
        unit: &mut Unit,
        record: Record,
        plaintext: &[u8],
        arrival: Arrival,
    ) -> Result<bool, StoreError> {
        match record {
            Record::Archive(archive) => {
                let Some(message) = self.archived_message(archive) else { return Ok(false) };
                let is_known = unit
                    .message(message.conversation, message.author, message.item)
                    .await?
                    .is_some();
                match arrival {
                    _ if is_known => Ok(false),
                    Arrival::Replay => Ok(unit.add_message(&message).await?.is_some()),
                    Arrival::Live => {
                        unit.hold_archived(&message, self.now()).await?;
                        Ok(false)
                    }
                }
            }
            Record::Op(op) => {
                let stamp = rookery_protocol::codec::encode(&op.stamp);
                unit.add_operation(&stamp, plaintext).await?;
                self.journal().apply(&op);
                self.apply_change(unit, &op.change).await
            }
            _ => Ok(false),
        }
    }

    fn archived_message(&self, archive: Archive) -> Option<Message> {
        let Payload::Text(text) = archive.payload else { return None };
        // What was archived had come as far as this at least.
        let state =
            if archive.from == self.user { MessageState::Sent } else { MessageState::Received };
        Some(Message {
            conversation: archive.peer,
            item: archive.message,
            author: archive.from,
            device: archive.device,
            at: archive.at,
            text: text.text,
            state,
            reason: None,
            waits: None,
            stays: text.stays,
            file: text.file.filter(|file| file.is_possible()),
        })
    }

    /// What another device's change means for rows of this one.
    async fn apply_change(&self, unit: &mut Unit, change: &Change) -> Result<bool, StoreError> {
        match change {
            Change::Pin(pin) => {
                if let Some(mut contact) = unit.contact(pin.user).await? {
                    let known = contact.pin.take();
                    let verified_at =
                        pin.verified_at.or(known.as_ref().and_then(|known| known.verified_at));
                    let head = known.as_ref().map_or(pin.head, |known| known.head);
                    contact.pin =
                        Some(crate::e2ee::verify::Pin { head, verified_at, ..pin.clone() });
                    unit.put_contact(&contact).await?;
                }
                Ok(false)
            }
            Change::ReadMark { peer, at, .. } => {
                self.mark_read_to(unit, *peer, *at).await?;
                Ok(true)
            }
            Change::Unread { .. } => Ok(true),
            Change::ChannelRead { community, channel, seq } => {
                self.count_channel(unit, ChainId::of_channel(*community, *channel), Some(*seq))
                    .await
            }
            Change::ChannelUnread { community, channel, .. } => {
                self.count_channel(unit, ChainId::of_channel(*community, *channel), None).await
            }
            _ => Ok(false),
        }
    }

    /// Counts a channel anew that another device has read through a place, or wants to count as unread; says whether it is here.
    async fn count_channel(
        &self,
        unit: &mut Unit,
        chain: ChainId,
        read: Option<u64>,
    ) -> Result<bool, StoreError> {
        let Some(row) = unit.channel(chain).await? else { return Ok(false) };
        let row = crate::store::ChannelRow { read: row.read.max(read), ..row };
        let row = self.counted(unit, row).await?;
        unit.put_channel(&row).await?;
        Ok(true)
    }

    /// Marks what `peer` wrote up to `at` as read here.
    async fn mark_read_to(
        &self,
        unit: &mut Unit,
        peer: rookery_protocol::id::UserId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let page = unit.page(crate::store::Page::Last { conversation: peer, count: 200 }).await?;
        for placed in page {
            let message = placed.message;
            if message.author == peer && message.at <= at && message.state == MessageState::Received
            {
                unit.move_message(peer, peer, message.item, MessageState::Read, None).await?;
            }
        }
        Ok(())
    }

    /// Owes the archive a message, unless archiving is off or the message does not stay; says whether it does.
    pub(super) async fn owe_archive(
        &self,
        unit: &mut Unit,
        message: &Message,
    ) -> Result<bool, StoreError> {
        if message.stays.is_some()
            || !self.account().archive
            || !self.journal().archives(message.conversation)
        {
            return Ok(false);
        }
        let archive = Archive {
            peer: message.conversation,
            message: message.item,
            from: message.author,
            device: message.device,
            at: message.at,
            payload: Payload::Text(Text {
                text: message.text.clone(),
                reply_to: None,
                stays: None,
                file: message.file.clone(),
            }),
        };
        let parts: [&[u8]; 3] =
            [message.conversation.as_bytes(), message.author.as_bytes(), message.item.as_bytes()];
        let item = derived_item("journal/archive", &parts);
        unit.owe_journal(&JournalEntry { item, operation: Record::Archive(archive).encode() })
            .await?;
        Ok(true)
    }

    /// Makes a change of the common state: it counts here at once, and goes into the journal.
    pub(super) async fn change_common(
        &self,
        unit: &mut Unit,
        change: Change,
    ) -> Result<(), StoreError> {
        let op = {
            let mut journal = self.journal();
            let op = journal.stamp(change, self.device, self.now());
            journal.apply(&op);
            op
        };
        let stamp = rookery_protocol::codec::encode(&op.stamp);
        let record = Record::Op(op).encode();
        unit.add_operation(&stamp, &record).await?;
        unit.owe_journal(&JournalEntry {
            item: derived_item("journal/operation", &[&stamp]),
            operation: record,
        })
        .await
    }

    /// Appends what is owed to the journal.
    pub(super) async fn write_journal(&self, client: &Client) -> Result<(), CommandError> {
        loop {
            let mut unit = self.store.read().await?;
            let owed = unit.journal_owed(PAGE).await?;
            if owed.is_empty() {
                return Ok(());
            }
            let Some(ring) = unit.per_user_keys().await? else { return Ok(()) };
            let seen = unit.journal_head().await?.map(Into::into);
            drop(unit);
            let writer = JournalWriter { user: self.user, ring: &ring, device: &self.secrets };
            let (mut items, mut size) = (vec![], 0_usize);
            let mut settled = vec![];
            for entry in owed {
                let written =
                    writer.write(entry.item, &entry.operation, seen, self.now(), &mut OsRandom);
                settled.push(entry.item);
                match written {
                    Ok(item) => {
                        size = size.saturating_add(item.body.len()).saturating_add(512);
                        items.push(item);
                    }
                    // Longer than a body: nobody will ever take it.
                    Err(error) => tracing::warn!(%error, "something is too long for the journal"),
                }
                if size > BATCH {
                    break;
                }
            }
            if !items.is_empty() {
                client
                    .call_watched(&AppendJournal { items })
                    .await
                    .map_err(|error| failed(Kind::Failed, error))?;
            }
            let mut unit = self.store.write().await?;
            for item in settled {
                unit.settle_journal(item).await?;
            }
            unit.commit().await?;
        }
    }

    /// Shows messages that the journal has and the mailbox did not bring in time.
    pub(super) async fn release_archived(&self) -> Result<bool, StoreError> {
        let before = Timestamp::from_millis(
            self.now().as_millis().saturating_sub(u64::try_from(HOLD.as_millis()).unwrap_or(0)),
        );
        let mut unit = self.store.write().await?;
        let messages = unit.archived_before(before, PAGE).await?;
        let mut changed = false;
        for message in &messages {
            changed |= unit.add_message(message).await?.is_some();
            unit.release_archived(message.conversation, message.author, message.item).await?;
        }
        unit.commit().await?;
        if changed {
            self.timeline_changed();
        }
        Ok(!messages.is_empty())
    }
}

/// A request of this size is sent before it grows: well below what the home takes at once.
const BATCH: usize = 512 * 1024;

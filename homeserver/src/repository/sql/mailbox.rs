//! Mailboxes: the hot path. A batch takes four queries however many messages it holds, each prepared once for each power of two of rows.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use rookery_protocol::{
    id::{DeviceId, ItemId, UserId},
    time::Timestamp,
};
use sqlx::query;

use super::{
    HEADS, HOLD_HEADS, Handle, MESSAGES, Query, ROWS, Row,
    many::Many,
    row::{Cells, to_row},
};
use crate::repository::{
    Limit, Page, StorageError,
    mailbox::{
        Deposit, Deposited, Letter, MailboxHead, MailboxLimits, MailboxRepository, MailboxView,
        Waiting,
    },
};

#[async_trait]
impl MailboxView for Handle {
    async fn mailbox_head(&mut self, device: DeviceId) -> Result<MailboxHead, StorageError> {
        let text = "SELECT last, waiting, bytes FROM mailbox_head WHERE device = $1";
        let row = self.first(query(text).bind(&device.as_bytes()[..])).await?;
        row.as_ref().map_or(Ok(MailboxHead::default()), head_of)
    }

    async fn waiting(
        &mut self,
        device: DeviceId,
        after: u64,
        limit: Limit,
    ) -> Result<Page<Waiting>, StorageError> {
        let text = "SELECT position, at, envelope FROM mailbox
                    WHERE device = $1 AND position > $2 ORDER BY position LIMIT $3";
        let select = query(text)
            .bind(&device.as_bytes()[..])
            .bind(to_row(after))
            .bind(i64::from(limit.rows).saturating_add(1));
        let size = |row: &Row| Ok(Cells::of("mailbox", row).bytes(2)?.len());
        let page = self.page(select, limit, size).await?;
        let read = |row: &Row| {
            let cells = Cells::of("mailbox", row);
            let envelope = cells.bytes(2)?.to_vec();
            Ok(Waiting { position: cells.number(0)?, at: cells.time(1)?, envelope })
        };
        let rows = page.rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Page { rows, more: page.more })
    }

    async fn deposited(
        &mut self,
        sender: UserId,
        message: ItemId,
    ) -> Result<Option<Timestamp>, StorageError> {
        let text = "SELECT at FROM message WHERE item = $1 AND sender = $2";
        let select = query(text).bind(&message.as_bytes()[..]).bind(&sender.as_bytes()[..]);
        let row = self.first(select).await?;
        row.as_ref().map(|row| Cells::of("message", row).time(0)).transpose()
    }
}

#[async_trait]
impl MailboxRepository for Handle {
    async fn deposit(
        &mut self,
        batch: Vec<Deposit>,
        limits: MailboxLimits,
    ) -> Result<Vec<Deposited>, StorageError> {
        let stored = self.stored(&batch).await?;
        let heads = self.heads(&batch).await?;
        let mut ledger = Ledger { stored, heads, limits, messages: vec![], rows: vec![] };
        let outcomes = batch.into_iter().map(|deposit| ledger.enter(deposit)).collect();
        self.write(ledger).await?;
        Ok(outcomes)
    }

    async fn acknowledge(&mut self, through: &[(DeviceId, u64)]) -> Result<(), StorageError> {
        let mut furthest: BTreeMap<DeviceId, u64> = BTreeMap::new();
        for (device, through) in through {
            let known = furthest.entry(*device).or_default();
            *known = (*known).max(*through);
        }
        self.hold_heads(furthest.keys()).await?;
        let bind = |query: Query<'static>, (device, through): (&DeviceId, &u64)| {
            query.bind(device.as_bytes().to_vec()).bind(to_row(*through))
        };
        self.execute_many(&SHRINK, &furthest, bind).await?;
        self.execute_many(&ERASE, &furthest, bind).await.map(|_| ())
    }
}

impl Handle {
    /// When those messages of `batch` were stored that were.
    async fn stored(&mut self, batch: &[Deposit]) -> Result<HashMap<Key, Timestamp>, StorageError> {
        let bind = |query: Query<'static>, deposit: &Deposit| {
            query.bind(deposit.message.as_bytes().to_vec()).bind(deposit.sender.as_bytes().to_vec())
        };
        let read = |row: &Row| {
            let cells = Cells::of("message", row);
            let key = (cells.id(0, ItemId::from_slice)?, cells.id(1, UserId::from_slice)?);
            Ok((key, cells.time(2)?))
        };
        self.all_many(&STORED, batch, bind).await?.iter().map(read).collect()
    }

    /// Where the mailboxes stand that `batch` is for. With PostgreSQL they are held until the unit ends.
    async fn heads(&mut self, batch: &[Deposit]) -> Result<Heads, StorageError> {
        let mut heads: Heads = BTreeMap::new();
        for letter in batch.iter().flat_map(|deposit| &deposit.letters) {
            let new = Standing { user: letter.user, head: MailboxHead::default(), changed: false };
            heads.entry(letter.device).or_insert(new);
        }
        let bind = |query: Query<'static>, (number, (device, standing)): Numbered<'_>| {
            query
                .bind(to_row(number))
                .bind(device.as_bytes().to_vec())
                .bind(standing.user.as_bytes().to_vec())
        };
        let rows = self.all_many(&HEADS, heads.iter().enumerate(), bind).await?;
        // One row holds the numbers of many: a row costs more than what is in it.
        let mut found: HashMap<usize, MailboxHead> = HashMap::with_capacity(heads.len());
        for row in &rows {
            let cells = Cells::of("mailbox_head", row);
            let Some(text) = cells.text_if_any(0)? else { continue };
            let numbers = text.split(' ').map(str::parse).collect::<Result<Vec<u64>, _>>();
            for numbers in numbers.map_err(|_| cells.impossible())?.chunks(4) {
                let &[number, last, count, bytes] = numbers else { return Err(cells.impossible()) };
                let number = usize::try_from(number).map_err(|_| cells.impossible())?;
                found.insert(number, MailboxHead { last, count, bytes });
            }
        }
        for (number, standing) in heads.values_mut().enumerate() {
            standing.head = found.remove(&number).unwrap_or_default();
        }
        Ok(heads)
    }

    /// Holds the heads of mailboxes against other nodes.
    async fn hold_heads(
        &mut self,
        devices: impl ExactSizeIterator<Item = &DeviceId> + Send,
    ) -> Result<(), StorageError> {
        if let Some(hold) = &HOLD_HEADS {
            let bind =
                |query: Query<'static>, device: &DeviceId| query.bind(device.as_bytes().to_vec());
            self.all_many(hold, devices, bind).await?;
        }
        Ok(())
    }

    /// Writes what the ledger has come to.
    async fn write(&mut self, ledger: Ledger) -> Result<(), StorageError> {
        let Ledger { mut heads, mut messages, rows, .. } = ledger;
        heads.retain(|_, standing| standing.changed);
        let bind = |query: Query<'static>, (device, standing): (&DeviceId, &Standing)| {
            query
                .bind(device.as_bytes().to_vec())
                .bind(standing.user.as_bytes().to_vec())
                .bind(to_row(standing.head.last))
                .bind(to_row(standing.head.count))
                .bind(to_row(standing.head.bytes))
        };
        self.execute_many(&SET_HEADS, &heads, bind).await?;
        messages.sort_unstable();
        let expected = u64::try_from(messages.len()).unwrap_or(u64::MAX);
        let bind = |query: Query<'static>, ((item, sender), at): (Key, Timestamp)| {
            query.bind(item.as_bytes().to_vec()).bind(sender.as_bytes().to_vec()).bind(at.to_row())
        };
        if self.execute_many(&MESSAGES, messages, bind).await? != expected {
            return Err(self.meet());
        }
        let bind = |query: Query<'static>, row: Entered| {
            query
                .bind(row.device.as_bytes().to_vec())
                .bind(to_row(row.position))
                .bind(row.at.to_row())
                .bind(to_row(row.envelope.len()))
                .bind(row.envelope)
        };
        self.execute_many(&ROWS, rows, bind).await.map(|_| ())
    }
}

/// A message, as its rows are ordered: by its id first, which rises with time.
type Key = (ItemId, UserId);

/// A mailbox of a batch, and which it is.
type Numbered<'h> = (usize, (&'h DeviceId, &'h Standing));

/// In one order for all nodes, so that two never wait for each other.
type Heads = BTreeMap<DeviceId, Standing>;

struct Standing {
    user: UserId,
    head: MailboxHead,
    changed: bool,
}

/// An envelope that has got its place.
struct Entered {
    device: DeviceId,
    position: u64,
    at: Timestamp,
    envelope: Vec<u8>,
}

/// Decides what becomes of a batch, message by message, before anything is written.
struct Ledger {
    stored: HashMap<Key, Timestamp>,
    heads: Heads,
    limits: MailboxLimits,
    messages: Vec<(Key, Timestamp)>,
    rows: Vec<Entered>,
}

impl Ledger {
    fn enter(&mut self, deposit: Deposit) -> Deposited {
        let key = (deposit.message, deposit.sender);
        if let Some(at) = self.stored.get(&key) {
            return Deposited::Duplicate { at: *at };
        }
        let devices: Vec<DeviceId> = deposit
            .letters
            .iter()
            .filter(|letter| !self.fits(letter))
            .map(|letter| letter.device)
            .collect();
        if !devices.is_empty() {
            return Deposited::Full { devices };
        }
        self.stored.insert(key, deposit.at);
        self.messages.push((key, deposit.at));
        let positions =
            deposit.letters.into_iter().map(|letter| self.put(letter, deposit.at)).collect();
        Deposited::Stored { positions }
    }

    fn fits(&self, letter: &Letter) -> bool {
        let head = self.heads.get(&letter.device).map(|standing| standing.head).unwrap_or_default();
        let bytes = head.bytes.saturating_add(letter.size());
        head.count < self.limits.count && bytes <= self.limits.bytes
    }

    fn put(&mut self, letter: Letter, at: Timestamp) -> u64 {
        let new = Standing { user: letter.user, head: MailboxHead::default(), changed: false };
        let standing = self.heads.entry(letter.device).or_insert(new);
        standing.changed = true;
        let position = standing.head.put(letter.size());
        self.rows.push(Entered { device: letter.device, position, at, envelope: letter.envelope });
        position
    }
}

/// Acknowledging.
pub(super) static ERASE: Many = Many::new(
    "WITH through (device, position) AS (",
    2,
    ") DELETE FROM mailbox WHERE (device, position) IN
       (SELECT mailbox.device, mailbox.position FROM through CROSS JOIN mailbox
        WHERE mailbox.device = through.device AND mailbox.position <= through.position)",
);
/// What goes no longer counts.
pub(super) static SHRINK: Many = Many::new(
    "WITH through (device, position) AS (",
    2,
    "), freed AS (
         SELECT through.device, COUNT(*) AS waiting, CAST(SUM(mailbox.size) AS BIGINT) AS bytes
         FROM through CROSS JOIN mailbox
         WHERE mailbox.device = through.device AND mailbox.position <= through.position
         GROUP BY through.device
     )
     UPDATE mailbox_head SET waiting = mailbox_head.waiting - freed.waiting,
                             bytes = mailbox_head.bytes - freed.bytes
     FROM freed WHERE mailbox_head.device = freed.device",
);
/// Which messages were stored before.
pub(super) static STORED: Many = Many::new(
    "WITH wanted (item, sender) AS (",
    2,
    ") SELECT message.item, message.sender, message.at FROM wanted CROSS JOIN message
     WHERE message.item = wanted.item AND message.sender = wanted.sender",
);
/// Where mailboxes stand after a batch.
pub(super) static SET_HEADS: Many = Many::new(
    "INSERT INTO mailbox_head (device, user_id, last, waiting, bytes)",
    5,
    " ON CONFLICT (device) DO UPDATE
      SET last = excluded.last, waiting = excluded.waiting, bytes = excluded.bytes",
);
fn head_of(row: &Row) -> Result<MailboxHead, StorageError> {
    let cells = Cells::of("mailbox_head", row);
    Ok(MailboxHead { last: cells.number(0)?, count: cells.number(1)?, bytes: cells.number(2)? })
}

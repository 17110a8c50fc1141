//! Mailboxes.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rookery_protocol::{
    id::{DeviceId, ItemId, UserId},
    time::Timestamp,
};

use super::{Handle, Mailbox, Rows};
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
        Ok(self.rows().head(device))
    }

    async fn waiting(
        &mut self,
        device: DeviceId,
        after: u64,
        limit: Limit,
    ) -> Result<Page<Waiting>, StorageError> {
        let rows = self.rows();
        let mut page = Page { rows: vec![], more: false };
        let mut bytes = 0_usize;
        let Some(mailbox) = rows.mailboxes.get(&device) else { return Ok(page) };
        for (_, waiting) in mailbox.waiting.range(after.saturating_add(1)..) {
            if page.rows.len() >= limit.rows as usize
                || (bytes >= limit.bytes && !page.rows.is_empty())
            {
                page.more = true;
                break;
            }
            bytes = bytes.saturating_add(waiting.envelope.len());
            page.rows.push(waiting.clone());
        }
        Ok(page)
    }

    async fn deposited(
        &mut self,
        sender: UserId,
        message: ItemId,
    ) -> Result<Option<Timestamp>, StorageError> {
        Ok(self.rows().messages.get(&(sender, message)).copied())
    }
}

#[async_trait]
impl MailboxRepository for Handle {
    async fn deposit(
        &mut self,
        batch: Vec<Deposit>,
        limits: MailboxLimits,
    ) -> Result<Vec<Deposited>, StorageError> {
        let rows = self.change()?;
        Ok(batch.into_iter().map(|deposit| rows.deposit(deposit, limits)).collect())
    }

    async fn acknowledge(&mut self, through: &[(DeviceId, u64)]) -> Result<(), StorageError> {
        let rows = self.change()?;
        for (device, through) in through {
            let Some(mailbox) = rows.mailboxes.get_mut(device) else { continue };
            let kept = mailbox.waiting.split_off(&through.saturating_add(1));
            let gone = std::mem::replace(&mut mailbox.waiting, kept);
            for waiting in gone.values() {
                mailbox.head.forget(length(waiting.envelope.len()));
            }
        }
        Ok(())
    }
}

impl Rows {
    fn head(&self, device: DeviceId) -> MailboxHead {
        self.mailboxes.get(&device).map(|mailbox| mailbox.head).unwrap_or_default()
    }

    fn deposit(&mut self, deposit: Deposit, limits: MailboxLimits) -> Deposited {
        let key = (deposit.sender, deposit.message);
        if let Some(at) = self.messages.get(&key) {
            return Deposited::Duplicate { at: *at };
        }
        let over = |letter: &&Letter| {
            let head = self.head(letter.device);
            let bytes = head.bytes.saturating_add(letter.size());
            head.count >= limits.count || bytes > limits.bytes
        };
        let devices: Vec<_> =
            deposit.letters.iter().filter(over).map(|letter| letter.device).collect();
        if !devices.is_empty() {
            return Deposited::Full { devices };
        }
        self.messages.insert(key, deposit.at);
        let positions =
            deposit.letters.into_iter().map(|letter| self.put(letter, deposit.at)).collect();
        Deposited::Stored { positions }
    }

    fn put(&mut self, letter: Letter, at: Timestamp) -> u64 {
        let mailbox = self.mailboxes.entry(letter.device).or_insert_with(|| Mailbox {
            user: letter.user,
            head: MailboxHead::default(),
            waiting: BTreeMap::new(),
        });
        let position = mailbox.head.put(letter.size());
        mailbox.waiting.insert(position, Waiting { position, at, envelope: letter.envelope });
        position
    }
}

fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

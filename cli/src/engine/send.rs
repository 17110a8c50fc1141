//! Writing a message down, and waiting for how far it comes.

mod wait;

use std::time::Duration;

use rookery_protocol::{
    id::{ItemId, UserId},
    request::message::Purpose,
};
use tokio::time::Instant;

use self::wait::Awaited;
use super::{
    Engine,
    file::{FileOrder, Reporter, kept_size},
    new_item,
};
use crate::{
    e2ee::payload::{Payload, Stay, Text},
    error::{CommandError, Kind},
    store::{ContactRow, Message, MessageState, Outgoing, StoreError, Transfer, TransferTask},
};

/// How long `send` waits by default for the home's answer.
const SENT_PATIENCE: Duration = Duration::from_secs(30);
/// The longest message, in bytes: what fits into an envelope with its padding.
pub const MAX_MESSAGE: usize = 32 * 1024;

/// A message that somebody wants sent.
#[derive(Clone, Debug)]
pub struct SendOrder {
    /// To whom, as it was typed.
    pub to: String,
    /// What it says.
    pub text: String,
    /// The id that was asked for.
    pub label: Option<String>,
    /// How far it has to come.
    pub until: MessageState,
    /// How long to wait for that.
    pub timeout: Option<Duration>,
    /// Whether it may wait in the outbox when there is no connection.
    pub is_queued: bool,
    /// For how long it stays.
    pub staying: Staying,
    /// The file that goes with it.
    pub file: Option<FileOrder>,
    /// Whom it is told how far that has come.
    pub tell: Reporter,
}

/// For how long a message is to stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Staying {
    /// As the conversation's setting says.
    #[default]
    AsSet,
    /// For ever, whatever that says.
    ForEver,
    /// So long.
    For(Stay),
}

impl Staying {
    /// For how long, where the conversation's setting is `set`.
    pub(super) const fn under(self, set: Option<Stay>) -> Option<Stay> {
        match self {
            Self::AsSet => set,
            Self::ForEver => None,
            Self::For(stay) => Some(stay),
        }
    }
}

impl Engine {
    /// Writes a message down, and waits until it has come as far as was asked. Gives the message and its receiver's address.
    pub async fn send(&self, order: SendOrder) -> Result<(Message, String), CommandError> {
        let started = Instant::now();
        self.check_order(&order).await?;
        let contact = if order.is_queued {
            self.receiver_named(&order.to).await?
        } else {
            self.person_named(&order.to).await?
        };
        self.send_to(contact, order, started).await
    }

    /// Refuses what cannot be sent, whomever it is for.
    pub(super) async fn check_order(&self, order: &SendOrder) -> Result<(), CommandError> {
        if order.text.len() > MAX_MESSAGE {
            return Err(wrong_length(&order.text));
        }
        if !self.is_certified() || !order.is_queued {
            self.online().await?;
        }
        Ok(())
    }

    /// The same to somebody who is known, whatever the order calls them; it was begun at `started`.
    pub(super) async fn send_to(
        &self,
        contact: ContactRow,
        order: SendOrder,
        started: Instant,
    ) -> Result<(Message, String), CommandError> {
        if contact.name_moved {
            return Err(CommandError::new(Kind::Trust, format!("{} is not who they were: the name has come to stand for somebody else; nothing was sent", contact.address()))
                .hint("compare safety numbers by `rookery verify`, then `rookery contact accept` takes the new person on"));
        }
        let item = self.item_of(order.label.as_deref());
        if order.text.is_empty()
            && order.file.is_none()
            && !self.has_file(contact.user, item).await?
        {
            return Err(wrong_length(&order.text));
        }
        let stays = order.staying.under(self.stay_with(contact.user));
        let file = self.enclose(order.file).await?;
        let has_file = file.is_some();
        let text = Text { text: order.text, reply_to: None, stays, file };
        let contact = self.write_message(contact, item, text).await?;
        self.timeline_changed();
        self.outbox_wake.notify_one();
        if has_file {
            self.transfers_wake.notify_one();
            let task = TransferTask::ForPerson { to: contact.user, item };
            self.wait_uploaded(task, &order.tell, order.timeout).await?;
        }
        // How long a file takes is the line's to say: the home's answer is waited for from then on.
        let begun = if has_file && order.timeout.is_none() { Instant::now() } else { started };
        let patience =
            order.timeout.or((order.until == MessageState::Sent).then_some(SENT_PATIENCE));
        let patience = patience.map(|patience| patience.saturating_sub(begun.elapsed()));
        let awaited = Awaited {
            item,
            state: order.until,
            is_queued: order.is_queued,
            is_patient: order.timeout.is_some(),
        };
        let address = contact.address();
        let message = self.wait_for(awaited, contact, patience).await?;
        Ok((message, address))
    }

    /// The id of a message: what was asked for, or a new one.
    pub(super) fn item_of(&self, label: Option<&str>) -> ItemId {
        label.map_or_else(new_item, |label| ItemId::from_label(label, self.device))
    }

    /// Whether a message that was written here before has a file, so that the same order again is one to send that.
    async fn has_file(&self, to: UserId, item: ItemId) -> Result<bool, StoreError> {
        let known = self.store.read().await?.message(to, self.user, item).await?;
        Ok(known.is_some_and(|known| known.message.file.is_some()))
    }

    /// Puts the message into the timeline and the outbox at once, unless it is there. Gives whom it is for by now.
    async fn write_message(
        &self,
        contact: ContactRow,
        item: ItemId,
        mut text: Text,
    ) -> Result<ContactRow, StoreError> {
        let mut unit = self.store.write().await?;
        let contact = if contact.is_unmet() {
            // They may have been met since they were looked for.
            let known = match &contact.name {
                Some(name) => unit.contact_named(name, &contact.server).await?,
                None => None,
            };
            if let Some(known) = known {
                known
            } else {
                unit.put_contact(&contact).await?;
                contact
            }
        } else {
            unit.adopt_unmet(self.user, &contact).await?;
            contact
        };
        let to = contact.user;
        let at = match unit.message(to, self.user, item).await? {
            Some(known) if known.message.state == MessageState::Failed => {
                // The same order again is another try.
                unit.move_message(to, self.user, item, MessageState::Queued, None).await?;
                if text.file.is_some() {
                    unit.replace_file(to, self.user, item, text.file.clone()).await?;
                } else {
                    text.file = known.message.file;
                }
                known.message.at
            }
            Some(_) => {
                unit.commit().await?;
                if let Some(file) = &text.file {
                    self.discard(file.file);
                }
                return Ok(contact);
            }
            None => {
                let at = unit.next_time(to, self.user, self.now()).await?;
                let message = Message {
                    conversation: to,
                    item,
                    author: self.user,
                    device: self.device,
                    at,
                    text: text.text.clone(),
                    state: MessageState::Queued,
                    reason: None,
                    waits: None,
                    stays: text.stays,
                    file: text.file.clone(),
                };
                unit.add_message(&message).await?;
                at
            }
        };
        if let Some(file) = &text.file {
            let task = TransferTask::ForPerson { to, item };
            unit.put_transfer(self.user, &Transfer::new(file.file, task, kept_size(file))).await?;
        }
        let payload = Payload::Text(text);
        let outgoing =
            Outgoing { since: at, ..self.outgoing(to, item, Purpose::Message, &payload) };
        unit.enqueue(self.user, &outgoing).await?;
        self.share_heads(&mut unit, to).await?;
        unit.commit().await?;
        Ok(contact)
    }
}

/// What is said of a text that is no message's.
pub(super) fn wrong_length(text: &str) -> CommandError {
    let what = format!("a message has 1 to {MAX_MESSAGE} bytes, and this one has {}", text.len());
    CommandError::new(Kind::Usage, what)
}

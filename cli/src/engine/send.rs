//! Writing a message down, and waiting for how far it comes.

use std::{sync::Mutex, time::Duration};

use rookery_protocol::{
    id::{ItemId, UserId},
    request::message::Purpose,
};

use tokio::time::Instant;

use super::{
    Engine, Link,
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
/// A message's text, in bytes: what fits into an envelope with its padding.
/// The longest message, in bytes.
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

/// What is waited for.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    item: ItemId,
    state: MessageState,
    /// Whether it may wait in the outbox.
    is_queued: bool,
    /// Whether the time was asked for: then it is used up, even without a connection.
    is_patient: bool,
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
        let item = order
            .label
            .as_deref()
            .map_or_else(new_item, |label| ItemId::from_label(label, self.device));
        if order.text.is_empty()
            && order.file.is_none()
            && !self.has_file(contact.user, item).await?
        {
            return Err(wrong_length(&order.text));
        }
        let stays = order.staying.under(self.stay_with(contact.user));
        let file = match order.file {
            Some(file) => Some(Box::new(self.enclose(file).await?)),
            None => None,
        };
        let has_file = file.is_some();
        let text = Text { text: order.text, reply_to: None, stays, file };
        let contact = self.write_message(contact, item, text).await?;
        self.timeline_changed();
        self.outbox_wake.notify_one();
        if has_file {
            self.transfers_wake.notify_one();
            let task = TransferTask::ForPerson { to: contact.user, item };
            let sent = self.wait_uploaded(task, &order.tell);
            match order.timeout {
                Some(time) => drop(tokio::time::timeout(time, sent).await),
                None => sent.await?,
            }
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

    /// Waits until the message is in the state that was asked for, or further.
    async fn wait_for(
        &self,
        awaited: Awaited,
        contact: ContactRow,
        patience: Option<Duration>,
    ) -> Result<Message, CommandError> {
        let trouble = Mutex::new(None);
        let wait = self.wait_long_for(awaited, contact, &trouble);
        let Some(patience) = patience else { return wait.await };
        match tokio::time::timeout(patience, wait).await {
            Ok(outcome) => outcome,
            Err(_) => Err(late(awaited, trouble.into_inner().unwrap_or_default())),
        }
    }

    async fn wait_long_for(
        &self,
        awaited: Awaited,
        mut contact: ContactRow,
        last: &Mutex<Option<CommandError>>,
    ) -> Result<Message, CommandError> {
        let Awaited { item, state, is_queued, is_patient } = awaited;
        let mut timeline = self.timeline.subscribe();
        let mut link = self.link.subscribe();
        loop {
            timeline.mark_unchanged();
            link.mark_unchanged();
            let mut unit = self.store.read().await?;
            if let (true, Some(name)) = (contact.is_unmet(), &contact.name) {
                // Whoever is met takes the message over.
                contact = unit.contact_named(name, &contact.server).await?.unwrap_or(contact);
            }
            let to = contact.user;
            let message = unit.message(to, self.user, item).await?.map(|placed| placed.message);
            let message = message
                .ok_or_else(|| CommandError::new(Kind::NotFound, "there is no such message"))?;
            let waiting = unit.outgoing(self.user, to, item).await?;
            drop(unit);
            if has_reached(message.state, state) {
                return Ok(message);
            }
            if message.state == MessageState::Failed {
                return Err(failed(&message));
            }
            let (broken, is_over) = match &*link.borrow() {
                Link::Offline(trouble) => (Some(trouble.clone()), false),
                Link::Ended(trouble) => (Some(trouble.clone()), true),
                Link::Connecting | Link::Online(_) => (None, false),
            };
            if message.state == MessageState::Queued
                && let Some(trouble) = &broken
                && (is_over || !is_patient || !is_queued)
            {
                return self.leave_queued(to, item, trouble.clone(), is_queued).await;
            }
            let refused = waiting.and_then(|waiting| waiting.trouble).map(|why| {
                let kind = match why.as_str() {
                    why if why.starts_with("too many") => Kind::RateLimited,
                    why if why.ends_with("does not answer your server") => Kind::NoConnection,
                    _ => Kind::Failed,
                };
                CommandError::new(kind, why)
            });
            if let Ok(mut last) = last.lock() {
                *last = broken.or(refused);
            }
            tokio::select! {
                _ = timeline.changed() => {}
                _ = link.changed() => {}
            }
        }
    }

    /// Says that a message waits; takes it back if it may not.
    async fn leave_queued(
        &self,
        to: UserId,
        item: ItemId,
        trouble: CommandError,
        is_queued: bool,
    ) -> Result<Message, CommandError> {
        let mut unit = self.store.write().await?;
        let outgoing = unit.outgoing(self.user, to, item).await?;
        let mut is_perhaps_sent = false;
        let message = if is_queued {
            "the message is queued, and goes out by itself"
        } else {
            match outgoing {
                Some(outgoing) if outgoing.sealed.is_none() => {
                    unit.dequeue(self.user, to, item).await?;
                    unit.move_message(
                        to,
                        self.user,
                        item,
                        MessageState::Failed,
                        Some("there was no connection"),
                    )
                    .await?;
                    unit.commit().await?;
                    "the message was not sent, and is not queued"
                }
                _ => {
                    is_perhaps_sent = true;
                    "the message may have been sent: the answer was lost; it stays queued"
                }
            }
        };
        let queued = (is_queued || is_perhaps_sent).then(|| item.to_string());
        Err(CommandError { message: format!("{}; {message}", trouble.message), queued, ..trouble }
            .hint(format!("its id is {item}; the same command with --id {item} never sends twice")))
    }
}

/// What is said of a text that is no message's.
pub(super) fn wrong_length(text: &str) -> CommandError {
    let what = format!("a message has 1 to {MAX_MESSAGE} bytes, and this one has {}", text.len());
    CommandError::new(Kind::Usage, what)
}

/// What is said when the time is over.
fn late(awaited: Awaited, trouble: Option<CommandError>) -> CommandError {
    let item = awaited.item;
    let again = format!("the same command with --id {item} waits again, and never sends twice");
    let what = match (trouble, awaited.is_patient) {
        (Some(trouble), false) => CommandError::new(
            trouble.kind,
            format!("{}; the message is queued, and goes out by itself", trouble.message),
        ),
        (Some(trouble), true) => {
            let what = format!(
                "the time is over: {}; the message is kept, and goes on by itself",
                trouble.message
            );
            CommandError::new(Kind::Timeout, what)
        }
        (None, _) => {
            let what = format!(
                "the time is over before the message was {}; it is kept, and goes on by itself",
                awaited.state.word()
            );
            CommandError::new(Kind::Timeout, what)
        }
    };
    CommandError { queued: Some(item.to_string()), ..what.hint(again) }
}

/// A message that nobody will take.
fn failed(message: &Message) -> CommandError {
    let why = message.reason.clone().unwrap_or_else(|| "it was refused".to_owned());
    let kind = if why.starts_with("there is nobody") { Kind::NotFound } else { Kind::Failed };
    CommandError::new(kind, format!("the message was not sent: {why}; its text is kept here"))
}

/// Whether a message in `state` has come as far as `wanted`.
const fn has_reached(state: MessageState, wanted: MessageState) -> bool {
    use MessageState::{Delivered, Read, Sent, Waiting};
    matches!(
        (state, wanted),
        (Sent | Waiting, Sent) | (Delivered, Sent | Delivered) | (Read, Sent | Delivered | Read)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_counts_as_sent_when_it_has_come_further() {
        use MessageState::{Delivered, Failed, Queued, Read, Sent};
        for state in [Sent, Delivered, Read] {
            assert!(has_reached(state, Sent));
        }
        assert!(!has_reached(Sent, Delivered) && !has_reached(Delivered, Read));
        assert!(!has_reached(Queued, Sent) && !has_reached(Failed, Sent));
    }

    #[test]
    fn a_time_that_was_asked_for_ends_with_9_and_the_default_with_what_is_wrong() {
        let awaited = Awaited {
            item: ItemId::from_bytes([2; 16]),
            state: MessageState::Sent,
            is_queued: true,
            is_patient: true,
        };
        let trouble = || Some(CommandError::new(Kind::RateLimited, "too many messages"));
        assert_eq!(late(awaited, trouble()).kind, Kind::Timeout);
        assert_eq!(
            late(Awaited { is_patient: false, ..awaited }, trouble()).kind,
            Kind::RateLimited
        );
        assert_eq!(late(awaited, None).queued, Some(awaited.item.to_string()));
    }
}

//! Waiting for how far a message comes.

use std::{sync::Mutex, time::Duration};

use rookery_protocol::id::{ItemId, UserId};

use crate::{
    engine::{Engine, Link},
    error::{CommandError, Kind},
    store::{ContactRow, Message, MessageState},
};

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Awaited {
    pub(super) item: ItemId,
    pub(super) state: MessageState,
    /// Whether it may wait in the outbox.
    pub(super) is_queued: bool,
    /// Whether the time was asked for: then it is used up, even without a connection.
    pub(super) is_patient: bool,
}

impl Engine {
    /// Waits until the message is in the state that was asked for, or further.
    pub(super) async fn wait_for(
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

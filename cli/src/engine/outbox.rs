//! Sending: a durable queue, in order within each conversation, each message until the home has acknowledged it.
//!
//! The same id never sends twice: the envelopes of an attempt are stored before they leave, and the very same bytes go again until an
//! answer comes. Only when the home says that devices have come or gone are the missing ones sealed, under the same id.

use std::time::Duration;

use rookery_protocol::{
    chain::HeadRef,
    delivery::Backoff,
    id::UserId,
    io::client::{CallError, Client},
    request::{
        Refusal,
        message::{Purpose, SendError, SendMessage, Sent},
    },
    time::Timestamp,
};
use tokio::sync::Notify;

use super::{Engine, chains::ChainError, draw, queue::Queued, seal::decode_content};
use crate::{
    error::Kind,
    store::{MessageState, Outgoing, StoreError, Unconfirmed},
};

/// Conversations that are sent to at once.
const AT_ONCE: u32 = 8;
/// How often one attempt follows a chain that goes on meanwhile.
const MAX_STALE: usize = 5;
/// The first and the longest wait after a failure.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(15));
/// The longest wait while a receiver's mailbox is full, or their device has no keys yet.
const SLOW: Duration = Duration::from_mins(5);

/// Why an attempt to send did not end in an answer.
#[derive(Debug)]
pub(super) enum Undelivered {
    /// Try again, not before the time if one is given.
    Later(String, Option<Duration>),
    /// Nobody will ever take it.
    Failed(String),
}

impl From<StoreError> for Undelivered {
    fn from(error: StoreError) -> Self {
        Self::Later(error.to_string(), None)
    }
}

impl From<ChainError> for Undelivered {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::NotFound => {
                Self::Failed("there is nobody of that name whom you can write to".to_owned())
            }
            ChainError::Denied(_) | ChainError::OtherRoot { .. } => Self::Failed(error.to_string()),
            error => Self::Later(error.to_string(), None),
        }
    }
}

impl Queued for Outgoing {
    type Line = UserId;
    const QUEUE: &'static str = "outbox";

    fn line(&self) -> UserId {
        self.to
    }

    fn not_before(&self) -> Timestamp {
        self.not_before
    }

    async fn fronts(engine: &Engine) -> Result<Vec<Self>, StoreError> {
        engine.store.read().await?.outbox_fronts(AT_ONCE).await
    }

    fn wake(engine: &Engine) -> &Notify {
        &engine.outbox_wake
    }

    async fn attempt(self, engine: &Engine, client: &Client) {
        let outcome = Box::pin(engine.deliver(client, self.clone())).await;
        let written = match outcome {
            Ok(()) => Ok(()),
            Err(Undelivered::Failed(why)) => engine.give_up(&self, &why).await,
            Err(Undelivered::Later(why, wait)) => engine.postpone(client, self, why, wait).await,
        };
        if let Err(error) = written {
            tracing::error!(%error, "the outbox cannot be written");
        }
        engine.timeline_changed();
    }
}

impl Engine {
    async fn deliver(&self, client: &Client, outgoing: Outgoing) -> Result<(), Undelivered> {
        // What has been sealed is for somebody who was met.
        if outgoing.sealed.is_none() && self.has_moved(client, outgoing.to).await? {
            return Ok(());
        }
        let mut sealed = outgoing.sealed.clone();
        for _ in 0..MAX_STALE {
            let request = match sealed.take() {
                Some(request) => request,
                None => Box::pin(self.seal(client, &outgoing)).await?,
            };
            let message = SendMessage {
                message: outgoing.item,
                to: outgoing.to,
                to_head: request.to_head,
                own_head: request.own_head,
                envelopes: request.envelopes,
                purpose: outgoing.purpose,
            };
            match client.call_watched(&message).await {
                Ok(sent) => return Ok(self.note_sent(&outgoing, sent).await?),
                Err(CallError::Request(SendError::Stale { to_head, own_head })) => {
                    self.reach_head(client, outgoing.to, to_head).await?;
                    self.reach_head(client, self.user, own_head).await?;
                }
                Err(error) => return Err(undelivered(error)),
            }
        }
        Err(Undelivered::Later("devices keep coming and going".to_owned(), None))
    }

    /// Whether what waits for a bare name has found whom the name stands for: then it is theirs, in its order, and goes from there.
    async fn has_moved(&self, client: &Client, to: UserId) -> Result<bool, Undelivered> {
        self.find_unmet(client, to).await.map_err(|error| match error.kind {
            Kind::NotFound | Kind::Trust | Kind::NotPermitted => Undelivered::Failed(error.message),
            _ => Undelivered::Later(error.message, None),
        })
    }

    async fn reach_head(
        &self,
        client: &Client,
        person: UserId,
        head: HeadRef,
    ) -> Result<(), Undelivered> {
        let known = self.store.read().await?.person(person).await?;
        if known.is_none_or(|state| state.head.seq < head.seq) {
            self.fetch_chain(client, person).await?;
        }
        Ok(())
    }

    async fn note_sent(&self, outgoing: &Outgoing, sent: Sent) -> Result<(), StoreError> {
        let mut unit = self.store.write().await?;
        unit.dequeue(self.user, outgoing.to, outgoing.item).await?;
        let mut owes_journal = false;
        let kept = Unconfirmed {
            to: outgoing.to,
            item: outgoing.item,
            content: outgoing.content.clone(),
            sent: sent.at,
            written: Some(outgoing.since),
        };
        if let Some(awaits) = &sent.awaits {
            // Whatever it is, it may come back to be sealed again.
            unit.keep_unconfirmed(self.user, &kept).await?;
            self.note_awaited(&mut unit, outgoing, awaits).await?;
        }
        if outgoing.purpose == Purpose::Message {
            if sent.awaits.is_none() {
                unit.move_message(outgoing.to, self.user, outgoing.item, MessageState::Sent, None)
                    .await?;
            }
            if let Some(placed) = unit.message(outgoing.to, self.user, outgoing.item).await? {
                owes_journal = self.owe_archive(&mut unit, &placed.message).await?;
                if outgoing.to != self.user && placed.message.state == MessageState::Sent {
                    unit.keep_unconfirmed(self.user, &kept).await?;
                }
            }
        }
        unit.commit().await?;
        if sent.awaits.is_some() {
            // It may have gone on before this was written down.
            self.owe(|due| due.outstanding = true);
        } else if owes_journal {
            self.chores_wake.notify_one();
        }
        Ok(())
    }

    async fn give_up(&self, outgoing: &Outgoing, why: &str) -> Result<(), StoreError> {
        tracing::debug!(item = %outgoing.item, why, "a message failed");
        let mut unit = self.store.write().await?;
        unit.dequeue(self.user, outgoing.to, outgoing.item).await?;
        unit.move_message(outgoing.to, self.user, outgoing.item, MessageState::Failed, Some(why))
            .await?;
        unit.commit().await
    }

    async fn postpone(
        &self,
        client: &Client,
        outgoing: Outgoing,
        why: String,
        wait: Option<Duration>,
    ) -> Result<(), StoreError> {
        // A lost connection is no failure of the message's: it goes as soon as there is another.
        if client.connection().lost().is_some() {
            return Ok(());
        }
        tracing::debug!(item = %outgoing.item, why, "a message has to wait");
        let mut unit = self.store.write().await?;
        let Some(current) = unit.outgoing(self.user, outgoing.to, outgoing.item).await? else {
            return Ok(());
        };
        let mut backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
        for _ in 0..current.attempts.min(12) {
            backoff.next_delay(0);
        }
        let wait = wait.unwrap_or_else(|| backoff.next_delay(draw()));
        let attempts = current.attempts.saturating_add(1);
        let next =
            Outgoing { not_before: self.now().plus(wait), attempts, trouble: Some(why), ..current };
        unit.update_outgoing(self.user, &next).await?;
        unit.commit().await
    }

    /// Puts what `person` has not confirmed back into the outbox, for a session that lost it. The home answers an id that it knows without
    /// delivering again, so each goes under an id derived from its own; receivers that have the first one know the other by it.
    pub(super) async fn send_again(&self, person: UserId) -> Result<(), StoreError> {
        let mut unit = self.store.write().await?;
        for lost in unit.unconfirmed(person).await? {
            if unit.message(person, self.user, lost.item).await?.is_none() {
                // A receipt on its way to another server: its session is new, and it will be known by its next.
                continue;
            }
            let item = super::again(lost.item);
            let payload = decode_content(&lost.content);
            unit.enqueue(self.user, &self.outgoing(person, item, Purpose::Message, &payload))
                .await?;
            unit.confirm(self.user, person, lost.item).await?;
        }
        unit.commit().await?;
        self.outbox_wake.notify_one();
        Ok(())
    }
}

pub(super) fn throttled(retry_after_ms: u64) -> Undelivered {
    let wait = Duration::from_millis(retry_after_ms.clamp(10, 3_600_000));
    Undelivered::Later(
        format!("too many messages: the server takes the next in {} ms", wait.as_millis()),
        Some(wait),
    )
}

fn undelivered(error: CallError<SendError>) -> Undelivered {
    match error {
        CallError::Request(SendError::MailboxFull { .. } | SendError::QueueFull { .. }) => {
            Undelivered::Later(
                error.to_string(),
                Some(SLOW.mul_f64(f64::from(draw() >> 16) / 65_536.0)),
            )
        }
        CallError::Request(error) => Undelivered::Failed(error.to_string()),
        CallError::Refused(Refusal::Throttled { retry_after_ms }) => throttled(retry_after_ms),
        CallError::Refused(refusal @ (Refusal::TooLarge | Refusal::NotPermitted)) => {
            Undelivered::Failed(refusal.to_string())
        }
        error => Undelivered::Later(error.to_string(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttled_message_waits_as_long_as_the_server_says() {
        let error = CallError::Refused(Refusal::Throttled { retry_after_ms: 1_500 });
        assert!(
            matches!(undelivered(error), Undelivered::Later(_, Some(wait)) if wait == Duration::from_millis(1_500))
        );
        let error = CallError::Request(SendError::NotFound);
        assert!(matches!(undelivered(error), Undelivered::Failed(_)));
        let error = CallError::Refused(Refusal::StorageFull);
        assert!(
            matches!(undelivered(error), Undelivered::Later(_, None)),
            "a full disk is waited out"
        );
    }
}

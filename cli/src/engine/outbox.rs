//! Sending: a durable queue, in order within each conversation, each message until the home has acknowledged it.
//!
//! The same id never sends twice: the envelopes of an attempt are stored before they leave, and the very same bytes go again until an
//! answer comes. Only when the home says that devices have come or gone are the missing ones sealed, under the same id.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use rookery_protocol::{
    chain::HeadRef,
    delivery::Backoff,
    envelope::Envelope,
    id::{DeviceId, ItemId, UserId},
    io::client::{CallError, Client},
    prekey::Bundle,
    request::{
        Refusal,
        message::{Purpose, SendError, SendMessage},
        prekey::{ClaimError, ClaimPrekeys},
    },
    time::Timestamp,
    user::State,
};
use tokio::task::JoinSet;

use super::{Engine, Link, chains::ChainError, draw, new_item};
use crate::{
    e2ee::{
        OsRandom,
        pair::{self, BundleNeed, Me, Peer, SealError},
        payload::{Payload, Text},
    },
    error::{CommandError, Kind},
    store::{Message, MessageState, Outgoing, SealedRequest, StoreError, Unconfirmed, Unit},
};

/// Conversations that are sent to at once.
const AT_ONCE: u32 = 8;
/// How often one attempt follows a chain that goes on meanwhile.
const MAX_STALE: usize = 5;
/// The first and the longest wait after a failure.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(60));
/// The longest wait while a receiver's mailbox is full, or their device has no keys yet.
const SLOW: Duration = Duration::from_secs(300);
/// How long `send` waits by default for the home's answer.
const SENT_PATIENCE: Duration = Duration::from_secs(30);
/// A message's text, in bytes: what fits into an envelope with its padding.
const MAX_TEXT: usize = 32 * 1024;

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
}

/// Why an attempt to send did not end in an answer.
#[derive(Debug)]
enum Undelivered {
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
            ChainError::NotFound => Self::Failed("there is nobody of that name whom you can write to".to_owned()),
            ChainError::Denied(_) => Self::Failed(error.to_string()),
            error => Self::Later(error.to_string(), None),
        }
    }
}

impl Engine {
    /// Writes a message down, and waits until it has come as far as was asked. Gives the message and its receiver's address.
    pub async fn send(&self, order: SendOrder) -> Result<(Message, String), CommandError> {
        if order.text.is_empty() || order.text.len() > MAX_TEXT {
            return Err(CommandError::new(Kind::Usage, format!("a message has 1 to {MAX_TEXT} bytes, and this one has {}", order.text.len())));
        }
        if !self.is_certified() {
            self.online().await?;
        }
        let started = tokio::time::Instant::now();
        if !order.is_queued {
            self.online().await?;
        }
        let contact = self.person_named(&order.to).await?;
        if contact.name_moved {
            return Err(CommandError::new(Kind::Trust, format!("{} is not who they were: the name has come to stand for somebody else; nothing was sent", contact.address()))
                .hint("compare safety numbers by `rookery verify`, then `rookery contact accept` takes the new person on"));
        }
        let item = order.label.as_deref().map_or_else(new_item, |label| ItemId::from_label(label, self.device));
        self.write_message(contact.user, item, &order.text).await?;
        self.timeline_changed();
        self.outbox_wake.notify_one();
        let patience = order.timeout.or((order.until == MessageState::Sent).then_some(SENT_PATIENCE));
        let patience = patience.map(|patience| patience.saturating_sub(started.elapsed()));
        let message = self.wait_for(contact.user, item, order.until, order.is_queued, patience).await?;
        Ok((message, contact.address()))
    }

    /// Puts the message into the timeline and the outbox at once, unless it is there.
    async fn write_message(&self, to: UserId, item: ItemId, text: &str) -> Result<(), StoreError> {
        let mut unit = self.store.write().await?;
        let at = match unit.message(to, self.user, item).await? {
            Some(known) if known.message.state == MessageState::Failed => {
                // The same order again is another try.
                unit.move_message(to, self.user, item, MessageState::Queued, None).await?;
                known.message.at
            }
            Some(_) => return Ok(()),
            None => {
                let at = unit.next_time(to, self.user, self.now()).await?;
                let message = Message {
                    conversation: to,
                    item,
                    author: self.user,
                    device: self.device,
                    at,
                    text: text.to_owned(),
                    state: MessageState::Queued,
                    reason: None,
                };
                unit.add_message(&message).await?;
                at
            }
        };
        let payload = Payload::Text(Text { text: text.to_owned(), reply_to: None });
        let outgoing = Outgoing { since: at, ..self.outgoing(to, item, Purpose::Message, &payload) };
        unit.enqueue(self.user, &outgoing).await?;
        unit.commit().await
    }

    /// An entry of the outbox.
    pub(super) fn outgoing(&self, to: UserId, item: ItemId, purpose: Purpose, payload: &Payload) -> Outgoing {
        let content = [&payload.kind().to_be_bytes()[..], &payload.encode()].concat();
        let (since, not_before) = (self.now(), Timestamp::from_millis(0));
        Outgoing { to, item, purpose, content, since, not_before, attempts: 0, trouble: None, sealed: None }
    }

    /// Waits until the message is in `state` or further.
    async fn wait_for(&self, to: UserId, item: ItemId, state: MessageState, is_queued: bool, patience: Option<Duration>) -> Result<Message, CommandError> {
        let mut timeline = self.timeline.subscribe();
        let mut link = self.link.subscribe();
        let wait = async {
            loop {
                timeline.mark_unchanged();
                link.mark_unchanged();
                let mut unit = self.store.read().await?;
                let message = unit.message(to, self.user, item).await?.map(|placed| placed.message);
                let message = message.ok_or_else(|| CommandError::new(Kind::NotFound, "there is no such message"))?;
                let waiting = unit.outgoing(self.user, to, item).await?;
                drop(unit);
                if has_reached(message.state, state) {
                    return Ok(message);
                }
                if message.state == MessageState::Failed {
                    let why = message.reason.clone().unwrap_or_else(|| "it was refused".to_owned());
                    let kind = if why.contains("nobody of that name") { Kind::NotFound } else { Kind::Failed };
                    return Err(CommandError::new(kind, format!("the message was not sent: {why}; its text is kept here")));
                }
                let trouble = match &*self.link.borrow() {
                    Link::Offline(trouble) | Link::Ended(trouble) => Some(trouble.clone()),
                    Link::Online(_) => waiting.and_then(|waiting| waiting.trouble).map(|why| {
                        let kind = if why.starts_with("too many") { Kind::RateLimited } else { Kind::Failed };
                        CommandError::new(kind, why)
                    }),
                    Link::Connecting => None,
                };
                if let Some(trouble) = trouble
                    && message.state == MessageState::Queued
                    && patience.is_none_or(|patience| patience == SENT_PATIENCE || !is_queued || trouble.kind == Kind::NoConnection)
                {
                    return self.leave_queued(to, item, trouble, is_queued).await;
                }
                tokio::select! {
                    _ = timeline.changed() => {}
                    _ = link.changed() => {}
                }
            }
        };
        match patience {
            None => wait.await,
            Some(patience) => tokio::time::timeout(patience, wait).await.unwrap_or_else(|_| {
                Err(CommandError::new(Kind::Timeout, format!("the time is over before the message was {}; it is kept, and goes on by itself", state.word()))
                    .hint("the same command with the same --id waits again, and never sends twice"))
            }),
        }
    }

    /// Says that a message waits; takes it back if it may not.
    async fn leave_queued(&self, to: UserId, item: ItemId, trouble: CommandError, is_queued: bool) -> Result<Message, CommandError> {
        let mut unit = self.store.write().await?;
        let outgoing = unit.outgoing(self.user, to, item).await?;
        let message = if is_queued { "the message is queued, and goes out by itself".to_owned() } else {
            match outgoing {
                Some(outgoing) if outgoing.sealed.is_none() => {
                    unit.dequeue(self.user, to, item).await?;
                    unit.move_message(to, self.user, item, MessageState::Failed, Some("there was no connection")).await?;
                    unit.commit().await?;
                    "the message was not sent, and is not queued".to_owned()
                }
                _ => "the message may have been sent: the answer was lost; it stays queued".to_owned(),
            }
        };
        Err(CommandError { message: format!("{}; {message}", trouble.message), ..trouble }
            .hint(format!("its id is {item}; the same command with --id {item} never sends twice")))
    }

    /// Sends what waits, for as long as the engine runs.
    pub(super) async fn run_outbox(self: Arc<Self>) {
        let mut in_flight: JoinSet<UserId> = JoinSet::new();
        let mut busy: BTreeSet<UserId> = BTreeSet::new();
        loop {
            let mut wake_at: Option<Timestamp> = None;
            let client = match &*self.link.borrow() {
                Link::Online(online) => Some(online.client.clone()),
                _ => None,
            };
            if let Some(client) = client
                && !self.drain.is_cancelled()
            {
                match self.waiting().await {
                    Ok(fronts) => {
                        for outgoing in fronts {
                            if busy.contains(&outgoing.to) {
                                continue;
                            }
                            if outgoing.not_before > self.now() {
                                wake_at = Some(wake_at.map_or(outgoing.not_before, |at| at.min(outgoing.not_before)));
                                continue;
                            }
                            busy.insert(outgoing.to);
                            let (engine, client) = (Arc::clone(&self), client.clone());
                            in_flight.spawn(async move { engine.attempt(&client, outgoing).await });
                        }
                    }
                    Err(error) => {
                        tracing::error!(%error, "the outbox cannot be read");
                        wake_at = Some(self.now().plus(Duration::from_secs(1)));
                    }
                }
            }
            let sleep = wake_at.map_or(Duration::from_secs(3600), |at| at.since(self.now()).max(Duration::from_millis(1)));
            tokio::select! {
                () = self.drain.cancelled(), if in_flight.is_empty() => return,
                Some(done) = in_flight.join_next() => match done {
                    Ok(to) => { busy.remove(&to); }
                    // A panic was reported where it happened; its conversation goes on with the next start.
                    Err(error) => tracing::error!(%error, "a sending task failed"),
                },
                () = self.outbox_wake.notified() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    async fn waiting(&self) -> Result<Vec<Outgoing>, StoreError> {
        self.store.read().await?.outbox_fronts(AT_ONCE).await
    }

    /// One attempt; gives back whose conversation is free again.
    async fn attempt(&self, client: &Client, outgoing: Outgoing) -> UserId {
        let to = outgoing.to;
        let outcome = Box::pin(self.deliver(client, outgoing.clone())).await;
        let written = match outcome {
            Ok(()) => Ok(()),
            Err(Undelivered::Failed(why)) => self.give_up(&outgoing, &why).await,
            Err(Undelivered::Later(why, wait)) => self.postpone(client, outgoing, why, wait).await,
        };
        if let Err(error) = written {
            tracing::error!(%error, "the outbox cannot be written");
        }
        self.timeline_changed();
        to
    }

    async fn deliver(&self, client: &Client, outgoing: Outgoing) -> Result<(), Undelivered> {
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
            match client.call(&message).await {
                Ok(sent) => return Ok(self.note_sent(&outgoing, sent.at).await?),
                Err(CallError::Request(SendError::Stale { to_head, own_head })) => {
                    self.reach_head(client, outgoing.to, to_head).await?;
                    self.reach_head(client, self.user, own_head).await?;
                }
                Err(error) => return Err(undelivered(error)),
            }
        }
        Err(Undelivered::Later("devices keep coming and going".to_owned(), None))
    }

    async fn reach_head(&self, client: &Client, person: UserId, head: HeadRef) -> Result<(), Undelivered> {
        let known = self.store.read().await?.person(person).await?;
        if known.is_none_or(|state| state.head.seq < head.seq) {
            self.fetch_chain(client, person).await?;
        }
        Ok(())
    }

    /// Seals for every live device of both sides that has no envelope yet, and stores it all before anything leaves.
    async fn seal(&self, client: &Client, outgoing: &Outgoing) -> Result<SealedRequest, Undelivered> {
        if self.store.read().await?.person(outgoing.to).await?.is_none() {
            self.fetch_chain(client, outgoing.to).await?;
        }
        let mut bundles: BTreeMap<DeviceId, Bundle> = BTreeMap::new();
        let mut has_claimed = false;
        loop {
            let mut unit = self.store.write().await?;
            let missing = |what: &str| Undelivered::Later(format!("{what} is not known here yet"), None);
            let own = unit.person(self.user).await?.ok_or_else(|| missing("this account"))?;
            let theirs = unit.person(outgoing.to).await?.ok_or_else(|| missing("the receiver"))?;
            if theirs.closed {
                return Err(Undelivered::Failed("the receiver has closed their account".to_owned()));
            }
            // Another attempt may have stored envelopes meanwhile: they are kept for the devices that are still live.
            let Some(current) = unit.outgoing(self.user, outgoing.to, outgoing.item).await? else {
                return Err(Undelivered::Later("it has left the outbox".to_owned(), None));
            };
            let mut kept: BTreeMap<DeviceId, Envelope> = current
                .sealed
                .iter()
                .flat_map(|sealed| &sealed.envelopes)
                .filter_map(|envelope| Some((envelope.read_header().ok()?.dst_device, envelope.clone())))
                .collect();
            let targets = self.targets(&own, &theirs);
            kept.retain(|device, _| targets.iter().any(|(_, target)| target == device));
            let me = Me::of(&own, &self.secrets);
            let wanted = self.wanted_bundles(&mut unit, &me, &own, &theirs, &targets, &kept, &bundles).await?;
            if !wanted.is_empty() && !has_claimed {
                // Nothing was written; the network is not waited for with the store in hand.
                drop(unit);
                for (person, devices) in wanted {
                    for bundle in self.claim(client, person, devices).await? {
                        bundles.insert(bundle.device, bundle);
                    }
                }
                has_claimed = true;
                continue;
            }
            // The letter bears the time at which it was written, the same for everybody.
            let written = current.since;
            for (person, device) in &targets {
                if kept.contains_key(device) {
                    continue;
                }
                let state = if *person == self.user { &own } else { &theirs };
                let Some(peer) = Peer::of(state, *device) else { continue };
                let payload = decode_content(&outgoing.content);
                let letter = pair::Outgoing { message: outgoing.item, to: outgoing.to, payload: &payload };
                let pair = unit.pair(*device).await?;
                let sealed = pair.seal(&me, &peer, bundles.get(device), &letter, written, &mut OsRandom).map_err(|unsealed| unsealable(&unsealed.reason))?;
                unit.put_pair(*device, &sealed.pair).await?;
                kept.insert(*device, sealed.envelope);
            }
            let request = SealedRequest { to_head: theirs.head.into(), own_head: own.head.into(), envelopes: kept.into_values().collect() };
            unit.update_outgoing(self.user, &Outgoing { sealed: Some(request.clone()), ..current }).await?;
            unit.commit().await?;
            return Ok(request);
        }
    }

    /// All live devices of both sides but this one.
    fn targets(&self, own: &State, theirs: &State) -> Vec<(UserId, DeviceId)> {
        let mut targets: Vec<_> = own.live_device_ids().into_iter().filter(|device| *device != self.device).map(|device| (self.user, device)).collect();
        if theirs.user != self.user {
            targets.extend(theirs.live_device_ids().into_iter().map(|device| (theirs.user, device)));
        }
        targets
    }

    #[expect(clippy::too_many_arguments, reason = "one step of sealing, apart for its length")]
    async fn wanted_bundles(
        &self,
        unit: &mut Unit,
        me: &Me<'_>,
        own: &State,
        theirs: &State,
        targets: &[(UserId, DeviceId)],
        kept: &BTreeMap<DeviceId, Envelope>,
        bundles: &BTreeMap<DeviceId, Bundle>,
    ) -> Result<BTreeMap<UserId, Vec<DeviceId>>, StoreError> {
        let mut wanted: BTreeMap<UserId, Vec<DeviceId>> = BTreeMap::new();
        for (person, device) in targets {
            if kept.contains_key(device) || bundles.contains_key(device) {
                continue;
            }
            let state = if *person == self.user { own } else { theirs };
            let Some(peer) = Peer::of(state, *device) else { continue };
            if unit.pair(*device).await?.bundle_need(me, &peer, self.now()) != BundleNeed::None {
                wanted.entry(*person).or_default().push(*device);
            }
        }
        Ok(wanted)
    }

    pub(super) async fn claim_bundles(&self, client: &Client, person: UserId, devices: Vec<DeviceId>) -> Result<Vec<Bundle>, CommandError> {
        self.claim(client, person, devices).await.map_err(|error| match error {
            Undelivered::Later(why, _) | Undelivered::Failed(why) => CommandError::new(Kind::Failed, why),
        })
    }

    async fn claim(&self, client: &Client, person: UserId, devices: Vec<DeviceId>) -> Result<Vec<Bundle>, Undelivered> {
        let claim = ClaimPrekeys { claim: new_item(), user: person, devices };
        match client.call(&claim).await {
            Ok(bundles) => Ok(bundles.bundles),
            Err(CallError::Request(ClaimError::NotFound)) => Err(Undelivered::Failed(ClaimError::NotFound.to_string())),
            Err(CallError::Refused(Refusal::Throttled { retry_after_ms })) => Err(throttled(retry_after_ms)),
            Err(error) => Err(Undelivered::Later(error.to_string(), None)),
        }
    }

    async fn note_sent(&self, outgoing: &Outgoing, at: Timestamp) -> Result<(), StoreError> {
        let mut unit = self.store.write().await?;
        unit.dequeue(self.user, outgoing.to, outgoing.item).await?;
        let mut owes_journal = false;
        if outgoing.purpose == Purpose::Message {
            unit.move_message(outgoing.to, self.user, outgoing.item, MessageState::Sent, None).await?;
            if let Some(placed) = unit.message(outgoing.to, self.user, outgoing.item).await? {
                owes_journal = self.owe_archive(&mut unit, &placed.message).await?;
                if outgoing.to != self.user && placed.message.state == MessageState::Sent {
                    let kept = Unconfirmed { to: outgoing.to, item: outgoing.item, content: outgoing.content.clone(), sent: at };
                    unit.keep_unconfirmed(self.user, &kept).await?;
                }
            }
        }
        unit.commit().await?;
        if owes_journal {
            self.chores_wake.notify_one();
        }
        Ok(())
    }

    async fn give_up(&self, outgoing: &Outgoing, why: &str) -> Result<(), StoreError> {
        tracing::debug!(item = %outgoing.item, why, "a message failed");
        let mut unit = self.store.write().await?;
        unit.dequeue(self.user, outgoing.to, outgoing.item).await?;
        unit.move_message(outgoing.to, self.user, outgoing.item, MessageState::Failed, Some(why)).await?;
        unit.commit().await
    }

    async fn postpone(&self, client: &Client, outgoing: Outgoing, why: String, wait: Option<Duration>) -> Result<(), StoreError> {
        // A lost connection is no failure of the message's: it goes as soon as there is another.
        if client.connection().lost().is_some() {
            return Ok(());
        }
        tracing::debug!(item = %outgoing.item, why, "a message has to wait");
        let mut unit = self.store.write().await?;
        let Some(current) = unit.outgoing(self.user, outgoing.to, outgoing.item).await? else { return Ok(()) };
        let mut backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
        for _ in 0..current.attempts.min(12) {
            backoff.next_delay(0);
        }
        let wait = wait.unwrap_or_else(|| backoff.next_delay(draw()));
        let attempts = current.attempts.saturating_add(1);
        let next = Outgoing { not_before: self.now().plus(wait), attempts, trouble: Some(why), ..current };
        unit.update_outgoing(self.user, &next).await?;
        unit.commit().await
    }

    /// Puts what `person` has not confirmed back into the outbox, for a session that lost it. The home answers an id that it knows without
    /// delivering again, so each goes under an id derived from its own; receivers that have the first one show both.
    pub(super) async fn send_again(&self, person: UserId) -> Result<(), StoreError> {
        let mut unit = self.store.write().await?;
        for lost in unit.unconfirmed(person).await? {
            let item = super::derived_item("message/again", &[lost.item.as_bytes()]);
            let payload = decode_content(&lost.content);
            unit.enqueue(self.user, &self.outgoing(person, item, Purpose::Message, &payload)).await?;
            unit.confirm(self.user, person, lost.item).await?;
        }
        unit.commit().await?;
        self.outbox_wake.notify_one();
        Ok(())
    }
}

/// What was queued, as a payload again.
fn decode_content(content: &[u8]) -> Payload {
    let (kind, bytes) = content.split_first_chunk::<4>().map_or((0, &[][..]), |(kind, bytes)| (u32::from_be_bytes(*kind), bytes));
    Payload::decode(kind, bytes)
}

/// Whether a message in `state` has come as far as `wanted`.
const fn has_reached(state: MessageState, wanted: MessageState) -> bool {
    use MessageState::{Delivered, Read, Sent};
    matches!((state, wanted), (Sent, Sent) | (Delivered, Sent | Delivered) | (Read, Sent | Delivered | Read))
}

fn throttled(retry_after_ms: u64) -> Undelivered {
    let wait = Duration::from_millis(retry_after_ms.clamp(10, 3_600_000));
    Undelivered::Later(format!("too many messages: the server takes the next in {} ms", wait.as_millis()), Some(wait))
}

fn unsealable(reason: &SealError) -> Undelivered {
    match reason {
        SealError::NeedsBundle => Undelivered::Later("a device of the receiver has no keys at the server yet".to_owned(), None),
        SealError::TooLong { .. } | SealError::Forked => Undelivered::Failed(reason.to_string()),
        _ => Undelivered::Later(reason.to_string(), None),
    }
}

fn undelivered(error: CallError<SendError>) -> Undelivered {
    match error {
        CallError::Request(SendError::MailboxFull { .. }) => {
            Undelivered::Later(error.to_string(), Some(SLOW.mul_f64(f64::from(draw() >> 16) / 65_536.0)))
        }
        CallError::Request(error) => Undelivered::Failed(error.to_string()),
        CallError::Refused(Refusal::Throttled { retry_after_ms }) => throttled(retry_after_ms),
        CallError::Refused(refusal @ (Refusal::TooLarge | Refusal::NotPermitted)) => Undelivered::Failed(refusal.to_string()),
        error => Undelivered::Later(error.to_string(), None),
    }
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
    fn a_throttled_message_waits_as_long_as_the_server_says() {
        let error = CallError::Refused(Refusal::Throttled { retry_after_ms: 1_500 });
        assert!(matches!(undelivered(error), Undelivered::Later(_, Some(wait)) if wait == Duration::from_millis(1_500)));
        let error = CallError::Request(SendError::NotFound);
        assert!(matches!(undelivered(error), Undelivered::Failed(_)));
        let error = CallError::Refused(Refusal::StorageFull);
        assert!(matches!(undelivered(error), Undelivered::Later(_, None)), "a full disk is waited out");
    }
}

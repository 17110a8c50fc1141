//! Taking in letters, in the order of the mailbox and in the order of steps that the specification gives.
//!
//! Size (the decoder's), then *is it for this device*, then *is its sender a live device of a verified chain*, then the seal, then *is its
//! number new*. Session, message and mark are one unit of the store, and only when that is durable is the letter acknowledged. What does
//! not open is counted and acknowledged, and nobody is told: an answer would be an oracle.

mod noted;

use std::collections::BTreeSet;

use rookery_protocol::{
    envelope::{Envelope, EnvelopeHeader},
    id::{CommunityId, ItemId, UserId},
    io::client::Client,
    session::FollowUp,
    time::Timestamp,
    user::State,
};
use tokio::sync::mpsc;

use super::{Engine, chains::ChainError, chores::Resets};
use crate::{
    e2ee::{
        OsRandom,
        pair::{AfterFailure, Me, OpenError, Opened, Peer, SessionEvent},
        payload::{Payload, ReceiptKind},
        prekey::PrekeyStore,
    },
    store::{Message, MessageState, Receipt, StoreError, Unit},
};

/// A letter that was not taken in yet.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Its place in the mailbox.
    pub(super) position: u64,
    /// When the home accepted it, by its clock.
    pub(super) at: Timestamp,
    /// The letter.
    pub(super) envelope: Envelope,
}

/// What became of a letter.
enum Taken {
    /// It is in the unit, or was dropped.
    Done,
    /// This person's chain has to be fetched first.
    Needs(UserId),
}

/// What a batch leaves to be done once it is durable.
#[derive(Default)]
struct Aftermath {
    has_messages: bool,
    owes_receipts: bool,
    owes_journal: bool,
    resets: Resets,
    profiles: BTreeSet<UserId>,
    resend: BTreeSet<UserId>,
    communities: BTreeSet<CommunityId>,
}

impl Engine {
    /// Takes letters in, commits, and acknowledges them.
    pub(super) async fn take_in_letters(
        &self,
        client: &Client,
        up: &mpsc::Sender<FollowUp>,
        letters: Vec<Waiting>,
    ) -> Result<(), ChainError> {
        let Some(last) = letters.last().map(|letter| letter.position) else { return Ok(()) };
        let mut aftermath = Aftermath { resets: Resets::Tried, ..Aftermath::default() };
        let mut unit = self.store.write().await?;
        let mut accepted = unit.newest_accepted().await?;
        // A chain is fetched once a letter: what is not there then is not there.
        for mut letter in letters {
            // What comes later was accepted later: where the home's clock says otherwise, it was put back.
            accepted = accepted.max(letter.at);
            letter.at = accepted;
            let mut fetched = BTreeSet::new();
            while let Taken::Needs(person) =
                self.take_in_letter(&mut unit, &letter, &fetched, &mut aftermath).await?
            {
                // The store is not held while the network is waited for; what was taken in so far is committed with its place.
                unit.mark_mailbox(letter.position.saturating_sub(1), accepted).await?;
                unit.commit().await?;
                match self.fetch_chain(client, person).await {
                    Ok(_)
                    | Err(
                        ChainError::NotFound | ChainError::Denied(_) | ChainError::OtherRoot { .. },
                    ) => {}
                    Err(error) => return Err(error),
                }
                fetched.insert(person);
                unit = self.store.write().await?;
            }
        }
        unit.mark_mailbox(last, accepted).await?;
        unit.commit().await?;
        up.send(FollowUp::Acknowledge { through: last }).await.ok();
        self.follow_up(aftermath).await?;
        Ok(())
    }

    async fn follow_up(&self, aftermath: Aftermath) -> Result<(), StoreError> {
        if aftermath.has_messages {
            self.timeline_changed();
        }
        for community in aftermath.communities {
            self.owe_community(community);
        }
        for person in aftermath.resend {
            self.send_again(person).await?;
        }
        if aftermath.owes_receipts
            || aftermath.owes_journal
            || aftermath.resets == Resets::MayBeOwed
            || !aftermath.profiles.is_empty()
        {
            self.owe(|due| {
                if aftermath.resets == Resets::MayBeOwed {
                    due.resets = Resets::MayBeOwed;
                }
                for person in aftermath.profiles {
                    due.profile_of(person);
                }
            });
        }
        Ok(())
    }

    async fn take_in_letter(
        &self,
        unit: &mut Unit,
        letter: &Waiting,
        fetched: &BTreeSet<UserId>,
        aftermath: &mut Aftermath,
    ) -> Result<Taken, ChainError> {
        let Ok(header) = letter.envelope.read_header() else {
            return Ok(unit.refuse(|refused| &mut refused.misdirected).await?);
        };
        if header.dst_user != self.user || header.dst_device != self.device {
            return Ok(unit.refuse(|refused| &mut refused.misdirected).await?);
        }
        let Some(own) = unit.person(self.user).await? else { return Ok(Taken::Needs(self.user)) };
        let needs = |person: UserId| {
            if fetched.contains(&person) { Taken::Done } else { Taken::Needs(person) }
        };
        let Some(theirs) = self.sender_state(unit, &header).await? else {
            return Ok(needs(header.src_user));
        };
        let Some(peer) = Peer::of(&theirs, header.src_device) else {
            return Ok(needs(header.src_user));
        };
        let me = Me::of(&own, &self.secrets);
        let pair = unit.pair(header.src_device).await?;
        // Only a first letter takes prekeys, and they are many.
        let mut prekeys = if letter.envelope.initiation.is_some() {
            unit.prekeys().await?
        } else {
            PrekeyStore::new()
        };
        match pair.open(&me, &peer, &prekeys, &letter.envelope, self.now(), &mut OsRandom) {
            Ok(opened) => {
                unit.put_pair(header.src_device, &opened.pair).await?;
                if let Some(spent) = opened.spent {
                    prekeys.spend(spent);
                    unit.put_prekeys(&prekeys).await?;
                }
                self.take_in_payload(unit, &header, opened, letter.at, aftermath).await?;
                Ok(Taken::Done)
            }
            Err(OpenError::ChainBehind) if !fetched.contains(&header.src_user) => {
                Ok(Taken::Needs(header.src_user))
            }
            Err(OpenError::ChainBehind) if !fetched.contains(&self.user) => {
                Ok(Taken::Needs(self.user))
            }
            Err(OpenError::Forked) => {
                tracing::error!(from = %header.src_user, "a letter was sealed against another chain than the one that was verified; it was dropped");
                Ok(unit.refuse(|refused| &mut refused.forked).await?)
            }
            Err(OpenError::Misdirected) => {
                Ok(unit.refuse(|refused| &mut refused.misdirected).await?)
            }
            Err(OpenError::Replayed) => Ok(unit.refuse(|refused| &mut refused.replayed).await?),
            Err(error) => {
                tracing::debug!(%error, from = %header.src_device, "a letter could not be opened");
                let mut pair = pair;
                if pair.note_failure(self.now()) == AfterFailure::Resync {
                    unit.owe_reset(header.src_user, header.src_device).await?;
                    aftermath.resets = Resets::MayBeOwed;
                }
                unit.put_pair(header.src_device, &pair).await?;
                Ok(unit.refuse(|refused| &mut refused.unopenable).await?)
            }
        }
    }

    /// The sender's verified chain, in which the sending device is live. A device that signed itself out or was retired after it sent is
    /// taken at its last live place: what the home had accepted from it is not lost with it. A stolen one is not.
    async fn sender_state(
        &self,
        unit: &mut Unit,
        header: &EnvelopeHeader,
    ) -> Result<Option<State>, StoreError> {
        let Some(chain) = unit.chain(header.src_user).await? else { return Ok(None) };
        if chain.state.live_device(header.src_device).is_some() {
            return Ok(Some(chain.state.clone()));
        }
        let retired = chain.before_retirement(header.src_device);
        Ok(Some(retired.unwrap_or_else(|| chain.state.clone())))
    }

    async fn take_in_payload(
        &self,
        unit: &mut Unit,
        header: &EnvelopeHeader,
        opened: Opened,
        accepted: Timestamp,
        aftermath: &mut Aftermath,
    ) -> Result<(), StoreError> {
        let is_own = header.src_user == self.user;
        // From one's own device the letter says whom it belongs under; from anybody else it can only be them.
        let conversation = if is_own { opened.to } else { header.src_user };
        if !is_own && opened.to != self.user {
            return Ok(());
        }
        if let SessionEvent::Reset { .. } = opened.session {
            tracing::warn!(from = %header.src_device, "secure session reset");
            unit.count_reset().await?;
            aftermath.resend.insert(header.src_user);
        }
        let may_repeat = opened.pair.was_reset();
        match opened.payload {
            Payload::Text(text) => {
                let author = header.src_user;
                if may_repeat
                    && unit.sent_before(conversation, author, opened.message).await?.is_some()
                {
                    // Sent again after a reset, and here under its first id. Its sender is told of the second, too.
                    return self.owe_delivery(unit, author, opened.message, aftermath).await;
                }
                let state = if is_own { MessageState::Sent } else { MessageState::Received };
                let at = if opened.at <= accepted.plus(AHEAD) {
                    opened.at
                } else {
                    let before = unit.latest_of(conversation, author, LOOK_BACK).await?;
                    curbed(opened.at, accepted, before)
                };
                let message = Message {
                    conversation,
                    item: opened.message,
                    author: header.src_user,
                    device: header.src_device,
                    at,
                    text: text.text,
                    state,
                    reason: None,
                    waits: None,
                    stays: text.stays,
                    file: text.file.filter(|file| file.is_possible()),
                };
                self.add_received(unit, &message, aftermath).await
            }
            Payload::Receipt(receipt) => {
                for item in receipt.messages {
                    let moved = if is_own {
                        self.take_in_own_receipt(unit, conversation, item, receipt.kind).await?
                    } else {
                        self.take_in_receipt(unit, conversation, item, receipt.kind, may_repeat)
                            .await?
                    };
                    aftermath.has_messages |= moved;
                }
                Ok(())
            }
            Payload::Heads(heads) if !is_own => {
                let named = self.note_heads(unit, header.src_user, &heads).await?;
                aftermath.communities.extend(named);
                Ok(())
            }
            Payload::ProfileKey(shared) if !is_own => {
                if let Some(mut contact) = unit.contact(header.src_user).await? {
                    contact.profile_key = Some(shared.key.to_vec());
                    unit.put_contact(&contact).await?;
                    aftermath.profiles.insert(header.src_user);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn add_received(
        &self,
        unit: &mut Unit,
        message: &Message,
        aftermath: &mut Aftermath,
    ) -> Result<(), StoreError> {
        unit.release_archived(message.conversation, message.author, message.item).await?;
        if unit.add_message(message).await?.is_none() {
            return Ok(());
        }
        aftermath.has_messages = true;
        if self.owe_archive(unit, message).await? {
            aftermath.owes_journal = true;
        }
        self.owe_delivery(unit, message.author, message.item, aftermath).await
    }

    /// Owes `author` the word that their message is here.
    async fn owe_delivery(
        &self,
        unit: &mut Unit,
        author: UserId,
        item: ItemId,
        aftermath: &mut Aftermath,
    ) -> Result<(), StoreError> {
        // A stranger learns nothing by writing: receipts go to contacts only.
        let is_contact = unit.contact(author).await?.is_some_and(|contact| contact.is_accepted());
        if author != self.user && is_contact {
            unit.owe_receipt(Receipt { to: author, item, read: false }).await?;
            aftermath.owes_receipts = true;
        }
        Ok(())
    }

    /// The receiver's word on a message of this user's.
    async fn take_in_receipt(
        &self,
        unit: &mut Unit,
        from: UserId,
        item: ItemId,
        kind: ReceiptKind,
        may_repeat: bool,
    ) -> Result<bool, StoreError> {
        let state = match kind {
            ReceiptKind::Delivered => MessageState::Delivered,
            ReceiptKind::Read => MessageState::Read,
        };
        unit.confirm(self.user, from, item).await?;
        if may_repeat
            && unit.message(from, self.user, item).await?.is_none()
            && let Some(first) = unit.sent_before(from, self.user, item).await?
        {
            // It was sent again after a reset: here it has its first id.
            unit.confirm(self.user, from, first).await?;
            return unit.move_message(from, self.user, first, state, None).await;
        }
        unit.move_message(from, self.user, item, state, None).await
    }

    /// What another device of this user's has told `other` about their message.
    async fn take_in_own_receipt(
        &self,
        unit: &mut Unit,
        other: UserId,
        item: ItemId,
        kind: ReceiptKind,
    ) -> Result<bool, StoreError> {
        // They have been told; once is enough.
        unit.settle_receipt(Receipt { to: other, item, read: kind == ReceiptKind::Read }).await?;
        match kind {
            ReceiptKind::Delivered => Ok(false),
            ReceiptKind::Read => {
                unit.move_message(other, other, item, MessageState::Read, None).await
            }
        }
    }
}

/// How far ahead of its home's clock an author's may be.
const AHEAD: std::time::Duration = std::time::Duration::from_mins(10);
/// Among how many of a conversation's newest messages the author's last is looked for.
const LOOK_BACK: u32 = 256;

/// The time of a message whose author says `said` and whose home took it in at `accepted`: a clock that is ahead would put its messages last for
/// ever. But it may be the home's that is behind, from the first letter on or since long before this one, and an author's messages stay in their
/// order: this one comes after that of `before`.
fn curbed(said: Timestamp, accepted: Timestamp, before: Option<Timestamp>) -> Timestamp {
    let at = accepted.plus(AHEAD);
    let at = before.map_or(at, |before| at.max(before.plus(std::time::Duration::from_millis(1))));
    said.min(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_ahead_is_curbed_and_never_behind_the_author_s_last() {
        let minutes = |count: u64| Timestamp::from_millis(count * 60_000);
        let accepted = minutes(100);
        assert_eq!(curbed(minutes(105), accepted, None), minutes(105));
        assert_eq!(curbed(minutes(200), accepted, None), minutes(110));
        assert_eq!(curbed(minutes(200), accepted, Some(minutes(50))), minutes(110));
        // The home's clock is behind: what came before it fell behind stays before.
        let after = Timestamp::from_millis(150 * 60_000 + 1);
        assert_eq!(curbed(minutes(200), accepted, Some(minutes(150))), after);
        assert_eq!(curbed(minutes(150), accepted, Some(minutes(150))), minutes(150));
    }
}

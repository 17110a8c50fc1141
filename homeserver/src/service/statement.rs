//! A user's chain: what its owner's home lets in.
//!
//! The rules are `user::apply`, the same function that every client runs. The home adds what only it can see to: that a batch is whole (a
//! revocation with the new per-user key, boxes for every live device), and that a revoked device is cut off at once.

use std::sync::Arc;

use minicbor::Encoder;
use rookery_protocol::{
    chain::{HeadRef, Submission},
    codec,
    id::{ChainId, DeviceId},
    request::{
        Failure, Refusal,
        account::{AppendError, AppendStatements, Boxes},
    },
    session::Authenticated,
    user::{self, Action, MAX_LIVE_DEVICES, PukBox, Statement},
};

use super::{Services, directory::Resident, feed::Live};
use crate::repository::chain::{Append, StoredEntry};

/// How many statements one batch has: a revocation, the new per-user key, a new recovery key, and one to spare.
const MAX_STATEMENTS: usize = 4;

/// An entry on its way to followers: a [`FollowDown::Entry`] around it.
///
/// [`FollowDown::Entry`]: rookery_protocol::session::FollowDown::Entry
#[must_use]
pub fn live(entry: &rookery_protocol::chain::Entry) -> Live {
    let mut encoder = Encoder::new(Vec::with_capacity(512));
    // Writing to a vector is infallible.
    let written =
        encoder.array(2).and_then(|encoder| encoder.u8(2)?.map(1)?.u8(0)?.encode(entry)?.ok());
    debug_assert!(written.is_ok());
    let frame = encoder.into_writer().into();
    Live::Entry { chain: entry.chain, seq: entry.seq, frame }
}

/// What a batch makes of a user.
struct Batch {
    entries: Vec<StoredEntry>,
    actions: Vec<Action>,
    state: user::State,
}

/// Adds statements to the caller's own chain: all or none.
pub async fn append(
    services: &Services,
    who: Authenticated,
    request: AppendStatements,
) -> Result<HeadRef, Failure<AppendError>> {
    let denied = |reason: String| Failure::Error(AppendError::Denied { reason });
    if !(1..=MAX_STATEMENTS).contains(&request.statements.len()) {
        return Err(denied(format!("one to {MAX_STATEMENTS} statements at once")));
    }
    let turn = services.order.lock().await;
    let resident = services.resident(who.user).await?.filter(|resident| resident.is_active());
    let resident = resident.ok_or(Refusal::NotAuthenticated)?;
    if let Some(head) = already(services, who, &request.statements).await? {
        return Ok(head);
    }
    let batch = judge(services, who, &resident, request.statements)?;
    let incomplete = |reason: String| Failure::Error(AppendError::Incomplete { reason });
    check_whole(who, &batch).map_err(incomplete)?;
    check_batch_boxes(&batch, &request.boxes).map_err(incomplete)?;
    let revoked: Vec<DeviceId> = resident
        .live
        .iter()
        .copied()
        .filter(|device| batch.state.live_device(*device).is_none())
        .collect();

    let chain = ChainId::of_user(who.user);
    let now = services.clock.now();
    let mut unit = services.storage.begin().await?;
    match unit.append_entries(chain, &batch.entries).await? {
        Append::Done(_) => {}
        Append::Stale(_) => return Err(Failure::Error(AppendError::Stale)),
        Append::ItemExists => {
            return Err(denied("a statement's item id was used before".to_owned()));
        }
        Append::NoChain => return Err(Refusal::Internal.into()),
    }
    unit.put_boxes(who.user, &request.boxes).await?;
    for device in &revoked {
        unit.end_sessions_of_device(*device, now).await?;
        unit.forget_device(who.user, *device).await?;
    }
    unit.commit().await?;

    for stored in &batch.entries {
        services.feeds.push_chain(chain, &live(&stored.entry));
    }
    let resident = Arc::new(resident.with_state(batch.state));
    services.directory.put(&resident);
    drop(turn);
    let added = batch.actions.iter().filter_map(|action| match action {
        Action::DeviceAdd(add) => Some(add.keys.device_id()),
        _ => None,
    });
    added.for_each(|device| services.seats.certify(who.user, device));
    for device in revoked {
        tracing::info!(user = %who.user, %device, "a device was revoked");
        if device == who.device {
            // It signed itself out, and is still to hear that it did.
            services.seats.cut_session_later(who.user, who.session, &services.tasks);
        } else {
            services.seats.cut_device(who.user, device);
        }
    }
    super::chain::tell_partners(services, &resident).await;
    Ok(resident.head)
}

/// Where the chain stands, if all of the statements are in it: a retry after a lost answer.
async fn already(
    services: &Services,
    who: Authenticated,
    statements: &[Submission],
) -> Result<Option<HeadRef>, Failure<AppendError>> {
    let items: Vec<_> = statements
        .iter()
        .filter_map(|submission| {
            codec::decode::<rookery_protocol::chain::Item>(submission.signed.payload.as_slice())
                .ok()
        })
        .map(|item| item.item_id)
        .collect();
    let chain = ChainId::of_user(who.user);
    let mut view = services.storage.read().await?;
    let places = view.places(chain, &items).await?;
    if places.len() < statements.len() {
        return Ok(None);
    }
    let Some(seq) = places.iter().map(|(_, seq)| *seq).max() else { return Ok(None) };
    Ok(view.entry_hash(chain, seq).await?)
}

/// Runs the rules.
fn judge(
    services: &Services,
    who: Authenticated,
    resident: &Resident,
    statements: Vec<Submission>,
) -> Result<Batch, Failure<AppendError>> {
    let denied = |reason: String| Failure::Error(AppendError::Denied { reason });
    let chain = ChainId::of_user(who.user);
    let now = services.clock.now();
    let mut batch = Batch { entries: vec![], actions: vec![], state: resident.state.clone() };
    for submission in statements {
        let item = submission.verify(chain).map_err(|error| denied(error.to_string()))?;
        let statement: Statement =
            codec::decode(submission.body.as_slice()).map_err(|error| denied(error.to_string()))?;
        let head = batch.state.head;
        if statement.seq != head.seq.saturating_add(1) || statement.prev != head.hash {
            return Err(Failure::Error(AppendError::Stale));
        }
        if matches!(statement.action, Action::Close(_)) {
            return Err(denied("an account is closed by its own request".to_owned()));
        }
        let author = submission.signed.author().map_or(who.device, |key| key.device_id());
        let entry = submission.place(chain, 0, Some(head));
        batch.state = user::apply(who.user, Some(&batch.state), &entry, &item)
            .map_err(|error| denied(error.to_string()))?;
        batch.entries.push(StoredEntry {
            entry,
            item: item.item_id,
            kind: item.kind,
            author,
            at: now,
        });
        batch.actions.push(statement.action);
    }
    Ok(batch)
}

/// Refuses a batch that leaves the per-user key with a revoked device, unless a device signs itself out: it cannot make a key that it is
/// not to know.
fn check_whole(who: Authenticated, batch: &Batch) -> Result<(), String> {
    if !batch.state.owes_rotation {
        return Ok(());
    }
    let signs_itself_out = match batch.actions.as_slice() {
        [Action::DeviceRevoke(revoke)] => {
            revoke.devices == [who.device]
                && batch.entries.iter().all(|stored| stored.author == who.device)
        }
        _ => false,
    };
    if signs_itself_out {
        return Ok(());
    }
    Err("a revocation goes with the new per-user key in one batch".to_owned())
}

/// Checks that the boxes that came go with the statements that came.
fn check_batch_boxes(batch: &Batch, boxes: &[PukBox]) -> Result<(), String> {
    let rotated = batch.actions.iter().rev().find_map(|action| match action {
        Action::PukRotate(rotate) => Some(rotate.puk.boxes_root),
        _ => None,
    });
    if let Some(root) = rotated {
        check_boxes(&batch.state, boxes)?;
        if PukBox::root(boxes) != root {
            return Err("the boxes are not those that the statement names".to_owned());
        }
        return Ok(());
    }
    let generation = batch.state.puk().map_or(0, |puk| puk.generation);
    let new_recovery =
        batch.actions.iter().any(|action| matches!(action, Action::RecoveryRotate(_)));
    if new_recovery && !boxes.iter().any(|sealed| sealed.device.is_none()) {
        return Err("the box for the new recovery key is missing".to_owned());
    }
    for sealed in boxes {
        let live = sealed.device.is_none_or(|device| batch.state.live_device(device).is_some());
        if sealed.generation != generation || !live {
            return Err("a box is for another generation, or for no live device".to_owned());
        }
    }
    if boxes.len() > MAX_LIVE_DEVICES.saturating_add(1) {
        return Err("more boxes than devices".to_owned());
    }
    Ok(())
}

/// Checks that there is exactly one box of the newest generation for each live device and for the recovery key.
pub fn check_boxes(state: &user::State, boxes: &[PukBox]) -> Result<(), String> {
    let generation = state.puk().map_or(0, |puk| puk.generation);
    let mut receivers: Vec<Option<DeviceId>> = boxes.iter().map(|sealed| sealed.device).collect();
    receivers.sort_unstable();
    let mut wanted: Vec<Option<DeviceId>> =
        state.live_device_ids().into_iter().map(Some).chain([None]).collect();
    wanted.sort_unstable();
    if receivers != wanted {
        return Err(
            "the boxes are not one for each live device and one for the recovery key".to_owned()
        );
    }
    if boxes.iter().any(|sealed| sealed.generation != generation) {
        return Err("a box is of another generation".to_owned());
    }
    Ok(())
}

/// The newest boxes for the caller's device and for the recovery key.
pub async fn boxes(services: &Services, who: Authenticated) -> Result<Boxes, Refusal> {
    let storage = |error| super::refusal(&error);
    let mut view = services.storage.read().await.map_err(storage)?;
    Ok(Boxes { boxes: view.boxes(who.user, who.device).await.map_err(storage)? })
}

#[cfg(test)]
mod tests {
    use rookery_protocol::{key::SigningKey, request::account::AppendError, session::Principal};

    use super::*;
    use crate::service::{
        message,
        seat::Ended,
        testing::{Person, bench, item},
    };

    fn key_of(person: &Person) -> SigningKey {
        SigningKey::from_seed(&person.device.key.to_seed())
    }

    #[tokio::test]
    async fn a_revoked_device_is_cut_off_at_once_with_all_that_was_kept_for_it() {
        let bench = bench(&[]);
        let services = &bench.services;
        let (mut alice, who, _, _) = bench.person("alice").await;
        let (second, second_who, seat) = bench.second(&mut alice, who).await;
        let to_self = alice.message(who.device, &alice, item(1), 50);
        message::send(services, who, to_self).await.unwrap();

        let key = key_of(&alice);
        let revoke = alice.revoke(&key, second.id());
        let (rotate, boxes) = alice.rotate(2);
        let request = AppendStatements { statements: vec![revoke, rotate], boxes };
        let head = append(services, who, request.clone()).await.unwrap();
        assert_eq!(head, alice.head());
        assert_eq!(
            append(services, who, request).await.unwrap(),
            head,
            "the same again is answered as the first time"
        );
        assert_eq!(seat.ended().await, Ended::Session);
        let mut view = services.storage.read().await.unwrap();
        assert_eq!(view.mailbox_head(second.id()).await.unwrap().count, 0);
        assert!(view.session(second_who.session).await.unwrap().unwrap().ended.is_some());
        let refused =
            message::send(services, second_who, alice.message(second.id(), &alice, item(2), 5))
                .await;
        assert_eq!(refused, Err(Refusal::NotPermitted.into()));
    }

    #[tokio::test]
    async fn a_revocation_without_the_new_key_is_incomplete_unless_a_device_signs_itself_out() {
        let bench = bench(&[]);
        let services = &bench.services;
        let (mut alice, who, _, _) = bench.person("alice").await;
        let (second, second_who, _) = bench.second(&mut alice, who).await;
        let (head, live) = (alice.head, alice.live.clone());
        let key = key_of(&alice);
        let revoke = alice.revoke(&key, second.id());
        let request = AppendStatements { statements: vec![revoke], boxes: vec![] };
        assert!(matches!(
            append(services, who, request).await,
            Err(Failure::Error(AppendError::Incomplete { .. }))
        ));
        (alice.head, alice.live) = (head, live);
        let signs_out = alice.revoke(&second.key, second.id());
        let request = AppendStatements { statements: vec![signs_out], boxes: vec![] };
        append(services, second_who, request).await.unwrap();
        let resident = services.resident(who.user).await.unwrap().unwrap();
        assert!(resident.state.owes_rotation && resident.live == [who.device]);
    }

    #[tokio::test]
    async fn boxes_are_for_every_live_device_and_no_other() {
        let bench = bench(&[]);
        let (mut alice, who, _, _) = bench.person("alice").await;
        let (second, ..) = bench.second(&mut alice, who).await;
        alice.live.retain(|device| *device != second.id());
        let (rotate, boxes) = alice.rotate(2);
        let request = AppendStatements { statements: vec![rotate], boxes };
        assert!(matches!(
            append(&bench.services, who, request).await,
            Err(Failure::Error(AppendError::Incomplete { .. }))
        ));
    }

    #[tokio::test]
    async fn a_statement_for_another_place_is_stale() {
        let bench = bench(&[]);
        let (mut alice, who, _, _) = bench.person("alice").await;
        alice.rotate(2);
        let (skipped, boxes) = alice.rotate(3);
        let request = AppendStatements { statements: vec![skipped], boxes };
        assert_eq!(
            append(&bench.services, who, request).await,
            Err(Failure::Error(AppendError::Stale))
        );
    }

    #[tokio::test]
    async fn a_device_that_is_certified_may_do_more_on_the_same_connection() {
        let bench = bench(&[]);
        let (mut alice, who, _, _) = bench.person("alice").await;
        let (_, second, seat) = bench.second(&mut alice, who).await;
        assert_eq!(seat.principal(), Principal::Device(second));
    }
}

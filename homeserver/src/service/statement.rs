//! A user's chain: what its owner's home lets in.
//!
//! The rules are `user::apply`, the same function that every client runs. The home adds what only it can see to: that a batch is whole (a
//! revocation with the new per-user key, boxes for every live device), and that a revoked device is cut off at once.

use rookery_protocol::{
    chain::{HeadRef, Submission},
    codec,
    id::{ChainId, DeviceId},
    request::{
        Failure, Refusal,
        account::{AppendError, AppendStatements, Boxes},
    },
    session::{Authenticated, FollowDown},
    user::{self, Action, MAX_LIVE_DEVICES, PukBox, Statement},
};

use super::{Services, directory::Resident, feed::Live};
use crate::repository::chain::{Append, StoredEntry};

/// How many statements one batch has: a revocation, the new per-user key, a new recovery key, and one to spare.
const MAX_STATEMENTS: usize = 4;

/// An entry on its way to followers.
#[must_use]
pub fn live(entry: &rookery_protocol::chain::Entry) -> Live {
    let frame = codec::encode(&FollowDown::Entry(entry.clone())).into();
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
    let revoked: Vec<DeviceId> =
        resident.live.iter().copied().filter(|device| batch.state.live_device(*device).is_none()).collect();

    let chain = ChainId::of_user(who.user);
    let now = services.clock.now();
    let mut unit = services.storage.begin().await?;
    match unit.append_entries(chain, &batch.entries).await? {
        Append::Done(_) => {}
        Append::Stale(_) => return Err(Failure::Error(AppendError::Stale)),
        Append::ItemExists => return Err(denied("a statement's item id was used before".to_owned())),
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
    let resident = services.directory.put(resident.with_state(batch.state));
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
async fn already(services: &Services, who: Authenticated, statements: &[Submission]) -> Result<Option<HeadRef>, Failure<AppendError>> {
    let items: Vec<_> = statements
        .iter()
        .filter_map(|submission| codec::decode::<rookery_protocol::chain::Item>(submission.signed.payload.as_slice()).ok())
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
        let author = submission.signed.author().map(|key| key.device_id()).unwrap_or(who.device);
        let entry = submission.place(chain, 0, Some(head));
        batch.state = user::apply(who.user, Some(&batch.state), &entry, &item)
            .map_err(|error| denied(error.to_string()))?;
        batch.entries.push(StoredEntry { entry, item: item.item_id, kind: item.kind, author, at: now });
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
            revoke.devices == [who.device] && batch.entries.iter().all(|stored| stored.author == who.device)
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
    let new_recovery = batch.actions.iter().any(|action| matches!(action, Action::RecoveryRotate(_)));
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
    let mut wanted: Vec<Option<DeviceId>> = state.live_device_ids().into_iter().map(Some).chain([None]).collect();
    wanted.sort_unstable();
    if receivers != wanted {
        return Err("the boxes are not one for each live device and one for the recovery key".to_owned());
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

//! The rules of a user's chain.
//!
//! Seniority is structural: a device is senior to all that were added after it, so that a thief's freshly linked device can neither evict
//! older ones nor touch the recovery key.

use rpds::RedBlackTreeMapSync;

use super::{
    Action, Close, Device, DeviceAdd, DeviceRevoke, Genesis, Lane, PukPublic, PukRotate,
    RecoveryRotate, State, Statement, reverse_message,
};
use crate::{
    chain::{BrokenEntry, Entry, Item, Kind, SignedItem},
    codec,
    id::{ChainId, DeviceId, UserId},
    key::{Domain, VerifyingKey},
    version::SUITE,
};

/// How many devices a user may have at one time.
pub const MAX_LIVE_DEVICES: usize = 10;

/// Why a statement is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The entry itself is wrong.
    #[error(transparent)]
    Broken(#[from] BrokenEntry),
    /// The body is no statement.
    #[error("the statement is malformed: {0}")]
    Malformed(#[from] codec::Malformed),
    /// Of another kind, suite, user or place than it claims.
    #[error("the statement is not for this place: {0}")]
    Misplaced(&'static str),
    /// Statements are never erased.
    #[error("the statement's body is missing")]
    Erased,
    /// Its author is no live device and not the recovery key.
    #[error("the author may not speak for this user")]
    NotAnAuthor,
    /// Somebody else has to sign as well, or instead.
    #[error("{0}")]
    NotEntitled(&'static str),
    /// The key that is announced did not agree.
    #[error("the new key did not sign for itself")]
    NoReverse,
    /// A device that is or was there already.
    #[error("the device was added before")]
    KnownDevice,
    /// A device that is not there, or not any more.
    #[error("no such live device")]
    UnknownDevice,
    /// Ten devices are live.
    #[error("a user has at most {MAX_LIVE_DEVICES} devices at one time")]
    TooManyDevices,
    /// Another generation than the next.
    #[error("the per-user key's generation is not the next one")]
    WrongGeneration,
    /// A revocation came before, and this is not the new per-user key.
    #[error("a new per-user key has to follow a revocation before anything else")]
    RotationOwed,
    /// The user has ended.
    #[error("this user has closed their account")]
    Closed,
}

/// Who signed a statement, as far as the state knows them.
struct Signers {
    /// Live devices, the author first if it is one.
    devices: Vec<(DeviceId, u64)>,
    recovery: bool,
    /// Whether the author, not only a co-signer, is the recovery key.
    author_is_recovery: bool,
}

impl Signers {
    fn of(state: &State, signed: &SignedItem) -> Result<Self, Denied> {
        let recovery_key = state.recovery.signing;
        let mut signers = Self { devices: vec![], recovery: false, author_is_recovery: false };
        for (index, signature) in signed.signatures.iter().enumerate() {
            if signature.key == recovery_key {
                signers.recovery = true;
                signers.author_is_recovery |= index == 0;
            } else if let Some((id, device)) = state.signer(signature.key) {
                if signers.devices.iter().all(|(known, _)| *known != id) {
                    signers.devices.push((id, device.added));
                }
            } else {
                return Err(Denied::NotAnAuthor);
            }
        }
        Ok(signers)
    }

    fn is_device(&self) -> bool {
        !self.author_is_recovery && !self.devices.is_empty()
    }

    /// Two live devices, with the oldest of all among them.
    fn are_two_with_the_oldest(&self, state: &State) -> bool {
        let oldest = state.live_devices().first().map(|(id, _)| *id);
        self.devices.len() >= 2 && self.devices.iter().any(|(id, _)| Some(*id) == oldest)
    }
}

/// Checks `entry` against everything, from its place to its rules, and says what `state` becomes (nothing when it is the first).
pub fn verify_and_apply(
    user: UserId,
    state: Option<&State>,
    entry: &Entry,
) -> Result<State, Denied> {
    if entry.chain != ChainId::of_user(user) {
        return Err(BrokenEntry::OtherChain.into());
    }
    let item = entry.verify_after(state.map(|state| state.head))?;
    apply(user, state, entry, &item)
}

/// Says what `state` becomes by `entry`, whose place and signatures hold, or which rule forbids it.
pub fn apply(
    user: UserId,
    state: Option<&State>,
    entry: &Entry,
    item: &Item,
) -> Result<State, Denied> {
    if item.kind != Kind::UserStatement {
        return Err(Denied::Misplaced("another kind of entry"));
    }
    let body = entry.body.as_ref().ok_or(Denied::Erased)?.as_slice();
    let statement: Statement = codec::decode(body)?;
    if statement.suite != SUITE {
        return Err(Denied::Misplaced("an unknown suite"));
    }
    if statement.seq != entry.seq || statement.prev != entry.prev {
        return Err(Denied::Misplaced("another place"));
    }
    let Some(state) = state else {
        if statement.user.is_some() || Statement::user_id(body) != user {
            return Err(Denied::Misplaced("another user"));
        }
        return begin(user, entry, &statement);
    };
    if statement.user != Some(user) || state.user != user {
        return Err(Denied::Misplaced("another user"));
    }
    if state.closed {
        return Err(Denied::Closed);
    }
    if state.owes_rotation && !matches!(statement.action, Action::PukRotate(_)) {
        return Err(Denied::RotationOwed);
    }
    let signers = Signers::of(state, &entry.signed)?;
    let next = match &statement.action {
        Action::Genesis(_) => return Err(Denied::Misplaced("a second genesis")),
        Action::DeviceAdd(add) => device_add(state, entry.seq, add)?,
        Action::DeviceRevoke(revoke) => device_revoke(state, entry.seq, revoke, &signers)?,
        Action::PukRotate(rotate) => puk_rotate(state, rotate, &signers)?,
        Action::RecoveryRotate(rotate) => recovery_rotate(state, rotate, &signers)?,
        Action::Close(Close { .. }) => close(state, &signers)?,
        Action::Home(_) => {
            return Err(Denied::NotEntitled("moving to another home is not possible yet"));
        }
    };
    Ok(State { head: entry.seen(), ..next })
}

fn begin(user: UserId, entry: &Entry, statement: &Statement) -> Result<State, Denied> {
    let Action::Genesis(Genesis { home, home_key, recovery, device, puk, .. }) = &statement.action
    else {
        return Err(Denied::Misplaced("a chain begins with its genesis"));
    };
    let keys: Vec<VerifyingKey> =
        entry.signed.signatures.iter().map(|signature| signature.key).collect();
    if keys != [device.signing, recovery.signing] || device.signing == recovery.signing {
        return Err(Denied::NotEntitled(
            "a genesis is signed by the first device and the recovery key",
        ));
    }
    if puk.lane != Lane::Durable || puk.generation != 1 {
        return Err(Denied::WrongGeneration);
    }
    let first = Device { keys: device.clone(), added: 0, revoked: None };
    Ok(State {
        user,
        head: entry.seen(),
        home: home.clone(),
        home_key: *home_key,
        recovery: recovery.clone(),
        devices: RedBlackTreeMapSync::new_sync().insert(device.device_id(), first),
        puks: RedBlackTreeMapSync::new_sync().insert(1, puk.clone()),
        puk_links: RedBlackTreeMapSync::new_sync(),
        owes_rotation: false,
        closed: false,
    })
}

fn device_add(state: &State, seq: u64, add: &DeviceAdd) -> Result<State, Denied> {
    let id = add.keys.device_id();
    if state.devices.contains_key(&id) {
        return Err(Denied::KnownDevice);
    }
    if add.keys.signing == state.recovery.signing {
        return Err(Denied::NotEntitled("a recovery key is no device"));
    }
    if state.live_devices().len() >= MAX_LIVE_DEVICES {
        return Err(Denied::TooManyDevices);
    }
    let message = reverse_message(state.user, state.head.hash, &codec::encode(&add.keys));
    add.keys
        .signing
        .verify(Domain::REVERSE, &message, &add.reverse)
        .map_err(|_| Denied::NoReverse)?;
    let device = Device { keys: add.keys.clone(), added: seq, revoked: None };
    Ok(State { devices: state.devices.insert(id, device), ..state.clone() })
}

fn device_revoke(
    state: &State,
    seq: u64,
    revoke: &DeviceRevoke,
    signers: &Signers,
) -> Result<State, Denied> {
    if revoke.devices.is_empty() || revoke.devices.len() > MAX_LIVE_DEVICES {
        return Err(Denied::UnknownDevice);
    }
    let mut devices = state.devices.clone();
    for id in &revoke.devices {
        let device =
            devices.get(id).filter(|device| device.is_live()).ok_or(Denied::UnknownDevice)?.clone();
        let entitled = signers.recovery
            || signers.devices.len() >= 2
            || signers
                .devices
                .iter()
                .any(|(signer, added)| *signer == *id || *added < device.added);
        if !entitled {
            return Err(Denied::NotEntitled(
                "a device is revoked by itself, by an older one, by two devices, or by the recovery key",
            ));
        }
        devices = devices.insert(*id, Device { revoked: Some(seq), ..device });
    }
    // The last device that signs itself out leaves nobody who could make a new key; recovery does it then.
    let owes_rotation = devices.values().any(Device::is_live);
    Ok(State { devices, owes_rotation, ..state.clone() })
}

fn puk_rotate(state: &State, rotate: &PukRotate, signers: &Signers) -> Result<State, Denied> {
    // A device that signs itself out hands over to the others, who are live; it cannot make a key that only it knows.
    if !signers.is_device() && !signers.recovery {
        return Err(Denied::NotAnAuthor);
    }
    let PukPublic { lane, generation, .. } = rotate.puk;
    let current = state.puk().map_or(0, |puk| puk.generation);
    if lane != Lane::Durable || Some(generation) != current.checked_add(1) {
        return Err(Denied::WrongGeneration);
    }
    Ok(State {
        puks: state.puks.insert(generation, rotate.puk.clone()),
        puk_links: state.puk_links.insert(generation, rotate.previous.as_slice().to_vec()),
        owes_rotation: false,
        ..state.clone()
    })
}

fn recovery_rotate(
    state: &State,
    rotate: &RecoveryRotate,
    signers: &Signers,
) -> Result<State, Denied> {
    if !signers.recovery && !signers.are_two_with_the_oldest(state) {
        return Err(Denied::NotEntitled(
            "a recovery key is replaced by itself, or by two devices with the oldest among them",
        ));
    }
    let is_device =
        state.devices.values().any(|device| device.keys.signing == rotate.recovery.signing);
    if is_device || rotate.recovery.signing == state.recovery.signing {
        return Err(Denied::KnownDevice);
    }
    let message = reverse_message(state.user, state.head.hash, &codec::encode(&rotate.recovery));
    rotate
        .recovery
        .signing
        .verify(Domain::REVERSE, &message, &rotate.reverse)
        .map_err(|_| Denied::NoReverse)?;
    Ok(State { recovery: rotate.recovery.clone(), ..state.clone() })
}

fn close(state: &State, signers: &Signers) -> Result<State, Denied> {
    let oldest = state.live_devices().first().map(|(id, _)| *id);
    if !signers.recovery && !signers.devices.iter().any(|(id, _)| Some(*id) == oldest) {
        return Err(Denied::NotEntitled(
            "an account is closed by its recovery key or its oldest device",
        ));
    }
    Ok(State { closed: true, ..state.clone() })
}

#[cfg(test)]
#[path = "apply/tests.rs"]
mod tests;

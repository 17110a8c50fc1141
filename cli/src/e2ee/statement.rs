//! What a device or a recovery key states of its user: signed, and checked by the chain's own rules before it leaves.
//!
//! An author can predict the hashes of what they sign, so a batch (a revocation with its new per-user key) is made whole and goes to the
//! home as one request. Running [`verify_and_apply`] here means that what the home would refuse is never sent.

use rookery_protocol::{
    chain::{Kind, Submission},
    codec::{self, Octets},
    id::{ChainId, DeviceId, ItemId, ServerId, UserId},
    key::{Domain, Signature, SigningKey},
    name::ServerName,
    time::Timestamp,
    user::{
        Action, Close, Denied, DeviceAdd, DeviceKeys, DeviceRevoke, Genesis, PukBox, PukRotate,
        RecoveryRotate, RevokeReason, State, Statement, reverse_message, verify_and_apply,
    },
};

use super::{
    Random,
    identity::DeviceSecrets,
    puk::{PukError, PukRing, Recipient},
    random::array,
    recovery::RecoveryKey,
};

/// Chains have had one owner so far: the home that they were founded at.
const OWNER_EPOCH: u64 = 0;

/// Whose key signs a statement.
#[derive(Clone, Copy, Debug)]
pub enum Signer<'a> {
    /// A live device.
    Device(&'a DeviceSecrets),
    /// The recovery key.
    Recovery(&'a RecoveryKey),
}

impl Signer<'_> {
    fn key(&self) -> &SigningKey {
        match self {
            Self::Device(device) => device.signing(),
            Self::Recovery(recovery) => recovery.signing(),
        }
    }
}

/// Why a statement was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The chain's rules forbid it; the home would refuse it as well.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Nobody signs it.
    #[error("a statement needs a signer")]
    NoSigner,
    /// This device has not the per-user key that is in force: catch up first.
    #[error("the per-user key in force is not known on this device: {0}")]
    Behind(#[from] PukError),
    /// A key that it is about is none, or something in it is too long.
    #[error("the statement cannot be made: {0}")]
    Unfit(&'static str),
}

/// Who founds a user.
#[derive(Clone, Copy, Debug)]
pub struct Founder<'a> {
    /// The first device.
    pub device: &'a DeviceSecrets,
    /// Its public keys, with its sealed name.
    pub keys: &'a DeviceKeys,
    /// The recovery key.
    pub recovery: &'a RecoveryKey,
    /// The per-user key, at its first generation.
    pub ring: &'a PukRing,
}

/// A user that begins: everything that registering takes of the user's keys.
#[derive(Debug)]
pub struct Founding {
    /// Who the user will be.
    pub user: UserId,
    /// The first statement, signed by the device and the recovery key.
    pub genesis: Submission,
    /// The per-user key's boxes for the device and the recovery key.
    pub boxes: Vec<PukBox>,
    /// The user's chain as it will stand once the home has taken the genesis.
    pub state: State,
}

/// Founds a user at the home of that name and root key.
pub fn found(
    home: ServerName,
    home_key: ServerId,
    founder: Founder<'_>,
    now: Timestamp,
    random: &mut dyn Random,
) -> Result<Founding, StatementError> {
    let Founder { device, keys, recovery, ring } = founder;
    let recovery_keys = recovery.public();
    let recipients = [(Some(device.id()), &keys.sealing), (None, &recovery_keys.sealing)];
    let generation = ring
        .announce(None, &recipients, random)
        .map_err(|_| StatementError::Unfit("a key is not valid"))?;
    let nonce = Octets::parse(array::<16>(random).to_vec())
        .map_err(|_| StatementError::Unfit("the nonce"))?;
    let puk = generation.public;
    let genesis =
        Genesis { home, home_key, recovery: recovery_keys, device: keys.clone(), puk, nonce };
    let body = codec::encode(&Statement::genesis(genesis));
    let user = Statement::user_id(&body);
    let signers = [Signer::Device(device), Signer::Recovery(recovery)];
    let (genesis, state) = submit(user, None, body, &signers, now, random)?;
    Ok(Founding { user, genesis, boxes: generation.boxes, state })
}

/// Statements in the making: each is signed, checked, and follows the one before.
#[derive(Debug)]
pub struct Draft {
    state: State,
    statements: Vec<Submission>,
    boxes: Vec<PukBox>,
}

/// A finished [`Draft`], for `account/append/1`.
#[derive(Debug)]
pub struct Stated {
    /// In order.
    pub statements: Vec<Submission>,
    /// Boxes of the per-user key that go with them.
    pub boxes: Vec<PukBox>,
    /// The chain as it will stand once the home has taken them. Not to be relied on before.
    pub state: State,
}

impl Draft {
    /// Begins after the head of `state`, which has to be what the home has: it answers `Stale` otherwise.
    #[must_use]
    pub fn after(state: &State) -> Self {
        Self { state: state.clone(), statements: vec![], boxes: vec![] }
    }

    /// The chain as the draft leaves it; its head is what a new device's [`DeviceSecrets::consent`] has to name.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Adds the device of `keys`, which consented by `reverse`.
    pub fn add_device(
        &mut self,
        signer: Signer<'_>,
        keys: DeviceKeys,
        reverse: Signature,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<(), StatementError> {
        self.append(Action::DeviceAdd(DeviceAdd { keys, reverse }), &[signer], now, random)
    }

    /// Adds a box of `ring`'s newest generation for a live device, so that it reads what came before.
    pub fn box_for(
        &mut self,
        device: DeviceId,
        ring: &PukRing,
        random: &mut dyn Random,
    ) -> Result<(), StatementError> {
        let live = self.state.live_device(device).ok_or(Denied::UnknownDevice)?;
        let sealed = ring.box_for(&self.state, (Some(device), &live.keys.sealing), random)?;
        self.boxes.push(sealed);
        Ok(())
    }

    /// Revokes devices and rotates the per-user key: `ring` gains the new generation, and has to be stored before the statements leave.
    /// The first signer is the author, and has to be live afterwards, or the recovery key.
    pub fn revoke_devices(
        &mut self,
        signers: &[Signer<'_>],
        revoke: DeviceRevoke,
        ring: &mut PukRing,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<(), StatementError> {
        let author = *signers.first().ok_or(StatementError::NoSigner)?;
        self.append(Action::DeviceRevoke(revoke), signers, now, random)?;
        if self.state.owes_rotation { self.rotate_puk(author, ring, now, random) } else { Ok(()) }
    }

    /// Signs one's own device out. The new per-user key is for the others to make, before anything else: one that goes must not know it.
    pub fn sign_out(
        &mut self,
        device: &DeviceSecrets,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<(), StatementError> {
        let revoke = DeviceRevoke {
            devices: vec![device.id()],
            reason: RevokeReason::SignedOut,
            since_seq: None,
        };
        self.append(Action::DeviceRevoke(revoke), &[Signer::Device(device)], now, random)
    }

    /// Makes a new generation of the per-user key, boxed to every live device and the recovery key.
    pub fn rotate_puk(
        &mut self,
        signer: Signer<'_>,
        ring: &mut PukRing,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<(), StatementError> {
        if !ring.is_current(&self.state) {
            return Err(PukError::Unknown {
                generation: self.state.puk().map_or(0, |puk| puk.generation),
            }
            .into());
        }
        ring.advance(random);
        let state = self.state.clone();
        let mut recipients: Vec<Recipient<'_>> = state
            .live_devices()
            .into_iter()
            .map(|(id, device)| (Some(id), &device.keys.sealing))
            .collect();
        recipients.push((None, &state.recovery.sealing));
        let generation = ring
            .announce(Some(state.user), &recipients, random)
            .map_err(|_| StatementError::Unfit("a device's key is not valid"))?;
        let rotate = PukRotate { puk: generation.public, previous: generation.previous };
        self.append(Action::PukRotate(rotate), &[signer], now, random)?;
        self.boxes.extend(generation.boxes);
        Ok(())
    }

    /// Replaces the recovery key: signed by the old one, or by two devices with the oldest among them. Let [`Draft::rotate_puk`] follow, so
    /// that the new recovery key has a box, and the old one opens nothing that comes.
    pub fn replace_recovery(
        &mut self,
        signers: &[Signer<'_>],
        new: &RecoveryKey,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<(), StatementError> {
        let recovery = new.public();
        let message =
            reverse_message(self.state.user, self.state.head.hash, &codec::encode(&recovery));
        let reverse = new.signing().sign(Domain::REVERSE, &message);
        self.append(
            Action::RecoveryRotate(RecoveryRotate { recovery, reverse }),
            signers,
            now,
            random,
        )
    }

    /// Ends the user.
    pub fn close(
        &mut self,
        signer: Signer<'_>,
        successor: Option<UserId>,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<(), StatementError> {
        self.append(Action::Close(Close { successor }), &[signer], now, random)
    }

    /// What goes to the home.
    #[must_use]
    pub fn finish(self) -> Stated {
        Stated { statements: self.statements, boxes: self.boxes, state: self.state }
    }

    /// Signs one statement, and goes on from it.
    fn append(
        &mut self,
        action: Action,
        signers: &[Signer<'_>],
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<(), StatementError> {
        let body = codec::encode(&Statement::next(self.state.user, self.state.head, action));
        let (statement, state) =
            submit(self.state.user, Some(&self.state), body, signers, now, random)?;
        self.statements.push(statement);
        self.state = state;
        Ok(())
    }
}

/// Signs `body` as what follows `state`, and checks it as the home will.
fn submit(
    user: UserId,
    state: Option<&State>,
    body: Vec<u8>,
    signers: &[Signer<'_>],
    now: Timestamp,
    random: &mut dyn Random,
) -> Result<(Submission, State), StatementError> {
    let chain = ChainId::of_user(user);
    let head = state.map(|state| state.head);
    let (author, cosigners) = signers.split_first().ok_or(StatementError::NoSigner)?;
    let item = ItemId::from_bytes(array(random));
    let mut submission =
        Submission::sign(author.key(), chain, item, Kind::UserStatement, body, now, head)
            .map_err(|_| StatementError::Unfit("it is too long"))?;
    for cosigner in cosigners {
        submission.signed = submission.signed.cosign(cosigner.key());
    }
    let state = verify_and_apply(user, state, &submission.clone().place(chain, OWNER_EPOCH, head))?;
    Ok((submission, state))
}

#[cfg(test)]
#[path = "statement/tests.rs"]
mod tests;

//! A device's own keys, and what it states of its user.

use std::fmt;

use minicbor::{Decode, Encode};
use rookery_protocol::{
    chain::{Kind, Submission},
    codec::{self, Malformed, Octets},
    id::{ChainId, DeviceId, Digest, ItemId, ServerId, UserId},
    key::{AgreementKey, Domain, Signature, SigningKey},
    name::ServerName,
    time::Timestamp,
    user::{
        Action, Close, Denied, DeviceAdd, DeviceKeys, DeviceRevoke, Genesis, PukBox, PukRotate, RecoveryRotate,
        RevokeReason, State, Statement, reverse_message, verify_and_apply,
    },
};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    Random,
    aead::Unopenable,
    cbor::encode_secret,
    kem::KemSecret,
    puk::PukRing,
    random::{array, secret},
    recovery::RecoveryKey,
};

/// A device's long-lived secrets: made once, before the first call to any server.
pub struct DeviceSecrets {
    signing: SigningKey,
    identity: StaticSecret,
    sealing: KemSecret,
}

impl DeviceSecrets {
    /// A new device.
    #[must_use]
    pub fn generate(random: &mut dyn Random) -> Self {
        unimplemented!()
    }

    /// The device's id: `LH("dev", D_ed)`.
    #[must_use]
    pub fn id(&self) -> DeviceId {
        self.signing.verifying_key().device_id()
    }

    /// What signs for the device: statements, log-ins, connections, prekeys.
    #[must_use]
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// What opens boxes of the per-user key, and nothing else.
    #[must_use]
    pub fn sealing(&self) -> &KemSecret {
        &self.sealing
    }

    /// The public halves, with the device's name as [`PukRing::seal_device_name`] sealed it.
    #[must_use]
    pub fn public(&self, made_for: MadeFor, sealed_name: Octets<256>) -> DeviceKeys {
        unimplemented!()
    }

    /// The device's consent to be added with `keys` after `head` (its reverse signature).
    #[must_use]
    pub fn consent(&self, user: UserId, head: Digest, keys: &DeviceKeys) -> Signature {
        unimplemented!()
    }

    /// The secrets as bytes, for the sealed store.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        unimplemented!()
    }

    /// Reads what [`DeviceSecrets::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        unimplemented!()
    }
}

impl fmt::Debug for DeviceSecrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DeviceSecrets(secret of {:?})", self.id())
    }
}

/// Who is behind a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeFor {
    /// Somebody who reads and writes.
    Person,
    /// A program.
    Bot,
}

/// Whose key signs a statement.
#[derive(Clone, Copy, Debug)]
pub enum Signer<'a> {
    /// A live device.
    Device(&'a DeviceSecrets),
    /// The recovery key.
    Recovery(&'a RecoveryKey),
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

/// Founds a user at `home` whose first device is `device` and whose per-user key is `ring`'s.
pub fn found(
    home: ServerName,
    home_key: ServerId,
    device: &DeviceSecrets,
    keys: DeviceKeys,
    recovery: &RecoveryKey,
    ring: &PukRing,
    now: Timestamp,
    random: &mut dyn Random,
) -> Result<Founding, StatementError> {
    unimplemented!()
}

/// Why a statement was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The chain's rules forbid it; the home would refuse it as well.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A key that it is about is none, or a text is too long.
    #[error("the statement cannot be encoded: {0}")]
    Unfit(&'static str),
}

/// Statements in the making: each is signed, checked by the chain's own rules, and follows the one before, so that the whole goes to the
/// home as one request (`account/append/1`).
#[derive(Debug)]
pub struct Draft {
    state: State,
    statements: Vec<Submission>,
    boxes: Vec<PukBox>,
}

/// A finished [`Draft`].
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
    pub fn add_device(&mut self, signer: Signer<'_>, keys: DeviceKeys, reverse: Signature, now: Timestamp, random: &mut dyn Random) -> Result<(), StatementError> {
        unimplemented!()
    }

    /// Adds a box of `ring`'s newest generation for a live device, so that it reads what came before.
    pub fn box_for(&mut self, device: DeviceId, ring: &PukRing, random: &mut dyn Random) -> Result<(), StatementError> {
        unimplemented!()
    }

    /// Revokes `devices` and, while any device is left, rotates the per-user key: `ring` gains the new generation, and has to be stored
    /// before the statements leave. `signers` are the author and at most two co-signers.
    pub fn revoke_devices(&mut self, signers: &[Signer<'_>], devices: Vec<DeviceId>, reason: RevokeReason, since_seq: Option<u64>, ring: &mut PukRing, now: Timestamp, random: &mut dyn Random) -> Result<(), StatementError> {
        unimplemented!()
    }

    /// Signs one's own device out. The others make the new per-user key: a device that goes must not know it.
    pub fn sign_out(&mut self, device: &DeviceSecrets, now: Timestamp, random: &mut dyn Random) -> Result<(), StatementError> {
        unimplemented!()
    }

    /// Makes a new generation of the per-user key, boxed to every live device and the recovery key.
    pub fn rotate_puk(&mut self, signer: Signer<'_>, ring: &mut PukRing, now: Timestamp, random: &mut dyn Random) -> Result<(), StatementError> {
        unimplemented!()
    }

    /// Replaces the recovery key: signed by the old one, or by two devices with the oldest among them.
    pub fn replace_recovery(&mut self, signers: &[Signer<'_>], new: &RecoveryKey, now: Timestamp, random: &mut dyn Random) -> Result<(), StatementError> {
        unimplemented!()
    }

    /// Ends the user.
    pub fn close(&mut self, signer: Signer<'_>, successor: Option<UserId>, now: Timestamp, random: &mut dyn Random) -> Result<(), StatementError> {
        unimplemented!()
    }

    /// What goes to the home.
    #[must_use]
    pub fn finish(self) -> Stated {
        Stated { statements: self.statements, boxes: self.boxes, state: self.state }
    }
}

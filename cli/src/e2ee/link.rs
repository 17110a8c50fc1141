//! Linking a second device by a code that a person types.
//!
//! The *old* device shows the code and the *new* one takes it, never the other way round: people have been talked into scanning an
//! attacker's code by the thousand (FBI and CISA, 2026-03-20). The code is worth 33 bits, and a balanced PAKE (SPAKE2, RFC 9382) makes it
//! worth one guess: a place takes one. Its identities are the user, the new device's key and the place, so that nothing of one exchange
//! fits into another.
//!
//! ```text
//!  new                                                old
//!   0  device key, SPAKE2 ─────────────────────────►
//!      ◄───────────────────────────────── SPAKE2      0
//!   1  confirmation, sealed: keys, name, platform ──►  asks its person
//!      ◄──── confirmation, sealed: head, sealed name  1
//!   2  sealed: keys with that name, consent ────────►  states device_add
//!      ◄──── sealed: head, box of the per-user key    2
//! ```
//!
//! When the chain went on between the old device's letter 1 and its statement, its letter 2 is another offer, and both sides use letter 3.

mod channel;
mod code;
mod new_device;
mod old_device;
#[cfg(test)]
mod tests;

use minicbor::{Decode, Encode};
use rookery_protocol::{
    chain::HeadRef,
    codec::Octets,
    key::{AgreementKey, KemKey, Signature, VerifyingKey},
    user::{DeviceKeys, PukBox},
};

pub use code::{LinkCode, NotACode};
pub use new_device::{Answer, NewDevice, NewDeviceConsented, NewDeviceWaiting, Portrait, Welcome};
pub use old_device::{
    Introduction, OldDevice, OldDeviceAgreed, OldDeviceAsked, OldDeviceExchanged, OldDeviceOffered,
};

/// A letter of either side.
pub type Letter = Octets<8192>;

/// Why linking ended. The place is spent: close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The other side has another code, or somebody stands between.
    #[error("the codes do not agree: start again with a new code")]
    WrongCode,
    /// A letter that does not fit into its place.
    #[error("the other device sent something else than was expected")]
    Unexpected,
    /// The new device did not consent to what was offered.
    #[error("the new device's keys are not the ones that it announced")]
    OtherKeys,
}

/// Letter 0 of the new side.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Hello {
    #[n(0)]
    device: VerifyingKey,
    #[cbor(n(1), with = "minicbor::bytes")]
    exchange: Vec<u8>,
}

/// Letter 0 of the old side.
#[derive(Encode, Decode)]
#[cbor(map)]
struct HelloBack {
    #[cbor(n(0), with = "minicbor::bytes")]
    exchange: Vec<u8>,
}

/// Letter 1 of the new side: its other keys, and what it says of itself.
#[derive(Encode, Decode)]
#[cbor(map)]
struct SelfDescription {
    #[n(0)]
    identity: AgreementKey,
    #[n(1)]
    sealing: KemKey,
    #[n(2)]
    bot: bool,
    #[n(3)]
    name: String,
    #[n(4)]
    platform: String,
}

/// What the old side says after its person said yes.
#[derive(Encode, Decode)]
#[cbor(map)]
enum OldWord {
    /// A place in the chain after `head`, under a name that the new device cannot seal yet.
    #[n(1)]
    Offer {
        #[n(0)]
        head: HeadRef,
        #[n(1)]
        sealed_name: Octets<256>,
    },
    /// The place is taken. Without a box the new device does not read what came before.
    #[n(2)]
    Welcome {
        #[n(0)]
        head: HeadRef,
        #[n(1)]
        puk: Option<PukBox>,
    },
}

/// The new side's consent.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Consent {
    #[n(0)]
    keys: DeviceKeys,
    #[n(1)]
    reverse: Signature,
}

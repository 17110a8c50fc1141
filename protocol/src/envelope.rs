//! One sealed letter from a device to a device, as it travels.

use crate::{
    chain::HeadRef,
    codec::{self, Malformed, Octets},
    id::{DeviceId, ItemId, RatchetId, UserId},
    key::{AgreementKey, Signature},
    wire_index, wire_struct,
};

/// How long an X-Wing ciphertext is.
pub const KEM_CIPHERTEXT_BYTES: usize = 1120;

wire_index! {
    /// What an envelope does to the session between two devices.
    pub enum EnvelopeKind {
        /// Begins a session.
        #[n(1)] Handshake,
        /// Goes on in one.
        #[n(2)] Message,
        /// Says that a session is lost, and begins another.
        #[n(3)] Resync,
    }
}

wire_struct! {
    /// What everybody on the way may see. It is the associated data of what is sealed.
    pub struct EnvelopeHeader {
        /// The suite: 1.
        #[n(0)] pub suite: u8,
        /// What it does to the session.
        #[n(1)] pub kind: EnvelopeKind,
        /// To whom.
        #[n(2)] pub dst_user: UserId,
        /// To which of their devices.
        #[n(3)] pub dst_device: DeviceId,
        /// From whom.
        #[n(4)] pub src_user: UserId,
        /// From which of their devices.
        #[n(5)] pub src_device: DeviceId,
        /// In which session.
        #[n(6)] pub session: RatchetId,
        /// Of which message it is this device's copy.
        #[n(7)] pub message: ItemId,
    }
}

wire_struct! {
    /// What the receiver of a first envelope needs to derive the session.
    pub struct Initiation {
        /// The sender's ephemeral X25519 key.
        #[n(0)] pub ephemeral: AgreementKey,
        /// Which signed X25519 prekey was used.
        #[n(1)] pub signed_prekey: u32,
        /// Which one-time X25519 prekey, if any.
        #[n(2)] pub one_time: Option<u32>,
        /// Which X-Wing prekey.
        #[n(3)] pub kem_prekey: u32,
        /// Whether that was a one-time key.
        #[n(4)] pub kem_is_one_time: bool,
        /// X-Wing ciphertext: 1,120 bytes.
        #[n(5)] pub kem_ciphertext: Octets<KEM_CIPHERTEXT_BYTES>,
        /// The head of the sender's chain that the sender meant.
        #[n(6)] pub src_head: HeadRef,
        /// The head of the receiver's chain that the sender had verified.
        #[n(7)] pub dst_head: HeadRef,
        /// The session that this one heals or replaces.
        #[n(8)] pub previous: Option<RatchetId>,
        /// In a resync: the sending device's signature over the header, so that a reset is never silent.
        #[n(9)] pub resync: Option<Signature>,
    }
}

wire_struct! {
    /// A sealed letter.
    pub struct Envelope {
        /// The encoded [`EnvelopeHeader`], as it is bound into the seal.
        #[n(0)] pub header: Octets<512>,
        /// Nonce and ciphertext.
        #[n(1)] pub sealed: Octets,
        /// In a first envelope and a resync.
        #[n(2)] pub initiation: Option<Initiation>,
    }
}

impl Envelope {
    /// Reads the header.
    pub fn read_header(&self) -> Result<EnvelopeHeader, Malformed> {
        codec::decode(self.header.as_slice())
    }

    /// What the envelope takes of a mailbox, in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let initiation =
            if self.initiation.is_some() { KEM_CIPHERTEXT_BYTES.saturating_add(256) } else { 0 };
        self.header.len().saturating_add(self.sealed.len()).saturating_add(initiation)
    }
}

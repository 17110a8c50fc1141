//! What a user's chain can say.

use crate::{
    chain::Seen,
    codec::{self, Octets},
    hash::labelled,
    id::{DeviceId, Digest, ServerId, UserId},
    key::{AgreementKey, HpkeBox, KemKey, Signature, VerifyingKey},
    name::ServerName,
    wire_enum, wire_index, wire_struct,
};

wire_struct! {
    /// The public halves of a device's long-lived keys.
    pub struct DeviceKeys {
        /// Ed25519: signs for the device, and names it.
        #[n(0)] pub signing: VerifyingKey,
        /// X25519: identity key of the handshake.
        #[n(1)] pub identity: AgreementKey,
        /// X-Wing: for boxes of the per-user key, and nothing else.
        #[n(2)] pub sealing: KemKey,
        /// Whether a program is behind it, not a person.
        #[n(3)] pub bot: bool,
        /// The device's name, sealed for the user's other devices.
        #[n(4)] pub sealed_name: Octets<256>,
    }
}

impl DeviceKeys {
    /// The device's id: `LH("dev", D_ed)`.
    #[must_use]
    pub fn device_id(&self) -> DeviceId {
        self.signing.device_id()
    }
}

wire_struct! {
    /// The public halves of a recovery key.
    pub struct RecoveryKeys {
        /// Ed25519: signs for the user when no device can.
        #[n(0)] pub signing: VerifyingKey,
        /// X-Wing: the durable per-user key is boxed to it.
        #[n(1)] pub sealing: KemKey,
    }
}

wire_index! {
    /// Which of the per-user key's two lanes: one that opens history, one that forgets. Only the durable lane is in use.
    pub enum Lane {
        /// Linked backwards and boxed to the recovery key: whoever has it reads what came before.
        #[n(1)] Durable,
        /// Reserved: no link, no recovery.
        #[n(2)] Forward,
    }
}

wire_struct! {
    /// The public half of one generation of the per-user key (PUK).
    pub struct PukPublic {
        /// Its lane.
        #[n(0)] pub lane: Lane,
        /// From 1, rising by one.
        #[n(1)] pub generation: u32,
        /// X-Wing: what is sealed for the user is sealed for this.
        #[n(2)] pub public: KemKey,
        /// `LH("puk", lane, generation, seed)`: a box that holds another seed is found out.
        #[n(3)] pub commit: Digest,
        /// The hash of the boxes that went with it.
        #[n(4)] pub boxes_root: Digest,
    }
}

wire_struct! {
    /// One generation's seed, sealed for one device or for the recovery key (no device).
    pub struct PukBox {
        /// Which generation.
        #[n(0)] pub generation: u32,
        /// For whom; the recovery key when absent.
        #[n(1)] pub device: Option<DeviceId>,
        /// HPKE X-Wing over the seed.
        #[n(2)] pub sealed: HpkeBox,
    }
}

impl PukBox {
    /// The hash of a set of boxes, which the statement that goes with them names.
    #[must_use]
    pub fn root(boxes: &[Self]) -> Digest {
        let encoded: Vec<Vec<u8>> = boxes.iter().map(codec::encode).collect();
        labelled("puk/boxes", &encoded.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }
}

wire_struct! {
    /// The first statement: signed by the first device, and by the recovery key.
    pub struct Genesis {
        /// The home's name.
        #[n(0)] pub home: ServerName,
        /// The home's root key.
        #[n(1)] pub home_key: ServerId,
        /// The recovery key.
        #[n(2)] pub recovery: RecoveryKeys,
        /// The first device.
        #[n(3)] pub device: DeviceKeys,
        /// The per-user key, generation 1.
        #[n(4)] pub puk: PukPublic,
        /// 16 random bytes, so that no two users are the same.
        #[n(5)] pub nonce: Octets<16>,
    }
}

wire_struct! {
    /// A device joins: signed by a live device or the recovery key, and in reverse by the device itself.
    pub struct DeviceAdd {
        /// Its keys.
        #[n(0)] pub keys: DeviceKeys,
        /// The new device's own signature over [`reverse_message`], so that nobody claims another's key.
        #[n(1)] pub reverse: Signature,
    }
}

wire_index! {
    /// Why a device goes.
    pub enum RevokeReason {
        /// Signed out by its own user.
        #[n(1)] SignedOut,
        /// Lost, or no longer used.
        #[n(2)] Retired,
        /// In somebody else's hands.
        #[n(3)] Stolen,
    }
}

wire_struct! {
    /// Devices go: signed by the recovery key, by a senior device, by two live devices, or by the device itself. A new per-user key follows
    /// at once, while any device is left.
    pub struct DeviceRevoke {
        /// Which; one to ten.
        #[n(0)] pub devices: Vec<DeviceId>,
        /// Why.
        #[n(1)] pub reason: RevokeReason,
        /// Since when they are not to be trusted, if that was earlier: the last good place in this chain.
        #[n(2)] pub since_seq: Option<u64>,
    }
}

wire_struct! {
    /// A new generation of the per-user key: signed by a live device.
    pub struct PukRotate {
        /// Its public half.
        #[n(0)] pub puk: PukPublic,
        /// The seed before, sealed under this one: whoever gets this generation walks back through all of history.
        #[n(1)] pub previous: Octets<256>,
    }
}

wire_struct! {
    /// A new recovery key: signed by the old one, or by two devices with the oldest among them, and in reverse by the new one.
    pub struct RecoveryRotate {
        /// The new one.
        #[n(0)] pub recovery: RecoveryKeys,
        /// The new key's own signature over [`reverse_message`].
        #[n(1)] pub reverse: Signature,
    }
}

wire_struct! {
    /// The end: signed by the recovery key, or by the oldest live device.
    pub struct Close {
        /// Another user that this one says to be. Shown, never trusted.
        #[n(0)] pub successor: Option<UserId>,
    }
}

wire_struct! {
    /// Reserved: the account moves to another home.
    pub struct HomeChange {
        /// The new home's name.
        #[n(0)] pub home: ServerName,
        /// The new home's root key.
        #[n(1)] pub home_key: ServerId,
    }
}

wire_enum! {
    /// What is said.
    pub enum Action {
        /// The user begins.
        #[n(1)] Genesis(#[n(0)] Genesis),
        /// A device joins.
        #[n(2)] DeviceAdd(#[n(0)] DeviceAdd),
        /// Devices go.
        #[n(3)] DeviceRevoke(#[n(0)] DeviceRevoke),
        /// The per-user key changes.
        #[n(4)] PukRotate(#[n(0)] PukRotate),
        /// The recovery key changes.
        #[n(5)] RecoveryRotate(#[n(0)] RecoveryRotate),
        /// The user ends.
        #[n(6)] Close(#[n(0)] Close),
        /// Reserved: no rule allows it yet.
        #[n(7)] Home(#[n(0)] HomeChange),
    }
}

wire_struct! {
    /// One statement: the body of an entry of a user's chain.
    pub struct Statement {
        /// The suite of everything here: 1.
        #[n(0)] pub suite: u8,
        /// Whose; absent in the genesis, whose hash it is.
        #[n(1)] pub user: Option<UserId>,
        /// The place that the author means; the owner cannot put it elsewhere.
        #[n(2)] pub seq: u64,
        /// The hash of the entry before.
        #[n(3)] pub prev: Digest,
        /// What is said.
        #[n(4)] pub action: Action,
    }
}

impl Statement {
    /// A user's first statement.
    #[must_use]
    pub fn genesis(genesis: Genesis) -> Self {
        Self {
            suite: crate::version::SUITE,
            user: None,
            seq: 0,
            prev: Digest::ZERO,
            action: Action::Genesis(genesis),
        }
    }

    /// The statement of `user` that follows `head`.
    #[must_use]
    pub fn next(user: UserId, head: Seen, action: Action) -> Self {
        Self {
            suite: crate::version::SUITE,
            user: Some(user),
            seq: head.seq.saturating_add(1),
            prev: head.hash,
            action,
        }
    }

    /// `LH("user", genesis)`: the id of the user that an encoded genesis begins.
    #[must_use]
    pub fn user_id(encoded_genesis: &[u8]) -> UserId {
        UserId::from_bytes(*labelled("user", &[encoded_genesis]).as_bytes())
    }
}

/// What a new key signs to say that it wants to be where it is put: user, the entry before, and the keys that are announced.
#[must_use]
pub fn reverse_message(user: UserId, prev: Digest, encoded_keys: &[u8]) -> Vec<u8> {
    labelled("reverse", &[user.as_bytes(), prev.as_bytes(), encoded_keys]).as_bytes().to_vec()
}

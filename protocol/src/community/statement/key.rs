//! Epochs.

use crate::{
    codec::Octets,
    id::{AudienceId, BlobId, Digest, UserId},
    key::HpkeBox,
    wire_index, wire_struct,
};

wire_index! {
    /// Why an epoch begins.
    pub enum EpochReason {
        /// The audience begins.
        #[n(1)] Begin,
        /// Somebody may no longer read.
        #[n(2)] Removal,
        /// Somebody came, who is not to read what was before.
        #[n(3)] Join,
        /// A device of a member's was revoked.
        #[n(4)] Device,
        /// The epoch has lasted long enough.
        #[n(5)] Age,
        /// The history setting has changed.
        #[n(6)] Setting,
    }
}

wire_struct! {
    /// A new epoch of an audience: a new secret, wrapped for exactly the audience as the log has it here.
    pub struct EpochStart {
        /// Whose.
        #[n(0)] pub audience: AudienceId,
        /// From 0, rising by one.
        #[n(1)] pub epoch: u32,
        /// Why.
        #[n(2)] pub reason: EpochReason,
        /// `roster_root` of the audience.
        #[n(3)] pub roster_root: Digest,
        /// How many users it has.
        #[n(4)] pub count: u32,
        /// `LH("epoch", audience, epoch, secret)`: a wrap that holds another secret is found out.
        #[n(5)] pub commit: Digest,
        /// The blob of the wraps: one for each user of the roster in its order, then one for each live link that has a key for it, by number.
        #[n(6)] pub wraps: BlobId,
        /// The secret before, sealed under this one: there if and only if history is full and was full before.
        #[n(7)] pub previous: Option<Octets<96>>,
        /// The metadata key before, sealed under this one; absent in the first epoch.
        #[n(8)] pub previous_meta: Option<Octets<96>>,
    }
}

wire_struct! {
    /// Wraps the epoch in force for one member: somebody who came, or whose wrap was bad or missing.
    pub struct Admit {
        /// Whose epoch.
        #[n(0)] pub audience: AudienceId,
        /// Which.
        #[n(1)] pub epoch: u32,
        /// For whom.
        #[n(2)] pub user: UserId,
        /// The secret, wrapped for the per-user key that the log pins.
        #[n(3)] pub wrap: HpkeBox,
    }
}

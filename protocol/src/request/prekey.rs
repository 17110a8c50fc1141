//! Prekeys: publishing one's own, claiming another's.

use crate::{
    id::{DeviceId, ItemId, UserId},
    name::ServerName,
    prekey::{Bundle, PrekeyUpload},
    request,
    session::Authenticated,
    wire_enum, wire_struct,
};

wire_struct! {
    /// Publishes prekeys of the asking device.
    pub struct PublishPrekeys {
        /// The new keys.
        #[n(0)] pub upload: PrekeyUpload,
    }
}

wire_struct! {
    /// What the server now has of the device.
    pub struct PrekeyCount {
        /// One-time X25519 keys.
        #[n(0)] pub one_time: u32,
        /// One-time X-Wing keys.
        #[n(1)] pub one_time_kem: u32,
    }
}

wire_enum! {
    /// Why the keys were not taken.
    #[derive(thiserror::Error)]
    pub enum PublishError {
        /// A signature does not hold, or an id or an end is wrong.
        #[n(1)]
        #[error("the server refused the prekeys: {reason}")]
        Refused {
            /// Which rule.
            #[n(0)] reason: String
        },
    }
}

request!(PublishPrekeys: "prekey/publish/1", Account, Authenticated => PrekeyCount, PublishError, 256 * 1024);

wire_struct! {
    /// Claims a bundle of each of a user's devices. The same claim id gets the same bundles again; a stranger gets signed prekeys only.
    pub struct ClaimPrekeys {
        /// Chosen by the asker.
        #[n(0)] pub claim: ItemId,
        /// Whose; one's own devices may be claimed too.
        #[n(1)] pub user: UserId,
        /// Which devices; at most 10.
        #[n(2)] pub devices: Vec<DeviceId>,
    }
}

wire_struct! {
    /// What was claimed. A device that has no prekeys, or is not live, is left out.
    pub struct Bundles {
        /// At most one a device.
        #[n(0)] pub bundles: Vec<Bundle>,
    }
}

wire_enum! {
    /// Why there is nothing to claim.
    #[derive(thiserror::Error)]
    pub enum ClaimError {
        /// No such user, or none that the asker may write to.
        #[n(1)]
        #[error("there is nobody of that name whom you can write to")]
        NotFound,
        /// The user's home does not answer the asker's.
        #[n(2)]
        #[error("{server} does not answer your server")]
        Unreachable {
            /// Which server.
            #[n(0)] server: ServerName
        },
    }
}

request!(ClaimPrekeys: "prekey/claim/1", Claim, Authenticated => Bundles, ClaimError);

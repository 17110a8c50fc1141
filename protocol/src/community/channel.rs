//! What stands in a channel, as it travels: announced Sender Keys, sealed messages, redactions.
//!
//! Each is the body of an item that its author's device signed. The hub reads headers and cannot read what is sealed.

use crate::{
    chain::Seen,
    codec::Octets,
    id::{AudienceId, ChannelId, CommunityId, DeviceId, ItemId, SenderKeyId, UserId},
    wire_struct,
};

use super::{History, SealedText};

/// How long a sealed message is at most: a body with room for its header.
pub const SEALED_BYTES: usize = 47 * 1024;
/// In audiences up to this large, members tell each other how far they have read.
pub const RECEIPT_AUDIENCE: u32 = 64;

wire_struct! {
    /// A device's Sender Key for one channel and one epoch, sealed for the audience. Its item id is made of the key's id.
    pub struct Announce {
        /// The encoded [`AnnounceBody`], which is what the seal is bound to.
        #[n(0)] pub header: Octets<512>,
        /// The session key: nonce, ciphertext, tag.
        #[n(1)] pub sealed: Octets<512>,
    }
}

wire_struct! {
    /// Whose Sender Key for what.
    pub struct AnnounceBody {
        /// The suite: 1.
        #[n(0)] pub suite: u8,
        /// The community.
        #[n(1)] pub community: CommunityId,
        /// The channel.
        #[n(2)] pub channel: ChannelId,
        /// The audience.
        #[n(3)] pub audience: AudienceId,
        /// The epoch in whose secret it is sealed.
        #[n(4)] pub epoch: u32,
        /// Whose.
        #[n(5)] pub user: UserId,
        /// Of which device.
        #[n(6)] pub device: DeviceId,
        /// The head of the user's chain at which the device is live.
        #[n(7)] pub head: Seen,
        /// The key's id: unique for ever.
        #[n(8)] pub sender_key: SenderKeyId,
        /// The first index that it opens.
        #[n(9)] pub start_index: u32,
        /// The history setting that the sender saw.
        #[n(10)] pub history: History,
    }
}

wire_struct! {
    /// A message of a channel.
    pub struct ChannelMessage {
        /// The encoded [`MessageHeader`], which is what the seal is bound to.
        #[n(0)] pub header: Octets<512>,
        /// Nonce, ciphertext and tag over a Megolm message.
        #[n(1)] pub sealed: Octets<SEALED_BYTES>,
    }
}

wire_struct! {
    /// What the hub and every receiver check of a message before it is opened.
    pub struct MessageHeader {
        /// The suite: 1.
        #[n(0)] pub suite: u8,
        /// The community.
        #[n(1)] pub community: CommunityId,
        /// The channel.
        #[n(2)] pub channel: ChannelId,
        /// The audience.
        #[n(3)] pub audience: AudienceId,
        /// The epoch.
        #[n(4)] pub epoch: u32,
        /// The last entry of the log that the author had seen: a fork is found out by whoever has another there.
        #[n(5)] pub log: Seen,
        /// Whose.
        #[n(6)] pub user: UserId,
        /// By which device.
        #[n(7)] pub device: DeviceId,
        /// Under which Sender Key.
        #[n(8)] pub sender_key: SenderKeyId,
        /// At which index of it: each is used once, and they rise.
        #[n(9)] pub index: u32,
        /// The message's id.
        #[n(10)] pub item: ItemId,
    }
}

wire_struct! {
    /// Erases the bodies of messages: of one's own, or of others' by who may moderate. The entries stay, and the chain proves itself.
    pub struct Redact {
        /// The suite: 1.
        #[n(0)] pub suite: u8,
        /// The community.
        #[n(1)] pub community: CommunityId,
        /// The channel.
        #[n(2)] pub channel: ChannelId,
        /// The last entry of the log that the author had seen.
        #[n(3)] pub log: Seen,
        /// Who erases.
        #[n(4)] pub user: UserId,
        /// The head of their chain at which the device that signs is live.
        #[n(5)] pub head: Seen,
        /// The places of the messages in this channel; one to 64.
        #[n(6)] pub targets: Vec<u64>,
        /// Why.
        #[n(7)] pub reason: Option<SealedText>,
    }
}

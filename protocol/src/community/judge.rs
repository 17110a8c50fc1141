//! What may stand in a channel: judged at its position in the log, by hub, peers and clients alike.
//!
//! `state` is always the community as of the entry's `log_pos`. Which devices an author has is judged there too: by the author's chain at the
//! last head that the log has named. A device whose revocation the log knows posts nothing any more, with no Sender Key however old.

use super::{
    Announce, AnnounceBody, Chains, ChannelMessage, MessageHeader, Missing, Permissions, Redact,
    State,
};
use crate::{
    chain::{Item, Kind, Seen, SignedItem},
    codec,
    id::{AudienceId, ChainId, ChannelId, CommunityId, DeviceId, ItemId, SenderKeyId, UserId},
    version::SUITE,
};

/// How many messages one redaction erases at most.
const MAX_TARGETS: usize = 64;

/// Why something may not stand in a channel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misposted {
    /// Not what its kind says.
    #[error("the entry is malformed")]
    Malformed,
    /// Of another suite, community, channel, author or id than it claims.
    #[error("the entry is not for this place: {0}")]
    Misplaced(&'static str),
    /// No such channel, or its author may not read it.
    #[error("there is no such channel for its author")]
    NoChannel,
    /// The author may not do that there.
    #[error("its author may not post there")]
    NotPermitted,
    /// Sealed under an epoch that is not in force, or that may not be used any more.
    #[error("it is sealed under an epoch that has ended")]
    OldEpoch,
    /// The Sender Key was not announced, or is another device's or epoch's.
    #[error("its Sender Key was not announced")]
    UnknownKey,
    /// The index was used before, or lies before one that was.
    #[error("its index was used before")]
    UsedIndex,
    /// The device is none of the author's, as the log knows them.
    #[error("the device that signed is none of its author's")]
    NotADevice,
    /// It claims to have seen an entry of the log, or of its author's chain, that is not there: one of them was forked.
    #[error("its author has seen another log")]
    Forked,
}

/// Why something was not let into a channel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unposted {
    /// The rules forbid it.
    #[error(transparent)]
    Misposted(#[from] Misposted),
    /// It cannot be told yet: this user's chain is not at hand as far as this head.
    #[error("the chain of a user is needed first")]
    Hold {
        /// Whose.
        user: UserId,
        /// How far.
        head: Seen,
    },
}

/// What is to be judged: an item whose signatures, chain and body hash hold.
#[derive(Clone, Copy, Debug)]
pub struct Post<'a> {
    /// As it was signed: who signed is read from here, never from the body.
    pub signed: &'a SignedItem,
    /// What [`SignedItem::verify`], [`Submission::verify`] or [`Entry::verify_after`] gave for it.
    ///
    /// [`Submission::verify`]: crate::chain::Submission::verify
    /// [`Entry::verify_after`]: crate::chain::Entry::verify_after
    pub item: &'a Item,
    /// Its body.
    pub body: &'a [u8],
}

/// What is known of an announced Sender Key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderKeyUse {
    /// Whose.
    pub user: UserId,
    /// Of which device.
    pub device: DeviceId,
    /// For which channel.
    pub channel: ChannelId,
    /// For which epoch of the channel's audience.
    pub epoch: u32,
    /// The head of the user's chain at which the device was live when it announced the key.
    pub head: Seen,
    /// The least index that the next message may have.
    pub next_index: u32,
}

impl From<&AnnounceBody> for SenderKeyUse {
    /// As it is when it was announced and nothing was said under it.
    fn from(header: &AnnounceBody) -> Self {
        Self {
            user: header.user,
            device: header.device,
            channel: header.channel,
            epoch: header.epoch,
            head: header.head,
            next_index: header.start_index,
        }
    }
}

/// Where something is to stand.
struct Place {
    community: CommunityId,
    channel: ChannelId,
    audience: AudienceId,
    epoch: u32,
    user: UserId,
    device: DeviceId,
}

/// Judges the announcement of a Sender Key. `sender_key` says what is known of the key that it names: one that was announced is not announced
/// again, which would make its indices usable twice.
pub fn judge_announce(
    state: &State,
    chains: &dyn Chains,
    post: Post<'_>,
    sender_key: impl FnOnce(SenderKeyId) -> Option<SenderKeyUse>,
) -> Result<(AnnounceBody, SenderKeyUse), Unposted> {
    post.check_kind(Kind::Announce)?;
    let announce: Announce = codec::decode(post.body).map_err(|_| Misposted::Malformed)?;
    let header: AnnounceBody =
        codec::decode(announce.header.as_slice()).map_err(|_| Misposted::Malformed)?;
    if header.suite != SUITE || post.item.item_id != announce_item(header.sender_key) {
        return Err(Misposted::Misplaced("another suite or id").into());
    }
    let place = Place {
        community: header.community,
        channel: header.channel,
        audience: header.audience,
        epoch: header.epoch,
        user: header.user,
        device: header.device,
    };
    judge_place(state, &place, post)?;
    let audience = state.audiences.get(&header.audience).ok_or(Misposted::NoChannel)?;
    if header.history != audience.history {
        return Err(Misposted::Misplaced("another history setting").into());
    }
    check_device(state, chains, header.user, header.device, header.head)?;
    if sender_key(header.sender_key).is_some() {
        return Err(Misposted::UsedIndex.into());
    }
    let use_ = SenderKeyUse::from(&header);
    Ok((header, use_))
}

/// Judges a message. `sender_key` says what is known of the key that it names; gives the header, and what is known after it.
pub fn judge_message(
    state: &State,
    chains: &dyn Chains,
    post: Post<'_>,
    sender_key: impl FnOnce(SenderKeyId) -> Option<SenderKeyUse>,
) -> Result<(MessageHeader, SenderKeyUse), Unposted> {
    post.check_kind(Kind::Message)?;
    let message: ChannelMessage = codec::decode(post.body).map_err(|_| Misposted::Malformed)?;
    let header: MessageHeader =
        codec::decode(message.header.as_slice()).map_err(|_| Misposted::Malformed)?;
    if header.suite != SUITE || post.item.item_id != header.item {
        return Err(Misposted::Misplaced("another suite or id").into());
    }
    let place = Place {
        community: header.community,
        channel: header.channel,
        audience: header.audience,
        epoch: header.epoch,
        user: header.user,
        device: header.device,
    };
    judge_place(state, &place, post)?;
    check_seen(state, header.log)?;
    let known = sender_key(header.sender_key).ok_or(Misposted::UnknownKey)?;
    let next_index = header.index.checked_add(1).ok_or(Misposted::UsedIndex)?;
    let claimed = SenderKeyUse {
        user: header.user,
        device: header.device,
        channel: header.channel,
        epoch: header.epoch,
        head: known.head,
        next_index,
    };
    if claimed != (SenderKeyUse { next_index, ..known }) {
        return Err(Misposted::UnknownKey.into());
    }
    check_device(state, chains, header.user, header.device, known.head)?;
    if header.index < known.next_index {
        return Err(Misposted::UsedIndex.into());
    }
    Ok((header, claimed))
}

/// Judges a redaction. `author_of` says whose message stands at a place of the channel.
pub fn judge_redact(
    state: &State,
    chains: &dyn Chains,
    post: Post<'_>,
    author_of: impl Fn(u64) -> Option<UserId>,
) -> Result<Redact, Unposted> {
    post.check_kind(Kind::Redact)?;
    let redact: Redact = codec::decode(post.body).map_err(|_| Misposted::Malformed)?;
    if redact.suite != SUITE {
        return Err(Misposted::Misplaced("another suite or id").into());
    }
    check_channel(state, redact.community, redact.channel, post)?;
    check_seen(state, redact.log)?;
    if state.is_deleted || !state.may_read(redact.user, redact.channel) {
        return Err(Misposted::NoChannel.into());
    }
    if redact.targets.is_empty() || redact.targets.len() > MAX_TARGETS {
        return Err(Misposted::Malformed.into());
    }
    let device = post.device().ok_or(Misposted::NotADevice)?;
    check_device(state, chains, redact.user, device, redact.head)?;
    let powers = state.permissions_of(redact.user, Some(redact.channel));
    let own = |seq: &u64| author_of(*seq) == Some(redact.user);
    if !powers.contain(Permissions::MODERATE) && !redact.targets.iter().all(own) {
        return Err(Misposted::NotPermitted.into());
    }
    Ok(redact)
}

impl Post<'_> {
    fn check_kind(&self, kind: Kind) -> Result<(), Misposted> {
        if self.item.kind == kind {
            Ok(())
        } else {
            Err(Misposted::Misplaced("another kind of entry"))
        }
    }

    /// The one device that signed.
    fn device(&self) -> Option<DeviceId> {
        match self.signed.signatures.as_slice() {
            [only] => Some(only.key.device_id()),
            _ => None,
        }
    }
}

fn judge_place(state: &State, place: &Place, post: Post<'_>) -> Result<(), Misposted> {
    check_channel(state, place.community, place.channel, post)?;
    if post.device() != Some(place.device) {
        return Err(Misposted::NotADevice);
    }
    let channel = state.channels.get(&place.channel).ok_or(Misposted::NoChannel)?;
    if channel.audience != place.audience
        || !state.is_in_audience(place.user, place.audience)
        || state.is_deleted
    {
        return Err(Misposted::NoChannel);
    }
    let audience = state.audiences.get(&place.audience).ok_or(Misposted::NoChannel)?;
    let in_force = audience.epoch.as_ref().map(|epoch| epoch.number);
    if in_force != Some(place.epoch) || audience.must_rotate().is_some() || !state.owed.is_empty() {
        return Err(Misposted::OldEpoch);
    }
    let allowed = state.permissions_of(place.user, Some(place.channel));
    // The hub cannot tell a reaction from a message: whoever may do either may post, and readers see which it was.
    let may_post = allowed.contain(Permissions::POST) || allowed.contain(Permissions::REACT);
    if may_post { Ok(()) } else { Err(Misposted::NotPermitted) }
}

/// Checks that the item was signed for the chain of the channel that its body names: what is allowed in one is not carried into another.
fn check_channel(
    state: &State,
    community: CommunityId,
    channel: ChannelId,
    post: Post<'_>,
) -> Result<(), Misposted> {
    if community != state.community {
        return Err(Misposted::Misplaced("another community"));
    }
    if post.item.chain != ChainId::of_channel(community, channel) {
        return Err(Misposted::Misplaced("another channel"));
    }
    Ok(())
}

/// Checks that the device is live in the user's chain at the later of `named` and the last head that the log knows, and that the chain has
/// `named`.
fn check_device(
    state: &State,
    chains: &dyn Chains,
    user: UserId,
    device: DeviceId,
    named: Seen,
) -> Result<(), Unposted> {
    let lookup = |head| match chains.user_at(user, head) {
        Ok(chain) => Ok(chain),
        Err(Missing::NotAtHand) => Err(Unposted::Hold { user, head }),
        Err(Missing::Contradicts) => Err(Misposted::Forked.into()),
    };
    let mut chain = lookup(named)?;
    if let Some(known) = state.heads.get(&user)
        && known.seq >= named.seq
        && *known != named
    {
        chain = lookup(*known)?;
    }
    if chain.live_device(device).is_some() { Ok(()) } else { Err(Misposted::NotADevice.into()) }
}

/// Checks that what the author had seen of the log is in this one. Entries further back than the window are taken on trust by the hub; a
/// receiver has them.
fn check_seen(state: &State, seen: Seen) -> Result<(), Misposted> {
    if seen.seq > state.head.seq {
        return Err(Misposted::Forked);
    }
    match state.recent.get(&seen.seq) {
        Some(hash) if *hash != seen.hash => Err(Misposted::Forked),
        _ => Ok(()),
    }
}

/// The id of the item that announces a Sender Key.
#[must_use]
pub fn announce_item(sender_key: SenderKeyId) -> ItemId {
    ItemId::from_bytes(*sender_key.as_bytes())
}

#[cfg(test)]
mod tests;

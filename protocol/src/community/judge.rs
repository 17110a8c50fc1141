//! What may stand in a channel: judged at its position in the log, by hub, peers and clients alike.
//!
//! `state` is always the community as of the entry's `log_pos`.

use super::{Announce, AnnounceBody, ChannelMessage, MessageHeader, Permissions, Redact, State};
use crate::{
    chain::{Item, Kind, Seen},
    codec,
    id::{ChannelId, CommunityId, DeviceId, ItemId, SenderKeyId, UserId},
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
    /// It claims to have seen an entry of the log that is not there: the log was forked.
    #[error("its author has seen another log")]
    Forked,
}

/// What is known of an announced Sender Key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderKeyUse {
    /// Whose.
    pub user: UserId,
    /// Of which device.
    pub device: DeviceId,
    /// For which epoch.
    pub epoch: u32,
    /// The least index that the next message may have.
    pub next_index: u32,
}

/// Where something is to stand.
struct Place {
    community: CommunityId,
    channel: ChannelId,
    audience: crate::id::AudienceId,
    epoch: u32,
    user: UserId,
    device: DeviceId,
}

/// Judges the announcement of a Sender Key.
pub fn judge_announce(
    state: &State,
    item: &Item,
    author: DeviceId,
    body: &[u8],
) -> Result<(AnnounceBody, SenderKeyUse), Misposted> {
    if item.kind != Kind::Announce {
        return Err(Misposted::Misplaced("another kind of entry"));
    }
    let announce: Announce = codec::decode(body).map_err(|_| Misposted::Malformed)?;
    let header: AnnounceBody =
        codec::decode(announce.header.as_slice()).map_err(|_| Misposted::Malformed)?;
    if header.suite != SUITE || item.item_id.as_bytes() != header.sender_key.as_bytes() {
        return Err(Misposted::Misplaced("another suite or id"));
    }
    let place = Place {
        community: header.community,
        channel: header.channel,
        audience: header.audience,
        epoch: header.epoch,
        user: header.user,
        device: header.device,
    };
    judge_place(state, &place, author)?;
    let audience = state.audiences.get(&header.audience).ok_or(Misposted::NoChannel)?;
    if header.history != audience.history {
        return Err(Misposted::Misplaced("another history setting"));
    }
    let known = state.heads.get(&header.user).map_or(0, |head| head.seq);
    if header.head.seq < known {
        return Err(Misposted::NotADevice);
    }
    let use_ = SenderKeyUse {
        user: header.user,
        device: header.device,
        epoch: header.epoch,
        next_index: header.start_index,
    };
    Ok((header, use_))
}

/// Judges a message. `sender_key` says what is known of the key that it names; gives the header, and what is known after it.
pub fn judge_message(
    state: &State,
    item: &Item,
    author: DeviceId,
    body: &[u8],
    sender_key: impl FnOnce(SenderKeyId) -> Option<SenderKeyUse>,
) -> Result<(MessageHeader, SenderKeyUse), Misposted> {
    if item.kind != Kind::Message {
        return Err(Misposted::Misplaced("another kind of entry"));
    }
    let message: ChannelMessage = codec::decode(body).map_err(|_| Misposted::Malformed)?;
    let header: MessageHeader =
        codec::decode(message.header.as_slice()).map_err(|_| Misposted::Malformed)?;
    if header.suite != SUITE || item.item_id != header.item {
        return Err(Misposted::Misplaced("another suite or id"));
    }
    let place = Place {
        community: header.community,
        channel: header.channel,
        audience: header.audience,
        epoch: header.epoch,
        user: header.user,
        device: header.device,
    };
    judge_place(state, &place, author)?;
    check_log(state, header.log)?;
    let known = sender_key(header.sender_key).ok_or(Misposted::UnknownKey)?;
    let is_it =
        (known.user, known.device, known.epoch) == (header.user, header.device, header.epoch);
    if !is_it {
        return Err(Misposted::UnknownKey);
    }
    if header.index < known.next_index {
        return Err(Misposted::UsedIndex);
    }
    let next_index = header.index.checked_add(1).ok_or(Misposted::UsedIndex)?;
    Ok((header, SenderKeyUse { next_index, ..known }))
}

/// Judges a redaction. `author_of` says whose message stands at a place of the channel.
pub fn judge_redact(
    state: &State,
    item: &Item,
    channel: ChannelId,
    body: &[u8],
    author_of: impl Fn(u64) -> Option<UserId>,
) -> Result<Redact, Misposted> {
    if item.kind != Kind::Redact {
        return Err(Misposted::Misplaced("another kind of entry"));
    }
    let redact: Redact = codec::decode(body).map_err(|_| Misposted::Malformed)?;
    if redact.suite != SUITE || redact.community != state.community || redact.channel != channel {
        return Err(Misposted::Misplaced("another suite, community or channel"));
    }
    check_log(state, redact.log)?;
    if !state.may_read(redact.user, channel) {
        return Err(Misposted::NoChannel);
    }
    if redact.targets.is_empty() || redact.targets.len() > MAX_TARGETS {
        return Err(Misposted::Malformed);
    }
    let known = state.heads.get(&redact.user).map_or(0, |head| head.seq);
    if redact.head.seq < known {
        return Err(Misposted::NotADevice);
    }
    let moderates = state.permissions_of(redact.user, Some(channel)).contain(Permissions::MODERATE);
    let own = |seq: &u64| author_of(*seq) == Some(redact.user);
    if !moderates && !redact.targets.iter().all(own) {
        return Err(Misposted::NotPermitted);
    }
    Ok(redact)
}

fn judge_place(state: &State, place: &Place, author: DeviceId) -> Result<(), Misposted> {
    if place.community != state.community {
        return Err(Misposted::Misplaced("another community"));
    }
    if place.device != author {
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

/// Checks that what the author had seen of the log is in this one. Entries further back than the window are taken on trust by the hub; a
/// receiver has them.
fn check_log(state: &State, seen: Seen) -> Result<(), Misposted> {
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

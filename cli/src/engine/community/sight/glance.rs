//! The newest messages of a community in sight: judged by what is known, opened, and kept in memory alone.

use std::collections::HashMap;

use futures::future::try_join_all;
use rookery_protocol::{
    chain::{self, Entry, Item, Kind as EntryKind},
    codec,
    community::{
        Announce, ChannelKind, ChannelMessage, Post as Judged, State, judge_announce, judge_message,
    },
    id::{ChainId, ChannelId, SenderKeyId},
    io::client::Client,
    request::{chain::Entries, look::LookAtPlace},
};

use super::{Sight, fetch::look};
use crate::{
    e2ee::{
        content::Content,
        epoch::{EpochKeys, EpochPlace},
        sender_key::InboundSenderKey,
    },
    engine::{
        Engine,
        community::channel::{authors_of, is_allowed},
    },
    error::CommandError,
    store::{Place, PlacedPost, Post},
};

/// Entries of a channel that are looked at.
const ENTRIES: u32 = 256;
/// Channels that are.
const CHANNELS: usize = 32;
/// Channels that are read at once.
const AT_ONCE: usize = 4;
/// Pages that the newest entries may take: long messages fill one early.
const MAX_PAGES: usize = 4;
/// What is said of each message.
const CHECKING: &str =
    "the community's log is still being checked: that its author belongs to it is its owner's word";

/// The Sender Keys of what is looked at, in their next states.
type Keys = HashMap<SenderKeyId, InboundSenderKey>;

impl Engine {
    /// Reads the newest messages of all channels in sight.
    pub(super) async fn read_on_sight(
        &self,
        client: &Client,
        sight: &Sight,
    ) -> Result<(), CommandError> {
        let Some(state) = sight.newest() else { return Ok(()) };
        let mut channels: Vec<(u32, ChannelId)> = state
            .channels
            .iter()
            .filter(|(id, channel)| {
                channel.kind == ChannelKind::Text && state.may_read(self.user, **id)
            })
            .map(|(id, channel)| (channel.position, *id))
            .collect();
        channels.sort_unstable();
        channels.truncate(CHANNELS);
        for channels in channels.chunks(AT_ONCE) {
            let read = channels.iter().map(|(_, channel)| self.glance_at(client, sight, *channel));
            try_join_all(read).await?;
        }
        Ok(())
    }

    async fn glance_at(
        &self,
        client: &Client,
        sight: &Sight,
        channel: ChannelId,
    ) -> Result<(), CommandError> {
        let chain = ChainId::of_channel(sight.at.community, channel);
        let (mut keys, mut posts) = (Keys::new(), vec![]);
        let mut after = None;
        for _ in 0..MAX_PAGES {
            let at = sight.at.clone();
            let request = LookAtPlace { at, channel: Some(channel), after, limit: ENTRIES };
            let Entries { mut entries, more, .. } = look(client, &request).await?;
            entries.retain(|entry| entry.chain == chain && after < Some(entry.seq));
            entries.sort_by_key(|entry| entry.seq);
            after = entries.last().map(|entry| entry.seq).or(after);
            self.fetch_on_sight(client, &sight.at, authors_of(&entries)).await?;
            for (entry, item) in entries.iter().zip(chain::verify_all(&entries)) {
                let Ok(item) = item else { continue };
                posts.extend(self.open_on_sight(sight, channel, &mut keys, entry, &item).await?);
            }
            if !more {
                break;
            }
        }
        self.books.sights.put_posts(chain, posts);
        Ok(())
    }

    /// The message that an entry is, if it can be opened; an announced key is noted.
    async fn open_on_sight(
        &self,
        sight: &Sight,
        channel: ChannelId,
        keys: &mut Keys,
        entry: &Entry,
        item: &Item,
    ) -> Result<Option<PlacedPost>, CommandError> {
        let state = entry.log_pos.and_then(|position| sight.state_at(position));
        let (Some(state), Some(body)) = (state, &entry.body) else { return Ok(None) };
        let Some(epoch) = self.epoch_on_sight(state, channel).await? else { return Ok(None) };
        let post = Judged { signed: &entry.signed, item, body: body.as_slice() };
        let histories = self.books.histories();
        match item.kind {
            EntryKind::Announce => {
                let judged = judge_announce(state, histories, post, |_| None);
                let announce = codec::decode::<Announce>(post.body);
                if let (Ok((header, _)), Ok(announce)) = (judged, announce)
                    && let Ok(key) = InboundSenderKey::from_announce(&epoch, &announce)
                {
                    keys.insert(header.sender_key, key);
                }
                Ok(None)
            }
            EntryKind::Message => {
                let usage = |id| keys.get(&id).map(InboundSenderKey::usage);
                let judged = judge_message(state, histories, post, usage);
                let message = codec::decode::<ChannelMessage>(post.body);
                let (Ok((header, _)), Ok(message)) = (judged, message) else { return Ok(None) };
                let Some(key) = keys.get(&header.sender_key) else { return Ok(None) };
                let opened = key.open(&epoch, message.header.as_slice(), message.sealed.as_slice());
                let Ok(opened) = opened else { return Ok(None) };
                keys.insert(header.sender_key, *opened.key);
                let allowed = state.permissions_of(header.user, Some(channel));
                let content = &opened.message.content;
                if !matches!(content, Content::Text(_))
                    || !is_allowed(content, allowed, header.user)
                {
                    return Ok(None);
                }
                let doubt = Some(CHECKING.to_owned());
                Ok(Some(placed(self.post_of(entry, item, &opened.message, doubt))))
            }
            _ => Ok(None),
        }
    }

    /// The keys of the epoch that a channel is in.
    async fn epoch_on_sight(
        &self,
        state: &State,
        channel: ChannelId,
    ) -> Result<Option<EpochKeys>, CommandError> {
        let Some(audience) = state.channels.get(&channel).map(|channel| channel.audience) else {
            return Ok(None);
        };
        let known = state.audiences.get(&audience).and_then(|known| known.epoch.as_ref());
        let Some(epoch) = known else { return Ok(None) };
        let secret = self.epoch_secret(state.community, audience, epoch).await?;
        let place = EpochPlace { community: state.community, audience, epoch: epoch.number };
        Ok(secret.map(|secret| secret.keys(place, &epoch.roster_root, &epoch.log_root)))
    }
}

fn placed(post: Post) -> PlacedPost {
    let seq = post.seq.unwrap_or_default();
    PlacedPost { position: seq, place: Place::At(seq), post }
}

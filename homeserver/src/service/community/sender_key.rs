//! What posts say of Sender Keys: what a hub has to know to judge the next ones, made again from what stands in a channel.

use std::collections::BTreeMap;

use rookery_protocol::{
    chain::{Entry, Kind},
    codec,
    community::{Announce, AnnounceBody, ChannelMessage, MessageHeader, SenderKeyUse},
    id::{ChainId, SenderKeyId},
};

use crate::repository::{Repository, StorageError, chain::StoredEntry, community::StoredSenderKey};

/// Notes what posts of a channel, which follow what was noted before, say of Sender Keys.
pub(in crate::service) async fn note(
    unit: &mut dyn Repository,
    chain: ChainId,
    posts: &[StoredEntry],
) -> Result<(), StorageError> {
    let named: Vec<_> = posts.iter().filter_map(|row| key_in(&row.entry, row.kind)).collect();
    let ids: Vec<_> = named.iter().map(|(key, _)| (chain, *key)).collect();
    let known = unit.sender_keys(&ids).await?;
    let mut keys: BTreeMap<SenderKeyId, SenderKeyUse> =
        known.into_iter().map(|key| (key.sender_key, key.used)).collect();
    for (key, used) in named {
        match used {
            Used::Announced(used) => {
                let known = keys.get(&key).map_or(0, |known| known.next_index);
                let next_index = used.next_index.max(known);
                keys.insert(key, SenderKeyUse { next_index, ..used });
            }
            Used::At(next) => {
                if let Some(known) = keys.get_mut(&key) {
                    known.next_index = known.next_index.max(next);
                }
            }
        }
    }
    let keys =
        keys.into_iter().map(|(sender_key, used)| StoredSenderKey { chain, sender_key, used });
    unit.put_sender_keys(&keys.collect::<Vec<_>>()).await
}

/// What a post says of a Sender Key.
enum Used {
    /// There it is.
    Announced(SenderKeyUse),
    /// The least index that is left.
    At(u32),
}

/// Which Sender Key a post is about. One whose body was erased says nothing any more.
fn key_in(entry: &Entry, kind: Kind) -> Option<(SenderKeyId, Used)> {
    let body = entry.body.as_ref()?.as_slice();
    match kind {
        Kind::Announce => {
            let announce: Announce = codec::decode(body).ok()?;
            let header: AnnounceBody = codec::decode(announce.header.as_slice()).ok()?;
            Some((header.sender_key, Used::Announced(SenderKeyUse::from(&header))))
        }
        Kind::Message => {
            let message: ChannelMessage = codec::decode(body).ok()?;
            let header: MessageHeader = codec::decode(message.header.as_slice()).ok()?;
            Some((header.sender_key, Used::At(header.index.saturating_add(1))))
        }
        _ => None,
    }
}

//! What a restored hub had ordered after its copy was made, taken back from the homes of members.
//!
//! It stands where it stood: this server has signed it there ([`crate::service::peer::regain`] sees to that), so that no rule is asked of a
//! post again. Statements are judged all the same, since a fold is made of them.

use std::collections::BTreeMap;

use rookery_protocol::{
    chain::{Entry, Kind},
    codec,
    community::{
        Action, Announce, AnnounceBody, ChannelMessage, EpochStart, MessageHeader, SenderKeyUse,
    },
    id::{ChainId, ChannelId, CommunityId, SenderKeyId},
};

use super::{
    append::{self, Batch},
    copy::{CopyFault, check_posts, judge},
    tell,
};
use crate::{
    repository::{
        chain::Append,
        community::{StoredCommunity, StoredSenderKey},
    },
    service::{Services, statement},
};

/// Takes back entries of a log that follow what is here. Gives the epochs that they begin.
pub(in crate::service) async fn take_log(
    services: &Services,
    community: CommunityId,
    entries: Vec<Entry>,
) -> Result<Vec<EpochStart>, CopyFault> {
    let hosted = services.hosted(community).await?;
    let before = hosted.as_ref().map(|hosted| hosted.state.clone());
    let steps = judge(services, community, before.clone(), entries).await?;
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return Ok(vec![]) };
    let identity = &services.identity;
    if last.after.hub != identity.name || last.after.hub_key != identity.server() {
        return Err(CopyFault::NotTheirs);
    }
    let row = match &hosted {
        Some(hosted) if hosted.row.hub.is_some() => return Err(CopyFault::NotTheirs),
        Some(hosted) => hosted.row.clone(),
        None => StoredCommunity {
            community,
            kind: first.after.kind,
            founder: first.statement.author,
            owner: first.after.owner,
            is_frozen: false,
            is_deleted: false,
            created: services.clock.now(),
            hub: None,
        },
    };
    let epochs = steps.iter().filter_map(|step| match &step.statement.action {
        Action::Epoch(start) => Some(start.clone()),
        _ => None,
    });
    let epochs = epochs.collect();
    let batch = Batch { before, steps, named: vec![], copied: None, unwanted: vec![] };
    let turn = services.order.lock().await;
    let Ok(hosted) = append::keep(services, row, &batch).await else {
        services.hub.folds.invalidate(&community);
        return Err(CopyFault::Raced);
    };
    tell::appended(services, &batch, &hosted);
    drop(turn);
    Ok(epochs)
}

/// Takes back entries of a channel that follow what is here.
pub(in crate::service) async fn take_channel(
    services: &Services,
    (community, channel): (CommunityId, ChannelId),
    entries: Vec<Entry>,
) -> Result<(), CopyFault> {
    let chain = ChainId::of_channel(community, channel);
    let hosted = services.hosted(community).await?.ok_or(CopyFault::NoPlace)?;
    if hosted.row.hub.is_some() {
        return Err(CopyFault::NotTheirs);
    }
    let turn = services.order.lock().await;
    let mut unit = services.storage.begin().await?;
    let known = unit.chain(chain).await?.ok_or(CopyFault::NoPlace)?;
    let posts = check_posts(services, &known, hosted.state.head.seq, entries)?;
    if posts.rows.is_empty() {
        return Ok(());
    }
    let named: Vec<_> = posts.rows.iter().filter_map(|row| key_in(&row.entry, row.kind)).collect();
    let ids: Vec<_> = named.iter().map(|(key, _)| (chain, *key)).collect();
    let mut keys: BTreeMap<SenderKeyId, SenderKeyUse> =
        unit.sender_keys(&ids).await?.into_iter().map(|key| (key.sender_key, key.used)).collect();
    for (key, used) in named {
        match used {
            Used::Announced(used) => drop(keys.insert(key, used)),
            Used::At(next) => {
                if let Some(known) = keys.get_mut(&key) {
                    known.next_index = known.next_index.max(next);
                }
            }
        }
    }
    match unit.append_entries(chain, &posts.rows).await? {
        Append::Done(_) => {}
        Append::ItemExists | Append::Stale(_) | Append::NoChain => return Err(CopyFault::Raced),
    }
    let keys =
        keys.into_iter().map(|(sender_key, used)| StoredSenderKey { chain, sender_key, used });
    unit.put_sender_keys(&keys.collect::<Vec<_>>()).await?;
    posts.erase(&mut *unit).await?;
    unit.commit().await?;
    let lives: Vec<_> = posts.rows.iter().map(|row| statement::live(&row.entry)).collect();
    services.feeds.put_in_chain(chain, &lives);
    drop(turn);
    services.hub.spread.moved(chain);
    Ok(())
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
            let used = SenderKeyUse {
                user: header.user,
                device: header.device,
                channel: header.channel,
                epoch: header.epoch,
                head: header.head,
                next_index: header.start_index,
            };
            Some((header.sender_key, Used::Announced(used)))
        }
        Kind::Message => {
            let message: ChannelMessage = codec::decode(body).ok()?;
            let header: MessageHeader = codec::decode(message.header.as_slice()).ok()?;
            Some((header.sender_key, Used::At(header.index.saturating_add(1))))
        }
        _ => None,
    }
}

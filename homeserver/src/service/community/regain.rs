//! What a restored hub had ordered after its copy was made, taken back from the homes of members.
//!
//! It stands where it stood: this server has signed it there ([`crate::service::peer::regain`] sees to that), so that no rule is asked of a
//! post again. Statements are judged all the same, since a fold is made of them.

use rookery_protocol::{
    chain::Entry,
    community::EpochStart,
    id::{ChainId, ChannelId, CommunityId},
};

use super::{
    append::{self, Batch},
    copy::{CopyFault, check_posts, epochs_of, judge},
    sender_key, tell,
};
use crate::{
    repository::community::StoredCommunity,
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
    // The last thing that this server placed may be that it handed the community over.
    let own = services.identity.server();
    let placed_at = steps.iter().rev().nth(1).map(|step| &step.after).or(before.as_ref());
    if placed_at.unwrap_or(&last.after).hub_key != own {
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
            was_hub: false,
        },
    };
    let epochs = epochs_of(&steps);
    let batch =
        Batch { before, steps, named: vec![], copied: None, unwanted: vec![], is_regained: true };
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
    if hosted.row.was_hub {
        // It was handed over: the rest comes from where it went.
        return Ok(());
    }
    if hosted.row.hub.is_some() {
        return Err(CopyFault::NotTheirs);
    }
    let turn = services.order.lock().await;
    let mut unit = services.storage.begin().await?;
    let known = unit.chain(chain).await?.ok_or(CopyFault::NoPlace)?;
    let posts = check_posts(services, &known, (&hosted.state, channel), entries)?;
    if posts.rows.is_empty() {
        return Ok(());
    }
    posts.append(&mut *unit, (&hosted.state, channel)).await?;
    sender_key::note(&mut *unit, chain, &posts.rows).await?;
    posts.erase(&mut *unit).await?;
    unit.commit().await?;
    let lives: Vec<_> = posts.rows.iter().map(|row| statement::live(&row.entry)).collect();
    services.feeds.put_in_chain(chain, &lives);
    drop(turn);
    services.hub.spread.moved(chain);
    Ok(())
}

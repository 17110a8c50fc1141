//! Fetching a community's log from its hub, through whichever servers it was handed over.

use std::sync::Arc;

use rookery_protocol::{id::CommunityId, io::client::Client, request::peer_place::Guest};

use super::{
    Peer, Services, place_adopt, place_blob,
    place_check::{checked, named_in_log},
    place_copy::{FetchError, MAX_PAGES, check_room, count, look_into, read},
    place_drop, place_users,
};
use crate::service::community::{
    Hosted,
    append::Step,
    copy::{self, CopyFault, Taken},
};

/// Statements of earlier hubs that are held in memory until the one is reached by which the peer became the hub.
const MAX_LEADING: usize = 32_768;

/// Fetches what is missing of a log, with the users' chains that it speaks of and the wraps of its epochs. Says whether it has gone on. Under
/// the community's turn.
pub(super) async fn fetch_log(
    services: &Arc<Services>,
    peer: &Peer,
    client: &Client,
    community: CommunityId,
    guest: Option<&Guest>,
) -> Result<bool, FetchError> {
    if services.is_forked(community).await? {
        return Ok(false);
    }
    if services.hosted(community).await?.is_none() {
        // What is left of a copy that is being dropped would be in the way of the new one.
        place_drop::finish(services, community).await?;
    }
    let done = go_on_with_log(services, peer, client, community, guest).await;
    look_into(services, peer, client, (community, None), done).await
}

async fn go_on_with_log(
    services: &Arc<Services>,
    peer: &Peer,
    client: &Client,
    community: CommunityId,
    guest: Option<&Guest>,
) -> Result<bool, FetchError> {
    let (mut has_moved, mut leading) = (false, vec![]);
    for _ in 0..MAX_PAGES {
        let known = services.hosted(community).await?;
        if known.as_ref().is_some_and(|hosted| !may_show(services, peer, hosted)) {
            return Ok(has_moved);
        }
        let here = known.as_ref().map(|hosted| hosted.state.head.seq);
        let after = leading.last().map(|step: &Step| step.after.head.seq).or(here);
        let page = read(client, (community, None), after, guest).await?;
        if page.entries.is_empty() {
            return Ok(has_moved);
        }
        check_room(services, peer, known.is_none()).await?;
        let spot = (community, None);
        let (entries, head) =
            checked(services, peer, client, spot, page.entries, page.head).await?;
        if entries.is_empty() {
            return Ok(has_moved);
        }
        let wanted = named_in_log(&entries);
        place_users::fetch(services, peer, client, (community, guest), wanted).await?;
        count(peer, &entries);
        let taken = copy::take_log(services, peer, community, (leading, entries), head).await;
        leading = match taken {
            Ok(Taken::Kept(epochs)) => {
                has_moved = true;
                place_blob::fetch_wraps(services, peer, client, community, epochs, guest).await;
                vec![]
            }
            Ok(Taken::Leading(steps)) if steps.len() <= MAX_LEADING => steps,
            Ok(Taken::Leading(_)) => return Err(CopyFault::NotTheirs.into()),
            Err(CopyFault::Incomplete(handover)) => {
                Box::pin(place_adopt::complete(services, peer, client, community, &handover))
                    .await?;
                vec![]
            }
            Err(fault) => return Err(fault.into()),
        };
        if has_gone_over(services, peer, community).await? {
            return Ok(true);
        }
        if !page.more {
            return if leading.is_empty() {
                Ok(has_moved)
            } else {
                Err(CopyFault::NotTheirs.into())
            };
        }
    }
    Ok(has_moved)
}

/// Whether a peer is the one to show a log: its hub, or where that is away, whoever shows that it became the hub after it.
fn may_show(services: &Services, peer: &Peer, hosted: &Hosted) -> bool {
    let Some(hub) = &hosted.row.hub else { return false };
    let answers =
        |hub: Arc<Peer>| hub.client().is_some_and(|client| client.connection().lost().is_none());
    *hub == peer.name || !services.peer(hub).is_some_and(answers)
}

/// Whether a community that the peer has shown has another hub by now; that one is asked for what follows.
async fn has_gone_over(
    services: &Services,
    peer: &Peer,
    community: CommunityId,
) -> Result<bool, FetchError> {
    let Some(hosted) = services.hosted(community).await? else { return Ok(false) };
    let Some(hub) = hosted.row.hub.as_ref().filter(|hub| **hub != peer.name) else {
        return Ok(hosted.row.hub.is_none());
    };
    if let Some(next) = services.peer(hub) {
        next.places.compare_soon();
    }
    Ok(true)
}

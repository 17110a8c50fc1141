//! A hub that shows a home another history than it has shown it before: the home asks for the entries from there on, until it has the proof.

use rookery_protocol::{
    community::{ForkLink, MAX_LINKS, VouchedHead},
    io::client::Client,
    request::server::{ServerInfo, SignedServerRecord},
};

use super::{
    Peer, Services,
    place::Spot,
    place_copy::{FetchError, ask, read},
    place_heads::note,
};
use crate::service::community::fork::{self, Compared, chain_of};

/// How often the entries between two heads are asked for.
const MAX_PAGES: usize = 16;

/// The record of the peer, under its root, that names the key which it has proven; nothing where it does not show it.
pub(super) async fn record_of(peer: &Peer, client: &Client) -> Option<SignedServerRecord> {
    let (online, root) = (peer.online()?, peer.stored().root?);
    let fits = |signed: &SignedServerRecord| {
        signed.verify(root).is_ok_and(|record| record.online == online)
    };
    if let Some(known) = peer.record().filter(fits) {
        return Some(known);
    }
    let shown = ask(client, &ServerInfo {}).await.ok()?.record;
    if !fits(&shown) {
        tracing::debug!(peer = %peer.name, "the peer shows another record than it has proven");
        return None;
    }
    peer.note_record(shown.clone());
    Some(shown)
}

/// Asks the hub once more for what contradicts what it has said before. Says whether that is proven.
pub(super) async fn look(
    services: &Services,
    peer: &Peer,
    client: &Client,
    (community, channel): Spot,
) -> Result<bool, FetchError> {
    let Some(hosted) = services.copied(peer, community).await? else { return Ok(false) };
    let chain = chain_of(community, channel);
    let copied = services.storage.read().await?.copied_head(chain).await?;
    let Some(ours) = copied.and_then(|copied| copied.vouched()) else { return Ok(false) };
    let Some(before) = hosted.state.word(&ours, chain) else { return Ok(false) };
    let mut after = before.seq.checked_sub(1);
    let page = read(client, (community, channel), after, None).await?;
    let (Some(head), Some(record)) = (page.head, record_of(peer, client).await) else {
        return Ok(false);
    };
    let theirs = VouchedHead { head, record };
    let compared = fork::compare(services, &hosted, channel, &theirs).await;
    match compared.map_err(|refusal| FetchError::Unreachable(refusal.to_string()))? {
        Compared::Forked(fork) => return Ok(note(services, peer, &fork).await?),
        Compared::Borne => return Ok(false),
        // It is further than what is here, or the entries here do not reach what it has said.
        Compared::Further | Compared::Unknown => {}
    }
    let Some(now) = hosted.state.word(&theirs, chain) else { return Ok(false) };
    let mut entries = page.entries;
    for _ in 0..MAX_PAGES {
        after = entries.last().map(|last| last.seq);
        if after >= Some(now.seq) || entries.len() > MAX_LINKS {
            break;
        }
        let more = read(client, (community, channel), after, None).await?.entries;
        if more.is_empty() {
            break;
        }
        entries.extend(more);
    }
    let Some(first) = entries.first().filter(|first| first.seq == before.seq) else {
        return Ok(false);
    };
    let base = first.seen().into();
    let way = entries.iter().skip(1).filter(|entry| entry.seq <= now.seq);
    let links = way.map(ForkLink::of).collect();
    let made = fork::make(services, &hosted, channel, (ours, theirs), (base, links)).await?;
    match made.filter(|fork| fork.verify_in(&hosted.state).is_ok()) {
        Some(fork) => Ok(note(services, peer, &fork).await?),
        None => Ok(false),
    }
}

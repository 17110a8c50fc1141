//! Proofs that the hub of a community has signed two histories of it: homes find them by comparing, and give them to their users' devices. A
//! device believes none that it has not checked itself, keeps what holds, and seals nothing for the community from then on.

use rookery_protocol::{
    codec,
    community::{Fork, Forked, NoProof, State},
    id::{ChannelId, CommunityId, to_base32},
    io::client::Client,
    name::ServerName,
    request::community::ReadForks,
};

use super::super::{Engine, refusal::failed_as};
use crate::{
    agent::verb::ForkLine,
    error::{CommandError, Kind},
    store::{Name, StoreError, Unit},
};

/// Proofs that are kept of all communities: a few of each that was ever found out.
const MAX_KEPT: usize = 64;
/// Proofs of one community, at most one a chain.
const MAX_FORKS: usize = 8;
/// What the kept ones take at most, in bytes.
const MAX_BYTES: usize = 768 * 1024;

impl Unit {
    async fn forks(&mut self) -> Result<Vec<Fork>, StoreError> {
        Ok(self.value(Name::Forks).await?.unwrap_or_default())
    }
}

/// Checks a proof: by the log, which says who was the hub when; by nothing but itself while that is not here.
fn verify(fork: &Fork, state: Option<&State>) -> Result<Forked, NoProof> {
    state.map_or_else(|| fork.verify(), |state| fork.verify_in(state))
}

/// What a person is told whose community's hub has signed two histories.
fn words(shown: &Forked) -> String {
    let place = if shown.channel.is_some() { "a channel" } else { "its log" };
    format!(
        "its server {} has signed two histories that contradict each other, at entry {} of {place}; the proof is kept",
        shown.hub, shown.seq
    )
}

/// The error of whoever hands something in for such a community before the proof is here.
pub(super) fn hub_forked(hub: &ServerName) -> CommandError {
    CommandError::new(
        Kind::Trust,
        format!("the community's server {hub} has signed two histories that contradict each other; nothing was sent"),
    )
    .hint(HINT)
}

/// What to do about it.
pub(super) const HINT: &str = "`rookery community verify` shows the proof; tell the other members by another way, and found the community anew on a server that you trust";

impl Engine {
    /// Fetches the proofs that there are of a community, and keeps those that hold.
    pub(super) async fn take_in_forks(
        &self,
        client: &Client,
        community: CommunityId,
    ) -> Result<(), CommandError> {
        if !self.forks_of(community).await?.is_empty() {
            return Ok(());
        }
        let shown = client.call(&ReadForks { community }).await;
        let shown = shown.map_err(|error| failed_as(error, |_| Kind::Failed))?.forks;
        let state = self.book(community).await?.and_then(|book| book.state);
        let mut found = vec![];
        for fork in shown.into_iter().take(MAX_FORKS) {
            match verify(&fork, state.as_ref()) {
                Ok(what) if what.community == community => found.push((fork, what)),
                Ok(_) => {
                    tracing::warn!(%community, "the home shows the proof of another community");
                }
                Err(error) => {
                    tracing::warn!(%community, %error, "the home shows a proof that is none");
                }
            }
        }
        let Some((_, first)) = found.first() else { return Ok(()) };
        let why = words(first);
        let mut unit = self.store.write().await?;
        let mut kept = unit.forks().await?;
        kept.extend(found.into_iter().map(|(fork, _)| fork));
        while kept.len() > MAX_KEPT || codec::encode(&kept).len() > MAX_BYTES {
            kept.remove(0);
        }
        unit.put_value(Name::Forks, &kept).await?;
        unit.commit().await?;
        Ok(self.raise_alarm(community, &why).await?)
    }

    /// The proofs that are kept of a community, with what they show.
    async fn forks_of(&self, community: CommunityId) -> Result<Vec<(Fork, Forked)>, StoreError> {
        let kept = self.store.read().await?.forks().await?;
        let state = self.books.get(community).and_then(|book| book.state);
        let shown = kept.into_iter().filter(|fork| fork.community() == community);
        let shown = shown.filter_map(|fork| {
            let shown = verify(&fork, state.as_ref()).ok()?;
            (shown.community == community).then_some((fork, shown))
        });
        Ok(shown.collect())
    }

    /// The proofs that are kept of a community, for people and programs.
    pub(super) async fn fork_lines(
        &self,
        community: CommunityId,
    ) -> Result<Vec<ForkLine>, StoreError> {
        let forks = self.forks_of(community).await?;
        let line = |(fork, shown): (Fork, Forked)| ForkLine {
            hub: shown.hub.to_string(),
            fingerprint: shown.root.to_string(),
            channel: shown.channel.map(ChannelId::number),
            entry: shown.seq,
            one: shown.one.to_string(),
            other: shown.other.to_string(),
            proof: to_base32(&codec::encode(&fork)),
        };
        Ok(forks.into_iter().map(line).collect())
    }
}

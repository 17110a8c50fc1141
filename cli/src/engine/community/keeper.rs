//! The keeper: looks after communities beside everything else, several at once, and again where it failed.

use std::{
    collections::{BTreeSet, VecDeque},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use rookery_protocol::{id::CommunityId, io::client::Client};

use super::super::{Engine, Link};
use crate::error::CommandError;

/// How often there is a look at everything.
const ROUND: Duration = Duration::from_mins(10);
/// The wait after something failed.
const RETRY: Duration = Duration::from_secs(3);
/// At how many communities there is a look at once: a log of thousands does not keep the logs of others waiting.
pub(super) const AT_ONCE: usize = 4;

/// What the keeper looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Look {
    /// Which communities there are.
    List,
    /// One of them.
    Community(CommunityId),
}

/// What the keeper has to look at.
#[derive(Debug, Default)]
pub(in super::super) struct Owed {
    /// In the order in which it was said.
    due: VecDeque<Look>,
    /// What failed, until it is time to try again or somebody says that there is something new.
    failed: BTreeSet<Look>,
}

impl Owed {
    fn note(&mut self, look: Look) {
        self.failed.remove(&look);
        if !self.due.contains(&look) {
            self.due.push_back(look);
        }
    }

    /// The first that is due and not being looked at.
    fn take(&mut self, busy: &BTreeSet<Look>) -> Option<Look> {
        let place = self.due.iter().position(|look| !busy.contains(look))?;
        self.due.remove(place)
    }

    fn try_again(&mut self) {
        for look in std::mem::take(&mut self.failed) {
            self.note(look);
        }
    }
}

impl Engine {
    /// Has the keeper look at a community.
    pub(in super::super) fn owe_community(&self, community: CommunityId) {
        self.note(Look::Community(community));
    }

    /// Has the keeper look again at once at the community of a room.
    pub(crate) async fn look_again(&self, room: &str) -> Result<(), CommandError> {
        self.owe_community(self.room_named(room).await?.community);
        Ok(())
    }

    /// Has the keeper ask which communities there are.
    pub(in super::super) fn owe_communities(&self) {
        self.note(Look::List);
    }

    fn note(&self, look: Look) {
        self.owed().note(look);
        self.keeper_wake.notify_one();
    }

    /// Whether it has not been asked yet, on this connection, which communities there are.
    pub(super) fn is_unsure_of_communities(&self) -> bool {
        let owed = self.owed();
        owed.due.contains(&Look::List) || owed.failed.contains(&Look::List)
    }

    fn owed(&self) -> std::sync::MutexGuard<'_, Owed> {
        self.community_chores.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Keeps communities, for as long as the engine runs.
    pub(in super::super) async fn run_keeper(self: Arc<Self>) {
        let engine = &*self;
        let mut running: FuturesUnordered<BoxFuture<'_, (Look, Result<(), CommandError>)>> =
            FuturesUnordered::new();
        let mut busy = BTreeSet::new();
        let mut round = pin!(tokio::time::sleep(ROUND));
        let (mut again, mut waits) = (pin!(tokio::time::sleep(RETRY)), false);
        loop {
            tokio::select! {
                () = self.drain.cancelled() => return,
                () = self.keeper_wake.notified() => {}
                () = &mut round => {
                    self.owed().note(Look::List);
                    round.set(tokio::time::sleep(ROUND));
                }
                () = &mut again, if waits => {
                    let mut owed = self.owed();
                    owed.try_again();
                    // What a log that is still being checked waits for is found out by asking which there are.
                    owed.note(Look::List);
                    waits = false;
                }
                Some((look, looked)) = running.next() => {
                    busy.remove(&look);
                    if let Err(error) = looked {
                        tracing::debug!(%error, ?look, "a community has to wait");
                        self.owed().failed.insert(look);
                        if !waits {
                            again.set(tokio::time::sleep(RETRY));
                            waits = true;
                        }
                    }
                }
            }
            let client = match &*self.link.borrow() {
                Link::Online(online) => online.client.clone(),
                _ => continue,
            };
            while running.len() < AT_ONCE {
                let Some(look) = self.owed().take(&busy) else { break };
                let client = client.clone();
                busy.insert(look);
                running.push(Box::pin(async move { (look, engine.look(&client, look).await) }));
            }
        }
    }

    async fn look(&self, client: &Client, look: Look) -> Result<(), CommandError> {
        match look {
            Look::List => Box::pin(self.refresh_communities(client)).await,
            Look::Community(community) => Box::pin(self.keep(client, community)).await,
        }
    }
}

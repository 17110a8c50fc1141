//! Messages for people of other servers: they are with this user's home, until theirs has them.
//!
//! The home keeps what is outstanding and tells when it has changed; what is shown here follows its list. What came back because the
//! receiver's devices have changed is sealed again, under its id and before anything that was written later. What will never be taken has
//! failed, and its text stays.

use std::collections::{BTreeMap, BTreeSet};

use rookery_protocol::{
    id::{ItemId, UserId},
    io::client::Client,
    request::{
        message::{Awaits, DismissReturned, ListOutstanding, Outstanding, Purpose, Returned},
        peering::{KnownServer, ListKnownServers, PeerLink},
    },
};

use super::{Engine, refusal::failed, seal::decode_content};
use crate::{
    agent::verb::{PeerLine, rfc3339},
    error::{CommandError, Kind},
    store::{MessageState, Name, Outgoing, StoreError, Unit, Waits},
};

/// How many are remembered: more than one list of the home's has.
const MAX_AWAITED: usize = 10_000;

/// How many pages of the home's list are asked for: more than a home keeps for one device.
const MAX_PAGES: usize = 1_000;
/// How many are dismissed at once.
const DISMISSED: usize = 250;

/// What is done about something that came back.
enum TakenBack {
    /// It is sent again.
    Again(Box<Outgoing>),
    /// It is being sent again.
    UnderWay,
    /// It has failed.
    Failed,
}

/// All that the home has, page by page, and whether that is all.
async fn list(client: &Client) -> Result<(Vec<Outstanding>, bool), CommandError> {
    let (mut listed, mut after) = (vec![], None);
    for _ in 0..MAX_PAGES {
        let page = client.call(&ListOutstanding { after }).await;
        let mut page = page.map_err(|error| failed(Kind::Failed, error))?;
        listed.append(&mut page.messages);
        if !page.more {
            return Ok((listed, true));
        }
        if page.last.is_none() {
            return Ok((listed, false));
        }
        after = page.last;
    }
    Ok((listed, false))
}

impl Engine {
    /// Notes that a message is with this user's home, on its way to another.
    pub(super) async fn note_awaited(
        &self,
        unit: &mut Unit,
        outgoing: &Outgoing,
        awaits: &Awaits,
    ) -> Result<(), StoreError> {
        let mut awaited = unit.awaited().await?;
        if !awaited.contains(&(outgoing.to, outgoing.item)) && awaited.len() < MAX_AWAITED {
            awaited.push((outgoing.to, outgoing.item));
            unit.put_value(Name::Awaited, &awaited).await?;
        }
        if outgoing.purpose == Purpose::Message {
            let waits = Waits { server: awaits.server.clone(), since: awaits.since };
            unit.await_message(outgoing.to, self.user, outgoing.item, waits, None).await?;
        }
        Ok(())
    }

    /// Asks the home what is outstanding, and has what is here follow that.
    pub(super) async fn refresh_outstanding(&self, client: &Client) -> Result<(), CommandError> {
        // What is noted while the home is asked need not be in what it says.
        let before: BTreeSet<_> = self.store.read().await?.awaited().await?.into_iter().collect();
        let (listed, is_whole) = list(client).await?;
        let mut unit = self.store.write().await?;
        let mut awaited = unit.awaited().await?;
        let there: BTreeSet<(UserId, ItemId)> =
            listed.iter().map(|one| (one.to, one.message)).collect();
        let mut changed = false;
        if is_whole {
            let is_gone = |one: &(UserId, ItemId)| before.contains(one) && !there.contains(one);
            for (to, item) in awaited.iter().filter(|one| is_gone(one)) {
                changed |= self.note_arrived(&mut unit, *to, *item).await?;
            }
            awaited.retain(|one| !is_gone(one));
        }
        let mut back: BTreeMap<UserId, Vec<Outgoing>> = BTreeMap::new();
        let mut dismissed = vec![];
        for one in &listed {
            let is_known = awaited.contains(&(one.to, one.message));
            match &one.returned {
                None if is_known => {
                    let server = one.awaits.server.clone();
                    let waits = Waits { server, since: one.awaits.since };
                    let reason = one.reason.as_deref();
                    changed |=
                        unit.await_message(one.to, self.user, one.message, waits, reason).await?;
                }
                // It is being sent, and what became of it is told by the answer.
                None => {}
                Some(returned) => {
                    changed = true;
                    awaited.retain(|known| *known != (one.to, one.message));
                    match self.taken_back(&mut unit, one, returned).await? {
                        TakenBack::Again(outgoing) => {
                            back.entry(one.to).or_default().push(*outgoing);
                        }
                        TakenBack::UnderWay => {}
                        TakenBack::Failed => dismissed.push(one.message),
                    }
                }
            }
        }
        for (to, outgoing) in back {
            unit.enqueue_first(self.user, to, &outgoing).await?;
        }
        unit.put_value(Name::Awaited, &awaited).await?;
        unit.commit().await?;
        if changed {
            self.timeline_changed();
            self.outbox_wake.notify_one();
        }
        for some in dismissed.chunks(DISMISSED) {
            let dismiss = DismissReturned { messages: some.to_vec() };
            client.call(&dismiss).await.map_err(|error| failed(Kind::Failed, error))?;
        }
        Ok(())
    }

    /// The receiver's home has it.
    async fn note_arrived(
        &self,
        unit: &mut Unit,
        to: UserId,
        item: ItemId,
    ) -> Result<bool, StoreError> {
        let moved = unit.move_message(to, self.user, item, MessageState::Sent, None).await?;
        if unit.message(to, self.user, item).await?.is_none() {
            // A receipt, of which nothing more is heard.
            unit.confirm(self.user, to, item).await?;
        }
        Ok(moved)
    }

    /// What is to be done about something that came back: it goes into the outbox again, or has failed.
    async fn taken_back(
        &self,
        unit: &mut Unit,
        one: &Outstanding,
        returned: &Returned,
    ) -> Result<TakenBack, StoreError> {
        let (to, item) = (one.to, one.message);
        let is_stale = matches!(returned, Returned::Stale { .. });
        let kept = unit.unconfirmed(to).await?.into_iter().find(|kept| kept.item == item);
        if let (true, Some(kept)) = (is_stale, kept) {
            let payload = decode_content(&kept.content);
            let is_message = unit.message(to, self.user, item).await?.is_some();
            let purpose = if is_message { Purpose::Message } else { Purpose::Receipt };
            unit.move_message(to, self.user, item, MessageState::Queued, None).await?;
            let outgoing = self.outgoing(to, item, purpose, &payload);
            let since = kept.written.unwrap_or(kept.sent);
            return Ok(TakenBack::Again(Box::new(Outgoing { since, ..outgoing })));
        }
        if unit.outgoing(self.user, to, item).await?.is_some() && is_stale {
            // It is in the outbox already, and takes the place of what came back there: dismissed before that, it would seem to have arrived.
            return Ok(TakenBack::UnderWay);
        }
        let why = match returned {
            Returned::Expired => {
                format!("{} did not answer for too long", one.awaits.server)
            }
            Returned::Removed => {
                format!("your server has nothing to do with {} any more", one.awaits.server)
            }
            returned => returned.to_string(),
        };
        unit.move_message(to, self.user, item, MessageState::Failed, Some(&why)).await?;
        unit.confirm(self.user, to, item).await?;
        Ok(TakenBack::Failed)
    }

    /// The other servers that this user's home is in touch with.
    pub(crate) async fn peers(&self) -> Result<Vec<PeerLine>, CommandError> {
        let client = self.online().await?;
        let servers = client.call(&ListKnownServers {}).await;
        let servers = servers.map_err(|error| failed(Kind::Failed, error))?.servers;
        Ok(servers.into_iter().map(|server| peer_line(&server)).collect())
    }
}

fn peer_line(server: &KnownServer) -> PeerLine {
    let state = match server.link {
        _ if server.is_quarantined => "quarantined",
        PeerLink::Up => "up",
        PeerLink::Down => "down",
        PeerLink::Off => "off",
    };
    PeerLine {
        v: 1,
        server: server.name.to_string(),
        state: state.to_owned(),
        since: rfc3339(server.since),
        waiting: server.waiting,
    }
}

impl Unit {
    /// What is with this user's home, on its way to another.
    async fn awaited(&mut self) -> Result<Vec<(UserId, ItemId)>, StoreError> {
        Ok(self.value(Name::Awaited).await?.unwrap_or_default())
    }
}

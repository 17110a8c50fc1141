//! Moving a community to another server: its hub has the next one take a copy of all of it, and the owner states that it is handed over.
//!
//! What the owner signs here is the word that every member's device follows. So nothing of it is taken from a server unseen: which server
//! comes next is what the owner said, its root key the one that it is known by here, and no channel ends before what this device has of it.

use std::time::Duration;

use rookery_protocol::{
    chain::Seen,
    community::{Action, Handover, MAX_HANDOVERS, State},
    id::{ChannelId, CommunityId},
    io::client::CallError,
    name::ServerName,
    request::{
        Refusal,
        community::{MoveStep, PrepareMove, PrepareMoveError},
    },
};
use tokio::time::Instant;

use super::{
    super::{Engine, chains::ChainError, refusal::failed_as},
    abroad::hub_away,
    log::Reader,
};
use crate::{
    error::{CommandError, Kind},
    store::StoreError,
};

/// How long the next hub may take to copy all of it.
const PATIENCE: Duration = Duration::from_mins(30);
/// How often it is asked how far it is.
const LOOK: Duration = Duration::from_secs(1);
/// How often the hand-over is stated when something came in between.
const TRIES: usize = 8;

/// What a look at it came to.
enum Looked {
    Moved,
    /// It is being copied; and what keeps it, if anything does.
    Underway(Option<String>),
    /// Everything was ready, and the statement was not taken.
    NotTaken(CommandError),
}

impl Engine {
    /// Has another server become the hub of a community of one's own; `show` is told what it waits for.
    pub(crate) async fn move_community<S: Future<Output = Result<(), CommandError>>>(
        &self,
        community: &str,
        to: &str,
        show: impl Fn(String) -> S,
    ) -> Result<(), CommandError> {
        let to: ServerName = to.parse().map_err(|error| CommandError::of(Kind::Usage, &error))?;
        let community = self.community_named(community).await?.row.community;
        if let Some(state) = &self.trusted(community).await?.state {
            check_movable(state, &to)?;
        }
        let begun = Instant::now();
        let (mut has_begun, mut not_taken, mut shown) = (false, 0_usize, None);
        while begun.elapsed() < PATIENCE {
            let why = match self.look_at_move(community, &to).await {
                Ok(Looked::Moved) => return Ok(()),
                Ok(Looked::Underway(why)) => why,
                Ok(Looked::NotTaken(error)) => {
                    not_taken = not_taken.saturating_add(1);
                    if not_taken == TRIES {
                        return Err(error);
                    }
                    continue;
                }
                // What is under way goes on without this device, and a lost answer is asked for again.
                Err(error) if has_begun && error.kind == Kind::NoConnection => Some(error.message),
                Err(error) => return Err(error),
            };
            has_begun = true;
            let why = why.unwrap_or_else(|| format!("{to} copies the community"));
            if shown.as_ref() != Some(&why) {
                show(why.clone()).await?;
                shown = Some(why);
            }
            tokio::time::sleep(LOOK).await;
        }
        let why = shown.unwrap_or_default();
        let why =
            format!("the community was not moved within 30 minutes, and stays where it is: {why}");
        Err(CommandError::new(Kind::NoConnection, why)
            .hint("run the command again: it goes on where it ended"))
    }

    /// Asks once how far it is; states the hand-over if everything is ready.
    async fn look_at_move(
        &self,
        community: CommunityId,
        to: &ServerName,
    ) -> Result<Looked, CommandError> {
        let client = self.online().await?;
        // The answer to the statement may have been lost.
        self.fetch_log(&client, community, &Reader::Member).await?;
        let book = self.trusted(community).await?;
        if book.state.is_some_and(|state| state.hub == *to) {
            return Ok(Looked::Moved);
        }
        let handover = match client.call_watched(&PrepareMove { community, to: to.clone() }).await {
            Ok(MoveStep::Ready { handover }) => handover,
            Ok(MoveStep::Underway { reason }) => return Ok(Looked::Underway(reason)),
            // What was asked for may be under way all the same.
            Err(
                error @ (CallError::Refused(Refusal::Throttled { .. })
                | CallError::Lost(_)
                | CallError::Broken(_)
                | CallError::TimedOut),
            ) => return Ok(Looked::Underway(Some(error.to_string()))),
            Err(error) => return Err(not_moved(error)),
        };
        self.pin_hub(&handover.hub, handover.hub_key).await?;
        let held = self.held_of(community).await?;
        check_handover(&handover, to, &held)
            .map_err(|why| CommandError::new(Kind::Trust, why).hint("nothing was stated"))?;
        let said =
            self.state_to(community, |draft| draft.say(Action::Handover(handover.clone()))).await;
        match said {
            Ok(()) => Ok(Looked::Moved),
            // What was prepared has lapsed, or something was placed before.
            Err(error) if matches!(error.kind, Kind::Failed | Kind::NotPermitted) => {
                Ok(Looked::NotTaken(error))
            }
            Err(error) => Err(error),
        }
    }

    /// How far the channels of a community are here.
    async fn held_of(&self, community: CommunityId) -> Result<Vec<(ChannelId, Seen)>, StoreError> {
        let rows = self.store.read().await?.channels().await?;
        let of_it = rows.into_iter().filter(|row| row.community == community);
        Ok(of_it.filter_map(|row| Some((row.channel, row.have?))).collect())
    }

    /// Looks, once a log has gone on from a state to the newest, whether a hub that has handed over meanwhile had shown more of a channel than
    /// it ends with, or something else; says what.
    pub(super) async fn fault_of_former_hub(
        &self,
        before: Option<&State>,
        now: &State,
    ) -> Result<Option<String>, ChainError> {
        let Some(before) = before.filter(|before| before.owner_epoch < now.owner_epoch) else {
            return Ok(None);
        };
        // Nothing more is taken in by the state before.
        let _turn = self.channel_turn.lock().await;
        let held = self.held_of(now.community).await?;
        let fault = held
            .into_iter()
            .find_map(|(channel, have)| now.check_held(before.owner_epoch, channel, have).err());
        Ok(fault.map(|error| format!("a channel before the community was handed over: {error}")))
    }
}

fn check_movable(state: &State, to: &ServerName) -> Result<(), CommandError> {
    let why = if state.hub == *to {
        "the community is on that server already"
    } else if state.terms.size() >= MAX_HANDOVERS {
        "the community was moved as often as one may be"
    } else {
        return Ok(());
    };
    Err(CommandError::new(Kind::NotPermitted, why))
}

/// Whether a hand-over says what its owner wants: `held` is what this device has of the channels.
fn check_handover(
    handover: &Handover,
    to: &ServerName,
    held: &[(ChannelId, Seen)],
) -> Result<(), String> {
    if handover.hub != *to {
        return Err(format!("the community's server would hand it over to {}", handover.hub));
    }
    for (channel, have) in held {
        // Of a channel that has ended nothing is handed over.
        let Some(end) = handover.ends.iter().find(|end| end.channel == *channel) else { continue };
        let is_kept = end.last.is_some_and(|last| {
            last.seq > have.seq || (last.seq == have.seq && last.hash == have.hash)
        });
        if !is_kept {
            return Err("the community's server leaves out messages that are here".to_owned());
        }
    }
    Ok(())
}

fn not_moved(error: CallError<PrepareMoveError>) -> CommandError {
    if let CallError::Request(PrepareMoveError::HubAway { hub, since }) = &error {
        return hub_away(hub, *since);
    }
    let is_next_away = matches!(error, CallError::Request(PrepareMoveError::NextAway { .. }));
    let failed = failed_as(error, |error| match error {
        PrepareMoveError::NotFound => Kind::NotFound,
        PrepareMoveError::Denied { .. } | PrepareMoveError::Declined { .. } => Kind::NotPermitted,
        PrepareMoveError::NextAway { .. } | PrepareMoveError::HubAway { .. } => Kind::NoConnection,
    });
    if is_next_away {
        return failed.hint("the administrators of the two servers make them peers: `rookeryd peer add` on each, and `rookeryd peer test` says whether it works");
    }
    failed
}

#[cfg(test)]
mod tests {
    use rookery_protocol::{
        community::ChannelEnd,
        id::{Digest, ServerId},
    };

    use super::*;

    const ROOM: ChannelId = ChannelId::from_number(1);

    fn seen(seq: u64, hash: u8) -> Seen {
        Seen { seq, hash: Digest::from_bytes([hash; 32]) }
    }

    fn to(hub: &str, last: Option<Seen>) -> Handover {
        Handover {
            hub: hub.parse().unwrap(),
            hub_key: ServerId::from_bytes([4; 32]),
            owner_epoch: 1,
            ends: vec![ChannelEnd { channel: ROOM, last }],
        }
    }

    #[test]
    fn nothing_is_signed_that_the_owner_did_not_say() {
        let garden = "garden.example".parse().unwrap();
        assert!(check_handover(&to("garden.example", Some(seen(3, 3))), &garden, &[]).is_ok());
        assert!(check_handover(&to("evil.example", Some(seen(3, 3))), &garden, &[]).is_err());
    }

    #[test]
    fn nothing_is_signed_by_which_messages_would_be_lost() {
        let garden = "garden.example".parse().unwrap();
        let judged = |last| {
            check_handover(&to("garden.example", last), &garden, &[(ROOM, seen(5, 5))]).is_ok()
        };
        assert!(judged(Some(seen(5, 5))) && judged(Some(seen(6, 1))));
        assert!(!judged(Some(seen(4, 4))) && !judged(Some(seen(5, 6))) && !judged(None));
        // One that has ended here or there is named by nobody.
        let ended = [(ChannelId::from_number(2), seen(9, 9))];
        assert!(check_handover(&to("garden.example", None), &garden, &ended).is_ok());
    }
}

//! Moving a community to another server: its hub has the next one take a copy of all of it, and the owner states that it is handed over.

use std::time::Duration;

use rookery_protocol::{
    community::{Action, Handover},
    id::CommunityId,
    io::client::{CallError, Client},
    name::ServerName,
    request::{
        Refusal,
        community::{MoveStep, PrepareMove, PrepareMoveError},
    },
};
use tokio::time::Instant;

use super::{
    super::{Engine, refusal::failed_as},
    abroad::hub_away,
};
use crate::error::{CommandError, Kind};

/// How long the next hub may take to copy all of it.
const PATIENCE: Duration = Duration::from_mins(30);
/// How often it is asked how far it is.
const LOOK: Duration = Duration::from_secs(1);
/// How often the hand-over is stated when something came in between.
const TRIES: usize = 8;

impl Engine {
    /// Has another server become the hub of a community of one's own.
    pub(crate) async fn move_community(
        &self,
        community: &str,
        to: &str,
    ) -> Result<(), CommandError> {
        let to: ServerName = to.parse().map_err(|error| CommandError::of(Kind::Usage, &error))?;
        let community = self.community_named(community).await?.row.community;
        self.trusted(community).await?;
        let client = self.online().await?;
        let mut failed = None;
        for _ in 0..TRIES {
            let handover = prepared(&client, community, &to).await?;
            let said = self
                .state_to(community, |draft| draft.say(Action::Handover(handover.clone())))
                .await;
            match said {
                // What was prepared has lapsed, or something was placed before.
                Err(error) if matches!(error.kind, Kind::Failed | Kind::NotPermitted) => {
                    failed = Some(error);
                }
                said => return said,
            }
        }
        Err(failed
            .unwrap_or_else(|| CommandError::new(Kind::Failed, "the community was not moved")))
    }
}

/// What is to be stated once the next hub has all of the community.
async fn prepared(
    client: &Client,
    community: CommunityId,
    to: &ServerName,
) -> Result<Handover, CommandError> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let request = PrepareMove { community, to: to.clone() };
        match client.call_watched(&request).await {
            Ok(MoveStep::Ready { handover }) => return Ok(handover),
            Ok(MoveStep::Underway {}) | Err(CallError::Refused(Refusal::Throttled { .. })) => {}
            Err(error) => return Err(not_moved(error)),
        }
        tokio::time::sleep(LOOK).await;
    }
    let why = format!("{to} has not copied the community within 30 minutes; it stays where it is");
    Err(CommandError::new(Kind::NoConnection, why)
        .hint("run the command again: it goes on where it ended"))
}

fn not_moved(error: CallError<PrepareMoveError>) -> CommandError {
    if let CallError::Request(PrepareMoveError::HubAway { hub, since }) = &error {
        return hub_away(hub, *since);
    }
    let hint = match &error {
        CallError::Request(PrepareMoveError::NextAway { hub }) => {
            Some(format!("the administrators of both servers say `rookeryd peer add`; `rookery peers` shows whether {hub} is connected"))
        }
        CallError::Request(PrepareMoveError::Declined { .. }) => {
            Some("somebody on that server has to belong to the community, and its administrator decides by server.adoptions".to_owned())
        }
        _ => None,
    };
    let failed = failed_as(error, |error| match error {
        PrepareMoveError::NotFound => Kind::NotFound,
        PrepareMoveError::Denied { .. } | PrepareMoveError::Declined { .. } => Kind::NotPermitted,
        PrepareMoveError::NextAway { .. } | PrepareMoveError::HubAway { .. } => Kind::NoConnection,
    });
    match hint {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}

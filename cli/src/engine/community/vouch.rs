//! What the owner of a large community does for those who come into it: their device states from time to time what the log has come to.

use rookery_protocol::community::{
    Action, BASE_WINDOW, CommunityKind, MAX_SNAPSHOT, Snapshot, State,
};

use super::{super::Engine, book::Book};
use crate::error::{CommandError, Kind};

/// Members from whom on a log takes too long to be checked before one reads.
const LARGE: usize = 256;

impl Engine {
    /// Vouches for the log, if this user owns the community and it has gone on far enough.
    pub(super) async fn vouch(&self, book: &Book, state: &State) -> Result<(), CommandError> {
        if !self.owes_word(state) {
            return Ok(());
        }
        self.jitter().await;
        let stated = self.state_to(book.row.community, |draft| {
            let state = draft.state()?;
            if !self.owes_word(state) {
                return Ok(());
            }
            let bytes = state.snapshot().encode();
            // Nobody reads one that is larger.
            if bytes.len() > MAX_SNAPSHOT {
                return Ok(());
            }
            draft.say(Action::Snapshot { digest: Snapshot::digest_of(&bytes) })
        });
        match stated.await {
            // Statements come faster than one can be made, or another device of the owner's was faster: with the next look.
            Err(error) if matches!(error.kind, Kind::Failed | Kind::NotPermitted) => Ok(()),
            stated => stated,
        }
    }

    fn owes_word(&self, state: &State) -> bool {
        let since = state.vouched.unwrap_or(0);
        state.kind == CommunityKind::Community
            && state.owner == self.user
            && state.owed.is_empty()
            && state.members.size() >= LARGE
            && state.head.seq.saturating_sub(since) >= BASE_WINDOW
    }
}

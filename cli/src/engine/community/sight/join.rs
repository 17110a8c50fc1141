//! Coming into a community on a sight of it.

use std::time::Duration;

use rookery_protocol::{
    community::{Action, Join, JoinBy, JoinPolicy},
    id::{CommunityId, InviteId, ServerId},
    io::client::{CallError, Client},
    name::ServerName,
    request::{community::AppendLogError, look::Looking},
};
use tokio::time::Instant;

use super::{
    super::{
        draft::{Draft, append_failed},
        join::Joined,
    },
    Sight,
};
use crate::{
    engine::Engine,
    error::{CommandError, Kind},
    store::{CommunityRow, Standing, StoreError},
};

/// How often joining is tried while others state something.
const TRIES: usize = 8;
/// How long a newcomer waits for a key that a member has to give.
const KEY_PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether one has.
const KEY_LOOK: Duration = Duration::from_millis(200);
impl Engine {
    /// Joins a community whose owner vouches for what its log has come to, and reads its newest messages. Nothing where no owner does, or where
    /// one has to be let in: the log is to be checked first then.
    pub(in super::super) async fn join_on_sight(
        &self,
        client: &Client,
        at: Looking,
        key: Option<ServerId>,
        link: Option<([u8; 32], InviteId)>,
    ) -> Result<Option<Joined>, CommandError> {
        let community = at.community;
        let by = at.by.clone();
        let Some(mut sight) = self.first_look(client, at).await? else { return Ok(None) };
        let Some(state) = sight.newest() else { return Ok(None) };
        let is_asking =
            state.policy == JoinPolicy::Approved && !matches!(by, JoinBy::Invited { .. });
        if is_asking {
            return Ok(None);
        }
        let kind = state.kind;
        let book = self.book(community).await?;
        let Some(row) = book.map(|book| book.row) else { return Ok(None) };
        Self::check_hub(&sight.book(row), key)?;
        if !self.is_in(&sight) {
            self.state_join(client, &mut sight, by).await?;
        }
        let hub = sight.at.hub.clone();
        self.know(community, kind, Standing::Member, link).await?;
        self.note_hub(community, hub).await?;
        self.show_sight(sight.clone()).await?;
        self.timeline_changed();
        // One belongs to it, whatever can be read by now.
        if let Err(error) = self.glance(client, &mut sight).await {
            self.doubt_sight(community, error).await?;
        }
        self.owe_community(community);
        Ok(Some(Joined::Member))
    }

    /// States that this user joins, after the newest entry that is known.
    async fn state_join(
        &self,
        client: &Client,
        sight: &mut Sight,
        by: JoinBy,
    ) -> Result<(), CommandError> {
        for _ in 0..TRIES {
            let Some(state) = sight.newest().cloned() else { break };
            let mut draft = Draft::on_sight(self, state, sight.at.hub.clone()).await?;
            let puk = draft.own_puk()?;
            draft.say(Action::Join(Join { puk, by: by.clone() }))?;
            match draft.submit(client).await {
                Ok(()) => return Ok(()),
                Err(CallError::Request(AppendLogError::Stale { .. })) => {
                    self.look_on(client, sight).await?;
                    // An answer was lost: it had been placed.
                    if self.is_in(sight) {
                        return Ok(());
                    }
                }
                Err(error) => return Err(append_failed(error)),
            }
        }
        Err(CommandError::new(Kind::Failed, "the community keeps changing; try again"))
    }

    /// Reads what can be read at once: the key comes with the link, or from a member within seconds.
    async fn glance(&self, client: &Client, sight: &mut Sight) -> Result<(), CommandError> {
        let deadline = Instant::now().checked_add(KEY_PATIENCE);
        loop {
            self.look_on(client, sight).await?;
            if self.obtain_on_sight(client, sight).await?
                || deadline.is_none_or(|deadline| Instant::now() >= deadline)
            {
                break;
            }
            tokio::time::sleep(KEY_LOOK).await;
        }
        self.books.sights.replace(sight.clone());
        self.read_on_sight(client, sight).await?;
        self.timeline_changed();
        Ok(())
    }

    /// Writes down which server is asked for a community that one's home need not know yet.
    async fn note_hub(
        &self,
        community: CommunityId,
        hub: Option<ServerName>,
    ) -> Result<(), StoreError> {
        let mut unit = self.store.write().await?;
        if let Some(book) = self.books.get(community) {
            self.put_row(&mut unit, CommunityRow { hub, ..book.row }).await?;
        }
        unit.commit().await
    }
}

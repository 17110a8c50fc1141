//! What a member's device does for its communities without being asked: secrets fetched, newcomers given theirs, revoked devices shut out.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt as _, stream};
use rookery_protocol::{
    chain::HeadRef,
    community::{Action, PukPin, State},
    id::{ChainId, CommunityId},
    io::client::Client,
    request::community::{CommunityEntry, ListCommunities, MemberStanding},
    session::{FollowUp, FollowedChain},
};

use super::{
    super::{Engine, draw, refusal::failed_as},
    book::Book,
    keeper::AT_ONCE,
    log::Reader,
};
use crate::{
    error::{CommandError, Kind},
    store::{CommunityRow, Standing},
};

/// How long a member waits at most before giving another the epoch: whoever comes first does it, and the others find it done.
const JITTER_MS: u32 = 400;
/// How long a member waits for an epoch before saying that it has not come.
const GRACE: Duration = Duration::from_millis(1_500);
/// How many newcomers get their wraps in one batch.
const ADMITS: usize = 24;

impl Engine {
    /// A log has gone on.
    pub(super) fn log_changed(&self, community: CommunityId) {
        self.owe_community(community);
        self.postings_wake.notify_one();
        self.timeline_changed();
    }

    /// Asks which communities there are, and follows those that are new.
    pub(in super::super) async fn refresh_communities(
        &self,
        client: &Client,
    ) -> Result<(), CommandError> {
        self.load_books().await?;
        let listed = client
            .call(&ListCommunities {})
            .await
            .map_err(|error| failed_as(error, |_| Kind::Failed))?
            .communities;
        let mut unit = self.store.write().await?;
        for entry in &listed {
            let standing = match entry.standing {
                MemberStanding::Member => Standing::Member,
                MemberStanding::Invited => Standing::Invited,
                MemberStanding::Asking => Standing::Asking,
            };
            let row = match self.books.get(entry.community) {
                // What has been joined is not what a home that is behind still takes it for.
                Some(book) if self.books.sights.of(entry.community).is_some() => book.row,
                Some(book) => CommunityRow { standing, ..book.row },
                None => CommunityRow {
                    community: entry.community,
                    kind: entry.kind,
                    standing,
                    link_secret: None,
                    invite: None,
                    alarm: None,
                    since: self.now(),
                    leaving: None,
                    hub: None,
                },
            };
            self.put_row(&mut unit, row).await?;
        }
        for book in self.books.all() {
            let community = book.row.community;
            let is_listed = listed.iter().any(|entry| entry.community == community);
            if is_listed || book.row.standing == Standing::Gone {
                continue;
            }
            if self.is_on_its_way(&book) {
                self.owe_community(community);
            } else {
                let row = CommunityRow { standing: Standing::Gone, leaving: None, ..book.row };
                self.put_row(&mut unit, row).await?;
            }
        }
        unit.commit().await?;
        let each = listed.into_iter().map(|entry| Box::pin(self.go_on_with(client, entry)));
        let gone_on: Vec<_> = stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
        self.timeline_changed();
        gone_on.into_iter().collect()
    }

    /// Fetches what a log has come to, and follows it.
    async fn go_on_with(
        &self,
        client: &Client,
        listed: CommunityEntry,
    ) -> Result<(), CommandError> {
        let community = listed.community;
        let have = self.log_head(community).await?;
        if have != Some(listed.head) {
            self.fetch_log(client, community, &Reader::Member).await?;
        }
        // Proofs are judged by the log, which says who was the hub when.
        if listed.forks.is_some() {
            self.take_in_forks(client, community).await?;
        }
        self.follow_more(ChainId::of_log(community), have).await;
        self.owe_community(community);
        Ok(())
    }

    async fn follow_more(&self, chain: ChainId, have: Option<HeadRef>) {
        if self.followed().insert(chain) {
            self.send_up(FollowUp::Follow(FollowedChain { chain, have })).await;
        }
    }

    /// Chains of communities that the present connection follows.
    pub(in super::super) fn followed(&self) -> std::sync::MutexGuard<'_, BTreeSet<ChainId>> {
        self.followed_chains.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// One look at a community.
    pub(super) async fn keep(
        &self,
        client: &Client,
        community: CommunityId,
    ) -> Result<(), CommandError> {
        let Some(book) = self.book(community).await? else { return Ok(()) };
        if book.row.alarm.is_none()
            && book.is_checking(self.user)
            && (self.keep_in_sight(client, &book).await? || book.row.hub.is_some())
        {
            return Err(CommandError::new(
                Kind::NoConnection,
                "the community's log is still being checked",
            ));
        }
        let Some(state) = &book.state else { return Ok(()) };
        if book.row.alarm.is_some()
            || book.row.is_over()
            || state.is_deleted
            || !state.members.contains_key(&self.user)
        {
            return Ok(());
        }
        self.compare_heads(client, community).await?;
        let missing = self.obtain_secrets(client, &book).await?;
        self.follow_channels(client, &book, state).await?;
        self.name_own_head(&book, state).await?;
        if !missing.is_empty() {
            self.miss(client, community).await?;
        }
        self.give_to_lacking(community, state).await?;
        self.begin_for_newcomers(community, state).await?;
        self.renew_old_epochs(community, state).await?;
        self.shut_out_own_revoked(community).await?;
        self.vouch(&book, state).await?;
        self.look_again_at_held(community, state).await
    }

    /// Fails while a channel is held for something that the hub does not show, so that there is another look soon.
    async fn look_again_at_held(
        &self,
        community: CommunityId,
        state: &State,
    ) -> Result<(), CommandError> {
        for channel in state.channels.keys() {
            let chain = ChainId::of_channel(community, *channel);
            let row = self.store.read().await?.channel(chain).await?;
            if state.may_read(self.user, *channel)
                && row.is_some_and(|row| row.waits_since.is_some())
            {
                return Err(CommandError::new(
                    Kind::NoConnection,
                    "a channel waits for keys or devices that the server does not show yet",
                ));
            }
        }
        Ok(())
    }

    async fn follow_channels(
        &self,
        client: &Client,
        book: &Book,
        state: &State,
    ) -> Result<(), CommandError> {
        let community = book.row.community;
        for channel in state.channels.keys() {
            if !state.may_read(self.user, *channel) {
                continue;
            }
            let chain = ChainId::of_channel(community, *channel);
            let row = self.store.read().await?.channel(chain).await?;
            let is_waiting = row.as_ref().is_some_and(|row| row.waits_since.is_some());
            if is_waiting || !self.followed().contains(&chain) {
                self.fetch_channel(client, community, *channel).await?;
                let row = self.store.read().await?.channel(chain).await?;
                let have = row.and_then(|row| row.have).map(HeadRef::from);
                self.follow_more(chain, have).await;
            }
        }
        Ok(())
    }

    /// Tells the log when this user's per-user key has changed: a device went, and is not to be wrapped for any more.
    async fn name_own_head(&self, book: &Book, state: &State) -> Result<(), CommandError> {
        let own = self.store.read().await?.person(self.user).await?;
        let (Some(own), Some(member)) = (own, state.members.get(&self.user)) else { return Ok(()) };
        let Some(puk) = own.puk().map(PukPin::of) else { return Ok(()) };
        if own.owes_rotation || puk == member.puk || own.head.seq <= member.head.seq {
            return Ok(());
        }
        self.jitter().await;
        self.state_to(book.row.community, |draft| {
            let puk = draft.own_puk()?;
            let known = draft.state()?.members.get(&self.user).map(|member| member.puk);
            if known == Some(puk) { Ok(()) } else { draft.say(Action::Head(puk)) }
        })
        .await
    }

    /// Waits a moment for the epochs that this user lacks, and only then says that they have not come: whoever brings somebody in gives them
    /// with the next breath.
    async fn miss(&self, client: &Client, community: CommunityId) -> Result<(), CommandError> {
        tokio::time::sleep(GRACE).await;
        let Some(book) = self.book(community).await? else { return Ok(()) };
        let missing = self.obtain_secrets(client, &book).await?;
        if missing.is_empty() {
            self.owe_community(community);
            return Ok(());
        }
        self.say_lacking(community, &missing).await
    }

    /// Says in the log that the epoch in force has not come, so that any member gives it again.
    async fn say_lacking(
        &self,
        community: CommunityId,
        missing: &[rookery_protocol::id::AudienceId],
    ) -> Result<(), CommandError> {
        for audience in missing {
            self.state_to(community, |draft| {
                let known = draft.state()?.audiences.get(audience);
                let Some(known) = known else { return Ok(()) };
                let Some(epoch) = known.epoch.as_ref() else { return Ok(()) };
                let can = known.must_rotate().is_none() && !known.lacking.contains(&self.user);
                if !can {
                    return Ok(());
                }
                let said = draft.say(Action::Lacking { audience: *audience, epoch: epoch.number });
                match said {
                    // Where history begins with one's coming, the next who says something starts an epoch for all.
                    Err(error) if error.kind == Kind::NotPermitted => Ok(()),
                    said => said,
                }
            })
            .await?;
        }
        Ok(())
    }

    /// Gives the epochs in force to members who have none, another device of this user's among them.
    async fn give_to_lacking(
        &self,
        community: CommunityId,
        state: &State,
    ) -> Result<(), CommandError> {
        let is_lacked = |state: &State| {
            state.audiences.iter().any(|(id, audience)| {
                state.is_in_audience(self.user, *id) && audience.lacking.size() > 0
            })
        };
        if !is_lacked(state) {
            return Ok(());
        }
        self.jitter().await;
        self.state_to(community, |draft| {
            let state = draft.state()?.clone();
            let mut given = 0_usize;
            for (id, audience) in &state.audiences {
                if !state.is_in_audience(self.user, *id) || audience.must_rotate().is_some() {
                    continue;
                }
                for user in &audience.lacking {
                    if given >= ADMITS {
                        return Ok(());
                    }
                    let Some(admit) = draft.wrap_for(*id, *user)? else { continue };
                    match draft.say(Action::Admit(admit)) {
                        Ok(()) => given = given.saturating_add(1),
                        // They came after this epoch, and get the next.
                        Err(error) if error.kind == Kind::NotPermitted => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn jitter(&self) {
        tokio::time::sleep(Duration::from_millis(u64::from(draw() % JITTER_MS))).await;
    }
}

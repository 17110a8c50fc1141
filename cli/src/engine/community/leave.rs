//! Leaving: at once while the hub answers; otherwise written down here, out of the way, and carried out when the hub is back.
//!
//! A leave goes after what was said before it. It can be done once only, whatever is lost on the way: who does not belong to a community cannot
//! leave it.

use std::time::Duration;

use rookery_protocol::{
    community::Action,
    id::{ChainId, ChannelId, CommunityId},
    io::client::{CallError, Client},
    request::{Refusal, community::AppendLogError},
    time::Timestamp,
};
use tokio::sync::Notify;

use super::{
    super::{Engine, Link, draw, queue::Queued},
    book::Book,
    draft::{Draft, append_failed},
    log::Reader,
};
use crate::{
    agent::verb::{LeaveLine, rfc3339},
    error::{CommandError, Kind},
    store::{CommunityRow, Leaving, Standing, StoreError},
};

/// Leaves that are tried in one go.
const AT_ONCE: usize = 8;
/// How often a leave is stated anew when others state something meanwhile.
const TRIES: usize = 8;
/// How long it is waited at most before a hub that is away is asked for again.
const AWAY: Duration = Duration::from_secs(4);
/// The wait before a community is looked at again whose server is not believed.
const DOUBTED: Duration = Duration::from_mins(5);
/// How often, and how long each time, a leave lets what was said before it go first while the hub answers.
const HOLDS: u32 = 60;
const HOLD: Duration = Duration::from_secs(1);
/// How long somebody who leaves waits for what was said a moment ago.
const LAST_WORDS: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(50);

/// What came of leaving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// It has taken effect.
    Now,
    /// It waits for the community's hub.
    Later(LeaveLine),
}

/// A leave that waits, as its queue takes it up.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Departure {
    community: CommunityId,
    not_before: Timestamp,
}

/// Why a leave has not taken effect.
#[derive(Debug)]
enum Unleft {
    /// It is tried again after a while.
    Later(String, Duration),
    /// The same, because something of one's own goes first.
    Held,
    /// It never will.
    Refused(CommandError),
}

impl From<StoreError> for Unleft {
    fn from(error: StoreError) -> Self {
        Self::Later(error.to_string(), HOLD)
    }
}

impl From<CommandError> for Unleft {
    fn from(error: CommandError) -> Self {
        match error.kind {
            Kind::Trust => Self::Later(error.message, DOUBTED),
            Kind::NotPermitted => Self::Refused(error),
            Kind::NoConnection => Self::Later(error.message, soon()),
            _ => Self::Later(error.message, AWAY),
        }
    }
}

/// Between a half of the wait and all of it: not all come at once when a hub is back.
fn soon() -> Duration {
    AWAY.mul_f64(f64::from(draw() >> 16).mul_add(1.0 / 131_072.0, 0.5))
}

impl Queued for Departure {
    type Line = CommunityId;
    const QUEUE: &'static str = "leaves";

    fn line(&self) -> CommunityId {
        self.community
    }

    fn not_before(&self) -> Timestamp {
        self.not_before
    }

    async fn fronts(engine: &Engine) -> Result<Vec<Self>, StoreError> {
        engine.load_books().await?;
        let rows = engine.books.all().into_iter().map(|book| book.row);
        let mut fronts: Vec<Self> = rows.filter_map(|row| Self::of(&row)).collect();
        fronts.sort_by_key(|front| front.not_before);
        fronts.truncate(AT_ONCE);
        Ok(fronts)
    }

    fn wake(engine: &Engine) -> &Notify {
        &engine.leaves_wake
    }

    async fn attempt(self, engine: &Engine, client: &Client) {
        let turn = engine.leaving_turn.lock().await;
        let tried = Box::pin(engine.try_to_leave(client, self.community)).await;
        drop(turn);
        if let Err(error) = tried {
            tracing::error!(%error, "a leave that waits cannot be written");
        }
    }
}

impl Departure {
    fn of(row: &CommunityRow) -> Option<Self> {
        let leaving = row.leaving.as_ref().filter(|leaving| leaving.refusal.is_none())?;
        Some(Self { community: row.community, not_before: leaving.not_before })
    }
}

/// Why somebody who wanted to leave still belongs to a community.
pub(in super::super) fn leave_refused(row: &CommunityRow) -> Option<String> {
    let why = row.leaving.as_ref()?.refusal.as_ref()?;
    Some(format!("you could not leave: {why}"))
}

impl Engine {
    /// Leaves a community. When its hub does not answer, that is kept and done as soon as it does.
    pub(crate) async fn leave(&self, name: &str) -> Result<Left, CommandError> {
        let named = self.community_named(name).await?;
        let community = named.row.community;
        let book = self.trusted(community).await?;
        if let Some(leaving) = self.leave_of(&book).await? {
            self.leaves_wake.notify_one();
            return Ok(Left::Later(leaving));
        }
        // What the rules forbid is said at once, and does not wait for anybody.
        let mut draft = Draft::to_leave(self, &book).await?;
        draft.say(Action::Leave)?;
        let hub = draft.state()?.hub.clone();
        drop(draft);
        let turn = self.leaving_turn.lock().await;
        let now = self.now();
        let order = Leaving {
            hub,
            since: now,
            not_before: Timestamp::from_millis(0),
            held: 0,
            trouble: None,
            refusal: None,
        };
        self.put_leaving(community, Some(order)).await?;
        self.out_of_the_way(&book).await;
        let refused = match self.online().await {
            Ok(client) => {
                self.let_go_first(&book).await?;
                Box::pin(self.try_to_leave(&client, community)).await?
            }
            Err(trouble) => {
                self.note_trouble(community, trouble.message, HOLD).await?;
                None
            }
        };
        drop(turn);
        self.leaves_wake.notify_one();
        if let Some(refused) = refused {
            // Whoever orders it is told here, and nothing waits.
            self.put_leaving(community, None).await?;
            self.keep_soon(community);
            return Err(refused);
        }
        let left = self.book(community).await?.unwrap_or(book);
        Ok(self.leave_of(&left).await?.map_or(Left::Now, Left::Later))
    }

    /// Takes a leave back that has not taken effect, or forgets that it was refused. Whoever does so holds the turn. Should an answer have been
    /// lost and the leave have taken effect, the log says so.
    pub(super) async fn stay(&self, book: &Book) -> Result<(), CommandError> {
        if book.row.leaving.is_some() {
            self.put_leaving(book.row.community, None).await?;
            self.keep_soon(book.row.community);
        }
        Ok(())
    }

    /// Refuses to do anything in a community that is being left.
    pub(super) async fn check_stays(&self, community: CommunityId) -> Result<(), CommandError> {
        let book = self.book(community).await?;
        if book.is_none_or(|book| !book.row.is_leaving()) {
            return Ok(());
        }
        Err(CommandError::new(Kind::NotPermitted, "you are leaving this community").hint(
            "`rookery community join` with its name takes that back until it has taken effect",
        ))
    }

    /// The leaves that wait, by the names of their communities.
    pub(in super::super) async fn leaves(&self) -> Result<Vec<LeaveLine>, CommandError> {
        self.load_books().await?;
        let mut lines = vec![];
        for book in self.books.all() {
            lines.extend(self.leave_of(&book).await?);
        }
        lines.sort_by(|one, two| one.community.cmp(&two.community));
        Ok(lines)
    }

    /// What leaving a community waits for, if it does.
    pub(super) async fn leave_of(&self, book: &Book) -> Result<Option<LeaveLine>, CommandError> {
        let Some(leaving) = book.row.leaving.as_ref().filter(|_| book.row.is_leaving()) else {
            return Ok(None);
        };
        Ok(Some(LeaveLine {
            community: self.community_name(book).await?,
            hub: leaving.hub.to_string(),
            since: rfc3339(leaving.since),
            reason: leaving.trouble.clone(),
        }))
    }

    /// Waits a moment for what was said just before, which the hub is placing.
    async fn let_go_first(&self, book: &Book) -> Result<(), StoreError> {
        let wait = async {
            while self.hubs_away.trouble(book.row.community).is_none()
                && self.owes_posts(book).await?
            {
                tokio::time::sleep(LOOK).await;
            }
            Ok(())
        };
        tokio::time::timeout(LAST_WORDS, wait).await.unwrap_or(Ok(()))
    }

    /// Tries a leave once, and writes down what came of it; a refusal is also told. Whoever does so holds the turn.
    async fn try_to_leave(
        &self,
        client: &Client,
        community: CommunityId,
    ) -> Result<Option<CommandError>, CommandError> {
        let Some(book) = self.book(community).await? else { return Ok(None) };
        let Some(leaving) = book.row.leaving.clone().filter(|_| book.row.is_leaving()) else {
            return Ok(None);
        };
        let mut refused = None;
        match self.state_leave(client, community, leaving.held).await {
            Ok(()) => {
                self.know(community, book.row.kind, Standing::Gone, None).await?;
                self.owe_communities();
            }
            Err(Unleft::Later(why, wait)) => {
                // With a lost connection there is another attempt at the next one.
                let wait = if client.connection().lost().is_some() { HOLD } else { wait };
                self.note_trouble(community, why, wait).await?;
            }
            Err(Unleft::Held) => {
                let is_away = self.hubs_away.trouble(community);
                let held = leaving.held.saturating_add(u32::from(is_away.is_none()));
                let trouble = is_away.map(|away| away.message);
                let not_before = self.now().plus(HOLD);
                let order = Leaving { not_before, held, trouble, ..leaving };
                self.put_leaving(community, Some(order)).await?;
            }
            Err(Unleft::Refused(error)) => {
                let refusal = Some(error.message.clone());
                self.put_leaving(community, Some(Leaving { refusal, trouble: None, ..leaving }))
                    .await?;
                self.keep_soon(community);
                refused = Some(error);
            }
        }
        self.timeline_changed();
        Ok(refused)
    }

    /// Has the hub place the statement.
    async fn state_leave(
        &self,
        client: &Client,
        community: CommunityId,
        held: u32,
    ) -> Result<(), Unleft> {
        for _ in 0..TRIES {
            let book = self.trusted(community).await?;
            let belongs = book
                .state
                .as_ref()
                .is_some_and(|state| !state.is_deleted && state.members.contains_key(&self.user));
            if !belongs {
                return Ok(());
            }
            if held < HOLDS && self.owes_posts(&book).await? {
                return Err(Unleft::Held);
            }
            let mut draft = Draft::to_leave(self, &book).await?;
            draft.say(Action::Leave)?;
            let answer = draft.submit(client).await;
            if !matches!(answer, Err(CallError::Request(AppendLogError::HubAway { .. }))) {
                self.hubs_away.forget(community);
            }
            match answer {
                // The hub knows no such member: it has taken effect, and the answer was lost.
                Ok(()) | Err(CallError::Request(AppendLogError::NotFound)) => return Ok(()),
                Err(CallError::Request(AppendLogError::Stale { .. })) => {
                    let fetched = self.fetch_log(client, community, &Reader::Member).await;
                    fetched.map_err(CommandError::from)?;
                }
                Err(CallError::Refused(Refusal::Throttled { retry_after_ms })) => {
                    let wait = Duration::from_millis(retry_after_ms.clamp(10, 3_600_000));
                    return Err(Unleft::Later(
                        "the server takes it a little later".to_owned(),
                        wait,
                    ));
                }
                Err(error) => return Err(append_failed(error).into()),
            }
        }
        Err(Unleft::Later("the community keeps changing".to_owned(), HOLD))
    }

    /// Whether something that this device has to say there was not placed yet.
    async fn owes_posts(&self, book: &Book) -> Result<bool, StoreError> {
        let community = book.row.community;
        let mut unit = self.store.read().await?;
        for channel in channels_of(book) {
            let chain = ChainId::of_channel(community, channel);
            if !unit.postings(chain, 1).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Says why a leave waits, and how long it does at least.
    async fn note_trouble(
        &self,
        community: CommunityId,
        why: String,
        wait: Duration,
    ) -> Result<(), CommandError> {
        tracing::debug!(%community, why, "a leave has to wait");
        let Some(book) = self.book(community).await? else { return Ok(()) };
        let Some(leaving) = book.row.leaving else { return Ok(()) };
        let not_before = self.now().plus(wait);
        self.put_leaving(community, Some(Leaving { not_before, trouble: Some(why), ..leaving }))
            .await
    }

    /// Writes down that a community is to be left, or not any more.
    async fn put_leaving(
        &self,
        community: CommunityId,
        leaving: Option<Leaving>,
    ) -> Result<(), CommandError> {
        self.load_books().await?;
        let mut unit = self.store.write().await?;
        let Some(book) = self.books.get(community) else { return Ok(()) };
        self.put_row(&mut unit, CommunityRow { leaving, ..book.row }).await?;
        unit.commit().await?;
        self.timeline_changed();
        Ok(())
    }

    /// Follows the channels of a community no more: its log goes on being followed, since it says when the leave has taken effect.
    async fn out_of_the_way(&self, book: &Book) {
        if !matches!(&*self.link.borrow(), Link::Online(_)) {
            return;
        }
        let community = book.row.community;
        for channel in channels_of(book) {
            let chain = ChainId::of_channel(community, channel);
            let was_followed = self.followed().remove(&chain);
            if was_followed {
                self.send_up(rookery_protocol::session::FollowUp::Unfollow { chain }).await;
            }
        }
    }
}

/// The channels of a community, as its log has them here.
fn channels_of(book: &Book) -> Vec<ChannelId> {
    book.state.iter().flat_map(|state| state.channels.keys().copied()).collect()
}

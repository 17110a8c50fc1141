//! Reading a conversation, and following everything that arrives.

use std::{
    collections::{BTreeMap, VecDeque, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use rookery_protocol::{
    id::{ChainId, ItemId, UserId},
    time::Timestamp,
};
use tokio::sync::watch;

use super::{Engine, Link, ReadOrder, Spot, file::Stage, is_room};
use crate::{
    agent::verb::{FileLine, MessageLine, ReadLines, percent},
    e2ee::journal_state::Change,
    error::{CommandError, Kind},
    store::{ContactRow, MessageState, Page, Placed, Receipt, StoreError, Told},
};

/// How long `read` waits for what the home has.
const SYNC_PATIENCE: Duration = Duration::from_secs(3);
/// Messages that `tail` takes out of the store at once.
const PAGE: u32 = 200;
/// The most that one page of `read` has.
const MAX_COUNT: u32 = 5_000;

/// From where on, and of whom, messages are followed.
#[derive(Clone, Debug, Default)]
pub struct TailOrder {
    /// With whom; everybody when empty.
    pub with: Vec<String>,
    /// After this place.
    pub after: Option<u64>,
    /// From this long ago.
    pub since: Option<Duration>,
    /// Whether it goes on when all has been told.
    pub is_endless: bool,
}

/// Messages as they come, out of the store: a reader that is slow, or goes away and comes back, misses nothing.
#[derive(Debug)]
pub struct TailReader<'e> {
    engine: &'e Engine,
    with: Vec<Wanted>,
    position: u64,
    page: VecDeque<MessageLine>,
    changes: watch::Receiver<u64>,
    is_endless: bool,
}

/// What is followed.
#[derive(Clone, Debug)]
enum Wanted {
    /// A conversation with one other user.
    Person(Box<ContactRow>),
    /// A channel.
    Room(ChainId),
}

impl Wanted {
    fn covers(&self, told: &Told) -> bool {
        match (self, told) {
            (Self::Person(person), Told::Direct(placed)) => {
                person.user == placed.message.conversation
            }
            (Self::Room(chain), Told::Channel(placed)) => *chain == placed.post.chain,
            _ => false,
        }
    }
}

impl Engine {
    /// Messages with somebody, oldest first. The newest are marked read, unless one only peeks.
    pub(crate) async fn read(
        self: &Arc<Self>,
        order: ReadOrder,
    ) -> Result<ReadLines, CommandError> {
        let ReadOrder { with, spot, count, peek, local } = order;
        let (synced, contact) = if local {
            let Some(contact) = self.conversation_here(&with).await? else {
                return Ok(ReadLines { messages: vec![], synced: false });
            };
            (self.is_caught_up(), contact)
        } else {
            (self.wait_caught_up(SYNC_PATIENCE).await, self.conversation_named(&with).await?)
        };
        let is_newest = spot == Spot::Last;
        let marked = self.journal().unread_from(contact.user);
        let placed = self.spot(contact.user, spot, count.clamp(1, MAX_COUNT)).await?;
        let mut names = BTreeMap::new();
        let mut messages = Vec::with_capacity(placed.len());
        for one in &placed {
            messages.push(self.line(&mut names, one.clone()).await?);
        }
        if !peek && is_newest {
            if local {
                // A screen shows them first: what is written down for it waits for the disk.
                let engine = Arc::clone(self);
                self.tasks.spawn(async move {
                    if let Err(error) = engine.mark_read(contact.user, &placed, marked).await {
                        tracing::warn!(%error, "what was read could not be marked so");
                    }
                });
            } else {
                self.mark_read(contact.user, &placed, marked).await?;
            }
        }
        Ok(ReadLines { messages, synced })
    }

    async fn spot(
        &self,
        conversation: UserId,
        spot: Spot,
        count: u32,
    ) -> Result<Vec<Placed>, CommandError> {
        let before = |point, count| Page::Before { conversation, point, count };
        let from = |point, count| Page::From { conversation, point, count };
        let page = match &spot {
            Spot::Last => Page::Last { conversation, count },
            Spot::From(at) => from((*at, 0), count),
            Spot::Before(message) => before(self.point_of(conversation, message).await?, count),
            Spot::After(message) => from(self.point_of(conversation, message).await?, count),
            Spot::Around(message) => {
                let (at, position) = self.point_of(conversation, message).await?;
                let half = count / 2;
                let mut unit = self.store.read().await?;
                let mut placed = unit.page(before((at, position), half)).await?;
                let rest = count.saturating_sub(half);
                // The message itself comes first after the place before it.
                placed.extend(unit.page(from((at, position.saturating_sub(1)), rest)).await?);
                return Ok(placed);
            }
        };
        Ok(self.store.read().await?.page(page).await?)
    }

    /// Where the message stands that a person names by its id.
    pub(super) async fn point_of(
        &self,
        conversation: UserId,
        text: &str,
    ) -> Result<(Timestamp, u64), CommandError> {
        let item: ItemId = text.parse().map_err(|_| {
            CommandError::new(Kind::Usage, format!("{text:?} is not a message's id"))
                .hint("`rookery read --json` shows ids")
        })?;
        let found = self.store.read().await?.message_named(conversation, self.user, item).await?;
        let placed = found.ok_or_else(|| {
            CommandError::new(Kind::NotFound, format!("there is no message {text} there"))
        })?;
        Ok((placed.message.at, placed.position))
    }

    /// Marks what was shown as read, here, on this user's other devices, and to its author if they may know. `marked` is from where on it
    /// counted as unread when it was shown: what somebody says of that afterwards stands.
    pub(super) async fn mark_read(
        &self,
        peer: UserId,
        placed: &[Placed],
        marked: Option<(ItemId, Timestamp)>,
    ) -> Result<(), StoreError> {
        let unread: Vec<_> =
            placed.iter().filter(|placed| placed.message.state == MessageState::Received).collect();
        // What was read before and counts as unread again was told to its author then.
        let again = placed.last().filter(|_| marked.is_some());
        let Some(last) = unread.last().copied().or(again) else { return Ok(()) };
        let mut unit = self.store.write().await?;
        let now = self.journal().unread_from(peer);
        if now.is_some() && now != marked {
            return Ok(());
        }
        let may_know = self.account().read_receipts
            && unit.contact(peer).await?.is_some_and(|contact| contact.is_accepted());
        for one in &unread {
            unit.move_message(peer, one.message.author, one.message.item, MessageState::Read, None)
                .await?;
            if may_know && one.message.author == peer {
                unit.owe_receipt(Receipt { to: peer, item: one.message.item, read: true }).await?;
            }
        }
        let mark = Change::ReadMark { peer, message: last.message.item, at: last.message.at };
        self.change_common(&mut unit, mark).await?;
        unit.commit().await?;
        self.timeline_changed();
        self.chores_wake.notify_one();
        Ok(())
    }

    /// Whether everything that waited at the home is here, as far as is known now.
    pub(super) fn is_caught_up(&self) -> bool {
        matches!(&*self.link.borrow(), Link::Online(online) if online.caught_up)
    }

    /// Waits until what waited at the home is here; says whether it is.
    pub(super) async fn wait_caught_up(&self, patience: Duration) -> bool {
        let mut link = self.link.subscribe();
        let wait = async {
            loop {
                match &*link.borrow_and_update() {
                    Link::Online(online) if online.caught_up => return true,
                    Link::Offline(_) | Link::Ended(_) => return false,
                    _ => {}
                }
                if link.changed().await.is_err() {
                    return false;
                }
            }
        };
        tokio::time::timeout(patience, wait).await.unwrap_or(false)
    }

    /// Begins to follow messages.
    pub(crate) async fn tail(&self, order: TailOrder) -> Result<TailReader<'_>, CommandError> {
        let mut with = vec![];
        for who in &order.with {
            with.push(if is_room(who) {
                Wanted::Room(self.chain_named(who).await?)
            } else {
                Wanted::Person(Box::new(self.conversation_named(who).await?))
            });
        }
        if !order.is_endless {
            self.wait_caught_up(SYNC_PATIENCE).await;
        }
        let mut unit = self.store.read().await?;
        let position = match (order.after, order.since) {
            (Some(after), _) => after,
            (None, Some(since)) => {
                let at = self
                    .now()
                    .as_millis()
                    .saturating_sub(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
                unit.position_before(Timestamp::from_millis(at)).await?
            }
            (None, None) if order.is_endless => unit.last_position().await?,
            (None, None) => 0,
        };
        drop(unit);
        Ok(TailReader {
            engine: self,
            with,
            position,
            page: VecDeque::new(),
            changes: self.timeline.subscribe(),
            is_endless: order.is_endless,
        })
    }

    /// What arrived, as lines, in its order.
    pub(super) async fn lines(&self, told: Vec<Told>) -> Result<Vec<MessageLine>, CommandError> {
        let is_direct: Vec<bool> =
            told.iter().map(|told| matches!(told, Told::Direct(_))).collect();
        let (mut directs, mut posts) = (vec![], vec![]);
        for told in told {
            match told {
                Told::Direct(placed) => directs.push(placed),
                Told::Channel(placed) => posts.push(placed),
            }
        }
        let mut names = BTreeMap::new();
        let mut direct_lines = VecDeque::with_capacity(directs.len());
        for placed in directs {
            direct_lines.push_back(self.line(&mut names, placed).await?);
        }
        let mut room_lines: VecDeque<MessageLine> = self.room_lines(posts).await?.into();
        let next = |is_direct| {
            if is_direct { direct_lines.pop_front() } else { room_lines.pop_front() }
        };
        Ok(is_direct.into_iter().filter_map(next).collect())
    }

    /// A message as a line, with the names of its people, which `names` remembers.
    async fn line(
        &self,
        names: &mut BTreeMap<UserId, (String, bool)>,
        placed: Placed,
    ) -> Result<MessageLine, StoreError> {
        let (author, conversation) = (placed.message.author, placed.message.conversation);
        for user in [author, conversation] {
            if let Entry::Vacant(place) = names.entry(user) {
                let is_stranger = user != self.user
                    && !self
                        .store
                        .read()
                        .await?
                        .contact(user)
                        .await?
                        .is_some_and(|contact| contact.is_accepted());
                place.insert((self.address_of(user).await?, is_stranger));
            }
        }
        let name_of = |user: UserId| names.get(&user).cloned().unwrap_or_default();
        let ((from, is_stranger), (with, _)) = (name_of(author), name_of(conversation));
        let stage = placed.message.file.as_ref().and_then(|file| self.progress.of(file.file));
        let sent = stage.as_ref().and_then(Stage::part);
        let line = MessageLine::new(placed, from, with, is_stranger);
        Ok(MessageLine {
            file: line.file.map(|file| FileLine { sent_percent: percent(sent), ..file }),
            reason: line.reason.or_else(|| stage?.reason()),
            ..line
        })
    }
}

impl TailReader<'_> {
    /// The next message, once there is one; nothing when all has been told and it does not go on.
    pub async fn next(&mut self) -> Result<Option<MessageLine>, CommandError> {
        loop {
            if let Some(line) = self.page.pop_front() {
                return Ok(Some(line));
            }
            // Marked first: what is added while the store is read is seen as a change after it.
            self.changes.mark_unchanged();
            if self.turn_page().await? {
                continue;
            }
            if !self.is_endless {
                return Ok(None);
            }
            if self.changes.changed().await.is_err() {
                return Err(CommandError::new(Kind::Failed, "the agent is ending"));
            }
        }
    }

    /// Reads what comes next; says whether there was anything.
    async fn turn_page(&mut self) -> Result<bool, CommandError> {
        let mut unit = self.engine.store.read().await?;
        for wanted in &mut self.with {
            if let Wanted::Person(one) = wanted
                && one.is_unmet()
                && let Some(name) = &one.name
                && let Some(known) = unit.contact_named(name, &one.server).await?
            {
                **one = known;
            }
        }
        let mut told = unit.told_after(self.position, PAGE).await?;
        drop(unit);
        let Some(last) = told.last() else { return Ok(false) };
        self.position = last.position();
        let with = &self.with;
        told.retain(|told| with.is_empty() || with.iter().any(|wanted| wanted.covers(told)));
        self.page = self.engine.lines(told).await?.into();
        Ok(true)
    }
}

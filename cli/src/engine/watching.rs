//! Telling the changes of what a screen shows.

use std::time::Duration;

use rookery_protocol::time::Timestamp;
use tokio::{sync::watch, time::Instant};

use super::{Engine, Link};
use crate::{
    agent::verb::{Conversation, StandingLine, TypingLine, WatchEvent},
    error::CommandError,
};

/// The time between two tellings: what changes meanwhile is told as one.
const PACE: Duration = Duration::from_millis(15);
/// How often the list of rooms is read again at most while messages pour in.
const LIST_PACE: Duration = Duration::from_millis(250);
/// How many rooms one event carries.
const PART: usize = 400;

impl Engine {
    /// Begins to follow changes.
    pub(crate) fn watch(&self) -> Watcher<'_> {
        Watcher {
            engine: self,
            link: self.link.subscribe(),
            timeline: self.timeline.subscribe(),
            presence: self.live.presence(),
            standing: None,
            rooms: None,
            typing: None,
            typed_at: None,
            listed: None,
            told: None,
            owes_list: false,
            is_first: true,
        }
    }
}

/// Changes as they come, many told as one: what is told is always what is so now, so a slow reader misses nothing.
#[derive(Debug)]
pub(crate) struct Watcher<'e> {
    engine: &'e Engine,
    link: watch::Receiver<Link>,
    timeline: watch::Receiver<u64>,
    presence: watch::Receiver<u64>,
    standing: Option<StandingLine>,
    rooms: Option<Vec<Conversation>>,
    typing: Option<Vec<TypingLine>>,
    /// When the newest sign of typing came that was told: a renewed one is told too, since what shows it forgets it after a while.
    typed_at: Option<Timestamp>,
    /// When the list was read last.
    listed: Option<Instant>,
    /// When it was told last that messages have changed.
    told: Option<Instant>,
    /// Whether the list is to be looked at, after what is quicker told.
    owes_list: bool,
    is_first: bool,
}

impl Watcher<'_> {
    /// What has changed, once something has.
    pub(crate) async fn next(&mut self) -> Result<Vec<WatchEvent>, CommandError> {
        loop {
            let mut events = vec![];
            // Whoever shows messages reads them while the list, which takes longer, is made.
            if std::mem::take(&mut self.owes_list) {
                self.list(&mut events).await?;
                if !events.is_empty() {
                    return Ok(events);
                }
            }
            let (mut messages, mut presence, mut is_due) = (self.is_first, self.is_first, false);
            if !std::mem::take(&mut self.is_first) {
                // A list that was held back is told as soon as its pace allows.
                let held = self
                    .listed
                    .and_then(|at| at.checked_add(LIST_PACE))
                    .filter(|_| self.rooms.is_none());
                let timer = async {
                    match held {
                        Some(at) => tokio::time::sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    changed = self.timeline.changed() => {
                        changed.map_err(|_| ending())?;
                        // The first change is told at once; what follows it right away, as one.
                        let paced = self.told.and_then(|told| told.checked_add(PACE));
                        if let Some(paced) = paced {
                            tokio::time::sleep_until(paced).await;
                        }
                        messages = true;
                    }
                    changed = self.link.changed() => changed.map_err(|_| ending())?,
                    changed = self.presence.changed() => {
                        changed.map_err(|_| ending())?;
                        presence = true;
                    }
                    () = timer => is_due = true,
                }
            }
            let revision = *self.timeline.borrow_and_update();
            self.link.mark_unchanged();
            self.presence.mark_unchanged();
            let standing = self.engine.standing().await?;
            if self.standing.as_ref() != Some(&standing) {
                self.standing = Some(standing.clone());
                events.push(WatchEvent::Standing { standing });
            }
            if messages {
                self.told = Some(Instant::now());
                events.push(WatchEvent::Messages { revision });
            }
            if presence {
                events.push(WatchEvent::Presence);
            }
            let typing = self.engine.typing_now().await?;
            let typed_at = self.engine.typed_at();
            let is_renewed = !typing.is_empty() && self.typed_at != typed_at;
            self.typed_at = typed_at;
            if is_renewed || self.typing.as_ref() != Some(&typing) {
                self.typing = Some(typing.clone());
                events.push(WatchEvent::Typing { typing });
            }
            // Neither the connection nor somebody's presence changes the list.
            self.owes_list = messages || is_due;
            if !events.is_empty() {
                return Ok(events);
            }
        }
    }

    async fn list(&mut self, events: &mut Vec<WatchEvent>) -> Result<(), CommandError> {
        if self.listed.is_some_and(|at| at.elapsed() < LIST_PACE) {
            self.rooms = None;
            return Ok(());
        }
        let rooms = self.engine.rooms().await?;
        self.listed = Some(Instant::now());
        if self.rooms.as_ref() == Some(&rooms) {
            return Ok(());
        }
        let mut parts = rooms.chunks(PART).peekable();
        if parts.peek().is_none() {
            events.push(WatchEvent::Rooms { rooms: vec![], complete: true });
        }
        while let Some(part) = parts.next() {
            let complete = parts.peek().is_none();
            events.push(WatchEvent::Rooms { rooms: part.to_vec(), complete });
        }
        self.rooms = Some(rooms);
        Ok(())
    }
}

fn ending() -> CommandError {
    CommandError::new(crate::error::Kind::Failed, "the agent is ending")
}

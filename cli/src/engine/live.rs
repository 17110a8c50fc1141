//! Live signs of others, which nobody stores: who is typing where, and how far members of small rooms have read.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rookery_protocol::{
    community::RECEIPT_AUDIENCE,
    id::{ChainId, UserId},
    io::client::CallError,
    request::channel::ListReads,
    session::FollowUp,
    time::Timestamp,
};

use tokio::sync::watch;

use super::{Engine, Link, Room, is_room, refusal::failed_as};
use crate::{
    agent::verb::TypingLine,
    error::{CommandError, Kind},
};

/// How long a sign of typing lasts.
const TYPING: Duration = Duration::from_secs(6);
/// How many signs are remembered; whoever sends more is not shown.
const MAX_SIGNS: usize = 4_096;

/// What is known of others at this moment.
#[derive(Debug, Default)]
pub(super) struct Live {
    signs: Mutex<Signs>,
    /// Rises when somebody's presence was told.
    presence: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Signs {
    /// Since when somebody types: to this user, or in a channel.
    typing: HashMap<(Option<ChainId>, UserId), Timestamp>,
    /// How far others have read small rooms, as the hub last said.
    reads: HashMap<ChainId, HashMap<UserId, u64>>,
}

impl Live {
    fn signs(&self) -> MutexGuard<'_, Signs> {
        self.signs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// Each change of presences.
    pub(super) fn presence(&self) -> watch::Receiver<u64> {
        self.presence.subscribe()
    }

    /// Somebody's presence was told.
    pub(super) fn note_presence(&self) {
        self.presence.send_modify(|revision| *revision = revision.wrapping_add(1));
    }
}

impl Engine {
    /// Somebody types.
    pub(super) fn note_typing(&self, room: Option<ChainId>, user: UserId) {
        if user == self.user {
            return;
        }
        let now = self.now();
        let mut signs = self.live.signs();
        signs.typing.retain(|_, since| since.plus(TYPING) > now);
        if signs.typing.len() < MAX_SIGNS {
            signs.typing.insert((room, user), now);
        }
        drop(signs);
        self.timeline_changed();
    }

    /// Tells that this user is typing: to somebody, or in a room.
    pub(crate) async fn tell_typing(&self, to: &str) -> Result<(), CommandError> {
        self.online().await?;
        let frame = if is_room(to) {
            FollowUp::TypingIn { chain: self.chain_named(to).await? }
        } else {
            FollowUp::Typing { to: self.person_named(to).await?.user, room: None }
        };
        self.send_up(frame).await;
        Ok(())
    }

    /// When the newest sign of typing came.
    pub(super) fn typed_at(&self) -> Option<Timestamp> {
        self.live.signs().typing.values().copied().max()
    }

    /// Who is typing now.
    pub(crate) async fn who_types(&self) -> Result<Vec<TypingLine>, CommandError> {
        let users: Vec<UserId> = self.signs_now().iter().map(|(_, user)| *user).collect();
        self.learn_names_if_online(&users).await?;
        self.typing_now().await
    }

    fn signs_now(&self) -> Vec<(Option<ChainId>, UserId)> {
        let now = self.now();
        let signs = self.live.signs();
        let live = signs.typing.iter().filter(|(_, since)| since.plus(TYPING) > now);
        live.map(|(sign, _)| *sign).collect()
    }

    /// The same by the names that are known here.
    pub(super) async fn typing_now(&self) -> Result<Vec<TypingLine>, CommandError> {
        let mut lines = vec![];
        for (room, user) in self.signs_now() {
            let place = match room {
                Some(chain) => Some(self.name_of_chain(chain).await?),
                None => None,
            };
            lines.push(TypingLine { v: 1, name: self.name_of_user(user).await?, room: place });
        }
        lines.sort_by(|one, two| (&one.room, &one.name).cmp(&(&two.room, &two.name)));
        Ok(lines)
    }

    /// Somebody has read a room so far.
    pub(super) fn note_read(&self, room: ChainId, user: UserId, seq: u64) {
        let mut signs = self.live.signs();
        if user == self.user || (signs.reads.len() >= MAX_SIGNS && !signs.reads.contains_key(&room))
        {
            return;
        }
        let readers = signs.reads.entry(room).or_default();
        // Only small rooms tell it; a hub that says more is not listened to.
        if readers.len() < usize::try_from(RECEIPT_AUDIENCE).unwrap_or(0) {
            let through = readers.entry(user).or_default();
            *through = seq.max(*through);
        }
    }

    /// How far the others of a room have read, as it was last told: nothing is asked.
    pub(super) fn reads_known(&self, room: &Room) -> Vec<(UserId, u64)> {
        let chain = ChainId::of_channel(room.community, room.channel);
        let signs = self.live.signs();
        let readers = signs.reads.get(&chain);
        readers.into_iter().flatten().map(|(user, seq)| (*user, *seq)).collect()
    }

    /// How far the others of a small room have read, if they let it be known: nothing in a large one, or without a connection.
    pub(super) async fn reads_of(&self, room: &Room) -> Result<Vec<(UserId, u64)>, CommandError> {
        let state = self.book(room.community).await?.and_then(|book| book.state);
        let readers = state.as_ref().and_then(|state| {
            let channel = state.channels.get(&room.channel)?;
            Some(state.audiences.get(&channel.audience)?.epoch.as_ref()?.count)
        });
        if readers.is_none_or(|readers| readers > RECEIPT_AUDIENCE) {
            return Ok(vec![]);
        }
        let client = match &*self.link.borrow() {
            Link::Online(online) => online.client.clone(),
            _ => return Ok(vec![]),
        };
        let request = ListReads { community: room.community, channel: room.channel };
        match client.call(&request).await {
            Ok(reads) => {
                let reads: Vec<(UserId, u64)> = reads
                    .reads
                    .into_iter()
                    .filter(|read| read.user != self.user)
                    .map(|read| (read.user, read.seq))
                    .collect();
                let users: Vec<UserId> = reads.iter().map(|(user, _)| *user).collect();
                self.learn_names(&client, &users).await?;
                for (user, seq) in &reads {
                    self.note_read(ChainId::of_channel(room.community, room.channel), *user, *seq);
                }
                Ok(reads)
            }
            Err(CallError::Request(_)) => Ok(vec![]),
            Err(error) => Err(failed_as(error, |_| Kind::Failed)),
        }
    }
}

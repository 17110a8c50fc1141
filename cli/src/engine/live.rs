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
pub(super) struct Live(Mutex<Signs>);

#[derive(Debug, Default)]
struct Signs {
    /// Since when somebody types: to this user, or in a channel.
    typing: HashMap<(Option<ChainId>, UserId), Timestamp>,
}

impl Live {
    fn signs(&self) -> MutexGuard<'_, Signs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Who is typing now.
    pub(crate) async fn who_types(&self) -> Result<Vec<TypingLine>, CommandError> {
        let now = self.now();
        let typing: Vec<(Option<ChainId>, UserId)> = self
            .live
            .signs()
            .typing
            .iter()
            .filter(|(_, since)| since.plus(TYPING) > now)
            .map(|(sign, _)| *sign)
            .collect();
        let users: Vec<UserId> = typing.iter().map(|(_, user)| *user).collect();
        if let Ok(client) = self.online().await {
            self.learn_names(&client, &users).await?;
        }
        let mut lines = vec![];
        for (room, user) in typing {
            let place = match room {
                Some(chain) => Some(self.name_of_chain(chain).await?),
                None => None,
            };
            lines.push(TypingLine { v: 1, name: self.name_of_user(user).await?, room: place });
        }
        lines.sort_by(|one, two| (&one.room, &one.name).cmp(&(&two.room, &two.name)));
        Ok(lines)
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
                Ok(reads)
            }
            Err(CallError::Request(_)) => Ok(vec![]),
            Err(error) => Err(failed_as(error, |_| Kind::Failed)),
        }
    }
}

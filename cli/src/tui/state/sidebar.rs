//! The list of rooms: which rows it has, in which order.

use super::{State, WIDE};
use crate::agent::verb::{Conversation, RoomKind};

/// How many conversations with something unread stand at the top; what is more stands in its own place.
const MOST_FRESH: usize = 8;

/// A row of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// What the rows below it are.
    Heading(&'static str),
    /// A community, folded or not: its name, what is unread and mentions in it.
    Community {
        /// Its name.
        name: &'a str,
        /// Whether its channels are left out.
        is_folded: bool,
        /// Unread messages in it.
        unread: u32,
        /// Mentions in it.
        mentions: u32,
    },
    /// A conversation, and whether it stands below its community.
    Room {
        /// Which.
        room: &'a Conversation,
        /// Whether it is indented.
        is_inside: bool,
    },
    /// So many that are muted and have nothing new.
    Muted(usize),
}

impl State {
    /// The rows of the list of rooms, from the top.
    #[must_use]
    pub fn sidebar(&self) -> Vec<Item<'_>> {
        let mut items = vec![];
        let fresh = self.fresh();
        if !fresh.is_empty() {
            items.push(Item::Heading("Unread"));
            items.extend(fresh.iter().map(|room| Item::Room { room, is_inside: false }));
        }
        let of = |wanted: RoomKind| self.rooms.iter().filter(move |room| room.kind == wanted);
        let is_open =
            |room: &Conversation| self.open.as_ref().is_some_and(|open| open.target == room.target);
        let mut muted = 0_usize;
        for (heading, kind) in [("Direct", RoomKind::Direct), ("Groups", RoomKind::Group)] {
            let is_listed = |room: &&Conversation| {
                room.standing != "blocked" && fresh.iter().all(|one| one.target != room.target)
            };
            let mut rooms: Vec<_> = of(kind).filter(is_listed).collect();
            let count = rooms.len();
            rooms.retain(|room| !room.muted || room.unread > 0 || is_open(room));
            muted = muted.saturating_add(count.saturating_sub(rooms.len()));
            if rooms.is_empty() {
                continue;
            }
            // What is unread comes first, otherwise the order stays: whoever was heard of last first.
            rooms.sort_by_key(|room| room.unread == 0 || room.muted);
            items.push(Item::Heading(heading));
            items.extend(rooms.into_iter().map(|room| Item::Room { room, is_inside: false }));
        }
        self.list_communities(&mut items, &mut muted, &is_open);
        if muted > 0 {
            items.push(Item::Muted(muted));
        }
        items
    }

    /// What is unread, mentions first, where the screen is wide enough for a list of it. Channels stand with their communities as well.
    fn fresh(&self) -> Vec<&Conversation> {
        if self.size.0 < WIDE {
            return vec![];
        }
        let is_fresh = |room: &&Conversation| {
            room.unread > 0 && (!room.muted || room.mentions > 0) && room.standing != "blocked"
        };
        let mut fresh: Vec<_> = self.rooms.iter().filter(is_fresh).collect();
        fresh.sort_by_key(|room| room.mentions == 0);
        fresh.truncate(MOST_FRESH);
        fresh
    }

    fn list_communities<'a>(
        &'a self,
        items: &mut Vec<Item<'a>>,
        muted: &mut usize,
        is_open: &dyn Fn(&Conversation) -> bool,
    ) {
        let mut names: Vec<&str> = vec![];
        let inside = |room: &&Conversation| {
            !matches!(room.kind, RoomKind::Direct | RoomKind::Group) && room.community.is_some()
        };
        for room in self.rooms.iter().filter(inside) {
            let name = room.community.as_deref().unwrap_or_default();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        for name in names {
            let rooms: Vec<&Conversation> = self
                .rooms
                .iter()
                .filter(inside)
                .filter(|room| room.community.as_deref() == Some(name))
                .collect();
            let is_folded = self.folded.contains(name);
            items.push(Item::Community {
                name,
                is_folded,
                unread: rooms.iter().filter(|room| !room.muted).map(|room| room.unread).sum(),
                mentions: rooms.iter().map(|room| room.mentions).sum(),
            });
            for room in rooms {
                let is_wanted = is_open(room) || (!is_folded && (!room.muted || room.unread > 0));
                if is_wanted && room.kind != RoomKind::Community {
                    items.push(Item::Room { room, is_inside: true });
                } else if !is_folded && room.muted {
                    *muted = muted.saturating_add(1);
                }
            }
        }
    }

    /// The conversations of the list, in its order; what is in it twice counts where it always is.
    #[must_use]
    pub fn listed(&self) -> Vec<String> {
        let room = |item: &Item<'_>| match item {
            Item::Room { room, .. } => Some(room.target.clone()),
            _ => None,
        };
        let mut known = std::collections::HashSet::new();
        let rooms = self.sidebar().iter().rev().filter_map(room).collect::<Vec<_>>();
        let mut listed: Vec<String> =
            rooms.into_iter().filter(|target| known.insert(target.clone())).collect();
        listed.reverse();
        listed
    }

    /// The next conversation with something unread: mentions first, then in the order of the list, from the open one on.
    #[must_use]
    pub fn next_unread(&self) -> Option<String> {
        let open = self.open.as_ref().map(|open| open.target.as_str());
        let wanted = |room: &&Conversation| room.unread > 0 && Some(room.target.as_str()) != open;
        let mentioned = self.rooms.iter().filter(wanted).find(|room| room.mentions > 0);
        if let Some(room) = mentioned {
            return Some(room.target.clone());
        }
        let targets = self.listed();
        let here = open.and_then(|open| targets.iter().position(|target| target == open));
        let (before, after) = targets.split_at(here.unwrap_or(0).min(targets.len()));
        let is_unread = |target: &&String| {
            self.room_called(target).is_some_and(|room| wanted(&room) && !room.muted)
        };
        after.iter().chain(before).find(is_unread).cloned()
    }
}

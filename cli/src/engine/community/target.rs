//! What people call things: `club#general`, `#general`, `+weekend`.

use rookery_protocol::{
    community::CommunityKind,
    id::{ChannelId, CommunityId, ItemId, RoleId, UserId},
    name::Address,
};

use super::{super::Engine, book::Book};
use crate::{
    e2ee::epoch::TextOf,
    error::{CommandError, Kind},
    store::{PlacedPost, Standing},
};

/// A channel of a community, with what both are called here.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    pub(crate) community: CommunityId,
    pub(crate) channel: ChannelId,
    /// `club#general` or `+weekend`.
    pub(crate) name: String,
}

/// Whether a target names something of a community, not a person.
pub(crate) fn is_room(text: &str) -> bool {
    text.starts_with('+') || text.contains('#')
}

impl Engine {
    /// What a community is called here; its id's beginning while its name cannot be read.
    pub(in super::super) async fn community_name(
        &self,
        book: &Book,
    ) -> Result<String, CommandError> {
        let sealed = book.state.as_ref().and_then(|state| state.name.as_ref());
        let name = match sealed {
            Some(sealed) => self.open_text(book, TextOf::CommunityName, sealed).await?,
            None => None,
        };
        Ok(name.unwrap_or_else(|| short(book.row.community)))
    }

    /// What a channel is called, if this user may read it.
    pub(in super::super) async fn channel_name(
        &self,
        book: &Book,
        channel: ChannelId,
    ) -> Result<String, CommandError> {
        let sealed = book
            .state
            .as_ref()
            .and_then(|state| state.channels.get(&channel))
            .map(|channel| channel.name.clone());
        let name = match sealed {
            Some(sealed) => self.open_text(book, TextOf::ChannelName(channel), &sealed).await?,
            None => None,
        };
        Ok(name.unwrap_or_else(|| format!("channel-{channel}")))
    }

    /// What a role is called.
    pub(super) async fn role_name(
        &self,
        book: &Book,
        role: RoleId,
    ) -> Result<String, CommandError> {
        if role == RoleId::EVERYBODY {
            return Ok("everybody".to_owned());
        }
        let sealed = book
            .state
            .as_ref()
            .and_then(|state| state.roles.get(&role))
            .and_then(|role| role.name.clone());
        let name = match sealed {
            Some(sealed) => self.open_text(book, TextOf::RoleName(role), &sealed).await?,
            None => None,
        };
        Ok(name.unwrap_or_else(|| format!("role-{role}")))
    }

    /// The address of a room.
    pub(in super::super) async fn room_name(
        &self,
        book: &Book,
        channel: ChannelId,
    ) -> Result<String, CommandError> {
        let community = handle(&self.community_name(book).await?);
        if book.row.kind == CommunityKind::Group {
            return Ok(format!("+{community}"));
        }
        Ok(format!("{community}#{}", handle(&self.channel_name(book, channel).await?)))
    }

    /// The community or group that `text` names: by its name, or by the beginning of its id.
    pub(super) async fn community_named(&self, text: &str) -> Result<Book, CommandError> {
        self.load_books().await?;
        let wanted = text.strip_prefix('+').unwrap_or(text);
        let wants_group = text.starts_with('+');
        let mut found = vec![];
        for book in self.books.all_shown() {
            let is_group = book.row.kind == CommunityKind::Group;
            if wants_group && !is_group {
                continue;
            }
            let name = self.community_name(&book).await?;
            let is_id = wanted.len() >= 8 && book.row.community.to_string().starts_with(wanted);
            if is_id || is_called(&name, wanted) {
                found.push(book);
            }
        }
        // What was left counts only while nothing else is called so.
        if found.len() > 1 && found.iter().any(|book| !book.row.is_over()) {
            found.retain(|book| !book.row.is_over());
        }
        let count = found.len();
        match (found.pop(), count) {
            (Some(book), 1) => Ok(book),
            (None, _) => Err(CommandError::new(
                Kind::NotFound,
                format!("there is no community or group called {text:?} here"),
            )
            .hint("`rookery community list` shows what there is")),
            (Some(_), _) => Err(CommandError::new(
                Kind::Usage,
                format!("{count} communities are called {text:?}"),
            )
            .hint("name it by the beginning of its id, which `rookery community list` shows")),
        }
    }

    /// The channel of a community that `text` names.
    pub(super) async fn channel_named(
        &self,
        book: &Book,
        text: &str,
    ) -> Result<ChannelId, CommandError> {
        let channels: Vec<ChannelId> =
            book.state.iter().flat_map(|state| state.channels.keys().copied()).collect();
        for channel in channels {
            if is_called(&self.channel_name(book, channel).await?, text) {
                return Ok(channel);
            }
        }
        Err(CommandError::new(Kind::NotFound, format!("there is no channel called {text:?} there")))
    }

    /// The role of a community that `text` names.
    pub(super) async fn role_named(&self, book: &Book, text: &str) -> Result<RoleId, CommandError> {
        let roles: Vec<RoleId> =
            book.state.iter().flat_map(|state| state.roles.keys().copied()).collect();
        for role in roles {
            if is_called(&self.role_name(book, role).await?, text) {
                return Ok(role);
            }
        }
        Err(CommandError::new(Kind::NotFound, format!("there is no role called {text:?} there")))
    }

    /// The room that `text` names: `club#general`, `#general` when only one fits, `+weekend`.
    pub(crate) async fn room_named(&self, text: &str) -> Result<Room, CommandError> {
        self.load_books().await?;
        if text.starts_with('+') {
            let book = self.community_named(text).await?;
            let channel = book
                .state
                .as_ref()
                .and_then(|state| state.channels.keys().next().copied())
                .ok_or_else(|| {
                    CommandError::new(Kind::NotFound, "the group's log is not here yet")
                })?;
            return self.room(&book, channel).await;
        }
        let (community, channel) = text.split_once('#').unwrap_or((text, ""));
        if channel.is_empty() {
            return Err(CommandError::new(
                Kind::Usage,
                format!("{text:?} names no channel: write club#general"),
            ));
        }
        if !community.is_empty() {
            let book = self.community_named(community).await?;
            let channel = self.channel_named(&book, channel).await?;
            return self.room(&book, channel).await;
        }
        let mut found = vec![];
        for book in self.books.all_shown() {
            if book.row.standing == Standing::Member
                && !book.row.is_leaving()
                && book.row.kind == CommunityKind::Community
                && let Ok(channel) = self.channel_named(&book, channel).await
            {
                found.push(self.room(&book, channel).await?);
            }
        }
        let count = found.len();
        match (found.pop(), count) {
            (Some(room), 1) => Ok(room),
            (None, _) => Err(CommandError::new(
                Kind::NotFound,
                format!("there is no channel called {text:?} here"),
            )),
            (Some(_), _) => Err(CommandError::new(
                Kind::Usage,
                format!("{count} communities have a channel called {text:?}"),
            )
            .hint(format!("name the community too: club{text}"))),
        }
    }

    async fn room(&self, book: &Book, channel: ChannelId) -> Result<Room, CommandError> {
        let name = self.room_name(book, channel).await?;
        Ok(Room { community: book.row.community, channel, name })
    }

    /// The member, or former member, that `text` names: `@bob`.
    pub(super) async fn member_named(
        &self,
        book: &Book,
        text: &str,
    ) -> Result<UserId, CommandError> {
        let address: Address = text.parse()?;
        let account = self.account();
        let is_home = address.server.as_ref().is_none_or(|server| *server == account.server);
        if is_home && address.name == account.name {
            return Ok(self.user);
        }
        let users: Vec<UserId> = book
            .state
            .iter()
            .flat_map(|state| {
                let members = state.members.keys().copied();
                members.chain(state.asking.keys().copied()).chain(state.banned.iter().copied())
            })
            .collect();
        self.learn_names_if_online(&users).await?;
        let mut found = vec![];
        let mut unit = self.store.read().await?;
        for user in users {
            if unit.name_of(user).await?.as_ref() == Some(&address.name) {
                found.push(user);
            }
        }
        drop(unit);
        // A bare name is somebody's of one's own server, or else of the only server on which somebody bears it.
        let mut abroad = vec![];
        for user in found {
            let home = self.home_of(user).await?;
            if home == *address.server.as_ref().unwrap_or(&account.server) {
                return Ok(user);
            }
            abroad.push(user);
        }
        if let (None, [only]) = (&address.server, abroad.as_slice()) {
            return Ok(*only);
        }
        Err(CommandError::new(Kind::NotFound, format!("nobody called {text} belongs to it")))
    }

    /// The message of a room that a person names by its id.
    pub(in super::super) async fn post_named(
        &self,
        room: &Room,
        text: &str,
    ) -> Result<PlacedPost, CommandError> {
        let item: ItemId = text.parse().map_err(|_| {
            CommandError::new(Kind::Usage, format!("{text:?} is not a message's id"))
                .hint("`rookery read --json` shows ids")
        })?;
        let chain = rookery_protocol::id::ChainId::of_channel(room.community, room.channel);
        let found = self.store.read().await?.posts_named(chain, item).await?;
        found.into_iter().next().ok_or_else(|| {
            CommandError::new(
                Kind::NotFound,
                format!("there is no message {text} in {}", room.name),
            )
        })
    }
}

/// The beginning of an id, for what has no name that can be read.
pub(super) fn short(community: CommunityId) -> String {
    community.to_string().chars().take(10).collect()
}

/// A name as it is typed: small letters, with a hyphen for each space.
pub(in super::super) fn handle(name: &str) -> String {
    name.trim().to_lowercase().split_whitespace().collect::<Vec<_>>().join("-")
}

fn is_called(name: &str, text: &str) -> bool {
    name == text || handle(name) == handle(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_typed_small_and_without_spaces() {
        assert_eq!(handle("  Night Owls  Club "), "night-owls-club");
        assert!(is_called("Night Owls", "night-owls") && is_called("Night Owls", "Night Owls"));
        assert!(!is_called("Night Owls", "owls"));
    }

    #[test]
    fn rooms_are_told_from_people() {
        assert!(is_room("club#general") && is_room("#general") && is_room("+weekend"));
        assert!(!is_room("@bob") && !is_room("bob@nest.example"));
    }
}

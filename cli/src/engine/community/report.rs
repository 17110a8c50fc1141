//! Reporting a message to those who may moderate its room: a direct message to each, for nobody else is to learn who has reported what. They
//! are members themselves and see the message where it stands, so that nothing of it has to be believed.

use std::cmp::Reverse;

use rookery_protocol::{community::Permissions, id::UserId};

use tokio::time::Instant;

use super::{
    super::{Engine, Reporter, SendOrder, Staying},
    target::Room,
};
use crate::{
    agent::verb::rfc3339,
    error::{CommandError, Kind},
    store::{ContactRow, MessageState, PlacedPost},
};

/// Moderators who are told at most, those with the highest ranks.
const MOST: usize = 8;
/// Characters of the message that are quoted.
const QUOTED: usize = 1_000;

/// What came of telling one moderator.
#[derive(Clone, Debug)]
pub(crate) struct Reported {
    /// Who.
    pub(crate) to: String,
    /// The message's id.
    pub(crate) id: String,
    /// How far it has come.
    pub(crate) state: MessageState,
}

impl Engine {
    /// Tells those who may moderate a room of a message, each once for the same reason, however often it is asked for.
    pub(crate) async fn report(
        &self,
        to: &str,
        message: &str,
        reason: Option<&str>,
    ) -> Result<Vec<Reported>, CommandError> {
        let room = self.known_room(to).await?;
        let placed = self.post_named(&room, message).await?;
        if placed.post.author == self.user {
            return Err(CommandError::new(Kind::Usage, "the message is your own")
                .hint("`rookery delete` erases it"));
        }
        let moderators = self.moderators_of(&room, placed.post.author).await?;
        if moderators.is_empty() {
            let what = format!("nobody else may moderate {}", room.name);
            return Err(CommandError::new(Kind::NotFound, what)
                .hint("`rookery contact block` hears nothing more of somebody"));
        }
        let text = self.report_text(&room, &placed, reason).await?;
        let label = format!("report/{}/{}", placed.post.item, reason.unwrap_or_default());
        let (mut reported, mut failure) = (vec![], None);
        for moderator in moderators {
            match self.tell_moderator(moderator, &text, &label).await {
                Ok(told) => reported.push(told),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        match failure {
            Some(error) if reported.is_empty() => Err(error),
            _ => Ok(reported),
        }
    }

    /// Who may moderate a room besides oneself and the author of the message, the highest ranks first.
    async fn moderators_of(
        &self,
        room: &Room,
        author: UserId,
    ) -> Result<Vec<UserId>, CommandError> {
        let state = self.trusted(room.community).await?.state.ok_or_else(|| {
            CommandError::new(Kind::NotFound, "the community's log is not here yet")
        })?;
        let may = |user: &UserId| {
            let allowed = state.permissions_of(*user, Some(room.channel));
            *user != self.user && *user != author && allowed.contain(Permissions::MODERATE)
        };
        let mut found: Vec<UserId> = state.members.keys().copied().filter(may).collect();
        found.sort_by_key(|user| Reverse(state.rank_of(*user)));
        found.truncate(MOST);
        self.learn_names_if_online(&found).await?;
        Ok(found)
    }

    async fn report_text(
        &self,
        room: &Room,
        placed: &PlacedPost,
        reason: Option<&str>,
    ) -> Result<String, CommandError> {
        let post = &placed.post;
        let line = self.room_lines(vec![placed.clone()]).await?.into_iter().next();
        let said: String = line.map(|line| line.text).unwrap_or_default();
        let quoted: String = said.chars().take(QUOTED).collect();
        let quoted: Vec<String> = quoted.lines().map(|line| format!("> {line}")).collect();
        let (author, at) = (self.name_of_user(post.author).await?, rfc3339(post.at));
        let why = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        let what = format!("I report a message of @{author} in {}, {at}", room.name);
        Ok(format!("{what}{why}\n{}\n(message {})", quoted.join("\n"), post.item))
    }

    async fn tell_moderator(
        &self,
        moderator: UserId,
        text: &str,
        label: &str,
    ) -> Result<Reported, CommandError> {
        let person = self.acquaintance(moderator).await?;
        let to = person.address();
        let order = SendOrder {
            to: to.clone(),
            text: text.to_owned(),
            label: Some(label.to_owned()),
            until: MessageState::Sent,
            timeout: None,
            is_queued: true,
            staying: Staying::ForEver,
            file: None,
            tell: Reporter::default(),
        };
        self.check_order(&order).await?;
        match self.send_to(person, order, Instant::now()).await {
            Ok((message, to)) => {
                Ok(Reported { to, id: message.item.to_string(), state: message.state })
            }
            Err(CommandError { queued: Some(id), .. }) => {
                Ok(Reported { to, id, state: MessageState::Queued })
            }
            Err(error) => Err(error),
        }
    }
    /// Who the log says it is, whatever they are called: noted as somebody who was met, if they were not yet.
    async fn acquaintance(&self, user: UserId) -> Result<ContactRow, CommandError> {
        let home = self.home_of(user).await?;
        let mut unit = self.store.write().await?;
        if let Some(known) = unit.contact(user).await? {
            return Ok(known);
        }
        let met = ContactRow::met(user, unit.name_of(user).await?, home, self.now());
        unit.put_contact(&met).await?;
        unit.commit().await?;
        Ok(met)
    }
}

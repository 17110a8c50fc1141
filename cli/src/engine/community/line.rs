//! Posts as lines: merged with all that was said about them, under the names of people and rooms.
//!
//! Lines are made a page at a time: what is about all of its messages is one look into the store, and each name is looked up once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rookery_protocol::id::{BlobId, ChainId, UserId};

use super::{
    super::{Engine, file::Stage},
    merge::{Shown, merge},
};
use crate::{
    agent::verb::{AboutLine, ErasedLine, FileLine, MessageLine, RoomLine, rfc3339},
    e2ee::content::{Attachment, Content, MessageRef, Stay, Text},
    error::CommandError,
    store::{EXPIRED, MessageState, Place, PlacedPost},
};

/// What people and rooms are called.
#[derive(Default)]
struct Names {
    users: HashMap<UserId, String>,
    rooms: HashMap<ChainId, String>,
    /// How far files have come that are on their way.
    files: HashMap<BlobId, Stage>,
}

/// A post with what has become of it.
struct Merged {
    placed: PlacedPost,
    said: Content,
    shown: Shown,
    replies: u64,
}

impl Engine {
    /// Posts as lines, in their order.
    pub(in super::super) async fn room_lines(
        &self,
        posts: Vec<PlacedPost>,
    ) -> Result<Vec<MessageLine>, CommandError> {
        let references: Vec<(ChainId, MessageRef)> =
            posts.iter().map(|placed| (placed.post.chain, placed.post.reference())).collect();
        let mut unit = self.store.read().await?;
        let mut abouts = unit.about_each(&references).await?;
        let replies = unit.thread_counts(&references).await?;
        drop(unit);
        let merged: Vec<Merged> = posts
            .into_iter()
            .zip(references)
            .map(|(placed, reference)| {
                let about = abouts.remove(&reference).unwrap_or_default();
                Merged {
                    said: placed.post.said(),
                    shown: merge(&placed, &about),
                    replies: replies.get(&reference).copied().unwrap_or(0),
                    placed,
                }
            })
            .collect();
        let names = self.names_in(&merged).await?;
        Ok(merged.into_iter().map(|merged| merged.line(&names)).collect())
    }

    async fn names_in(&self, posts: &[Merged]) -> Result<Names, CommandError> {
        let users: BTreeSet<UserId> = posts.iter().flat_map(Merged::people).collect();
        let rooms: BTreeSet<ChainId> =
            posts.iter().map(|merged| merged.placed.post.chain).collect();
        let mut names = Names::default();
        for merged in posts.iter().filter(|merged| merged.placed.post.state == MessageState::Queued)
        {
            if let Content::Text(Text { file: Some(file), .. }) = &merged.said
                && let Some(stage) = self.progress.of(file.file)
            {
                names.files.insert(file.file, stage);
            }
        }
        for user in users {
            names.users.insert(user, self.name_of_user(user).await?);
        }
        for chain in rooms {
            names.rooms.insert(chain, self.name_of_chain(chain).await?);
        }
        Ok(names)
    }
}

impl Names {
    fn file(&self, file: &Attachment) -> FileLine {
        FileLine::new(file, self.files.get(&file.file).and_then(Stage::part))
    }

    fn user(&self, user: UserId) -> String {
        self.users.get(&user).cloned().unwrap_or_default()
    }
}

impl Merged {
    /// Everybody whom the line will name.
    fn people(&self) -> impl Iterator<Item = UserId> + '_ {
        let mentioned: &[UserId] = match &self.said {
            Content::Text(text) => &text.mentions,
            _ => &[],
        };
        std::iter::once(self.placed.post.author)
            .chain(self.shown.erased.iter().map(|erased| erased.by))
            .chain(self.shown.reactions.values().flatten().copied())
            .chain(mentioned.iter().copied())
    }

    fn line(self, names: &Names) -> MessageLine {
        let Self { placed, said, shown, replies } = self;
        let post = &placed.post;
        let id = |reference: MessageRef| reference.item.to_string();
        let (mut stays, mut file) = (None, None);
        let (reply_to, mentions) = match &said {
            Content::Text(text) => {
                let mut mentioned: Vec<String> =
                    text.mentions.iter().map(|user| names.user(*user)).collect();
                if text.mentions_all {
                    mentioned.push("everyone".to_owned());
                }
                stays = text.stays;
                file = text.file.as_ref().filter(|file| file.is_possible());
                (text.reply_to.map(id), mentioned)
            }
            _ => (None, vec![]),
        };
        let reactions: BTreeMap<String, Vec<String>> = shown
            .reactions
            .into_iter()
            .map(|(emoji, users)| (emoji, users.into_iter().map(|user| names.user(user)).collect()))
            .collect();
        let line = RoomLine {
            seq: post.seq,
            reply_to,
            thread: said.thread().map(id),
            replies,
            mentions,
            reactions,
            edited: shown.is_edited,
            pinned: shown.is_pinned,
            erased: shown
                .erased
                .map(|erased| ErasedLine { by: names.user(erased.by), reason: erased.reason }),
            about: about_line(&said),
            unknown_kind: match &said {
                Content::Unknown(unknown) if post.erased.is_none() => Some(unknown.kind),
                _ => None,
            },
            doubt: post.doubt.clone(),
            read_by: vec![],
        };
        let is_over = |erased: &ErasedLine| erased.reason.as_deref() == Some(EXPIRED);
        let expired = line.erased.as_ref().is_some_and(is_over);
        let state = match (post.state, placed.place) {
            (MessageState::Sent, Place::At(_)) => MessageState::Posted,
            (state, _) => state,
        };
        MessageLine {
            v: 1,
            id: post.item.to_string(),
            from: names.user(post.author),
            with: names.rooms.get(&post.chain).cloned().unwrap_or_default(),
            at: rfc3339(post.at),
            text: shown.text,
            state: state.word().to_owned(),
            reason: post.reason.clone().or_else(|| names.files.get(&file?.file)?.reason()),
            server: None,
            since: None,
            request: false,
            expires_after: stays.map(Stay::seconds),
            expired,
            file: file.filter(|_| post.erased.is_none()).map(|file| names.file(file)),
            cursor: placed.position,
            room: Some(Box::new(line)),
        }
    }
}

/// What something says of another message.
fn about_line(said: &Content) -> Option<AboutLine> {
    let (kind, target, value) = match said {
        Content::Edit(edit) => ("edit", edit.target, edit.text.clone()),
        Content::React(react) => {
            (if react.on { "react" } else { "unreact" }, react.target, react.emoji.clone())
        }
        Content::Pin(pin) => (if pin.on { "pin" } else { "unpin" }, pin.target, String::new()),
        Content::Text(_) | Content::Unknown(_) => return None,
    };
    Some(AboutLine { kind: kind.to_owned(), target: target.item.to_string(), value })
}

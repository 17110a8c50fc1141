//! A message as it is shown.

use jiff::Timestamp as Moment;

use crate::{
    agent::verb::{FileLine, MessageLine, RoomLine},
    render,
};

/// The id of what stands for messages that cannot be opened yet: no message's own is like it.
const UNOPENED: &str = "unopened";

/// How far one's own message has come, or where another's stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Just entered; not stored yet.
    Sending,
    /// Stored, and waits.
    Queued,
    /// At the home.
    Sent,
    /// At the home, on its way to another server.
    Waiting,
    /// Placed by the hub.
    Posted,
    /// On a device of theirs.
    Delivered,
    /// Read.
    Read,
    /// Given up.
    Failed,
    /// Somebody else's.
    Received,
    /// Sealed by a key that is not here yet.
    CannotOpen,
}

impl Progress {
    fn of(word: &str) -> Self {
        match word {
            "queued" => Self::Queued,
            "sent" => Self::Sent,
            "waiting" => Self::Waiting,
            "posted" => Self::Posted,
            "delivered" => Self::Delivered,
            "read" => Self::Read,
            "failed" => Self::Failed,
            _ => Self::Received,
        }
    }
}

/// Whether a message stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expiry {
    /// For ever.
    Never,
    /// So many seconds after it was read, in a room after it was posted.
    After(u64),
    /// It was forgotten.
    Over,
}

/// A message as it is shown. What others wrote was made harmless on its way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// Who wrote it: an address.
    pub from: String,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// What it says; may be empty beside a file.
    pub text: String,
    /// The file that goes with it.
    pub file: Option<FileLine>,
    /// Whether it is this user's own.
    pub is_mine: bool,
    /// How far it has come.
    pub progress: Progress,
    /// Why it failed or waits.
    pub reason: Option<String>,
    /// Whether it is from somebody who is no contact.
    pub is_request: bool,
    /// Which server it waits for, and since when in milliseconds since 1970.
    pub waits: Option<(String, i64)>,
    /// Whether it expires.
    pub expiry: Expiry,
    /// What a message of a room has beyond that.
    pub room: RoomLine,
    /// Whether nothing but the screen has it yet.
    pub is_echo: bool,
    /// Differs whenever the message does.
    pub revision: u64,
}

impl Message {
    /// The message of a line that the agent told.
    #[must_use]
    pub fn of(line: MessageLine, own_name: &str) -> Self {
        let mut room = line.room.map(|room| *room).unwrap_or_default();
        room.doubt = room.doubt.map(|doubt| render::field(&doubt));
        if let Some(erased) = &mut room.erased {
            erased.reason = erased.reason.take().map(|reason| render::field(&reason));
            erased.by = render::field(&erased.by);
        }
        room.reactions = std::mem::take(&mut room.reactions)
            .into_iter()
            .map(|(emoji, users)| (render::field(&emoji), users))
            .collect();
        let mut message = Self {
            id: line.id,
            is_mine: line.from == own_name,
            from: render::field(&line.from),
            at: line.at.parse::<Moment>().map_or(0, Moment::as_millisecond),
            text: render::lines(&line.text),
            file: line.file.map(|file| FileLine { name: render::field(&file.name), ..file }),
            progress: Progress::of(&line.state),
            reason: line.reason.map(|reason| render::field(&reason)),
            is_request: line.request,
            waits: line.server.map(|server| {
                let since = line.since.unwrap_or_default();
                let since = since.parse::<Moment>().map_or(0, Moment::as_millisecond);
                (render::field(&server), since)
            }),
            expiry: match line.expires_after {
                _ if line.expired => Expiry::Over,
                Some(seconds) => Expiry::After(seconds.into()),
                None => Expiry::Never,
            },
            room,
            is_echo: false,
            revision: 0,
        };
        message.revise();
        message
    }

    /// What was just entered, before it is stored.
    #[must_use]
    pub fn echo(
        id: String,
        from: &str,
        at: i64,
        (text, file): (&str, Option<FileLine>),
        room: RoomLine,
    ) -> Self {
        let mut message = Self {
            id,
            from: from.to_owned(),
            at,
            text: render::lines(text),
            file,
            is_mine: true,
            progress: Progress::Sending,
            reason: None,
            is_request: false,
            waits: None,
            expiry: Expiry::Never,
            room,
            is_echo: true,
            revision: 0,
        };
        message.revise();
        message
    }

    /// What stands for the messages of a room that cannot be opened yet: how many they are, and by whom, is not known before.
    #[must_use]
    pub fn unopened(since: i64) -> Self {
        let room = RoomLine::default();
        let mut message = Self::echo(UNOPENED.to_owned(), "", since, ("", None), room);
        message.is_mine = false;
        message.progress = Progress::CannotOpen;
        message.revise();
        message
    }

    /// Whether it failed before anything but the screen had it.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        self.is_echo && self.progress == Progress::Failed
    }

    /// Its file in words. How large it is is not known before it is sealed.
    #[must_use]
    pub fn file_words(&self) -> Option<String> {
        let file = self.file.as_ref()?;
        Some(if self.is_echo { format!("[file] {}", file.name) } else { file.words() })
    }

    /// It in one line, as it is quoted: what it says first, or its file.
    #[must_use]
    pub fn first_line(&self) -> String {
        let first = self.text.lines().next().filter(|first| !first.is_empty());
        first.map(str::to_owned).or_else(|| self.file_words()).unwrap_or_default()
    }

    /// How much of its file is at the home, in percent, while it is on its way there.
    #[must_use]
    pub fn sent_percent(&self) -> Option<u8> {
        let is_going = matches!(self.progress, Progress::Sending | Progress::Queued);
        self.file.as_ref().and_then(|file| file.sent_percent).filter(|_| is_going)
    }

    /// Gives it another revision, after it was changed.
    pub fn revise(&mut self) {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        (&self.text, &self.from, self.at, &self.reason).hash(&mut hasher);
        self.expiry.hash(&mut hasher);
        self.file.hash(&mut hasher);
        std::mem::discriminant(&self.progress).hash(&mut hasher);
        let room = &self.room;
        (room.replies, room.edited, room.pinned, &room.reply_to, &room.doubt).hash(&mut hasher);
        (&room.reactions, room.read_by.len(), room.erased.is_some()).hash(&mut hasher);
        self.revision = hasher.finish();
    }

    /// Whether it is one to read, and no remark about another.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.room.about.is_none()
    }
}

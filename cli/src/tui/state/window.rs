//! The messages of a conversation that are at hand: a window around a place, never the whole.

pub use super::message::{Expiry, Message, Progress};

/// How many messages are read at once.
pub const PAGE: u32 = 60;
/// How many messages a window has at most.
pub const MAX: usize = 360;
/// How near its edge the view may come before more is read.
pub const MARGIN: usize = 25;

/// What the last frame showed of the messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The topmost message.
    pub first: Option<String>,
    /// How many of its rows are above the edge.
    pub hidden_above: u16,
    /// How many of its rows are shown.
    pub first_rows: u16,
    /// The lowest message.
    pub last: Option<String>,
    /// How many messages are shown.
    pub count: usize,
    /// How many rows there are for them.
    pub rows: u16,
    /// Messages whose code is shown without colours, since they are not worked out yet.
    pub plain: Vec<String>,
}

/// Where the view stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Anchor {
    /// At the end, and stays there when something comes.
    #[default]
    End,
    /// With this message lowest, some of its rows below the edge.
    At {
        /// Which.
        id: String,
        /// How many of its rows are below.
        skip: u16,
    },
}

/// Whether a page is on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loading {
    /// No.
    #[default]
    No,
    /// What was before.
    Older,
    /// What came after.
    Newer,
    /// Another place altogether.
    Elsewhere,
}

/// The messages at hand.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Oldest first.
    pub messages: Vec<Message>,
    /// Whether the newest there is, is here.
    pub has_end: bool,
    /// Whether the oldest there is, is here.
    pub has_start: bool,
    /// Whether a page is on its way.
    pub loading: Loading,
    /// Where the view stands.
    pub anchor: Anchor,
}

impl Window {
    /// Where a message stands.
    #[must_use]
    pub fn position(&self, id: &str) -> Option<usize> {
        self.messages.iter().position(|message| message.id == id)
    }

    /// A message.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Message> {
        self.messages.iter().find(|message| message.id == id)
    }

    /// The place of the message that is lowest on the screen.
    #[must_use]
    pub fn lowest(&self) -> Option<usize> {
        match &self.anchor {
            Anchor::End => self.messages.len().checked_sub(1),
            Anchor::At { id, .. } => {
                self.position(id).or_else(|| self.messages.len().checked_sub(1))
            }
        }
    }

    /// Whether the view stands at the newest message there is.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.has_end && self.anchor == Anchor::End
    }

    /// Shows a page that was asked for as another place.
    pub fn put(&mut self, page: Vec<Message>, anchor: Anchor, asked: u32) {
        let echoes = self.echoes();
        self.has_end = anchor == Anchor::End;
        self.has_start = self.has_end && is_short(&page, asked);
        self.messages = page;
        self.anchor = anchor;
        self.loading = Loading::No;
        if self.has_end {
            self.add_echoes(echoes);
        }
    }

    /// Takes in the newest messages, as they are now.
    pub fn put_newest(&mut self, page: Vec<Message>, asked: u32) {
        let echoes = self.echoes();
        let first = page.first().and_then(|first| self.position(&first.id));
        if let Some(place) = first {
            // They go on from what is here.
            self.messages.truncate(place);
        } else {
            let stays = matches!(&self.anchor, Anchor::At { id, .. }
                if page.iter().all(|message| message.id != *id) && self.position(id).is_some());
            if stays {
                // Somebody reads further back: what came is behind a gap, which is read when they come there.
                self.has_end = false;
                return;
            }
            self.messages.clear();
            self.has_start = is_short(&page, asked);
        }
        self.has_start |= self.messages.is_empty() && is_short(&page, asked);
        self.messages.extend(page);
        self.has_end = true;
        self.add_echoes(echoes);
        self.trim_start();
    }

    /// Takes in messages right before the first one.
    pub fn put_older(&mut self, mut page: Vec<Message>, asked: u32) {
        self.loading = Loading::No;
        self.has_start = is_short(&page, asked);
        page.retain(|message| self.position(&message.id).is_none());
        page.append(&mut self.messages);
        self.messages = page;
        if self.messages.len() > MAX {
            // The end goes: it is read again on the way back.
            if self.anchor == Anchor::End {
                return;
            }
            self.messages.truncate(MAX);
            self.has_end = false;
        }
    }

    /// Takes in messages right after the last one.
    pub fn put_newer(&mut self, mut page: Vec<Message>, asked: u32) {
        self.loading = Loading::No;
        self.has_end = is_short(&page, asked);
        page.retain(|message| self.position(&message.id).is_none());
        self.messages.append(&mut page);
        self.trim_start();
    }

    /// Takes over what has changed of messages that are here.
    pub fn refresh(&mut self, page: Vec<Message>) {
        for message in page {
            if let Some(here) = self.messages.iter_mut().find(|here| here.id == message.id) {
                *here = message;
            }
        }
    }

    /// Has the last message stand for what cannot be opened yet since a time, or none where all can be.
    pub fn set_unopened(&mut self, since: Option<i64>) {
        self.messages.retain(|message| message.progress != Progress::CannotOpen);
        if let Some(since) = since.filter(|_| self.has_end) {
            self.messages.push(Message::unopened(since));
        }
    }

    fn trim_start(&mut self) {
        let lowest = self.lowest().unwrap_or(0);
        let most = lowest.saturating_sub(usize::from(u16::try_from(MAX / 2).unwrap_or(u16::MAX)));
        let excess = self.messages.len().saturating_sub(MAX).min(most);
        if excess > 0 {
            self.messages.drain(..excess);
            self.has_start = false;
        }
    }

    /// Takes out the texts of messages that failed before they were stored.
    pub fn take_unsent(&mut self) -> Vec<String> {
        let unsent = self.messages.extract_if(.., |message| message.is_unsent());
        unsent.map(|message| message.text).collect()
    }

    fn echoes(&self) -> Vec<Message> {
        // One that failed before it was stored is nowhere else.
        let waits =
            |message: &&Message| matches!(message.progress, Progress::Sending | Progress::Failed);
        self.messages.iter().filter(waits).cloned().collect()
    }

    fn add_echoes(&mut self, echoes: Vec<Message>) {
        for echo in echoes {
            if self.position(&echo.id).is_none() {
                self.messages.push(echo);
            }
        }
    }
}

/// Whether a page has less than was asked for: then there is nothing beyond it.
fn is_short(page: &[Message], asked: u32) -> bool {
    page.len() < usize::try_from(asked).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::verb::RoomLine;

    fn messages(range: std::ops::Range<u32>) -> Vec<Message> {
        range
            .map(|number| {
                let mut message = Message::echo(
                    number.to_string(),
                    "bob@nest",
                    i64::from(number),
                    ("text", None),
                    RoomLine::default(),
                );
                message.progress = Progress::Received;
                message
            })
            .collect()
    }

    fn ids(window: &Window) -> Vec<u32> {
        window.messages.iter().map(|message| message.id.parse().unwrap()).collect()
    }

    #[test]
    fn what_comes_new_goes_on_from_what_is_here() {
        let mut window = Window::default();
        window.put_newest(messages(10..20), 10);
        assert!(window.has_end && !window.has_start);
        window.put_newest(messages(13..23), 10);
        assert_eq!(ids(&window), (10..23).collect::<Vec<_>>());
    }

    #[test]
    fn a_reader_further_back_is_not_moved_by_what_comes() {
        let mut window = Window::default();
        window.put_newest(messages(10..20), 10);
        window.anchor = Anchor::At { id: "12".to_owned(), skip: 0 };
        window.put_newest(messages(50..60), 10);
        assert_eq!(ids(&window), (10..20).collect::<Vec<_>>());
        assert!(!window.has_end);
        window.put_newer(messages(20..30), 10);
        assert_eq!(ids(&window), (10..30).collect::<Vec<_>>());
    }

    #[test]
    fn an_echo_stays_until_what_is_stored_takes_its_place() {
        let mut window = Window::default();
        window.put_newest(messages(1..3), 10);
        window.messages.push(Message::echo(
            "7".into(),
            "me",
            7,
            ("hello", None),
            RoomLine::default(),
        ));
        window.put_newest(messages(1..4), 10);
        assert_eq!(ids(&window), [1, 2, 3, 7]);
        window.put_newest(messages(1..8), 10);
        assert_eq!(ids(&window), (1..8).collect::<Vec<_>>());
    }

    #[test]
    fn a_window_is_bounded_whichever_way_one_goes() {
        let mut window = Window::default();
        window.put_newest(messages(100_000..100_060), PAGE);
        let mut first = 100_000;
        for _ in 0..100 {
            window.anchor = Anchor::At { id: first.to_string(), skip: 0 };
            window.put_older(messages(first - 60..first), PAGE);
            first -= 60;
            assert!(window.messages.len() <= MAX);
        }
        assert!(!window.has_end);
        let mut last = *ids(&window).last().unwrap() + 1;
        for _ in 0..50 {
            window.anchor = Anchor::At { id: (last - 1).to_string(), skip: 0 };
            window.put_newer(messages(last..last + 60), PAGE);
            last += 60;
            assert!(window.messages.len() <= MAX + 60, "{}", window.messages.len());
        }
        assert_eq!(ids(&window).last(), Some(&(last - 1)));
    }

    #[test]
    fn the_oldest_page_says_that_there_is_nothing_before() {
        let mut window = Window::default();
        window.put_newest(messages(10..20), 10);
        window.put_older(messages(5..10), 10);
        assert!(window.has_start);
    }
}

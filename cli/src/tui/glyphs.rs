//! The marks beside messages and rooms, and the lines between panes, in two sets.
//!
//! All box drawing and some of the marks are *ambiguous* in width (UAX #11): where a terminal shows them two columns wide, in a locale
//! without UTF-8, and on the Linux console, [`Glyphs::Ascii`] is right. Every mark is one column a character in either set, and every mark
//! has a word, which the linear mode, JSON and the message's own page use.

use std::borrow::Cow;

use ratatui::symbols::{border, line};

use crate::args::short;

/// Which set of glyphs is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Glyphs {
    /// Marks and box drawing as Unicode has them.
    #[default]
    Unicode,
    /// Nothing beyond ASCII.
    Ascii,
}

/// What a mark beside a message, a person or a room says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Waits here, since there is no connection.
    Queued,
    /// On its way to the own homeserver.
    Sending,
    /// Accepted by the own homeserver.
    Sent,
    /// Waits for another homeserver.
    Waiting,
    /// On a device of whom it is for.
    Delivered,
    /// Read by so many.
    Read(u32),
    /// Not sent.
    Failed,
    /// A person or room, verified.
    Verified,
    /// Sealed, but not verified.
    Sealed,
    /// Somebody's identity changed.
    Changed,
    /// Cannot be opened, at least not yet.
    CannotOpen,
    /// Changed by its author.
    Edited,
    /// Deleted.
    Deleted,
    /// Gone after so many seconds.
    Expires(u64),
}

impl Mark {
    /// The word that says the same.
    #[must_use]
    pub fn word(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Read(count) => return Cow::Owned(format!("read by {count}")),
            Self::Failed => "failed",
            Self::Verified => "verified",
            Self::Sealed => "sealed",
            Self::Changed => "identity changed",
            Self::CannotOpen => "cannot open",
            Self::Edited => "edited",
            Self::Deleted => "deleted",
            Self::Expires(seconds) => {
                return Cow::Owned(format!("expires after {}", short(seconds)));
            }
        })
    }
}

impl Glyphs {
    /// The set that suits `TERM` and the locale (the first that is set of `LC_ALL`, `LC_CTYPE` and `LANG`).
    #[must_use]
    pub fn detect(term: &str, locale: &str) -> Self {
        let locale = locale.to_ascii_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        if utf8 && !matches!(term, "" | "linux" | "dumb") { Self::Unicode } else { Self::Ascii }
    }

    /// The sign of `mark`.
    #[must_use]
    pub fn mark(self, mark: Mark) -> Cow<'static, str> {
        Cow::Borrowed(match mark {
            Mark::Queued => self.pick("↻", "~"),
            Mark::Sending => self.pick("⋯", ">"),
            Mark::Sent => self.pick("✓", "s"),
            Mark::Waiting => self.pick("⇄", "f"),
            Mark::Delivered => self.pick("✓✓", "d"),
            Mark::Read(count) => return Cow::Owned(format!("{}{count}", self.pick("✓", "r"))),
            Mark::Failed => self.pick("✗", "x"),
            Mark::Verified => "=",
            Mark::Sealed => "?",
            Mark::Changed => "!",
            Mark::CannotOpen => self.pick("⊘", "(..)"),
            Mark::Edited => self.pick("✎", "(ed)"),
            Mark::Deleted => "(deleted)",
            Mark::Expires(seconds) => return Cow::Owned(format!("({})", short(seconds))),
        })
    }

    /// What stands for text that was cut.
    #[must_use]
    pub const fn ellipsis(self) -> &'static str {
        self.pick("…", "..")
    }

    /// A line across; one column.
    #[must_use]
    pub const fn horizontal(self) -> &'static str {
        self.pick(line::HORIZONTAL, "-")
    }

    /// A line between panes; one column.
    #[must_use]
    pub const fn vertical(self) -> &'static str {
        self.pick(line::VERTICAL, "|")
    }

    /// Where two lines cross.
    #[must_use]
    pub const fn cross(self) -> &'static str {
        self.pick(line::CROSS, "+")
    }

    /// Where a line hangs down from one across.
    #[must_use]
    pub const fn tee_down(self) -> &'static str {
        self.pick(line::HORIZONTAL_DOWN, "+")
    }

    /// Where a line stands on one across.
    #[must_use]
    pub const fn tee_up(self) -> &'static str {
        self.pick(line::HORIZONTAL_UP, "+")
    }

    /// Where a line across leaves one on its left.
    #[must_use]
    pub const fn tee_right(self) -> &'static str {
        self.pick(line::VERTICAL_RIGHT, "+")
    }

    /// Where a line across meets one on its right.
    #[must_use]
    pub const fn tee_left(self) -> &'static str {
        self.pick(line::VERTICAL_LEFT, "+")
    }

    /// The frame around a box.
    #[must_use]
    pub const fn border(self) -> border::Set<'static> {
        match self {
            Self::Unicode => border::PLAIN,
            Self::Ascii => border::Set {
                top_left: "+",
                top_right: "+",
                bottom_left: "+",
                bottom_right: "+",
                vertical_left: "|",
                vertical_right: "|",
                horizontal_top: "-",
                horizontal_bottom: "-",
            },
        }
    }

    /// A group that is open.
    #[must_use]
    pub const fn open(self) -> &'static str {
        self.pick("▾", "v")
    }

    /// A group that is folded.
    #[must_use]
    pub const fn folded(self) -> &'static str {
        self.pick("▸", "+")
    }

    /// The part of a bar that is done.
    #[must_use]
    pub const fn done(self) -> &'static str {
        self.pick("█", "#")
    }

    /// The part of a bar that is left.
    #[must_use]
    pub const fn left(self) -> &'static str {
        self.pick("░", ".")
    }

    const fn pick(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        match self {
            Self::Unicode => unicode,
            Self::Ascii => ascii,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::text::width::width;

    const MARKS: [Mark; 14] = [
        Mark::Queued,
        Mark::Sending,
        Mark::Sent,
        Mark::Waiting,
        Mark::Delivered,
        Mark::Read(4),
        Mark::Failed,
        Mark::Verified,
        Mark::Sealed,
        Mark::Changed,
        Mark::CannotOpen,
        Mark::Edited,
        Mark::Deleted,
        Mark::Expires(3_600),
    ];

    #[test]
    fn every_mark_is_as_the_table_says() {
        let table = [
            ("↻", "~", "queued"),
            ("⋯", ">", "sending"),
            ("✓", "s", "sent"),
            ("⇄", "f", "waiting"),
            ("✓✓", "d", "delivered"),
            ("✓4", "r4", "read by 4"),
            ("✗", "x", "failed"),
            ("=", "=", "verified"),
            ("?", "?", "sealed"),
            ("!", "!", "identity changed"),
            ("⊘", "(..)", "cannot open"),
            ("✎", "(ed)", "edited"),
            ("(deleted)", "(deleted)", "deleted"),
            ("(1h)", "(1h)", "expires after 1h"),
        ];
        for (mark, (unicode, ascii, word)) in MARKS.into_iter().zip(table) {
            assert_eq!(Glyphs::Unicode.mark(mark), unicode);
            assert_eq!(Glyphs::Ascii.mark(mark), ascii);
            assert_eq!(mark.word(), word);
        }
    }

    #[test]
    fn a_column_a_character_and_ascii_in_the_ascii_set() {
        for glyphs in [Glyphs::Unicode, Glyphs::Ascii] {
            let border = glyphs.border();
            let mut signs: Vec<Cow<'_, str>> = MARKS.map(|mark| glyphs.mark(mark)).into();
            signs.extend(
                [
                    glyphs.ellipsis(),
                    glyphs.horizontal(),
                    glyphs.vertical(),
                    glyphs.cross(),
                    glyphs.tee_down(),
                    glyphs.tee_up(),
                    glyphs.tee_left(),
                    glyphs.tee_right(),
                    glyphs.open(),
                    glyphs.folded(),
                    glyphs.done(),
                    glyphs.left(),
                    border.top_left,
                    border.horizontal_bottom,
                    border.vertical_right,
                ]
                .map(Cow::Borrowed),
            );
            for sign in signs {
                assert_eq!(width(&sign), sign.chars().count(), "{sign}");
                assert!(glyphs == Glyphs::Unicode || sign.is_ascii(), "{sign}");
            }
        }
    }

    #[test]
    fn the_marks_of_messages_are_never_ambiguous_in_width() {
        // UAX #11: `cjk` counts what is ambiguous as wide.
        use unicode_width::UnicodeWidthStr;
        for mark in MARKS {
            let sign = Glyphs::Unicode.mark(mark);
            assert_eq!(sign.width_cjk(), sign.width(), "{sign}");
        }
    }

    #[test]
    fn the_console_and_locales_without_utf8_get_ascii() {
        let cases = [
            ("xterm-256color", "en_GB.UTF-8", Glyphs::Unicode),
            ("tmux-256color", "C.utf8", Glyphs::Unicode),
            ("linux", "en_GB.UTF-8", Glyphs::Ascii),
            ("dumb", "en_GB.UTF-8", Glyphs::Ascii),
            ("xterm", "C", Glyphs::Ascii),
            ("xterm", "", Glyphs::Ascii),
            ("xterm", "de_DE@euro", Glyphs::Ascii),
        ];
        for (term, locale, glyphs) in cases {
            assert_eq!(Glyphs::detect(term, locale), glyphs, "{term} {locale}");
        }
    }
}

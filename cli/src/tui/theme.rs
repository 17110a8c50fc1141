//! What a thing on the screen means, and how that looks.
//!
//! Everything that is drawn names a [`Role`]; only a [`Theme`] knows styles. Built in are `dark`, `light`, `high-contrast` and `none`. The
//! first two keep to the sixteen colours that a terminal lets its user choose, so they follow the user's palette; `none` is for `NO_COLOR`
//! and has no colour at all, so nothing may ever be told by colour alone: marks and words say it too. A user's own theme is TOML:
//!
//! ```toml
//! base = "dark"
//!
//! [roles]
//! mention = { fg = "#ffaa00", bold = true }
//! author-3 = { fg = 208 }
//! ```

mod built_in;
mod parse;

use std::collections::HashMap;

use ratatui::style::Style;

pub use self::{
    built_in::BuiltIn,
    parse::{Problem, ThemeError},
};

/// How many colours names are shown in.
pub const AUTHORS: u8 = 12;

macro_rules! roles {
    ($($(#[doc = $doc:literal])+ $role:ident = $name:literal,)+) => {
        /// What something on the screen is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Role {
            $($(#[doc = $doc])+ $role,)+
            /// A person's name; the number picks the colour, and comes from [`author`].
            Author(u8),
        }

        impl Role {
            /// Every role but the authors.
            const PLAIN: &[Self] = &[$(Self::$role,)+];

            /// The role's name in a theme's file.
            #[must_use]
            pub fn name(self) -> String {
                match self {
                    $(Self::$role => $name.to_owned(),)+
                    Self::Author(index) => format!("author-{}", index % AUTHORS),
                }
            }
        }
    };
}

roles! {
    /// Plain text.
    Text = "text",
    /// What matters less: times, counts, asides.
    Dim = "dim",
    /// A heading in a message.
    Heading = "heading",
    /// Bold text.
    Strong = "strong",
    /// Italic text.
    Emphasis = "emphasis",
    /// Text that is bold and italic.
    StrongEmphasis = "strong-emphasis",
    /// Text that is struck through.
    Struck = "struck",
    /// Code.
    Code = "code",
    /// A keyword in code.
    CodeKeyword = "code-keyword",
    /// A string in code.
    CodeString = "code-string",
    /// A comment in code.
    CodeComment = "code-comment",
    /// A number or constant in code.
    CodeNumber = "code-number",
    /// A type in code.
    CodeType = "code-type",
    /// A function in code.
    CodeFunction = "code-function",
    /// Text somebody quotes.
    Quote = "quote",
    /// The `>` before a quote.
    QuoteMark = "quote-mark",
    /// A bullet or number before an item.
    ListMark = "list-mark",
    /// A line across.
    Rule = "rule",
    /// Text that leads somewhere.
    Link = "link",
    /// Text that waits to be uncovered.
    Spoiler = "spoiler",
    /// A mention of somebody else.
    Mention = "mention",
    /// A mention of oneself.
    MentionOfMe = "mention-of-me",
    /// A channel's name.
    Channel = "channel",
    /// One's own name.
    Me = "me",
    /// A room with unread messages.
    Unread = "unread",
    /// How many mentions wait.
    MentionCount = "mention-count",
    /// A muted room.
    Muted = "muted",
    /// The line that keys act on.
    Selected = "selected",
    /// The cursor where the terminal's own cannot be.
    Cursor = "cursor",
    /// What matched a search.
    Match = "match",
    /// A line between panes.
    Border = "border",
    /// A line around the pane that has the keys.
    BorderFocused = "border-focused",
    /// The title row.
    Title = "title",
    /// The status row.
    Status = "status",
    /// Something failed.
    Error = "error",
    /// Something needs a look.
    Warning = "warning",
    /// All is well.
    Good = "good",
    /// A person or room that is verified.
    Verified = "verified",
    /// One that is sealed, but not verified.
    Unverified = "unverified",
    /// One whose identity changed.
    Changed = "changed",
    /// A message that could not be sent.
    Failed = "failed",
    /// A message that waits for somebody.
    Waiting = "waiting",
    /// A message on its way, or there.
    Sent = "sent",
    /// A message that cannot be opened.
    CannotOpen = "cannot-open",
    /// The line between days.
    Day = "day",
    /// The line above what is new.
    NewMark = "new-mark",
    /// The hint row.
    Hint = "hint",
    /// A key's name.
    Key = "key",
    /// A reaction.
    Reaction = "reaction",
    /// A reaction of one's own.
    MyReaction = "my-reaction",
    /// A file's name.
    File = "file",
    /// The mark of a bot.
    Bot = "bot",
    /// What stands in a field while it is empty.
    Placeholder = "placeholder",
}

impl Role {
    /// Every role there is.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::PLAIN.iter().copied().chain((0..AUTHORS).map(Self::Author))
    }

    /// The role of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|role| role.name() == name)
    }
}

/// The role of a person's name: the same on every device and at every start.
#[must_use]
pub fn author(name: &str) -> Role {
    // FNV-1a: this spreads names over twelve colours and proves nothing.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The low bits of FNV are its weakest.
    let folded = hash ^ (hash >> 32);
    Role::Author(u8::try_from(folded.rem_euclid(AUTHORS.into())).unwrap_or(0))
}

/// How each role looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Theme {
    styles: HashMap<Role, Style>,
}

impl Theme {
    /// One of the built-in themes.
    #[must_use]
    pub fn built_in(which: BuiltIn) -> Self {
        Self { styles: Role::all().map(|role| (role, which.style(role))).collect() }
    }

    /// The theme that a file's text describes.
    pub fn parse(source: &str) -> Result<Self, ThemeError> {
        parse::theme(source)
    }

    /// How `role` looks.
    #[must_use]
    pub fn style(&self, role: Role) -> Style {
        let role = match role {
            Role::Author(index) => Role::Author(index % AUTHORS),
            role => role,
        };
        self.styles.get(&role).copied().unwrap_or_default()
    }

    fn set(&mut self, role: Role, style: Style) {
        self.styles.insert(role, style);
    }
}

impl Default for Theme {
    fn default() -> Self {
        Self::built_in(BuiltIn::Dark)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_role_has_one_name() {
        let names: HashSet<_> = Role::all().map(Role::name).collect();
        assert_eq!(names.len(), Role::all().count());
        for role in Role::all() {
            assert_eq!(Role::parse(&role.name()), Some(role));
        }
        assert_eq!(Role::parse("author-12"), None);
    }

    #[test]
    fn without_colour_there_is_no_colour_and_what_matters_still_stands_out() {
        let theme = Theme::built_in(BuiltIn::None);
        for role in Role::all() {
            let style = theme.style(role);
            assert_eq!((style.fg, style.bg, style.underline_color), (None, None, None), "{role:?}");
        }
        let plain = theme.style(Role::Text);
        for role in [
            Role::MentionOfMe,
            Role::Unread,
            Role::MentionCount,
            Role::Selected,
            Role::Error,
            Role::Changed,
            Role::Failed,
            Role::Link,
        ] {
            assert_ne!(theme.style(role), plain, "{role:?}");
        }
    }

    #[test]
    fn the_sixteen_colours_are_all_that_dark_and_light_use() {
        use ratatui::style::Color;
        for which in [BuiltIn::Dark, BuiltIn::Light] {
            let theme = Theme::built_in(which);
            for role in Role::all() {
                let style = theme.style(role);
                for colour in [style.fg, style.bg].into_iter().flatten() {
                    assert!(
                        !matches!(colour, Color::Rgb(..) | Color::Indexed(_)),
                        "{which:?} {role:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_name_keeps_its_colour_and_names_spread() {
        assert_eq!(author("ada"), author("ada"));
        let used: HashSet<_> = (0..200).map(|index| author(&format!("rook{index}"))).collect();
        assert_eq!(used.len(), usize::from(AUTHORS));
    }
}

//! The themes that come with the client.

use ratatui::style::{Color, Modifier, Style};

use super::{AUTHORS, Role};

/// The name of a built-in theme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// For dark backgrounds.
    Dark,
    /// For light backgrounds.
    Light,
    /// For eyes that need more: bright and bold, nothing dimmed.
    HighContrast,
    /// For `NO_COLOR`: bold, underlined, reversed and dim.
    None,
}

impl BuiltIn {
    /// Every built-in theme.
    pub const ALL: [Self; 4] = [Self::Dark, Self::Light, Self::HighContrast, Self::None];

    /// The name it is chosen by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Light => "light",
            Self::HighContrast => "high-contrast",
            Self::None => "none",
        }
    }

    /// The theme of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.name() == name)
    }

    pub(super) fn style(self, role: Role) -> Style {
        match self {
            Self::Dark => coloured(role, &DARK),
            Self::Light => coloured(role, &LIGHT),
            Self::HighContrast => contrast(role),
            Self::None => uncoloured(role),
        }
    }
}

/// What differs between a dark and a light background.
struct Palette {
    faint: Color,
    accent: Color,
    good: Color,
    warning: Color,
    bad: Color,
    link: Color,
    mention: Color,
    bar: Style,
    authors: [Style; AUTHORS as usize],
}

const fn fg(colour: Color) -> Style {
    Style::new().fg(colour)
}

const fn bold(colour: Color) -> Style {
    Style::new().fg(colour).add_modifier(Modifier::BOLD)
}

const DARK: Palette = Palette {
    faint: Color::DarkGray,
    accent: Color::Cyan,
    good: Color::Green,
    warning: Color::Yellow,
    bad: Color::LightRed,
    link: Color::LightBlue,
    mention: Color::Yellow,
    bar: Style::new().fg(Color::White).bg(Color::DarkGray),
    authors: [
        fg(Color::Green),
        fg(Color::Yellow),
        fg(Color::Blue),
        fg(Color::Magenta),
        fg(Color::Cyan),
        fg(Color::LightRed),
        fg(Color::LightGreen),
        fg(Color::LightYellow),
        fg(Color::LightBlue),
        fg(Color::LightMagenta),
        fg(Color::LightCyan),
        fg(Color::Red),
    ],
};

const LIGHT: Palette = Palette {
    faint: Color::DarkGray,
    accent: Color::Blue,
    good: Color::Green,
    warning: Color::Magenta,
    bad: Color::Red,
    link: Color::Blue,
    mention: Color::Magenta,
    bar: Style::new().fg(Color::Black).bg(Color::Gray),
    // Bright colours and yellow are hard to read on white: the rest, plain and bold.
    authors: [
        fg(Color::Red),
        fg(Color::Green),
        fg(Color::Blue),
        fg(Color::Magenta),
        fg(Color::Cyan),
        fg(Color::Black),
        bold(Color::Red),
        bold(Color::Green),
        bold(Color::Blue),
        bold(Color::Magenta),
        bold(Color::Cyan),
        bold(Color::Black),
    ],
};

fn coloured(role: Role, palette: &Palette) -> Style {
    let plain = Style::new();
    match role {
        Role::Text | Role::Sent => plain,
        Role::Dim
        | Role::Muted
        | Role::Border
        | Role::Rule
        | Role::Day
        | Role::Hint
        | Role::Placeholder
        | Role::ListMark
        | Role::QuoteMark
        | Role::Reaction
        | Role::CodeComment => fg(palette.faint),
        Role::Heading => bold(palette.accent).underlined(),
        Role::Strong | Role::Unread | Role::Me => plain.bold(),
        Role::Emphasis => plain.italic(),
        Role::StrongEmphasis => plain.bold().italic(),
        Role::Struck => fg(palette.faint).crossed_out(),
        Role::CodeKeyword => bold(palette.mention),
        Role::CodeNumber => fg(palette.bad),
        Role::CodeFunction | Role::File => fg(palette.link),
        Role::Quote => plain.italic().fg(palette.faint),
        Role::Link => fg(palette.link).underlined(),
        Role::MentionOfMe | Role::MentionCount | Role::Match => bold(palette.mention).reversed(),
        Role::Selected | Role::Cursor | Role::Spoiler => plain.reversed(),
        Role::Code
        | Role::CodeType
        | Role::Mention
        | Role::Channel
        | Role::MyReaction
        | Role::BorderFocused
        | Role::Key
        | Role::Bot => fg(palette.accent),
        Role::Title | Role::Status => palette.bar,
        Role::Error | Role::Failed | Role::Changed | Role::NewMark => bold(palette.bad),
        Role::Warning | Role::Unverified | Role::Waiting | Role::CannotOpen => fg(palette.warning),
        Role::Good | Role::Verified | Role::CodeString => fg(palette.good),
        Role::Author(index) => palette.authors.get(usize::from(index)).copied().unwrap_or_default(),
    }
}

/// Black and white, with bright colours for what must not be missed: nothing is dim.
fn contrast(role: Role) -> Style {
    let strong = bold(Color::White);
    match role {
        Role::Text | Role::Quote | Role::Code | Role::CodeFunction | Role::Sent => fg(Color::White),
        Role::Dim
        | Role::Muted
        | Role::Border
        | Role::Rule
        | Role::Day
        | Role::Hint
        | Role::Placeholder
        | Role::Reaction
        | Role::CodeComment => fg(Color::Gray),
        Role::Emphasis => fg(Color::White).italic(),
        Role::StrongEmphasis => strong.italic(),
        Role::Struck => fg(Color::White).crossed_out(),
        Role::Heading | Role::Title | Role::Status => strong.underlined(),
        Role::Link | Role::File => bold(Color::LightCyan).underlined(),
        Role::Mention | Role::Channel | Role::MyReaction | Role::CodeType | Role::CodeString => {
            bold(Color::LightCyan)
        }
        Role::MentionOfMe | Role::MentionCount | Role::Match => {
            Style::new().fg(Color::Black).bg(Color::LightYellow).bold()
        }
        Role::Selected | Role::Cursor | Role::Spoiler => {
            Style::new().fg(Color::Black).bg(Color::White).bold()
        }
        Role::Warning | Role::Unverified | Role::Waiting | Role::CannotOpen | Role::CodeNumber => {
            bold(Color::LightYellow)
        }
        Role::Error | Role::Failed | Role::Changed | Role::NewMark => {
            Style::new().fg(Color::White).bg(Color::Red).bold()
        }
        Role::Good | Role::Verified => bold(Color::LightGreen),
        Role::Strong
        | Role::Unread
        | Role::Me
        | Role::Key
        | Role::Bot
        | Role::BorderFocused
        | Role::CodeKeyword
        | Role::ListMark
        | Role::QuoteMark
        | Role::Author(_) => strong,
    }
}

fn uncoloured(role: Role) -> Style {
    let plain = Style::new();
    match role {
        Role::Text
        | Role::Quote
        | Role::Code
        | Role::CodeString
        | Role::CodeNumber
        | Role::CodeType
        | Role::CodeFunction
        | Role::Sent
        | Role::Good
        | Role::Verified
        | Role::ListMark
        | Role::QuoteMark
        | Role::Waiting
        | Role::CannotOpen
        | Role::File => plain,
        Role::Dim
        | Role::Muted
        | Role::Border
        | Role::Rule
        | Role::Day
        | Role::Hint
        | Role::Placeholder
        | Role::Reaction
        | Role::CodeComment => plain.dim(),
        Role::Emphasis => plain.italic(),
        Role::StrongEmphasis => plain.bold().italic(),
        Role::Struck => plain.crossed_out(),
        Role::Link => plain.underlined(),
        Role::Heading | Role::Match => plain.bold().underlined(),
        Role::Selected | Role::Cursor | Role::Spoiler | Role::Status | Role::Title => {
            plain.reversed()
        }
        Role::MentionOfMe | Role::MentionCount | Role::Error | Role::Changed | Role::Failed => {
            plain.bold().reversed()
        }
        Role::Strong
        | Role::Unread
        | Role::Me
        | Role::Mention
        | Role::Channel
        | Role::MyReaction
        | Role::BorderFocused
        | Role::Key
        | Role::Bot
        | Role::Warning
        | Role::Unverified
        | Role::NewMark
        | Role::CodeKeyword
        | Role::Author(_) => plain.bold(),
    }
}

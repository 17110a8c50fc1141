//! Keys, and the bytes that an xterm sends for them.

/// A key, with what is held down beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// What stands on it.
    Character(char),
    /// With Ctrl: a letter, or one of `@ [ \ ] ^ _`.
    Control(char),
    /// With Alt.
    Alt(char),
    /// With Alt, another key: only Enter, Backspace and the arrows are sent in a way that all terminals share.
    AltEnter,
    /// With Alt.
    AltUp,
    /// With Alt.
    AltDown,
    /// Ends the line, or sends it.
    Enter,
    /// Takes back; also begins every sequence, which is the trouble with it.
    Escape,
    /// Forward.
    Tab,
    /// Backward, with Shift.
    BackTab,
    /// Deletes to the left.
    Backspace,
    /// Deletes to the right.
    Delete,
    /// An arrow.
    Up,
    /// An arrow.
    Down,
    /// An arrow.
    Left,
    /// An arrow.
    Right,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// A page back.
    PageUp,
    /// A page on.
    PageDown,
    /// F1 to F12.
    Function(u8),
}

impl Key {
    /// What a terminal sends for it; `is_application` is the mode of the cursor keys.
    #[must_use]
    pub fn bytes(self, is_application: bool) -> Vec<u8> {
        let cursor = |end: char| format!("\x1b{}{end}", if is_application { 'O' } else { '[' });
        let text = match self {
            Self::Character(character) => character.to_string(),
            // The three bits above the letter's own five are what Ctrl takes away.
            Self::Control(letter) => {
                let code = u8::try_from(letter.to_ascii_uppercase()).unwrap_or_default();
                return vec![code & 0x1f];
            }
            Self::Alt(character) => format!("\x1b{character}"),
            Self::AltEnter => "\x1b\r".to_owned(),
            Self::AltUp => "\x1b[1;3A".to_owned(),
            Self::AltDown => "\x1b[1;3B".to_owned(),
            Self::Enter => "\r".to_owned(),
            Self::Escape => "\x1b".to_owned(),
            Self::Tab => "\t".to_owned(),
            Self::BackTab => "\x1b[Z".to_owned(),
            Self::Backspace => "\x7f".to_owned(),
            Self::Delete => "\x1b[3~".to_owned(),
            Self::Up => cursor('A'),
            Self::Down => cursor('B'),
            Self::Right => cursor('C'),
            Self::Left => cursor('D'),
            Self::Home => cursor('H'),
            Self::End => cursor('F'),
            Self::PageUp => "\x1b[5~".to_owned(),
            Self::PageDown => "\x1b[6~".to_owned(),
            Self::Function(number) => match number {
                1..=4 => format!("\x1bO{}", char::from(b'O'.saturating_add(number))),
                5 => "\x1b[15~".to_owned(),
                6..=10 => format!("\x1b[{}~", number.saturating_add(11)),
                _ => format!("\x1b[{}~", number.saturating_add(12)),
            },
        };
        text.into_bytes()
    }
}

//! The terminal, taken and given back: on return, error, panic and signal alike.

use std::{
    cell::RefCell,
    io::{self, BufWriter, Stdout, Write},
    rc::Rc,
    sync::atomic::{AtomicBool, Ordering},
};

use data_encoding::BASE64;
use ratatui::{
    Terminal,
    crossterm::{
        cursor::Show,
        event::{
            DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
            EnableFocusChange, EnableMouseCapture, KeyboardEnhancementFlags,
            PopKeyboardEnhancementFlags, PushKeyboardEnhancementFlags,
        },
        execute, queue,
        terminal::{
            EnterAlternateScreen, LeaveAlternateScreen, SetTitle, disable_raw_mode, enable_raw_mode,
        },
    },
};

use super::{painter::Painter, text::links::Links};

/// Whether the terminal is taken now, by whomever: giving it back twice does nothing.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Whether keys were asked for that terminals of old cannot tell apart.
static ENHANCED: AtomicBool = AtomicBool::new(false);

/// What a screen is drawn on. One frame is one write.
pub type Screen = Terminal<Painter<BufWriter<Stdout>>>;

/// What the terminal is, by its surroundings: nothing is asked of it, so that nothing has to be waited for, and no late answer is read as
/// typed.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Surroundings {
    /// `TERM`.
    pub term: String,
    /// The first that is set of `LC_ALL`, `LC_CTYPE` and `LANG`.
    pub locale: String,
    /// Whether it is inside tmux.
    pub is_tmux: bool,
    /// Whether it is inside GNU screen.
    pub is_screen: bool,
    /// Whether it is reached over SSH.
    pub is_ssh: bool,
    /// Whether colours are not wanted.
    pub no_color: bool,
    /// Whether it is known to tell Shift+Enter from Enter when asked to.
    pub has_key_protocol: bool,
    /// Whether it is likely to let links be followed (OSC 8), and does no harm if not.
    pub follows_links: bool,
}

/// What the names of terminals begin with that follow links, or pass over what they do not know.
const FOLLOW_LINKS: [&str; 11] = [
    "xterm",
    "tmux",
    "foot",
    "alacritty",
    "kitty",
    "wezterm",
    "ghostty",
    "contour",
    "iterm",
    "vte",
    "konsole",
];

/// As much as GNU screen takes of a sequence that it hands through, in bytes.
const SCREEN_PIECE: usize = 700;

impl Surroundings {
    /// What the environment says.
    #[must_use]
    pub fn find() -> Self {
        let value = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let term = value("TERM").unwrap_or_default();
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(value);
        let program = value("TERM_PROGRAM").unwrap_or_default();
        let knows = value("KITTY_WINDOW_ID").is_some()
            || term.starts_with("foot")
            || term.contains("kitty")
            || matches!(program.as_str(), "WezTerm" | "ghostty" | "iTerm.app");
        let is_tmux = value("TMUX").is_some();
        // Both may be set, where one runs in the other: the inner one counts, by the name it gives its terminal.
        let is_screen = value("STY").is_some() && !is_tmux;
        Self {
            locale: locale.unwrap_or_default(),
            is_tmux,
            is_screen,
            is_ssh: value("SSH_CONNECTION").is_some() || value("SSH_TTY").is_some(),
            no_color: value("NO_COLOR").is_some(),
            has_key_protocol: knows && !is_tmux,
            // GNU screen would show parts of a link as text.
            follows_links: value("STY").is_none()
                && FOLLOW_LINKS.iter().any(|name| term.starts_with(name)),
            term,
        }
    }

    /// Whether a screen can be drawn at all.
    #[must_use]
    pub fn can_draw(&self) -> bool {
        !matches!(self.term.as_str(), "" | "dumb")
    }
}

/// The terminal while it is taken. Dropping this gives it back.
#[derive(Debug)]
pub struct Taken {
    mouse: bool,
    has_key_protocol: bool,
}

impl Taken {
    /// Takes the terminal: raw keys, another screen, pastes told apart from typing.
    pub fn take(surroundings: &Surroundings) -> io::Result<Self> {
        restore_on_panic();
        let taken = Self { mouse: false, has_key_protocol: surroundings.has_key_protocol };
        taken.enter()?;
        Ok(taken)
    }

    /// Takes it again, after it was lent to an editor or the shell.
    pub fn enter(&self) -> io::Result<()> {
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        let mut out = io::stdout().lock();
        queue!(out, EnterAlternateScreen, EnableBracketedPaste, EnableFocusChange)?;
        if self.has_key_protocol {
            ENHANCED.store(true, Ordering::SeqCst);
            let flags = KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES;
            queue!(out, PushKeyboardEnhancementFlags(flags))?;
        }
        if self.mouse {
            queue!(out, EnableMouseCapture)?;
        }
        out.flush()
    }

    /// Has the mouse told, or not.
    pub fn set_mouse(&mut self, mouse: bool) -> io::Result<()> {
        self.mouse = mouse;
        if mouse {
            execute!(io::stdout(), EnableMouseCapture)
        } else {
            execute!(io::stdout(), DisableMouseCapture)
        }
    }

    /// A screen to draw on, of which links lead where `links` says.
    pub fn screen(&self, links: Rc<RefCell<Links>>) -> io::Result<Screen> {
        let out = BufWriter::with_capacity(64 * 1024, io::stdout());
        Terminal::new(Painter::new(out, links))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back as it was, if it is taken. What fails here has nobody to be told to.
pub fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // First of all, so that whoever types on once the screen is gone has every key of theirs kept for what comes next.
    disable_raw_mode().ok();
    let mut out = io::stdout().lock();
    if ENHANCED.swap(false, Ordering::SeqCst) {
        queue!(out, PopKeyboardEnhancementFlags).ok();
    }
    queue!(out, DisableMouseCapture, DisableFocusChange, DisableBracketedPaste).ok();
    queue!(out, LeaveAlternateScreen, Show).ok();
    out.flush().ok();
}

/// Has a panic give the terminal back before it says what is wrong. One in a task beside the screen does not end the screen: it is told to
/// the log.
fn restore_on_panic() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    let drawing = std::thread::current().id();
    ONCE.call_once(|| {
        let former = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().id() == drawing || !TAKEN.load(Ordering::SeqCst) {
                restore();
                former(panic);
            } else {
                tracing::error!(%panic, "a task beside the screen has failed");
            }
        }));
    });
}

/// Puts `text` on the clipboard of the terminal that somebody sits at (OSC 52), wherever this program runs.
pub fn copy(surroundings: &Surroundings, text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(clipboard(surroundings, text).as_bytes())?;
    out.flush()
}

/// What is written for that. tmux takes the sequence itself or hands it through, as it is set up; GNU screen hands through pieces.
fn clipboard(surroundings: &Surroundings, text: &str) -> String {
    let plain = format!("\u{1b}]52;c;{}\u{7}", BASE64.encode(text.as_bytes()));
    if surroundings.is_tmux {
        let inner = plain.replace('\u{1b}', "\u{1b}\u{1b}");
        return format!("{plain}\u{1b}Ptmux;{inner}\u{1b}\\");
    }
    if surroundings.is_screen {
        let letters: Vec<char> = plain.chars().collect();
        let mut pieces = String::new();
        for piece in letters.chunks(SCREEN_PIECE) {
            pieces.push_str("\u{1b}P");
            pieces.extend(piece);
            pieces.push_str("\u{1b}\\");
        }
        return pieces;
    }
    plain
}

/// Calls attention: by the bell, and by a notification where the terminal shows such (OSC 9 and 777, handed through by tmux).
pub fn notify(surroundings: &Surroundings, title: &str, body: &str) -> io::Result<()> {
    let field = |text: &str| crate::render::field(text).replace(';', ",");
    let (title, body) = (field(title), field(body));
    let mut out = io::stdout().lock();
    for sequence in
        [format!("\u{1b}]9;{title}: {body}\u{7}"), format!("\u{1b}]777;notify;{title};{body}\u{7}")]
    {
        if matches!(surroundings.term.as_str(), "linux") {
            break;
        }
        if surroundings.is_tmux {
            let inner = sequence.replace('\u{1b}', "\u{1b}\u{1b}");
            write!(out, "\u{1b}Ptmux;{inner}\u{1b}\\")?;
        } else {
            out.write_all(sequence.as_bytes())?;
        }
    }
    out.write_all(b"\x07")?;
    out.flush()
}

/// Names the terminal's window.
pub fn set_title(title: &str) -> io::Result<()> {
    execute!(io::stdout(), SetTitle(crate::render::field(title)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn giving_back_what_was_not_taken_does_nothing() {
        assert!(!TAKEN.load(Ordering::SeqCst));
        restore();
        assert!(!TAKEN.load(Ordering::SeqCst));
    }

    #[test]
    fn the_clipboard_is_reached_through_multiplexers() {
        let plain = clipboard(&Surroundings::default(), "hi");
        assert_eq!(plain, "\u{1b}]52;c;aGk=\u{7}");
        let tmux = Surroundings { is_tmux: true, ..Surroundings::default() };
        let through = "\u{1b}Ptmux;\u{1b}\u{1b}]52;c;aGk=\u{7}\u{1b}\\";
        assert_eq!(clipboard(&tmux, "hi"), format!("{plain}{through}"));
        let screen = Surroundings { is_screen: true, ..Surroundings::default() };
        let long = "x".repeat(2_000);
        let pieces = clipboard(&screen, &long);
        let joined: String =
            pieces.split("\u{1b}\\").map(|piece| piece.trim_start_matches("\u{1b}P")).collect();
        assert_eq!(joined, clipboard(&Surroundings::default(), &long));
        assert!(pieces.split("\u{1b}\\").all(|piece| piece.len() <= SCREEN_PIECE + 2));
    }

    #[test]
    fn a_dumb_terminal_is_not_drawn_on() {
        for (term, can) in [("dumb", false), ("", false), ("linux", true), ("xterm-256color", true)]
        {
            let surroundings = Surroundings { term: term.to_owned(), ..Surroundings::default() };
            assert_eq!(surroundings.can_draw(), can, "{term}");
        }
    }
}

//! Keys that nobody pressed: what a terminal answers to a program that ran here before, or over a slow line.
//!
//! An answer is a string of the terminal's (OSC, DCS or APC): an escape with one of three characters, text, and an end. What reads keys takes
//! its beginning for a key with Alt held, and the rest for typing. Here such a beginning is held back, with what follows it as it does in an
//! answer, and dropped when the end comes; where none comes, somebody has pressed those keys, and they are given on.

use std::time::Duration;

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use tokio::time::Instant;

/// The longest pause within an answer, over a slow line or on a busy machine.
const PAUSE: Duration = Duration::from_millis(400);
/// The longest answer, in characters; what is longer is none.
const LONGEST: usize = 4_096;

/// Holds back what may be an answer.
#[derive(Debug, Default)]
pub(super) struct Sieve {
    held: Vec<Event>,
    last: Option<Instant>,
}

impl Sieve {
    /// Takes an event that came at `at`, and gives those that somebody has made happen.
    pub(super) fn take(&mut self, event: Event, at: Instant) -> Vec<Event> {
        let is_late = self.last.is_some_and(|last| at.saturating_duration_since(last) > PAUSE);
        let mut given = if is_late || self.held.len() >= LONGEST { self.release() } else { vec![] };
        let Event::Key(key) = event else {
            given.push(event);
            return given;
        };
        if self.held.is_empty() && !is_begin(key) {
            given.push(event);
            return given;
        }
        if !self.held.is_empty() && is_end(key) {
            self.held.clear();
            self.last = None;
            return given;
        }
        let is_second = self.held.len() == 1;
        self.held.push(event);
        self.last = Some(at);
        if is_second && !goes_on(&self.held) {
            given.extend(self.release());
        }
        given
    }

    /// When what is held back was pressed after all, if nothing follows.
    pub(super) fn until(&self) -> Option<Instant> {
        self.last?.checked_add(PAUSE)
    }

    /// Gives what was held back.
    pub(super) fn release(&mut self) -> Vec<Event> {
        self.last = None;
        std::mem::take(&mut self.held)
    }
}

/// `ESC ]`, `ESC P` or `ESC _`.
fn is_begin(key: KeyEvent) -> bool {
    key.modifiers.contains(KeyModifiers::ALT)
        && !key.modifiers.contains(KeyModifiers::CONTROL)
        && matches!(key.code, KeyCode::Char(']' | 'P' | '_'))
}

/// Whether the second key is one that answers go on with: a number or a title's letter, a kind of report, or a picture's.
fn goes_on(held: &[Event]) -> bool {
    let letter = |event: &Event| match event {
        Event::Key(KeyEvent { code: KeyCode::Char(letter), .. }) => Some(*letter),
        _ => None,
    };
    match held.iter().map(letter).collect::<Vec<_>>().as_slice() {
        [Some(']'), Some(second)] => second.is_ascii_digit() || matches!(second, 'l' | 'L'),
        [Some('P'), Some(second)] => matches!(second, '0'..='9' | '>' | '!' | '|' | '$'),
        [Some('_'), Some(second)] => *second == 'G',
        _ => false,
    }
}

/// BEL, or `ESC \`.
fn is_end(key: KeyEvent) -> bool {
    match key.code {
        KeyCode::Char('g') => key.modifiers == KeyModifiers::CONTROL,
        KeyCode::Char('\\') => key.modifiers.contains(KeyModifiers::ALT),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &str) -> Vec<Event> {
        let mut keys = vec![];
        let mut letters = bytes.chars();
        while let Some(letter) = letters.next() {
            let (letter, held) = match letter {
                '\u{1b}' => (letters.next().unwrap(), KeyModifiers::ALT),
                '\u{7}' => ('g', KeyModifiers::CONTROL),
                other => (other, KeyModifiers::NONE),
            };
            keys.push(Event::Key(KeyEvent::new(KeyCode::Char(letter), held)));
        }
        keys
    }

    /// A sieve, and the time.
    struct Desk(Sieve, Instant);

    impl Desk {
        fn new() -> Self {
            Self(Sieve::default(), Instant::now())
        }

        fn pass(&mut self, time: Duration) {
            self.1 = self.1.checked_add(time).unwrap();
        }

        fn given(&mut self, bytes: &str) -> Vec<Event> {
            let mut given = vec![];
            for key in keys(bytes) {
                self.pass(Duration::from_millis(1));
                given.extend(self.0.take(key, self.1));
            }
            given
        }
    }

    #[test]
    fn pain_12_what_a_terminal_answers_is_not_typed() {
        let mut desk = Desk::new();
        for answer in [
            "\u{1b}]11;rgb:0000/0000/0000\u{1b}\\",
            "\u{1b}]10;rgb:ffff/ffff/ffff\u{7}",
            "\u{1b}P>|xterm(390)\u{1b}\\",
            "\u{1b}P1+r544e=787465726d\u{1b}\\",
            "\u{1b}_Gi=31;OK\u{1b}\\",
        ] {
            assert_eq!(desk.given(answer), [], "{answer:?}");
            assert_eq!(desk.given("typed"), keys("typed"));
        }
    }

    #[test]
    fn keys_that_begin_like_an_answer_are_given_when_none_comes() {
        let mut desk = Desk::new();
        assert_eq!(desk.given("\u{1b}]"), []);
        assert!(desk.0.until().is_some());
        desk.pass(PAUSE * 2);
        assert_eq!(desk.given("1"), keys("\u{1b}]1"));
        // Nobody waits for what cannot become an answer.
        assert_eq!(desk.given("\u{1b}]a"), keys("\u{1b}]a"));
        assert_eq!(desk.given("\u{1b}Pword"), keys("\u{1b}Pword"));
        assert_eq!(desk.given("\u{1b}]1b"), []);
        assert_eq!(desk.0.release(), keys("\u{1b}]1b"));
        assert_eq!(desk.0.until(), None);
        let long = format!("\u{1b}P{}", "1".repeat(2 * LONGEST));
        assert_eq!(desk.given(&long).len(), long.len() - 1, "no answer is so long");
    }

    #[test]
    fn what_is_no_key_goes_through() {
        let mut desk = Desk::new();
        desk.given("\u{1b}]");
        let size = Event::Resize(80, 24);
        assert_eq!(desk.0.take(size.clone(), desk.1), [size]);
        assert_eq!(desk.given("1"), [], "held until it is known");
    }
}

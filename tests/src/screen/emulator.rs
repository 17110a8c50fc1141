//! What a terminal remembers and answers beyond its cells.

use std::collections::BTreeSet;

use vt100::{Callbacks, Screen};

/// When a terminal answers what a program asks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// Right away.
    AtOnce,
    /// It does not know what was asked.
    Never,
    /// When [`release_answers`](super::Terminal::release_answers) says so: over a slow line.
    Held,
}

/// Titles, clipboard, bells, questions, and modes that the cells know nothing of.
#[derive(Debug, Default)]
pub struct Emulator {
    /// Each title that was set.
    pub titles: Vec<String>,
    /// Each text that was put in the clipboard, in base64 as it came (OSC 52).
    pub copied: Vec<String>,
    /// How often it was asked for what is in the clipboard, which no program should.
    pub pasted: usize,
    /// How often it rang.
    pub bells: usize,
    /// Other operating system commands, their parts joined by `;`: notifications (9, 777), links (8), colours (4, 10, 11).
    pub commands: Vec<String>,
    /// Everything that it did not know, as text.
    pub unknown: Vec<String>,
    /// What was asked, as text.
    pub questions: Vec<String>,
    /// The line's modes when the program had ended.
    pub(super) line: Option<String>,
    modes: BTreeSet<u16>,
    is_unwrapped: bool,
    keyboards: u32,
    has_modified_keys: bool,
    answers: Vec<u8>,
}

impl Emulator {
    /// Whether the private mode `number` is on, if it is none of those that the screen itself keeps: 1004 is focus reports, 2026 synchronized
    /// output.
    #[must_use]
    pub fn has_mode(&self, number: u16) -> bool {
        self.modes.contains(&number)
    }

    /// What is on that was off at the start.
    pub(super) fn left_behind(&self) -> Vec<String> {
        let modes = self.modes.iter().map(|mode| match mode {
            1004 => "focus reports".to_owned(),
            2026 => "synchronized output".to_owned(),
            other => format!("private mode {other}"),
        });
        let others = [
            (self.is_unwrapped, "lines that do not wrap"),
            (self.keyboards > 0, "the keyboard protocol"),
            (self.has_modified_keys, "modified keys"),
        ];
        let others = others.into_iter().filter(|(is_left, _)| *is_left);
        modes.chain(others.map(|(_, name)| name.to_owned())).collect()
    }

    pub(super) fn take_answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.answers)
    }

    fn answer(&mut self, question: &str, answer: &str) {
        self.questions.push(question.to_owned());
        self.answers.extend_from_slice(answer.as_bytes());
    }

    fn set_modes(&mut self, params: &[&[u16]], is_on: bool) {
        for number in params.iter().filter_map(|part| part.first().copied()) {
            match number {
                // Those the screen keeps; and the blinking of the cursor, which everybody switches as they like.
                1 | 6 | 9 | 12 | 25 | 47 | 1000 | 1002 | 1003 | 1005 | 1006 | 1015 | 1049
                | 2004 => {}
                7 => self.is_unwrapped = !is_on,
                _ if is_on => drop(self.modes.insert(number)),
                _ => drop(self.modes.remove(&number)),
            }
        }
    }
}

impl Callbacks for Emulator {
    fn audible_bell(&mut self, _: &mut Screen) {
        self.bells = self.bells.saturating_add(1);
    }

    fn set_window_title(&mut self, _: &mut Screen, title: &[u8]) {
        self.titles.push(String::from_utf8_lossy(title).into_owned());
    }

    fn copy_to_clipboard(&mut self, _: &mut Screen, _: &[u8], data: &[u8]) {
        self.copied.push(String::from_utf8_lossy(data).into_owned());
    }

    fn paste_from_clipboard(&mut self, _: &mut Screen, _: &[u8]) {
        self.pasted = self.pasted.saturating_add(1);
    }

    fn unhandled_char(&mut self, _: &mut Screen, character: char) {
        self.unknown.push(format!("character {}", character.escape_unicode()));
    }

    fn unhandled_control(&mut self, _: &mut Screen, byte: u8) {
        self.unknown.push(format!("control {byte:#04x}"));
    }

    fn unhandled_escape(&mut self, _: &mut Screen, first: Option<u8>, _: Option<u8>, byte: u8) {
        // `ESC \` ends a string, and has done its work by then.
        if (first, byte) != (None, b'\\') {
            let first = first.map(char::from).map(String::from).unwrap_or_default();
            self.unknown.push(format!("ESC {first}{}", char::from(byte)));
        }
    }

    fn unhandled_csi(
        &mut self,
        screen: &mut Screen,
        first: Option<u8>,
        second: Option<u8>,
        params: &[&[u16]],
        end: char,
    ) {
        let number = params.first().and_then(|part| part.first()).copied().unwrap_or(0);
        match (first, second, end) {
            (Some(b'?'), None, 'h') => self.set_modes(params, true),
            (Some(b'?'), None, 'l') => self.set_modes(params, false),
            (None, None, 'c') => self.answer("DA1", "\x1b[?62;22c"),
            (Some(b'>'), None, 'c') => self.answer("DA2", "\x1b[>1;10;0c"),
            (None, None, 'n') if number == 5 => self.answer("DSR", "\x1b[0n"),
            (None, None, 'n') if number == 6 => {
                let (row, column) = screen.cursor_position();
                let (row, column) = (row.saturating_add(1), column.saturating_add(1));
                self.answer("CPR", &format!("\x1b[{row};{column}R"));
            }
            (Some(b'?'), Some(b'$'), 'p') => {
                let state = u8::from(number == 2026).saturating_mul(2);
                self.answer("DECRQM", &format!("\x1b[?{number};{state}$y"));
            }
            (Some(b'?'), None, 'u') => self.answer("keyboard", "\x1b[?0u"),
            (Some(b'>'), None, 'u') => self.keyboards = self.keyboards.saturating_add(1),
            (Some(b'<'), None, 'u') => {
                self.keyboards = self.keyboards.saturating_sub(u32::from(number.max(1)));
            }
            (Some(b'>'), None, 'm') if number == 4 => {
                let level = params.get(1).and_then(|part| part.first()).copied().unwrap_or(0);
                self.has_modified_keys = level > 0;
            }
            (Some(b'>'), None, 'q') => self.answer("version", "\x1bP>|rookery-tests\x1b\\"),
            (None, None, 't') if number == 18 => {
                let (rows, columns) = screen.size();
                self.answer("size", &format!("\x1b[8;{rows};{columns}t"));
            }
            // The colour of underlines, which the cells do not have.
            (None, None, 'm') if [58, 59].contains(&number) => {}
            // The title is put on a stack, or taken from it.
            (None, None, 't') if number == 22 || number == 23 => {}
            _ => {
                let marks = [first, second].into_iter().flatten().map(char::from);
                let marks = marks.collect::<String>();
                self.unknown.push(format!("CSI {marks}{params:?}{end}"));
            }
        }
    }

    fn unhandled_osc(&mut self, _: &mut Screen, params: &[&[u8]]) {
        let parts: Vec<_> = params.iter().map(|part| String::from_utf8_lossy(part)).collect();
        match parts.iter().map(AsRef::as_ref).collect::<Vec<&str>>().as_slice() {
            [number @ ("10" | "11"), "?"] => {
                let answer = format!("\x1b]{number};rgb:0000/0000/0000\x1b\\");
                self.answer(&format!("colour {number}"), &answer);
            }
            _ => self.commands.push(parts.join(";")),
        }
    }
}

//! `rookery keys test`: what arrives when a key is pressed here, and what it does by the user's key map.

use std::io::{self, IsTerminal as _, Write as _};

use ratatui::crossterm::{
    event::{
        DisableBracketedPaste, EnableBracketedPaste, Event, KeyCode, KeyEvent, KeyEventKind,
        KeyModifiers, KeyboardEnhancementFlags, PopKeyboardEnhancementFlags,
        PushKeyboardEnhancementFlags, read,
    },
    execute,
    terminal::{disable_raw_mode, enable_raw_mode},
};

use super::{
    action::{Action, Place},
    keymap::{Found, Keymap, Stroke},
    terminal::Surroundings,
};
use crate::error::{CommandError, Kind};

/// Prints each key until `q`, or Ctrl+C twice.
pub fn test_keys(place: &crate::config::Place) -> Result<(), CommandError> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(CommandError::new(Kind::Usage, "keys are pressed at a terminal: this is none"));
    }
    let surroundings = Surroundings::find();
    let (_, keymap) = super::chosen(place, &surroundings)?;
    let raw = Raw::take(surroundings.has_key_protocol)?;
    say("Press keys to see what arrives; q ends, or Ctrl+C twice.")?;
    if surroundings.has_key_protocol {
        say("This terminal tells Shift+Enter from Enter.")?;
    }
    let mut strokes = vec![];
    let mut was_interrupt = false;
    loop {
        let event = read()?;
        say(&describe(&event, &mut strokes, &keymap))?;
        let Event::Key(key) = event else { continue };
        let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers == KeyModifiers::CONTROL;
        let is_end = key.code == KeyCode::Char('q') && key.modifiers.is_empty();
        if is_end || (is_interrupt && was_interrupt) {
            break;
        }
        was_interrupt = is_interrupt;
    }
    drop(raw);
    Ok(())
}

/// One line of a terminal that does not go back to its first column by itself.
fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{}\r\n", crate::render::field(line))?;
    out.flush()
}

/// The terminal while each key is told at once. Dropping this gives it back.
struct Raw {
    has_key_protocol: bool,
}

impl Raw {
    fn take(has_key_protocol: bool) -> io::Result<Self> {
        enable_raw_mode()?;
        let raw = Self { has_key_protocol };
        execute!(io::stdout(), EnableBracketedPaste)?;
        if has_key_protocol {
            let flags = KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES;
            execute!(io::stdout(), PushKeyboardEnhancementFlags(flags))?;
        }
        Ok(raw)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // What fails here has nobody to be told to.
        if self.has_key_protocol {
            execute!(io::stdout(), PopKeyboardEnhancementFlags).ok();
        }
        execute!(io::stdout(), DisableBracketedPaste).ok();
        disable_raw_mode().ok();
    }
}

/// An event in words; `strokes` are the keys of a chord that is not complete.
fn describe(event: &Event, strokes: &mut Vec<Stroke>, keymap: &Keymap) -> String {
    match event {
        Event::Key(key) => {
            let stroke = Stroke::of(*key);
            let name = name(*key, stroke);
            if key.kind == KeyEventKind::Release {
                return format!("{name:16} let go");
            }
            strokes.push(stroke);
            format!("{name:16} {}", meaning(stroke, strokes, keymap))
        }
        Event::Paste(text) => {
            // Terminals put a return at the end of each line.
            let lines = text.replace("\r\n", "\n").replace('\r', "\n").lines().count();
            let word = if lines == 1 { "line" } else { "lines" };
            format!("{:16} {} bytes in {lines} {word}, as one", "a paste", text.len())
        }
        Event::Resize(columns, rows) => format!("{:16} {columns}x{rows}", "another size"),
        Event::FocusGained => "the focus came".to_owned(),
        Event::FocusLost => "the focus went".to_owned(),
        Event::Mouse(_) => "the mouse".to_owned(),
    }
}

fn name(key: KeyEvent, stroke: Stroke) -> String {
    let named = stroke.to_string();
    match key.code {
        KeyCode::Char(' ') if stroke.modifiers.is_empty() => "Space".to_owned(),
        _ => named,
    }
}

/// What keys do in a conversation, by the key map.
fn meaning(stroke: Stroke, strokes: &mut Vec<Stroke>, keymap: &Keymap) -> String {
    let here = keymap.find(Place::Everywhere, strokes);
    let selecting = keymap.find(Place::Selecting, strokes);
    let told = |found: Found| match found {
        Found::Action(action, argument) => {
            let title = action.spec().map_or("", |spec| spec.title);
            let argument = if argument.is_empty() { argument } else { format!(" {argument}") };
            Some(format!("{title}{argument}"))
        }
        Found::Prefix | Found::Nothing => None,
    };
    if here == Found::Prefix || selecting == Found::Prefix {
        return "begins a chord".to_owned();
    }
    strokes.clear();
    if let Some(title) = told(here) {
        return title;
    }
    let selecting =
        told(selecting).map_or_else(String::new, |title| format!("; on a message: {title}"));
    let title = keymap.written(stroke).and_then(Action::spec).map(|spec| spec.title);
    let alone = match (title, stroke.letter()) {
        (Some(title), _) => title,
        (None, Some(_)) => "Write it",
        (None, None) => "",
    };
    // Some keys arrive as others, and nobody here can tell them apart.
    let arrives = match (stroke.code, stroke.modifiers.is_empty()) {
        (KeyCode::Enter, true) => " (Ctrl+M arrives as this)",
        (KeyCode::Tab, true) => " (Ctrl+I arrives as this)",
        (KeyCode::Esc, true) => " (Ctrl+[ arrives as this)",
        _ => "",
    };
    let said = format!("{alone}{arrives}{selecting}");
    let said = said.trim_start_matches("; ");
    if said.is_empty() { "nothing".to_owned() } else { said.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture::key_events;

    fn told(script: &str) -> Vec<String> {
        let (mut strokes, keymap) = (vec![], Keymap::default());
        let keys = key_events(script).into_iter();
        keys.map(|key| describe(&Event::Key(key), &mut strokes, &keymap)).collect()
    }

    #[test]
    fn pain_13_what_arrives_is_told_with_what_it_does() {
        assert_eq!(told("ctrl-k"), ["Ctrl+K           Go to a room or person"]);
        assert_eq!(told("alt-3"), ["Alt+3            Open the n-th in the list 3"]);
        assert_eq!(
            told("ctrl-x ctrl-e"),
            ["Ctrl+X           begins a chord", "Ctrl+E           Write in $EDITOR"]
        );
        assert_eq!(told("r"), ["r                Write it; on a message: Reply"]);
        assert_eq!(told("shift-enter"), ["Shift+Enter      Begin a line"]);
        assert_eq!(told("f9"), ["F9               nothing"]);
        assert!(told("tab")[0].contains("Ctrl+I"));
    }

    #[test]
    fn a_paste_is_told_by_its_size_and_never_shown() {
        let (mut strokes, keymap) = (vec![], Keymap::default());
        let told = describe(&Event::Paste("secret\rlines".to_owned()), &mut strokes, &keymap);
        assert_eq!(told, "a paste          12 bytes in 2 lines, as one");
    }
}

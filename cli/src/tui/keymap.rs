//! Keys: how they are written, and which action each one is.
//!
//! A user's own map is a patch over the defaults, in TOML:
//!
//! ```toml
//! [[key]]
//! on = "ctrl-g"
//! run = "go"
//!
//! [[key]]
//! on = "x"
//! in = "selecting"
//! run = "delete"
//! desc = "as in my mail program"
//! ```
//!
//! `run = ""` takes a key away. An unknown key or action is an error that names its line.

use std::{collections::HashMap, fmt, str::FromStr};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde::Deserialize;

use super::action::{Action, Place, TABLE};

/// One key with its modifiers. Shift is in the character, where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stroke {
    /// Which key.
    pub code: KeyCode,
    /// With what held down.
    pub modifiers: KeyModifiers,
}

/// Keys pressed one after the other that stand for one thing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chord(pub Vec<Stroke>);

/// Why a key or a map cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No such key.
    #[error("{0:?} is no key: write ctrl-k, alt-up, f1, ctrl-x ctrl-e, or a letter")]
    Unknown(String),
    /// The file cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// A row names something that is not there.
    #[error("line {line}: {what}")]
    Row {
        /// Where.
        line: usize,
        /// What is wrong.
        what: String,
    },
}

impl Stroke {
    /// The stroke that a terminal's event is.
    #[must_use]
    pub fn of(key: KeyEvent) -> Self {
        let mut modifiers =
            key.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
        let mut code = key.code;
        if let KeyCode::Char(letter) = code {
            // A shifted letter is another letter; with control, case is not told apart.
            if modifiers.contains(KeyModifiers::SHIFT) && letter.is_lowercase() {
                code = KeyCode::Char(letter.to_ascii_uppercase());
            }
            if modifiers.contains(KeyModifiers::CONTROL) {
                code = KeyCode::Char(letter.to_ascii_lowercase());
            }
            modifiers.remove(KeyModifiers::SHIFT);
        }
        Self { code, modifiers }
    }

    /// Whether it only writes a character.
    #[must_use]
    pub fn letter(self) -> Option<char> {
        match self.code {
            KeyCode::Char(letter) if self.modifiers.is_empty() => Some(letter),
            _ => None,
        }
    }
}

const NAMED: &[(&str, KeyCode)] = &[
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("backtab", KeyCode::BackTab),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("insert", KeyCode::Insert),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pageup", KeyCode::PageUp),
    ("pagedown", KeyCode::PageDown),
    ("space", KeyCode::Char(' ')),
];

impl FromStr for Stroke {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let unknown = || KeyError::Unknown(text.to_owned());
        let mut modifiers = KeyModifiers::NONE;
        let mut rest = text;
        loop {
            let held = [
                ("ctrl-", KeyModifiers::CONTROL),
                ("alt-", KeyModifiers::ALT),
                ("shift-", KeyModifiers::SHIFT),
            ];
            let found = held
                .into_iter()
                .find_map(|(name, held)| Some((rest.strip_prefix(name)?, held)))
                .filter(|(after, _)| !after.is_empty());
            let Some((after, held)) = found else { break };
            modifiers |= held;
            rest = after;
        }
        let named = NAMED.iter().find(|(name, _)| *name == rest).map(|(_, code)| *code);
        let function = || {
            let number: u8 = rest.strip_prefix('f')?.parse().ok()?;
            (1..=24).contains(&number).then_some(KeyCode::F(number))
        };
        let single = || {
            let mut letters = rest.chars();
            let letter = letters.next()?;
            (letters.next().is_none() && !letter.is_control()).then_some(KeyCode::Char(letter))
        };
        let code = named.or_else(function).or_else(single).ok_or_else(unknown)?;
        Ok(Self::of(KeyEvent::new(code, modifiers)))
    }
}

impl fmt::Display for Stroke {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (held, name) in [
            (KeyModifiers::CONTROL, "Ctrl+"),
            (KeyModifiers::ALT, "Alt+"),
            (KeyModifiers::SHIFT, "Shift+"),
        ] {
            if self.modifiers.contains(held) {
                formatter.write_str(name)?;
            }
        }
        let named = NAMED.iter().find(|(_, code)| *code == self.code);
        match (named, self.code) {
            (Some((name, _)), _) => {
                let mut letters = name.chars();
                let first = letters.next().map(|letter| letter.to_ascii_uppercase());
                write!(formatter, "{}{}", first.unwrap_or_default(), letters.as_str())
            }
            (None, KeyCode::F(number)) => write!(formatter, "F{number}"),
            (None, KeyCode::Char(letter)) if !self.modifiers.is_empty() => {
                write!(formatter, "{}", letter.to_ascii_uppercase())
            }
            (None, KeyCode::Char(letter)) => write!(formatter, "{letter}"),
            (None, other) => write!(formatter, "{other:?}"),
        }
    }
}

impl FromStr for Chord {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let strokes: Vec<Stroke> =
            text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        if strokes.is_empty() {
            return Err(KeyError::Unknown(text.to_owned()));
        }
        Ok(Self(strokes))
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, stroke) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str(" ")?;
            }
            stroke.fmt(formatter)?;
        }
        Ok(())
    }
}

/// What keys come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// An action, with its argument.
    Action(Action, String),
    /// The beginning of a longer chord.
    Prefix,
    /// Nothing.
    Nothing,
}

/// Which keys do what.
#[derive(Clone, Debug)]
pub struct Keymap {
    bound: HashMap<(Place, Chord), (Action, String)>,
}

impl Default for Keymap {
    fn default() -> Self {
        let mut bound = HashMap::new();
        for spec in TABLE {
            for (place, key, argument) in spec.keys {
                // A test parses all of them.
                if let Ok(chord) = key.parse() {
                    bound.insert((*place, chord), (spec.action, (*argument).to_owned()));
                }
            }
        }
        Self { bound }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    key: Vec<toml::Spanned<RawKey>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKey {
    on: String,
    run: String,
    #[serde(default, rename = "in")]
    place: RawPlace,
    #[serde(default, rename = "desc")]
    _desc: String,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawPlace {
    #[default]
    Everywhere,
    Selecting,
}

/// A user's file with one row more, by which `on` runs `run`. Of several rows for one key the last one counts.
pub fn with_row(former: &str, on: &str, run: &str) -> Result<String, KeyError> {
    let [on, run] = [on, run].map(|word| toml::Value::String(word.to_owned()).to_string());
    let gap = if former.is_empty() || former.ends_with('\n') { "" } else { "\n" };
    let text = format!("{former}{gap}[[key]]\non = {on}\nrun = {run}\n");
    Keymap::parse(&text)?;
    Ok(text)
}

impl Keymap {
    /// The defaults with a user's map over them.
    pub fn parse(source: &str) -> Result<Self, KeyError> {
        let file: RawFile =
            toml::from_str(source).map_err(|error| KeyError::Malformed(error.to_string()))?;
        let mut map = Self::default();
        for row in file.key {
            let before = source.get(..row.span().start).unwrap_or_default();
            let line = before.matches('\n').count().saturating_add(1);
            let wrong = |what: String| KeyError::Row { line, what };
            let RawKey { on, run, place, .. } = row.into_inner();
            let chord: Chord = on.parse().map_err(|error: KeyError| wrong(error.to_string()))?;
            let place = match place {
                RawPlace::Everywhere => Place::Everywhere,
                RawPlace::Selecting => Place::Selecting,
            };
            let (name, argument) = run.split_once(' ').unwrap_or((&run, ""));
            if name.is_empty() {
                map.bound.remove(&(place, chord));
                continue;
            }
            let action = Action::named(name)
                .ok_or_else(|| wrong(format!("there is no action called {name:?}")))?;
            map.bound.insert((place, chord), (action, argument.trim().to_owned()));
        }
        Ok(map)
    }

    /// What `strokes` come to at `place`; what holds everywhere holds there too.
    #[must_use]
    pub fn find(&self, place: Place, strokes: &[Stroke]) -> Found {
        let chord = Chord(strokes.to_vec());
        for place in [place, Place::Everywhere] {
            if let Some((action, argument)) = self.bound.get(&(place, chord.clone())) {
                return Found::Action(*action, argument.clone());
            }
        }
        let begins = |(at, bound): &(Place, Chord)| {
            (*at == place || *at == Place::Everywhere)
                && bound.0.len() > strokes.len()
                && bound.0.starts_with(strokes)
        };
        if self.bound.keys().any(begins) { Found::Prefix } else { Found::Nothing }
    }

    /// The keys of an action, the shortest first.
    #[must_use]
    pub fn keys_of(&self, action: Action) -> Vec<(Place, String)> {
        let mut keys: Vec<_> = self
            .bound
            .iter()
            .filter(|(_, (bound, _))| *bound == action)
            .map(|((place, chord), _)| (*place, chord.to_string()))
            .collect();
        keys.sort_by_key(|(place, key)| (*place != Place::Everywhere, key.len(), key.clone()));
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_more_counts_and_a_wrong_one_is_refused() {
        let one = with_row("# mine", "ctrl-x t", "theme light").unwrap();
        let two = with_row(&one, "ctrl-x t", "topic \"a\\b\"").unwrap();
        assert!(two.starts_with("# mine\n[[key]]"), "{two}");
        let map = Keymap::parse(&two).unwrap();
        let chord: Chord = "ctrl-x t".parse().unwrap();
        let found = map.find(Place::Everywhere, &chord.0);
        assert_eq!(found, Found::Action(Action::Topic, "\"a\\b\"".to_owned()));
        assert!(with_row(&two, "ctrl-x t", "no-such-action").is_err());
        assert!(with_row(&two, "no such key", "topic").is_err());
        let none = Keymap::parse(&with_row(&two, "ctrl-x t", "").unwrap()).unwrap();
        assert_eq!(none.find(Place::Everywhere, &chord.0), Found::Nothing);
    }

    #[test]
    fn keys_are_read_and_written() {
        for (text, shown) in [
            ("ctrl-k", "Ctrl+K"),
            ("alt-up", "Alt+Up"),
            ("f1", "F1"),
            ("+", "+"),
            ("G", "G"),
            ("ctrl-x ctrl-e", "Ctrl+X Ctrl+E"),
            ("ctrl-home", "Ctrl+Home"),
            ("-", "-"),
            ("alt--", "Alt+-"),
        ] {
            assert_eq!(text.parse::<Chord>().unwrap().to_string(), shown, "{text}");
        }
        for text in ["", "ctrl-", "hyper-x", "f99", "ab"] {
            assert!(text.parse::<Chord>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_users_map_goes_over_the_defaults() {
        let map = Keymap::parse(
            "[[key]]\non = \"ctrl-g\"\nrun = \"go @bob\"\n[[key]]\non = \"ctrl-k\"\nrun = \"\"\n",
        )
        .unwrap();
        let stroke = |text: &str| [text.parse::<Stroke>().unwrap()];
        let found = map.find(Place::Everywhere, &stroke("ctrl-g"));
        assert_eq!(found, Found::Action(Action::Go, "@bob".to_owned()));
        assert_eq!(map.find(Place::Everywhere, &stroke("ctrl-k")), Found::Nothing);
        assert_eq!(map.find(Place::Selecting, &stroke("ctrl-x")), Found::Prefix);
    }

    #[test]
    fn what_is_wrong_in_a_users_map_is_told_with_its_line() {
        let wrong = Keymap::parse("\n[[key]]\non = \"ctrl-g\"\nrun = \"fly\"\n").unwrap_err();
        assert!(wrong.to_string().starts_with("line 2:"), "{wrong}");
        assert!(wrong.to_string().contains("fly"), "{wrong}");
        let wrong = Keymap::parse("[[key]]\non = \"hyper-g\"\nrun = \"go\"\n").unwrap_err();
        assert!(wrong.to_string().starts_with("line 1:"), "{wrong}");
        assert!(Keymap::parse("[[kee]]\n").is_err());
    }
}

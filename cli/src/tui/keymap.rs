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

mod raw;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    str::FromStr,
};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use self::raw::{RawFile, RawKey, RawPlace};
use super::{
    action::{Action, Place, TABLE},
    composer::Edit,
};

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
///
/// Each key that is typed is looked for here, so that a look is a hash or two: nothing is gone through, and nothing made.
#[derive(Clone, Debug)]
pub struct Keymap {
    bound: HashMap<Place, HashMap<Vec<Stroke>, (Action, String)>>,
    /// The beginnings of chords, where they are pressed.
    begun: HashSet<(Place, Stroke)>,
    /// The first key of each action at each place, as it is shown.
    shown: HashMap<(Action, Place), String>,
}

impl Default for Keymap {
    fn default() -> Self {
        let mut map = Self { bound: HashMap::new(), begun: HashSet::new(), shown: HashMap::new() };
        for spec in TABLE {
            for (place, key, argument) in spec.keys {
                // A test parses all of them.
                if let Ok(chord) = key.parse() {
                    map.bind(*place, chord, spec.action, (*argument).to_owned());
                }
            }
        }
        map.note_beginnings();
        map
    }
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
            let place = place.map(|place| match place {
                RawPlace::Everywhere => Place::Everywhere,
                RawPlace::Selecting => Place::Selecting,
                RawPlace::Writing => Place::Writing,
                RawPlace::Vim => Place::Vim,
            });
            let (name, argument) = run.split_once(' ').unwrap_or((&run, ""));
            if name.is_empty() {
                // Where nothing else is said, it goes where it is meant wherever one is.
                let places = place.map_or(vec![Place::Everywhere, Place::Writing], |one| vec![one]);
                for place in places {
                    if let Some(keys) = map.bound.get_mut(&place) {
                        keys.remove(&chord.0);
                    }
                }
                continue;
            }
            let action = Action::named(name)
                .ok_or_else(|| wrong(format!("there is no action called {name:?}")))?;
            map.bind(place.unwrap_or(Place::Everywhere), chord, action, argument.trim().to_owned());
        }
        map.note_beginnings();
        Ok(map)
    }

    fn bind(&mut self, place: Place, chord: Chord, action: Action, argument: String) {
        self.bound.entry(place).or_default().insert(chord.0, (action, argument));
    }

    fn note_beginnings(&mut self) {
        self.begun = self
            .bound
            .iter()
            .flat_map(|(place, keys)| keys.keys().map(|chord| (*place, chord)))
            .filter(|(_, chord)| chord.len() > 1)
            .filter_map(|(place, chord)| Some((place, *chord.first()?)))
            .collect();
        let keys = TABLE.iter().flat_map(|spec| {
            let keys = self.keys_of(spec.action).into_iter().rev();
            keys.map(|(place, key)| ((spec.action, place), key))
        });
        // Of several, the first one stays.
        self.shown = keys.collect();
    }

    /// The shortest key of an action at a place, as it is shown.
    #[must_use]
    pub fn key_of(&self, action: Action, place: Place) -> Option<&str> {
        self.shown.get(&(action, place)).map(String::as_str)
    }

    /// What `strokes` come to at `place`; what holds everywhere holds there too.
    #[must_use]
    pub fn find(&self, place: Place, strokes: &[Stroke]) -> Found {
        match self.find_at(place, strokes) {
            Found::Action(action, argument) => Found::Action(action, argument),
            here if place == Place::Everywhere => here,
            here => match self.find_at(Place::Everywhere, strokes) {
                Found::Nothing => here,
                everywhere => everywhere,
            },
        }
    }

    /// What `strokes` come to at `place` alone.
    #[must_use]
    pub fn find_at(&self, place: Place, strokes: &[Stroke]) -> Found {
        let Some(keys) = self.bound.get(&place) else { return Found::Nothing };
        if let Some((action, argument)) = keys.get(strokes) {
            return Found::Action(*action, argument.clone());
        }
        let is_begun = strokes.first().is_some_and(|first| self.begun.contains(&(place, *first)));
        // Only of what begins a chord are the chords gone through.
        let goes_on =
            |chord: &Vec<Stroke>| chord.len() > strokes.len() && chord.starts_with(strokes);
        if is_begun && keys.keys().any(goes_on) { Found::Prefix } else { Found::Nothing }
    }

    /// The change of a text that a key stands for: a letter is itself, where it has no other meaning.
    #[must_use]
    pub fn edit(&self, key: KeyEvent) -> Option<Edit> {
        let stroke = Stroke::of(key);
        match self.written(stroke) {
            Some(action) => action.edit(),
            None => stroke.letter().map(|letter| Edit::Insert(letter.to_string())),
        }
    }

    /// What a key does to what is written. Shift changes nothing where it means nothing of its own.
    #[must_use]
    pub fn written(&self, stroke: Stroke) -> Option<Action> {
        let plain =
            Stroke { modifiers: stroke.modifiers.difference(KeyModifiers::SHIFT), ..stroke };
        // Some terminals send this for Backspace.
        let rubs_out = Stroke { code: KeyCode::Char('h'), modifiers: KeyModifiers::CONTROL };
        for stroke in [stroke, plain] {
            if let Found::Action(action, _) = self.find_at(Place::Writing, &[stroke]) {
                return Some(action);
            }
        }
        (stroke == rubs_out).then_some(Action::RubOut)
    }

    /// The keys of an action, the shortest first.
    #[must_use]
    pub fn keys_of(&self, action: Action) -> Vec<(Place, String)> {
        let mut keys: Vec<_> = self
            .bound
            .iter()
            .flat_map(|(place, keys)| keys.iter().map(|(chord, bound)| (*place, chord, bound)))
            .filter(|(_, _, (bound, _))| *bound == action)
            .map(|(place, chord, _)| (place, Chord(chord.clone()).to_string()))
            .collect();
        let rank = |place| match place {
            Place::Everywhere => 0,
            Place::Writing => 1,
            Place::Selecting => 2,
            Place::Vim => 3,
        };
        keys.sort_by_key(|(place, key)| (rank(*place), key.chars().count(), key.clone()));
        keys
    }
}

#[cfg(test)]
mod tests;

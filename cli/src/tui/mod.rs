//! The terminal client.
//!
//! [`update`] takes an [`event::Event`] into the [`state::State`] and says what is to be done; [`view`](mod@view) draws the state; the runner alone
//! does things. Both of the former are pure: time, new ids and answers arrive in events, so a test drives the whole screen without a
//! terminal, a server or a clock. What can be done is one table, [`action`], which keys, slash commands, the palette and the help are made
//! from. The profile's agent may be another process: the screen asks it the same verbs as every command, and follows its `watch`.

pub mod action;
mod agent;
pub mod composer;
pub mod effect;
pub mod event;
#[cfg(test)]
mod fixture;
pub mod glyphs;
mod keyboard;
pub mod keymap;
mod keys;
mod linear;
mod painter;
mod runner;
mod sieve;
pub mod state;
pub mod terminal;
pub mod text;
pub mod theme;
pub mod update;
pub mod view;
pub mod vim;
mod work;

use jiff::tz::TimeZone;
use ratatui::crossterm;

pub use agent::Source;
pub use keys::test_keys;

use self::{
    glyphs::Glyphs,
    keymap::Keymap,
    runner::Runner,
    state::{Folders, Look, State},
    terminal::Surroundings,
    theme::{BuiltIn, Theme},
};
use crate::{
    config::Place,
    error::{CommandError, Kind},
};

/// Opens the screen, and returns when its user has had enough.
pub async fn run(place: Place, source: Source) -> Result<(), CommandError> {
    let surroundings = Surroundings::find();
    let (look, keymap) = chosen(&place, &surroundings)?;
    let (columns, rows) = crossterm::terminal::size().unwrap_or((80, 24));
    let mut state = State::new(columns, rows, look, keymap);
    state.folders = Folders::find();
    Runner::new(place, source, surroundings, state).run().await
}

/// Goes on in lines: what comes is printed, what is typed is sent, and nothing moves the cursor. For screen readers, terminals that can do
/// nothing else, and pipes.
pub async fn run_linear(place: Place, source: Source) -> Result<(), CommandError> {
    let surroundings = Surroundings::find();
    let (look, keymap) = chosen(&place, &surroundings)?;
    let mut state = State::new(80, 24, look, keymap);
    state.folders = Folders::find();
    linear::run(place, source, state).await
}

/// Whether there is a terminal here that a screen can be drawn on.
#[must_use]
pub fn can_draw() -> bool {
    use std::io::IsTerminal as _;
    std::io::stdout().is_terminal()
        && std::io::stdin().is_terminal()
        && Surroundings::find().can_draw()
}

/// Writes a new meaning of a key into the user's file, where one is given, and reads looks and keys again.
fn reload(
    place: &Place,
    binding: Option<&effect::Binding>,
) -> Result<(Look, Keymap), CommandError> {
    if let Some(effect::Binding { on, run }) = binding {
        let path = place.directory().join(KEYS);
        let former = match std::fs::read_to_string(&path) {
            Ok(former) => former,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error.into()),
        };
        let text = keymap::with_row(&former, on, run)
            .map_err(|error| CommandError::new(Kind::Usage, error.to_string()))?;
        let new = path.with_extension(format!("{}.new", uuid::Uuid::new_v4().simple()));
        crate::config::write_private(&new, text.as_bytes())?;
        std::fs::rename(&new, &path)?;
        crate::config::sync_directory_of(&path)?;
    }
    chosen(place, &Surroundings::find())
}

/// The file of a user's own keys, in the profile's directory.
const KEYS: &str = "keys.toml";

/// What the user's files and the surroundings say about looks and keys.
fn chosen(place: &Place, surroundings: &Surroundings) -> Result<(Look, Keymap), CommandError> {
    let read = |name: &str| {
        let path = place.directory().join(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some((path, text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CommandError::new(
                Kind::Failed,
                format!("{} cannot be read: {error}", path.display()),
            )),
        }
    };
    let wrong = |path: &std::path::Path, why: String| {
        CommandError::new(Kind::Usage, format!("{}: {why}", path.display()))
    };
    let keymap = match read(KEYS)? {
        Some((path, text)) => {
            Keymap::parse(&text).map_err(|error| wrong(&path, error.to_string()))?
        }
        None => Keymap::default(),
    };
    let glyphs = Glyphs::detect(&surroundings.term, &surroundings.locale);
    let mut look = Look {
        glyphs,
        fitting_glyphs: glyphs,
        links: surroundings.follows_links,
        fitting_links: surroundings.follows_links,
        zone: TimeZone::system(),
        has_shift_enter: surroundings.has_key_protocol,
        ..Look::default()
    };
    if surroundings.no_color {
        look.built_in = BuiltIn::None;
        look.theme = Theme::built_in(BuiltIn::None);
        look.has_own_theme = true;
    } else if let Some((path, text)) = read("theme.toml")? {
        look.theme = Theme::parse(&text).map_err(|error| wrong(&path, error.to_string()))?;
        look.has_own_theme = true;
    }
    Ok((look, keymap))
}

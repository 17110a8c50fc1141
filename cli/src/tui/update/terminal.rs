//! What is about the terminal itself: its colours, its mouse, the user's own keys, and going away from it.

use super::{people, say, sheet, usage};
use crate::tui::{
    action::Action,
    effect::{Binding, Effect},
    keymap::Keymap,
    state::{Look, State, Weight},
    theme::{BuiltIn, Theme},
};

/// Does what is about the terminal itself.
pub(super) fn run(state: &mut State, action: Action, argument: &str) -> Vec<Effect> {
    match action {
        Action::Theme => theme(state, argument),
        Action::Mouse => {
            state.look.mouse = !state.look.mouse;
            let word = if state.look.mouse { "on: hold Shift to select text" } else { "off" };
            let mut effects = say(state, Weight::Done, format!("The mouse is {word}"));
            effects.push(Effect::Mouse(state.look.mouse));
            effects
        }
        Action::Bind if argument.is_empty() => sheet::help(state),
        Action::Bind => match argument.split_once('=') {
            Some((on, run)) => {
                let [on, run] = [on, run].map(|word| word.trim().to_owned());
                vec![Effect::Reload(Some(Binding { on, run }))]
            }
            None => usage(state, "/bind KEY = ACTION, such as: /bind ctrl-x t = topic"),
        },
        Action::Reload => vec![Effect::Reload(None)],
        Action::Suspend => vec![Effect::Suspend],
        Action::Redraw => vec![Effect::Redraw],
        Action::Quit => super::quit(state),
        _ => vec![],
    }
}

/// The user's own keys and colours were read again.
pub(super) fn reloaded(
    state: &mut State,
    outcome: Result<Box<(Look, Keymap)>, String>,
) -> Vec<Effect> {
    let (look, keymap) = match outcome {
        Ok(read) => *read,
        Err(why) => return say(state, Weight::Trouble, why),
    };
    state.keymap = keymap;
    state.look.has_own_theme = look.has_own_theme;
    if look.has_own_theme {
        (state.look.built_in, state.look.theme) = (look.built_in, look.theme);
    } else {
        let chosen = state.settings.get("theme").and_then(|word| BuiltIn::parse(word));
        wear(&mut state.look, chosen.unwrap_or(BuiltIn::Dark));
    }
    let mut effects = say(state, Weight::Done, "Keys and colours are as your files say");
    effects.push(Effect::Redraw);
    effects
}

fn theme(state: &mut State, word: &str) -> Vec<Effect> {
    let Some(built_in) = BuiltIn::parse(word) else {
        return usage(state, "A theme is dark, light, high-contrast or none");
    };
    wear(&mut state.look, built_in);
    let mut effects = people::set(state, None, "theme", word);
    if state.look.has_own_theme {
        effects.extend(say(
            state,
            Weight::Done,
            "Kept for your other terminals: here the colours are your own, or NO_COLOR is set",
        ));
    }
    effects
}

/// Puts a theme on, unless the user's own, or none at all, was asked for by the terminal's surroundings.
pub(super) fn wear(look: &mut Look, built_in: BuiltIn) {
    if !look.has_own_theme {
        look.built_in = built_in;
        look.theme = Theme::built_in(built_in);
    }
}

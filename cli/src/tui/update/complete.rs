//! Completing words: commands, people, rooms, emoji.

use super::act;
use crate::tui::{
    state::{State, conversation::Completion},
    text::emoji,
};

/// Finds again what can be put at the cursor, if that was being done.
pub(super) fn again(state: &mut State) {
    let is_open = state.open.as_ref().is_some_and(|open| open.completion.is_some());
    let starts = state.open.as_mut().is_some_and(|open| {
        open.writing().token().is_some_and(|token| token.sigil != '/' || !token.text.is_empty())
    });
    if let Some(open) = &mut state.open {
        open.completion = None;
    }
    if is_open || starts {
        next(state, 0);
    }
}

/// Marks the next of what can be put at the cursor.
pub(super) fn next(state: &mut State, steps: isize) -> bool {
    if let Some(completion) = state.open.as_mut().and_then(|open| open.completion.as_mut()) {
        let count = completion.choices.len();
        if count > 0 {
            let there = completion.marked.saturating_add_signed(steps);
            completion.marked = there.checked_rem(count).unwrap_or(0);
            completion.is_chosen |= steps != 0;
        }
        return true;
    }
    let Some(token) = state.open.as_mut().and_then(|open| open.writing().token()) else {
        return false;
    };
    let choices = choices(state, token.sigil, &token.text);
    if choices.is_empty() {
        return false;
    }
    if let Some(open) = &mut state.open {
        open.completion = Some(Completion { choices, marked: 0, is_chosen: false });
    }
    true
}

/// Puts in what is marked.
pub(super) fn take(state: &mut State) -> bool {
    let Some(open) = &mut state.open else { return false };
    let Some(completion) = open.completion.take() else { return false };
    let Some((_, text)) = completion.choices.get(completion.marked) else { return false };
    let text = text.clone();
    open.writing().replace_token(&text);
    true
}

/// What can stand for a word that begins with `sigil`: what is shown, and what is put.
fn choices(state: &State, sigil: char, word: &str) -> Vec<(String, String)> {
    const MOST: usize = 8;
    let small = word.to_lowercase();
    let fits = |name: &str| name.to_lowercase().starts_with(&small);
    match sigil {
        ':' if word.len() >= 2 => emoji::complete(word)
            .into_iter()
            .take(MOST)
            .map(|(name, glyph)| (format!("{glyph} :{name}:"), format!("{glyph} ")))
            .collect(),
        '/' => act::commands()
            .filter(|(slash, _)| fits(slash))
            .take(MOST)
            .map(|(slash, about)| (format!("/{slash}  {about}"), format!("/{slash} ")))
            .collect(),
        '#' => state
            .rooms
            .iter()
            .filter(|room| room.target.contains('#') && fits(&room.title))
            .take(MOST)
            .map(|room| (room.target.clone(), format!("#{} ", room.title)))
            .collect(),
        '@' => {
            let members = state.open.iter().flat_map(|open| open.names.iter().map(String::as_str));
            let people = state
                .rooms
                .iter()
                .filter(|room| room.target.starts_with('@'))
                .map(|room| room.title.as_str());
            let mut names: Vec<String> = members
                .chain(people)
                .map(|name| state.short_name(name).to_owned())
                .filter(|name| fits(name))
                .collect();
            names.sort();
            names.dedup();
            names
                .into_iter()
                .take(MOST)
                .map(|name| (format!("@{name}"), format!("@{name} ")))
                .collect()
        }
        _ => vec![],
    }
}

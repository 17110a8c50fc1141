//! Having the code of messages coloured, which takes longer than a frame may.

use crate::tui::{
    effect::Effect,
    event::Coloured,
    state::{Message, State},
};

/// Asks for the colours of what was shown without them.
pub(super) fn ask(state: &mut State) -> Vec<Effect> {
    let Some(open) = &state.open else { return vec![] };
    let mut due = vec![];
    for id in &state.seen.plain {
        let beside = open.thread.as_ref().and_then(|thread| thread.window.get(id));
        if let Some(Message { id, revision, text, .. }) = open.window.get(id).or(beside)
            && state.colours.begin(id, *revision)
        {
            due.push(Effect::Colour { id: id.clone(), revision: *revision, text: text.clone() });
        }
    }
    due
}

/// The colours are here.
pub(super) fn took(state: &mut State, coloured: Coloured) -> Vec<Effect> {
    state.colours.end(&coloured.id, coloured.revision, coloured.blocks);
    vec![]
}

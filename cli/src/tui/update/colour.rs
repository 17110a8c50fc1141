//! Having the code of messages coloured, which takes longer than a frame may.

use crate::tui::{
    effect::Effect,
    event::Coloured,
    state::{Message, Open, State},
};

/// Asks for the colours of what was shown without them.
pub(super) fn ask(state: &mut State) -> Vec<Effect> {
    let mut due = vec![];
    for id in &state.seen.plain {
        let mut shown = state.open.iter().chain(state.split.others());
        if let Some(Message { id, revision, text, .. }) = shown.find_map(|open| find(open, id))
            && state.colours.begin(id, *revision)
        {
            due.push(Effect::Colour { id: id.clone(), revision: *revision, text: text.clone() });
        }
    }
    due
}

fn find<'a>(open: &'a Open, id: &str) -> Option<&'a Message> {
    let beside = || open.thread.as_ref()?.window.get(id);
    open.window.get(id).or_else(beside)
}

/// The colours are here.
pub(super) fn took(state: &mut State, coloured: Coloured) -> Vec<Effect> {
    state.colours.end(&coloured.id, coloured.revision, coloured.blocks);
    vec![]
}

//! The model driven by scripts of events, by theme.

mod actions;
mod calling;
mod drafts;
mod expiry;
mod files;
mod first_run;
mod looks;
mod mended;
mod moving;
mod panes;
mod report;
mod secrets;
mod sheets;
mod told;
mod vi;
mod writing;

use serde_json::Value;

use crate::tui::{effect::Effect, fixture::Desk, glyphs::Glyphs};

pub(super) fn desk() -> Desk {
    Desk::filled(80, 24, Glyphs::Unicode)
}

pub(super) fn asks<'a>(effects: &'a [Effect], wanted: &str) -> Vec<&'a Value> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Ask { method, params, .. } if *method == wanted => Some(params),
            _ => None,
        })
        .collect()
}

pub(super) fn notified(effects: &[Effect]) -> Vec<&str> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Notify { title, .. } => Some(title.as_str()),
            _ => None,
        })
        .collect()
}

pub(super) fn open(desk: &mut Desk, target: &str) {
    desk.write(&format!("/go {target}"));
    desk.keys("enter");
    assert_eq!(desk.state.open.as_ref().unwrap().target, target);
}

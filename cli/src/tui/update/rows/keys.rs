//! How the account's keys stand, in words.

use super::field;
use crate::{
    agent::verb::KeysLine,
    tui::{
        state::{Row, State},
        theme::Role,
    },
};

/// How the keys stand, and what there is to do about it.
pub(in crate::tui::update) fn keys(state: &State, line: &KeysLine) -> Vec<Row> {
    let since = |at: Option<&String>| {
        at.map_or_else(String::new, |at| format!(", since {}", state.clock(at)))
    };
    let oldest = if line.is_oldest { ", the oldest" } else { "" };
    let device = field(&line.device_name);
    let mut rows = vec![
        Row::words(
            format!("Recovery key: there is one{}", since(line.recovery_since.as_ref())),
            "",
        ),
        Row::words(
            format!(
                "This device: {device}, one of {}{oldest}{}",
                line.devices,
                since(line.device_since.as_ref())
            ),
            "",
        ),
        Row::words(format!("Per-user key: generation {}", line.generation), ""),
        Row::words(format!("People: {} of {} verified", line.verified, line.people), ""),
        Row::default(),
        Row::words("What to do next", "").looking(Role::Heading),
    ];
    rows.extend(to_do(line));
    rows
}

/// What there is to do, the most pressing first.
fn to_do(line: &KeysLine) -> Vec<Row> {
    let choice = |text: String, command: &str| {
        Row::choice(text, command.to_owned(), "", Some(command.to_owned()))
    };
    let mut rows = vec![];
    if line.changed > 0 {
        let said = format!("{} of your people are not who they were: compare again", line.changed);
        rows.push(choice(said, "/contacts").looking(Role::Changed));
    }
    if line.owes_rotation {
        let said = "A device was revoked: a new per-user key is made when there is a connection";
        rows.push(Row::words(said, "").looking(Role::Warning));
    }
    if let Some(file) = &line.recovery_key_file {
        let said = format!(
            "A recovery key stands in {}: write it down elsewhere and remove that file, for whoever reads it has your account",
            field(file)
        );
        rows.push(Row::words(said, "").looking(Role::Warning));
    }
    if line.devices < 2 {
        let said = "Link a second device: without one, only the recovery key brings you back";
        rows.push(choice(said.to_owned(), "/link"));
    }
    if line.verified < line.people {
        let said = "Compare safety numbers with those who matter to you";
        rows.push(choice(said.to_owned(), "/contacts"));
    }
    let said = "Has somebody seen your recovery key? Put a new one in its place";
    rows.push(choice(said.to_owned(), "/recover"));
    rows
}

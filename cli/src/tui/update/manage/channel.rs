//! Channels: making, changing and ending them, and who may do what in one.

use super::{some, split};
use crate::{
    agent::verb::{ChannelCreate, ChannelEdit, ChannelGrant, ChannelWord, GrantWord, HistoryWord},
    tui::{
        effect::Effect,
        state::{SheetKind, State, Want},
        update::{ask, sheet, usage},
    },
};

/// Does what `/channel` says.
pub(super) fn run(state: &mut State, community: String, argument: &str) -> Vec<Effect> {
    let (word, rest) = split(argument);
    let named = |name: &str| {
        if name.contains('#') { name.to_owned() } else { format!("{community}#{name}") }
    };
    let open = state.open.as_ref().map(|open| open.target.clone()).unwrap_or_default();
    match word {
        "" | "list" => sheet::open(state, SheetKind::Channels(community)),
        "create" => create(state, community, rest),
        "delete" => {
            if rest.is_empty() {
                return usage(state, "/channel delete NAME");
            }
            let verb = ChannelEdit { channel: named(rest), delete: true, ..ChannelEdit::default() };
            vec![ask(state, Want::Done(format!("{rest} is gone")), &verb)]
        }
        "slow" => {
            let Ok(seconds) = rest.parse() else {
                return usage(state, "/channel slow SECONDS");
            };
            let verb =
                ChannelEdit { channel: open, slow_mode_s: Some(seconds), ..ChannelEdit::default() };
            vec![ask(state, Want::Done(format!("Slow mode: {seconds} s")), &verb)]
        }
        "move" => {
            let (name, place) = split(rest);
            let Ok(position) = place.parse() else {
                return usage(state, "/channel move NAME PLACE");
            };
            let verb = ChannelEdit {
                channel: named(name),
                position: Some(position),
                ..ChannelEdit::default()
            };
            vec![ask(state, Want::Done("Moved".to_owned()), &verb)]
        }
        "rename" => {
            let (name, new) = split(rest);
            if new.is_empty() {
                return usage(state, "/channel rename NAME NEW");
            }
            let channel = named(name);
            let verb = ChannelEdit { channel, name: some(new), ..ChannelEdit::default() };
            vec![ask(state, Want::Done(format!("{name} is called {new} now")), &verb)]
        }
        "history" => {
            let history = match rest {
                "full" => HistoryWord::Full,
                "since-join" => HistoryWord::SinceJoin,
                _ => return usage(state, "/channel history full or since-join"),
            };
            let history = Some(history);
            let verb = ChannelEdit { channel: open, history, ..ChannelEdit::default() };
            vec![ask(state, Want::Done(format!("Newcomers read: {rest}")), &verb)]
        }
        "allow" => grant(state, open, rest, GrantWord::Allow),
        "deny" => grant(state, open, rest, GrantWord::Deny),
        "clear" => grant(state, open, rest, GrantWord::Clear),
        other => usage(
            state,
            format!(
                "/channel does not know {other:?}: create, delete, rename, slow, move, history, allow, deny, clear, list"
            ),
        ),
    }
}

fn create(state: &mut State, community: String, rest: &str) -> Vec<Effect> {
    let mut verb = ChannelCreate {
        community,
        name: String::new(),
        kind: ChannelWord::Text,
        topic: None,
        private: false,
        roles: vec![],
        users: vec![],
        history: HistoryWord::default(),
        slow_mode_s: 0,
    };
    for word in rest.split_whitespace() {
        match word {
            "private" => verb.private = true,
            "voice" => verb.kind = ChannelWord::Voice,
            "video" => verb.kind = ChannelWord::Video,
            who if who.starts_with('@') => verb.users.push(who.to_owned()),
            name if verb.name.is_empty() => name.clone_into(&mut verb.name),
            name => verb.name = format!("{} {name}", verb.name),
        }
    }
    if verb.name.is_empty() {
        return usage(state, "/channel create NAME [private] [voice] [@WHO...]");
    }
    let said = format!("#{} is there", verb.name);
    vec![ask(state, Want::Done(said), &verb)]
}

/// An exception in a channel, for a member or a role.
fn grant(state: &mut State, channel: String, rest: &str, how: GrantWord) -> Vec<Effect> {
    let (whom, what) = split(rest);
    let what: Vec<String> =
        what.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    if what.is_empty() {
        return usage(state, "/channel allow @WHO or ROLE, and what: read send react");
    }
    let said = match how {
        GrantWord::Allow => "may",
        GrantWord::Deny => "may not",
        GrantWord::Clear => "is as their roles say for",
    };
    let said = format!("{whom} {said} {} here", what.join(", "));
    let verb = ChannelGrant { channel, whom: whom.to_owned(), what, how };
    vec![ask(state, Want::Done(said), &verb)]
}

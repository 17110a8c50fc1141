//! Communities, groups, channels, roles and members.

mod channel;
mod role;

use super::{ask, sheet, usage};
use crate::{
    agent::verb::{
        ChannelEdit, CommunityCreate, CommunityEdit, CommunityInvite, CommunityJoin,
        CommunityLeave, CommunityMove, HistoryWord, MemberAct, MemberChangeOrder, PolicyWord,
    },
    args::Span,
    tui::{
        action::Action,
        effect::Effect,
        state::{Layer, SheetKind, State, Want},
    },
};

/// The rest of what was typed, or nothing.
fn some(text: &str) -> Option<String> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn split(text: &str) -> (&str, &str) {
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (first, rest.trim())
}

/// Does what an action about communities says.
pub(super) fn run(state: &mut State, action: Action, argument: &str) -> Vec<Effect> {
    match action {
        Action::Join => {
            state.awaited = Some("*".to_owned());
            vec![ask(state, Want::Enter, &CommunityJoin { link: argument.to_owned() })]
        }
        Action::Group => group(state, argument),
        Action::Community => community(state, argument),
        _ => match state.community() {
            Some(community) => inside(state, action, argument, community),
            None => usage(state, "Open a room or a group first"),
        },
    }
}

fn group(state: &mut State, argument: &str) -> Vec<Effect> {
    let words = argument.split_whitespace();
    let (with, name): (Vec<&str>, Vec<&str>) = words.partition(|word| word.starts_with('@'));
    if name.is_empty() || with.is_empty() {
        return usage(state, "A group has a name and people: /group weekend @bob @cy");
    }
    found(state, &name.join(" "), true, with.into_iter().map(str::to_owned).collect())
}

fn found(state: &mut State, name: &str, group: bool, with: Vec<String>) -> Vec<Effect> {
    let verb = CommunityCreate {
        name: name.to_owned(),
        group,
        topic: None,
        policy: PolicyWord::default(),
        history: HistoryWord::default(),
        channels: if group { vec![] } else { vec!["general".to_owned()] },
        with,
    };
    state.awaited = Some("*".to_owned());
    vec![ask(state, Want::Enter, &verb)]
}

fn community(state: &mut State, argument: &str) -> Vec<Effect> {
    let (word, rest) = split(argument);
    match (word, state.community()) {
        ("create", _) if rest.is_empty() => usage(state, "/community create NAME"),
        ("create", _) => found(state, rest, false, vec![]),
        ("join", _) => run(state, Action::Join, rest),
        (_, None) => usage(state, "Open a room first, or make a community: /community create NAME"),
        ("" | "info", Some(community)) => sheet::open(state, SheetKind::Community(community)),
        ("rename", Some(community)) => {
            let verb = CommunityEdit { name: some(rest), ..edit_of(community) };
            vec![ask(state, Want::Done("Renamed".to_owned()), &verb)]
        }
        ("topic", Some(community)) => {
            let verb = CommunityEdit { topic: Some(rest.to_owned()), ..edit_of(community) };
            vec![ask(state, Want::Done("Topic set".to_owned()), &verb)]
        }
        ("owner", Some(community)) => {
            let verb = CommunityEdit { owner: some(rest), ..edit_of(community) };
            vec![ask(state, Want::Done(format!("Handed over to {rest}")), &verb)]
        }
        ("move", Some(_)) if rest.is_empty() => usage(state, "/community move SERVER"),
        ("move", Some(community)) => {
            let Some(to) = rest.strip_suffix(" yes") else {
                let question =
                    format!("Move {community} to {rest}? That server orders it from then on.");
                return confirm(state, question, &format!("/community move {rest} yes"));
            };
            let verb = CommunityMove { community, to: to.trim().to_owned() };
            vec![ask(state, Want::Done(format!("Moved to {to}")), &verb)]
        }
        ("policy", Some(community)) => {
            let policy = match rest {
                "open" => PolicyWord::Open,
                "invited" => PolicyWord::Invited,
                "approved" => PolicyWord::Approved,
                _ => return usage(state, "/community policy open, invited or approved"),
            };
            let verb = CommunityEdit { policy: Some(policy), ..edit_of(community) };
            vec![ask(state, Want::Done(format!("Joining is {rest} now")), &verb)]
        }
        ("leave", Some(_)) => inside_leave(state, rest),
        ("delete", Some(community)) => {
            if rest == "yes" {
                let verb = CommunityLeave { community, delete: true };
                state.sheet = None;
                return vec![ask(state, Want::Done("Deleted for everybody".to_owned()), &verb)];
            }
            let question = format!("Delete {community} for everybody, for good?");
            confirm(state, question, "/community delete yes")
        }
        (other, Some(_)) => usage(
            state,
            format!(
                "/community does not know {other:?}: create, join, info, rename, topic, owner, move, policy, leave, delete"
            ),
        ),
    }
}

const fn edit_of(community: String) -> CommunityEdit {
    CommunityEdit { community, name: None, topic: None, policy: None, owner: None }
}

fn confirm(state: &mut State, question: String, command: &str) -> Vec<Effect> {
    state.layers.push(Layer::Confirm { question, command: command.to_owned(), is_written: false });
    vec![]
}

fn inside_leave(state: &mut State, word: &str) -> Vec<Effect> {
    let Some(community) = state.community() else { return usage(state, "Open a room first") };
    if word != "yes" {
        return confirm(state, format!("Leave {community}?"), "/leave yes");
    }
    state.sheet = None;
    let verb = CommunityLeave { community: community.clone(), delete: false };
    vec![ask(state, Want::Leave(community), &verb)]
}

fn inside(state: &mut State, action: Action, argument: &str, community: String) -> Vec<Effect> {
    let target = state.open.as_ref().map(|open| open.target.clone()).unwrap_or_default();
    let is_group = target.starts_with('+');
    match action {
        Action::Leave => inside_leave(state, argument),
        Action::Topic if is_group => {
            let verb = CommunityEdit { topic: Some(argument.to_owned()), ..edit_of(community) };
            vec![ask(state, Want::Done("Topic set".to_owned()), &verb)]
        }
        Action::Topic => {
            let verb = ChannelEdit {
                channel: target,
                topic: Some(argument.to_owned()),
                ..ChannelEdit::default()
            };
            vec![ask(state, Want::Done("Topic set".to_owned()), &verb)]
        }
        Action::Rename if is_group => {
            let verb = CommunityEdit { name: some(argument), ..edit_of(community) };
            vec![ask(state, Want::Done(format!("Renamed to {argument}")), &verb)]
        }
        Action::Rename => {
            let verb =
                ChannelEdit { channel: target, name: some(argument), ..ChannelEdit::default() };
            vec![ask(state, Want::Done(format!("Renamed to {argument}")), &verb)]
        }
        Action::Archive => {
            let archived = argument != "off";
            let verb =
                ChannelEdit { channel: target, archived: Some(archived), ..ChannelEdit::default() };
            let said = if archived { "Archived: nothing more is said here" } else { "Open again" };
            vec![ask(state, Want::Done(said.to_owned()), &verb)]
        }
        Action::Invite => invite(state, community, argument, is_group),
        Action::Kick => member(state, community, MemberAct::Kick, argument, "was sent away"),
        Action::Ban => member(state, community, MemberAct::Ban, argument, "was banned"),
        Action::Unban => member(state, community, MemberAct::Unban, argument, "may come again"),
        Action::Channel => channel::run(state, community, argument),
        Action::Role => role::run(state, community, argument),
        Action::Approve => member(state, community, MemberAct::Approve, argument, "is in"),
        Action::Refuse => member(state, community, MemberAct::Refuse, argument, "was turned down"),
        Action::Audit => sheet::open(state, SheetKind::Log(community)),
        Action::Check => sheet::open(state, SheetKind::Checked(community)),
        Action::Nick => {
            let own = format!("@{}", state.own_name());
            let (who, name) = match split(argument) {
                (who, name) if who.starts_with('@') => (who.to_owned(), name.to_owned()),
                _ => (own, argument.to_owned()),
            };
            let order = MemberChangeOrder {
                community,
                who,
                act: MemberAct::Nick,
                name: some(&name),
                reason: None,
            };
            vec![ask(state, Want::Done("Nickname set".to_owned()), &order)]
        }
        _ => vec![],
    }
}

fn invite(state: &mut State, community: String, argument: &str, is_group: bool) -> Vec<Effect> {
    if is_group {
        if argument.is_empty() {
            return super::act::run_line(state, "/invite ");
        }
        return member(state, community, MemberAct::Add, argument, "was added");
    }
    let mut verb = CommunityInvite {
        community,
        who: None,
        uses: None,
        for_ms: None,
        roles: vec![],
        revoke: None,
    };
    if let ("revoke", number) = split(argument) {
        verb.revoke = number.parse().ok();
        if verb.revoke.is_none() {
            return usage(state, "/invite revoke NUMBER: /community lists them");
        }
        return vec![ask(state, Want::Done(format!("Invitation {number} has ended")), &verb)];
    }
    for word in argument.split_whitespace() {
        match word.split_once('=') {
            Some(("uses", uses)) if uses.parse::<u32>().is_ok() => verb.uses = uses.parse().ok(),
            Some(("for", span)) if span.parse::<Span>().is_ok() => {
                let span = span.parse::<Span>().ok();
                verb.for_ms = span.and_then(|Span(span)| u64::try_from(span.as_millis()).ok());
            }
            Some(("role", role)) => verb.roles.push(role.to_owned()),
            None if verb.who.is_none() => verb.who = some(word),
            _ => {
                return usage(
                    state,
                    "/invite [@WHO] [uses=5] [for=7d] [role=NAME], or revoke NUMBER",
                );
            }
        }
    }
    let want = match &verb.who {
        None => Want::Invite,
        Some(who) => Want::Done(format!("{who} was invited")),
    };
    vec![ask(state, want, &verb)]
}

fn member(
    state: &mut State,
    community: String,
    act: MemberAct,
    argument: &str,
    said: &str,
) -> Vec<Effect> {
    let (who, reason) = split(argument);
    let order =
        MemberChangeOrder { community, who: who.to_owned(), act, name: None, reason: some(reason) };
    vec![ask(state, Want::Done(format!("{who} {said}")), &order)]
}

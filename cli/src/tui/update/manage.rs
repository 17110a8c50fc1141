//! Communities, groups, channels, roles and members.

use super::{ask, sheet, usage};
use crate::{
    agent::verb::{
        ChannelCreate, ChannelEdit, ChannelWord, CommunityCreate, CommunityEdit, CommunityInvite,
        CommunityJoin, CommunityLeave, HistoryWord, MemberAct, MemberChangeOrder, PolicyWord,
        RoleChange,
    },
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
                "/community does not know {other:?}: create, join, info, rename, topic, owner, policy, leave, delete"
            ),
        ),
    }
}

const fn edit_of(community: String) -> CommunityEdit {
    CommunityEdit { community, name: None, topic: None, policy: None, owner: None }
}

fn confirm(state: &mut State, question: String, command: &str) -> Vec<Effect> {
    state.layers.push(Layer::Confirm { question, command: command.to_owned() });
    vec![]
}

fn inside_leave(state: &mut State, word: &str) -> Vec<Effect> {
    let Some(community) = state.community() else { return usage(state, "Open a room first") };
    if word != "yes" {
        return confirm(state, format!("Leave {community}?"), "/leave yes");
    }
    state.sheet = None;
    let verb = CommunityLeave { community: community.clone(), delete: false };
    vec![ask(state, Want::Done(format!("You have left {community}")), &verb)]
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
        Action::Channel => channel(state, community, argument),
        Action::Role => role(state, community, argument),
        Action::Audit => sheet::open(state, SheetKind::Log(community)),
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

fn invite(state: &mut State, community: String, who: &str, is_group: bool) -> Vec<Effect> {
    if is_group {
        if who.is_empty() {
            return super::act::run_line(state, "/invite ");
        }
        return member(state, community, MemberAct::Add, who, "was added");
    }
    let verb = CommunityInvite {
        community,
        who: some(who),
        uses: None,
        for_ms: None,
        roles: vec![],
        revoke: None,
    };
    let want = if who.is_empty() { Want::Invite } else { Want::Done(format!("{who} was invited")) };
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

fn channel(state: &mut State, community: String, argument: &str) -> Vec<Effect> {
    let (word, rest) = split(argument);
    let named = |name: &str| {
        if name.contains('#') { name.to_owned() } else { format!("{community}#{name}") }
    };
    match word {
        "" | "list" => sheet::open(state, SheetKind::Channels(community)),
        "create" => {
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
        "delete" => {
            let (name, sure) = split(rest);
            if name.is_empty() {
                return usage(state, "/channel delete NAME");
            }
            if sure != "yes" && state.sheet.is_none() {
                let command = format!("/channel delete {name} yes");
                return confirm(state, format!("Delete {}?", named(name)), &command);
            }
            let verb = ChannelEdit { channel: named(name), delete: true, ..ChannelEdit::default() };
            vec![ask(state, Want::Done(format!("{name} is gone")), &verb)]
        }
        "slow" => {
            let target = state.open.as_ref().map(|open| open.target.clone()).unwrap_or_default();
            let Ok(seconds) = rest.parse() else {
                return usage(state, "/channel slow SECONDS");
            };
            let verb = ChannelEdit {
                channel: target,
                slow_mode_s: Some(seconds),
                ..ChannelEdit::default()
            };
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
        other => usage(
            state,
            format!("/channel does not know {other:?}: create, delete, slow, move, list"),
        ),
    }
}

fn role(state: &mut State, community: String, argument: &str) -> Vec<Effect> {
    let (word, rest) = split(argument);
    match word {
        "" | "list" => sheet::open(state, SheetKind::Roles(community)),
        "create" if rest.is_empty() => usage(state, "/role create NAME [rank=N] [PERMISSION...]"),
        "create" => {
            let mut change = RoleChange {
                community,
                role: None,
                delete: false,
                name: None,
                rank: None,
                colour: None,
                permissions: None,
            };
            let mut permissions = vec![];
            for word in rest.split_whitespace() {
                if let Some(rank) = word.strip_prefix("rank=") {
                    change.rank = rank.parse().ok();
                } else if change.name.is_none() {
                    change.name = Some(word.to_owned());
                } else {
                    permissions.push(word.to_owned());
                }
            }
            change.permissions = Some(permissions).filter(|words| !words.is_empty());
            vec![ask(state, Want::Done("The role is there".to_owned()), &change)]
        }
        "delete" => {
            let change = RoleChange {
                community,
                role: some(rest),
                delete: true,
                name: None,
                rank: None,
                colour: None,
                permissions: None,
            };
            vec![ask(state, Want::Done(format!("The role {rest} is gone")), &change)]
        }
        "grant" | "take" => {
            // The member and the role, in either order.
            let words: Vec<&str> = rest.split_whitespace().collect();
            let who = words.iter().find(|word| word.contains('@')).copied();
            let name = words.iter().find(|word| !word.contains('@')).copied();
            let (Some(who), Some(name)) = (who, name) else {
                return usage(state, format!("/role {word} @WHO ROLE"));
            };
            let act = if word == "grant" { MemberAct::GiveRole } else { MemberAct::TakeRole };
            let order = MemberChangeOrder {
                community,
                who: who.to_owned(),
                act,
                name: some(name),
                reason: None,
            };
            let said = if word == "grant" { "has" } else { "no longer has" };
            vec![ask(state, Want::Done(format!("{who} {said} the role {name}")), &order)]
        }
        other => usage(
            state,
            format!("/role does not know {other:?}: create, delete, grant, take, list"),
        ),
    }
}

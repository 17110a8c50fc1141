//! Roles: making, changing, giving and taking them.

use super::{some, split};
use crate::{
    agent::verb::{MemberAct, MemberChangeOrder, RoleChange},
    tui::{
        effect::Effect,
        state::{SheetKind, State, Want},
        update::{ask, sheet, usage},
    },
};

/// Does what `/role` says.
pub(super) fn run(state: &mut State, community: String, argument: &str) -> Vec<Effect> {
    let (word, rest) = split(argument);
    match word {
        "" | "list" => sheet::open(state, SheetKind::Roles(community)),
        "create" | "edit" if rest.is_empty() => usage(
            state,
            format!("/role {word} NAME [name=NEW] [rank=N] [colour=#RRGGBB] [PERMISSION...]"),
        ),
        "create" | "edit" => {
            let said = if word == "create" { "The role is there" } else { "The role is changed" };
            match order(community, word == "edit", rest) {
                Ok(change) => vec![ask(state, Want::Done(said.to_owned()), &change)],
                Err(why) => usage(state, why),
            }
        }
        "delete" => {
            let change = RoleChange { role: some(rest), delete: true, ..nothing(community) };
            vec![ask(state, Want::Done(format!("The role {rest} is gone")), &change)]
        }
        "grant" | "take" | "revoke" => {
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
            format!("/role does not know {other:?}: create, edit, delete, grant, take, list"),
        ),
    }
}

const fn nothing(community: String) -> RoleChange {
    RoleChange {
        community,
        role: None,
        delete: false,
        name: None,
        rank: None,
        colour: None,
        permissions: None,
    }
}

/// What a role is to be: its name first, then what is said of it, then its permissions.
fn order(community: String, is_there: bool, words: &str) -> Result<RoleChange, String> {
    let (name, rest) = split(words);
    let mut change = nothing(community);
    if is_there {
        change.role = some(name);
    } else {
        change.name = some(name);
    }
    let mut permissions = vec![];
    for word in rest.split_whitespace() {
        match word.split_once('=') {
            Some(("name", new)) => change.name = some(new),
            Some(("rank", rank)) => {
                let rank = rank.parse().map_err(|_| format!("{rank:?} is no rank: a number"))?;
                change.rank = Some(rank);
            }
            Some(("colour" | "color", colour)) => {
                let digits = colour.trim_start_matches('#');
                let parsed = u32::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 6);
                let wrong = || format!("{colour:?} is no colour: #rrggbb");
                change.colour = Some(parsed.ok_or_else(wrong)?);
            }
            Some((other, _)) => return Err(format!("A role has no {other}: name, rank, colour")),
            None => permissions.push(word.to_owned()),
        }
    }
    change.permissions = Some(permissions).filter(|words| !words.is_empty());
    Ok(change)
}

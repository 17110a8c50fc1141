//! `community`, `member`, `role`, `channel` and `group`.

use std::io::{BufRead as _, IsTerminal as _};

use super::Context;
use crate::{
    agent::verb::{
        Changed, ChannelCreate, ChannelEdit, ChannelGrant, ChannelLine, ChannelList,
        CommunityCreate, CommunityDetail, CommunityEdit, CommunityInvite, CommunityJoin,
        CommunityLeave, CommunityList, CommunityLog, CommunityMove, CommunityShow, CommunityVerify,
        GrantWord, LeaveLine, MemberAct, MemberChangeOrder, MemberLine, MemberList, RoleChange,
        RoleLine, RoleList,
    },
    args::{
        ChannelVerb, CommunityVerb, GrantArgs, GroupVerb, MemberVerb, RoleArgs, RoleVerb, Span,
    },
    error::{CommandError, Kind},
};

/// Founds, joins, lists, changes communities.
pub(super) async fn community(context: &Context, verb: CommunityVerb) -> Result<(), CommandError> {
    match verb {
        CommunityVerb::Create(args) => {
            let order = CommunityCreate {
                name: args.name,
                group: false,
                topic: args.topic,
                policy: args.policy,
                history: args.history,
                channels: args.channels,
                with: vec![],
            };
            changed(context, &context.ask(order).await?)
        }
        CommunityVerb::List => {
            for line in context.ask(CommunityList {}).await? {
                let (members, unread) = (line.members.to_string(), line.unread.to_string());
                let leaving = line.leaving.as_ref().map(LeaveLine::in_words);
                let said = line.alarm.clone().or(line.refusal.clone()).or(line.warning.clone());
                let alarm = leaving.or(said).unwrap_or_default();
                context.line(
                    &line,
                    &[&line.name, &line.kind, &line.standing, &members, &unread, &alarm],
                )?;
            }
            Ok(())
        }
        CommunityVerb::Show { community } => {
            let detail = context.ask(CommunityShow { community }).await?;
            show(context, &detail)
        }
        CommunityVerb::Join { link } => {
            let joined = context.ask(CommunityJoin { link }).await?;
            if joined.standing.as_deref() == Some("asking") {
                context.note("you asked to be let in: a member has to approve");
            }
            changed(context, &joined)
        }
        CommunityVerb::Leave { community } => {
            changed(context, &context.ask(CommunityLeave { community, delete: false }).await?)
        }
        CommunityVerb::Invite(args) => {
            let order = CommunityInvite {
                community: args.community,
                who: args.who,
                uses: args.uses,
                for_ms: args.expires.map(milliseconds),
                roles: args.roles,
                revoke: args.revoke,
            };
            changed(context, &context.ask(order).await?)
        }
        CommunityVerb::Edit(args) => {
            let order = CommunityEdit {
                community: args.community,
                name: args.name,
                topic: args.topic,
                policy: args.policy,
                owner: args.owner,
            };
            changed(context, &context.ask(order).await?)
        }
        CommunityVerb::Move { community, to } => {
            let order = CommunityMove { community, to };
            let moved = context.watch(order, |event| {
                context.note(&event.waits_for);
                Ok(())
            });
            changed(context, &moved.await?)
        }
        CommunityVerb::Delete { community, yes } => {
            confirm(context, yes, &format!("Delete {community} for all its members?"))?;
            changed(context, &context.ask(CommunityLeave { community, delete: true }).await?)
        }
        CommunityVerb::Log { community } => {
            for line in context.ask(CommunityLog { community, ..CommunityLog::default() }).await? {
                let seq = line.seq.to_string();
                let whom = line.whom.clone().unwrap_or_default();
                let text = line.text.clone().unwrap_or_default();
                context.line(&line, &[&seq, &line.by, &line.what, &whom, &text])?;
            }
            Ok(())
        }
        CommunityVerb::Verify { community } => verify(context, community).await,
    }
}

async fn verify(context: &Context, community: String) -> Result<(), CommandError> {
    let line = context.ask(CommunityVerify { community }).await?;
    let word = if line.holds { "holds" } else { "does not hold" };
    let statements = line.statements.to_string();
    let head = line.head.clone().unwrap_or_default();
    let alarm = line.alarm.clone().unwrap_or_default();
    context.line(&line, &[word, &statements, &head, &alarm])?;
    for fork in &line.forks {
        let channel =
            fork.channel.map_or_else(|| "log".to_owned(), |number| format!("channel {number}"));
        context.note(&format!(
                    "{} ({}) has signed two histories: entry {} of the {channel} is {} in one and {} in the other; the proof is in --json",
                    fork.hub, fork.fingerprint, fork.entry, fork.one, fork.other,
                ));
    }
    if line.holds {
        return Ok(());
    }
    Err(CommandError::new(Kind::Trust, "the community's log does not hold"))
}

fn show(context: &Context, detail: &CommunityDetail) -> Result<(), CommandError> {
    let members = detail.summary.members.to_string();
    let topic = detail.topic.clone().unwrap_or_default();
    context.line(
        detail,
        &[
            &detail.summary.name,
            &detail.summary.standing,
            &detail.owner,
            &members,
            &detail.policy,
            &detail.history,
            &topic,
        ],
    )?;
    if context.output.is_json() {
        return Ok(());
    }
    let leaving = detail.summary.leaving.as_ref().map(LeaveLine::in_words);
    let said = [&detail.summary.alarm, &detail.summary.warning, &detail.summary.refusal, &leaving];
    for doubt in said.into_iter().flatten() {
        context.note(doubt);
    }
    detail.channels.iter().try_for_each(|line| channel_line(context, line))?;
    detail.roles.iter().try_for_each(|line| role_line(context, line))?;
    for invite in &detail.invites {
        let (number, uses) = (
            invite.invite.to_string(),
            invite.uses_left.map_or_else(|| "any number".to_owned(), |left| left.to_string()),
        );
        let whom = invite.user.clone().unwrap_or_else(|| "whoever has the link".to_owned());
        context.line(invite, &["invitation", &number, &invite.by, &whom, &uses])?;
    }
    for user in &detail.asking {
        context.line(user, &["asks to be let in", user])?;
    }
    Ok(())
}

/// Lists members, sends them away, gives them roles.
pub(super) async fn member(context: &Context, verb: MemberVerb) -> Result<(), CommandError> {
    let order =
        |community, who, act| MemberChangeOrder { community, who, act, name: None, reason: None };
    let order = match verb {
        MemberVerb::List { community } => {
            for line in context.ask(MemberList { community }).await? {
                member_line(context, &line)?;
            }
            return Ok(());
        }
        MemberVerb::Kick(args) => MemberChangeOrder {
            reason: args.reason,
            ..order(args.community, args.who, MemberAct::Kick)
        },
        MemberVerb::Ban(args) => MemberChangeOrder {
            reason: args.reason,
            ..order(args.community, args.who, MemberAct::Ban)
        },
        MemberVerb::Unban { community, who } => order(community, who, MemberAct::Unban),
        MemberVerb::Role { community, who, role, remove } => MemberChangeOrder {
            name: Some(role),
            ..order(community, who, if remove { MemberAct::TakeRole } else { MemberAct::GiveRole })
        },
        MemberVerb::Nick { community, who, name } => {
            MemberChangeOrder { name, ..order(community, who, MemberAct::Nick) }
        }
        MemberVerb::Approve { community, who, refuse } => {
            order(community, who, if refuse { MemberAct::Refuse } else { MemberAct::Approve })
        }
    };
    changed(context, &context.ask(order).await?)
}

fn member_line(context: &Context, line: &MemberLine) -> Result<(), CommandError> {
    let nickname = line.nickname.clone().unwrap_or_default();
    let mut roles = line.roles.join(",");
    if line.owner {
        roles = if roles.is_empty() { "owner".to_owned() } else { format!("owner,{roles}") };
    }
    context.line(line, &[&line.name, &nickname, &roles])
}

/// Lists, makes, changes, ends roles.
pub(super) async fn role(context: &Context, verb: RoleVerb) -> Result<(), CommandError> {
    let change = |community, args: RoleArgs| RoleChange {
        community,
        role: None,
        delete: false,
        name: None,
        rank: args.rank,
        colour: args.colour,
        permissions: args
            .permissions
            .map(|words| words.into_iter().filter(|word| !word.is_empty()).collect()),
    };
    let nothing = RoleArgs { rank: None, colour: None, permissions: None };
    let order = match verb {
        RoleVerb::List { community } => {
            for line in context.ask(RoleList { community }).await? {
                role_line(context, &line)?;
            }
            return Ok(());
        }
        RoleVerb::Create { community, name, role } => {
            RoleChange { name: Some(name), ..change(community, role) }
        }
        RoleVerb::Edit { community, role, name, changes } => {
            RoleChange { role: Some(role), name, ..change(community, changes) }
        }
        RoleVerb::Delete { community, role } => {
            RoleChange { role: Some(role), delete: true, ..change(community, nothing) }
        }
    };
    changed(context, &context.ask(order).await?)
}

fn role_line(context: &Context, line: &RoleLine) -> Result<(), CommandError> {
    let rank = line.rank.to_string();
    let colour = line.colour.clone().unwrap_or_default();
    context.line(line, &[&line.name, &rank, &colour, &line.permissions.join(",")])
}

/// Lists, makes, changes, ends channels.
pub(super) async fn channel(context: &Context, verb: ChannelVerb) -> Result<(), CommandError> {
    let done = match verb {
        ChannelVerb::List { community } => {
            for line in context.ask(ChannelList { community }).await? {
                channel_line(context, &line)?;
            }
            return Ok(());
        }
        ChannelVerb::Create(args) => {
            let order = ChannelCreate {
                community: args.community,
                name: args.name,
                kind: args.kind,
                topic: args.topic,
                private: args.private,
                roles: args.roles,
                users: args.users,
                history: args.history,
                slow_mode_s: args.slow.map_or(0, seconds),
            };
            context.ask(order).await?
        }
        ChannelVerb::Edit(args) => {
            let order = ChannelEdit {
                channel: args.channel,
                delete: false,
                name: args.name,
                topic: args.topic,
                position: args.position,
                slow_mode_s: args.slow.map(seconds),
                archived: args.archived,
                history: args.history,
            };
            context.ask(order).await?
        }
        ChannelVerb::Delete { channel } => {
            context.ask(ChannelEdit { channel, delete: true, ..ChannelEdit::default() }).await?
        }
        ChannelVerb::Allow(args) => context.ask(grant(args, GrantWord::Allow)).await?,
        ChannelVerb::Deny(args) => context.ask(grant(args, GrantWord::Deny)).await?,
    };
    changed(context, &done)
}

fn grant(args: GrantArgs, how: GrantWord) -> ChannelGrant {
    let how = if args.clear { GrantWord::Clear } else { how };
    ChannelGrant { channel: args.channel, whom: args.whom, what: args.what, how }
}

fn channel_line(context: &Context, line: &ChannelLine) -> Result<(), CommandError> {
    let unread = line.unread.to_string();
    let private = if line.private { "private" } else { "public" };
    let topic = line.topic.clone().unwrap_or_default();
    let waits = line
        .waits_since
        .as_ref()
        .map(|since| format!("waits for its key since {since}: any member who is online gives it"))
        .unwrap_or_default();
    context.line(line, &[&line.name, &line.kind, private, &unread, &topic, &waits])
}

/// Makes groups, brings people in, sends them away.
pub(super) async fn group(context: &Context, verb: GroupVerb) -> Result<(), CommandError> {
    let marked = |group: String| if group.starts_with('+') { group } else { format!("+{group}") };
    let member = |group, who, act| MemberChangeOrder {
        community: marked(group),
        who,
        act,
        name: None,
        reason: None,
    };
    let done = match verb {
        GroupVerb::Create { name, with, history } => {
            let name = name.strip_prefix('+').unwrap_or(&name).to_owned();
            let order = CommunityCreate {
                name,
                group: true,
                topic: None,
                policy: crate::agent::verb::PolicyWord::Invited,
                history,
                channels: vec![],
                with,
            };
            context.ask(order).await?
        }
        GroupVerb::Add { group, who } => context.ask(member(group, who, MemberAct::Add)).await?,
        GroupVerb::Remove { group, who } => {
            context.ask(member(group, who, MemberAct::Kick)).await?
        }
        GroupVerb::Rename { group, name } => {
            let order = CommunityEdit {
                community: marked(group),
                name: Some(name),
                topic: None,
                policy: None,
                owner: None,
            };
            context.ask(order).await?
        }
        GroupVerb::Leave { group } => {
            context.ask(CommunityLeave { community: marked(group), delete: false }).await?
        }
    };
    changed(context, &done)
}

/// Writes what came of a change: a link first, because that is what one wants to copy.
pub(super) fn changed(context: &Context, line: &Changed) -> Result<(), CommandError> {
    let number = line.invite.map(|invite| invite.to_string());
    if let Some(leaving) = &line.leaving {
        context.note(&format!("{}; it is carried out by itself", leaving.in_words()));
    }
    let shown = line.link.as_ref().or(number.as_ref()).or(line.id.as_ref());
    match shown {
        Some(shown) => context.line(line, &[shown]),
        None if context.output.is_json() => context.line(line, &[]),
        None => Ok(()),
    }
}

/// Asks a person before something that cannot be undone.
fn confirm(context: &Context, yes: bool, question: &str) -> Result<(), CommandError> {
    if yes {
        return Ok(());
    }
    if context.output.is_json() || !std::io::stdin().is_terminal() {
        return Err(CommandError::new(Kind::Usage, "this cannot be undone: give --yes"));
    }
    eprintln!("{question} y or n");
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed)?;
    if matches!(typed.trim(), "y" | "yes") {
        return Ok(());
    }
    Err(CommandError::new(Kind::Usage, "nothing was changed"))
}

fn milliseconds(span: Span) -> u64 {
    u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX)
}

fn seconds(span: Span) -> u32 {
    u32::try_from(span.0.as_secs()).unwrap_or(u32::MAX)
}

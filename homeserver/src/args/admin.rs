//! Invites and accounts.

use std::{io::Read as _, path::PathBuf};

use clap::Subcommand;
use rookery_protocol::{
    codec::{self, MAX_BATCH},
    name::UserName,
    request::{
        Answer, Request,
        admin::{
            AccountChange, AccountEntry, AccountState, AdminError, ChangeUser, CreateInvite,
            ListInvites, ListUsers, ResetPassword, RevokeInvite, ShowUser,
        },
    },
    time::{Clock as _, SystemClock},
};
use serde_json::{Value, json};

use super::{
    Cli,
    output::{Failed, Kind, Report, time},
    serve,
};
use crate::{
    identity::Absent,
    server::Offline,
    transport::admin::{AdminCallError, ask},
};

#[derive(Debug, Subcommand)]
pub(super) enum Invite {
    /// Make an invite and print its link
    Create {
        /// How often it can be used
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// When it ends: after 30m, 12h or 7d
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        expires: Option<std::time::Duration>,
        /// What it is for
        #[arg(long)]
        note: Option<String>,
    },
    /// List the invites
    List,
    /// Withdraw an invite
    Revoke {
        /// Its id, as list shows it
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// List the accounts by name
    List {
        /// Only names after this one
        #[arg(long, value_name = "NAME")]
        after: Option<UserName>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one account
    Show {
        /// Whose
        name: UserName,
    },
    /// Let nobody log in to an account, and cut its connections
    Disable {
        /// Whose
        name: UserName,
    },
    /// Undo disable
    Enable {
        /// Whose
        name: UserName,
    },
    /// Erase an account but for its name and its chain, which stay reserved
    Delete {
        /// Whose
        name: UserName,
        /// Do it without asking
        #[arg(long)]
        yes: bool,
    },
    /// Give an account another password; its sessions end, and what is sealed stays sealed
    ResetPassword {
        /// Whose
        name: UserName,
        /// A file that holds the new password; standard input when not given
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("{text:?} is no duration: write 30m, 12h or 7d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    Ok(std::time::Duration::from_secs(number.saturating_mul(seconds)))
}

/// Asks the server that runs, or does it on its database when none does.
pub(super) async fn call<R: Request>(
    cli: &Cli,
    request: &R,
) -> Result<Answer<R::Reply, R::Error>, Failed> {
    match ask(&cli.data()?, request).await {
        Err(AdminCallError::NotRunning { .. }) => {}
        other => return Ok(other?),
    }
    let offline = Offline::open(serve::open(cli, cli.load()?, Absent::Refuse).await?)?;
    let seat = offline.router.services().seats.administrator();
    let bytes = offline.router.answer(R::METHOD, codec::encode(request), seat).await;
    offline.close().await;
    codec::decode_within(&bytes, 2 * MAX_BATCH).map_err(|error| Failed::because(error.to_string()))
}

/// The reply to an administrator's request, or why there is none.
pub(super) async fn reply<R: Request<Error = AdminError>>(
    cli: &Cli,
    request: &R,
) -> Result<R::Reply, Failed> {
    match call(cli, request).await? {
        Answer::Reply(reply) => Ok(reply),
        Answer::Error(error @ AdminError::NotFound { .. }) => {
            Err(Failed::new(Kind::NotFound, error.to_string()))
        }
        Answer::Error(error @ AdminError::Precondition { .. }) => {
            Err(Failed::new(Kind::Precondition, error.to_string()))
        }
        Answer::Refused(refusal) => Err(Failed::new(Kind::Unavailable, refusal.to_string())),
    }
}

pub(super) async fn list<R: Request>(cli: &Cli, request: &R) -> Result<R::Reply, Failed> {
    match call(cli, request).await? {
        Answer::Reply(reply) => Ok(reply),
        Answer::Error(error) => Err(Failed::because(error.to_string())),
        Answer::Refused(refusal) => Err(Failed::new(Kind::Unavailable, refusal.to_string())),
    }
}

/// Makes, lists and withdraws invites.
pub(super) async fn invite(cli: &Cli, verb: &Invite) -> Result<Report, Failed> {
    match verb {
        Invite::Create { uses, expires, note } => {
            let expires = expires.map(|after| SystemClock.now().plus(after));
            let request = CreateInvite { uses: *uses, expires, note: note.clone() };
            let invite = reply(cli, &request).await?;
            let link = invite.link.clone().unwrap_or_default();
            Ok(Report::new(shown(&invite), link))
        }
        Invite::List => {
            let invites = list(cli, &ListInvites {}).await?.invites;
            let line = |invite: &rookery_protocol::request::admin::Invite| {
                let ends = invite
                    .expires
                    .map_or_else(|| "never ends".to_owned(), |at| format!("ends {}", time(at)));
                let state = if invite.revoked {
                    "withdrawn".to_owned()
                } else {
                    format!("{} left", invite.uses_left)
                };
                format!(
                    "{}  {state}  {ends}  {}",
                    invite.id,
                    invite.note.as_deref().unwrap_or_default()
                )
            };
            let lines: Vec<String> =
                invites.iter().map(|invite| line(invite).trim_end().to_owned()).collect();
            let invites: Vec<Value> = invites.iter().map(shown).collect();
            Ok(Report::new(json!({ "invites": invites }), lines.join("\n")))
        }
        Invite::Revoke { id } => {
            reply(cli, &RevokeInvite { id: id.clone() }).await?;
            Ok(Report::new(json!({ "id": id }), format!("invite {id} is withdrawn")))
        }
    }
}

fn shown(invite: &rookery_protocol::request::admin::Invite) -> Value {
    let mut value = json!({
        "id": invite.id,
        "uses_left": invite.uses_left,
        "created": time(invite.created),
        "expires": invite.expires.map(time),
        "note": invite.note,
        "revoked": invite.revoked,
    });
    if let (Some(link), Some(object)) = (&invite.link, value.as_object_mut()) {
        object.insert("link".to_owned(), json!(link));
    }
    value
}

/// Lists, shows and changes accounts.
pub(super) async fn user(cli: &Cli, verb: &User) -> Result<Report, Failed> {
    match verb {
        User::List { after, limit } => {
            let found = list(cli, &ListUsers { after: after.clone(), limit: *limit }).await?;
            let mut lines: Vec<String> = found.users.iter().map(line).collect();
            if let (true, Some(last)) = (found.more, found.users.last()) {
                lines.push(format!("more follow: --after {}", last.name));
            }
            let users: Vec<Value> = found.users.iter().map(account).collect();
            Ok(Report::new(json!({ "users": users, "more": found.more }), lines.join("\n")))
        }
        User::Show { name } => {
            let found = reply(cli, &ShowUser { name: name.clone() }).await?;
            Ok(Report::new(account(&found), format!("{}\nuser {}", line(&found), found.user)))
        }
        User::Disable { name } => change(cli, name, AccountChange::Disable, "disabled").await,
        User::Enable { name } => change(cli, name, AccountChange::Enable, "enabled").await,
        User::Delete { name, yes } => {
            if !yes {
                return Err(Failed::usage(format!("deleting {name} cannot be undone"))
                    .hint("say --yes to do it; `user disable` can be undone"));
            }
            change(cli, name, AccountChange::Delete, "deleted; the name stays reserved").await
        }
        User::ResetPassword { name, password_file } => {
            let text = if let Some(file) = password_file {
                std::fs::read_to_string(file)
                    .map_err(|error| Failed::because(format!("{}: {error}", file.display())))?
            } else {
                let mut text = String::new();
                std::io::stdin()
                    .read_to_string(&mut text)
                    .map_err(|error| Failed::because(error.to_string()))?;
                text
            };
            let password = text.trim_end_matches(['\r', '\n']).to_owned();
            reply(cli, &ResetPassword { name: name.clone(), password }).await?;
            let text = format!("{name} has a new password, and all sessions of {name} have ended");
            Ok(Report::new(json!({ "name": name.as_str() }), text))
        }
    }
}

async fn change(
    cli: &Cli,
    name: &UserName,
    change: AccountChange,
    done: &str,
) -> Result<Report, Failed> {
    reply(cli, &ChangeUser { name: name.clone(), change }).await?;
    Ok(Report::new(json!({ "name": name.as_str() }), format!("{name} is {done}")))
}

const fn state(state: AccountState) -> &'static str {
    match state {
        AccountState::Active => "active",
        AccountState::Disabled => "disabled",
        AccountState::Deleted => "deleted",
    }
}

fn account(entry: &AccountEntry) -> Value {
    json!({
        "name": entry.name.as_str(),
        "user": entry.user.to_string(),
        "state": state(entry.state),
        "created": time(entry.created),
        "last_seen": entry.last_seen.map(time),
        "devices": entry.devices,
        "sessions": entry.sessions,
        "waiting_envelopes": entry.waiting_envelopes,
        "email": entry.email,
    })
}

fn line(entry: &AccountEntry) -> String {
    let seen =
        entry.last_seen.map_or_else(|| "never seen".to_owned(), |at| format!("seen {}", time(at)));
    format!(
        "{}  {}  {} devices, {} sessions, {} envelopes waiting, {seen}",
        entry.name,
        state(entry.state),
        entry.devices,
        entry.sessions,
        entry.waiting_envelopes,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(duration("12h").unwrap().as_secs(), 43_200);
        for text in ["", "h", "12", "-1h", "1w", "é"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}

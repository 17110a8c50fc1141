//! `whoami`, `status`, `logout`, `profile`, `session`, `presence`, `account`.

use std::io::{BufRead as _, IsTerminal as _};

use serde_json::json;

use super::Context;
use crate::{
    agent::verb::{
        AccountDelete, AccountPassword, Connection, Logout, PeerList, PeerTrust, PresenceSet,
        PresenceShow, ProfileLine, ProfileShow, SessionEnd, SessionList, Settings, Status, Whoami,
    },
    args::{AccountVerb, PresenceVerb, ProfileVerb, SessionVerb, ask_secret, read_secret},
    error::{CommandError, Kind},
};

/// Whose profile this is.
pub(super) async fn whoami(context: &Context) -> Result<(), CommandError> {
    let who = context.ask(Whoami {}).await?;
    context.line(&who, &[&who.name, &who.state, &who.device, &who.device_name])
}

/// How everything stands; exit code 3 when there is no connection.
pub(super) async fn status(context: &Context) -> Result<(), CommandError> {
    let status = context.ask(Status {}).await?;
    let connection = match status.connection {
        Connection::Online => "online",
        Connection::Connecting => "connecting",
        Connection::Offline => "offline",
        Connection::Ended => "ended",
    };
    let (queued, devices) =
        (format!("queued {}", status.queued), format!("devices {}", status.devices));
    let failed = format!("failed {}", status.failed);
    context.line(
        &status,
        &[&status.name, connection, &queued, &devices, &status.state, &status.address, &failed],
    )?;
    for name in &status.not_believed {
        context.note(&format!(
            "the server of {name} is not to be believed: `rookery community verify {name}`"
        ));
    }
    for leaving in &status.leaving {
        context.note(&leaving.in_words());
    }
    if status.connection == Connection::Online {
        return Ok(());
    }
    let reason = status.reason.unwrap_or_else(|| "there is no connection to the server".to_owned());
    Err(CommandError::new(
        Kind::NoConnection,
        format!("{reason}; {} messages are queued", status.queued),
    ))
}

/// The other servers that the home is in touch with.
pub(super) async fn peers(
    context: &Context,
    trust: Option<(String, String)>,
) -> Result<(), CommandError> {
    if let Some((server, root)) = trust {
        context.ask(PeerTrust { server, root }).await?;
    }
    for peer in context.ask(PeerList {}).await? {
        let waiting = format!("waiting {}", peer.waiting);
        context.line(&peer, &[&peer.server, &peer.state, &peer.since, &waiting])?;
    }
    Ok(())
}

/// Signs this device out.
pub(super) async fn logout(context: &Context) -> Result<(), CommandError> {
    context.ask(Logout {}).await?;
    context.line(&json!({ "v": 1, "state": "ended" }), &["ended"])
}

/// Shows or changes profiles.
pub(super) async fn profile(context: &Context, verb: ProfileVerb) -> Result<(), CommandError> {
    let profile: ProfileLine = match verb {
        ProfileVerb::Show { who } => context.ask(ProfileShow { who }).await?,
        ProfileVerb::Set(set) => context.ask(set).await?,
    };
    if context.output.is_json() {
        return context.line(&profile, &[]);
    }
    let rows = [
        ("name", Some(&profile.name)),
        ("user", Some(&profile.user)),
        ("display-name", profile.display_name.as_ref()),
        ("first-name", profile.first_name.as_ref()),
        ("last-name", profile.last_name.as_ref()),
        ("status", profile.status.as_ref()),
        ("locale", profile.locale.as_ref()),
        ("time-zone", profile.time_zone.as_ref()),
    ];
    for (key, value) in rows {
        if let Some(value) = value {
            context.line(&(), &[key, value])?;
        }
    }
    Ok(())
}

/// Lists or ends sessions.
pub(super) async fn session(context: &Context, verb: SessionVerb) -> Result<(), CommandError> {
    match verb {
        SessionVerb::List => {
            for session in context.ask(SessionList {}).await? {
                let current = if session.current { "this" } else { "" };
                context
                    .line(&session, &[&session.id, &session.device, &session.last_seen, current])?;
            }
            Ok(())
        }
        SessionVerb::End { id } => {
            context.ask(SessionEnd { id: id.clone() }).await?;
            context.line(&json!({ "v": 1, "id": id, "state": "ended" }), &[&id, "ended"])
        }
    }
}

/// Says how one is, or shows how others are.
pub(super) async fn presence(
    context: &Context,
    verb: Option<PresenceVerb>,
) -> Result<(), CommandError> {
    match verb.unwrap_or(PresenceVerb::Show) {
        PresenceVerb::Show => {
            for presence in context.ask(PresenceShow {}).await? {
                let status = presence.status.as_deref().unwrap_or_default();
                context.line(
                    &presence,
                    &[
                        &presence.name,
                        &presence.state,
                        presence.last_online.as_deref().unwrap_or("-"),
                        status,
                    ],
                )?;
            }
            Ok(())
        }
        PresenceVerb::Set { state, status } => {
            context.ask(PresenceSet { state, status }).await?;
            context.line(&json!({ "v": 1, "state": state }), &["set"])
        }
    }
}

/// Password, settings, and the end of the account.
pub(super) async fn account(context: &Context, verb: AccountVerb) -> Result<(), CommandError> {
    match verb {
        AccountVerb::Password { old_password_file, new_password_file } => {
            let old = match old_password_file {
                Some(file) => read_secret(&file)?,
                None => ask_secret("Password until now", "give it by --old-password-file")?,
            };
            let new = match new_password_file {
                Some(file) => read_secret(&file)?,
                None => ask_secret("New password", "give it by --new-password-file")?,
            };
            context.ask(AccountPassword { old: old.to_string(), new: new.to_string() }).await?;
            context.line(&json!({ "v": 1, "state": "changed" }), &["changed"])
        }
        AccountVerb::Settings(settings) => {
            let line = context.ask(settings).await?;
            let writers = serde_json::to_value(line.writers).ok();
            let writers = writers.as_ref().and_then(|word| word.as_str()).unwrap_or_default();
            let fields = [
                format!("writers {writers}"),
                format!("presence {}", line.presence),
                format!("suggest {}", line.suggest),
                format!("read-receipts {}", line.read_receipts),
                format!("archive {}", line.archive),
            ];
            context.line(&line, &fields.each_ref().map(String::as_str))
        }
        AccountVerb::Delete { password_file, recovery_key_file, yes } => {
            if !yes {
                agree(
                    "This closes the account for good; its name stays reserved, and nobody can bring it back.",
                )?;
            }
            let password = match password_file {
                Some(file) => read_secret(&file)?,
                None => ask_secret("Password", "give it by --password-file")?,
            };
            let recovery_key = recovery_key_file
                .map(|file| read_secret(&file))
                .transpose()?
                .map(|key| key.to_string());
            context.ask(AccountDelete { password: password.to_string(), recovery_key }).await?;
            context.line(&json!({ "v": 1, "state": "closed" }), &["closed"])
        }
    }
}

fn agree(what: &str) -> Result<(), CommandError> {
    if !std::io::stdin().is_terminal() {
        return Err(CommandError::new(Kind::Usage, "nobody is at a terminal to be asked")
            .hint("--yes does it unasked"));
    }
    eprintln!("{what} Type yes to go on:");
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed)?;
    if typed.trim() == "yes" {
        Ok(())
    } else {
        Err(CommandError::new(Kind::Failed, "nothing was done"))
    }
}

/// Shows or changes what a user's devices share.
pub(super) async fn settings(
    context: &Context,
    name: Option<String>,
    value: Option<String>,
    of: Option<String>,
) -> Result<(), CommandError> {
    for line in context.ask(Settings { of, name, value }).await? {
        context.line(&line, &[&line.name, &line.value])?;
    }
    Ok(())
}

//! `device` and `recovery`.

use std::io::{BufRead as _, IsTerminal as _};

use super::{Context, enter::settle_in};
use crate::{
    agent::{
        Lock, Need,
        verb::{
            DeviceLine, DeviceLink, DeviceList, DeviceRename, DeviceRevoke, KeysShow,
            RecoveryCreate,
        },
    },
    args::{DeviceVerb, RecoveryVerb, read_secret},
    engine,
    error::{CommandError, Kind},
    store,
};

/// Lists, links, revokes, renames.
pub(super) async fn device(context: &Context, verb: DeviceVerb) -> Result<(), CommandError> {
    match verb {
        DeviceVerb::List => {
            for device in context.ask(DeviceList {}).await? {
                device_line(context, &device)?;
            }
            Ok(())
        }
        DeviceVerb::Link { yes, no_history } => link(context, yes, no_history).await,
        DeviceVerb::Revoke { device, stolen, recovery_key_file } => {
            let recovery_key = recovery_key_file
                .map(|file| read_secret(&file))
                .transpose()?
                .map(|key| key.to_string());
            let line = context.ask(DeviceRevoke { device, stolen, recovery_key }).await?;
            context.line(&line, &[&line.state, line.device.as_deref().unwrap_or_default()])
        }
        DeviceVerb::Rename { device, name } => {
            let line = context.ask(DeviceRename { device, name }).await?;
            device_line(context, &line)
        }
    }
}

fn device_line(context: &Context, device: &DeviceLine) -> Result<(), CommandError> {
    let this = if device.this { "this" } else { "" };
    context
        .line(device, &[&device.id, &device.name, device.last_seen.as_deref().unwrap_or("-"), this])
}

async fn link(context: &Context, yes: bool, no_history: bool) -> Result<(), CommandError> {
    let can_ask = std::io::stdin().is_terminal() && !context.output.is_json();
    if !yes && !can_ask {
        return Err(CommandError::new(
            Kind::Usage,
            "somebody has to agree to the new device, and nobody is at a terminal",
        )
        .hint("--yes agrees to the device that knows the code"));
    }
    let mut access = context.access().await?;
    let order = DeviceLink { yes, no_history, answer: None };
    let linked = access
        .ask_answered(order, |event| {
            context.line(&event, &[&event.code, &event.expires])?;
            context
                .note("type this code on the new device: rookery login ADDRESS NAME --code-file -");
            Ok(())
        })
        .await;
    let linked = match linked {
        Ok(linked) if linked.state == "introduced" => {
            eprintln!(
                "A device knows the code. It calls itself {:?}, runs on {}, and its key is {}.\nIs it yours? y or n",
                crate::render::field(linked.name.as_deref().unwrap_or_default()),
                crate::render::field(linked.platform.as_deref().unwrap_or_default()),
                linked.device.as_deref().unwrap_or_default(),
            );
            let mut typed = String::new();
            std::io::stdin().lock().read_line(&mut typed)?;
            let answer = matches!(typed.trim(), "y" | "yes");
            access
                .ask_answered(DeviceLink { yes, no_history, answer: Some(answer) }, |_| Ok(()))
                .await
        }
        other => other,
    };
    access.close().await;
    let linked = linked?;
    context.line(&linked, &[&linked.state, linked.device.as_deref().unwrap_or_default()])
}

/// Replaces the recovery key, or certifies this device with it.
pub(super) async fn recovery(context: &Context, verb: RecoveryVerb) -> Result<(), CommandError> {
    match verb {
        RecoveryVerb::Show => {
            let keys = context.ask(KeysShow {}).await?;
            let since = keys.recovery_since.as_deref().unwrap_or("-");
            let fields = [
                format!("recovery-key since {since}"),
                format!("device {} of {}", keys.device_name, keys.devices),
                format!("generation {}", keys.generation),
                format!("verified {} of {}", keys.verified, keys.people),
            ];
            context.line(&keys, &fields.each_ref().map(String::as_str))
        }
        RecoveryVerb::Create { recovery_key_file, old_recovery_key_file } => {
            let file = std::path::absolute(recovery_key_file)?;
            let old = old_recovery_key_file
                .map(|file| read_secret(&file))
                .transpose()?
                .map(|key| key.to_string());
            // Kept before it is in force: a key that nobody has locks everybody out.
            let new = engine::new_recovery_key(&file)?;
            let outcome = context.ask(RecoveryCreate { old, new: new.to_string() }).await;
            if outcome.is_err() {
                std::fs::remove_file(&file).ok();
            }
            let path = file.display().to_string();
            let line = outcome?;
            context.line(
                &serde_json::json!({ "v": 1, "state": line.state, "recovery_key_file": path }),
                &[&line.state, &path],
            )
        }
        RecoveryVerb::Use { recovery_key_file } => {
            let key = crate::agent::verb::parse_recovery_key(&read_secret(&recovery_key_file)?)?;
            let lock = Lock::take(&context.place).await?;
            let store =
                store::unlock(&context.place, context.secret_source()(Need::First)?).await?;
            let account = Box::pin(engine::recover(&store, &key)).await?;
            settle_in(context, lock, store).await?;
            let who = engine::whoami_line(&account);
            context.line(&who, &[&who.name, &who.state, &who.device])
        }
    }
}

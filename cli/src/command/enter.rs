//! `register` and `login`.

use std::time::Duration;

use rookery_protocol::{
    name::JoinLink,
    time::{Clock as _, SystemClock},
};
use serde_json::json;
use zeroize::Zeroizing;

use super::Context;
use crate::{
    agent::{Lock, Need, Owner},
    args::{LoginArgs, RegisterArgs, ask_secret, read_secret},
    e2ee::identity::MadeFor,
    engine::{self, Entered, LoginOrder, RegisterOrder},
    error::{CommandError, Kind},
    store::{self, Account, AccountStage, Store},
};

/// Opens an account.
pub(super) async fn register(context: &Context, args: RegisterArgs) -> Result<(), CommandError> {
    let link: JoinLink = args.link.parse()?;
    let name = args.name.parse()?;
    let password = match &args.password_file {
        Some(file) => read_secret(file)?,
        None => new_password()?,
    };
    let lock = Lock::take(&context.place).await?;
    let store = store::create(&context.place, context.secret_source()(Need::First)?).await?;
    let has_default_place = args.recovery_key_file.is_none();
    let recovery_key_file = match args.recovery_key_file {
        Some(file) => std::path::absolute(file)?,
        None => context.place.recovery_key(),
    };
    let order = RegisterOrder {
        link,
        name,
        password,
        recovery_key_file: recovery_key_file.clone(),
        device_name: args.device_name.unwrap_or_else(machine_name),
        made_for: if args.bot { MadeFor::Bot } else { MadeFor::Person },
    };
    let entered = Box::pin(engine::register(&context.place, &store, order)).await;
    store.close().await;
    drop(lock);
    let entered = entered?;
    note_pin(context, &entered);
    let path = recovery_key_file.display().to_string();
    if has_default_place {
        context.note(&format!("the recovery key is in {path}: write it down or move it to a safe place, for whoever has it has the account"));
    }
    tell(context, &entered.account, Some(&path))
}

/// Logs this device in, and has it certified if a code or the recovery key was given.
pub(super) async fn login(context: &Context, args: LoginArgs) -> Result<(), CommandError> {
    let name = args.name.parse()?;
    let lock = Lock::take(&context.place).await?;
    let store = store::create(&context.place, context.secret_source()(Need::First)?).await?;
    let outcome = Box::pin(enter(context, &store, args, name)).await;
    let account = match outcome {
        Ok(account) => account,
        Err(error) => {
            store.close().await;
            return Err(error);
        }
    };
    if account.stage == AccountStage::Certified {
        settle_in(context, lock, store).await?;
    } else {
        store.close().await;
        context.note("this device is logged in and not certified yet: run `rookery device link` on another device, and this command again with --code-file; or with --recovery-key-file");
    }
    tell(context, &account, None)
}

async fn enter(
    context: &Context,
    store: &Store,
    args: LoginArgs,
    name: rookery_protocol::name::UserName,
) -> Result<Account, CommandError> {
    let known = store
        .read()
        .await?
        .account()
        .await?
        .filter(|account| account.stage == AccountStage::Uncertified && account.name == name);
    let account = match known {
        // The same command again, now with the code: the session of the first time still serves.
        Some(account) if args.code_file.is_some() || args.recovery_key_file.is_some() => account,
        _ => {
            let password = match &args.password_file {
                Some(file) => read_secret(file)?,
                None => ask_secret("Password", "give it by --password-file")?,
            };
            let device_name = args.device_name.unwrap_or_else(machine_name);
            let order = LoginOrder { server: args.server, name, password, device_name };
            let entered = engine::login(&context.place, store, order).await?;
            note_pin(context, &entered);
            entered.account
        }
    };
    if account.stage != AccountStage::Uncertified {
        return Ok(account);
    }
    if let Some(file) = args.code_file {
        let code = read_secret(&file)?;
        return engine::link_new_device(store, code_of(&code), || SystemClock.now()).await;
    }
    if let Some(file) = args.recovery_key_file {
        let key = crate::agent::verb::parse_recovery_key(&read_secret(&file)?)?;
        return engine::recover(store, &key).await;
    }
    Ok(account)
}

/// The code in a line: itself, or as `device link --json` prints it.
fn code_of(line: &str) -> &str {
    line.split("\"code\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or(line).trim()
}

/// A newly certified device publishes its keys and reads what there is, so that it is of use at once.
pub(super) async fn settle_in(
    context: &Context,
    lock: Lock,
    store: Store,
) -> Result<(), CommandError> {
    let owner = Owner::start(&context.place, lock, store).await?;
    let outcome = owner.engine().settle_in(Duration::from_mins(1)).await;
    owner.stop().await;
    outcome
}

fn tell(
    context: &Context,
    account: &Account,
    recovery_key_file: Option<&str>,
) -> Result<(), CommandError> {
    let who = engine::whoami_line(account);
    let mut value = json!(who);
    if let (Some(file), Some(object)) = (recovery_key_file, value.as_object_mut()) {
        object.insert("recovery_key_file".to_owned(), json!(file));
    }
    context.line(&value, &[&who.name, &who.state, &who.device])
}

fn note_pin(context: &Context, entered: &Entered) {
    if let Some(host) = &entered.pinned {
        context.note(&format!(
            "{} at {} was met for the first time; its fingerprint is {}",
            host.server, host.address, host.key
        ));
    }
}

fn new_password() -> Result<Zeroizing<String>, CommandError> {
    let password = ask_secret("New password", "give it by --password-file")?;
    if ask_secret("The same again", "give it by --password-file")? != password {
        return Err(CommandError::new(Kind::Usage, "the two were not the same; nothing was done"));
    }
    Ok(password)
}

/// What this machine is called.
fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "device".to_owned() } else { name.chars().take(60).collect() }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_code_is_taken_bare_or_out_of_json() {
        assert_eq!(super::code_of("7-river-oxygen-stage\n"), "7-river-oxygen-stage");
        assert_eq!(
            super::code_of(r#"{"v":1,"code":"7-river-oxygen-stage","expires":"x"}"#),
            "7-river-oxygen-stage"
        );
    }
}

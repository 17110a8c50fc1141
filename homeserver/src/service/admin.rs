//! What an administrator asks.

use std::{path::Path, sync::Arc};

use rookery_protocol::{
    name::UserName,
    request::{
        Failure, Refusal,
        admin::{
            AccountChange, AccountEntry, AccountState, AdminError, BackupReport, ListUsers,
            StatusReport, Users,
        },
    },
};

use super::{Services, directory::Resident, fence, password};
use crate::{
    identity::copy_keys,
    repository::{BackupError, account::AccountSummary},
};

/// How the server is.
pub async fn status(services: &Services, listen: &str) -> Result<StatusReport, Refusal> {
    let storage = |error| super::refusal(&error);
    let census = services.storage.read().await.map_err(storage)?.census().await.map_err(storage)?;
    let waits = fence::waits(services);
    Ok(StatusReport {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        since: services.since,
        address: listen.to_owned(),
        name: services.identity.name.to_string(),
        fingerprint: services.identity.server().to_string(),
        database: services.storage.kind().to_string(),
        incarnation: services.storage.incarnation(),
        users: census.accounts,
        connections: services.seats.count().0,
        waiting_envelopes: census.waiting_envelopes,
        writable: services.storage.probe().await.is_ok(),
        fenced: waits.as_ref().map(|(since, _)| *since),
        waits_for: waits.map(|(_, peers)| peers).unwrap_or_default(),
    })
}

/// Lists accounts by name.
pub async fn users(services: &Services, request: ListUsers) -> Result<Users, Refusal> {
    let storage = |error| super::refusal(&error);
    let limit = request.limit.clamp(1, 500);
    let mut view = services.storage.read().await.map_err(storage)?;
    let mut rows =
        view.accounts(request.after.as_ref(), limit.saturating_add(1)).await.map_err(storage)?;
    drop(view);
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    let mut users = Vec::with_capacity(rows.len());
    for row in rows {
        users.push(entry(services, row).await?);
    }
    Ok(Users { users, more })
}

/// Shows one account.
pub async fn user(
    services: &Services,
    name: &UserName,
) -> Result<AccountEntry, Failure<AdminError>> {
    let row = services.storage.read().await?.account_summary(name).await?.ok_or_else(no_user)?;
    Ok(entry(services, row).await?)
}

async fn entry(services: &Services, row: AccountSummary) -> Result<AccountEntry, Refusal> {
    let resident =
        services.resident(row.account.user).await.map_err(|error| super::refusal(&error))?;
    let devices = resident.map_or(0, |resident| resident.live.len());
    Ok(AccountEntry {
        name: row.account.name,
        user: row.account.user,
        state: row.account.state,
        created: row.account.created,
        last_seen: row.account.last_seen,
        devices: u32::try_from(devices).unwrap_or(u32::MAX),
        sessions: row.sessions,
        waiting_envelopes: row.waiting_envelopes,
        email: row.account.email,
    })
}

fn no_user() -> Failure<AdminError> {
    Failure::Error(AdminError::NotFound { what: "user".to_owned() })
}

/// Disables, enables or deletes an account.
pub async fn change(
    services: &Services,
    name: &UserName,
    change: AccountChange,
) -> Result<(), Failure<AdminError>> {
    let turn = services.order.lock().await;
    let account =
        services.storage.read().await?.account_by_name(name).await?.ok_or_else(no_user)?;
    if account.state == AccountState::Deleted {
        let reason = format!("the account {name} is deleted, and its name stays reserved");
        return Err(Failure::Error(AdminError::Precondition { reason }));
    }
    let resident = services.resident(account.user).await?;
    let mut unit = services.storage.begin().await?;
    let state = match change {
        AccountChange::Disable => AccountState::Disabled,
        AccountChange::Enable => AccountState::Active,
        AccountChange::Delete => AccountState::Deleted,
    };
    if change == AccountChange::Delete {
        unit.erase_account(account.user).await?;
    } else {
        unit.set_account_state(account.user, state).await?;
    }
    unit.commit().await?;
    if let Some(resident) = resident {
        services
            .directory
            .put(&Arc::new(Resident { account: state, ..Resident::clone(&resident) }));
    }
    if change == AccountChange::Delete {
        services.directory.forget_standings();
        services.presences.forget(account.user);
    }
    drop(turn);
    if change != AccountChange::Enable {
        services.seats.cut(account.user, |_| true);
    }
    tracing::info!(user = %account.user, ?change, "the administrator changed an account");
    Ok(())
}

/// Gives an account another password; all its sessions end.
pub async fn reset_password(
    services: &Services,
    name: &UserName,
    new: String,
) -> Result<(), Failure<AdminError>> {
    if !password::LENGTH.contains(&new.len()) {
        let reason = "a password has 8 to 1,024 bytes".to_owned();
        return Err(Failure::Error(AdminError::Precondition { reason }));
    }
    let account =
        services.storage.read().await?.account_by_name(name).await?.ok_or_else(no_user)?;
    let hash = services.passwords.hash(new).await?;
    let mut unit = services.storage.begin().await?;
    if account.state == AccountState::Deleted || !unit.set_password(account.user, &hash).await? {
        return Err(no_user());
    }
    unit.end_sessions_of_user(account.user, None, services.clock.now()).await?;
    unit.commit().await?;
    services.seats.cut(account.user, |_| true);
    tracing::info!(user = %account.user, "the administrator reset a password");
    Ok(())
}

/// Copies the database and the keys into a new folder.
pub async fn backup(
    services: &Services,
    data: &Path,
    to: &Path,
) -> Result<BackupReport, Failure<AdminError>> {
    let failed = |error: BackupError| match error {
        BackupError::Storage(error) => Failure::Refused(super::refusal(&error)),
        other => {
            let cause = std::error::Error::source(&other)
                .map(|cause| format!(": {cause}"))
                .unwrap_or_default();
            Failure::Error(AdminError::Precondition { reason: format!("{other}{cause}") })
        }
    };
    let mut bytes = services.storage.backup(to).await.map_err(failed)?;
    let copied = copy_keys(data, to).map_err(|error| {
        let cause =
            std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Failure::Error(AdminError::Precondition { reason: format!("{error}{cause}") })
    })?;
    bytes = bytes.saturating_add(copied);
    Ok(BackupReport { path: to.display().to_string(), bytes })
}

//! The database: its schema, copies of it, and a new life out of a copy.

use std::path::PathBuf;

use clap::Args;
use rookery_protocol::{
    request::admin,
    time::{Clock as _, SystemClock},
};
use serde_json::json;

use super::{
    Cli,
    admin::reply,
    output::{Failed, Kind, Report, chain},
    serve,
};
use crate::{
    database::{self, Address},
    identity::{Absent, DataDir, DataDirError, copy_keys, custody},
    repository::{BackupError, postgres, sqlite},
    server,
    service::fence,
};

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The folder to make; there must be nothing there yet
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The folder that backup made
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
}

/// Brings the schema up to date, which opening a database does.
pub(super) async fn migrate(cli: &Cli) -> Result<Report, Failed> {
    let ingredients = serve::open(cli, cli.load()?, Absent::Refuse).await?;
    let kind = ingredients.storage.kind().to_string();
    ingredients.storage.close().await;
    Ok(Report::new(
        json!({ "database": kind }),
        format!("the {kind} database is of this version's schema"),
    ))
}

/// Copies database and keys.
pub(super) async fn backup(cli: &Cli, backup: &Backup) -> Result<Report, Failed> {
    let to = std::path::absolute(&backup.to).map_err(|error| Failed::because(error.to_string()))?;
    let report = reply(cli, &admin::Backup { to: to.display().to_string() }).await?;
    let text = format!(
        "copied {} bytes to {}\nit holds the server's keys: keep it as safe as the server",
        report.bytes, report.path
    );
    Ok(Report::new(json!({ "path": report.path, "bytes": report.bytes }), text))
}

/// Makes a data directory out of a copy. The server begins a new life: positions may be given again, so every device reads from the
/// beginning, and one-time keys that may have been given away since are dropped.
pub(super) async fn restore(cli: &Cli, restore: &Restore) -> Result<Report, Failed> {
    let loaded = cli.load()?;
    let path = cli.data()?;
    if custody::look(&restore.from).is_err() {
        let text = format!("{} is no copy that `rookeryd backup` made", restore.from.display());
        return Err(Failed::new(Kind::NotFound, text));
    }
    let data = DataDir::take(&path, Absent::Make)?;
    if data.has_identity() {
        return Err(Failed::from(DataDirError::Present { path })
            .hint("restore into an empty directory, and move the old one away by hand"));
    }
    let incarnation = database::new_incarnation()?;
    match Address::parse(loaded.config.database.as_deref(), &path)? {
        Address::Sqlite(file) => sqlite::restore(&restore.from, &file, incarnation).await,
        Address::Postgres(url) => {
            postgres::restore(&restore.from, &database::postgres_settings(url, incarnation)).await
        }
    }
    .map_err(failed)?;
    let storage = database::open(loaded.config.database.as_deref(), &path).await?;
    let is_fenced = fence::close(&*storage, SystemClock.now()).await?;
    storage.close().await;
    // The keys come last: without them there is no server here, and a restore that broke off can be done again.
    copy_keys(&restore.from, &path)?;
    data.renew_restored(&server::said(&loaded.config), SystemClock.now())?;
    let next = if is_fenced {
        "\nonce it runs it asks the other homeservers for what they have kept of it, and changes nothing before they have answered; `rookeryd status` says for whom it waits"
    } else {
        ""
    };
    let text = format!(
        "restored to {}\nthis is a new life of the server: one-time keys were dropped, and devices read on from the beginning{next}",
        path.display()
    );
    let data = json!({ "data_dir": path, "incarnation": incarnation, "fenced": is_fenced });
    Ok(Report::new(data, text))
}

fn failed(error: BackupError) -> Failed {
    let text = chain(&error);
    match error {
        BackupError::Exists(_) | BackupError::Unusable(_) | BackupError::Unsupported => {
            Failed::new(Kind::Precondition, text)
        }
        BackupError::Storage(error) => error.into(),
        BackupError::Files { .. } => Failed::because(text),
    }
}

//! The server's own keys.

use std::path::PathBuf;

use clap::Subcommand;
use rookery_protocol::time::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::{
    Cli,
    output::{Failed, Report, time},
};
use crate::{
    identity::{Absent, DataDir, Record, SOON, Said, custody},
    server,
    service::peer::discovery::document,
};

#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Show the keys, where the root key is, and until when the record of them holds
    List,
    /// Print the document that tells others whose this server's name is
    ///
    /// Publish it at `https://NAME/.well-known/rookery/server`. It holds the server's record, and is to be printed again when that is renewed, at the latest after 30 days. A server that serves
    /// metrics serves it as well, always the newest: a web server can pass the path on to there.
    WellKnown,
    /// Make another online key and a new record of it; no server may be running
    Rotate {
        /// The file that the root key was put into, where it is not in the data directory
        #[arg(long, value_name = "FILE")]
        root_key: Option<PathBuf>,
    },
    /// Take the root key out of the data directory; no server may be running
    ExportRoot {
        /// The file to put it into; there must be nothing there yet
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Bring the root key back into the data directory; no server may be running
    ImportRoot {
        /// The file that it was put into
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
    },
}

/// Shows and changes the server's keys.
pub(super) fn key(cli: &Cli, verb: &Key) -> Result<Report, Failed> {
    let path = cli.data()?;
    let now = SystemClock.now();
    match verb {
        Key::List => {
            let look = custody::look(&path)?;
            Ok(Report::new(shown(&look.record, look.has_root), text(&look.record, look.has_root)))
        }
        Key::WellKnown => {
            let document = document::write(&custody::look(&path)?.record);
            let data = serde_json::from_str(&document).map_err(|error| {
                Failed::because(format!("the document cannot be written: {error}"))
            })?;
            Ok(Report::new(data, document))
        }
        Key::Rotate { root_key } => {
            let data = DataDir::take(&path, Absent::Refuse)?;
            let record = data.rotate(root_key.as_deref(), &said(cli)?, now)?;
            let has_root = custody::look(&path)?.has_root;
            let text = format!("the online key is another one\n{}", text(&record, has_root));
            Ok(Report::new(shown(&record, has_root), text))
        }
        Key::ExportRoot { to } => {
            let data = DataDir::take(&path, Absent::Refuse)?;
            let record = data.export_root(to, &said(cli)?, now)?;
            let advice = format!(
                "the root key is in {} and nowhere else: keep it where no server is, and a copy of it elsewhere\n\
                 whoever has it is this server; without it, this server ends with its record",
                to.display()
            );
            let mut data = shown(&record, false);
            if let Value::Object(fields) = &mut data {
                fields.insert("root_key_file".to_owned(), json!(to));
            }
            Ok(Report::new(data, format!("{advice}\n{}", text(&record, false))))
        }
        Key::ImportRoot { from } => {
            DataDir::take(&path, Absent::Refuse)?.import_root(from)?;
            let look = custody::look(&path)?;
            Ok(Report::new(shown(&look.record, look.has_root), text(&look.record, look.has_root)))
        }
    }
}

/// What the configuration says of where the server is.
fn said(cli: &Cli) -> Result<Said, Failed> {
    Ok(server::said(&cli.load()?.config))
}

fn shown(record: &Record, has_root: bool) -> Value {
    let stated = &record.stated;
    json!({
        "name": stated.name.to_string(),
        "root": stated.root.server_id().to_string(),
        "has_root_key": has_root,
        "online": stated.online.server_id().to_string(),
        "record": stated.number,
        "since": time(stated.since),
        "until": time(stated.until),
        "endpoint": stated.endpoint.as_ref().map(ToString::to_string),
    })
}

fn text(record: &Record, has_root: bool) -> String {
    let stated = &record.stated;
    let place = if has_root {
        "in the data directory, which renews the record by itself"
    } else {
        "kept elsewhere: `rookeryd key rotate --root-key FILE` renews the record"
    };
    let left = record.left(SystemClock.now());
    let soon = if left < SOON && !has_root { ", which is soon" } else { "" };
    format!(
        "{} is {}\nroot key   {place}\nonline key {}\nrecord     {} since {}, until {}{soon}",
        stated.name,
        stated.root.server_id(),
        stated.online.server_id(),
        stated.number,
        time(stated.since),
        time(stated.until),
    )
}

//! `doctor`: what is checked when something does not work.

use serde::Serialize;

use super::Context;
use crate::{
    agent::verb::{Connection, Status},
    error::{CommandError, Kind},
};

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    v: u32,
    #[serde(rename = "check")]
    what: &'static str,
    ok: bool,
    detail: String,
}

/// Checks files, store, server; says what is wrong, and fails if anything is.
pub(super) async fn doctor(context: &Context) -> Result<(), CommandError> {
    let mut checks = files(context);
    match context.ask(Status {}).await {
        Ok(status) => {
            checks.push(check(
                "store",
                true,
                format!(
                    "opens; {} waits to be sent, {} for the journal",
                    status.queued, status.journal_owed
                ),
            ));
            checks.push(check("device", status.state == "certified", status.state));
            let detail =
                status.reason.unwrap_or_else(|| format!("{} at {}", status.server, status.address));
            checks.push(check("server", status.connection == Connection::Online, detail));
        }
        Err(error) => checks.push(check("store", false, error.message)),
    }
    let wrong = checks.iter().filter(|check| !check.ok).count();
    for check in &checks {
        context.line(check, &[if check.ok { "ok" } else { "wrong" }, check.what, &check.detail])?;
    }
    if wrong == 0 {
        Ok(())
    } else {
        Err(CommandError::new(
            Kind::Failed,
            format!("{wrong} of {} checks found something wrong", checks.len()),
        ))
    }
}

fn files(context: &Context) -> Vec<Check> {
    let mut checks = vec![];
    let place = &context.place;
    let private = |path: &std::path::Path| {
        std::fs::metadata(path).map(|metadata| crate::config::is_private(&metadata))
    };
    for (what, path) in
        [("directory", place.directory().to_owned()), ("key file", place.key_file())]
    {
        let (ok, detail) = match private(&path) {
            Ok(true) => (true, format!("{} is private", path.display())),
            Ok(false) => (false, format!("{} can be read by other users", path.display())),
            Err(error) if what == "key file" && error.kind() == std::io::ErrorKind::NotFound => {
                (true, "none: a passphrase or a credential opens the store".to_owned())
            }
            Err(error) => (false, format!("{}: {error}", path.display())),
        };
        checks.push(check(what, ok, detail));
    }
    match place.socket() {
        Ok(path) => checks.push(check("socket", true, path.display().to_string())),
        Err(error) => checks.push(check("socket", false, error.message)),
    }
    match place.known_hosts().read() {
        Ok(hosts) => checks.push(check(
            "known hosts",
            true,
            format!("{} in {}", hosts.len(), place.known_hosts().path().display()),
        )),
        Err(error) => checks.push(check("known hosts", false, error.to_string())),
    }
    checks
}

const fn check(what: &'static str, ok: bool, detail: String) -> Check {
    Check { v: 1, what, ok, detail }
}

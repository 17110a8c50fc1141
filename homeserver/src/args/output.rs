//! What verbs print, and how they end.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::{
    config::ConfigError, identity::DataDirError, repository::StorageError, server::StartError,
    transport::admin::AdminCallError,
};

/// The name of the form of what is printed with `--json`.
const SCHEMA: &str = "rookery.admin/1";

/// What a verb came to.
#[derive(Debug)]
pub(super) struct Report {
    data: Value,
    text: String,
    /// Done, but not all of it.
    partial: bool,
}

impl Report {
    /// All is done: `data` for programs, `text` for people.
    pub(super) fn new(data: Value, text: impl Into<String>) -> Self {
        Self { data, text: text.into(), partial: false }
    }

    /// Some of it is done.
    pub(super) fn partial(data: Value, text: impl Into<String>) -> Self {
        Self { data, text: text.into(), partial: true }
    }
}

/// How a verb failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Failed,
    Usage,
    NotFound,
    Precondition,
    Denied,
    Unavailable,
}

impl Kind {
    const fn code(self) -> (u8, &'static str) {
        match self {
            Self::Failed => (1, "failed"),
            Self::Usage => (2, "usage"),
            Self::NotFound => (3, "not_found"),
            Self::Precondition => (4, "precondition"),
            Self::Denied => (5, "denied"),
            Self::Unavailable => (6, "unavailable"),
        }
    }
}

/// Why a verb failed, and what to do about it.
#[derive(Debug)]
pub(super) struct Failed {
    kind: Kind,
    message: String,
    hint: Option<String>,
    /// What was found all the same, for programs.
    data: Option<Value>,
}

impl Failed {
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, data: None }
    }

    pub(super) fn because(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }
}

/// An error with all its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl From<ConfigError> for Failed {
    fn from(error: ConfigError) -> Self {
        Self::usage(chain(&error)).hint("`rookeryd config show` lists every setting")
    }
}

impl From<DataDirError> for Failed {
    fn from(error: DataDirError) -> Self {
        let text = chain(&error);
        match error {
            DataDirError::InUse { .. } => Self::new(Kind::Precondition, text)
                .hint("a server runs there, or is starting or stopping: wait, or stop it first"),
            DataDirError::Absent { .. } => Self::new(Kind::NotFound, text)
                .hint("`rookeryd init` makes one, `rookeryd serve` makes and runs one; --data-dir names another place"),
            DataDirError::Present { .. } | DataDirError::OtherName { .. } => Self::new(Kind::Precondition, text),
            DataDirError::File { ref source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                Self::new(Kind::Denied, text).hint("run this as the server's user")
            }
            DataDirError::File { ref source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists => {
                Self::new(Kind::Precondition, text).hint("nothing is written over: name another file")
            }
            DataDirError::NoRoot { .. } => Self::new(Kind::Precondition, text)
                .hint("it was taken out by `rookeryd key export-root`: --root-key names the file it was put into"),
            DataDirError::OtherRoot { .. } => Self::new(Kind::Precondition, text)
                .hint("`rookeryd key list` shows the fingerprint of the right one"),
            DataDirError::File { .. } | DataDirError::Tls(_) | DataDirError::Damaged { .. } | DataDirError::NoRandomness => Self::because(text),
        }
    }
}

impl From<StorageError> for Failed {
    fn from(error: StorageError) -> Self {
        let text = chain(&error);
        match error {
            StorageError::Full => {
                Self::new(Kind::Unavailable, text).hint("make room on the disk; nothing was lost")
            }
            StorageError::Unavailable(_) | StorageError::Conflict => {
                Self::new(Kind::Unavailable, text)
            }
            StorageError::Inconsistent { .. } | StorageError::Broken(_) => Self::because(text),
        }
    }
}

impl From<StartError> for Failed {
    fn from(error: StartError) -> Self {
        match error {
            StartError::DataDir(error) => error.into(),
            StartError::Storage(error) => error.into(),
            StartError::Listen { .. } | StartError::Socket { .. } => {
                Self::new(Kind::Unavailable, chain(&error)).hint(
                    "another program may be listening there: choose another address with --listen",
                )
            }
            StartError::Tls(_) | StartError::File { .. } | StartError::HalfCertificate => {
                Self::because(chain(&error))
            }
        }
    }
}

impl From<AdminCallError> for Failed {
    fn from(error: AdminCallError) -> Self {
        let text = chain(&error);
        match error {
            AdminCallError::NotRunning { .. } => {
                Self::new(Kind::Unavailable, text).hint("`rookeryd serve` starts one")
            }
            AdminCallError::Denied { .. } => Self::new(Kind::Denied, text),
            AdminCallError::Broken(_) | AdminCallError::Malformed(_) => Self::because(text),
        }
    }
}

/// Prints what a verb came to, and gives its exit status.
pub(super) fn print(json: bool, report: Result<Report, Failed>) -> ExitCode {
    match report {
        Ok(Report { data, text, partial }) => {
            if json {
                say(&json!({ "schema": SCHEMA, "ok": !partial, "data": data }).to_string());
            } else if !text.is_empty() {
                say(&text);
            }
            if partial { ExitCode::from(7) } else { ExitCode::SUCCESS }
        }
        Err(Failed { kind, message, hint, data }) => {
            let (exit, code) = kind.code();
            if json {
                let error = json!({ "code": code, "message": message, "hint": hint });
                let mut said = json!({ "schema": SCHEMA, "ok": false, "error": error });
                if let (Some(said), Some(data)) = (said.as_object_mut(), data) {
                    said.insert("data".to_owned(), data);
                }
                say(&said.to_string());
            } else {
                eprintln!("rookeryd: {message}");
                if let Some(hint) = hint {
                    eprintln!("  {hint}");
                }
            }
            ExitCode::from(exit)
        }
    }
}

/// Prints a line; that nobody reads it is no failure.
pub(super) fn say(line: &str) {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{line}").ok();
}

/// A time as people and programs read it: RFC 3339 in UTC, to the second.
pub(super) fn time(at: rookery_protocol::time::Timestamp) -> String {
    let seconds = at.as_millis() / 1000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (hour, minute, second) = (rest / 3600, rest % 3600 / 60, rest % 60);
    // Days to a date of the Gregorian calendar, counted from 0000-03-01 so that a leap day ends a year (H. Hinnant, "chrono-compatible
    // low-level date algorithms").
    let since = days.saturating_add(719_468);
    let (era, of_era) = (since / 146_097, since % 146_097);
    let leaps = (of_era / 1_460).saturating_add(of_era / 146_096);
    let year = (of_era.saturating_sub(leaps).saturating_add(of_era / 36_524)) / 365;
    let year_days =
        (365_u64.saturating_mul(year)).saturating_add(year / 4).saturating_sub(year / 100);
    let of_year = of_era.saturating_sub(year_days);
    let shifted = (of_year.saturating_mul(5).saturating_add(2)) / 153;
    let day = of_year
        .saturating_sub((shifted.saturating_mul(153).saturating_add(2)) / 5)
        .saturating_add(1);
    let month = if shifted < 10 { shifted.saturating_add(3) } else { shifted.saturating_sub(9) };
    let year = era.saturating_mul(400).saturating_add(year).saturating_add(u64::from(month <= 2));
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use rookery_protocol::time::Timestamp;

    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_790_000_000, "2026-09-21T14:13:20Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(time(Timestamp::from_millis(seconds * 1000)), text);
        }
    }
}

//! What a command fails with: a kind that sets the exit code, what happened, and what to do.
//!
//! The shape is jj's `CommandError`. The same value travels over the agent's socket, so that a script sees no difference between a command
//! that owns the profile and one that asks the agent.

use std::{fmt, process::ExitCode};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a command failed, as far as a script can act on it. Each kind has an exit code of its own, which is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It failed: exit code 1.
    Failed,
    /// It was asked for wrongly: 2.
    Usage,
    /// No connection to the home: 3. What was to be sent is queued, unless that was forbidden.
    NoConnection,
    /// A server or a person is not who they were, or a policy forbids it: 4.
    Trust,
    /// Too many requests: 5.
    RateLimited,
    /// This account or device may not: 6.
    NotPermitted,
    /// No such person or message: 7.
    NotFound,
    /// The store is locked, the passphrase is wrong, or nobody is logged in: 8.
    Locked,
    /// The time given with `--timeout` is over: 9.
    Timeout,
    /// Some of several failed: 10.
    SomeFailed,
}

impl Kind {
    /// The exit code of the process.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoConnection => 3,
            Self::Trust => 4,
            Self::RateLimited => 5,
            Self::NotPermitted => 6,
            Self::NotFound => 7,
            Self::Locked => 8,
            Self::Timeout => 9,
            Self::SomeFailed => 10,
        }
    }
}

/// A failed command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandError {
    /// What kind of failure it is.
    pub kind: Kind,
    /// What happened, and what was kept.
    pub message: String,
    /// What to do about it, one thing a line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// The message that is kept and goes on by itself, if the failure is one of waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<String>,
}

impl CommandError {
    /// A failure of `kind`, in words.
    #[must_use]
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: vec![], queued: None }
    }

    /// The same with one more thing to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// What `error` and its causes say, as a failure of `kind`.
    #[must_use]
    pub fn of(kind: Kind, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(kind, chain_of(error))
    }

    /// The exit code that the process ends with.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind.exit_code())
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for CommandError {}

/// An error with its causes, each after a colon.
#[must_use]
pub fn chain_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // A transparent error repeats its cause.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        Self::of(Kind::Failed, &error)
    }
}

impl From<rookery_protocol::id::NotAnId> for CommandError {
    fn from(error: rookery_protocol::id::NotAnId) -> Self {
        Self::of(Kind::Usage, &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_the_exit_code_that_is_promised() {
        let kinds = [
            (Kind::Failed, 1),
            (Kind::Usage, 2),
            (Kind::NoConnection, 3),
            (Kind::Trust, 4),
            (Kind::RateLimited, 5),
            (Kind::NotPermitted, 6),
            (Kind::NotFound, 7),
            (Kind::Locked, 8),
            (Kind::Timeout, 9),
            (Kind::SomeFailed, 10),
        ];
        for (kind, code) in kinds {
            assert_eq!(kind.exit_code(), code, "{kind:?}");
        }
    }

    #[test]
    fn an_error_is_told_with_its_causes_and_nothing_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("the store cannot be used")]
        struct Outer(#[source] fmt::Error);
        let text = chain_of(&Outer(fmt::Error));
        assert_eq!(text, "the store cannot be used: an error occurred when formatting an argument");
    }
}

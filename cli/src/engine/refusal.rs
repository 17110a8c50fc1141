//! What a call's failure is to the person who waits for it.

use rookery_protocol::{
    io::{ConnectError, client::CallError},
    request::Refusal,
};

use crate::{
    error::{CommandError, Kind, chain_of},
    store::{StoreError, UnlockError},
};

/// A call's failure, whose own error is of `kind`.
pub(super) fn failed<E: std::error::Error + 'static>(
    kind: Kind,
    error: CallError<E>,
) -> CommandError {
    failed_as(error, |_| kind)
}

/// A call's failure, whose own error is of the kind that `kind_of` says.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
pub(super) fn failed_as<E: std::error::Error + 'static>(
    error: CallError<E>,
    kind_of: impl FnOnce(&E) -> Kind,
) -> CommandError {
    match &error {
        CallError::Request(own) => CommandError::new(kind_of(own), chain_of(own)),
        CallError::Refused(refusal) => refused(refusal),
        CallError::Malformed(_) => CommandError::of(Kind::Failed, &error)
            .hint("the server may be newer than this program: is there an update?"),
        _ => CommandError::of(Kind::NoConnection, &error),
    }
}

/// A refusal that any request can get.
pub(super) fn refused(refusal: &Refusal) -> CommandError {
    let kind = match refusal {
        Refusal::NotAuthenticated => Kind::Locked,
        Refusal::NotPermitted => Kind::NotPermitted,
        Refusal::Throttled { .. } => Kind::RateLimited,
        _ => Kind::Failed,
    };
    CommandError::new(kind, refusal.to_string())
}

impl From<ConnectError> for CommandError {
    fn from(error: ConnectError) -> Self {
        match &error {
            ConnectError::WrongServer { .. } => Self::of(Kind::Trust, &error)
                .hint("nothing was sent to it; ask its administrator for the fingerprint before you change the pin in known_hosts"),
            ConnectError::Untrusted(_) => Self::of(Kind::Trust, &error).hint("nothing was sent to it"),
            ConnectError::Tls(_) => Self::of(Kind::Failed, &error),
            ConnectError::NoAddress { .. } | ConnectError::Unreachable(_) | ConnectError::Socket(_) => Self::of(Kind::NoConnection, &error),
        }
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        let told = Self::of(Kind::Failed, &error);
        match error {
            StoreError::Full => told.hint("make room on the disk, and try again"),
            StoreError::Damaged { .. } => told.hint("`rookery doctor` says more; messages come back from the journal when this device is linked anew"),
            StoreError::Database(_) | StoreError::Newer { .. } => told,
        }
    }
}

impl From<UnlockError> for CommandError {
    fn from(error: UnlockError) -> Self {
        match error {
            UnlockError::Store(error) => error.into(),
            UnlockError::Absent => Self::of(Kind::Locked, &error)
                .hint("`rookery register LINK NAME` opens an account, `rookery login` adds this device to one"),
            UnlockError::NeedsPassphrase => Self::of(Kind::Locked, &error)
                .hint("give it by --passphrase-file, --passphrase-fd or --passphrase-command, or as a systemd credential"),
            UnlockError::Exposed => Self::of(Kind::Locked, &error).hint("if nobody else has used this machine, `chmod 600` the key file"),
            UnlockError::Locked(_) | UnlockError::Io(_) => Self::of(Kind::Locked, &error),
        }
    }
}

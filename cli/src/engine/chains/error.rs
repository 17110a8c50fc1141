//! Why taking in chains stops, and what that is to a person.

use std::time::Duration;

use rookery_protocol::{
    id::ServerId,
    io::client::CallError,
    name::ServerName,
    request::chain::ReadError,
    user::{self},
};

use super::super::refusal::failed_as;
use crate::{
    error::{CommandError, Kind},
    store::StoreError,
};

/// Why taking in stopped.
#[derive(Debug, thiserror::Error)]
pub(in crate::engine) enum ChainError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The connection, or the home's refusal.
    #[error("{0}")]
    Call(CommandError),
    /// The home shows an entry that the rules forbid, or another one than before.
    #[error("the server shows a chain that does not hold: {0}")]
    Denied(#[from] user::Denied),
    /// A server shows itself, or is said to be somebody's, under another root key than it is known by.
    #[error("{server} is known here by another root key than the one that is shown: {root}")]
    OtherRoot {
        /// Which server.
        server: ServerName,
        /// The root key that is shown.
        root: ServerId,
    },
    /// There is no such chain for this user to read.
    #[error("there is no such user for you to read")]
    NotFound,
    /// The server restarts.
    #[error("the server is restarting")]
    GoingAway(Duration),
    /// This device is not the account's any more.
    #[error("{0}")]
    Ended(CommandError),
}

impl From<ChainError> for CommandError {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::Store(error) => error.into(),
            ChainError::Call(error) | ChainError::Ended(error) => error,
            ChainError::Denied(_) => Self::of(Kind::Trust, &error)
                .hint("nothing was taken over; this is what a server that lies about somebody's devices looks like"),
            ChainError::OtherRoot { ref server, ref root } => {
                let hint = format!(
                    "if {server} was set up anew, and its administrator says that this is its key: rookery peers --trust {server} --root {root}"
                );
                Self::of(Kind::Trust, &error).hint(&hint)
            }
            ChainError::NotFound => Self::of(Kind::NotFound, &error),
            ChainError::GoingAway(_) => Self::of(Kind::NoConnection, &error),
        }
    }
}

impl From<CallError<ReadError>> for ChainError {
    fn from(error: CallError<ReadError>) -> Self {
        match error {
            CallError::Request(ReadError::NotFound) => Self::NotFound,
            error => Self::Call(failed_as(error, |_| Kind::Failed)),
        }
    }
}

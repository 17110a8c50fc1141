//! Why there is no connection, or not any more.

use super::tls::TlsError;
use crate::id::ServerId;

/// Why a connection ends, as its other end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Nothing more to say.
    Done,
    /// The session was ended, the device revoked, or the account disabled.
    SessionEnded,
    /// The server stops; come back.
    GoingAway,
    /// Too many connections.
    TooMany,
    /// The other end breaks the protocol.
    Misbehaved,
}

impl CloseReason {
    const ALL: [Self; 5] =
        [Self::Done, Self::SessionEnded, Self::GoingAway, Self::TooMany, Self::Misbehaved];

    pub(super) const fn code(self) -> u32 {
        match self {
            Self::Done => 0,
            Self::SessionEnded => 1,
            Self::GoingAway => 2,
            Self::TooMany => 3,
            Self::Misbehaved => 4,
        }
    }

    /// What the other end was told when it was told `code`.
    pub(super) fn told(code: u64) -> ConnectionLost {
        let reason = Self::ALL.into_iter().find(|reason| u64::from(reason.code()) == code);
        reason.map_or_else(
            || ConnectionLost::Broken(format!("closed with code {code}")),
            ConnectionLost::Closed,
        )
    }
}

/// Why a connection is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionLost {
    /// The other end closed it.
    #[error("the other side closed the connection ({0:?})")]
    Closed(CloseReason),
    /// Nothing was heard for too long.
    #[error("the connection timed out")]
    TimedOut,
    /// Nothing listens at the address.
    #[error("nothing listens there")]
    Refused,
    /// This end closed it.
    #[error("the connection was closed here")]
    ClosedHere,
    /// Anything else.
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host has no address.
    #[error("{host} has no address")]
    NoAddress {
        /// Which.
        host: String,
        /// What the resolver says.
        #[source]
        source: Option<std::io::Error>,
    },
    /// Another server answers, or somebody who pretends.
    #[error("the server there is not the one that was pinned: its fingerprint is {found}")]
    WrongServer {
        /// Who answered.
        found: ServerId,
    },
    /// The certificate is not good for the name.
    #[error("the server's certificate is not trusted: {0}")]
    Untrusted(String),
    /// Nobody answers.
    #[error("the server does not answer: {0}")]
    Unreachable(ConnectionLost),
    /// No socket.
    #[error("no socket could be opened")]
    Socket(#[from] std::io::Error),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

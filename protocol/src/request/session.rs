//! Sessions: logging in, refreshing, opening a connection, ending.

use crate::{
    id::{DeviceId, SessionId, UserId},
    key::{Signature, VerifyingKey},
    name::UserName,
    request,
    request::{Anyone, LoggedIn, Never},
    session::Authenticated,
    time::Timestamp,
    wire_enum, wire_struct,
};

wire_struct! {
    /// What a session lives by.
    pub struct Tokens {
        /// Which session.
        #[n(0)] pub session: SessionId,
        /// A JWT (RFC 7519), bound to the device's key (RFC 7800), good for 15 minutes.
        #[n(1)] pub access: String,
        /// When the access token ends.
        #[n(2)] pub access_expires: Timestamp,
        /// Gets the next pair, once.
        #[n(3)] pub refresh: String,
    }
}

wire_struct! {
    /// Logs a device in by the user's password. The device need not be in the chain yet.
    pub struct Login {
        /// The account.
        #[n(0)] pub name: UserName,
        /// Its password.
        #[n(1)] pub password: String,
        /// The device's Ed25519 key.
        #[n(2)] pub device: VerifyingKey,
        /// [`crate::session::prove_login`] over the name.
        #[n(3)] pub proof: Signature,
        /// The time in the proof.
        #[n(4)] pub at: Timestamp,
    }
}

wire_struct! {
    /// The device is logged in.
    pub struct LoggedInReply {
        /// Who the name is.
        #[n(0)] pub user: UserId,
        /// The session's tokens.
        #[n(1)] pub tokens: Tokens,
        /// Whether the device is live in the user's chain.
        #[n(2)] pub certified: bool,
    }
}

wire_enum! {
    /// Why nobody was logged in.
    #[derive(thiserror::Error)]
    pub enum LoginError {
        /// The name or the password is wrong; which is not told.
        #[n(1)]
        #[error("the name or the password is wrong")]
        WrongCredentials,
        /// The administrator has disabled the account.
        #[n(2)]
        #[error("this account is disabled: ask the server's administrator")]
        Disabled,
        /// The device did not prove its key, or its clock is off by more than ten minutes.
        #[n(3)]
        #[error("the device's proof is not valid: is its clock right?")]
        BadProof,
        /// The chain says that this device was revoked.
        #[n(4)]
        #[error("this device was revoked: log in with a new profile")]
        Revoked,
    }
}

request!(Login: "session/login/1", Login, Anyone => LoggedInReply, LoginError);

wire_struct! {
    /// Exchanges a refresh token for the next pair. The same token with the same device's proof gets the same successor until that is used;
    /// after that, or from another key, it is theft, and the session ends.
    pub struct Refresh {
        /// The refresh token.
        #[n(0)] pub token: String,
        /// The device's key.
        #[n(1)] pub device: VerifyingKey,
        /// [`crate::session::prove_login`] over the token.
        #[n(2)] pub proof: Signature,
        /// The time in the proof.
        #[n(3)] pub at: Timestamp,
    }
}

wire_enum! {
    /// Why there is no next pair.
    #[derive(thiserror::Error)]
    pub enum RefreshError {
        /// No such session any more: log in again.
        #[n(1)]
        #[error("the session has ended: log in again")]
        Ended,
        /// The token had been used before, or by another device: somebody has stolen it, and the session has been ended.
        #[n(2)]
        #[error("the refresh token was used twice, so somebody may have stolen it: the session has been ended; log in again")]
        Reused,
        /// The device did not prove its key, or its clock is off by more than ten minutes.
        #[n(3)]
        #[error("the device's proof is not valid: is its clock right?")]
        BadProof,
        /// The administrator has disabled the account.
        #[n(4)]
        #[error("this account is disabled: ask the server's administrator")]
        Disabled,
    }
}

request!(Refresh: "session/refresh/1", Login, Anyone => Tokens, RefreshError);

wire_struct! {
    /// Raises a connection from anonymous to its device's principal.
    pub struct OpenSession {
        /// The access token.
        #[n(0)] pub access: String,
        /// [`crate::session::prove_connection`] over this connection's exporter.
        #[n(1)] pub proof: Signature,
    }
}

wire_struct! {
    /// The connection is the device's now.
    pub struct SessionOpened {
        /// Who.
        #[n(0)] pub user: UserId,
        /// Which device.
        #[n(1)] pub device: DeviceId,
        /// Whether it may do more than have itself certified.
        #[n(2)] pub certified: bool,
        /// The server's clock.
        #[n(3)] pub at: Timestamp,
    }
}

wire_enum! {
    /// Why the connection stays anonymous.
    #[derive(thiserror::Error)]
    pub enum OpenError {
        /// The token is over: refresh it.
        #[n(1)]
        #[error("the access token has expired")]
        Expired,
        /// The token is not from this server, or was changed.
        #[n(2)]
        #[error("the access token is not valid")]
        InvalidToken,
        /// The connection was not signed by the device that the token names.
        #[n(3)]
        #[error("the access token belongs to another device")]
        WrongDevice,
        /// The session has ended, the device was revoked, or the account disabled.
        #[n(4)]
        #[error("the session has ended: log in again")]
        Ended,
    }
}

request!(OpenSession: "session/open/1", Login, Anyone => SessionOpened, OpenError);

wire_struct! {
    /// Lists the user's sessions.
    pub struct ListSessions {}
}

wire_struct! {
    /// One session.
    pub struct SessionEntry {
        /// Which.
        #[n(0)] pub session: SessionId,
        /// Of which device.
        #[n(1)] pub device: DeviceId,
        /// Since when.
        #[n(2)] pub created: Timestamp,
        /// When it was last used.
        #[n(3)] pub last_seen: Timestamp,
        /// Whether it is the one that asks.
        #[n(4)] pub current: bool,
    }
}

wire_struct! {
    /// All sessions.
    pub struct Sessions {
        /// Newest first.
        #[n(0)] pub sessions: Vec<SessionEntry>,
    }
}

request!(ListSessions: "session/list/1", Read, Authenticated => Sessions, Never);

wire_struct! {
    /// Ends a session: its connections close within a second.
    pub struct EndSession {
        /// Which; the asker's own when absent.
        #[n(0)] pub session: Option<SessionId>,
    }
}

wire_enum! {
    /// Why no session ended.
    #[derive(thiserror::Error)]
    pub enum EndError {
        /// The user has no such session.
        #[n(1)]
        #[error("there is no such session")]
        NotFound,
    }
}

request!(EndSession: "session/end/1", Account, LoggedIn => (), EndError);

//! What two ends of a connection owe each other: proof of who they are, and the follow stream.

mod follow;
mod handshake;
pub mod peer;

pub use follow::{Cursor, Follow, FollowDown, FollowError, FollowStarted, FollowUp, FollowedChain};
pub use handshake::{
    Authenticated, LOGIN_TOLERANCE, Principal, check_connection, check_login, prove_connection,
    prove_login,
};

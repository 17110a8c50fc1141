//! The agent: one process owns a profile, everybody else asks it.
//!
//! A ratchet tolerates one writer, so whoever holds the lock of the profile's directory has the store, the connection and the keys, and
//! serves a socket for as long as it lives: `rookery daemon`, or any other command that found nobody there. Everyone else is a client of
//! that socket. Two terminals, a script and a bot use one device at once that way, and a one-shot `send` costs milliseconds.
//!
//! The wire is JSON-RPC 2.0, one object a line, over a Unix socket with mode 0600 whose peers' user is checked. Methods, their parameters
//! and their results are the table of [`verb`]s; the first line either way is a `hello` with the version. A call that goes on for a while
//! (`tail`, `device.link`) sends notifications with the method `event` and the call's id before it answers.

mod client;
pub mod line;
mod own;
mod server;
mod shared;
pub mod verb;

pub use client::{Agent, Asked, Remote};
pub use own::{Access, Lock, Need, Owner, SecretSource};
pub use server::{Server, serve_stream};
pub use shared::Shared;

/// The version of the verb table. It rises when a method changes in a way that an older caller would misread.
pub const VERSION: u32 = 1;
/// The longest line that the agent takes: a message of 48 KiB in JSON's worst escaping, and some.
pub const MAX_LINE: usize = 512 * 1024;
/// The longest answer that a caller takes: a page of `read` with the longest messages there are.
pub const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// Calls that one caller may have under way at once; the next line is read when one has ended.
pub const MAX_CALLS: usize = 64;
/// Events that wait for one slow caller; whoever makes them waits as well.
pub const MAX_EVENTS: usize = 64;

#[cfg(test)]
mod tests;

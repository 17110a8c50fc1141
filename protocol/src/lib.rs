//! What rookery's clients and homeservers agree on.
//!
//! Everything durable or live is one of four primitives: a **chain** ([`chain`]), a **mailbox** of [`envelope`]s, a **blob**, or
//! **ephemera**. A new feature is a new kind of one of them. Requests ([`mod@request`]) are types, defined once for both sides; all bytes are
//! deterministic CBOR ([`codec`]); who may state what of a user is one pure function ([`user::apply()`]) that the home runs to refuse and
//! every client runs to distrust the home.
//!
//! There is no plaintext type in this crate, and nothing that decrypts: the homeserver depends on all of it.
//!
//! All is pure, but for [`io`], which moves the bytes over QUIC.

pub mod chain;
pub mod codec;
pub mod community;
pub mod delivery;
pub mod envelope;
pub mod hash;
pub mod id;
#[cfg(feature = "io")]
pub mod io;
pub mod key;
pub mod manual;
pub mod name;
pub mod prekey;
pub mod request;
pub mod schema;
pub mod session;
pub mod time;
pub mod user;
pub mod version;

#[cfg(test)]
extern crate self as rookery_protocol;
#[cfg(test)]
#[path = "../tests/town/mod.rs"]
mod town;

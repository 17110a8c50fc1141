//! What is sealed, and how: everything that can decrypt.
//!
//! Pure and without I/O: time and randomness are arguments, and whatever changes state hands back the state to be stored. A *user* is a
//! signed chain that certifies *devices* ([`identity`], [`statement`], [`recovery`]); a user's devices share a *per-user key* ([`puk`]) under which they
//! keep a *journal* ([`journal`], [`journal_state`]); two devices talk by a Double Ratchet session that a post-quantum handshake begins
//! ([`prekey`], `handshake`, `session`, [`pair`]); what they say is a [`payload`]. A community's members share a secret for each [`epoch`] of an
//! audience; under it each device announces *Sender Keys* ([`sender_key`]), and what stands in channels is [`content`]. Files go
//! apart from messages, in chunks ([`mod@file`]). [`link`] brings in another device by a typed code, [`verify`] lets two people compare a
//! number, [`store_seal`] seals what a device keeps on its disk.
//!
//! Three habits hold everywhere. Every key has one purpose, made by HKDF under a label of its own. Every seal names its whole context as
//! associated data. Every secret is erased when dropped, prints redacted, and has neither `Clone` nor `PartialEq`.

mod aead;
mod cbor;
mod handshake;
#[cfg(test)]
mod interop;
mod kdf;
mod kem;
mod padding;
mod replay;
mod session;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod vectors;

pub mod content;
pub mod epoch;
pub mod file;
pub mod identity;
pub mod journal;
pub mod journal_state;
pub mod link;
pub mod pair;
pub mod payload;
pub mod prekey;
pub mod puk;
pub mod random;
pub mod recovery;
pub mod sender_key;
pub mod statement;
pub mod store_seal;
pub mod verify;

pub use aead::Unopenable;
pub use kem::KemSecret;
pub use random::{OsRandom, Random, SeededRandom};

//! Append-only, hash-linked chains: the one durable, ordered thing there is.
//!
//! A user's statements about their devices, their journal, and later a community's log and each channel are all chains of the same
//! [`Entry`]. An author signs what an author can know; the owner (home or hub) gives the order and signs [`Head`]s. Bodies can be erased,
//! and the chain still proves itself, because an entry's hash covers the body's hash only.

mod entry;
mod head;
mod verify;

pub(crate) use entry::hash_of_entry;
pub use entry::{BrokenEntry, Entry, Item, ItemSignature, Kind, Seen, SignedItem, Submission};
pub use head::{BadHead, Head, HeadRef, OwnerHead, SignedHead};
pub use verify::verify_all;

//! The why of the protocol, in two chapters: whom it protects against what, and how the bytes lie.

pub mod threats;
pub mod wire;

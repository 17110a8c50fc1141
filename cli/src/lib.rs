//! Placeholder.

pub mod e2ee;

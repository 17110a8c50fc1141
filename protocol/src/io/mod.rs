//! Shells over the pure parts.

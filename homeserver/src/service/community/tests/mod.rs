//! What a hub does.

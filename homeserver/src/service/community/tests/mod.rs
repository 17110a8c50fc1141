//! What a hub lets in, keeps and tells.

mod copies;
mod log;
mod look;
mod members;
mod moving;
mod posts;
mod town;

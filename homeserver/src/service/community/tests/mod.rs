//! What a hub lets in, keeps and tells.

mod copies;
mod log;
mod members;
mod posts;
mod town;

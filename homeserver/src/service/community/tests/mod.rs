//! What a hub lets in, keeps and tells.

mod log;
mod members;
mod posts;
mod town;

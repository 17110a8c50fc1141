//! LAYER 1: bytes to typed calls and back. It knows services, and never SQL.

pub mod admin;
mod follow;
mod handler;
pub mod health;
pub mod listener;
mod middleware;
pub mod peer;
mod router;
pub mod seek;

pub use self::router::{Call, Context, Router};

use std::{path::PathBuf, sync::Arc};

use self::middleware::{Deadline, Fence, Limit, Trace};
use crate::service::Services;

/// What handlers need beside services.
pub struct Place {
    /// Where the server listens, as people write it.
    pub listen: String,
    /// The data directory, out of which backups take the keys.
    pub data: PathBuf,
}

/// The router of a homeserver: every request there is, with what is done around each.
#[must_use]
pub fn router(services: Arc<Services>, place: Place) -> Router {
    let router = Router::new(services, place).with(Trace).with(Limit).with(Fence).with(Deadline);
    handler::all(router)
}

//! Handlers, a file a request family: each takes a request to its service and says no more.

mod account;
mod administration;
mod conversation;

use super::Router;

/// Adds every handler there is.
pub(super) fn all(router: Router) -> Router {
    administration::add(conversation::add(account::add(router)))
}

//! Handlers, a file a request family: each takes a request to its service and says no more.

#[expect(
    clippy::needless_pass_by_value,
    reason = "every handler is given its own context and request"
)]
mod account;
mod administration;
mod community;
mod conversation;
mod peer;
mod peer_place;

use super::Router;

/// Adds every handler there is.
pub(super) fn all(router: Router) -> Router {
    administration::add(community::add(peer_place::add(peer::add(conversation::add(
        account::add(router),
    )))))
}

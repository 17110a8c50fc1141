//! Nothing is changed on a restored server before its peers were asked for what they have kept.

use async_trait::async_trait;
use bytes::Bytes;
use rookery_protocol::request::{RateClass, Refusal};

use super::{Call, Middleware, Next};

/// Turns away what would change something, while the fence is closed.
pub(in crate::transport) struct Fence;

/// Whether calls of this class change nothing that peers may know otherwise.
const fn is_harmless(class: RateClass) -> bool {
    matches!(
        class,
        RateClass::Read
            | RateClass::Login
            | RateClass::Follow
            | RateClass::Ephemera
            | RateClass::Admin
            | RateClass::PeerHandshake
            | RateClass::PeerRead
            | RateClass::File
    )
}

#[async_trait]
impl Middleware for Fence {
    async fn handle(&self, call: Call, next: Next<'_>) -> Result<Bytes, Refusal> {
        if call.context.services.fence.is_closed() && !is_harmless(call.rate) {
            return Err(Refusal::Unavailable);
        }
        next.run(call).await
    }
}

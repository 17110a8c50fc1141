//! No call takes for ever.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rookery_protocol::request::Refusal;

use super::{Call, Middleware, Next};

/// Above the longest wait that a request has of its own (25 s for a letter), below a client's patience (40 s).
const DEADLINE: Duration = Duration::from_secs(30);

/// Gives every call up after [`DEADLINE`].
pub(in crate::transport) struct Deadline;

#[async_trait]
impl Middleware for Deadline {
    async fn handle(&self, call: Call, next: Next<'_>) -> Result<Bytes, Refusal> {
        let method = call.method;
        tokio::time::timeout(DEADLINE, next.run(call)).await.unwrap_or_else(|_| {
            tracing::warn!(method, "a call took too long");
            Err(Refusal::Unavailable)
        })
    }
}

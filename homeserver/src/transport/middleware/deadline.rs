//! No call takes for ever, and no decision stops half-way.
//!
//! A handler that is dropped between its commit and what has to follow (the new state in memory, connections to be cut) would leave a revoked
//! device in the directory. So whatever changes who may do what runs as a task of its own: whoever waits for it may give up, it does not.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rookery_protocol::request::{RateClass, Refusal};

use super::{Call, Middleware, Next};

/// Above the longest wait that a request has of its own (25 s for a letter), below a client's patience (40 s).
const DEADLINE: Duration = Duration::from_secs(30);

/// Gives every call up after [`DEADLINE`]. It is the innermost: what it runs is the handler.
pub(in crate::transport) struct Deadline;

/// Whether a handler of this class may be dropped half-way: it changes nothing, or hands what it changes to a task of its own.
const fn may_be_dropped(class: RateClass) -> bool {
    matches!(
        class,
        RateClass::Read
            | RateClass::Post
            | RateClass::Receipt
            | RateClass::Journal
            | RateClass::Ephemera
            | RateClass::PeerHandshake
    )
}

#[async_trait]
impl Middleware for Deadline {
    async fn handle(&self, call: Call, next: Next<'_>) -> Result<Bytes, Refusal> {
        let method = call.method;
        let answered = if may_be_dropped(call.rate) {
            tokio::time::timeout(DEADLINE, next.run(call)).await
        } else {
            let tasks = call.context.services.tasks.clone();
            let task = tasks.spawn((next.handler)(call));
            // A handler that panicked stops the server; until then its caller hears that it is broken.
            let answered = tokio::time::timeout(DEADLINE, task).await;
            answered.map(|joined| joined.unwrap_or(Err(Refusal::Internal)))
        };
        answered.unwrap_or_else(|_| {
            tracing::warn!(method, "a call took too long");
            Err(Refusal::Unavailable)
        })
    }
}

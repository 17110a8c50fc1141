//! What is done around every call.

mod deadline;
mod fence;
mod limit;
mod trace;

use async_trait::async_trait;
use bytes::Bytes;
pub(super) use deadline::Deadline;
pub(super) use fence::Fence;
pub(super) use limit::Limit;
use rookery_protocol::request::Refusal;
pub(super) use trace::Trace;

use super::router::{Call, Handler};

/// Something done around every call: trace it, limit it, time it out.
#[async_trait]
pub(super) trait Middleware: Send + Sync {
    /// Answers `call`, mostly by way of `next`.
    async fn handle(&self, call: Call, next: Next<'_>) -> Result<Bytes, Refusal>;
}

/// What is still to be done for a call.
#[derive(Clone, Copy)]
pub(super) struct Next<'r> {
    pub(super) rest: &'r [Box<dyn Middleware>],
    pub(super) handler: &'r Handler,
}

impl Next<'_> {
    /// Goes on to the next middleware, or at last to the handler.
    pub(super) async fn run(self, call: Call) -> Result<Bytes, Refusal> {
        match self.rest.split_first() {
            Some((first, rest)) => first.handle(call, Next { rest, ..self }).await,
            None => (self.handler)(call).await,
        }
    }
}

//! A line and a measurement a call, with ids and durations and never what was asked.

use async_trait::async_trait;
use bytes::Bytes;
use rookery_protocol::{request::Refusal, session::Principal};
use tracing::Instrument as _;

use super::{Call, Middleware, Next};

/// Traces every call.
pub(in crate::transport) struct Trace;

#[async_trait]
impl Middleware for Trace {
    async fn handle(&self, call: Call, next: Next<'_>) -> Result<Bytes, Refusal> {
        let method = call.method;
        let span = tracing::debug_span!("call", method, device = tracing::field::Empty);
        if !span.is_disabled()
            && let Principal::Device(who) | Principal::Uncertified(who) = &call.principal
        {
            span.record("device", tracing::field::display(&who.device));
        }
        let begun = tokio::time::Instant::now();
        let answer = next.run(call).instrument(span).await;
        let result = match &answer {
            Ok(_) => "answered",
            Err(Refusal::Throttled { .. }) => "throttled",
            Err(Refusal::Internal | Refusal::Unavailable | Refusal::StorageFull) => "failed",
            Err(_) => "refused",
        };
        metrics::counter!("rookery_calls_total", "method" => method, "result" => result)
            .increment(1);
        metrics::histogram!("rookery_call_seconds", "method" => method)
            .record(begun.elapsed().as_secs_f64());
        if let Err(refusal) = &answer {
            tracing::debug!(method, %refusal, "a call was refused");
        }
        answer
    }
}

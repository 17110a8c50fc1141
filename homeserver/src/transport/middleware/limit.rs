//! Charges every call to whoever makes it.

use async_trait::async_trait;
use bytes::Bytes;
use rookery_protocol::{
    request::{
        Refusal, Request as _,
        account::Register,
        message::SendMessage,
        peer::PeerForward,
        session::{OpenSession, Refresh},
    },
    session::Principal,
};

use super::{Call, Middleware, Next};
use crate::service::limit::{Bucket, Subject};

/// Limits every call by its rate class.
pub(in crate::transport) struct Limit;

#[async_trait]
impl Middleware for Limit {
    async fn handle(&self, call: Call, next: Next<'_>) -> Result<Bytes, Refusal> {
        let limiter = &call.context.services.limiter;
        let address = call.context.seat.address();
        match call.method {
            // What these are charged to depends on what is in them: their services see to it.
            SendMessage::METHOD | Register::METHOD | PeerForward::METHOD => {}
            // These prove a key, and check no password.
            OpenSession::METHOD | Refresh::METHOD => {
                limiter.take(Bucket::Open, &Subject::address(address))?;
            }
            _ if call.principal == Principal::Administrator => {}
            _ => limiter.charge(call.rate, &call.principal, address)?,
        }
        next.run(call).await
    }
}

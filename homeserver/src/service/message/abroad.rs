//! Messages to people of other servers: stored here, on their way there, and what their sender hears of it.

use std::{sync::Arc, time::Duration};

use rookery_protocol::{
    chain::HeadRef,
    codec,
    id::{DeviceId, ItemId, UserId},
    request::{
        Failure, Refusal,
        message::{Returned, SendError, SendMessage, Sent},
        peer::{Forwarded, ForwardedContent, ForwardedMessage},
    },
    session::Authenticated,
};

use super::{Answer, Origin, hand_in};
use crate::{
    repository::mailbox::Letter,
    service::{Services, peer::Peer},
};

/// How long an answer waits for the home of a receiver that lives elsewhere, while that is reached: mostly it takes a message within
/// milliseconds, and its sender hears at once what became of it.
const FORWARD_PATIENCE: Duration = Duration::from_secs(1);

/// The part of a message that is for another server.
#[derive(Debug)]
pub struct Abroad {
    pub(super) peer: Arc<Peer>,
    /// The devices that it is for.
    pub(super) devices: Vec<DeviceId>,
    /// What is handed over, encoded.
    pub(super) content: Vec<u8>,
}

/// Stores a message with the copies for the sender's other devices, and waits a moment for the receiver's home to take it.
pub(super) async fn send(
    services: &Services,
    (who, own_head): (Authenticated, HeadRef),
    abroad: Abroad,
    to: (UserId, HeadRef),
    message: ItemId,
    letters: Vec<Letter>,
) -> Answer {
    let peer = Arc::clone(&abroad.peer);
    let told = peer.watch(who.user, message);
    let from = Origin::Here { who, own_head, abroad: Some(abroad) };
    let sent = hand_in(services, from, to, message, letters)
        .await?
        .await
        .map_err(|_| Refusal::Unavailable)??;
    if sent.awaits.is_none() || peer.client().is_none() {
        return Ok(sent);
    }
    match tokio::time::timeout(FORWARD_PATIENCE, told).await {
        Ok(Ok(None)) => Ok(Sent { awaits: None, ..sent }),
        Ok(Ok(Some(returned))) => Err(Failure::Error(came_back(returned, own_head))),
        // It is stored, and goes on by itself.
        Ok(Err(_)) | Err(_) => Ok(sent),
    }
}

/// What a sender is told of a message that came back while they waited.
fn came_back(returned: Returned, own_head: HeadRef) -> SendError {
    match returned {
        Returned::Stale { to_head } => SendError::Stale { to_head, own_head },
        Returned::NotFound => SendError::NotFound,
        Returned::Refused { reason } => SendError::Refused { reason },
        Returned::Removed => SendError::UnknownServer,
        Returned::Expired => {
            SendError::Refused { reason: "the receiver's server did not answer".to_owned() }
        }
    }
}

/// The part of a message that is for another server, if its receiver lives there.
pub(super) async fn part_of(
    services: &Services,
    who: Authenticated,
    request: &SendMessage,
) -> Result<Option<Abroad>, Failure<SendError>> {
    if services.resident(request.to).await?.is_some() {
        return Ok(None);
    }
    let Some(foreigner) = services.foreigner(request.to).await? else { return Ok(None) };
    let own = services.resident(who.user).await?.ok_or(Refusal::NotAuthenticated)?;
    let peer = services.peer(&foreigner.stored.peer);
    let peer = peer.ok_or(Failure::Error(SendError::UnknownServer))?;
    let (mut devices, mut envelopes) = (vec![], vec![]);
    for envelope in &request.envelopes {
        let header = envelope.read_header().map_err(|_| Refusal::Malformed)?;
        if header.dst_user == request.to {
            devices.push(header.dst_device);
            envelopes.push(envelope.clone());
        }
    }
    let forwarded = Forwarded {
        id: request.message,
        from: who.user,
        name: own.name.clone(),
        content: ForwardedContent::Message(ForwardedMessage {
            device: who.device,
            own_head: request.own_head,
            to: request.to,
            to_head: request.to_head,
            envelopes,
            purpose: request.purpose,
        }),
    };
    Ok(Some(Abroad { peer, devices, content: codec::encode(&forwarded) }))
}

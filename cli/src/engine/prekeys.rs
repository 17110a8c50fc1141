//! Prekeys: renewed, refilled, published until the home has confirmed them; and sessions that are begun anew.

use rookery_protocol::{
    id::{DeviceId, UserId},
    io::client::Client,
    request::{
        message::Purpose,
        prekey::{PrekeyCount, PublishPrekeys},
    },
};

use super::{Engine, new_item, refusal::failed};
use crate::{
    e2ee::{
        OsRandom,
        pair::{Me, Peer, SealError},
        payload::{Payload, Receipt, ReceiptKind},
    },
    error::{CommandError, Kind},
    store::{Outgoing, SealedRequest},
};

impl Engine {
    /// Makes what is due, stores it, and publishes it.
    pub(super) async fn publish_prekeys(
        &self,
        client: &Client,
        left: Option<PrekeyCount>,
    ) -> Result<(), CommandError> {
        let mut unit = self.store.write().await?;
        let mut prekeys = unit.prekeys().await?;
        if prekeys.maintain(left, self.now(), &mut OsRandom) {
            // The private halves are durable before anybody can seal for the public ones.
            unit.put_prekeys(&prekeys).await?;
        }
        unit.commit().await?;
        let Some(upload) = prekeys.upload(&self.secrets) else { return Ok(()) };
        client
            .call(&PublishPrekeys { upload: upload.clone() })
            .await
            .map_err(|error| failed(Kind::Failed, error))?;
        let mut unit = self.store.write().await?;
        let mut prekeys = unit.prekeys().await?;
        prekeys.confirm(&upload);
        unit.put_prekeys(&prekeys).await?;
        Ok(unit.commit().await?)
    }

    /// Begins a new session with a device whose letters do not open, signed so that it is never silent.
    pub(super) async fn reset_session(
        &self,
        client: &Client,
        user: UserId,
        device: DeviceId,
    ) -> Result<(), CommandError> {
        let bundle = self
            .claim_bundles(client, user, vec![device])
            .await?
            .into_iter()
            .find(|bundle| bundle.device == device);
        let bundle = bundle.ok_or_else(|| {
            CommandError::new(Kind::Failed, "the device has no keys at the server")
        })?;
        let mut unit = self.store.write().await?;
        unit.settle_reset(device).await?;
        let (Some(own), Some(theirs)) = (unit.person(self.user).await?, unit.person(user).await?)
        else {
            return Ok(unit.commit().await?);
        };
        let Some(peer) = Peer::of(&theirs, device) else { return Ok(unit.commit().await?) };
        let me = Me::of(&own, &self.secrets);
        let item = new_item();
        let pair = unit.pair(device).await?;
        let sealed = pair.seal_reset(&me, &peer, &bundle, item, self.now(), &mut OsRandom);
        let sealed = match sealed {
            Ok(sealed) => sealed,
            // It was begun anew meanwhile.
            Err(unsealed) if unsealed.reason == SealError::TooSoon => {
                return Ok(unit.commit().await?);
            }
            Err(unsealed) => return Err(CommandError::of(Kind::Failed, &unsealed.reason)),
        };
        unit.put_pair(device, &sealed.pair).await?;
        unit.count_reset().await?;
        // The home takes a letter for every device or none: the outbox adds empty ones for the others.
        let payload = Payload::Receipt(Receipt { kind: ReceiptKind::Delivered, messages: vec![] });
        let request = SealedRequest {
            to_head: theirs.head.into(),
            own_head: own.head.into(),
            envelopes: vec![sealed.envelope],
        };
        let outgoing = Outgoing {
            sealed: Some(request),
            ..self.outgoing(user, item, Purpose::Receipt, &payload)
        };
        unit.enqueue(self.user, &outgoing).await?;
        unit.commit().await?;
        tracing::warn!(%user, %device, "secure session reset: letters of this device did not open");
        // What was sent in the session that is lost may not have opened on the other side either.
        Ok(self.send_again(user).await?)
    }
}

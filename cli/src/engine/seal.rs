//! Sealing what is in the outbox, for every device that is to have it.

use std::collections::BTreeMap;

use rookery_protocol::{
    envelope::Envelope,
    id::{DeviceId, ItemId, UserId},
    io::client::{CallError, Client},
    prekey::Bundle,
    request::{
        Refusal,
        message::Purpose,
        prekey::{ClaimError, ClaimPrekeys},
    },
    time::Timestamp,
    user::State,
};

use super::{
    Engine, new_item,
    outbox::{Undelivered, throttled},
};
use crate::{
    e2ee::{
        OsRandom,
        pair::{self, BundleNeed, Me, Peer, SealError},
        payload::Payload,
    },
    error::{CommandError, Kind},
    store::{Outgoing, SealedRequest, StoreError, Unit},
};

impl Engine {
    /// An entry of the outbox.
    pub(super) fn outgoing(
        &self,
        to: UserId,
        item: ItemId,
        purpose: Purpose,
        payload: &Payload,
    ) -> Outgoing {
        let content = [&payload.kind().to_be_bytes()[..], &payload.encode()].concat();
        let (since, not_before) = (self.now(), Timestamp::from_millis(0));
        Outgoing {
            to,
            item,
            purpose,
            content,
            since,
            not_before,
            attempts: 0,
            trouble: None,
            sealed: None,
        }
    }

    /// Seals for every live device of both sides that has no envelope yet, and stores it all before anything leaves.
    pub(super) async fn seal(
        &self,
        client: &Client,
        outgoing: &Outgoing,
    ) -> Result<SealedRequest, Undelivered> {
        if self.store.read().await?.person(outgoing.to).await?.is_none() {
            self.fetch_chain(client, outgoing.to).await?;
        }
        let mut bundles: BTreeMap<DeviceId, Bundle> = BTreeMap::new();
        let mut has_claimed = false;
        loop {
            let mut unit = self.store.write().await?;
            let missing =
                |what: &str| Undelivered::Later(format!("{what} is not known here yet"), None);
            let own = unit.person(self.user).await?.ok_or_else(|| missing("this account"))?;
            let theirs = unit.person(outgoing.to).await?.ok_or_else(|| missing("the receiver"))?;
            if theirs.closed {
                return Err(Undelivered::Failed(
                    "the receiver has closed their account".to_owned(),
                ));
            }
            // Another attempt may have stored envelopes meanwhile: they are kept for the devices that are still live.
            let Some(current) = unit.outgoing(self.user, outgoing.to, outgoing.item).await? else {
                return Err(Undelivered::Later("it has left the outbox".to_owned(), None));
            };
            let mut kept: BTreeMap<DeviceId, Envelope> = current
                .sealed
                .iter()
                .flat_map(|sealed| &sealed.envelopes)
                .filter_map(|envelope| {
                    Some((envelope.read_header().ok()?.dst_device, envelope.clone()))
                })
                .collect();
            let targets = self.targets(&own, &theirs);
            kept.retain(|device, _| targets.iter().any(|(_, target)| target == device));
            let me = Me::of(&own, &self.secrets);
            let wanted = self
                .wanted_bundles(&mut unit, &me, &own, &theirs, &targets, &kept, &bundles)
                .await?;
            if !wanted.is_empty() && !has_claimed {
                // Nothing was written; the network is not waited for with the store in hand.
                drop(unit);
                for (person, devices) in wanted {
                    for bundle in self.claim(client, person, devices).await? {
                        bundles.insert(bundle.device, bundle);
                    }
                }
                has_claimed = true;
                continue;
            }
            // The letter bears the time at which it was written, the same for everybody.
            let written = current.since;
            for (person, device) in &targets {
                if kept.contains_key(device) {
                    continue;
                }
                let state = if *person == self.user { &own } else { &theirs };
                let Some(peer) = Peer::of(state, *device) else { continue };
                let payload = decode_content(&outgoing.content);
                let letter =
                    pair::Outgoing { message: outgoing.item, to: outgoing.to, payload: &payload };
                let pair = unit.pair(*device).await?;
                let sealed = pair
                    .seal(&me, &peer, bundles.get(device), &letter, written, &mut OsRandom)
                    .map_err(|unsealed| unsealable(&unsealed.reason))?;
                unit.put_pair(*device, &sealed.pair).await?;
                kept.insert(*device, sealed.envelope);
            }
            let request = SealedRequest {
                to_head: theirs.head.into(),
                own_head: own.head.into(),
                envelopes: kept.into_values().collect(),
            };
            unit.update_outgoing(self.user, &Outgoing { sealed: Some(request.clone()), ..current })
                .await?;
            unit.commit().await?;
            return Ok(request);
        }
    }

    /// All live devices of both sides but this one.
    fn targets(&self, own: &State, theirs: &State) -> Vec<(UserId, DeviceId)> {
        let mut targets: Vec<_> = own
            .live_device_ids()
            .into_iter()
            .filter(|device| *device != self.device)
            .map(|device| (self.user, device))
            .collect();
        if theirs.user != self.user {
            targets
                .extend(theirs.live_device_ids().into_iter().map(|device| (theirs.user, device)));
        }
        targets
    }

    #[expect(clippy::too_many_arguments, reason = "one step of sealing, apart for its length")]
    async fn wanted_bundles(
        &self,
        unit: &mut Unit,
        me: &Me<'_>,
        own: &State,
        theirs: &State,
        targets: &[(UserId, DeviceId)],
        kept: &BTreeMap<DeviceId, Envelope>,
        bundles: &BTreeMap<DeviceId, Bundle>,
    ) -> Result<BTreeMap<UserId, Vec<DeviceId>>, StoreError> {
        let mut wanted: BTreeMap<UserId, Vec<DeviceId>> = BTreeMap::new();
        for (person, device) in targets {
            if kept.contains_key(device) || bundles.contains_key(device) {
                continue;
            }
            let state = if *person == self.user { own } else { theirs };
            let Some(peer) = Peer::of(state, *device) else { continue };
            if unit.pair(*device).await?.bundle_need(me, &peer, self.now()) != BundleNeed::None {
                wanted.entry(*person).or_default().push(*device);
            }
        }
        Ok(wanted)
    }

    pub(super) async fn claim_bundles(
        &self,
        client: &Client,
        person: UserId,
        devices: Vec<DeviceId>,
    ) -> Result<Vec<Bundle>, CommandError> {
        self.claim(client, person, devices).await.map_err(|error| match error {
            Undelivered::Later(why, _) | Undelivered::Failed(why) => {
                CommandError::new(Kind::Failed, why)
            }
        })
    }

    async fn claim(
        &self,
        client: &Client,
        person: UserId,
        devices: Vec<DeviceId>,
    ) -> Result<Vec<Bundle>, Undelivered> {
        let claim = ClaimPrekeys { claim: new_item(), user: person, devices };
        match client.call_watched(&claim).await {
            Ok(bundles) => Ok(bundles.bundles),
            Err(CallError::Request(error @ ClaimError::Unreachable { .. })) => {
                Err(Undelivered::Later(error.to_string(), None))
            }
            Err(CallError::Request(error)) => Err(Undelivered::Failed(error.to_string())),
            Err(CallError::Refused(Refusal::Throttled { retry_after_ms })) => {
                Err(throttled(retry_after_ms))
            }
            Err(error) => Err(Undelivered::Later(error.to_string(), None)),
        }
    }
}

/// What was queued, as a payload again.
pub(super) fn decode_content(content: &[u8]) -> Payload {
    let (kind, bytes) = content
        .split_first_chunk::<4>()
        .map_or((0, &[][..]), |(kind, bytes)| (u32::from_be_bytes(*kind), bytes));
    Payload::decode(kind, bytes)
}

fn unsealable(reason: &SealError) -> Undelivered {
    match reason {
        SealError::NeedsBundle => Undelivered::Later(
            "a device of the receiver has no keys at the server yet".to_owned(),
            None,
        ),
        SealError::TooLong { .. } | SealError::Forked => Undelivered::Failed(reason.to_string()),
        _ => Undelivered::Later(reason.to_string(), None),
    }
}

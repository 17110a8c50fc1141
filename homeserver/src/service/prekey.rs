//! Prekeys: what devices publish, and who gets what of it.
//!
//! A one-time key that is given away is gone, so whoever may ask for one may drain them: strangers get signed prekeys only, and everybody
//! else so many an hour. Beyond the bounds a session begins all the same, with a little less forward
//! secrecy in its first flight.

use rookery_protocol::{
    id::{DeviceId, UserId},
    io::client::CallError,
    prekey::Bundle,
    request::{
        Failure, Refusal,
        peer::PeerClaim,
        prekey::{Bundles, ClaimError, ClaimPrekeys, PrekeyCount, PublishError, PublishPrekeys},
    },
    session::{Authenticated, FollowDown},
    user::MAX_LIVE_DEVICES,
    version::SUITE,
};

use super::{
    Services, account,
    chain::WritesAs,
    directory::Resident,
    feed::Live,
    limit::{Bucket, Subject},
    peer::copy::Foreigner,
};
use crate::repository::prekey::{ClaimedKeys, NewClaim, OneTime, PrekeyCounts};

/// How many one-time keys of one kind a device may have waiting.
const MAX_ONE_TIME: u32 = 500;
/// How long a pair of a user and a device is no new one.
const PAIR: std::time::Duration = std::time::Duration::from_hours(24);

/// Publishes the asking device's keys.
pub async fn publish(
    services: &Services,
    who: Authenticated,
    request: PublishPrekeys,
) -> Result<PrekeyCount, Failure<PublishError>> {
    let refused = |reason: String| Failure::Error(PublishError::Refused { reason });
    let (_, key) = account::device_key(services, &who).await?;
    let now = services.clock.now();
    account::check_prekeys(&request.upload, key, now).map_err(refused)?;
    let mut unit = services.storage.begin().await?;
    let counts = unit.put_prekeys(who.user, who.device, &request.upload, now).await?;
    if counts.one_time > MAX_ONE_TIME || counts.one_time_kem > MAX_ONE_TIME {
        return Err(refused(format!(
            "a device has at most {MAX_ONE_TIME} one-time keys of a kind"
        )));
    }
    unit.commit().await?;
    Ok(PrekeyCount { one_time: counts.one_time, one_time_kem: counts.one_time_kem })
}

/// Claims a bundle of each of a user's devices.
pub async fn claim(
    services: &Services,
    requester: UserId,
    request: ClaimPrekeys,
) -> Result<Bundles, Failure<ClaimError>> {
    let not_found = || Failure::Error(ClaimError::NotFound);
    if request.devices.len() > MAX_LIVE_DEVICES {
        return Err(Refusal::Malformed.into());
    }
    let target = services.resident(request.user).await?.ok_or_else(not_found)?;
    let writes = services.may_write(requester, &target).await?.ok_or_else(not_found)?;
    let mut view = services.storage.read().await?;
    let before = view.claim(requester, request.claim).await?;
    drop(view);
    if !before.is_empty() {
        return Ok(bundles(&target, before));
    }
    let mut devices: Vec<DeviceId> =
        request.devices.into_iter().filter(|device| target.live.contains(device)).collect();
    devices.sort_unstable();
    devices.dedup();
    let devices = allot(services, requester, &target, writes, devices).await?;
    let now = services.clock.now();
    let claim = NewClaim { requester, claim: request.claim, at: now, devices };
    let turn = services.order.lock().await;
    let mut unit = services.storage.begin().await?;
    let claimed = unit.claim_prekeys(&claim).await?;
    let mut counts: Vec<(DeviceId, PrekeyCounts)> = Vec::new();
    for keys in claimed.iter().filter(|keys| keys.one_time.is_some() || keys.one_time_kem.is_some())
    {
        counts.push((keys.device, unit.prekey_counts(keys.device).await?));
    }
    unit.commit().await?;
    drop(turn);
    for (device, left) in counts {
        if let Some(feed) = services.feeds.of_device(device) {
            let PrekeyCounts { one_time, one_time_kem } = left;
            feed.push(Live::notice(&FollowDown::PrekeysLeft { one_time, one_time_kem }));
        }
    }
    Ok(bundles(&target, claimed))
}

/// Claims bundles of somebody on another server, there.
pub async fn claim_abroad(
    services: &Services,
    who: Authenticated,
    foreigner: &Foreigner,
    request: ClaimPrekeys,
) -> Result<Bundles, Failure<ClaimError>> {
    let server = foreigner.stored.peer.clone();
    let away = || Failure::Error(ClaimError::Unreachable { server: server.clone() });
    let peer = services.peer(&server).ok_or_else(away)?;
    let client = peer.client().ok_or_else(away)?;
    let mut unit = services.storage.begin().await?;
    unit.let_peer_read(&peer.name, who.user).await?;
    unit.commit().await?;
    let ClaimPrekeys { claim, user, devices } = request;
    let request = PeerClaim { asker: who.user, claim, user, devices };
    match client.call_watched(&request).await {
        Ok(bundles) => Ok(bundles),
        Err(CallError::Request(error)) => Err(Failure::Error(error)),
        Err(CallError::Refused(refusal @ Refusal::Throttled { .. })) => Err(refusal.into()),
        Err(error) => {
            tracing::debug!(peer = %server, %error, "prekeys were not claimed");
            Err(away())
        }
    }
}

/// Says of which devices one-time keys are given.
async fn allot(
    services: &Services,
    requester: UserId,
    target: &Resident,
    writes: WritesAs,
    devices: Vec<DeviceId>,
) -> Result<Vec<(DeviceId, OneTime)>, Failure<ClaimError>> {
    if target.user == requester {
        return Ok(devices.into_iter().map(|device| (device, OneTime::Give)).collect());
    }
    let since = services
        .clock
        .now()
        .as_millis()
        .saturating_sub(u64::try_from(PAIR.as_millis()).unwrap_or(0));
    let since = rookery_protocol::time::Timestamp::from_millis(since);
    let known = services.storage.read().await?.claimed_since(requester, &devices, since).await?;
    let mut allotted = Vec::with_capacity(devices.len());
    for device in devices {
        if !known.contains(&device) {
            services.limiter.take(Bucket::ClaimPairs, &Subject::User(requester))?;
        }
        let within = writes == WritesAs::Partner
            && services.limiter.take(Bucket::ClaimTarget, &Subject::User(target.user)).is_ok();
        allotted.push((device, if within { OneTime::Give } else { OneTime::Withhold }));
    }
    Ok(allotted)
}

fn bundles(target: &Resident, claimed: Vec<ClaimedKeys>) -> Bundles {
    let live = claimed.into_iter().filter(|keys| target.live.contains(&keys.device));
    let bundle = |keys: ClaimedKeys| Bundle {
        suite: SUITE,
        user: target.user,
        device: keys.device,
        chain_head: target.head,
        signed: keys.signed,
        signed_kem: keys.signed_kem,
        one_time: keys.one_time,
        one_time_kem: keys.one_time_kem,
    };
    Bundles { bundles: live.map(bundle).collect() }
}

#[cfg(test)]
mod tests {
    use rookery_protocol::request::prekey::PublishPrekeys;

    use super::*;
    use crate::service::{
        contact,
        testing::{Bench, Person, bench, item},
    };

    async fn claim_of(
        bench: &Bench,
        who: Authenticated,
        of: &Person,
        number: u32,
    ) -> Result<Bundles, Failure<ClaimError>> {
        let request = ClaimPrekeys { claim: item(number), user: of.user, devices: of.live.clone() };
        claim(&bench.services, who.user, request).await
    }

    #[tokio::test]
    async fn a_stranger_gets_signed_prekeys_and_a_contact_one_time_keys_each_once() {
        let bench = bench(&[]);
        let (alice, alices, ..) = bench.person("alice").await;
        let (bob, bobs, ..) = bench.person("bob").await;
        let stranger = claim_of(&bench, bobs, &alice, 1).await.unwrap().bundles;
        assert!(stranger.len() == 1 && stranger[0].one_time.is_none());
        stranger[0].verify(alice.device.key.verifying_key()).unwrap();
        contact::request(&bench.services, alices, "bob".parse().unwrap()).await.unwrap();
        contact::request(&bench.services, bobs, "alice".parse().unwrap()).await.unwrap();
        let first = claim_of(&bench, bobs, &alice, 2).await.unwrap();
        assert_eq!(
            claim_of(&bench, bobs, &alice, 2).await.unwrap(),
            first,
            "the same claim gets the same bundles"
        );
        let second = claim_of(&bench, bobs, &alice, 3).await.unwrap();
        let id = |bundles: &Bundles| bundles.bundles[0].one_time.as_ref().unwrap().id;
        assert_ne!(id(&first), id(&second));
        let own = claim_of(&bench, bobs, &bob, 4).await.unwrap();
        assert!(own.bundles[0].one_time.is_some(), "own devices count as contacts");
    }

    #[tokio::test]
    async fn one_time_keys_cannot_be_drained() {
        let bench = bench(&[("limits.claim_target", "2/h"), ("limits.claim_pairs", "1/h")]);
        let (alice, alices, ..) = bench.person("alice").await;
        let (_, bobs, ..) = bench.person("bob").await;
        let (carol, ..) = bench.person("carol").await;
        contact::request(&bench.services, alices, "bob".parse().unwrap()).await.unwrap();
        contact::request(&bench.services, bobs, "alice".parse().unwrap()).await.unwrap();
        let mut given = vec![];
        for number in 0..3 {
            let bundles = claim_of(&bench, bobs, &alice, number).await.unwrap().bundles;
            given.push(bundles[0].one_time.is_some());
        }
        assert_eq!(given, [true, true, false]);
        let more = claim_of(&bench, bobs, &carol, 9).await;
        assert!(matches!(more, Err(Failure::Refused(Refusal::Throttled { .. }))), "{more:?}");
    }

    #[tokio::test]
    async fn a_prekey_that_another_device_signed_is_refused() {
        let bench = bench(&[]);
        let (alice, alices, ..) = bench.person("alice").await;
        let (bob, ..) = bench.person("bob").await;
        let upload = bob.device.prekeys(5);
        let refused = publish(&bench.services, alices, PublishPrekeys { upload }).await;
        assert!(matches!(refused, Err(Failure::Error(PublishError::Refused { .. }))));
        let upload = alice.device.prekeys(5);
        let counts = publish(&bench.services, alices, PublishPrekeys { upload }).await.unwrap();
        assert_eq!((counts.one_time, counts.one_time_kem), (15, 3));
    }
}

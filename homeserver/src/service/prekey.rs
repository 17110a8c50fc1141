//! Prekeys: what devices publish, and who gets what of it.
//!
//! A one-time key that is given away is gone, so whoever may ask for one may drain them: strangers get signed prekeys only, and everybody
//! else so many an hour (`SEALING` 4.2, `DECISIONS.md` D20). Beyond the bounds a session begins all the same, with a little less forward
//! secrecy in its first flight.

use rookery_protocol::{
    id::DeviceId,
    prekey::Bundle,
    request::{
        Failure, Refusal,
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
};
use crate::repository::prekey::{ClaimedKeys, NewClaim, OneTime, PrekeyCounts};

/// How many one-time keys of one kind a device may have waiting (`SEALING` 4.2).
const MAX_ONE_TIME: u32 = 500;
/// How long a pair of a user and a device is no new one.
const PAIR: std::time::Duration = std::time::Duration::from_secs(86_400);

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
        return Err(refused(format!("a device has at most {MAX_ONE_TIME} one-time keys of a kind")));
    }
    unit.commit().await?;
    Ok(PrekeyCount { one_time: counts.one_time, one_time_kem: counts.one_time_kem })
}

/// Claims a bundle of each of a user's devices.
pub async fn claim(
    services: &Services,
    who: Authenticated,
    request: ClaimPrekeys,
) -> Result<Bundles, Failure<ClaimError>> {
    let not_found = || Failure::Error(ClaimError::NotFound);
    if request.devices.len() > MAX_LIVE_DEVICES {
        return Err(Refusal::Malformed.into());
    }
    let target = services.resident(request.user).await?.ok_or_else(not_found)?;
    let writes = services.may_write(who.user, &target).await?.ok_or_else(not_found)?;
    let mut view = services.storage.read().await?;
    let before = view.claim(who.user, request.claim).await?;
    drop(view);
    if !before.is_empty() {
        return Ok(bundles(&target, before));
    }
    let mut devices: Vec<DeviceId> = request.devices.into_iter().filter(|device| target.live.contains(device)).collect();
    devices.sort_unstable();
    devices.dedup();
    let devices = allot(services, who, &target, writes, devices).await?;
    let now = services.clock.now();
    let claim = NewClaim { requester: who.user, claim: request.claim, at: now, devices };
    let turn = services.order.lock().await;
    let mut unit = services.storage.begin().await?;
    let claimed = unit.claim_prekeys(&claim).await?;
    let mut counts: Vec<(DeviceId, PrekeyCounts)> = Vec::new();
    for keys in claimed.iter().filter(|keys| keys.one_time.is_some() || keys.one_time_kem.is_some()) {
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

/// Says of which devices one-time keys are given.
async fn allot(
    services: &Services,
    who: Authenticated,
    target: &Resident,
    writes: WritesAs,
    devices: Vec<DeviceId>,
) -> Result<Vec<(DeviceId, OneTime)>, Failure<ClaimError>> {
    if target.user == who.user {
        return Ok(devices.into_iter().map(|device| (device, OneTime::Give)).collect());
    }
    let since = services.clock.now().as_millis().saturating_sub(u64::try_from(PAIR.as_millis()).unwrap_or(0));
    let since = rookery_protocol::time::Timestamp::from_millis(since);
    let known = services.storage.read().await?.claimed_since(who.user, &devices, since).await?;
    let mut allotted = Vec::with_capacity(devices.len());
    for device in devices {
        if !known.contains(&device) {
            services.limiter.take(Bucket::ClaimPairs, &Subject::User(who.user))?;
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

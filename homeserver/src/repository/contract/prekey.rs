//! Prekeys.

use std::ops::Range;

use rookery_protocol::{
    key::{AgreementKey, Domain, KEM_KEY_BYTES, KemKey, SigningKey},
    prekey::{EcPrekey, KemPrekey, PrekeyUpload},
};

use super::{at, commit, device, item, open_accounts, user};
use crate::repository::{
    Storage,
    prekey::{NewClaim, OneTime, PrekeyCounts},
};

/// What the device with the key of `seed` publishes: signed prekeys, and one-time keys of both kinds with these ids. A key ends as many
/// seconds from the beginning as a thousand and its id.
pub(in crate::repository) fn upload(seed: u8, ids: Range<u32>) -> PrekeyUpload {
    let key = SigningKey::from_seed(&[seed; 32]);
    let ec = |domain, id: u32| {
        let public = AgreementKey::from_bytes([seed; 32]);
        EcPrekey::sign(&key, domain, id, public, at(u64::from(id) + 1000))
    };
    let kem = |domain, id: u32| {
        let public = KemKey::from_slice(&[seed; KEM_KEY_BYTES]).unwrap();
        KemPrekey::sign(&key, domain, id, public, at(u64::from(id) + 1000))
    };
    PrekeyUpload {
        signed: Some(ec(Domain::PREKEY_EC, 0)),
        signed_kem: Some(kem(Domain::PREKEY_PQ, 0)),
        one_time: ids.clone().map(|id| ec(Domain::ONE_TIME_EC, id)).collect(),
        one_time_kem: ids.map(|id| kem(Domain::ONE_TIME_PQ, id)).collect(),
    }
}

fn claim(requester: u8, number: u16, devices: &[u8]) -> NewClaim {
    NewClaim {
        requester: user(requester),
        claim: item(number),
        at: at(10),
        devices: devices.iter().map(|number| (device(*number), OneTime::Give)).collect(),
    }
}

pub(super) async fn a_one_time_key_goes_to_one_claim(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let published = upload(1, 1..3);
    let counts = unit.put_prekeys(user(1), device(1), &published, at(0)).await.unwrap();
    assert_eq!(counts, PrekeyCounts { one_time: 2, one_time_kem: 2 });
    let first = unit.claim_prekeys(&claim(2, 1, &[1])).await.unwrap();
    let second = unit.claim_prekeys(&claim(3, 1, &[1])).await.unwrap();
    let third = unit.claim_prekeys(&claim(3, 2, &[1])).await.unwrap();
    assert_eq!(first[0].one_time.as_ref(), published.one_time.first());
    assert_eq!(first[0].one_time_kem.as_ref(), published.one_time_kem.first());
    assert_eq!(second[0].one_time.as_ref(), published.one_time.get(1));
    assert_eq!((&third[0].one_time, &third[0].one_time_kem), (&None, &None));
    for claimed in [&first, &second, &third] {
        assert_eq!(Some(&claimed[0].signed), published.signed.as_ref());
        assert_eq!(Some(&claimed[0].signed_kem), published.signed_kem.as_ref());
    }
    assert_eq!(unit.prekey_counts(device(1)).await.unwrap(), PrekeyCounts::default());
    let given = unit.claimed_since(user(3), &[device(1), device(2)], at(10)).await.unwrap();
    assert_eq!(given, [device(1)]);
    assert_eq!(unit.claimed_since(user(3), &[device(1)], at(11)).await.unwrap(), []);
    assert_eq!(unit.claimed_since(user(1), &[device(1)], at(0)).await.unwrap(), []);
}

pub(super) async fn the_same_claim_gets_the_same_keys(storage: &dyn Storage) {
    open_accounts(storage).await;
    commit(storage, async |unit| {
        unit.put_prekeys(user(1), device(1), &upload(1, 1..9), at(0)).await.unwrap();
        unit.put_prekeys(user(1), device(4), &upload(4, 1..9), at(0)).await.unwrap();
    })
    .await;
    let first =
        commit(storage, async |unit| unit.claim_prekeys(&claim(2, 1, &[4, 1])).await.unwrap())
            .await;
    let devices: Vec<_> = first.iter().map(|keys| keys.device).collect();
    assert_eq!(devices, [device(1), device(4)]);
    let again =
        commit(storage, async |unit| unit.claim_prekeys(&claim(2, 1, &[1])).await.unwrap()).await;
    assert_eq!(again, first);
    let mut reader = storage.read().await.unwrap();
    assert_eq!(reader.claim(user(2), item(1)).await.unwrap(), first);
    assert_eq!(reader.claim(user(3), item(1)).await.unwrap(), []);
    assert_eq!(reader.prekey_counts(device(1)).await.unwrap().one_time, 7);
}

pub(super) async fn a_key_never_comes_back(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    unit.put_prekeys(user(1), device(1), &upload(1, 5..7), at(0)).await.unwrap();
    unit.claim_prekeys(&claim(2, 1, &[1])).await.unwrap();
    let counts = unit.put_prekeys(user(1), device(1), &upload(1, 0..8), at(1)).await.unwrap();
    assert_eq!(counts, PrekeyCounts { one_time: 2, one_time_kem: 2 });
    let next = unit.claim_prekeys(&claim(2, 2, &[1])).await.unwrap();
    assert_eq!(next[0].one_time.as_ref().unwrap().id, 6);
    let only_signed = PrekeyUpload { signed: None, signed_kem: None, ..upload(1, 0..0) };
    unit.put_prekeys(user(1), device(1), &only_signed, at(2)).await.unwrap();
    let next = unit.claim_prekeys(&claim(2, 3, &[1])).await.unwrap();
    assert_eq!(Some(&next[0].signed), upload(1, 0..0).signed.as_ref());
}

pub(super) async fn keys_that_are_over_are_passed_over(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    unit.put_prekeys(user(1), device(1), &upload(1, 1..5), at(0)).await.unwrap();
    let late = NewClaim { at: at(1002), ..claim(2, 1, &[1]) };
    let got = unit.claim_prekeys(&late).await.unwrap();
    assert_eq!(got[0].one_time.as_ref().unwrap().id, 3);
    assert_eq!(
        unit.prekey_counts(device(1)).await.unwrap(),
        PrekeyCounts { one_time: 1, one_time_kem: 1 }
    );
}

pub(super) async fn a_device_without_signed_keys_is_left_out(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let unsigned = PrekeyUpload { signed_kem: None, ..upload(1, 1..5) };
    unit.put_prekeys(user(1), device(1), &unsigned, at(0)).await.unwrap();
    unit.put_prekeys(user(1), device(4), &upload(4, 1..5), at(0)).await.unwrap();
    let mut withheld = claim(2, 1, &[1, 4, 9]);
    withheld.devices[1].1 = OneTime::Withhold;
    let got = unit.claim_prekeys(&withheld).await.unwrap();
    assert_eq!(got.len(), 1);
    assert_eq!((&got[0].one_time, &got[0].one_time_kem), (&None, &None));
    assert_eq!(unit.claimed_since(user(2), &[device(4)], at(0)).await.unwrap(), []);
}

pub(super) async fn after_a_restore_no_one_time_key_is_left(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    unit.put_prekeys(user(1), device(1), &upload(1, 1..5), at(0)).await.unwrap();
    assert_eq!(unit.drop_one_time_prekeys().await.unwrap(), 8);
    let got = unit.claim_prekeys(&claim(2, 1, &[1])).await.unwrap();
    assert_eq!((&got[0].one_time, &got[0].one_time_kem), (&None, &None));
    let counts = unit.put_prekeys(user(1), device(1), &upload(1, 1..5), at(0)).await.unwrap();
    assert_eq!(counts, PrekeyCounts::default());
}

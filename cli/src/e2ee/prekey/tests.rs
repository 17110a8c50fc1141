use super::*;
use crate::e2ee::SeededRandom;

const DAY: Duration = Duration::from_hours(24);
const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
const FULL: Option<PrekeyCount> = Some(PrekeyCount { one_time: 50, one_time_kem: 10 });

struct World {
    random: SeededRandom,
    device: DeviceSecrets,
    keys: PrekeyStore,
}

fn world() -> World {
    let mut random = SeededRandom::new(1);
    let device = DeviceSecrets::generate(&mut random);
    let mut keys = PrekeyStore::new();
    assert!(keys.maintain(None, NOW, &mut random));
    World { random, device, keys }
}

#[test]
fn the_first_upload_is_whole_signed_and_repeated_until_it_is_confirmed() {
    let World { device, mut keys, .. } = world();
    let upload = keys.upload(&device).unwrap();
    assert_eq!((upload.one_time.len(), upload.one_time_kem.len()), (50, 10));
    let key = device.signing().verifying_key();
    upload.signed.as_ref().unwrap().verify(key, Domain::PREKEY_EC).unwrap();
    upload.signed_kem.as_ref().unwrap().verify(key, Domain::PREKEY_PQ).unwrap();
    assert!(upload.one_time.iter().all(|one| one.verify(key, Domain::ONE_TIME_EC).is_ok()));
    assert!(upload.one_time_kem.iter().all(|one| one.verify(key, Domain::ONE_TIME_PQ).is_ok()));
    assert_eq!(keys.upload(&device).as_ref(), Some(&upload));
    keys.confirm(&upload);
    assert_eq!(keys.upload(&device), None);
}

#[test]
fn the_signed_pair_turns_by_the_clock_and_is_kept_for_35_days_more() {
    let World { mut random, device, mut keys } = world();
    let upload = keys.upload(&device).unwrap();
    keys.confirm(&upload);
    let first = upload.signed.unwrap().id;
    assert!(!keys.maintain(FULL, NOW.plus(DAY * 6), &mut random));
    assert!(keys.maintain(FULL, NOW.plus(DAY * 7), &mut random));
    assert_ne!(keys.upload(&device).unwrap().signed.unwrap().id, first);
    keys.maintain(FULL, NOW.plus(DAY * 41), &mut random);
    assert!(keys.signed(first).is_some(), "34 days after it was replaced");
    keys.maintain(FULL, NOW.plus(DAY * 43), &mut random);
    assert!(keys.signed(first).is_none(), "36 days after it was replaced");
}

#[test]
fn a_device_that_was_away_for_a_year_still_has_what_it_published_last() {
    let World { mut random, device, mut keys } = world();
    let first = keys.upload(&device).unwrap().signed.unwrap().id;
    keys.maintain(FULL, NOW.plus(DAY * 365), &mut random);
    assert!(keys.signed(first).is_some());
    assert_eq!(keys.one_time.len(), 0, "one-time keys are kept for 90 days");
}

#[test]
fn a_refill_comes_below_the_mark_and_counts_what_is_on_its_way() {
    let World { mut random, device, mut keys } = world();
    let upload = keys.upload(&device).unwrap();
    keys.confirm(&upload);
    assert!(!keys.maintain(Some(PrekeyCount { one_time: 20, one_time_kem: 4 }), NOW, &mut random));
    assert!(keys.maintain(Some(PrekeyCount { one_time: 19, one_time_kem: 3 }), NOW, &mut random));
    let refill = keys.upload(&device).unwrap();
    assert_eq!((refill.one_time.len(), refill.one_time_kem.len()), (31, 7));
    assert!(!keys.maintain(Some(PrekeyCount { one_time: 19, one_time_kem: 3 }), NOW, &mut random));
}

#[test]
fn a_drained_store_keeps_at_most_500_private_halves_and_no_number_is_given_twice() {
    let World { mut random, device, mut keys } = world();
    let mut numbers = BTreeSet::new();
    for _ in 0..15 {
        let upload = keys.upload(&device).unwrap();
        for key in &upload.one_time {
            assert!(numbers.insert(key.id));
        }
        keys.confirm(&upload);
        keys.maintain(Some(PrekeyCount { one_time: 0, one_time_kem: 10 }), NOW, &mut random);
    }
    assert_eq!(keys.one_time.len(), ONE_TIME_CAP);
}

#[test]
fn a_spent_key_is_gone_and_the_rest_survives_being_stored() {
    let World { device, mut keys, .. } = world();
    let upload = keys.upload(&device).unwrap();
    let (spent, kept) = (upload.one_time[0].id, upload.one_time[1].id);
    keys.spend(SpentPrekeys {
        one_time: Some(spent),
        one_time_kem: Some(upload.one_time_kem[0].id),
    });
    let keys = PrekeyStore::from_bytes(&keys.to_bytes()).unwrap();
    assert!(keys.one_time(spent).is_none() && keys.one_time(kept).is_some());
    assert!(keys.kem(upload.one_time_kem[0].id, true).is_none());
    assert!(
        keys.kem(upload.one_time_kem[1].id, false).is_none(),
        "a one-time key is no signed key"
    );
    assert_eq!(keys.upload(&device).unwrap().one_time.len(), 49);
}

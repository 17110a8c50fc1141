use super::{header::SlotKind, *};
use crate::e2ee::SeededRandom;

const PLACE: Place<'static> = Place { table: "message", column: "body", row: b"17", schema: 1 };

fn open_store() -> (SeededRandom, KeyFile, StoreHeader, StoreKey) {
    let mut random = SeededRandom::new(1);
    let file = KeyFile::generate(&mut random);
    let (header, key) =
        StoreHeader::create(Unlock::KeyFile(&file), PassphraseCost::FLOOR, &mut random).unwrap();
    (random, file, header, key)
}

#[test]
fn a_store_is_opened_by_each_of_its_slots_and_by_nothing_else() {
    let (mut random, file, mut header, key) = open_store();
    let words = Unlock::Passphrase("correct horse");
    assert_eq!(header.unlock(words).unwrap_err(), LockedError::NoSlot("a passphrase"));
    header.add_slot(&key, words, PassphraseCost::FLOOR, &mut random).unwrap();
    let header = StoreHeader::from_bytes(&header.to_bytes()).unwrap();
    assert_eq!(header.slots(), Slots { passphrases: 1, key_files: 1 });
    for with in [words, Unlock::KeyFile(&file)] {
        assert_eq!(header.unlock(with).unwrap().0, key.0);
    }
    assert_eq!(header.unlock(Unlock::Passphrase("correct house")).unwrap_err(), LockedError::Wrong);
    let other = KeyFile::generate(&mut random);
    assert_eq!(header.unlock(Unlock::KeyFile(&other)).unwrap_err(), LockedError::Wrong);
}

#[test]
fn a_slot_is_taken_away_by_its_own_secret_but_never_the_last() {
    let (mut random, file, mut header, key) = open_store();
    assert_eq!(header.remove_slot(Unlock::KeyFile(&file)), Err(LockedError::LastSlot));
    let other = KeyFile::generate(&mut random);
    header.add_slot(&key, Unlock::KeyFile(&other), PassphraseCost::FLOOR, &mut random).unwrap();
    header.remove_slot(Unlock::KeyFile(&file)).unwrap();
    assert_eq!(header.unlock(Unlock::KeyFile(&file)).unwrap_err(), LockedError::Wrong);
    assert!(header.unlock(Unlock::KeyFile(&other)).is_ok());
}

#[test]
fn every_changed_bit_of_the_header_keeps_the_store_shut() {
    let (_, file, header, _) = open_store();
    let bytes = header.to_bytes();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let opened = StoreHeader::from_bytes(&changed)
            .and_then(|header| header.unlock(Unlock::KeyFile(&file)));
        assert!(opened.is_err(), "bit {bit}");
    }
}

#[test]
fn a_slot_of_another_store_is_no_way_in() {
    let (mut random, file, header, _) = open_store();
    let (mut other, key) =
        StoreHeader::create(Unlock::KeyFile(&file), PassphraseCost::FLOOR, &mut random).unwrap();
    other.slots = header.slots;
    assert_eq!(other.unlock(Unlock::KeyFile(&file)).unwrap_err(), LockedError::Wrong);
    let (_, _, mut first, _) = open_store();
    let refused = first.add_slot(&key, Unlock::KeyFile(&file), PassphraseCost::FLOOR, &mut random);
    assert_eq!(refused, Err(LockedError::Wrong), "a key that is not the store's");
}

#[test]
fn a_cost_below_the_floor_is_raised_and_one_beyond_reason_refused() {
    let (mut random, _, mut header, key) = open_store();
    let nothing = PassphraseCost { memory_kib: 8, passes: 1, lanes: 1 };
    header.add_slot(&key, Unlock::Passphrase("words"), nothing, &mut random).unwrap();
    assert_eq!(header.slots[1].kind, SlotKind::Passphrase(PassphraseCost::FLOOR));
    for memory_kib in [8, u32::MAX] {
        let cost = PassphraseCost { memory_kib, ..PassphraseCost::FLOOR };
        header.slots[1].kind = SlotKind::Passphrase(cost);
        assert!(matches!(
            StoreHeader::from_bytes(&header.to_bytes()),
            Err(LockedError::Damaged(_))
        ));
    }
}

#[test]
fn calibration_goes_up_until_it_takes_long_enough_and_down_to_the_floor_for_want_of_memory() {
    let cost = PassphraseCost::calibrate(|cost| Some(Duration::from_millis(100) * cost.passes));
    assert_eq!(cost, PassphraseCost { passes: 7, ..PassphraseCost::DEFAULT });
    let cost = PassphraseCost::calibrate(|cost| {
        (cost.memory_kib <= 64 * 1024).then_some(Duration::from_secs(1))
    });
    assert_eq!(cost, PassphraseCost::FLOOR);
    assert_eq!(PassphraseCost::calibrate(|_| None), PassphraseCost::FLOOR);
}

#[test]
fn a_value_opens_at_its_own_place_and_for_its_own_purpose_only() {
    let (mut random, _, _, key) = open_store();
    let sealed = key.seal_row(Purpose::Rows, PLACE, b"words", &mut random);
    assert_eq!(key.open_row(Purpose::Rows, PLACE, &sealed).unwrap().as_slice(), b"words");
    let others = [
        Place { table: "draft", ..PLACE },
        Place { column: "bodyx", ..PLACE },
        Place { row: b"18", ..PLACE },
        Place { schema: 2, ..PLACE },
        Place { table: "messageb", column: "ody", ..PLACE },
    ];
    for other in others {
        assert_eq!(key.open_row(Purpose::Rows, other, &sealed), Err(Unopenable));
    }
    for purpose in [Purpose::Ratchets, Purpose::Index, Purpose::Files, Purpose::Drafts] {
        assert_eq!(key.open_row(purpose, PLACE, &sealed), Err(Unopenable));
    }
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(key.open_row(Purpose::Rows, PLACE, &changed), Err(Unopenable));
    }
}

#[test]
fn texts_are_padded_and_key_columns_found_by_column() {
    let (mut random, _, _, key) = open_store();
    let short = key.seal_text(Purpose::Rows, PLACE, b"a", &mut random);
    let longer = key.seal_text(Purpose::Rows, PLACE, &[b'a'; 60], &mut random);
    assert_eq!(short.len(), longer.len());
    assert_eq!(key.open_text(Purpose::Rows, PLACE, &short).unwrap().as_slice(), b"a");
    assert_eq!(key.key_of("t", "c", b"v"), key.key_of("t", "c", b"v"));
    assert_ne!(key.key_of("t", "c", b"v"), key.key_of("t", "d", b"v"));
    assert_ne!(key.key_of("t", "c", b"v"), key.key_of("t", "c", b"w"));
}

#[test]
fn nothing_secret_is_printed() {
    let (_, file, _, key) = open_store();
    let printed = format!("{file:?} {key:?} {:?}", Unlock::Passphrase("hunter2"));
    assert_eq!(printed, "KeyFile(secret) StoreKey(secret) Passphrase(secret)");
}

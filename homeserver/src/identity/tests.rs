use std::os::unix::fs::PermissionsExt as _;

use rookery_protocol::{
    codec::{self, Octets},
    key::Domain,
    request::server::{ServerRecord, SignedServerRecord},
};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

fn said() -> Said {
    Said { name: Some("nest.example".parse().unwrap()), endpoint: None }
}

/// A directory with a server in it.
fn made() -> (tempfile::TempDir, DataDir) {
    let folder = tempfile::tempdir().unwrap();
    let data = DataDir::take(&folder.path().join("data"), Absent::Make).unwrap();
    data.identity(&said(), NOW).unwrap();
    (folder, data)
}

/// What lasts of an identity, whatever is renewed.
fn lasting(identity: &Identity) -> (ServerId, ServerName, Zeroizing<[u8; 32]>) {
    (identity.server(), identity.name.clone(), identity.derived("test"))
}

#[test]
fn an_identity_lasts_and_its_files_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let taken = DataDir::take(&path, Absent::Make).unwrap();
    let first = taken.identity(&said(), NOW).unwrap();
    assert!(matches!(DataDir::take(&path, Absent::Make), Err(DataDirError::InUse { .. })));
    drop(taken);
    let taken = DataDir::take(&path, Absent::Refuse).unwrap();
    let second = taken.identity(&Said::default(), NOW).unwrap();
    assert_eq!((lasting(&first), first.record()), (lasting(&second), second.record()));
    for (file, is_needed) in KEY_FILES {
        let Ok(metadata) = fs::metadata(path.join(file)) else {
            assert!(!is_needed, "{file}");
            continue;
        };
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{file}");
    }
    let other = Said { name: Some("other.example".parse().unwrap()), endpoint: None };
    assert!(matches!(taken.identity(&other, NOW), Err(DataDirError::OtherName { .. })));
}

#[test]
fn a_server_that_is_not_there_is_not_made_by_looking() {
    let folder = tempfile::tempdir().unwrap();
    let absent = DataDir::take(folder.path(), Absent::Refuse);
    assert!(matches!(absent, Err(DataDirError::Absent { .. })));
    assert!(matches!(custody::look(folder.path()), Err(DataDirError::Absent { .. })));
}

#[test]
fn a_record_is_renewed_in_time_and_when_the_server_is_elsewhere() {
    let (_folder, data) = made();
    let first = data.identity(&said(), NOW).unwrap();
    let early = NOW.plus(TERM.saturating_sub(RENEWED));
    assert!(!first.renew(early).unwrap());
    let number = first.record().stated.number;
    let due = early.plus(std::time::Duration::from_millis(1));
    assert!(first.renew(due).unwrap());
    let renewed = first.record();
    assert!(renewed.stated.number > number);
    assert_eq!(renewed.stated.until, due.plus(TERM));
    assert_eq!(renewed.stated.online, first.online.verifying_key());
    assert_eq!(data.identity(&said(), due).unwrap().record(), renewed);
    let endpoint = Some("nest.example:7777".parse().unwrap());
    let moved = data.identity(&Said { endpoint: endpoint.clone(), ..said() }, due).unwrap();
    assert!(moved.record().stated.number > renewed.stated.number);
    assert_eq!(moved.record().stated.endpoint, endpoint);
}

#[test]
fn a_record_of_version_0_1_is_taken_over() {
    let (_folder, data) = made();
    let first = data.identity(&said(), NOW).unwrap();
    let root = file::read_key(&data.path().join(ROOT)).unwrap().unwrap();
    let ServerRecord { name, root: key, online, number, since, .. } = first.record().stated.clone();
    let former = record::Former { name, root: key, online, number, since };
    let payload = Octets::parse(codec::encode(&former)).unwrap();
    let mut signed =
        SignedServerRecord { signature: root.sign(Domain::SERVER, payload.as_slice()), payload };
    fs::write(data.path().join(RECORD), codec::encode(&signed)).unwrap();
    let taken = data.identity(&said(), NOW).unwrap();
    assert_eq!(lasting(&taken), lasting(&first));
    let renewed = taken.record();
    assert_eq!((renewed.stated.until, renewed.stated.online), (NOW.plus(TERM), online));
    assert!(renewed.stated.number > number);
    // What another root has signed is not.
    signed.signature = SigningKey::from_seed(&[9; 32]).sign(Domain::SERVER, b"anything");
    fs::write(data.path().join(RECORD), codec::encode(&signed)).unwrap();
    assert!(matches!(data.identity(&said(), NOW), Err(DataDirError::Damaged { .. })));
}

#[test]
fn an_online_key_is_replaced_and_sessions_stay() {
    let (_folder, data) = made();
    let first = data.identity(&said(), NOW).unwrap();
    let record = data.rotate(None, &Said::default(), NOW).unwrap();
    let second = data.identity(&said(), NOW).unwrap();
    assert_eq!(lasting(&first), lasting(&second));
    assert_eq!(*second.record(), record);
    assert!(record.stated.number > first.record().stated.number);
    assert_ne!(first.online.verifying_key(), second.online.verifying_key());
}

/// Killed between any two of its steps, a rotation has either not happened or happened.
#[test]
fn a_rotation_that_breaks_off_is_ended_by_the_next_start() {
    let (_folder, data) = made();
    let path = |name: &str| data.path().join(name);
    let old = data.identity(&said(), NOW).unwrap();
    let (old_key, old_record) = (fs::read(path(ONLINE)).unwrap(), fs::read(path(RECORD)).unwrap());
    let record = data.rotate(None, &Said::default(), NOW).unwrap();
    let new_key = fs::read(path(ONLINE)).unwrap();
    // Before the record is there, the old key is the one.
    fs::write(path("online.key.next"), &new_key).unwrap();
    fs::write(path(ONLINE), &old_key).unwrap();
    fs::write(path(RECORD), &old_record).unwrap();
    let found = data.identity(&said(), NOW).unwrap();
    assert_eq!(found.online.verifying_key(), old.online.verifying_key());
    assert!(!path("online.key.next").exists());
    // After it, the new one.
    fs::write(path("online.key.next"), &new_key).unwrap();
    record.write(&path(RECORD)).unwrap();
    let found = data.identity(&said(), NOW).unwrap();
    assert_eq!(found.online.verifying_key(), record.stated.online);
    assert!(!path("online.key.next").exists());
}

#[test]
fn a_server_goes_on_without_its_root_key_and_is_renewed_with_it() {
    let (folder, data) = made();
    let first = data.identity(&said(), NOW).unwrap();
    let kept = folder.path().join("kept.key");
    data.export_root(&kept, &Said::default(), NOW).unwrap();
    assert!(!data.path().join(ROOT).exists());
    let without = data.identity(&said(), NOW).unwrap();
    assert!(without.root.is_none());
    assert_eq!(lasting(&first), lasting(&without));
    without.tls().unwrap();
    // It cannot renew itself, and says so by ending.
    let late = NOW.plus(TERM).plus(std::time::Duration::from_hours(2));
    assert!(!without.renew(late).unwrap());
    assert!(without.record().stated.has_ended(late));
    assert!(matches!(data.rotate(None, &said(), late), Err(DataDirError::NoRoot { .. })));
    let renewed = data.rotate(Some(&kept), &Said::default(), late).unwrap();
    assert!(renewed.stated.number > without.record().stated.number);
    assert!(!data.path().join(ROOT).exists(), "the root key does not stay");
    assert!(!data.identity(&said(), late).unwrap().record().stated.has_ended(late));
    // It is never written over, and another one is not taken for it.
    let again = data.export_root(&kept, &Said::default(), NOW);
    assert!(matches!(again, Err(DataDirError::NoRoot { .. })));
    let (_other_folder, other) = made();
    let taken = other.export_root(&kept, &Said::default(), NOW);
    assert!(matches!(taken, Err(DataDirError::File { .. })));
    assert!(other.path().join(ROOT).exists());
    assert!(matches!(other.import_root(&kept), Err(DataDirError::OtherRoot { .. })));
    let foreign = other.rotate(Some(&kept), &said(), NOW);
    assert!(matches!(foreign, Err(DataDirError::OtherRoot { .. })));
    data.import_root(&kept).unwrap();
    assert!(data.identity(&said(), late).unwrap().root.is_some());
}

#[test]
fn keys_that_do_not_belong_together_are_damage() {
    let (_folder, data) = made();
    fs::remove_file(data.path().join(ONLINE)).unwrap();
    assert!(matches!(data.identity(&said(), NOW), Err(DataDirError::Damaged { .. })));
}

#[test]
fn all_that_makes_a_server_is_copied() {
    let (folder, data) = made();
    let first = data.identity(&said(), NOW).unwrap();
    let copy = folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    let bytes = copy_keys(data.path(), &copy).unwrap();
    assert!(bytes > 100);
    let copied = DataDir::take(&copy, Absent::Refuse).unwrap().identity(&said(), NOW).unwrap();
    assert_eq!(lasting(&first), lasting(&copied));
    // Without its root key it is the same server.
    data.export_root(&folder.path().join("kept.key"), &Said::default(), NOW).unwrap();
    let second = folder.path().join("second");
    fs::create_dir(&second).unwrap();
    copy_keys(data.path(), &second).unwrap();
    let copied = DataDir::take(&second, Absent::Refuse).unwrap().identity(&said(), NOW).unwrap();
    assert_eq!(lasting(&first), lasting(&copied));
    assert!(copied.root.is_none());
    copied.tls().unwrap();
}

/// However often the record was renewed since the copy was made, the restored server's is newer.
#[test]
fn the_record_of_a_restored_server_is_newer_than_all_that_were_seen() {
    let (folder, data) = made();
    let copy = folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    copy_keys(data.path(), &copy).unwrap();
    let mut now = NOW;
    let running = data.identity(&said(), now).unwrap();
    for _ in 0..5 {
        now = now.plus(TERM);
        assert!(running.renew(now).unwrap());
    }
    let restored = DataDir::take(&copy, Absent::Refuse).unwrap();
    restored.renew_restored(&Said::default(), now.plus(std::time::Duration::from_secs(1))).unwrap();
    let restored = restored.identity(&said(), now).unwrap();
    assert!(restored.record().stated.number > running.record().stated.number);
    assert_eq!(lasting(&restored), lasting(&running));
}

//! Known answers: of the standards (`tests/vectors/rfc.json`, `hpke-xwing.json`), and frozen ones of our own formats (`rookery.json`,
//! `epoch.json`).
//!
//! A change of those is a change of what travels or is stored, and is reviewed as one. `ROOKERY_BLESS=1` writes them anew.

mod epoch;

use std::collections::BTreeMap;

use argon2::{Algorithm, Argon2, AssociatedData, ParamsBuilder, Version};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _,
    aead::{Aead as _, Payload as Message},
};
use data_encoding::HEXLOWER;
use rookery_protocol::{
    chain::Seen,
    codec,
    envelope::Envelope,
    hash::plain,
    id::{ChainId, CommunityId, DeviceId, Digest, ItemId, ServerId, UserId},
    key::{HpkeBox, SigningKey},
    prekey::Bundle,
    time::Timestamp,
    user::State,
};
use serde_json::Value;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::{
    KemSecret, SeededRandom,
    aead::Key,
    identity::{DeviceSecrets, MadeFor},
    journal::{JournalPlace, ProfileKey, ProfilePart, open_journal, seal_journal},
    journal_state::{Change, Op, SetName, Stamp},
    kdf::{derive, expand},
    kem::{decapsulate, open_box},
    link::{LinkCode, NewDevice},
    pair::{Me, Outgoing, Pair, Peer},
    payload::{
        Archive, Heads, Payload, Receipt, ReceiptKind, Record, Reset, SharedHead, SharedProfileKey,
        Text,
    },
    prekey::PrekeyStore,
    puk::PukRing,
    recovery::RecoveryKey,
    statement::{Draft, Founder, Signer, found},
    store_seal::{KeyFile, PassphraseCost, Place, Purpose, StoreHeader, Unlock},
    verify::SafetyNumber,
};

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

fn path(name: &str) -> String {
    format!("{}/../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path(name)).unwrap()).unwrap()
}

fn bytes(value: &Value, field: &str) -> Vec<u8> {
    HEXLOWER.decode(value[field].as_str().unwrap_or_default().as_bytes()).unwrap()
}

fn array<const N: usize>(value: &Value, field: &str) -> [u8; N] {
    bytes(value, field).try_into().unwrap()
}

fn number(value: &Value, field: &str) -> u32 {
    u32::try_from(value[field].as_u64().unwrap()).unwrap()
}

fn cases(value: &Value, name: &str) -> Vec<Value> {
    let cases = value[name].as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

#[test]
fn the_standards_known_answers_hold() {
    let rfc = read("rfc.json");
    for case in cases(&rfc, "x25519") {
        let shared = StaticSecret::from(array(&case, "scalar"))
            .diffie_hellman(&PublicKey::from(array::<32>(&case, "u")));
        assert_eq!(shared.to_bytes(), array(&case, "output"));
    }
    for case in cases(&rfc, "ed25519") {
        assert_eq!(
            SigningKey::from_seed(&array(&case, "seed")).verifying_key().as_bytes(),
            &array(&case, "public")
        );
    }
    for case in cases(&rfc, "hkdf_sha256") {
        let output =
            expand::<82>(Some(&bytes(&case, "salt")), &bytes(&case, "ikm"), &bytes(&case, "info"));
        let expected = bytes(&case, "okm");
        assert_eq!(output[..expected.len()], expected);
    }
    for case in cases(&rfc, "argon2id") {
        let mut params = ParamsBuilder::new();
        params
            .m_cost(number(&case, "memcost"))
            .t_cost(number(&case, "iter"))
            .p_cost(number(&case, "lanes"));
        params.data(AssociatedData::new(&bytes(&case, "ad")).unwrap());
        let secret = bytes(&case, "secret");
        let argon = Argon2::new_with_secret(
            &secret,
            Algorithm::Argon2id,
            Version::V0x13,
            params.build().unwrap(),
        )
        .unwrap();
        let mut output = [0; 32];
        argon
            .hash_password_into(&bytes(&case, "pass"), &bytes(&case, "salt"), &mut output)
            .unwrap();
        assert_eq!(output, array(&case, "output"));
    }
    for case in cases(&rfc, "chacha20poly1305") {
        let cipher = ChaCha20Poly1305::new(&array::<32>(&case, "key").into());
        let message = Message { msg: &bytes(&case, "plaintext"), aad: &bytes(&case, "aad") };
        assert_eq!(
            cipher.encrypt(&array::<12>(&case, "nonce").into(), message).unwrap(),
            bytes(&case, "sealed")
        );
    }
    for case in cases(&rfc, "xchacha20poly1305") {
        let key = Key::new(Zeroizing::new(array(&case, "key")));
        let sealed = [bytes(&case, "nonce"), bytes(&case, "sealed")].concat();
        assert_eq!(*key.open(&bytes(&case, "aad"), &sealed).unwrap(), bytes(&case, "plaintext"));
    }
}

#[test]
fn hpke_s_known_answer_with_x_wing_holds() {
    let case = read("hpke-xwing.json");
    let key = KemSecret::from_seed(Zeroizing::new(array(&case, "seed")));
    assert_eq!(key.public().as_bytes().to_vec(), bytes(&case, "public"));
    assert_eq!(*decapsulate(&key, &bytes(&case, "encapsulated")).unwrap(), array(&case, "shared"));
    let sealed =
        HpkeBox::parse([bytes(&case, "encapsulated"), bytes(&case, "ciphertext")].concat())
            .unwrap();
    let opened = open_box(&key, &bytes(&case, "info"), &bytes(&case, "aad"), &sealed).unwrap();
    assert_eq!(*opened, bytes(&case, "plaintext"));
    assert!(open_box(&key, &bytes(&case, "info"), b"other", &sealed).is_err());
}

/// What is frozen, by name: short values whole, long ones by their hash.
#[derive(Default)]
struct Frozen(BTreeMap<String, String>);

impl Frozen {
    fn put(&mut self, name: &str, bytes: &[u8]) {
        let value = if bytes.len() <= 256 {
            HEXLOWER.encode(bytes)
        } else {
            format!("sha256:{}", HEXLOWER.encode(plain(bytes).as_bytes()))
        };
        assert!(self.0.insert(name.to_owned(), value).is_none(), "{name} twice");
    }

    fn whole(&mut self, name: &str, bytes: &[u8]) {
        self.0.insert(name.to_owned(), HEXLOWER.encode(bytes));
    }
}

/// A user with one device, and its prekeys.
struct End {
    device: DeviceSecrets,
    ring: PukRing,
    state: State,
    prekeys: PrekeyStore,
    bundle: Bundle,
    random: SeededRandom,
}

fn end(seed: u64, frozen: &mut Frozen, name: &str) -> End {
    let mut random = SeededRandom::new(seed);
    let (device, recovery) =
        (DeviceSecrets::generate(&mut random), RecoveryKey::generate(&mut random));
    let mut ring = PukRing::generate(&mut random);
    let keys =
        device.public(MadeFor::Person, ring.seal_device_name(device.id(), "laptop", &mut random));
    let founder = Founder { device: &device, keys: &keys, recovery: &recovery, ring: &ring };
    let home_key = ServerId::from_bytes([9; 32]);
    let founding =
        found("home.example".parse().unwrap(), home_key, founder, NOW, &mut random).unwrap();
    frozen.put(&format!("{name}: recovery key"), recovery.to_text().as_bytes());
    frozen.put(&format!("{name}: device secrets"), &device.to_bytes());
    frozen.put(&format!("{name}: device keys"), &codec::encode(&keys));
    frozen.put(&format!("{name}: user id"), founding.user.as_bytes());
    frozen.put(&format!("{name}: genesis"), &codec::encode(&founding.genesis));
    frozen.put(&format!("{name}: boxes"), &codec::encode(&founding.boxes));
    let mut draft = Draft::after(&founding.state);
    draft.rotate_puk(Signer::Device(&device), &mut ring, NOW, &mut random).unwrap();
    let stated = draft.finish();
    frozen.put(&format!("{name}: puk rotation"), &codec::encode(&stated.statements));
    frozen.put(&format!("{name}: ring"), &ring.to_bytes());
    let mut prekeys = PrekeyStore::new();
    prekeys.maintain(None, NOW, &mut random);
    frozen.put(&format!("{name}: prekeys"), &prekeys.to_bytes());
    let upload = prekeys.upload(&device).unwrap();
    frozen.put(&format!("{name}: upload"), &codec::encode(&upload));
    let bundle = Bundle {
        suite: 1,
        user: founding.user,
        device: device.id(),
        chain_head: stated.state.head.into(),
        signed: upload.signed.clone().unwrap(),
        signed_kem: upload.signed_kem.clone().unwrap(),
        one_time: upload.one_time.first().cloned(),
        one_time_kem: upload.one_time_kem.first().cloned(),
    };
    End { device, ring, state: stated.state, prekeys, bundle, random }
}

/// The first envelope of a session. What follows it draws ratchet keys inside vodozemac, and is not the same twice.
fn envelopes(frozen: &mut Frozen) -> (End, End) {
    let (mut alice, bob) = (end(1, frozen, "alice"), end(2, frozen, "bob"));
    let payload =
        Payload::Text(Text { text: "hello".to_owned(), reply_to: None, stays: None, file: None });
    let outgoing =
        Outgoing { message: ItemId::from_bytes([7; 16]), to: bob.state.user, payload: &payload };
    let peer = Peer::of(&bob.state, bob.device.id()).unwrap();
    let me = Me::of(&alice.state, &alice.device);
    let sealed =
        Pair::new().seal(&me, &peer, Some(&bob.bundle), &outgoing, NOW, &mut alice.random).unwrap();
    frozen.whole("envelope: first", &codec::encode(&sealed.envelope));
    (alice, bob)
}

fn payloads(frozen: &mut Frozen) {
    let (id, user) = (ItemId::from_bytes([1; 16]), UserId::from_bytes([2; 32]));
    let text = Payload::Text(Text {
        text: "words".to_owned(),
        reply_to: Some(id),
        stays: None,
        file: None,
    });
    for (name, payload) in [
        ("text", text.clone()),
        ("receipt", Payload::Receipt(Receipt { kind: ReceiptKind::Read, messages: vec![id] })),
        ("profile key", Payload::ProfileKey(SharedProfileKey { key: [3; 32] })),
        ("reset", Payload::Reset(Reset { last_good: Some(4) })),
        (
            "heads",
            Payload::Heads(Heads {
                heads: vec![SharedHead {
                    community: CommunityId::from_bytes([6; 32]),
                    head: Seen { seq: 7, hash: Digest::from_bytes([8; 32]) },
                }],
            }),
        ),
    ] {
        frozen.put(
            &format!("payload: {name}"),
            &[payload.kind().to_be_bytes().to_vec(), payload.encode()].concat(),
        );
    }
    let device = DeviceId::from_bytes([5; 32]);
    let archive = Archive { peer: user, message: id, from: user, device, at: NOW, payload: text };
    frozen.put("record: archive", &Record::Archive(archive).encode());
    let stamp = Stamp { at: NOW, counter: 6, device };
    let insert = Change::Insert { set: SetName::Blocked, element: vec![7] };
    for (name, change) in [("mute", Change::Mute { peer: user, until: None }), ("insert", insert)] {
        frozen.put(&format!("record: {name}"), &Record::Op(Op { stamp, change }).encode());
    }
}

fn seals(frozen: &mut Frozen, end: &mut End) {
    let place = JournalPlace {
        chain: ChainId::of_journal(end.state.user),
        item: ItemId::from_bytes([1; 16]),
        author: end.device.id(),
    };
    frozen.whole("journal: body", &seal_journal(&end.ring, place, b"words", &mut end.random));
    let profile = ProfileKey::from_bytes([8; 32]);
    frozen.put(
        "profile: status",
        &profile.seal(end.state.user, ProfilePart::Status, b"away", &mut end.random),
    );
    let file = KeyFile::from_slice(&[1; 32]).unwrap();
    let (header, key) =
        StoreHeader::create(Unlock::KeyFile(&file), PassphraseCost::FLOOR, &mut end.random)
            .unwrap();
    frozen.put("store: header", &header.to_bytes());
    let place = Place { table: "message", column: "body", row: b"17", schema: 1 };
    frozen.put("store: row", &key.seal_row(Purpose::Rows, place, b"words", &mut end.random));
    frozen.put("store: text", &key.seal_text(Purpose::Rows, place, b"words", &mut end.random));
    frozen.put("store: key column", key.key_of("message", "id", b"17").as_bytes());
}

fn frozen() -> (Frozen, End, End) {
    let mut frozen = Frozen::default();
    frozen.put("kdf: label and context", derive::<32>(&[1; 32], "label", &[2]).as_ref());
    let number = SafetyNumber::of(UserId::from_bytes([1; 32]), UserId::from_bytes([2; 32]));
    frozen.0.insert("safety number".to_owned(), number.digits().to_owned());
    payloads(&mut frozen);
    let (mut alice, bob) = envelopes(&mut frozen);
    seals(&mut frozen, &mut alice);
    let code = LinkCode::generate(7, &mut SeededRandom::new(3));
    frozen.0.insert("link: code".to_owned(), code.to_text());
    let (_, hello) =
        NewDevice::begin(&bob.device, alice.state.user, &code, &mut SeededRandom::new(4));
    frozen.put("link: hello", hello.as_slice());
    (frozen, alice, bob)
}

#[test]
fn our_formats_are_what_they_were() {
    let (frozen, ..) = frozen();
    let value = serde_json::to_value(&frozen.0).unwrap();
    if std::env::var_os("ROOKERY_BLESS").is_some() {
        std::fs::write(path("rookery.json"), format!("{value:#}\n")).unwrap();
    }
    let expected = read("rookery.json");
    for (name, value) in value.as_object().unwrap() {
        assert_eq!(Some(value), expected.get(name), "{name}");
    }
    assert_eq!(value, expected, "a vector is missing");
}

#[test]
fn what_was_sealed_when_the_formats_were_frozen_still_opens() {
    let (_, alice, mut bob) = frozen();
    let envelope: Envelope =
        codec::decode(&bytes(&read("rookery.json"), "envelope: first")).unwrap();
    let me = Me::of(&bob.state, &bob.device);
    let peer = Peer::of(&alice.state, alice.device.id()).unwrap();
    let opened =
        Pair::new().open(&me, &peer, &bob.prekeys, &envelope, NOW, &mut bob.random).unwrap();
    assert_eq!(
        opened.payload,
        Payload::Text(Text { text: "hello".to_owned(), reply_to: None, stays: None, file: None })
    );
    let place = JournalPlace {
        chain: ChainId::of_journal(alice.state.user),
        item: ItemId::from_bytes([1; 16]),
        author: alice.device.id(),
    };
    let body = bytes(&read("rookery.json"), "journal: body");
    assert_eq!(open_journal(&alice.ring, place, &body).unwrap().as_slice(), b"words");
}

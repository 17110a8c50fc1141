//! Laws of the mutual proof: honest sides prove themselves, and nothing else does.

use proptest::prelude::*;

use super::*;
use crate::time::Timestamp;

/// A homeserver with its keys.
struct Server {
    signed: SignedServerRecord,
    record: ServerRecord,
    online: SigningKey,
}

impl Server {
    fn new(name: &str, seed: u8) -> Self {
        let (root, online) =
            (SigningKey::from_seed(&[seed; 32]), SigningKey::from_seed(&[seed ^ 0x80; 32]));
        let record = ServerRecord {
            name: name.parse().unwrap(),
            root: root.verifying_key(),
            online: online.verifying_key(),
            number: 1,
            since: Timestamp::from_millis(1),
            until: Timestamp::from_millis(2),
            endpoint: None,
        };
        Self { signed: record.sign(&root).unwrap(), record, online }
    }

    fn oneself(&self) -> Oneself<'_> {
        Oneself { signed: &self.signed, record: &self.record, online: &self.online }
    }
}

/// A connection, as TLS makes it: nobody else's exporters are the same.
fn connection(number: u8) -> Exporters {
    Exporters { initiator: [number; 32], responder: [number ^ 0xff; 32] }
}

fn nest() -> Server {
    Server::new("nest.example", 1)
}

fn garden() -> Server {
    Server::new("garden.example", 2)
}

/// The greetings of nest, which dials, and garden, on one connection.
fn greeted(exporters: &Exporters) -> (Dialling, Answering, PeerHelloReply) {
    let (nest, garden) = (nest(), garden());
    let (dialling, hello) = Dialling::begin(&nest.oneself(), &garden.record.name, [7; 32]).unwrap();
    let (answering, reply) =
        Answering::begin(&garden.oneself(), &hello, [8; 32], exporters).unwrap();
    (dialling, answering, reply)
}

#[test]
fn two_honest_servers_prove_themselves() {
    let exporters = connection(3);
    let (dialling, answering, reply) = greeted(&exporters);
    assert_eq!(answering.claimed(), &nest().record);
    let (found, prove) = dialling.handle_reply(&nest().oneself(), &reply, &exporters).unwrap();
    assert_eq!(found, garden().record);
    assert_eq!(answering.handle_proof(&prove, &exporters).unwrap(), nest().record);
}

#[test]
fn a_proof_that_is_sent_back_is_refused() {
    let exporters = connection(3);
    let (_, answering, reply) = greeted(&exporters);
    let reflected = PeerProve { proof: reply.proof };
    assert_eq!(answering.handle_proof(&reflected, &exporters), Err(Unproven::Forged));
    // Even if both roles had one exporter, the role in what is signed tells them apart.
    let same = Exporters { initiator: [5; 32], responder: [5; 32] };
    let (_, answering, reply) = greeted(&same);
    let reflected = PeerProve { proof: reply.proof };
    assert_eq!(answering.handle_proof(&reflected, &same), Err(Unproven::Forged));
}

#[test]
fn a_greeting_that_comes_back_is_refused() {
    let (nest, exporters) = (nest(), connection(3));
    let (_, hello) = Dialling::begin(&nest.oneself(), &nest.record.name, [7; 32]).unwrap();
    let answered = Answering::begin(&nest.oneself(), &hello, [8; 32], &exporters);
    assert_eq!(answered.unwrap_err(), Unproven::Reflected);
}

#[test]
fn a_proof_of_another_connection_is_refused() {
    let (here, there) = (connection(3), connection(4));
    let (dialling, answering, reply) = greeted(&here);
    let elsewhere = dialling.clone().handle_reply(&nest().oneself(), &reply, &there);
    assert_eq!(elsewhere.unwrap_err(), Unproven::Forged);
    let (_, prove) = dialling.handle_reply(&nest().oneself(), &reply, &here).unwrap();
    assert_eq!(answering.handle_proof(&prove, &there), Err(Unproven::Forged));
}

#[test]
fn a_proof_of_other_greetings_is_refused() {
    let exporters = connection(3);
    let (dialling, _, reply) = greeted(&exporters);
    let (_, prove) = dialling.handle_reply(&nest().oneself(), &reply, &exporters).unwrap();
    // The same connection, greeted once more: another nonce is another transcript.
    let (nest, garden) = (nest(), garden());
    let (_, hello) = Dialling::begin(&nest.oneself(), &garden.record.name, [9; 32]).unwrap();
    let (answering, _) = Answering::begin(&garden.oneself(), &hello, [8; 32], &exporters).unwrap();
    assert_eq!(answering.handle_proof(&prove, &exporters), Err(Unproven::Forged));
}

#[test]
fn whoever_was_meant_for_another_is_turned_away() {
    let (nest, garden, exporters) = (nest(), garden(), connection(3));
    let elsewhere = "other.example".parse().unwrap();
    let (dialling, hello) = Dialling::begin(&nest.oneself(), &elsewhere, [7; 32]).unwrap();
    let answered = Answering::begin(&garden.oneself(), &hello, [8; 32], &exporters);
    assert_eq!(answered.unwrap_err(), Unproven::Misdirected);
    // And a server that answers all the same is not taken for the one that was called.
    let (_, meant) = Dialling::begin(&nest.oneself(), &garden.record.name, [7; 32]).unwrap();
    let (_, reply) = Answering::begin(&garden.oneself(), &meant, [8; 32], &exporters).unwrap();
    let found = dialling.handle_reply(&nest.oneself(), &reply, &exporters);
    assert_eq!(found.unwrap_err(), Unproven::OtherServer);
}

#[test]
fn a_record_that_its_root_did_not_sign_is_refused() {
    let (nest, garden, exporters) = (nest(), garden(), connection(3));
    let thief = SigningKey::from_seed(&[99; 32]);
    let stolen = ServerRecord { online: thief.verifying_key(), ..nest.record.clone() };
    let signed = SignedServerRecord {
        payload: Octets::parse(codec::encode(&stolen)).unwrap(),
        signature: nest.signed.signature,
    };
    let oneself = Oneself { signed: &signed, record: &stolen, online: &thief };
    let (_, hello) = Dialling::begin(&oneself, &garden.record.name, [7; 32]).unwrap();
    let answered = Answering::begin(&garden.oneself(), &hello, [8; 32], &exporters);
    assert_eq!(answered.unwrap_err(), Unproven::Malformed);
}

#[test]
fn whoever_has_a_record_without_its_key_proves_nothing() {
    let (nest, garden, exporters) = (nest(), garden(), connection(3));
    let thief = SigningKey::from_seed(&[99; 32]);
    let oneself = Oneself { signed: &nest.signed, record: &nest.record, online: &thief };
    let (dialling, hello) = Dialling::begin(&oneself, &garden.record.name, [7; 32]).unwrap();
    let (answering, reply) =
        Answering::begin(&garden.oneself(), &hello, [8; 32], &exporters).unwrap();
    let (_, prove) = dialling.handle_reply(&oneself, &reply, &exporters).unwrap();
    assert_eq!(answering.handle_proof(&prove, &exporters), Err(Unproven::Forged));
}

#[test]
fn a_server_of_another_version_is_told_so() {
    let (nest, garden, exporters) = (nest(), garden(), connection(3));
    let (_, hello) = Dialling::begin(&nest.oneself(), &garden.record.name, [7; 32]).unwrap();
    let greeting: Greeting = codec::decode(hello.greeting.as_slice()).unwrap();
    let newer = Greeting { oldest: PEER_VERSION + 1, newest: PEER_VERSION + 2, ..greeting };
    let hello = PeerHello { greeting: Octets::parse(codec::encode(&newer)).unwrap() };
    let answered = Answering::begin(&garden.oneself(), &hello, [8; 32], &exporters);
    assert_eq!(answered.unwrap_err(), Unproven::NoCommonVersion);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is changed on the way, in either direction: nobody is proven to anybody.
    #[test]
    fn nothing_that_was_changed_on_the_way_is_proven(
        part in 0_usize..4,
        place in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let (nest, garden, exporters) = (nest(), garden(), connection(3));
        let change = |bytes: &[u8], wanted: usize| {
            let mut bytes = bytes.to_vec();
            if part == wanted {
                let place = place.index(bytes.len());
                bytes[place] ^= 1 << bit;
            }
            bytes
        };
        let signature = |proof: Signature, wanted: usize| {
            Signature::from_bytes(change(proof.as_bytes(), wanted).try_into().unwrap())
        };
        let (dialling, hello) =
            Dialling::begin(&nest.oneself(), &garden.record.name, [7; 32]).unwrap();
        let hello = PeerHello { greeting: Octets::parse(change(hello.greeting.as_slice(), 0)).unwrap() };
        let answered = Answering::begin(&garden.oneself(), &hello, [8; 32], &exporters);
        let Ok((answering, reply)) = answered else { return Ok(()) };
        let reply = PeerHelloReply {
            greeting: Octets::parse(change(reply.greeting.as_slice(), 1)).unwrap(),
            proof: signature(reply.proof, 2),
        };
        let proven = dialling.handle_reply(&nest.oneself(), &reply, &exporters);
        prop_assert!(part == 3 || proven.is_err(), "the dialling side believed a changed answer");
        let Ok((_, prove)) = proven else { return Ok(()) };
        let prove = PeerProve { proof: signature(prove.proof, 3) };
        prop_assert!(answering.handle_proof(&prove, &exporters).is_err());
    }
}

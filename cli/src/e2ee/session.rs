//! One Double Ratchet session, over vodozemac's (Olm with full MACs), with rookery's handshake before it and an outer seal around it.
//!
//! vodozemac replaces nothing of the ratchet when a session is built from an outside secret, but it lets the responder *encrypt on a dummy
//! chain before anything was received*. So a responder is a type of its own, [`Responder`], that can only open; what comes of that is a
//! [`Session`]. The dummy chain key is random all the same.
//!
//! The outer seal binds the envelope's header and hides the ratchet's public key and counters from the servers. Olm's own MAC of 32 bytes
//! commits to the key; the outer one need not.

use std::fmt;

use minicbor::{Decode, Encode};
use rookery_protocol::{codec::Malformed, envelope::Initiation, id::RatchetId, time::Timestamp};
use vodozemac::{
    Curve25519PublicKey,
    olm::{Message, OlmMessage, Session as Ratchet, SessionConfig, SessionKeys, SessionPickle},
};
use x25519_dalek::StaticSecret;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    Random,
    aead::{Key, Unopenable},
    handshake::{Agreed, FirstStep, Initiated, NoHandshake, Responded, first_step},
    prekey::SpentPrekeys,
    random::secret,
};

/// How long a pickled ratchet is at most while it is written; it is erased afterwards.
const PICKLE_CAPACITY: usize = 64 * 1024;

/// A session that can seal and open.
pub(crate) struct Session {
    /// Its name, the same on both sides.
    pub(crate) id: RatchetId,
    /// When this side began or joined it.
    pub(crate) began: Timestamp,
    /// How many messages of both directions it has carried.
    pub(crate) messages: u32,
    /// The generations of the two users' per-user keys when it began: this side's, the other's.
    pub(crate) generations: (u32, u32),
    /// What the other side needs to join it, until it has shown that it has joined.
    pub(crate) initiation: Option<Initiation>,
    sending: Key,
    receiving: Key,
    ratchet: Ratchet,
}

/// A session that somebody else began, and that has proven nothing yet: it can only open.
pub(crate) struct Responder {
    session: Session,
}

/// A message whose outer seal was taken off: the other side of the session sent it, and it is not opened yet.
pub(crate) struct Unread {
    /// Its number, which the outer seal carries.
    pub(crate) n: u64,
    message: Message,
}

/// What a session opened, and the session from then on.
pub(crate) struct Advanced {
    pub(crate) session: Session,
    /// The number of what was opened.
    pub(crate) n: u64,
    /// What it says.
    pub(crate) plaintext: Zeroizing<Vec<u8>>,
}

impl Session {
    /// The session that this device begins.
    pub(crate) fn initiate(
        initiated: Initiated,
        generations: (u32, u32),
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Self, NoHandshake> {
        let Initiated { agreed, remote, initiation } = initiated;
        let own = StaticSecret::from(*secret(random));
        let FirstStep { root, chain } = first_step(&agreed.root, &own, &remote)?;
        let ratchet = ratchet(&agreed.names, &root, &chain, &own);
        let Agreed { id, from_initiator, from_responder, .. } = agreed;
        Ok(Self {
            id,
            began: now,
            messages: 0,
            generations,
            initiation: Some(initiation),
            sending: from_initiator,
            receiving: from_responder,
            ratchet,
        })
    }

    /// Seals `plaintext`, with its number in the outer seal, bound to `context`. The old session is gone: no key is used twice.
    pub(crate) fn seal(
        mut self,
        context: &[u8],
        n: u64,
        plaintext: &[u8],
        random: &mut dyn Random,
    ) -> Result<(Self, Vec<u8>), Unopenable> {
        let message = self.encrypt(plaintext)?;
        self.messages = self.messages.saturating_add(1);
        let sealed = self.sending.seal(context, &[&n.to_be_bytes()[..], &message].concat(), random);
        Ok((self, sealed))
    }

    /// Takes the outer seal off.
    pub(crate) fn peek(&self, context: &[u8], sealed: &[u8]) -> Result<Unread, Unopenable> {
        let outer = self.receiving.open(context, sealed)?;
        let (n, message) = outer.split_first_chunk::<8>().ok_or(Unopenable)?;
        let message = Message::from_bytes(message).map_err(|_| Unopenable)?;
        Ok(Unread { n: u64::from_be_bytes(*n), message })
    }

    /// Opens a message on a copy: on an error this session is as it was.
    pub(crate) fn open(&self, unread: Unread) -> Result<Advanced, Unopenable> {
        let mut session = self.duplicate();
        let plaintext =
            session.ratchet.decrypt(&OlmMessage::Normal(unread.message)).map_err(|_| Unopenable)?;
        session.messages = session.messages.saturating_add(1);
        session.initiation = None;
        Ok(Advanced { session, n: unread.n, plaintext: Zeroizing::new(plaintext) })
    }

    /// One step of the ratchet, to an Olm message.
    fn encrypt(&mut self, plaintext: &[u8]) -> Result<Vec<u8>, Unopenable> {
        Ok(match self.ratchet.encrypt(plaintext).map_err(|_| Unopenable)? {
            OlmMessage::Normal(message) => message.to_bytes(),
            // The handshake is ours: Olm's framing of first messages is left off.
            OlmMessage::PreKey(first) => first.message().to_bytes(),
        })
    }

    /// A second copy, for trying something on; one of the two is dropped.
    pub(crate) fn duplicate(&self) -> Self {
        Self {
            id: self.id,
            began: self.began,
            messages: self.messages,
            generations: self.generations,
            initiation: self.initiation.clone(),
            sending: self.sending.duplicate(),
            receiving: self.receiving.duplicate(),
            ratchet: Ratchet::from_pickle(self.ratchet.pickle()),
        }
    }

    pub(crate) fn to_record(&self) -> SessionRecord {
        let mut pickle = Zeroizing::new(Vec::with_capacity(PICKLE_CAPACITY));
        #[expect(
            clippy::expect_used,
            reason = "writing JSON of numbers and text to a vector is infallible"
        )]
        serde_json::to_writer(&mut *pickle, &self.ratchet.pickle()).expect("a session is JSON");
        SessionRecord {
            id: self.id,
            began: self.began,
            messages: self.messages,
            own_generation: self.generations.0,
            other_generation: self.generations.1,
            initiation: self.initiation.clone(),
            sending: *self.sending.as_bytes(),
            receiving: *self.receiving.as_bytes(),
            pickle: std::mem::take(&mut *pickle),
        }
    }

    pub(crate) fn from_record(record: &SessionRecord) -> Result<Self, Malformed> {
        let pickle: SessionPickle = serde_json::from_slice(&record.pickle)
            .map_err(|_| Malformed::Invalid("a session's ratchet".to_owned()))?;
        Ok(Self {
            id: record.id,
            began: record.began,
            messages: record.messages,
            generations: (record.own_generation, record.other_generation),
            initiation: record.initiation.clone(),
            sending: Key::new(Zeroizing::new(record.sending)),
            receiving: Key::new(Zeroizing::new(record.receiving)),
            ratchet: Ratchet::from_pickle(pickle),
        })
    }
}

impl Responder {
    /// The session that another device began, and what it uses up when it opens something.
    pub(crate) fn new(
        responded: Responded,
        generations: (u32, u32),
        now: Timestamp,
        random: &mut dyn Random,
    ) -> (Self, Option<SpentPrekeys>) {
        let Responded { agreed, ratchet: own, spent } = responded;
        let dummy = secret(random);
        let ratchet = ratchet(&agreed.names, &agreed.root, &dummy, &own);
        let Agreed { id, from_initiator, from_responder, .. } = agreed;
        let session = Session {
            id,
            began: now,
            messages: 0,
            generations,
            initiation: None,
            sending: from_responder,
            receiving: from_initiator,
            ratchet,
        };
        (Self { session }, spent)
    }

    /// The session's name, which the envelope's has to be.
    pub(crate) fn id(&self) -> RatchetId {
        self.session.id
    }

    /// Takes the outer seal off the first message.
    pub(crate) fn peek(&self, context: &[u8], sealed: &[u8]) -> Result<Unread, Unopenable> {
        self.session.peek(context, sealed)
    }

    /// Opens the first message. Only what comes of it can seal.
    pub(crate) fn open(&self, unread: Unread) -> Result<Advanced, Unopenable> {
        self.session.open(unread)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Session(secret of {:?})", self.id)
    }
}

/// A session as it is stored, in the sealed store only.
#[derive(Encode, Decode, Zeroize, ZeroizeOnDrop)]
#[cbor(map)]
pub(crate) struct SessionRecord {
    #[n(0)]
    #[zeroize(skip)]
    id: RatchetId,
    #[n(1)]
    #[zeroize(skip)]
    began: Timestamp,
    #[n(2)]
    messages: u32,
    #[n(3)]
    own_generation: u32,
    #[n(4)]
    other_generation: u32,
    #[n(5)]
    #[zeroize(skip)]
    initiation: Option<Initiation>,
    #[cbor(n(6), with = "minicbor::bytes")]
    sending: [u8; 32],
    #[cbor(n(7), with = "minicbor::bytes")]
    receiving: [u8; 32],
    #[cbor(n(8), with = "minicbor::bytes")]
    pickle: Vec<u8>,
}

/// A ratchet out of an outside secret. The names make vodozemac's name for the session, which is not used.
fn ratchet(
    names: &[[u8; 32]; 3],
    root: &[u8; 32],
    chain: &[u8; 32],
    own: &StaticSecret,
) -> Ratchet {
    let [identity, base, one_time] = names.map(Curve25519PublicKey::from_bytes);
    let keys = SessionKeys { identity_key: identity, base_key: base, one_time_key: one_time };
    Ratchet::from_root_key_material(SessionConfig::version_2(), keys, *root, *chain, own.to_bytes())
}

/// The ratchet without the outer seal, for the interop tests.
#[cfg(test)]
impl Session {
    pub(crate) fn encrypt_bare(&mut self, plaintext: &[u8]) -> Vec<u8> {
        self.encrypt(plaintext).unwrap()
    }

    pub(crate) fn decrypt_bare(&mut self, message: &[u8]) -> Result<Vec<u8>, Unopenable> {
        let message = Message::from_bytes(message).map_err(|_| Unopenable)?;
        self.ratchet.decrypt(&OlmMessage::Normal(message)).map_err(|_| Unopenable)
    }
}

#[cfg(test)]
impl Responder {
    pub(crate) fn decrypt_bare(self, message: &[u8]) -> Result<(Session, Vec<u8>), Unopenable> {
        let Self { mut session } = self;
        let plaintext = session.decrypt_bare(message)?;
        Ok((session, plaintext))
    }
}

#[cfg(test)]
mod tests {
    use rookery_protocol::{chain::HeadRef, codec::Octets, id::Digest, key::AgreementKey};
    use x25519_dalek::PublicKey;

    use super::*;
    use crate::e2ee::SeededRandom;

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn agreed() -> Agreed {
        Agreed {
            root: Zeroizing::new([5; 32]),
            from_initiator: Key::new(Zeroizing::new([1; 32])),
            from_responder: Key::new(Zeroizing::new([2; 32])),
            id: RatchetId::from_bytes([3; 16]),
            names: [[4; 32]; 3],
        }
    }

    fn sides(random: &mut SeededRandom) -> (Session, Responder) {
        let own = StaticSecret::from(*secret(random));
        let head = HeadRef { seq: 0, hash: Digest::ZERO };
        let initiation = Initiation {
            ephemeral: AgreementKey::from_bytes([4; 32]),
            signed_prekey: 1,
            one_time: None,
            kem_prekey: 1,
            kem_is_one_time: false,
            kem_ciphertext: Octets::default(),
            src_head: head,
            dst_head: head,
            previous: None,
            resync: None,
        };
        let remote = AgreementKey::from_bytes(PublicKey::from(&own).to_bytes());
        let begun = Initiated { agreed: agreed(), remote, initiation };
        let answer = Responded { agreed: agreed(), ratchet: own, spent: None };
        let session = Session::initiate(begun, (1, 1), NOW, random).unwrap();
        (session, Responder::new(answer, (1, 1), NOW, random).0)
    }

    #[test]
    fn a_message_of_olm_s_first_version_with_its_short_mac_is_refused() {
        let mut random = SeededRandom::new(1);
        let (mut session, responder) = sides(&mut random);
        let message = session.encrypt_bare(b"words");
        let mut old = message[..message.len() - 24].to_vec();
        old[0] = 3;
        assert!(Message::from_bytes(&old).is_ok(), "it is well formed, as vodozemac sees it");
        let mut other = responder.session.duplicate();
        assert!(other.decrypt_bare(&old).is_err());
        assert!(responder.decrypt_bare(&message).is_ok());
    }

    #[test]
    fn a_seal_opens_in_its_own_direction_and_context_only() {
        let mut random = SeededRandom::new(2);
        let (session, responder) = sides(&mut random);
        let (session, sealed) = session.seal(b"here", 1, b"words", &mut random).unwrap();
        assert!(session.peek(b"here", &sealed).is_err(), "reflected");
        assert!(responder.peek(b"there", &sealed).is_err());
        let unread = responder.peek(b"here", &sealed).unwrap();
        assert_eq!(unread.n, 1);
        assert_eq!(responder.open(unread).unwrap().plaintext.as_slice(), b"words");
    }

    #[test]
    fn what_was_opened_does_not_open_again_in_the_session_that_came_of_it() {
        let mut random = SeededRandom::new(3);
        let (session, responder) = sides(&mut random);
        let (_, sealed) = session.seal(b"", 1, b"words", &mut random).unwrap();
        let after = responder.open(responder.peek(b"", &sealed).unwrap()).unwrap().session;
        assert!(after.open(after.peek(b"", &sealed).unwrap()).is_err());
    }
}

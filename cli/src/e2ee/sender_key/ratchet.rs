//! Megolm, by vodozemac: nothing of it is named outside this file.
//!
//! vodozemac draws a session's secrets by itself and gives no way to be handed them but its stored form; a new session is read from that,
//! so that randomness is an argument here as everywhere.

use rookery_protocol::codec::Malformed;
use serde::{Deserialize, Serialize};
use vodozemac::megolm::{
    GroupSession, GroupSessionPickle, InboundGroupSession, InboundGroupSessionPickle,
    MegolmMessage, SessionConfig, SessionKey,
};
use zeroize::Zeroizing;

use crate::e2ee::{Random, Unopenable};

/// How long a session key is: version, index, ratchet, public key and signature.
const SESSION_KEY_BYTES: usize = 1 + 4 + 128 + 32 + 64;
/// How long a stored session is at most while it is written; it is erased afterwards.
const PICKLE_CAPACITY: usize = 4 * 1024;

/// The side that seals.
pub(super) struct Sending(GroupSession);

/// The side that opens, from one index on.
pub(super) struct Receiving(InboundGroupSession);

/// A [`GroupSession`] in vodozemac's stored form.
#[derive(Serialize)]
struct NewSession<'a> {
    ratchet: NewRatchet<'a>,
    signing_key: NewSigningKey<'a>,
    config: SessionConfig,
}

#[derive(Serialize)]
struct NewRatchet<'a> {
    inner: &'a [u8],
    counter: u32,
}

#[derive(Serialize)]
enum NewSigningKey<'a> {
    Normal(&'a [u8]),
}

impl Sending {
    /// A new session, at index 0.
    pub(super) fn generate(random: &mut dyn Random) -> Self {
        let mut drawn = Zeroizing::new([0_u8; 160]);
        random.fill(drawn.as_mut());
        let (ratchet, signing_key) = drawn.split_at(128);
        let session = NewSession {
            ratchet: NewRatchet { inner: ratchet, counter: 0 },
            signing_key: NewSigningKey::Normal(signing_key),
            config: SessionConfig::version_2(),
        };
        #[expect(clippy::expect_used, reason = "vodozemac is pinned, and a test reads its form")]
        let pickle = read::<GroupSessionPickle>(&write(&session)).expect("a session's own form");
        Self(GroupSession::from_pickle(pickle))
    }

    /// The index of the next message.
    pub(super) fn index(&self) -> u32 {
        self.0.message_index()
    }

    /// What the audience needs to open messages from this index on.
    pub(super) fn session_key(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.session_key().to_bytes())
    }

    /// Seals, and goes on to the next index. Whoever calls has made sure that there is one.
    pub(super) fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        self.0.encrypt(plaintext).to_bytes()
    }

    /// A second copy, for trying something on; one of the two is dropped.
    pub(super) fn duplicate(&self) -> Self {
        Self(GroupSession::from_pickle(self.0.pickle()))
    }

    pub(super) fn to_pickle(&self) -> Zeroizing<Vec<u8>> {
        write(&self.0.pickle())
    }

    pub(super) fn from_pickle(bytes: &[u8]) -> Result<Self, Malformed> {
        let session = GroupSession::from_pickle(read(bytes)?);
        if session.session_config() != SessionConfig::version_2() {
            return Err(Malformed::Invalid("a session of another version".to_owned()));
        }
        Ok(Self(session))
    }
}

impl Receiving {
    /// The session of an announced key, whose own signature has to hold.
    pub(super) fn new(session_key: &[u8]) -> Result<Self, Unopenable> {
        if session_key.len() != SESSION_KEY_BYTES {
            return Err(Unopenable);
        }
        let key = SessionKey::from_bytes(session_key).map_err(|_| Unopenable)?;
        Ok(Self(InboundGroupSession::new(&key, SessionConfig::version_2())))
    }

    /// The first index that it opens.
    pub(super) fn first_index(&self) -> u32 {
        self.0.first_known_index()
    }

    /// Opens the message of exactly `index`.
    pub(super) fn open(
        &mut self,
        index: u32,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Unopenable> {
        let message = MegolmMessage::from_bytes(sealed).map_err(|_| Unopenable)?;
        if message.message_index() != index || message.to_bytes() != sealed {
            return Err(Unopenable);
        }
        let opened = self.0.decrypt(&message).map_err(|_| Unopenable)?;
        Ok(Zeroizing::new(opened.plaintext))
    }

    /// Forgets how to open what comes before `index`.
    pub(super) fn forget_before(&mut self, index: u32) {
        self.0.advance_to(index);
    }

    /// A second copy, for trying something on, or to be kept at another index.
    pub(super) fn duplicate(&self) -> Self {
        Self(InboundGroupSession::from_pickle(self.0.pickle()))
    }

    pub(super) fn to_pickle(&self) -> Zeroizing<Vec<u8>> {
        write(&self.0.pickle())
    }

    pub(super) fn from_pickle(bytes: &[u8]) -> Result<Self, Malformed> {
        let pickle: InboundGroupSessionPickle = read(bytes)?;
        Ok(Self(InboundGroupSession::from_pickle(pickle)))
    }
}

fn write(value: &impl Serialize) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(PICKLE_CAPACITY));
    #[expect(
        clippy::expect_used,
        reason = "writing JSON of numbers and text to a vector is infallible"
    )]
    serde_json::to_writer(&mut *bytes, value).expect("a session is JSON");
    bytes
}

fn read<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, Malformed> {
    serde_json::from_slice(bytes)
        .map_err(|_| Malformed::Invalid("a sender key's ratchet".to_owned()))
}

#[cfg(test)]
impl Sending {
    /// What somebody can make who has the session key: the same ratchet, and a signing key of their own.
    pub(super) fn with_another_signing_key(&self) -> Self {
        let session_key = self.session_key();
        let session = NewSession {
            ratchet: NewRatchet { inner: &session_key[5..133], counter: self.index() },
            signing_key: NewSigningKey::Normal(&[9; 32]),
            config: SessionConfig::version_2(),
        };
        Self(GroupSession::from_pickle(read(&write(&session)).unwrap()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::e2ee::SeededRandom;

    #[test]
    fn a_drawn_session_is_one_of_vodozemac_s_own() {
        let drawn = Sending::generate(&mut SeededRandom::new(1));
        let fields = |pickle: &[u8]| {
            let value: serde_json::Value = serde_json::from_slice(pickle).unwrap();
            let names = value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            (names, value["config"].clone(), value["ratchet"]["inner"].as_array().unwrap().len())
        };
        let own = Sending(GroupSession::new(SessionConfig::version_2()));
        assert_eq!(fields(&drawn.to_pickle()), fields(&own.to_pickle()));
        assert!(Receiving::new(&drawn.session_key()).is_ok());
    }

    #[test]
    fn a_stored_session_of_the_first_version_is_refused() {
        let old = Sending(GroupSession::new(SessionConfig::version_1()));
        assert!(Sending::from_pickle(&old.to_pickle()).is_err());
    }
}

//! Two devices against each other in simulated time.

#![expect(clippy::arithmetic_side_effects, reason = "small numbers of a test's own")]

mod refusing;
mod renewing;
mod talking;

use rookery_protocol::{
    chain::HeadRef,
    codec::Octets,
    envelope::{Envelope, EnvelopeHeader, EnvelopeKind},
    id::{DeviceId, ItemId, RatchetId, ServerId},
    key::AgreementKey,
    prekey::{Bundle, PrekeyUpload},
    user::State,
};

use super::*;
use crate::e2ee::{
    Random as _, SeededRandom,
    identity::{DeviceSecrets, MadeFor},
    payload::{Payload, Text},
    prekey::PrekeyStore,
    puk::PukRing,
    random::array,
    recovery::RecoveryKey,
    statement::{Founder, found},
};

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
const DAY: Duration = Duration::from_hours(24);

/// A user with one device.
pub(crate) struct End {
    pub(crate) state: State,
    pub(crate) device: DeviceSecrets,
    pub(crate) keys: PrekeyStore,
    upload: PrekeyUpload,
    pub(crate) random: SeededRandom,
}

pub(crate) fn end(seed: u64) -> End {
    let mut random = SeededRandom::new(seed);
    let device = DeviceSecrets::generate(&mut random);
    let (recovery, ring) = (RecoveryKey::generate(&mut random), PukRing::generate(&mut random));
    let public = device.public(MadeFor::Person, Octets::default());
    let founder = Founder { device: &device, keys: &public, recovery: &recovery, ring: &ring };
    let home = "home.example".parse().unwrap();
    let state =
        found(home, ServerId::from_bytes([9; 32]), founder, NOW, &mut random).unwrap().state;
    let mut keys = PrekeyStore::new();
    keys.maintain(None, NOW, &mut random);
    let upload = keys.upload(&device).unwrap();
    End { state, device, keys, upload, random }
}

impl End {
    fn me(&self) -> Me<'_> {
        Me::of(&self.state, &self.device)
    }

    fn peer(&self) -> Peer<'_> {
        Peer::of(&self.state, self.device.id()).unwrap()
    }

    /// The bundle that the home gives out for the `number`th claim.
    fn bundle(&self, number: usize) -> Bundle {
        Bundle {
            suite: 1,
            user: self.state.user,
            device: self.device.id(),
            chain_head: self.state.head.into(),
            signed: self.upload.signed.clone().unwrap(),
            signed_kem: self.upload.signed_kem.clone().unwrap(),
            one_time: self.upload.one_time.get(number).cloned(),
            one_time_kem: self.upload.one_time_kem.get(number).cloned(),
        }
    }
}

fn text(words: &str) -> Payload {
    Payload::Text(Text { text: words.to_owned(), reply_to: None, stays: None, file: None })
}

fn seal_at(
    from: &mut End,
    pair: Pair,
    to: &End,
    bundle: Option<&Bundle>,
    words: &str,
    now: Timestamp,
) -> Result<Sealed, Unsealed> {
    let payload = text(words);
    let message = ItemId::from_bytes(array(&mut from.random));
    let outgoing = Outgoing { message, to: to.state.user, payload: &payload };
    let me = Me::of(&from.state, &from.device);
    pair.seal(&me, &to.peer(), bundle, &outgoing, now, &mut from.random)
}

fn seal(
    from: &mut End,
    pair: Pair,
    to: &End,
    bundle: Option<&Bundle>,
    words: &str,
) -> (Pair, Envelope) {
    let Sealed { pair, envelope } = seal_at(from, pair, to, bundle, words, NOW).unwrap();
    (*pair, envelope)
}

fn open_at(
    to: &mut End,
    pair: &Pair,
    from: &End,
    envelope: &Envelope,
    now: Timestamp,
) -> Result<Opened, OpenError> {
    let me = Me::of(&to.state, &to.device);
    pair.open(&me, &from.peer(), &to.keys, envelope, now, &mut to.random)
}

/// Opens, and does what the store does: keeps the pair, spends the prekeys.
#[expect(clippy::needless_pass_by_value, reason = "the pair that was is not used again")]
fn take(to: &mut End, pair: Pair, from: &End, envelope: &Envelope) -> (Pair, String, SessionEvent) {
    let opened = open_at(to, &pair, from, envelope, NOW).unwrap();
    if let Some(spent) = opened.spent {
        to.keys.spend(spent);
    }
    let Payload::Text(Text { text, .. }) = opened.payload else { panic!("no text") };
    (*opened.pair, text, opened.session)
}

/// Two devices with a session that both have used.
fn talking() -> (End, End, Pair, Pair) {
    let (mut alice, mut bob) = (end(1), end(2));
    let bundle = bob.bundle(0);
    let (a, envelope) = seal(&mut alice, Pair::new(), &bob, Some(&bundle), "hello");
    let (b, ..) = take(&mut bob, Pair::new(), &alice, &envelope);
    let (b, envelope) = seal(&mut bob, b, &alice, None, "hello yourself");
    let (a, ..) = take(&mut alice, a, &bob, &envelope);
    (alice, bob, a, b)
}

/// The same envelope with its header changed.
fn with_header(envelope: &Envelope, change: impl FnOnce(&mut EnvelopeHeader)) -> Envelope {
    let mut header = envelope.read_header().unwrap();
    change(&mut header);
    Envelope { header: Octets::parse(codec::encode(&header)).unwrap(), ..envelope.clone() }
}

fn flip<const MAX: usize>(bytes: &[u8], bit: usize) -> Octets<MAX> {
    let mut bytes = bytes.to_vec();
    let bit = bit % (bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    Octets::parse(bytes).unwrap()
}

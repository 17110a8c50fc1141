//! The per-user key (PUK): one secret that all devices of a user share, in generations.
//!
//! Each generation is a 32-byte seed. The seed makes an X-Wing pair (what is sealed for the user), a state key (what the user's devices
//! keep for one another) and a link that opens the generation before. A seed travels in *boxes*: HPKE to each live device and to the
//! recovery key. The chain commits to the seed, so whoever opens a box knows that every other device got the same one.

use std::{collections::BTreeMap, fmt};

use minicbor::{Decode, Encode};
use rookery_protocol::{
    codec::{self, Malformed, Octets},
    hash::labelled,
    id::{DeviceId, Digest, UserId},
    key::KemKey,
    user::{Lane, PukBox, PukPublic, State},
};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    Random,
    aead::{Key, Unopenable},
    cbor::encode_secret,
    identity::DeviceSecrets,
    kdf::derive,
    kem::{BadKey, KemSecret, open_box, seal_box},
    random::secret,
    recovery::RecoveryKey,
};

/// Why a per-user key could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PukError {
    /// No box for this device or recovery key.
    #[error("there is no box of the per-user key for this device")]
    NoBox,
    /// A box or a link does not open.
    #[error(transparent)]
    Unopenable(#[from] Unopenable),
    /// It opens, and holds another seed than the chain commits to: whoever made it lied to this device.
    #[error("the per-user key in the box is not the one that the account's chain commits to")]
    OtherSeed,
    /// The chain has no such generation, or lacks a link.
    #[error(
        "the account's chain has no generation {generation} of the per-user key, or no link to it"
    )]
    Unknown {
        /// Which.
        generation: u32,
    },
}

/// What HPKE is told that a box is.
const INFO: &[u8] = b"rookery/1/puk/box";

/// Whoever a box is for.
#[derive(Clone, Copy, Debug)]
pub enum Holder<'a> {
    /// A device.
    Device(&'a DeviceSecrets),
    /// The recovery key.
    Recovery(&'a RecoveryKey),
}

/// All generations of the per-user key that a device knows, from the first.
pub struct PukRing {
    seeds: BTreeMap<u32, Zeroizing<[u8; 32]>>,
}

/// One generation, ready to be stated.
#[derive(Debug)]
pub(crate) struct Generation {
    /// What the chain shows of it.
    pub(crate) public: PukPublic,
    /// The generation before, sealed under this one; empty for the first.
    pub(crate) previous: Octets<256>,
    /// A box for each holder.
    pub(crate) boxes: Vec<PukBox>,
}

/// The public side of a [`Holder`]: a device of that id, or the recovery key.
pub(crate) type Recipient<'a> = (Option<DeviceId>, &'a KemKey);

impl PukRing {
    /// A user's first generation.
    #[must_use]
    pub fn generate(random: &mut dyn Random) -> Self {
        Self { seeds: BTreeMap::from([(1, secret(random))]) }
    }

    /// Opens the newest box that is for `holder`, checks it against the chain, and walks back to the first generation.
    pub fn open(state: &State, holder: Holder<'_>, boxes: &[PukBox]) -> Result<Self, PukError> {
        let wanted = match holder {
            Holder::Device(device) => Some(device.id()),
            Holder::Recovery(_) => None,
        };
        let sealed = boxes
            .iter()
            .filter(|sealed| sealed.device == wanted)
            .max_by_key(|sealed| sealed.generation)
            .ok_or(PukError::NoBox)?;
        let public = state
            .puks
            .get(&sealed.generation)
            .ok_or(PukError::Unknown { generation: sealed.generation })?;
        let secret = match holder {
            Holder::Device(device) => device.sealing(),
            Holder::Recovery(recovery) => recovery.sealing(),
        };
        let context = box_context(Some(state.user), public, (wanted, &secret.public()));
        let seed = open_box(secret, INFO, &context, &sealed.sealed)?;
        Self::from_seed(state, public.generation, &seed)
    }

    /// The ring of whoever was given the seed of `generation`, as a device that is being linked is.
    pub fn from_seed(state: &State, generation: u32, seed: &[u8]) -> Result<Self, PukError> {
        let seed: [u8; 32] = seed.try_into().map_err(|_| PukError::OtherSeed)?;
        let mut ring = Self { seeds: BTreeMap::new() };
        ring.insert(state, generation, Zeroizing::new(seed))?;
        ring.walk_back(state, generation)?;
        Ok(ring)
    }

    /// Takes in the generations that `state` has and this ring has not, out of a newer box.
    pub fn catch_up(
        &mut self,
        state: &State,
        holder: Holder<'_>,
        boxes: &[PukBox],
    ) -> Result<(), PukError> {
        let newer = Self::open(state, holder, boxes)?;
        for (generation, seed) in newer.seeds {
            self.seeds.entry(generation).or_insert(seed);
        }
        Ok(())
    }

    /// The newest generation that is known.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.seeds.last_key_value().map_or(0, |(generation, _)| *generation)
    }

    /// Whether the ring has the generation that `state` has in force.
    #[must_use]
    pub fn is_current(&self, state: &State) -> bool {
        state.puk().is_some_and(|puk| self.seeds.contains_key(&puk.generation))
    }

    /// The seed of the newest generation, for a device that is being linked.
    #[must_use]
    pub(crate) fn newest_seed(&self) -> Option<(u32, &[u8; 32])> {
        self.seeds.last_key_value().map(|(generation, seed)| (*generation, &**seed))
    }

    /// What is sealed for the user opens with this.
    #[must_use]
    pub fn kem(&self, generation: u32) -> Option<KemSecret> {
        self.seeds
            .get(&generation)
            .map(|seed| KemSecret::from_seed(derive(seed.as_ref(), "puk/kem", &[])))
    }

    /// The key of the account's state for `purpose`, of the newest generation.
    pub(crate) fn state_key(&self, purpose: &str) -> (u32, Key) {
        let generation = self.generation();
        // A ring is never empty: both of its constructors put a seed in.
        let key = self
            .state_key_of(generation, purpose)
            .unwrap_or_else(|| Key::new(Zeroizing::new([0; 32])));
        (generation, key)
    }

    /// The key of the account's state for `purpose`, of `generation`.
    pub(crate) fn state_key_of(&self, generation: u32, purpose: &str) -> Option<Key> {
        let seed = self.seeds.get(&generation)?;
        let state = derive::<32>(seed.as_ref(), "puk/state", &[]);
        Some(Key::new(derive(state.as_ref(), purpose, &[])))
    }

    /// The ring as bytes, for the sealed store.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let seeds = self
            .seeds
            .iter()
            .map(|(generation, seed)| SeedRecord { generation: *generation, seed: **seed })
            .collect();
        encode_secret(&RingRecord { seeds })
    }

    /// Reads what [`PukRing::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let record: RingRecord = codec::decode_within(bytes, codec::MAX_BATCH)?;
        if record.seeds.is_empty() {
            return Err(Malformed::Invalid("a ring without a seed".to_owned()));
        }
        Ok(Self {
            seeds: record
                .seeds
                .iter()
                .map(|seed| (seed.generation, Zeroizing::new(seed.seed)))
                .collect(),
        })
    }

    /// Draws the next generation; it is in force once it is stated.
    pub(crate) fn advance(&mut self, random: &mut dyn Random) {
        self.seeds.insert(self.generation().saturating_add(1), secret(random));
    }

    /// The newest generation as the chain will show it, with a box for each of `recipients`. The user is absent in a genesis.
    pub(crate) fn announce(
        &self,
        user: Option<UserId>,
        recipients: &[Recipient<'_>],
        random: &mut dyn Random,
    ) -> Result<Generation, BadKey> {
        let (generation, seed) = self.newest_seed().ok_or(BadKey)?;
        let mut public = PukPublic {
            lane: Lane::Durable,
            generation,
            public: KemSecret::from_seed(derive(seed, "puk/kem", &[])).public(),
            commit: commitment(generation, seed),
            boxes_root: Digest::ZERO,
        };
        let boxes: Result<Vec<PukBox>, BadKey> = recipients
            .iter()
            .map(|recipient| seal_for(user, &public, *recipient, seed, random))
            .collect();
        let boxes = boxes?;
        public.boxes_root = PukBox::root(&boxes);
        let former = generation.checked_sub(1).and_then(|former| self.seeds.get(&former));
        let previous = match (user, former) {
            (Some(user), Some(former)) => {
                link_key(seed).seal(&link_context(user, generation), former.as_ref(), random)
            }
            _ => vec![],
        };
        Ok(Generation { public, previous: Octets::parse(previous).map_err(|_| BadKey)?, boxes })
    }

    /// A box of the newest generation, which `state` has, for one more device.
    pub(crate) fn box_for(
        &self,
        state: &State,
        recipient: Recipient<'_>,
        random: &mut dyn Random,
    ) -> Result<PukBox, PukError> {
        let (generation, seed) = self.newest_seed().ok_or(PukError::NoBox)?;
        let public = state.puks.get(&generation).ok_or(PukError::Unknown { generation })?;
        Ok(seal_for(Some(state.user), public, recipient, seed, random).map_err(|_| Unopenable)?)
    }

    /// Opens the links from `generation` down to the first.
    fn walk_back(&mut self, state: &State, generation: u32) -> Result<(), PukError> {
        for newer in (2..=generation).rev() {
            let older = newer.saturating_sub(1);
            let link =
                state.puk_links.get(&newer).ok_or(PukError::Unknown { generation: older })?;
            let seed = self.seeds.get(&newer).ok_or(PukError::Unknown { generation: newer })?;
            let opened = link_key(seed).open(&link_context(state.user, newer), link)?;
            let opened: [u8; 32] = opened.as_slice().try_into().map_err(|_| PukError::OtherSeed)?;
            self.insert(state, older, Zeroizing::new(opened))?;
        }
        Ok(())
    }

    fn insert(
        &mut self,
        state: &State,
        generation: u32,
        seed: Zeroizing<[u8; 32]>,
    ) -> Result<(), PukError> {
        let public = state.puks.get(&generation).ok_or(PukError::Unknown { generation })?;
        let same = commitment(generation, &seed).as_bytes().ct_eq(public.commit.as_bytes());
        if !bool::from(same) {
            return Err(PukError::OtherSeed);
        }
        self.seeds.insert(generation, seed);
        Ok(())
    }
}

impl fmt::Debug for PukRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PukRing(secret, generations to {})", self.generation())
    }
}

/// `LH("puk", lane, generation, seed)`.
fn commitment(generation: u32, seed: &[u8; 32]) -> Digest {
    labelled("puk", &[&Lane::Durable.number().to_be_bytes(), &generation.to_be_bytes(), seed])
}

/// What seals the seed before this one.
fn link_key(seed: &[u8; 32]) -> Key {
    Key::new(derive(seed, "puk/prev", &[]))
}

fn link_context(user: UserId, generation: u32) -> Vec<u8> {
    labelled("puk/prev", &[user.as_bytes(), &generation.to_be_bytes()]).as_bytes().to_vec()
}

/// Everything that a box is bound to. The first generation is boxed before its user has an id (which is the hash of a genesis that names
/// the boxes), so it is bound by its commitment alone, which the genesis holds.
fn box_context(user: Option<UserId>, public: &PukPublic, (device, key): Recipient<'_>) -> Vec<u8> {
    let user = user.filter(|_| public.generation > 1);
    let parts: [&[u8]; 7] = [
        user.as_ref().map_or(&[], |user| user.as_bytes()),
        device.as_ref().map_or(&[], |device| device.as_bytes()),
        key.as_bytes(),
        &public.lane.number().to_be_bytes(),
        &public.generation.to_be_bytes(),
        public.commit.as_bytes(),
        public.public.as_bytes(),
    ];
    labelled("puk/box", &parts).as_bytes().to_vec()
}

fn seal_for(
    user: Option<UserId>,
    public: &PukPublic,
    recipient: Recipient<'_>,
    seed: &[u8; 32],
    random: &mut dyn Random,
) -> Result<PukBox, BadKey> {
    let sealed = seal_box(recipient.1, INFO, &box_context(user, public, recipient), seed, random)?;
    Ok(PukBox { generation: public.generation, device: recipient.0, sealed })
}

#[derive(Encode, Decode, Zeroize, ZeroizeOnDrop)]
#[cbor(map)]
struct RingRecord {
    #[n(0)]
    seeds: Vec<SeedRecord>,
}

#[derive(Encode, Decode, Zeroize, ZeroizeOnDrop)]
#[cbor(map)]
struct SeedRecord {
    #[n(0)]
    generation: u32,
    #[cbor(n(1), with = "minicbor::bytes")]
    seed: [u8; 32],
}

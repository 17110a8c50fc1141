//! The header of a store: who may open it.

use minicbor::{Decode, Encode};
use rookery_protocol::{codec, hash::labelled, id::Digest};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{LockedError, PassphraseCost, Slots, StoreKey, Unlock};
use crate::e2ee::{
    Random, Unopenable,
    aead::Key,
    kdf::derive,
    random::{array, secret},
};

/// How a slot's key is made.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) enum SlotKind {
    /// Argon2id over a passphrase.
    #[n(1)]
    Passphrase(#[n(0)] PassphraseCost),
    /// The bytes of a key file.
    #[n(2)]
    KeyFile,
    /// Reserved: the recovery key.
    #[n(3)]
    Recovery,
}

/// One way to the store key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Slot {
    #[n(0)]
    pub(super) kind: SlotKind,
    #[cbor(n(1), with = "minicbor::bytes")]
    salt: [u8; 16],
    /// The store key, sealed.
    #[cbor(n(2), with = "minicbor::bytes")]
    wrapped: Vec<u8>,
}

/// The header of a store: its slots, in the clear.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct StoreHeader {
    /// 1.
    #[n(0)]
    version: u32,
    /// 16 random bytes: no header's slot fits into another's.
    #[cbor(n(1), with = "minicbor::bytes")]
    store: [u8; 16],
    /// A hash of the store key.
    #[n(2)]
    commit: Digest,
    #[n(3)]
    pub(super) slots: Vec<Slot>,
}

impl StoreHeader {
    /// A new store with one slot. `cost` counts for a passphrase, and is raised to the floor.
    pub fn create(
        first: Unlock<'_>,
        cost: PassphraseCost,
        random: &mut dyn Random,
    ) -> Result<(Self, StoreKey), LockedError> {
        let key = StoreKey(secret(random));
        let store = array(random);
        let mut header = Self { version: 1, store, commit: key.commitment(&store), slots: vec![] };
        header.add_slot(&key, first, cost, random)?;
        Ok((header, key))
    }

    /// Opens the store.
    pub fn unlock(&self, with: Unlock<'_>) -> Result<StoreKey, LockedError> {
        self.find(with).map(|(_, key)| key)
    }

    /// Adds a slot. `key` has to be this store's.
    pub fn add_slot(
        &mut self,
        key: &StoreKey,
        new: Unlock<'_>,
        cost: PassphraseCost,
        random: &mut dyn Random,
    ) -> Result<(), LockedError> {
        if !self.commits_to(key) {
            return Err(LockedError::Wrong);
        }
        let kind = match new {
            Unlock::Passphrase(_) => SlotKind::Passphrase(cost.at_least_the_floor()),
            Unlock::KeyFile(_) => SlotKind::KeyFile,
        };
        let mut slot = Slot { kind, salt: array(random), wrapped: vec![] };
        slot.wrapped = slot.key(new)?.seal(&self.context(&slot), key.0.as_ref(), random);
        self.slots.push(slot);
        Ok(())
    }

    /// Takes away the slot that `with` opens, unless it is the last.
    pub fn remove_slot(&mut self, with: Unlock<'_>) -> Result<(), LockedError> {
        let (index, _) = self.find(with)?;
        if self.slots.len() == 1 {
            return Err(LockedError::LastSlot);
        }
        self.slots.remove(index);
        Ok(())
    }

    /// What opens it.
    #[must_use]
    pub fn slots(&self) -> Slots {
        let count =
            |is: fn(&SlotKind) -> bool| self.slots.iter().filter(|slot| is(&slot.kind)).count();
        Slots {
            passphrases: count(|kind| matches!(kind, SlotKind::Passphrase(_))),
            key_files: count(|kind| matches!(kind, SlotKind::KeyFile)),
        }
    }

    /// The header as bytes, to be stored in the clear.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads what [`StoreHeader::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LockedError> {
        let header: Self =
            codec::decode(bytes).map_err(|error| LockedError::Damaged(error.to_string()))?;
        if header.to_bytes() != bytes {
            return Err(LockedError::Damaged("it is not in its own form".to_owned()));
        }
        if header.version != 1 {
            return Err(LockedError::Damaged(format!("version {} is not known", header.version)));
        }
        let reasonable = header.slots.iter().all(|slot| match &slot.kind {
            SlotKind::Passphrase(cost) => cost.is_within_reason(),
            SlotKind::KeyFile | SlotKind::Recovery => true,
        });
        if reasonable {
            Ok(header)
        } else {
            Err(LockedError::Damaged("a passphrase costs too little or too much".to_owned()))
        }
    }

    fn find(&self, with: Unlock<'_>) -> Result<(usize, StoreKey), LockedError> {
        let (what, is): (_, fn(&SlotKind) -> bool) = match with {
            Unlock::Passphrase(_) => {
                ("a passphrase", |kind| matches!(kind, SlotKind::Passphrase(_)))
            }
            Unlock::KeyFile(_) => ("a key file", |kind| matches!(kind, SlotKind::KeyFile)),
        };
        let mut error = LockedError::NoSlot(what);
        for (index, slot) in self.slots.iter().enumerate().filter(|(_, slot)| is(&slot.kind)) {
            match slot.key(with)?.open(&self.context(slot), &slot.wrapped) {
                Ok(opened) => {
                    let bytes: [u8; 32] =
                        opened.as_slice().try_into().map_err(|_| LockedError::Wrong)?;
                    let key = StoreKey(Zeroizing::new(bytes));
                    return if self.commits_to(&key) {
                        Ok((index, key))
                    } else {
                        Err(LockedError::Wrong)
                    };
                }
                Err(Unopenable) => error = LockedError::Wrong,
            }
        }
        Err(error)
    }

    fn commits_to(&self, key: &StoreKey) -> bool {
        key.commitment(&self.store).as_bytes().ct_eq(self.commit.as_bytes()).into()
    }

    /// What a slot's seal is bound to: the store, the commitment, and how the slot's key is made.
    fn context(&self, slot: &Slot) -> Vec<u8> {
        let kind = codec::encode(&slot.kind);
        labelled("store/slot", &[&self.store, self.commit.as_bytes(), &kind, &slot.salt])
            .as_bytes()
            .to_vec()
    }
}

impl Slot {
    fn key(&self, with: Unlock<'_>) -> Result<Key, LockedError> {
        let stretched = match (&self.kind, with) {
            (SlotKind::Passphrase(cost), Unlock::Passphrase(passphrase)) => {
                cost.stretch(passphrase, &self.salt)?
            }
            (SlotKind::KeyFile, Unlock::KeyFile(file)) => {
                derive(file.0.as_ref(), "store/key-file", &self.salt)
            }
            _ => return Err(LockedError::Wrong),
        };
        Ok(Key::new(derive(stretched.as_ref(), "store/slot", &[])))
    }
}

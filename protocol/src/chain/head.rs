//! Heads: where a chain stands, and its owner's word for it.

use crate::{
    codec::{self, Octets},
    id::{ChainId, Digest},
    key::{Domain, Forged, Signature, SigningKey, VerifyingKey},
    time::Timestamp,
    wire_struct,
};

wire_struct! {
    /// Where a chain stands.
    pub struct Head {
        /// The chain.
        #[n(0)] pub chain: ChainId,
        /// The period of ownership.
        #[n(1)] pub owner_epoch: u64,
        /// The place of the last entry.
        #[n(2)] pub seq: u64,
        /// Its hash.
        #[n(3)] pub hash: Digest,
        /// When the owner accepted it.
        #[n(4)] pub at: Timestamp,
    }
}

wire_struct! {
    /// The place and hash of a chain's last entry, as one side last saw it.
    #[derive(Copy, Hash)]
    pub struct HeadRef {
        /// The place of the last entry.
        #[n(0)] pub seq: u64,
        /// Its hash.
        #[n(1)] pub hash: Digest,
    }
}

impl From<super::Seen> for HeadRef {
    fn from(seen: super::Seen) -> Self {
        Self { seq: seen.seq, hash: seen.hash }
    }
}

impl From<HeadRef> for super::Seen {
    fn from(head: HeadRef) -> Self {
        Self { seq: head.seq, hash: head.hash }
    }
}

wire_struct! {
    /// Heads of one or several chains under one signature of their owner.
    pub struct OwnerHead {
        /// The heads.
        #[n(0)] pub heads: Vec<Head>,
    }
}

wire_struct! {
    /// Heads as they were signed.
    pub struct SignedHead {
        /// The encoded [`OwnerHead`].
        #[n(0)] pub payload: Octets<8192>,
        /// By the owner's online key.
        #[n(1)] pub signature: Signature,
    }
}

impl OwnerHead {
    /// Signs the heads as their owner; at most 60 at once.
    pub fn sign(&self, owner: &SigningKey) -> Result<SignedHead, codec::Malformed> {
        let payload = Octets::parse(codec::encode(self))?;
        let signature = owner.sign(Domain::HEAD, payload.as_slice());
        Ok(SignedHead { payload, signature })
    }
}

/// Heads that their owner did not sign, or that do not decode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHead {
    /// Another key's signature, or none.
    #[error(transparent)]
    Forged(#[from] Forged),
    /// Not heads.
    #[error(transparent)]
    Malformed(#[from] codec::Malformed),
}

impl SignedHead {
    /// Checks that `owner` signed, and only then reads the heads.
    pub fn verify(&self, owner: VerifyingKey) -> Result<OwnerHead, BadHead> {
        owner.verify(Domain::HEAD, self.payload.as_slice(), &self.signature)?;
        Ok(codec::decode(self.payload.as_slice())?)
    }
}

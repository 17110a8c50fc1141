//! One entry of a chain: what its author signed, where its owner put it.

use crate::{
    codec::{self, MAX_BODY, Octets},
    hash,
    id::{ChainId, Digest, ItemId},
    key::{Domain, Signature, SigningKey, VerifyingKey},
    time::Timestamp,
    wire_index, wire_struct,
};

wire_index! {
    /// What kind of entry it is, so that a follower can tell without opening the body.
    pub enum Kind {
        /// A statement of a user's chain.
        #[n(1)] UserStatement,
        /// A sealed operation of a user's journal.
        #[n(2)] Journal,
        /// A statement of a community's log.
        #[n(3)] CommunityStatement,
        /// A sealed Sender Key, in the channel that it is for.
        #[n(4)] Announce,
        /// A sealed message of a channel.
        #[n(5)] Message,
        /// Erases bodies of a channel.
        #[n(6)] Redact,
    }
}

wire_struct! {
    /// The last entry of the chain that an author had seen when signing.
    #[derive(Copy)]
    pub struct Seen {
        /// Its place.
        #[n(0)] pub seq: u64,
        /// Its hash.
        #[n(1)] pub hash: Digest,
    }
}

wire_struct! {
    /// What an author can know of an entry, and signs.
    pub struct Item {
        /// The chain it belongs to.
        #[n(0)] pub chain: ChainId,
        /// Chosen by the author; the same id twice is the same item.
        #[n(1)] pub item_id: ItemId,
        /// What kind of entry it is.
        #[n(2)] pub kind: Kind,
        /// SHA-256 of the body.
        #[n(3)] pub body_hash: Digest,
        /// The author's clock: advice for people, never a rule.
        #[n(4)] pub at: Timestamp,
        /// What the author had seen of the chain.
        #[n(5)] pub seen: Option<Seen>,
    }
}

wire_struct! {
    /// One key's signature on an item.
    pub struct ItemSignature {
        /// Whose.
        #[n(0)] pub key: VerifyingKey,
        /// Over the item's bytes, in the domain of items (the first) or of co-signatures (the others).
        #[n(1)] pub signature: Signature,
    }
}

wire_struct! {
    /// An item as its author encoded it, with the author's signature first and any co-signatures after it.
    pub struct SignedItem {
        /// The encoded [`Item`], as it was signed.
        #[n(0)] pub payload: Octets<512>,
        /// One to three signatures.
        #[n(1)] pub signatures: Vec<ItemSignature>,
    }
}

wire_struct! {
    /// What an author hands in: a signed item and its body.
    pub struct Submission {
        /// The signed item.
        #[n(0)] pub signed: SignedItem,
        /// The body that the item's hash names: at most 48 KiB.
        #[n(1)] pub body: Octets<MAX_BODY>,
    }
}

wire_struct! {
    /// One entry: a signed item in its place.
    pub struct Entry {
        /// The chain.
        #[n(0)] pub chain: ChainId,
        /// Which period of ownership gave the place; it rises when a chain moves to another owner.
        #[n(1)] pub owner_epoch: u64,
        /// The place, from 0.
        #[n(2)] pub seq: u64,
        /// The hash of the entry before, zero for the first.
        #[n(3)] pub prev: Digest,
        /// For entries of a channel: the position in the community's log that they are judged at.
        #[n(4)] pub log_pos: Option<u64>,
        /// What the author signed.
        #[n(5)] pub signed: SignedItem,
        /// The body, unless it was erased.
        #[n(6)] pub body: Option<Octets<MAX_BODY>>,
    }
}

/// An entry that contradicts itself, its signature or its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenEntry {
    /// The item does not decode.
    #[error("the signed item is malformed: {0}")]
    Malformed(#[from] codec::Malformed),
    /// No author, or more signatures than any rule asks for.
    #[error("an item has one to three signatures, not {0}")]
    Signatures(usize),
    /// A signature does not hold.
    #[error("a signature on the item does not hold")]
    Forged(#[from] crate::key::Forged),
    /// The item was signed for another chain.
    #[error("the item belongs to another chain")]
    OtherChain,
    /// The body is not the one that was signed.
    #[error("the body is not what the author signed")]
    OtherBody,
    /// Not the next place.
    #[error("entry {found} came where {expected} was next")]
    Gap {
        /// The place that was next.
        expected: u64,
        /// The place that came.
        found: u64,
    },
    /// The hash of the entry before is another one: the chain was forked or changed.
    #[error("entry {seq} does not follow from the one before it")]
    Fork {
        /// Where.
        seq: u64,
    },
}

impl Item {
    /// Signs this item as `author`, for a body that hashes to its `body_hash`.
    ///
    /// # Panics
    ///
    /// Never: an encoded item is shorter than its bound.
    #[must_use]
    pub fn sign(&self, author: &SigningKey) -> SignedItem {
        let payload = codec::encode(self);
        let signature = author.sign(Domain::ITEM, &payload);
        #[expect(
            clippy::expect_used,
            reason = "an item has no variable parts and takes at most 180 bytes"
        )]
        let payload = Octets::parse(payload).expect("an item is shorter than its bound");
        SignedItem {
            payload,
            signatures: vec![ItemSignature { key: author.verifying_key(), signature }],
        }
    }
}

impl SignedItem {
    /// Adds another key's signature to the author's.
    #[must_use]
    pub fn cosign(mut self, key: &SigningKey) -> Self {
        let signature = key.sign(Domain::COSIGN, self.payload.as_slice());
        self.signatures.push(ItemSignature { key: key.verifying_key(), signature });
        self
    }

    /// The author's key, as claimed; [`SignedItem::verify`] proves it.
    #[must_use]
    pub fn author(&self) -> Option<VerifyingKey> {
        self.signatures.first().map(|first| first.key)
    }

    /// Checks every signature, and only then reads the item.
    pub fn verify(&self) -> Result<Item, BrokenEntry> {
        if !(1..=3).contains(&self.signatures.len()) {
            return Err(BrokenEntry::Signatures(self.signatures.len()));
        }
        for (index, signed) in self.signatures.iter().enumerate() {
            let domain = if index == 0 { Domain::ITEM } else { Domain::COSIGN };
            signed.key.verify(domain, self.payload.as_slice(), &signed.signature)?;
        }
        Ok(codec::decode(self.payload.as_slice())?)
    }

    /// `H(signed item)`: the hash that an entry's hash covers.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut parts: Vec<&[u8]> = vec![self.payload.as_slice()];
        for signed in &self.signatures {
            parts.push(signed.key.as_bytes());
            parts.push(signed.signature.as_bytes());
        }
        hash::labelled("item", &parts)
    }
}

impl Submission {
    /// Signs `body` as the next item of `chain`.
    pub fn sign(
        author: &SigningKey,
        chain: ChainId,
        item_id: ItemId,
        kind: Kind,
        body: Vec<u8>,
        at: Timestamp,
        seen: Option<Seen>,
    ) -> Result<Self, codec::Malformed> {
        let body = Octets::parse(body)?;
        let item = Item { chain, item_id, kind, body_hash: hash::plain(body.as_slice()), at, seen };
        Ok(Self { signed: item.sign(author), body })
    }

    /// Checks the signatures and that the body is the signed one, for `chain`.
    pub fn verify(&self, chain: ChainId) -> Result<Item, BrokenEntry> {
        let item = self.signed.verify()?;
        if item.chain != chain {
            return Err(BrokenEntry::OtherChain);
        }
        if item.body_hash != hash::plain(self.body.as_slice()) {
            return Err(BrokenEntry::OtherBody);
        }
        Ok(item)
    }

    /// Puts the submission into its place after `head` (nothing when it is the first), as the owner does.
    #[must_use]
    pub fn place(self, chain: ChainId, owner_epoch: u64, head: Option<Seen>) -> Entry {
        let (seq, prev) =
            head.map_or((0, Digest::ZERO), |head| (head.seq.saturating_add(1), head.hash));
        Entry {
            chain,
            owner_epoch,
            seq,
            prev,
            log_pos: None,
            signed: self.signed,
            body: Some(self.body),
        }
    }
}

impl Entry {
    /// `LH("entry", chain, owner_epoch, seq, prev, item digest, [log_pos])`: what the next entry's `prev` has to be.
    ///
    /// Kind and item id are inside the signed item, so its digest covers them.
    #[must_use]
    pub fn hash(&self) -> Digest {
        let place = (self.seq, self.prev);
        hash_of_entry(self.chain, self.owner_epoch, place, self.signed.digest(), self.log_pos)
    }

    /// This entry as something seen.
    #[must_use]
    pub fn seen(&self) -> Seen {
        Seen { seq: self.seq, hash: self.hash() }
    }

    /// Checks that this entry follows `head`, that its signatures hold, and that its body, if there, is the signed one.
    pub fn verify_after(&self, head: Option<Seen>) -> Result<Item, BrokenEntry> {
        self.check_place(head)?;
        self.verify()
    }

    /// Checks that this entry follows `head`.
    pub fn check_place(&self, head: Option<Seen>) -> Result<(), BrokenEntry> {
        let (expected, prev) =
            head.map_or((0, Digest::ZERO), |head| (head.seq.saturating_add(1), head.hash));
        if self.seq != expected {
            return Err(BrokenEntry::Gap { expected, found: self.seq });
        }
        if self.prev != prev {
            return Err(BrokenEntry::Fork { seq: self.seq });
        }
        Ok(())
    }

    /// Checks that this entry's signatures hold, and that its body, if there, is the signed one; its place is another matter.
    pub fn verify(&self) -> Result<Item, BrokenEntry> {
        let item = self.signed.verify()?;
        if item.chain != self.chain {
            return Err(BrokenEntry::OtherChain);
        }
        match &self.body {
            Some(body) if hash::plain(body.as_slice()) != item.body_hash => {
                Err(BrokenEntry::OtherBody)
            }
            _ => Ok(item),
        }
    }
}

/// The hash of the entry at place `seq` after the one with the hash `prev`.
pub(crate) fn hash_of_entry(
    chain: ChainId,
    owner_epoch: u64,
    (seq, prev): (u64, Digest),
    item: Digest,
    log_pos: Option<u64>,
) -> Digest {
    let (epoch, seq) = (owner_epoch.to_be_bytes(), seq.to_be_bytes());
    let position = log_pos.map(u64::to_be_bytes);
    let mut parts: Vec<&[u8]> =
        vec![chain.as_bytes(), &epoch, &seq, prev.as_bytes(), item.as_bytes()];
    if let Some(position) = &position {
        parts.push(position);
    }
    hash::labelled("entry", &parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let key = SigningKey::from_seed(&[1; 32]);
        let chain = ChainId::from_bytes([2; 32]);
        let mut head = None;
        (0..3_u8)
            .map(|number| {
                let id = ItemId::from_bytes([number; 16]);
                let at = Timestamp::from_millis(u64::from(number));
                let entry =
                    Submission::sign(&key, chain, id, Kind::Journal, vec![number; 9], at, head)
                        .unwrap()
                        .place(chain, 0, head);
                head = Some(entry.seen());
                entry
            })
            .collect()
    }

    #[test]
    fn a_chain_verifies_entry_by_entry_even_with_a_body_erased() {
        let mut entries = entries();
        entries[1].body = None;
        let mut head = None;
        for entry in entries {
            entry.verify_after(head).unwrap();
            head = Some(entry.seen());
        }
    }

    #[test]
    fn a_changed_skipped_or_swapped_entry_is_refused() {
        let entries = entries();
        let first = Some(entries[0].seen());
        assert_eq!(entries[2].verify_after(first), Err(BrokenEntry::Gap { expected: 1, found: 2 }));
        let mut other = entries[1].clone();
        other.prev = Digest::from_bytes([9; 32]);
        assert_eq!(other.verify_after(first), Err(BrokenEntry::Fork { seq: 1 }));
        let mut other = entries[1].clone();
        other.body = Some(Octets::parse(vec![9]).unwrap());
        assert_eq!(other.verify_after(first), Err(BrokenEntry::OtherBody));
        let mut other = entries[1].clone();
        other.signed.payload = entries[2].signed.payload.clone();
        assert!(matches!(other.verify_after(first), Err(BrokenEntry::Forged(_))));
    }

    #[test]
    fn a_co_signature_cannot_stand_as_an_author_s() {
        let (author, second) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let mut signed = entries()[0].signed.verify().unwrap().sign(&author).cosign(&second);
        assert!(signed.verify().is_ok());
        signed.signatures.swap(0, 1);
        assert!(signed.verify().is_err());
    }
}

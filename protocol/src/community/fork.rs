//! A hub that has signed two histories of one community: the proof, which anybody can check who has nothing but it.
//!
//! Two signed heads of one chain contradict each other when the entries at the lower one's place differ. Where both stand at one place that is
//! seen at once; where one is higher, the links of its chain lead from that place up to it. The statement that founded the community, whose
//! hash is the community's id, names the hub's root key, and the records of the hub under that root the keys that signed the heads.

use super::{Action, State, Statement};
use crate::{
    chain::{BadHead, Entry, Head, HeadRef, SignedHead, hash_of_entry},
    codec::{self, MAX_BODY, Octets},
    id::{ChainId, ChannelId, CommunityId, Digest, ServerId},
    key::Forged,
    name::ServerName,
    request::server::SignedServerRecord,
    wire_struct,
};

/// The most links that a proof has: about 48 KiB.
pub const MAX_LINKS: usize = 1_024;

wire_struct! {
    /// Signed heads, with the record that shows whose word they are.
    pub struct VouchedHead {
        /// The heads.
        #[n(0)] pub head: SignedHead,
        /// The hub's record, under its root, which names the key that signed them.
        #[n(1)] pub record: SignedServerRecord,
    }
}

wire_struct! {
    /// One entry as far as its hash covers it, beside what follows from its place.
    pub struct ForkLink {
        /// The digest of the signed item.
        #[n(0)] pub item: Digest,
        /// For entries of a channel: the position in the log.
        #[n(1)] pub log_pos: Option<u64>,
    }
}

wire_struct! {
    /// The proof that a hub has signed two histories of one chain.
    pub struct Fork {
        /// The body of the statement that founded the community, as it was signed.
        #[n(0)] pub genesis: Octets<MAX_BODY>,
        /// Of which channel; absent for the log.
        #[n(1)] pub channel: Option<ChannelId>,
        /// One head.
        #[n(2)] pub lower: VouchedHead,
        /// One that contradicts it, at its place or above.
        #[n(3)] pub upper: VouchedHead,
        /// The hash of the entry at the lower head's place in the history of the upper one.
        #[n(4)] pub base: Digest,
        /// The entries from there up to the upper head, in order; at most 1,024.
        #[n(5)] pub links: Vec<ForkLink>,
    }
}

/// What a proof shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forked {
    /// Of which community.
    pub community: CommunityId,
    /// Its hub of that period.
    pub hub: ServerName,
    /// The hub's root.
    pub root: ServerId,
    /// Of which channel; absent for the log.
    pub channel: Option<ChannelId>,
    /// In which period of ownership.
    pub owner_epoch: u64,
    /// The place of which the hub has signed two entries.
    pub seq: u64,
    /// One of them.
    pub one: Digest,
    /// The other.
    pub other: Digest,
}

/// Why a proof shows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoProof {
    /// It does not decode.
    #[error("it cannot be read: {0}")]
    Malformed(#[from] codec::Malformed),
    /// The statement that founds is none.
    #[error("it does not begin with the statement that founded the community")]
    NoGenesis,
    /// A record is not the hub's.
    #[error("a server's record in it is not of the community's hub")]
    OtherHub,
    /// A head is not the hub's.
    #[error("a head in it is not signed by the community's hub")]
    Forged,
    /// A head is of another chain, or of another period of ownership than the other one.
    #[error("its heads are not of one chain")]
    OtherChain,
    /// The links do not lead from one place to the other.
    #[error("its links do not lead from the lower head's place to the upper head")]
    NoWay,
    /// Both heads are of one history.
    #[error("its heads do not contradict each other")]
    NoContradiction,
}

impl From<BadHead> for NoProof {
    fn from(error: BadHead) -> Self {
        match error {
            BadHead::Forged(Forged) => Self::Forged,
            BadHead::Malformed(error) => Self::Malformed(error),
        }
    }
}

impl VouchedHead {
    /// What the heads say of `chain`, if the server with that root signed them.
    pub fn verify(&self, root: ServerId, chain: ChainId) -> Result<Head, NoProof> {
        let record = self.record.verify(root).map_err(|Forged| NoProof::OtherHub)?;
        let heads = self.head.verify(record.online)?.heads;
        heads.into_iter().find(|head| head.chain == chain).ok_or(NoProof::OtherChain)
    }
}

impl ForkLink {
    /// The link that an entry is.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        Self { item: entry.signed.digest(), log_pos: entry.log_pos }
    }
}

impl Fork {
    /// The chain that has two histories.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        match self.channel {
            Some(channel) => ChainId::of_channel(self.community(), channel),
            None => ChainId::of_log(self.community()),
        }
    }

    /// Of which community it speaks.
    #[must_use]
    pub fn community(&self) -> CommunityId {
        Statement::community_id(self.genesis.as_slice())
    }

    /// Checks the proof, by nothing but itself: of the hub that the community was founded at.
    pub fn verify(&self) -> Result<Forked, NoProof> {
        let genesis: Statement = codec::decode(self.genesis.as_slice())?;
        let Action::Create(create) = genesis.action else { return Err(NoProof::NoGenesis) };
        self.verify_of(&create.hub, create.hub_key)
    }

    /// Checks the proof by what the community's log amounts to: of any server that was its hub, in its own period.
    pub fn verify_in(&self, state: &State) -> Result<Forked, NoProof> {
        if self.community() != state.community {
            return Err(NoProof::OtherChain);
        }
        let mut refused = NoProof::OtherHub;
        for (owner_epoch, hub, root) in state.hubs() {
            match self.verify_of(hub, root) {
                Ok(shown) if shown.owner_epoch == owner_epoch => return Ok(shown),
                Ok(_) => refused = NoProof::OtherChain,
                Err(NoProof::OtherHub) => {}
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn verify_of(&self, hub: &ServerName, root: ServerId) -> Result<Forked, NoProof> {
        let chain = self.chain();
        let (lower, upper) = (self.lower.verify(root, chain)?, self.upper.verify(root, chain)?);
        if lower.owner_epoch != upper.owner_epoch {
            return Err(NoProof::OtherChain);
        }
        let start = HeadRef { seq: lower.seq, hash: self.base };
        if self.links.len() > MAX_LINKS
            || self.follow(start, lower.owner_epoch) != Some((upper.seq, upper.hash))
        {
            return Err(NoProof::NoWay);
        }
        if lower.hash == self.base {
            return Err(NoProof::NoContradiction);
        }
        Ok(Forked {
            community: self.community(),
            hub: hub.clone(),
            root,
            channel: self.channel,
            owner_epoch: lower.owner_epoch,
            seq: lower.seq,
            one: lower.hash,
            other: self.base,
        })
    }

    /// Where the links lead from `start`.
    fn follow(&self, start: HeadRef, owner_epoch: u64) -> Option<(u64, Digest)> {
        let chain = self.chain();
        self.links.iter().try_fold((start.seq, start.hash), |(seq, prev), link| {
            let seq = seq.checked_add(1)?;
            Some((seq, hash_of_entry(chain, owner_epoch, (seq, prev), link.item, link.log_pos)))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        chain::{OwnerHead, Seen, Submission},
        community::{CommunityKind, Create, History, JoinPolicy, Permissions, Place, PukPin},
        id::{ItemId, UserId},
        key::SigningKey,
        request::server::ServerRecord,
        schema::Schema as _,
        time::Timestamp,
    };

    const AT: Timestamp = Timestamp::from_millis(7);

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    fn record(root: u8, online: u8) -> SignedServerRecord {
        let (root, online) = (key(root), key(online).verifying_key());
        let name = "nest.example".parse().unwrap();
        let record = ServerRecord {
            name,
            root: root.verifying_key(),
            online,
            number: 1,
            since: AT,
            until: AT,
            endpoint: None,
        };
        record.sign(&root).unwrap()
    }

    fn genesis() -> Octets<MAX_BODY> {
        let create = Create {
            kind: CommunityKind::Community,
            hub: "nest.example".parse().unwrap(),
            hub_key: key(1).verifying_key().server_id(),
            nonce: Octets::parse(vec![5; 16]).unwrap(),
            policy: JoinPolicy::Open,
            history: History::Full,
            permissions: Permissions::DEFAULT.bits(),
            puk: PukPin::sample(),
        };
        let statement = Statement {
            suite: 1,
            community: None,
            place: Place::First,
            author: UserId::from_bytes([4; 32]),
            author_head: Seen { seq: 0, hash: Digest::ZERO },
            action: Action::Create(create),
        };
        Octets::parse(codec::encode(&statement)).unwrap()
    }

    /// A chain whose entries are numbered from `words` on after the first `common`.
    fn chain(chain: ChainId, count: u8, common: u8, words: u8) -> Vec<Entry> {
        let mut head = None;
        (0..count)
            .map(|number| {
                let word = if number < common { number } else { number.wrapping_add(words) };
                let id = ItemId::from_bytes([word; 16]);
                let kind = crate::chain::Kind::CommunityStatement;
                let made = Submission::sign(&key(9), chain, id, kind, vec![word], AT, None);
                let entry = made.unwrap().place(chain, 0, head);
                head = Some(entry.seen());
                entry
            })
            .collect()
    }

    fn vouched(entry: &Entry, (root, online): (u8, u8)) -> VouchedHead {
        let head = Head {
            chain: entry.chain,
            owner_epoch: entry.owner_epoch,
            seq: entry.seq,
            hash: entry.hash(),
            at: AT,
        };
        let head = OwnerHead { heads: vec![head] }.sign(&key(online)).unwrap();
        VouchedHead { head, record: record(root, online) }
    }

    /// Two histories that part after `common` entries; the proof that both were signed, at `lower` and `upper`.
    fn fork(common: u8, lower: usize, upper: usize) -> Fork {
        let genesis = genesis();
        let log = ChainId::of_log(Statement::community_id(genesis.as_slice()));
        let (one, other) = (chain(log, 20, common, 0), chain(log, 20, common, 100));
        Fork {
            genesis,
            channel: None,
            lower: vouched(&one[lower], (1, 2)),
            // The hub's online key may have been changed in between.
            upper: vouched(&other[upper], (1, 3)),
            base: other[lower].hash(),
            links: other[..=upper].iter().skip(lower).skip(1).map(ForkLink::of).collect(),
        }
    }

    #[test]
    fn two_heads_of_two_histories_are_a_proof_by_themselves() {
        for (lower, upper) in [(5, 5), (5, 6), (7, 19)] {
            let fork = codec::decode::<Fork>(&codec::encode(&fork(5, lower, upper))).unwrap();
            let shown = fork.verify().unwrap();
            assert_eq!(shown.seq, u64::try_from(lower).unwrap());
            assert_eq!(shown.community, Statement::community_id(fork.genesis.as_slice()));
            assert_eq!(shown.hub.as_str(), "nest.example");
            assert_ne!(shown.one, shown.other);
        }
    }

    #[test]
    fn what_is_not_the_hub_s_or_no_contradiction_is_no_proof() {
        assert_eq!(fork(5, 4, 9).verify(), Err(NoProof::NoContradiction));
        let good = fork(5, 5, 9);
        let other = |change: &dyn Fn(&mut Fork)| {
            let mut fork = good.clone();
            change(&mut fork);
            fork.verify().unwrap_err()
        };
        let log = good.chain();
        let stray = chain(log, 9, 5, 200);
        assert_eq!(other(&|fork| fork.lower = vouched(&stray[5], (8, 2))), NoProof::OtherHub);
        assert_eq!(
            other(&|fork| fork.lower.head = vouched(&stray[5], (1, 3)).head),
            NoProof::Forged
        );
        assert_eq!(other(&|fork| fork.links.truncate(2)), NoProof::NoWay);
        assert_eq!(other(&|fork| fork.links.swap(0, 1)), NoProof::NoWay);
        assert_eq!(
            other(&|fork| fork.channel = Some(ChannelId::from_number(1))),
            NoProof::OtherChain
        );
        let far = vec![good.links[0].clone(); MAX_LINKS + 1];
        assert_eq!(other(&|fork| fork.links.clone_from(&far)), NoProof::NoWay);
        let joined =
            Statement { action: Action::Leave, ..codec::decode(good.genesis.as_slice()).unwrap() };
        let joined = Octets::parse(codec::encode(&joined)).unwrap();
        assert_eq!(other(&|fork| fork.genesis = joined.clone()), NoProof::NoGenesis);
    }

    proptest! {
        #[test]
        fn a_proof_that_was_changed_anywhere_shows_nothing_else(
            place in any::<prop::sample::Index>(),
            flip in 1_u8..,
        ) {
            let good = fork(5, 6, 8);
            let shown = good.verify().unwrap();
            let mut bytes = codec::encode(&good);
            let place = place.index(bytes.len());
            bytes[place] ^= flip;
            if let Ok(changed) = codec::decode::<Fork>(&bytes)
                && let Ok(other) = changed.verify()
            {
                prop_assert_eq!(other, shown);
            }
        }
    }
}

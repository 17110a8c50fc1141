//! A whole epoch: a new secret, its wraps, and the statement that begins it.

use std::{num::NonZero, thread};

use rookery_protocol::{
    codec::Octets,
    community::{EpochReason, EpochStart, History, Member, PukPin, State},
    envelope::KEM_CIPHERTEXT_BYTES,
    hash::plain,
    id::{AudienceId, BlobId, Digest, InviteId, UserId},
    key::{HpkeBox, KemKey},
};

use super::{EpochPlace, EpochSecret, Receiver, WrapContext};
use crate::e2ee::{Random, random::Drawn};

/// How long a wrap is: X-Wing's encapsulation, the secret, and a tag.
pub const WRAP_BYTES: usize = KEM_CIPHERTEXT_BYTES + 32 + 16;

/// How many threads wrap at most.
const THREADS: usize = 8;
/// How many wraps are worth a thread.
const WRAPS_PER_THREAD: usize = 32;

/// Why there is no epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The community has no such audience.
    #[error("there is no such audience")]
    NoAudience,
    /// A member's per-user key is not at hand: fetch their chain.
    #[error("the per-user key of {0} is not known here")]
    NoKey(UserId),
    /// The key that was given for a member is not the one that the log pins.
    #[error("the per-user key of {0} is not the one that the community's log names")]
    OtherKey(UserId),
    /// Nothing can be wrapped for this key, which the log pins: the member has to replace it, or to be removed.
    #[error("the per-user key of {0} is not a valid key")]
    BadKey(UserId),
    /// The same of a link: its invitation has to be revoked.
    #[error("the key of invitation {0} is not a valid key")]
    BadLinkKey(InviteId),
    /// The secret of the epoch before is not at hand.
    #[error("the secret of the epoch before is not known on this device")]
    NoFormerSecret,
    /// The audience has had as many epochs as there are numbers.
    #[error("the audience has no more epochs")]
    Exhausted,
}

/// A member, and what the epoch is wrapped for.
#[derive(Clone, Copy, Debug)]
pub struct MemberKey<'a> {
    /// Who.
    pub user: UserId,
    /// Their per-user key.
    pub key: &'a KemKey,
    /// What the log says of it.
    pub pin: PukPin,
}

/// All that an epoch is made of.
#[derive(Clone, Debug)]
pub struct EpochPlan<'a> {
    /// Which epoch it is to be.
    pub place: EpochPlace,
    /// Why.
    pub reason: EpochReason,
    /// The roster's root in the log.
    pub roster_root: Digest,
    /// The roster, ascending by user.
    pub members: Vec<MemberKey<'a>>,
    /// Links that it is also wrapped for, ascending by number.
    pub links: Vec<(InviteId, &'a KemKey)>,
    /// The secret of the epoch before; absent in the first.
    pub former: Option<&'a EpochSecret>,
    /// Whether history is full and was full before, so that the new secret opens the former.
    pub continues: bool,
}

/// An epoch that is ready to be stated: put the blob, state it, and store the secret before either leaves.
#[derive(Debug)]
#[must_use = "the secret has to be stored before the statement leaves"]
pub struct BuiltEpoch {
    /// Its secret.
    pub secret: EpochSecret,
    /// The statement.
    pub start: EpochStart,
    /// The blob that the statement names.
    pub wraps: Vec<u8>,
}

impl<'a> EpochPlan<'a> {
    /// What the next epoch of `audience` is made of, in a community as it is right before the epoch's statement. `key_of` gives the per-user
    /// key of the generation that a member's entry pins.
    pub fn of(
        state: &'a State,
        audience: AudienceId,
        reason: EpochReason,
        key_of: impl Fn(UserId, &Member) -> Option<&'a KemKey>,
        former: Option<&'a EpochSecret>,
    ) -> Result<Self, BuildError> {
        let known = state.audiences.get(&audience).ok_or(BuildError::NoAudience)?;
        let last = known.epoch.as_ref();
        let epoch =
            last.map_or(Some(0), |last| last.number.checked_add(1)).ok_or(BuildError::Exhausted)?;
        let members: Result<Vec<MemberKey<'a>>, BuildError> = state
            .roster(audience)
            .map(|(user, member)| {
                let key = key_of(user, member).ok_or(BuildError::NoKey(user))?;
                Ok(MemberKey { user, key, pin: member.puk })
            })
            .collect();
        Ok(Self {
            place: EpochPlace { community: state.community, audience, epoch },
            reason,
            roster_root: state.roster_root(audience).0,
            members: members?,
            links: state.wrapped_links(audience).collect(),
            former,
            continues: known.history == History::Full
                && last.is_some_and(|last| last.history == History::Full),
        })
    }

    /// Whom the wraps are for, in the blob's order.
    fn receivers(&self) -> impl Iterator<Item = (Receiver, &'a KemKey)> {
        let members = self.members.iter().map(|member| (Receiver::User(member.user), member.key));
        members.chain(self.links.iter().map(|(invite, key)| (Receiver::Link(*invite), *key)))
    }

    fn check(&self) -> Result<(), BuildError> {
        for member in &self.members {
            if plain(member.key.as_bytes()) != member.pin.public {
                return Err(BuildError::OtherKey(member.user));
            }
        }
        if (self.place.epoch > 0 || self.continues) && self.former.is_none() {
            return Err(BuildError::NoFormerSecret);
        }
        Ok(())
    }
}

/// Draws a secret and makes the epoch of it, on several threads where there are many members.
pub fn build_epoch(
    plan: &EpochPlan<'_>,
    random: &mut dyn Random,
) -> Result<BuiltEpoch, BuildError> {
    plan.check()?;
    let secret = EpochSecret::generate(random);
    let wraps = wrap_all(plan, &secret, random)?;
    let EpochPlace { community, audience, epoch } = plan.place;
    let former = plan.former;
    let previous = former
        .filter(|_| plan.continues)
        .map(|former| secret.seal_previous(plan.place, former, random));
    let previous_meta = former.map(|former| {
        let former = former.metadata(community, audience);
        secret.metadata(community, audience).seal_previous(plan.place, &former, random)
    });
    let start = EpochStart {
        audience,
        epoch,
        reason: plan.reason,
        roster_root: plan.roster_root,
        count: u32::try_from(plan.members.len()).unwrap_or(u32::MAX),
        commit: secret.commit(audience, epoch),
        wraps: BlobId::of(&wraps),
        previous,
        previous_meta,
    };
    Ok(BuiltEpoch { secret, start, wraps })
}

/// The wrap at `index` of a blob.
#[must_use]
pub fn wrap_at(wraps: &[u8], index: usize) -> Option<HpkeBox> {
    let (whole, rest) = wraps.as_chunks::<WRAP_BYTES>();
    let wrap = whole.get(index).filter(|_| rest.is_empty())?;
    Octets::parse(wrap.to_vec()).ok()
}

/// Where in the blob the wrap for `receiver` is, by the community's state right after the epoch's statement.
#[must_use]
pub fn wrap_index(state: &State, audience: AudienceId, receiver: Receiver) -> Option<usize> {
    match receiver {
        Receiver::User(user) => state.roster(audience).position(|(other, _)| other == user),
        Receiver::Link(invite) => state
            .wrapped_links(audience)
            .position(|(other, _)| other == invite)
            .map(|index| state.roster(audience).count().saturating_add(index)),
    }
}

/// One wrap that is to be made.
type Task<'a> = (Receiver, &'a KemKey, Drawn);

/// The blob: a wrap for each receiver, in order.
fn wrap_all(
    plan: &EpochPlan<'_>,
    secret: &EpochSecret,
    random: &mut dyn Random,
) -> Result<Vec<u8>, BuildError> {
    let context = WrapContext { place: plan.place, roster_root: plan.roster_root };
    let mut tasks: Vec<Task<'_>> =
        plan.receivers().map(|(receiver, key)| (receiver, key, Drawn::from(random))).collect();
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
    let share = tasks.len().div_ceil(threads).max(WRAPS_PER_THREAD);
    let parts: Result<Vec<Vec<u8>>, BuildError> = thread::scope(|scope| {
        let running: Vec<_> = tasks
            .chunks_mut(share)
            .map(|tasks| scope.spawn(|| wrap_some(secret, &context, tasks)))
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    Ok(parts?.concat())
}

fn wrap_some(
    secret: &EpochSecret,
    context: &WrapContext,
    tasks: &mut [Task<'_>],
) -> Result<Vec<u8>, BuildError> {
    let mut wraps = Vec::with_capacity(tasks.len().saturating_mul(WRAP_BYTES));
    for (receiver, key, random) in tasks {
        let wrap = secret.wrap(key, context, *receiver, random).map_err(|_| match *receiver {
            Receiver::User(user) => BuildError::BadKey(user),
            Receiver::Link(invite) => BuildError::BadLinkKey(invite),
        })?;
        wraps.extend_from_slice(wrap.as_slice());
    }
    Ok(wraps)
}

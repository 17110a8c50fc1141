//! Audiences: who an epoch is wrapped for, and when one has to end.

use crate::{
    hash::labelled,
    id::{AudienceId, Digest, UserId},
    user::Lane,
};

use super::{Audience, EpochReason, Member, State};

/// Audiences up to this large get a new epoch before anything is sealed after a member has left or revoked a device.
pub const PROMPT_AUDIENCE: u32 = 256;
/// How many members may leave a larger one by themselves before that.
pub const MAX_LATE_LEAVES: u32 = 32;

/// One user of a roster, and what the epoch's secret is wrapped for.
pub type RosterEntry<'s> = (UserId, &'s Member);

/// `LH("roster", leaf…)` over the users in the order of their ids, each leaf being
/// `LH("rl", user, chain place, chain hash, lane, generation, hash of the public key)`.
#[must_use]
pub fn roster_root<'s>(roster: impl Iterator<Item = RosterEntry<'s>>) -> (Digest, u32) {
    let lane = Lane::Durable.number().to_be_bytes();
    let leaves: Vec<Digest> = roster
        .map(|(user, member)| {
            labelled(
                "rl",
                &[
                    user.as_bytes(),
                    &member.head.seq.to_be_bytes(),
                    member.head.hash.as_bytes(),
                    &lane,
                    &member.puk.generation.to_be_bytes(),
                    member.puk.public.as_bytes(),
                ],
            )
        })
        .collect();
    let parts: Vec<&[u8]> = leaves.iter().map(|leaf| &leaf.as_bytes()[..]).collect();
    let count = u32::try_from(leaves.len()).unwrap_or(u32::MAX);
    (labelled("roster", &parts), count)
}

impl Audience {
    /// Why the epoch in force may not be sealed under any more, if so.
    #[must_use]
    pub fn must_rotate(&self) -> Option<EpochReason> {
        let count = self.epoch.as_ref().map_or(0, |epoch| epoch.count);
        let is_prompt = count <= PROMPT_AUDIENCE;
        if self.stale.is_due {
            return Some(EpochReason::Removal);
        }
        if (is_prompt && self.stale.leaves > 0) || self.stale.leaves >= MAX_LATE_LEAVES {
            return Some(EpochReason::Removal);
        }
        if (is_prompt && self.stale.devices > 0) || self.stale.devices >= MAX_LATE_LEAVES {
            return Some(EpochReason::Device);
        }
        None
    }

    /// Why another epoch would be well taken, if so: whoever is a member may start it.
    #[must_use]
    pub fn should_rotate(&self) -> Option<EpochReason> {
        self.must_rotate().or(match self.stale {
            super::Stale { leaves, .. } if leaves > 0 => Some(EpochReason::Removal),
            super::Stale { devices, .. } if devices > 0 => Some(EpochReason::Device),
            _ => None,
        })
    }
}

impl State {
    /// The audience's roster root and size as they are here.
    #[must_use]
    pub fn roster_root(&self, audience: AudienceId) -> (Digest, u32) {
        roster_root(self.roster(audience))
    }
}

//! What only the owner states of the community as a whole: who owns it next, and what its log has come to.

use super::{Case, Denied, Refused, check_author};
use crate::{
    chain::{BrokenEntry, Entry, Kind},
    codec,
    community::{Action, BASE_WINDOW, Chains, State, Statement},
    id::{ChainId, CommunityId, Digest, UserId},
};

impl Case<'_> {
    pub(super) fn owner_set(&self, user: UserId) -> Result<State, Denied> {
        self.need_owner()?;
        if !self.state.members.contains_key(&user) {
            return Err(Denied::Unknown("member"));
        }
        if user == self.author {
            return Err(Denied::Already("they own it already"));
        }
        // The owner belongs to every audience: the former one may belong to fewer, the new one to more.
        let owners = self.state.owners.insert(self.seq, user);
        let next = State { owner: user, owners, ..self.state.clone() };
        Ok(self.with_readers_changed(next, &[self.author, user]))
    }

    /// Whoever takes the log in makes the same snapshot: an owner who vouches for another one is found out by everybody, the hub first.
    pub(super) fn vouch(&self, digest: Digest) -> Result<State, Denied> {
        self.need_owner()?;
        let is_early = |vouched: u64| self.seq < vouched.saturating_add(BASE_WINDOW);
        if self.state.vouched.is_some_and(is_early) {
            return Err(Denied::Already("the owner has vouched for one of the last entries"));
        }
        if self.state.snapshot().digest() != digest {
            return Err(Denied::Not("the snapshot is not of what the log comes to"));
        }
        Ok(State { vouched: Some(self.seq), ..self.state.clone() })
    }
}

/// Follows a community's owners by their own statements alone: its creation, which its id is the hash of, then each by which it was handed to
/// the next owner. Gives where each began, as in [`State::owners`].
///
/// That no other owner came in between or after, only the log tells.
pub fn check_owners(
    community: CommunityId,
    entries: &[Entry],
    chains: &dyn Chains,
) -> Result<Vec<(u64, UserId)>, Refused> {
    let mut owners: Vec<(u64, UserId)> = vec![];
    for entry in entries {
        if entry.chain != ChainId::of_log(community) {
            return Err(BrokenEntry::OtherChain.into());
        }
        if entry.verify()?.kind != Kind::CommunityStatement {
            return Err(Denied::Misplaced("another kind of entry").into());
        }
        let body = entry.body.as_ref().ok_or(Denied::Erased)?.as_slice();
        let statement: Statement = codec::decode(body).map_err(Denied::from)?;
        let next = match (&statement.action, owners.last()) {
            (Action::Create(_), None)
                if entry.seq == 0 && Statement::community_id(body) == community =>
            {
                statement.author
            }
            (Action::OwnerSet { user }, Some((since, owner)))
                if statement.community == Some(community)
                    && statement.author == *owner
                    && entry.seq > *since =>
            {
                *user
            }
            _ => return Err(Denied::NotTheOwner.into()),
        };
        check_author(None, entry, &statement, chains)?;
        owners.push((entry.seq, next));
    }
    if owners.is_empty() { Err(Denied::NotTheOwner.into()) } else { Ok(owners) }
}

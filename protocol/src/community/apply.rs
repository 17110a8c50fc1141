//! The rules of a community's log.
//!
//! Every rule is a function of the log alone, and of the authors' own chains at the heads that the log names. A chain that is not at hand
//! means *hold*, never *reject*.

mod channel;
mod denied;
mod handover;
mod invite;
mod key;
mod member;
mod owner;
mod structure;

use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use super::{
    Action, Audience, BASE_WINDOW, CommunityKind, Create, Member, Permissions, Place, PukPin, Role,
    SealedText, Stale, State, Statement,
};
use crate::{
    chain::{BrokenEntry, Entry, Item, Kind, Seen},
    codec,
    id::{AudienceId, ChainId, CommunityId, RoleId, UserId},
    user,
    version::SUITE,
};

pub use denied::{Denied, Missing, Refused};
pub use owner::check_owners;

/// How many of anything a community has at most.
pub(super) const MAX_ROLES: usize = 250;
pub(super) const MAX_CHANNELS: usize = 500;
pub(super) const MAX_INVITES: usize = 1_000;
pub(super) const MAX_ASKING: usize = 1_000;
pub(super) const MAX_GROUP: usize = 64;
pub(super) const MAX_MEMBERS: usize = 20_000;

/// Users' chains, as whoever checks a log has them.
pub trait Chains {
    /// What a user's chain came to at `head`.
    fn user_at(&self, user: UserId, head: Seen) -> Result<user::State, Missing>;
}

/// A statement on its way through the rules.
pub(super) struct Case<'a> {
    pub(super) state: &'a State,
    pub(super) seq: u64,
    pub(super) prev: crate::id::Digest,
    pub(super) entry: &'a Entry,
    pub(super) author: UserId,
    pub(super) author_head: Seen,
    pub(super) chains: &'a dyn Chains,
}

/// Checks `entry` against everything, from its place to its rules, and says what `state` becomes (nothing when it is the first).
pub fn verify_and_apply(
    community: CommunityId,
    state: Option<&State>,
    entry: &Entry,
    chains: &dyn Chains,
) -> Result<State, Refused> {
    if entry.chain != ChainId::of_log(community) {
        return Err(BrokenEntry::OtherChain.into());
    }
    let item = entry.verify_after(state.map(|state| state.head))?;
    apply(community, state, entry, &item, chains)
}

/// Says what `state` becomes by `entry`, whose place and signatures hold, or which rule forbids it.
pub fn apply(
    community: CommunityId,
    state: Option<&State>,
    entry: &Entry,
    item: &Item,
    chains: &dyn Chains,
) -> Result<State, Refused> {
    if item.kind != Kind::CommunityStatement {
        return Err(Denied::Misplaced("another kind of entry").into());
    }
    if entry.log_pos.is_some() {
        return Err(Denied::Misplaced("an entry of a channel").into());
    }
    let body = entry.body.as_ref().ok_or(Denied::Erased)?.as_slice();
    let statement: Statement = codec::decode(body).map_err(Denied::from)?;
    if statement.suite != SUITE {
        return Err(Denied::Misplaced("an unknown suite").into());
    }
    if entry.owner_epoch != state.map_or(0, |state| state.owner_epoch) {
        return Err(Denied::OtherTerm.into());
    }
    let Some(state) = state else {
        if statement.community.is_some() || Statement::community_id(body) != community {
            return Err(Denied::Misplaced("another community").into());
        }
        return begin(community, entry, item, &statement, chains);
    };
    if statement.community != Some(community) || state.community != community {
        return Err(Denied::Misplaced("another community").into());
    }
    check_place(state, &statement)?;
    check_new(state, statement.author, item)?;
    if state.is_deleted {
        return Err(Denied::Deleted.into());
    }
    check_author(Some(state), entry, &statement, chains)?;
    if !state.owed.is_empty() && !matches!(statement.action, Action::Epoch(_)) {
        return Err(Denied::EpochOwed.into());
    }
    let case = Case {
        state,
        seq: entry.seq,
        prev: entry.prev,
        entry,
        author: statement.author,
        author_head: statement.author_head,
        chains,
    };
    let next = case.decide(&statement.action)?;
    Ok(next.after(entry, item, &statement))
}

fn check_place(state: &State, statement: &Statement) -> Result<(), Denied> {
    match statement.place {
        Place::Next(prev) if statement.action.is_strict() => {
            if prev != state.head {
                return Err(Denied::Misplaced("another place"));
            }
        }
        Place::Later(base) if !statement.action.is_strict() => {
            if state.recent.get(&base.seq) != Some(&base.hash) {
                return Err(Denied::Misplaced("an entry that is not among the last"));
            }
        }
        _ => return Err(Denied::Misplaced("a place of the wrong kind")),
    }
    Ok(())
}

/// Checks that the hub does not place an item for the second time. One that is older than those that the state remembers names a base that is
/// too old as well.
fn check_new(state: &State, author: UserId, item: &Item) -> Result<(), Denied> {
    if state.placed.values().any(|placed| *placed == (author, item.item_id)) {
        return Err(Denied::Already("the log has that statement already"));
    }
    Ok(())
}

/// Checks that the device that signed is live in its author's chain, and that the log knows nothing newer of that chain.
fn check_author(
    state: Option<&State>,
    entry: &Entry,
    statement: &Statement,
    chains: &dyn Chains,
) -> Result<user::State, Refused> {
    let Statement { author, author_head, .. } = statement;
    let known = state.and_then(|state| state.heads.get(author));
    check_head(known, *author_head)?;
    let user = lookup(chains, *author, *author_head)?;
    let key = entry.signed.author().ok_or(Denied::NotAnAuthor)?;
    if entry.signed.signatures.len() != 1 || user.signer(key).is_none() {
        return Err(Denied::NotAnAuthor.into());
    }
    Ok(user)
}

fn check_head(known: Option<&Seen>, head: Seen) -> Result<(), Denied> {
    match known {
        Some(known) if head.seq < known.seq => Err(Denied::OldHead),
        Some(known) if head.seq == known.seq && head.hash != known.hash => Err(Denied::OtherChain),
        _ => Ok(()),
    }
}

fn lookup(chains: &dyn Chains, user: UserId, head: Seen) -> Result<user::State, Refused> {
    match chains.user_at(user, head) {
        Ok(state) => Ok(state),
        Err(Missing::NotAtHand) => Err(Refused::Hold { user, head }),
        Err(Missing::Contradicts) => Err(Denied::OtherChain.into()),
    }
}

/// Checks that `puk` is the per-user key of a live user at `head`.
fn check_puk(
    chains: &dyn Chains,
    user: UserId,
    head: Seen,
    puk: PukPin,
) -> Result<user::State, Refused> {
    let state = lookup(chains, user, head)?;
    if state.closed || state.owes_rotation || state.puk().map(PukPin::of) != Some(puk) {
        return Err(Denied::OtherKey.into());
    }
    Ok(state)
}

fn begin(
    community: CommunityId,
    entry: &Entry,
    item: &Item,
    statement: &Statement,
    chains: &dyn Chains,
) -> Result<State, Refused> {
    let Action::Create(create) = &statement.action else {
        return Err(Denied::Misplaced("a log begins with its creation").into());
    };
    if statement.place != Place::First {
        return Err(Denied::Misplaced("a place of the wrong kind").into());
    }
    check_author(None, entry, statement, chains)?;
    let Create { kind, hub, hub_key, policy, history, permissions, puk, .. } = create;
    check_puk(chains, statement.author, statement.author_head, *puk)?;
    let is_group = *kind == CommunityKind::Group;
    if is_group && *policy != super::JoinPolicy::Invited {
        return Err(Denied::Not("a group is joined by being brought in").into());
    }
    let everybody = Role {
        rank: 0,
        permissions: Permissions::from_bits(*permissions),
        colour: None,
        name: None,
    };
    let founder = Member {
        head: statement.author_head,
        puk: *puk,
        roles: vec![],
        joined: entry.seq,
        nickname: None,
    };
    let members = Audience {
        rule: None,
        history: *history,
        epoch: None,
        former: RedBlackTreeMapSync::new_sync(),
        lacking: RedBlackTreeSetSync::new_sync(),
        stale: Stale::default(),
    };
    let state = State {
        community,
        kind: *kind,
        head: entry.seen(),
        hub: hub.clone(),
        hub_key: *hub_key,
        owner_epoch: 0,
        terms: RedBlackTreeMapSync::new_sync(),
        owner: statement.author,
        owners: RedBlackTreeMapSync::new_sync().insert(entry.seq, statement.author),
        vouched: None,
        policy: *policy,
        name: None,
        topic: None,
        roles: RedBlackTreeMapSync::new_sync().insert(RoleId::EVERYBODY, everybody),
        channels: RedBlackTreeMapSync::new_sync(),
        audiences: RedBlackTreeMapSync::new_sync().insert(AudienceId::MEMBERS, members),
        invites: RedBlackTreeMapSync::new_sync(),
        members: RedBlackTreeMapSync::new_sync().insert(statement.author, founder),
        asking: RedBlackTreeMapSync::new_sync(),
        banned: RedBlackTreeSetSync::new_sync(),
        heads: RedBlackTreeMapSync::new_sync(),
        next_role: 1,
        next_channel: 1,
        next_audience: 1,
        next_invite: 1,
        owed: RedBlackTreeMapSync::new_sync().insert(AudienceId::MEMBERS, statement.author),
        recent: RedBlackTreeMapSync::new_sync(),
        placed: RedBlackTreeMapSync::new_sync(),
        is_deleted: false,
    };
    Ok(state.after(entry, item, statement))
}

/// Checks that a sealed text is for whom it should be. Which epoch it names is between author and readers: one who names a wrong one is only
/// not understood.
fn check_sealed_for(text: &SealedText, audience: AudienceId) -> Result<(), Denied> {
    if text.audience != audience {
        return Err(Denied::Not("the text is sealed for another audience"));
    }
    Ok(())
}

/// What a group's log cannot say.
fn check_group(action: &Action) -> Result<(), Denied> {
    match action {
        Action::RoleSet(_)
        | Action::RoleDelete { .. }
        | Action::RoleGrant { .. }
        | Action::RoleRevoke { .. }
        | Action::ChannelDelete { .. }
        | Action::AudienceDelete { .. }
        | Action::OverwriteSet(_)
        | Action::InviteCreate(_)
        | Action::InviteRevoke { .. }
        | Action::Join(_)
        | Action::Ask(_)
        | Action::Approve(_)
        | Action::Snapshot { .. } => Err(Denied::Not("a group has one channel and no roles")),
        Action::AudienceSet(set) if set.audience != AudienceId::MEMBERS => {
            Err(Denied::Not("a group has one channel and no roles"))
        }
        Action::ChannelSet(set) if set.channel.number() != 1 => {
            Err(Denied::Not("a group has one channel and no roles"))
        }
        Action::Edit(edit) if edit.policy.is_some() => {
            Err(Denied::Not("a group is joined by being brought in"))
        }
        _ => Ok(()),
    }
}

impl Case<'_> {
    fn decide(&self, action: &Action) -> Result<State, Refused> {
        let is_outsider = !self.state.members.contains_key(&self.author);
        if is_outsider && !matches!(action, Action::Join(_) | Action::Ask(_)) {
            return Err(Denied::NotAMember.into());
        }
        if self.state.kind == CommunityKind::Group {
            check_group(action)?;
        }
        Ok(match action {
            Action::Create(_) => {
                return Err(Denied::Misplaced("a second creation").into());
            }
            Action::Edit(edit) => self.edit(edit)?,
            Action::RoleSet(set) => self.role_set(set)?,
            Action::RoleDelete { role } => self.role_delete(*role)?,
            Action::RoleGrant { user, role } => self.role_grant(*user, *role)?,
            Action::RoleRevoke { user, role } => self.role_revoke(*user, *role)?,
            Action::ChannelSet(set) => self.channel_set(set)?,
            Action::ChannelDelete { channel } => self.channel_delete(*channel)?,
            Action::OverwriteSet(set) => self.overwrite_set(set)?,
            Action::AudienceSet(set) => self.audience_set(set)?,
            Action::AudienceDelete { audience } => self.audience_delete(*audience)?,
            Action::InviteCreate(create) => self.invite_create(create)?,
            Action::InviteRevoke { invite } => self.invite_revoke(*invite)?,
            Action::Join(join) => self.join(join)?,
            Action::Ask(ask) => self.ask(ask)?,
            Action::Approve(approve) => self.approve(approve)?,
            Action::Leave => self.leave()?,
            Action::Head(puk) => self.head(*puk)?,
            Action::Nickname(nickname) => self.nickname(nickname)?,
            Action::Kick(ban) => self.kick(ban)?,
            Action::Ban(ban) => self.ban(ban)?,
            Action::Unban { user } => self.unban(*user)?,
            Action::Add(add) => self.add(add)?,
            Action::Epoch(epoch) => self.epoch(epoch)?,
            Action::Admit(admit) => self.admit(admit)?,
            Action::Lacking { audience, epoch } => self.lacking(*audience, *epoch)?,
            Action::OwnerSet { user } => self.owner_set(*user)?,
            Action::Handover(handover) => self.hand_over(handover)?,
            Action::Snapshot { digest } => self.vouch(*digest)?,
            Action::Delete => {
                self.need_owner()?;
                State { is_deleted: true, ..self.state.clone() }
            }
        })
    }

    /// Refuses unless the author may do `wanted` in the community.
    fn need(&self, wanted: Permissions) -> Result<(), Denied> {
        if self.state.permissions_of(self.author, None).contain(wanted) {
            return Ok(());
        }
        Err(Denied::NotPermitted(wanted.words().next().unwrap_or("that nobody has")))
    }

    fn need_owner(&self) -> Result<(), Denied> {
        if self.author == self.state.owner { Ok(()) } else { Err(Denied::NotTheOwner) }
    }

    fn rank(&self) -> u32 {
        self.state.rank_of(self.author).unwrap_or(0)
    }

    /// Refuses unless the author stands above `user`.
    fn need_above(&self, user: UserId) -> Result<(), Denied> {
        match self.state.rank_of(user) {
            Some(theirs) if theirs >= self.rank() => Err(Denied::NotAbove),
            _ => Ok(()),
        }
    }
}

impl State {
    /// This state with `entry` as its head, and with what the entry says of its author's chain.
    fn after(self, entry: &Entry, item: &Item, statement: &Statement) -> Self {
        let seen = entry.seen();
        let mut recent = self.recent.insert(seen.seq, seen.hash);
        let mut placed = self.placed.insert(seen.seq, (statement.author, item.item_id));
        if let Some(old) = seen.seq.checked_sub(BASE_WINDOW) {
            recent = recent.remove(&old);
            placed = placed.remove(&old);
        }
        let heads = self.heads.insert(statement.author, statement.author_head);
        Self { head: seen, recent, placed, heads, ..self }
    }
}

#[cfg(test)]
mod tests;

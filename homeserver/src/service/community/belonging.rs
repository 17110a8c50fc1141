//! How users have to do with a community, as its log has it: what `ListCommunities` and "shares a community" are answered from.

use std::collections::BTreeSet;

use rookery_protocol::{
    community::{Action, State},
    id::UserId,
};

use super::append::Batch;
use crate::repository::community::Belonging;

/// How `user` has to do with the community.
#[must_use]
pub(super) fn of(state: &State, user: UserId) -> Belonging {
    if state.members.contains_key(&user) {
        Belonging::Member
    } else if state.asking.contains_key(&user) {
        Belonging::Asking
    } else if state.invites.values().any(|invite| invite.user == Some(user)) {
        Belonging::Invited
    } else {
        Belonging::Named
    }
}

/// The users of whom the batch speaks, with how they have to do with the community after it.
pub(super) fn changes(batch: &Batch) -> Vec<(UserId, Belonging)> {
    let Some(last) = batch.steps.last() else { return vec![] };
    let touched = touched(batch);
    let former = |user| batch.before.as_ref().map(|before| of(before, user));
    touched
        .into_iter()
        .map(|user| (user, of(&last.after, user)))
        .filter(|(user, now)| {
            let is_known = batch.before.as_ref().is_some_and(|before| {
                before.heads.contains_key(user) || former(*user) != Some(Belonging::Named)
            });
            !is_known || former(*user) != Some(*now)
        })
        .collect()
}

fn touched(batch: &Batch) -> BTreeSet<UserId> {
    let mut touched = BTreeSet::new();
    let mut before = batch.before.as_ref();
    for step in &batch.steps {
        touched.insert(step.statement.author);
        touched.extend(match &step.statement.action {
            Action::Approve(approve) => Some(approve.user),
            Action::Kick(ban) | Action::Ban(ban) => Some(ban.user),
            Action::Add(add) => Some(add.user),
            Action::InviteCreate(create) => create.user,
            Action::InviteRevoke { invite } => {
                before.and_then(|state| state.invites.get(invite)).and_then(|invite| invite.user)
            }
            _ => None,
        });
        before = Some(&step.after);
    }
    touched
}

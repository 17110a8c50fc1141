//! Telling followers of a log what was appended, and having those follow no more who may not read.

use rookery_protocol::{
    community::{Action, State},
    id::{AudienceId, ChainId, ChannelId, UserId},
    session::FollowDown,
};

use super::{
    Hosted,
    append::{Batch, Step},
    belonging,
};
use crate::service::{Services, feed::Live, statement};

/// Tells of a batch that was stored. Under [`Services::order`], so that nothing is stored before whoever lost a right is unfollowed.
pub(super) fn appended(services: &Services, batch: &Batch, hosted: &Hosted) {
    let mut before = batch.before.as_ref();
    for step in &batch.steps {
        let entry = &step.stored.entry;
        services.feeds.push_chain(entry.chain, &statement::live(entry));
        if takes_away(&step.statement.action) {
            sweep(services, before, &step.after);
        }
        before = Some(&step.after);
    }
    let notice = Live::notice(&FollowDown::CommunitiesChanged);
    for (user, _) in belonging::changes(batch) {
        services.feeds.push_user(user, &notice);
    }
    for user in newly_reading(batch, &hosted.state) {
        services.feeds.push_user(user, &notice);
    }
}

/// Has nobody follow the chains of a community any more.
pub(super) fn ended(services: &Services, state: &State) {
    let community = state.community;
    services.feeds.sweep(ChainId::of_log(community), |_| false);
    for channel in state.channels.keys() {
        services.feeds.sweep(ChainId::of_channel(community, *channel), |_| false);
    }
    let notice = Live::notice(&FollowDown::CommunitiesChanged);
    for user in state.members.keys() {
        services.feeds.push_user(*user, &notice);
    }
}

/// Whether somebody may be able to read less after it.
fn takes_away(action: &Action) -> bool {
    matches!(
        action,
        Action::RoleDelete { .. }
            | Action::RoleRevoke { .. }
            | Action::ChannelDelete { .. }
            | Action::AudienceSet(_)
            | Action::InviteRevoke { .. }
            | Action::Approve(_)
            | Action::Leave
            | Action::Kick(_)
            | Action::Ban(_)
            | Action::OwnerSet { .. }
            | Action::Delete
    )
}

fn sweep(services: &Services, before: Option<&State>, after: &State) {
    let community = after.community;
    if after.is_deleted {
        return ended(services, after);
    }
    let reads_log = |user: UserId| {
        after.members.contains_key(&user)
            || after.asking.contains_key(&user)
            || after.invites.values().any(|invite| invite.user == Some(user))
    };
    services.feeds.sweep(ChainId::of_log(community), reads_log);
    let channels: Vec<ChannelId> =
        before.map_or_else(Vec::new, |before| before.channels.keys().copied().collect());
    for channel in channels {
        let chain = ChainId::of_channel(community, channel);
        services.feeds.sweep(chain, |user| after.may_read(user, channel));
    }
}

/// Members who can read an audience that was not theirs before.
fn newly_reading(batch: &Batch, after: &State) -> Vec<UserId> {
    let Some(before) = &batch.before else { return vec![] };
    let gives = |step: &Step| match &step.statement.action {
        Action::RoleGrant { .. } | Action::OwnerSet { .. } => true,
        Action::AudienceSet(set) => set.audience != AudienceId::MEMBERS,
        _ => false,
    };
    if !batch.steps.iter().any(gives) {
        return vec![];
    }
    let private = after.audiences.keys().filter(|id| **id != AudienceId::MEMBERS);
    private
        .flat_map(|id| after.roster(*id).map(|(user, _)| (*id, user)))
        .filter(|(id, user)| {
            before.members.contains_key(user) && !before.is_in_audience(*user, *id)
        })
        .map(|(_, user)| user)
        .collect()
}

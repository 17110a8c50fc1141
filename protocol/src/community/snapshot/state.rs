//! What the rows of a snapshot are in a [`State`](crate::community::State), and back.

use rpds::RedBlackTreeSetSync;

use super::row::{
    AskingRow, AudienceRow, ChannelRow, EpochRow, InviteRow, MemberRow, OverwriteRow, RoleRow,
    TermRow,
};
use crate::{
    community::{
        Asking, Audience, Channel, ChannelEnd, Epoch, Invite, Member, Overwrite, Permissions, Role,
        Stale, Term,
    },
    id::{AudienceId, ChannelId, InviteId, RoleId, UserId},
};

impl TermRow {
    pub(super) fn of((owner_epoch, term): (&u64, &Term)) -> Self {
        let ends =
            term.ends.iter().map(|(channel, last)| ChannelEnd { channel: *channel, last: *last });
        Self {
            owner_epoch: *owner_epoch,
            hub: term.hub.clone(),
            hub_key: term.hub_key,
            last: term.last,
            ends: ends.collect(),
        }
    }

    pub(super) fn into_parts(self) -> (u64, Term) {
        let ends = self.ends.into_iter().map(|end| (end.channel, end.last)).collect();
        (self.owner_epoch, Term { hub: self.hub, hub_key: self.hub_key, last: self.last, ends })
    }
}

impl RoleRow {
    pub(super) fn of((id, role): (&RoleId, &Role)) -> Self {
        Self {
            role: *id,
            rank: role.rank,
            permissions: role.permissions.bits(),
            colour: role.colour,
            name: role.name.clone(),
        }
    }

    pub(super) fn into_parts(self) -> (RoleId, Role) {
        let permissions = Permissions::from_bits(self.permissions);
        (self.role, Role { rank: self.rank, permissions, colour: self.colour, name: self.name })
    }
}

impl ChannelRow {
    pub(super) fn of((id, channel): (&ChannelId, &Channel)) -> Self {
        let overwrites = channel.overwrites.iter().map(|(subject, overwrite)| OverwriteRow {
            subject: *subject,
            allow: overwrite.allow.bits(),
            deny: overwrite.deny.bits(),
        });
        Self {
            channel: *id,
            kind: channel.kind,
            audience: channel.audience,
            position: channel.position,
            slow_mode_s: channel.slow_mode_s,
            is_archived: channel.is_archived,
            name: channel.name.clone(),
            topic: channel.topic.clone(),
            overwrites: overwrites.collect(),
        }
    }

    pub(super) fn into_parts(self) -> (ChannelId, Channel) {
        let overwrites = self.overwrites.into_iter().map(|row| {
            let allow = Permissions::from_bits(row.allow);
            (row.subject, Overwrite { allow, deny: Permissions::from_bits(row.deny) })
        });
        let channel = Channel {
            kind: self.kind,
            audience: self.audience,
            position: self.position,
            slow_mode_s: self.slow_mode_s,
            is_archived: self.is_archived,
            name: self.name,
            topic: self.topic,
            overwrites: overwrites.collect(),
        };
        (self.channel, channel)
    }
}

impl AudienceRow {
    pub(super) fn of((id, audience): (&AudienceId, &Audience)) -> Self {
        let epochs = audience.former.values().chain(&audience.epoch);
        Self {
            audience: *id,
            rule: audience.rule.clone(),
            history: audience.history,
            epochs: epochs.map(EpochRow::of).collect(),
            lacking: audience.lacking.iter().copied().collect(),
            leaves: audience.stale.leaves,
            devices: audience.stale.devices,
            is_due: audience.stale.is_due,
        }
    }

    pub(super) fn into_parts(self) -> (AudienceId, Audience) {
        let mut epochs: Vec<Epoch> = self.epochs.into_iter().map(EpochRow::into_epoch).collect();
        let epoch = epochs.pop();
        let lacking: RedBlackTreeSetSync<UserId> = self.lacking.into_iter().collect();
        let stale = Stale { leaves: self.leaves, devices: self.devices, is_due: self.is_due };
        let audience = Audience {
            rule: self.rule,
            history: self.history,
            epoch,
            former: epochs.into_iter().map(|epoch| (epoch.number, epoch)).collect(),
            lacking,
            stale,
        };
        (self.audience, audience)
    }
}

impl EpochRow {
    fn of(epoch: &Epoch) -> Self {
        Self {
            number: epoch.number,
            seq: epoch.seq,
            log_root: epoch.log_root,
            roster_root: epoch.roster_root,
            count: epoch.count,
            commit: epoch.commit,
            wraps: epoch.wraps,
            links: epoch.links.clone(),
            history: epoch.history,
            previous: epoch.previous.clone(),
            previous_meta: epoch.previous_meta.clone(),
        }
    }

    fn into_epoch(self) -> Epoch {
        Epoch {
            number: self.number,
            seq: self.seq,
            log_root: self.log_root,
            roster_root: self.roster_root,
            count: self.count,
            commit: self.commit,
            wraps: self.wraps,
            links: self.links,
            history: self.history,
            previous: self.previous,
            previous_meta: self.previous_meta,
        }
    }
}

impl InviteRow {
    pub(super) fn of((id, invite): (&InviteId, &Invite)) -> Self {
        Self {
            invite: *id,
            inviter: invite.inviter,
            user: invite.user,
            key: invite.key,
            wrap_key: invite.wrap_key.clone(),
            wrap: invite.wrap.clone(),
            roles: invite.roles.clone(),
            uses_left: invite.uses_left,
            expires: invite.expires,
        }
    }

    pub(super) fn into_parts(self) -> (InviteId, Invite) {
        let invite = Invite {
            inviter: self.inviter,
            user: self.user,
            key: self.key,
            wrap_key: self.wrap_key,
            wrap: self.wrap,
            roles: self.roles,
            uses_left: self.uses_left,
            expires: self.expires,
        };
        (self.invite, invite)
    }
}

impl MemberRow {
    pub(super) fn of((user, member): (&UserId, &Member)) -> Self {
        Self {
            user: *user,
            head: member.head,
            puk: member.puk,
            roles: member.roles.clone(),
            joined: member.joined,
            nickname: member.nickname.clone(),
        }
    }

    pub(super) fn into_parts(self) -> (UserId, Member) {
        let Self { user, head, puk, roles, joined, nickname } = self;
        (user, Member { head, puk, roles, joined, nickname })
    }
}

impl AskingRow {
    pub(super) fn of((user, asking): (&UserId, &Asking)) -> Self {
        Self { user: *user, head: asking.head, puk: asking.puk, invite: asking.invite }
    }

    pub(super) fn into_parts(self) -> (UserId, Asking) {
        (self.user, Asking { head: self.head, puk: self.puk, invite: self.invite })
    }
}

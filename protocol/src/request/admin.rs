//! What an administrator asks over the server's own socket.

use crate::{
    community::{CommunityKind, Fork},
    id::{CommunityId, InviteToken, UserId},
    name::{ServerName, UserName},
    request,
    request::{Administrator, Never},
    time::Timestamp,
    wire_enum, wire_index, wire_struct,
};

wire_struct! {
    /// Asks how the server is.
    pub struct Status {}
}

wire_struct! {
    /// How the server is.
    pub struct StatusReport {
        /// Its version.
        #[n(0)] pub version: String,
        /// Since when it runs.
        #[n(1)] pub since: Timestamp,
        /// Where it listens.
        #[n(2)] pub address: String,
        /// Its name.
        #[n(3)] pub name: String,
        /// Its root key's fingerprint.
        #[n(4)] pub fingerprint: String,
        /// `sqlite` or `postgres`.
        #[n(5)] pub database: String,
        /// Which life of the database.
        #[n(6)] pub incarnation: u64,
        /// Accounts.
        #[n(7)] pub users: u64,
        /// Open connections.
        #[n(8)] pub connections: u64,
        /// Envelopes that wait.
        #[n(9)] pub waiting_envelopes: u64,
        /// Whether it can store.
        #[n(10)] pub writable: bool,
        /// Since when, restored from a copy, it waits for what other homeservers have kept of it.
        #[n(11)] pub fenced: Option<Timestamp>,
        /// For which of them.
        #[n(12)] pub waits_for: Vec<ServerName>,
    }
}

request!(Status: "admin/status/1", Admin, Administrator => StatusReport, Never);

wire_struct! {
    /// Makes an invite.
    pub struct CreateInvite {
        /// How often it can be used; 1 to 100,000.
        #[n(0)] pub uses: u32,
        /// When it ends, if it does.
        #[n(1)] pub expires: Option<Timestamp>,
        /// What for, in the administrator's words.
        #[n(2)] pub note: Option<String>,
    }
}

wire_struct! {
    /// One invite.
    pub struct Invite {
        /// A short name for it that is no secret.
        #[n(0)] pub id: String,
        /// The link; only when it is made.
        #[n(1)] pub link: Option<String>,
        /// The secret in the link; only when it is made.
        #[n(2)] pub token: Option<InviteToken>,
        /// How often it can still be used.
        #[n(3)] pub uses_left: u32,
        /// When it was made.
        #[n(4)] pub created: Timestamp,
        /// When it ends.
        #[n(5)] pub expires: Option<Timestamp>,
        /// What for.
        #[n(6)] pub note: Option<String>,
        /// Whether it was withdrawn.
        #[n(7)] pub revoked: bool,
    }
}

wire_enum! {
    /// Why the administrator did not get what they asked.
    #[derive(thiserror::Error)]
    pub enum AdminError {
        /// No such user, invite or community.
        #[n(1)]
        #[error("there is no such {what}")]
        NotFound {
            /// What was looked for.
            #[n(0)] what: String
        },
        /// The server's state forbids it.
        #[n(2)]
        #[error("{reason}")]
        Precondition {
            /// Why.
            #[n(0)] reason: String
        },
    }
}

request!(CreateInvite: "admin/invite/create/1", Admin, Administrator => Invite, AdminError);

wire_struct! {
    /// Lists the invites.
    pub struct ListInvites {}
}

wire_struct! {
    /// The invites.
    pub struct Invites {
        /// Newest first.
        #[n(0)] pub invites: Vec<Invite>,
    }
}

request!(ListInvites: "admin/invite/list/1", Admin, Administrator => Invites, Never);

wire_struct! {
    /// Withdraws an invite.
    pub struct RevokeInvite {
        /// Its short name.
        #[n(0)] pub id: String,
    }
}

request!(RevokeInvite: "admin/invite/revoke/1", Admin, Administrator => (), AdminError);

wire_index! {
    /// How an account is.
    pub enum AccountState {
        /// In use.
        #[n(1)] Active,
        /// May not log in.
        #[n(2)] Disabled,
        /// Gone; the name stays reserved.
        #[n(3)] Deleted,
    }
}

wire_struct! {
    /// One account.
    pub struct AccountEntry {
        /// Its name.
        #[n(0)] pub name: UserName,
        /// Its user.
        #[n(1)] pub user: UserId,
        /// How it is.
        #[n(2)] pub state: AccountState,
        /// When it was opened.
        #[n(3)] pub created: Timestamp,
        /// When one of its devices was last there.
        #[n(4)] pub last_seen: Option<Timestamp>,
        /// Its live devices.
        #[n(5)] pub devices: u32,
        /// Its sessions.
        #[n(6)] pub sessions: u32,
        /// Envelopes that wait for it.
        #[n(7)] pub waiting_envelopes: u64,
        /// The e-mail address that it gave.
        #[n(8)] pub email: Option<String>,
    }
}

wire_struct! {
    /// Lists accounts, by name.
    pub struct ListUsers {
        /// Only what comes after this name.
        #[n(0)] pub after: Option<UserName>,
        /// At most this many, up to 500.
        #[n(1)] pub limit: u32,
    }
}

wire_struct! {
    /// Accounts.
    pub struct Users {
        /// By name.
        #[n(0)] pub users: Vec<AccountEntry>,
        /// Whether more follow.
        #[n(1)] pub more: bool,
    }
}

request!(ListUsers: "admin/user/list/1", Admin, Administrator => Users, Never);

wire_struct! {
    /// Shows one account.
    pub struct ShowUser {
        /// Whose.
        #[n(0)] pub name: UserName,
    }
}

request!(ShowUser: "admin/user/show/1", Admin, Administrator => AccountEntry, AdminError);

wire_index! {
    /// What to do to an account.
    pub enum AccountChange {
        /// Nobody may log in; what is connected is cut.
        #[n(1)] Disable,
        /// Undo that.
        #[n(2)] Enable,
        /// Erase everything but the name and the chain.
        #[n(3)] Delete,
    }
}

wire_struct! {
    /// Changes an account.
    pub struct ChangeUser {
        /// Whose.
        #[n(0)] pub name: UserName,
        /// How.
        #[n(1)] pub change: AccountChange,
    }
}

request!(ChangeUser: "admin/user/change/1", Admin, Administrator => (), AdminError);

wire_struct! {
    /// Gives an account another password. All its sessions end; what is sealed stays sealed.
    pub struct ResetPassword {
        /// Whose.
        #[n(0)] pub name: UserName,
        /// The new one.
        #[n(1)] pub password: String,
    }
}

request!(ResetPassword: "admin/user/reset-password/1", Admin, Administrator => (), AdminError);

wire_struct! {
    /// Lists the communities that this server is the hub of, by id.
    pub struct ListHosted {
        /// Only what comes after this one.
        #[n(0)] pub after: Option<CommunityId>,
        /// At most this many, up to 500.
        #[n(1)] pub limit: u32,
    }
}

wire_struct! {
    /// One of them, as far as a hub can see.
    pub struct HostedCommunity {
        /// Which.
        #[n(0)] pub community: CommunityId,
        /// What sort.
        #[n(1)] pub kind: CommunityKind,
        /// Who made it.
        #[n(2)] pub founder: UserId,
        /// Who owns it.
        #[n(3)] pub owner: UserId,
        /// When it was made.
        #[n(4)] pub created: Timestamp,
        /// Whether it can be read only.
        #[n(5)] pub is_frozen: bool,
        /// Whether it has ended.
        #[n(6)] pub is_deleted: bool,
        /// How many belong to it.
        #[n(7)] pub members: u64,
        /// How many channels it has had.
        #[n(8)] pub channels: u64,
        /// How many entries its log and its channels have.
        #[n(9)] pub entries: u64,
        /// What they take, in bytes.
        #[n(10)] pub bytes: u64,
        /// Its hub, where that is another server and this is a copy.
        #[n(11)] pub hub: Option<ServerName>,
        /// How many proofs there are that its hub has signed two histories of it.
        #[n(12)] pub forks: Option<u32>,
        /// The proofs; in a list they are left out.
        #[n(13)] pub proofs: Option<Vec<Fork>>,
    }
}

wire_struct! {
    /// Communities.
    pub struct HostedCommunities {
        /// By id.
        #[n(0)] pub communities: Vec<HostedCommunity>,
        /// Whether more follow.
        #[n(1)] pub more: bool,
    }
}

request!(ListHosted: "admin/community/list/1", Admin, Administrator => HostedCommunities, Never);

wire_struct! {
    /// Shows one community.
    pub struct ShowHosted {
        /// Which.
        #[n(0)] pub community: CommunityId,
    }
}

request!(ShowHosted: "admin/community/show/1", Admin, Administrator => HostedCommunity, AdminError);

wire_index! {
    /// What to do to a community.
    pub enum HostedChange {
        /// It can be read only.
        #[n(1)] Freeze,
        /// Undo that.
        #[n(2)] Unfreeze,
        /// Erase everything but its id.
        #[n(3)] Delete,
    }
}

wire_struct! {
    /// Changes a community as its hub.
    pub struct ChangeHosted {
        /// Which.
        #[n(0)] pub community: CommunityId,
        /// How.
        #[n(1)] pub change: HostedChange,
    }
}

request!(ChangeHosted: "admin/community/change/1", Admin, Administrator => (), AdminError);

wire_struct! {
    /// Copies the database, consistently, while the server goes on.
    pub struct Backup {
        /// Into which new folder, on the server's machine.
        #[n(0)] pub to: String,
    }
}

wire_struct! {
    /// The copy.
    pub struct BackupReport {
        /// Where it is.
        #[n(0)] pub path: String,
        /// How large.
        #[n(1)] pub bytes: u64,
    }
}

request!(Backup: "admin/backup/1", Admin, Administrator => BackupReport, AdminError);

//! Accounts: registering, the password, the profile, closing.

use crate::{
    chain::Submission,
    codec::{MAX_BATCH, MAX_BODY, Octets},
    id::{InviteToken, UserId},
    key::Signature,
    name::UserName,
    prekey::PrekeyUpload,
    request,
    request::{Anyone, LoggedIn, Never, session::Tokens},
    session::Authenticated,
    time::Timestamp,
    user::PukBox,
    wire_enum, wire_index, wire_struct,
};

wire_struct! {
    /// Opens an account: everything in one request and one transaction. The same genesis again is answered as the first time, so that a
    /// retry after a lost answer takes no second invite.
    pub struct Register {
        /// The name that is wanted.
        #[n(0)] pub name: UserName,
        /// The password: 8 to 1,024 bytes.
        #[n(1)] pub password: String,
        /// The right to register, where invites are asked for.
        #[n(2)] pub invite: Option<InviteToken>,
        /// The first statement of the user's chain.
        #[n(3)] pub genesis: Submission,
        /// The per-user key's boxes: for the device and for the recovery key.
        #[n(4)] pub boxes: Vec<PukBox>,
        /// The first device's prekeys.
        #[n(5)] pub prekeys: PrekeyUpload,
        /// Proof of the device key, as in a log-in; the name is the secret that it covers.
        #[n(6)] pub proof: Signature,
        /// The time in the proof.
        #[n(7)] pub at: Timestamp,
        /// An e-mail address, if the user wants the administrator to have one.
        #[n(8)] pub email: Option<String>,
    }
}

wire_struct! {
    /// The account is open, and the device logged in.
    pub struct Registered {
        /// Who the user now is.
        #[n(0)] pub user: UserId,
        /// The first session's tokens.
        #[n(1)] pub tokens: Tokens,
    }
}

wire_enum! {
    /// Why no account was opened.
    #[derive(thiserror::Error)]
    pub enum RegisterError {
        /// The name is in use, was in use, or is reserved.
        #[n(1)]
        #[error("that name is taken: choose another")]
        NameTaken,
        /// No invite, an unknown one, or one that is used up, over or withdrawn.
        #[n(2)]
        #[error("this server needs an invite, and this one is not valid any more: ask its administrator for another")]
        InviteInvalid,
        /// Nobody may register.
        #[n(3)]
        #[error("this server takes no new accounts")]
        Closed,
        /// Too short or too long.
        #[n(4)]
        #[error("a password has 8 to 1,024 bytes")]
        PasswordUnfit,
        /// The genesis, the boxes, the prekeys or the proof are wrong.
        #[n(5)]
        #[error("the server refused the new keys: {reason}")]
        KeysRefused {
            /// Which rule is broken.
            #[n(0)] reason: String
        },
    }
}

request!(Register: "account/register/1", Register, Anyone => Registered, RegisterError);

wire_struct! {
    /// Changes the password. All other sessions end.
    pub struct ChangePassword {
        /// The one until now.
        #[n(0)] pub old: String,
        /// The one from now on.
        #[n(1)] pub new: String,
    }
}

wire_enum! {
    /// Why the password stays as it was.
    #[derive(thiserror::Error)]
    pub enum PasswordError {
        /// The old password is another one.
        #[n(1)]
        #[error("the old password is wrong")]
        Wrong,
        /// Too short or too long.
        #[n(2)]
        #[error("a password has 8 to 1,024 bytes")]
        Unfit,
    }
}

request!(ChangePassword: "account/change-password/1", Login, Authenticated => (), PasswordError);

wire_struct! {
    /// Closes the account for good: the statement goes into the chain, everything else is erased, the name stays reserved.
    pub struct CloseAccount {
        /// The password.
        #[n(0)] pub password: String,
        /// The closing statement.
        #[n(1)] pub statement: Submission,
    }
}

wire_enum! {
    /// Why the account stays open.
    #[derive(thiserror::Error)]
    pub enum CloseError {
        /// Another password.
        #[n(1)]
        #[error("the password is wrong")]
        WrongPassword,
        /// The chain's rules forbid it.
        #[n(2)]
        #[error("the statement is not allowed: {reason}")]
        Denied {
            /// Which rule.
            #[n(0)] reason: String
        },
    }
}

request!(CloseAccount: "account/close/1", Login, Authenticated => (), CloseError);

wire_index! {
    /// Whom the home lets write to a user.
    pub enum Writers {
        /// Everybody; strangers' messages are shown apart, as requests.
        #[n(1)] Everyone,
        /// People who share a community with the user, and contacts.
        #[n(2)] CoMembers,
        /// Accepted contacts.
        #[n(3)] Contacts,
    }
}

wire_struct! {
    /// What the home has to know of a user's wishes, because it acts on them.
    pub struct AccountSettings {
        /// Who may write.
        #[n(0)] pub writers: Writers,
        /// Whether contacts are told about presence at all.
        #[n(1)] pub presence: bool,
        /// Whether others may be given this user as a suggestion.
        #[n(2)] pub suggest: bool,
    }
}

wire_struct! {
    /// Reads the settings.
    pub struct ReadSettings {}
}

request!(ReadSettings: "account/settings/1", Read, Authenticated => AccountSettings, Never);

wire_struct! {
    /// Changes the settings.
    pub struct ChangeSettings {
        /// All of them.
        #[n(0)] pub settings: AccountSettings,
    }
}

request!(ChangeSettings: "account/change-settings/1", Account, Authenticated => (), Never);

wire_struct! {
    /// Stores the user's profile, sealed under their profile key. Contacts are told that it changed.
    pub struct PutProfile {
        /// The sealed profile.
        #[n(0)] pub sealed: Octets<MAX_BODY>,
    }
}

request!(PutProfile: "account/put-profile/1", Account, Authenticated => (), Never);

wire_struct! {
    /// Fetches somebody's sealed profile: one's own, or a contact's or request partner's.
    pub struct FetchProfile {
        /// Whose.
        #[n(0)] pub user: UserId,
    }
}

wire_struct! {
    /// A profile.
    pub struct Profile {
        /// Sealed; absent when there is none, or none for the asker.
        #[n(0)] pub sealed: Option<Octets<MAX_BODY>>,
        /// When it was stored.
        #[n(1)] pub at: Option<Timestamp>,
    }
}

request!(FetchProfile: "account/fetch-profile/1", Read, LoggedIn => Profile, Never);

wire_struct! {
    /// Adds statements to the user's own chain: all of them or none.
    pub struct AppendStatements {
        /// The statements in order; at most 4.
        #[n(0)] pub statements: Vec<Submission>,
        /// Boxes of the per-user key that go with them.
        #[n(1)] pub boxes: Vec<PukBox>,
    }
}

wire_enum! {
    /// Why nothing was added.
    #[derive(thiserror::Error)]
    pub enum AppendError {
        /// The chain has gone on: fetch it, and state again.
        #[n(1)]
        #[error("the account has changed on another device meanwhile")]
        Stale,
        /// The chain's rules forbid it.
        #[n(2)]
        #[error("the statement is not allowed: {reason}")]
        Denied {
            /// Which rule.
            #[n(0)] reason: String
        },
        /// A revocation without the new per-user key, or boxes that do not match the live devices.
        #[n(3)]
        #[error("the statements are not complete: {reason}")]
        Incomplete {
            /// What is missing.
            #[n(0)] reason: String
        },
    }
}

request!(AppendStatements: "account/append/1", Account, LoggedIn => crate::chain::HeadRef, AppendError, MAX_BATCH);

wire_struct! {
    /// Fetches the boxes of the per-user key that are for this device or for the recovery key.
    pub struct FetchBoxes {}
}

wire_struct! {
    /// The boxes: the newest generation for this device, and for the recovery key.
    pub struct Boxes {
        /// At most two.
        #[n(0)] pub boxes: Vec<PukBox>,
    }
}

request!(FetchBoxes: "account/boxes/1", Read, LoggedIn => Boxes, Never);

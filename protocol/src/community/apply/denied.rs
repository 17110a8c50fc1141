//! Why a statement is not taken in.

use crate::{
    chain::{BrokenEntry, Seen},
    codec,
    id::UserId,
};

/// Why a user's chain says nothing of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It is not at hand, or does not reach so far yet.
    NotAtHand,
    /// It has another entry there: the chain or the log was forked.
    Contradicts,
}

/// Why a statement is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The entry itself is wrong.
    #[error(transparent)]
    Broken(#[from] BrokenEntry),
    /// The body is no statement.
    #[error("the statement is malformed: {0}")]
    Malformed(#[from] codec::Malformed),
    /// Of another kind, suite, community or place than it claims.
    #[error("the statement is not for this place: {0}")]
    Misplaced(&'static str),
    /// Statements are never erased.
    #[error("the statement's body is missing")]
    Erased,
    /// Signed by no device that its author has there.
    #[error("the device that signed is none of its author's")]
    NotAnAuthor,
    /// A user's chain has another entry where the statement names one.
    #[error("a user's chain was forked, or the statement names an entry that is not in it")]
    OtherChain,
    /// An earlier head of a user's chain than the log has named.
    #[error("the statement goes back before what the log knows of a user's devices")]
    OldHead,
    /// A per-user key that the user's chain does not show there.
    #[error("the per-user key is not the one in the user's chain")]
    OtherKey,
    /// The author does not belong to the community.
    #[error("only members may do that")]
    NotAMember,
    /// The author's roles do not allow it.
    #[error("that takes the permission {0}")]
    NotPermitted(&'static str),
    /// The author does not stand above who or what is meant.
    #[error("that takes a higher role than theirs")]
    NotAbove,
    /// Only the owner may.
    #[error("only the owner may do that")]
    NotTheOwner,
    /// No such role, channel, audience, invitation or member.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// It is that way already.
    #[error("{0}")]
    Already(&'static str),
    /// Something has to come first, or instead.
    #[error("{0}")]
    Not(&'static str),
    /// As many as there can be.
    #[error("there can be no more {0}")]
    TooMany(&'static str),
    /// Who may not come back.
    #[error("they were banned")]
    Banned,
    /// An epoch that the rules ask for has to come first.
    #[error("a new epoch has to follow before anything else")]
    EpochOwed,
    /// An epoch for other readers than the log has.
    #[error("the epoch is not for exactly the members who may read")]
    OtherRoster,
    /// Placed in another period of ownership than the log is in: its hub then orders it no more, or not yet.
    #[error("the entry was placed by a server that is not the community's hub there")]
    OtherTerm,
    /// The community has ended.
    #[error("the community has been deleted")]
    Deleted,
}

/// Why a statement was not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The rules forbid it.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// It cannot be told yet: this user's chain is not at hand as far as this head.
    #[error("the chain of a user is needed first")]
    Hold {
        /// Whose.
        user: UserId,
        /// How far.
        head: Seen,
    },
}

impl From<BrokenEntry> for Refused {
    fn from(error: BrokenEntry) -> Self {
        Self::Denied(error.into())
    }
}

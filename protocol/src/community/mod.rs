//! A community: people, roles, channels and who may read what, as a fold over one signed log.
//!
//! The hub orders the log and runs [`apply()`] to refuse; every client runs the same function to distrust the hub. A statement's author signs
//! the place that it has (*next*: right after an entry that the author names, so that order is the author's) or an entry that it comes after
//! (*later*: the hub places it, within the last [`BASE_WINDOW`] entries). No rule looks at a clock.
//!
//! Who may read is an *audience*: a set of members that follows from the log. Each audience has an *epoch*, a period with one secret, which
//! is committed to in the log together with the exact [`roster`](roster_root) that it was wrapped for. Names, topics and reasons are sealed; ids, ranks,
//! permissions and counts are clear, because the hub acts on them.
//!
//! A group is a community of one channel, without roles but owner and member.

mod apply;
mod audience;
mod channel;
mod fork;
mod judge;
mod log;
mod permission;
mod snapshot;
mod state;
mod statement;
mod term;

pub use apply::{Chains, Denied, Missing, Refused, apply, check_owners, verify_and_apply};
pub use audience::{MAX_LATE_LEAVES, PROMPT_AUDIENCE, RosterEntry, roster_root};
pub use channel::{
    Announce, AnnounceBody, ChannelMessage, MessageHeader, RECEIPT_AUDIENCE, Redact, SEALED_BYTES,
};
pub use fork::{Fork, ForkLink, Forked, MAX_LINKS, NoProof, VouchedHead};
pub use judge::{
    Misposted, Post, SenderKeyUse, Unposted, announce_item, judge_announce, judge_message,
    judge_redact,
};
pub use log::{Stopped, apply_verified, check_log};
pub use permission::{Cache, Permissions};
pub use snapshot::{MAX_SNAPSHOT, Snapshot};
pub use state::{Asking, Audience, Channel, Epoch, Invite, Member, Overwrite, Role, Stale, State};
pub use statement::{
    Action, Add, Admit, Approve, Ask, AudienceRule, AudienceSet, BASE_WINDOW, Ban, ChannelEnd,
    ChannelKind, ChannelSet, CommunityKind, Create, Edit, EpochReason, EpochStart, Handover,
    History, InviteCreate, Join, JoinBy, JoinPolicy, Nickname, OverwriteSet, Place, PukPin,
    RoleSet, SealedText, Statement, Subject, invite_message,
};
pub use term::{BeyondTerm, MAX_HANDOVERS, Term};

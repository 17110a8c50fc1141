//! What the commands about communities, members, roles, channels and groups take.

use clap::{Args, Subcommand};

use super::Span;
use crate::agent::verb::{ChannelWord, HistoryWord, PolicyWord};

/// Communities.
#[derive(Debug, Subcommand)]
pub enum CommunityVerb {
    /// Found a community
    Create(CommunityCreateArgs),
    /// List communities and groups, with what is unread
    List,
    /// Show a community's channels, roles and invitations
    Show {
        /// Which, by name or by the beginning of its id
        community: String,
    },
    /// Join by a link, or where one was invited
    Join {
        /// Its link, or the name of a community that you were invited to
        link: String,
    },
    /// Leave a community
    Leave {
        /// Which
        community: String,
    },
    /// Invite somebody, make a link, or end an invitation
    Invite(CommunityInviteArgs),
    /// Rename it, say who may join, hand it over
    Edit(CommunityEditArgs),
    /// Move it to another server, which orders and keeps it from then on
    Move {
        /// Which
        community: String,
        /// The server, by its name
        #[arg(long, value_name = "SERVER")]
        to: String,
    },
    /// End it, for all
    Delete {
        /// Which
        community: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Show every statement of its log
    Log {
        /// Which
        community: String,
    },
    /// Check every statement of its log once more
    Verify {
        /// Which
        community: String,
    },
}

/// What `community create` takes.
#[derive(Debug, Args)]
pub struct CommunityCreateArgs {
    /// What it is called
    pub name: String,
    /// What it is about
    #[arg(long)]
    pub topic: Option<String>,
    /// Who may join
    #[arg(long, value_enum, default_value_t = PolicyWord::Invited)]
    pub policy: PolicyWord,
    /// What those who come later can read
    #[arg(long, value_enum, default_value_t = HistoryWord::Full)]
    pub history: HistoryWord,
    /// Channels beside `general`, with commas
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub channels: Vec<String>,
}

/// What `community invite` takes.
#[derive(Debug, Args)]
pub struct CommunityInviteArgs {
    /// To which
    pub community: String,
    /// Whom; a link for whoever has it when absent
    #[arg(value_name = "USER")]
    pub who: Option<String>,
    /// How often the link can be used
    #[arg(long, value_name = "N")]
    pub uses: Option<u32>,
    /// How long it can be used, such as 7d
    #[arg(long, value_name = "TIME")]
    pub expires: Option<Span>,
    /// Roles that it gives, with commas
    #[arg(long, value_delimiter = ',', value_name = "ROLES")]
    pub roles: Vec<String>,
    /// End the invitation of this number instead
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["who", "uses", "expires", "roles"])]
    pub revoke: Option<u32>,
}

/// What `community edit` takes.
#[derive(Debug, Args)]
#[group(required = true, multiple = true, id = "change")]
pub struct CommunityEditArgs {
    /// Which
    #[arg(group = "which")]
    pub community: String,
    /// What it is called
    #[arg(long, group = "change")]
    pub name: Option<String>,
    /// What it is about
    #[arg(long, group = "change")]
    pub topic: Option<String>,
    /// Who may join
    #[arg(long, value_enum, group = "change")]
    pub policy: Option<PolicyWord>,
    /// Who owns it from now on
    #[arg(long, value_name = "USER", group = "change")]
    pub owner: Option<String>,
}

/// Members.
#[derive(Debug, Subcommand)]
pub enum MemberVerb {
    /// List the members
    List {
        /// Of which community or group
        community: String,
    },
    /// Send a member away; they may come back
    Kick(SendAwayArgs),
    /// Send somebody away for good
    Ban(SendAwayArgs),
    /// Let somebody come back
    Unban {
        /// To which community
        community: String,
        /// Whom
        #[arg(value_name = "USER")]
        who: String,
    },
    /// Give a member a role, or take it
    Role {
        /// In which community
        community: String,
        /// Whom
        #[arg(value_name = "USER")]
        who: String,
        /// Which role
        role: String,
        /// Take it
        #[arg(long)]
        remove: bool,
    },
    /// Call a member something else here
    Nick {
        /// In which community
        community: String,
        /// Whom
        #[arg(value_name = "USER")]
        who: String,
        /// How; by their own name when absent
        name: Option<String>,
    },
    /// Let somebody in who asked
    Approve {
        /// To which community
        community: String,
        /// Whom
        #[arg(value_name = "USER")]
        who: String,
        /// Turn them down instead
        #[arg(long)]
        refuse: bool,
    },
}

/// What `member kick` and `member ban` take.
#[derive(Debug, Args)]
pub struct SendAwayArgs {
    /// From which community
    pub community: String,
    /// Whom
    #[arg(value_name = "USER")]
    pub who: String,
    /// Why: sealed, for the members
    #[arg(long)]
    pub reason: Option<String>,
}

/// Roles.
#[derive(Debug, Subcommand)]
pub enum RoleVerb {
    /// List the roles
    List {
        /// Of which community
        community: String,
    },
    /// Make a role
    Create {
        /// In which community
        community: String,
        /// What it is called
        name: String,
        /// The rest.
        #[command(flatten)]
        role: RoleArgs,
    },
    /// Change a role
    Edit {
        /// In which community
        community: String,
        /// Which; `everybody` for the default one
        role: String,
        /// What it is called
        #[arg(long)]
        name: Option<String>,
        /// The rest.
        #[command(flatten)]
        changes: RoleArgs,
    },
    /// End a role
    Delete {
        /// In which community
        community: String,
        /// Which
        role: String,
    },
}

/// What a role has.
#[derive(Debug, Args)]
pub struct RoleArgs {
    /// The higher, the more senior
    #[arg(long)]
    pub rank: Option<u32>,
    /// Such as #ff8800
    #[arg(long, value_parser = parse_colour)]
    pub colour: Option<u32>,
    /// What its bearers may do, with commas; `all` for everything, an empty word for nothing
    #[arg(long, value_delimiter = ',', value_name = "WORDS")]
    pub permissions: Option<Vec<String>>,
}

/// Channels.
#[derive(Debug, Subcommand)]
pub enum ChannelVerb {
    /// List the channels that you may read
    List {
        /// Of which community
        community: String,
    },
    /// Make a channel
    Create(ChannelCreateArgs),
    /// Change a channel
    Edit(ChannelEditArgs),
    /// End a channel
    Delete {
        /// Which: club#general
        channel: String,
    },
    /// Let a role or a member do something in a channel
    Allow(GrantArgs),
    /// Forbid a role or a member something in a channel
    Deny(GrantArgs),
}

/// What `channel create` takes.
#[derive(Debug, Args)]
pub struct ChannelCreateArgs {
    /// In which community
    pub community: String,
    /// What it is called
    pub name: String,
    /// What happens in it
    #[arg(long, value_enum, default_value_t = ChannelWord::Text)]
    pub kind: ChannelWord,
    /// What it is about
    #[arg(long)]
    pub topic: Option<String>,
    /// Only you, the owner and those whom you name read it
    #[arg(long)]
    pub private: bool,
    /// Roles that read it, with commas
    #[arg(long, value_delimiter = ',', requires = "private", value_name = "ROLES")]
    pub roles: Vec<String>,
    /// Members who read it, with commas
    #[arg(long, value_delimiter = ',', requires = "private", value_name = "USERS")]
    pub users: Vec<String>,
    /// What those who come later can read
    #[arg(long, value_enum, requires = "private", default_value_t = HistoryWord::Full)]
    pub history: HistoryWord,
    /// How long each member waits between messages, such as 30s
    #[arg(long, value_name = "TIME")]
    pub slow: Option<Span>,
}

/// What `channel edit` takes.
#[derive(Debug, Args)]
pub struct ChannelEditArgs {
    /// Which: club#general
    pub channel: String,
    /// What it is called
    #[arg(long)]
    pub name: Option<String>,
    /// What it is about
    #[arg(long)]
    pub topic: Option<String>,
    /// Where it stands in the list
    #[arg(long)]
    pub position: Option<u32>,
    /// How long each member waits between messages, such as 30s; 0s for not at all
    #[arg(long, value_name = "TIME")]
    pub slow: Option<Span>,
    /// Whether it can be read only
    #[arg(long, value_name = "BOOL")]
    pub archived: Option<bool>,
    /// What those who come later can read, of all channels with the same readers
    #[arg(long, value_enum)]
    pub history: Option<HistoryWord>,
}

/// What `channel allow` and `channel deny` take.
#[derive(Debug, Args)]
pub struct GrantArgs {
    /// In which channel: club#general
    pub channel: String,
    /// Whom: @bob, or a role
    pub whom: String,
    /// What, with commas: `read` for private channels, or permissions such as post,react
    #[arg(value_delimiter = ',', required = true)]
    pub what: Vec<String>,
    /// As their roles say again
    #[arg(long)]
    pub clear: bool,
}

/// Groups.
#[derive(Debug, Subcommand)]
pub enum GroupVerb {
    /// Make a group with some people
    Create {
        /// What it is called
        name: String,
        /// Who is in it
        #[arg(value_name = "USER")]
        with: Vec<String>,
        /// What those who come later can read
        #[arg(long, value_enum, default_value_t = HistoryWord::Full)]
        history: HistoryWord,
    },
    /// Bring somebody in
    Add {
        /// Into which: +weekend
        group: String,
        /// Whom
        #[arg(value_name = "USER")]
        who: String,
    },
    /// Send somebody away
    Remove {
        /// From which: +weekend
        group: String,
        /// Whom
        #[arg(value_name = "USER")]
        who: String,
    },
    /// Rename it
    Rename {
        /// Which: +weekend
        group: String,
        /// What it is called from now on
        name: String,
    },
    /// Leave
    Leave {
        /// Which: +weekend
        group: String,
    },
}

/// What the commands about one message of a room take.
#[derive(Debug, Args)]
pub struct MessageArgs {
    /// In which room: club#general or +weekend
    pub room: String,
    /// The message's id
    pub message: String,
}

fn parse_colour(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix('#').unwrap_or(text);
    let colour = u32::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 6);
    colour.ok_or_else(|| format!("{text:?} is not a colour such as #ff8800"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_is_six_digits() {
        assert_eq!(parse_colour("#ff8800"), Ok(0x00ff_8800));
        assert!(parse_colour("red").is_err() && parse_colour("#fff").is_err());
    }
}

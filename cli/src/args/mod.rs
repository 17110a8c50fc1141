//! The command line: what can be typed, and nothing of what it does.

mod account;
mod community;
mod message;
mod value;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use account::{
    AccountVerb, ContactVerb, DeviceVerb, LoginArgs, PresenceVerb, ProfileVerb, RecoveryVerb,
    RegisterArgs, SessionVerb,
};
pub use community::{
    ChannelCreateArgs, ChannelEditArgs, ChannelVerb, CommunityCreateArgs, CommunityEditArgs,
    CommunityInviteArgs, CommunityVerb, GrantArgs, GroupVerb, MemberVerb, MessageArgs, RoleArgs,
    RoleVerb, SendAwayArgs,
};
pub use message::{FileVerb, ReadArgs, SearchArgs, SendArgs, TailArgs};
pub use value::{Expiry, Span, TextSource};
pub(crate) use value::{ask_secret, edit_text, editor, read_secret, short};

/// End-to-end-encrypted chat for people who live in a terminal.
///
/// Without a command it opens the screen, which asks a newcomer all it needs; `rookery register LINK NAME` with an invitation does the same
/// for scripts. Results go to standard output, everything else to standard
/// error; `--json` writes one object a line.
///
/// Exit codes: 0 done, 1 failed, 2 usage, 3 no connection (a message is queued, unless --no-queue), 4 trust, 5 rate limited, 6 not
/// permitted, 7 no such person or message, 8 locked or not logged in, 9 the time of --timeout is over, 10 some recipients failed.
#[derive(Debug, Parser)]
#[command(name = "rookery", version, propagate_version = true)]
pub struct Arguments {
    /// What is the same for all commands.
    #[command(flatten)]
    pub global: Global,
    /// Lines instead of a screen, for screen readers and pipes: nothing is drawn again, states are words, choices have numbers
    #[arg(long)]
    pub linear: bool,
    /// What to do; opens the screen when absent.
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// What is the same for all commands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Which account, where there are several
    #[arg(long, global = true, env = "ROOKERY_PROFILE", value_name = "NAME")]
    pub profile: Option<String>,
    /// One directory for everything, instead of the XDG directories
    #[arg(long, global = true, env = "ROOKERY_HOME", value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long, global = true)]
    pub json: bool,
    /// Read the store's passphrase from this file
    #[arg(long, global = true, value_name = "FILE", group = "passphrase")]
    pub passphrase_file: Option<PathBuf>,
    /// Read the store's passphrase from this file descriptor
    #[arg(long, global = true, value_name = "FD", group = "passphrase")]
    pub passphrase_fd: Option<u32>,
    /// Take the store's passphrase from what this command prints
    #[arg(long, global = true, value_name = "COMMAND", group = "passphrase")]
    pub passphrase_command: Option<String>,
    /// Say nothing that is not asked for
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Say more on standard error; twice for everything
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Open an account with an invitation
    Register(RegisterArgs),
    /// Add this device to an account, or log in again
    Login(LoginArgs),
    /// Sign this device out: it is revoked, and its session ends
    Logout,
    /// Say whose profile this is
    Whoami,
    /// Say how the connection, the queue and the devices stand
    Status,
    /// Check store, clock, server and files, and say what is wrong
    Doctor,
    /// Show or change profiles
    Profile {
        /// Which of both.
        #[command(subcommand)]
        verb: ProfileVerb,
    },
    /// List or end sessions
    Session {
        /// Which of both.
        #[command(subcommand)]
        verb: SessionVerb,
    },
    /// List, link, revoke or rename devices
    Device {
        /// Which of them.
        #[command(subcommand)]
        verb: DeviceVerb,
    },
    /// Say how the keys stand; replace the recovery key, or use it
    Recovery {
        /// Which of them.
        #[command(subcommand)]
        verb: RecoveryVerb,
    },
    /// Ask, accept and list contacts
    Contact {
        /// Which of them.
        #[command(subcommand)]
        verb: ContactVerb,
    },
    /// Compare safety numbers with somebody
    Verify {
        /// With whom
        #[arg(value_name = "USER")]
        who: String,
        /// They were the same on the other side
        #[arg(long, conflicts_with = "different")]
        same: bool,
        /// They were not
        #[arg(long)]
        different: bool,
    },
    /// Send a message
    Send(SendArgs),
    /// Get the files that go with messages; `send --file` sends one
    File {
        /// What is done.
        #[command(subcommand)]
        verb: FileVerb,
    },
    /// Read a conversation or a room
    Read(ReadArgs),
    /// List people, groups and channels with what is unread, without waiting for the server
    Rooms {
        /// Only those with something unread
        #[arg(long)]
        unread: bool,
    },
    /// List the other servers that your server is in touch with, and what of yours waits for them
    Peers {
        /// First take another root key for this server's, after it was set up anew
        #[arg(long, value_name = "SERVER", requires = "root")]
        trust: Option<String>,
        /// That key's fingerprint, as the server's administrator has it
        #[arg(long, value_name = "FINGERPRINT", requires = "trust")]
        root: Option<String>,
    },
    /// Follow messages as they come
    Tail(TailArgs),
    /// Find messages, offline, newest first
    Search(SearchArgs),
    /// Found, join, leave, change communities
    Community {
        /// Which of them.
        #[command(subcommand)]
        verb: CommunityVerb,
    },
    /// List members, send them away, give them roles
    Member {
        /// Which of them.
        #[command(subcommand)]
        verb: MemberVerb,
    },
    /// Make, change, end roles
    Role {
        /// Which of them.
        #[command(subcommand)]
        verb: RoleVerb,
    },
    /// Make, change, end channels, and say who may do what in them
    Channel {
        /// Which of them.
        #[command(subcommand)]
        verb: ChannelVerb,
    },
    /// Make groups, bring people in, send them away
    Group {
        /// Which of them.
        #[command(subcommand)]
        verb: GroupVerb,
    },
    /// Put an emoji on a message of a room, or take it off
    React {
        /// Which message.
        #[command(flatten)]
        message: MessageArgs,
        /// The emoji
        emoji: String,
        /// Take it off
        #[arg(long)]
        remove: bool,
    },
    /// Give one's own message of a room another text
    Edit {
        /// Which message.
        #[command(flatten)]
        message: MessageArgs,
        /// The new text; `-` or nothing takes all of standard input
        text: Option<String>,
    },
    /// Erase a message of a room: one's own, or another's for who may moderate
    Delete {
        /// Which message.
        #[command(flatten)]
        message: MessageArgs,
        /// Why: sealed, for the members
        #[arg(long)]
        reason: Option<String>,
    },
    /// Tell those who may moderate a room of a message, each in a direct message
    Report {
        /// Which message.
        #[command(flatten)]
        message: MessageArgs,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// Read the thread that a message belongs to
    Thread {
        /// Which message.
        #[command(flatten)]
        message: MessageArgs,
        /// How many of its newest messages
        #[arg(short = 'n', long, default_value_t = 50, value_name = "N")]
        count: u32,
    },
    /// Have a message of a room stand out, or not any more
    Pin {
        /// Which message.
        #[command(flatten)]
        message: MessageArgs,
        /// Not any more
        #[arg(long)]
        remove: bool,
    },
    /// Mark a conversation as read on all your devices
    MarkRead {
        /// Which: @bob, club#general or +weekend
        room: String,
        /// Through this message, by id, or in a room by place; the newest when absent
        through: Option<String>,
    },
    /// Count a conversation as unread on all your devices, until it is read again
    MarkUnread {
        /// Which: @bob, club#general or +weekend
        room: String,
        /// From this message on, by id, or in a room by place; the newest of others when absent
        from: Option<String>,
    },
    /// Tell that you are typing, or show who is
    Typing {
        /// To whom or where: @bob, club#general, +weekend; show who is typing when absent
        to: Option<String>,
    },
    /// Show or change what your devices share: settings, mutes, how long messages stay, drafts
    Settings {
        /// Which; all when absent
        name: Option<String>,
        /// What it is to be; an empty word for what it is by itself
        value: Option<String>,
        /// Of which conversation: @bob, club#general, +weekend
        #[arg(long, value_name = "TARGET")]
        of: Option<String>,
    },
    /// Say how one is, or show how others are
    Presence {
        /// Which of both; `show` when absent.
        #[command(subcommand)]
        verb: Option<PresenceVerb>,
    },
    /// Password, settings, and the end of the account
    Account {
        /// Which of them.
        #[command(subcommand)]
        verb: AccountVerb,
    },
    /// See what the keyboard sends here
    Keys {
        /// What is seen.
        #[command(subcommand)]
        verb: KeysVerb,
    },
    /// Own the profile and serve its socket until told to end
    Daemon,
    /// Close the store wherever it is open, so that its passphrase is asked for again
    Lock,
    /// Speak JSON-RPC on standard input and output
    Rpc,
    /// Print the JSON Schema of everything that `--json` and `rpc` write
    Schema,
    /// Print completions for a shell
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

/// Keys.
#[derive(Debug, Subcommand)]
pub enum KeysVerb {
    /// Print what arrives when keys are pressed, and what they do on the screen, until q or Ctrl+C twice
    Test,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(std::iter::once("rookery").chain(words.iter().copied()))
    }

    #[test]
    fn the_command_line_is_consistent() {
        crate::command().debug_assert();
    }

    #[test]
    fn the_contract_for_scripts_parses() {
        for words in [
            &[
                "register",
                "rookery://127.0.0.1:7665/join#server=nest&key=x",
                "alice",
                "--password-file",
                "p",
            ][..],
            &["login", "127.0.0.1:7665", "alice", "--password-file", "p", "--code-file", "c"],
            &["device", "link", "--yes", "--json"],
            &[
                "send",
                "@bob",
                "text",
                "--json",
                "--id",
                "job-7",
                "--until",
                "delivered",
                "--timeout",
                "30s",
            ],
            &["send", "@bob", "-"],
            &["read", "@bob", "-n", "100", "--json"],
            &["search", "from:alice", "hel* -word", "-n", "5", "--json", "--", "-other"],
            &["tail", "--json", "--cursor-file", "c"],
            &["status", "--json"],
            &["--profile", "work", "presence"],
            &["contact", "block", "@mallory"],
        ] {
            assert!(parse(words).is_ok(), "{words:?}: {}", parse(words).unwrap_err());
        }
    }

    #[test]
    fn a_wrong_command_line_exits_with_2() {
        for words in [
            &["send"][..],
            &["verify"],
            &["send", "@bob", "x", "--until", "tomorrow"],
            &["frobnicate"],
        ] {
            assert_eq!(parse(words).unwrap_err().exit_code(), 2, "{words:?}");
        }
    }
}

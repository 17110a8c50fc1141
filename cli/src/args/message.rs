//! What the commands about messages take.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Expiry, MessageArgs, Span};
use crate::agent::verb::Until;

/// What `send` takes.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// To whom: @bob, bob@nest.example, club#general or +weekend; several with commas
    #[arg(value_name = "TARGET")]
    pub to: String,
    /// What it says; `-` or nothing takes all of standard input as one message. At a terminal, nothing opens $VISUAL or $EDITOR. A file
    /// needs no text
    pub text: Option<String>,
    /// The file that goes with it; `-` takes all of standard input as one
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// What the file is to be called, other than it is here
    #[arg(long, value_name = "NAME", requires = "file")]
    pub file_name: Option<String>,
    /// The message's id: with the same id, the same message is never sent twice
    #[arg(long)]
    pub id: Option<String>,
    /// How far it has to come
    #[arg(long, value_enum, default_value_t = Until::Sent, value_name = "STATE")]
    pub until: Until,
    /// How long to wait for that, such as 30s
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<Span>,
    /// Fail rather than queue when there is no connection
    #[arg(long)]
    pub no_queue: bool,
    /// Have every device forget it so long after it was read, in a room after it was posted, such as 8h; `off` for never. As the setting
    /// `expire` of the conversation says otherwise
    #[arg(long, value_name = "TIME")]
    pub expire: Option<Expiry>,
    /// Answer this message of the room, by id
    #[arg(long, value_name = "MESSAGE")]
    pub reply_to: Option<String>,
    /// Say it in the thread of this message of the room, by id
    #[arg(long, value_name = "MESSAGE")]
    pub thread: Option<String>,
}

/// What `read` takes.
#[derive(Debug, Args)]
pub struct ReadArgs {
    /// @bob, bob@nest.example, club#general or +weekend
    #[arg(value_name = "TARGET")]
    pub with: String,
    /// How many messages
    #[arg(short = 'n', long, default_value_t = 50, value_name = "N")]
    pub count: u32,
    /// Leave what is unread unread
    #[arg(long)]
    pub peek: bool,
    /// Those right before this message of a room, by id or place
    #[arg(long, value_name = "MESSAGE", group = "spot")]
    pub before: Option<String>,
    /// Those right after it
    #[arg(long, value_name = "MESSAGE", group = "spot")]
    pub after: Option<String>,
    /// Those on both sides of it
    #[arg(long, value_name = "MESSAGE", group = "spot")]
    pub around: Option<String>,
    /// Those from a time on: 2026-01-31 or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", group = "spot")]
    pub from: Option<String>,
}

/// What `file` does.
#[derive(Debug, Subcommand)]
pub enum FileVerb {
    /// Get the file of a message, check it, and write it
    Get {
        /// Which message.
        #[command(flatten)]
        message: MessageArgs,
        /// Where to: a folder, under the file's own name or one like it that is free; a path; `-` for standard output
        #[arg(short, long, value_name = "PATH", default_value = ".")]
        output: PathBuf,
        /// Write over what is there
        #[arg(long)]
        force: bool,
    },
}

/// What `search` takes.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Words, beginnings (hel*; the last word is one), "phrases", from:alice, in:club#general, before:2026-01-31, after:2026-01-31,
    /// has:link, mention, reply, edit or file; -word for what must not be there. Everything has to hold. Quote it for the shell:
    /// 'heron -stork "at night"'
    #[arg(required = true, value_name = "QUERY")]
    pub query: Vec<String>,
    /// How many messages
    #[arg(short = 'n', long, default_value_t = 50, value_name = "N")]
    pub count: u32,
    /// Go on where an earlier search ended, as the last line of --json says
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
}

/// What `tail` takes.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// With whom; everybody when none is named
    #[arg(value_name = "TARGET")]
    pub with: Vec<String>,
    /// Begin with what is at most this old, such as 1h
    #[arg(long, value_name = "TIME")]
    pub since: Option<Span>,
    /// Go on after what this file says, and write into it how far it went; all that is stored when the file is new
    #[arg(long, value_name = "FILE")]
    pub cursor_file: Option<PathBuf>,
    /// End when everything that is there has been told
    #[arg(long)]
    pub once: bool,
}

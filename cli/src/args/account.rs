//! What the commands about accounts, devices and people take.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::agent::verb::{AccountSettings, PresenceWord, ProfileSet};

/// What `register` takes.
#[derive(Debug, Args)]
pub struct RegisterArgs {
    /// The invitation: rookery://…
    pub link: String,
    /// The name you want
    pub name: String,
    /// Read the new password from this file
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Where to write the recovery key; `recovery-key` in the profile's directory when absent
    #[arg(long, value_name = "FILE")]
    pub recovery_key_file: Option<PathBuf>,
    /// What to call this device; the machine's name when absent
    #[arg(long, value_name = "NAME")]
    pub device_name: Option<String>,
    /// A program will use this account
    #[arg(long)]
    pub bot: bool,
}

/// What `login` takes.
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// A link, or where the server listens: nest.example or 127.0.0.1:7665
    #[arg(value_name = "LINK-OR-ADDRESS")]
    pub server: String,
    /// The account's name
    pub name: String,
    /// Read the password from this file
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Read the code that another device shows (`rookery device link`) from this file
    #[arg(long, value_name = "FILE", conflicts_with = "recovery_key_file")]
    pub code_file: Option<PathBuf>,
    /// Read the recovery key from this file, where no other device is left
    #[arg(long, value_name = "FILE")]
    pub recovery_key_file: Option<PathBuf>,
    /// What to call this device; the machine's name when absent
    #[arg(long, value_name = "NAME")]
    pub device_name: Option<String>,
}

/// Profiles.
#[derive(Debug, Subcommand)]
pub enum ProfileVerb {
    /// Show one's own profile, or a contact's
    Show {
        /// Whose; one's own when absent
        #[arg(value_name = "USER")]
        who: Option<String>,
    },
    /// Change one's own profile: what is not named stays, what is empty goes
    Set(ProfileSet),
}

/// Sessions.
#[derive(Debug, Subcommand)]
pub enum SessionVerb {
    /// List them, newest first
    List,
    /// End one
    End {
        /// Which
        id: String,
    },
}

/// Devices.
#[derive(Debug, Subcommand)]
pub enum DeviceVerb {
    /// List them, oldest first
    List,
    /// Show a code for another device, and add it when it has typed that
    Link {
        /// Say yes to the device that knows the code
        #[arg(long)]
        yes: bool,
        /// Let it read nothing of what came before
        #[arg(long)]
        no_history: bool,
    },
    /// Revoke one: nothing is sealed for it any more
    Revoke {
        /// Its id, the beginning of it, or its name
        device: String,
        /// Somebody else has it: drop what it sent and nobody has taken in, too
        #[arg(long)]
        stolen: bool,
        /// Read the recovery key from this file, for a device that is older than this one
        #[arg(long, value_name = "FILE")]
        recovery_key_file: Option<PathBuf>,
    },
    /// Give one another name
    Rename {
        /// Which
        device: String,
        /// The name
        name: String,
    },
}

/// The recovery key.
#[derive(Debug, Subcommand)]
pub enum RecoveryVerb {
    /// Say since when it is in force, and how the account's other keys stand
    Show,
    /// Replace it by a new one
    Create {
        /// Where to write the new one
        #[arg(long, value_name = "FILE")]
        recovery_key_file: PathBuf,
        /// Read the one in force from this file
        #[arg(long, value_name = "FILE")]
        old_recovery_key_file: Option<PathBuf>,
    },
    /// Certify this device with it, after `login`
    Use {
        /// Read it from this file
        #[arg(long, value_name = "FILE")]
        recovery_key_file: PathBuf,
    },
}

/// Contacts.
#[derive(Debug, Subcommand)]
pub enum ContactVerb {
    /// Ask somebody to be a contact
    Add {
        /// Whom
        #[arg(value_name = "USER")]
        who: String,
    },
    /// Agree to somebody who asked or wrote
    Accept {
        /// Whom
        #[arg(value_name = "USER")]
        who: String,
    },
    /// Turn somebody down; they are not told
    Decline {
        /// Whom
        #[arg(value_name = "USER")]
        who: String,
    },
    /// Hear nothing of somebody any more; they are not told
    Block {
        /// Whom
        #[arg(value_name = "USER")]
        who: String,
    },
    /// Undo that
    Unblock {
        /// Whom
        #[arg(value_name = "USER")]
        who: String,
    },
    /// End a contact, or withdraw a request
    Remove {
        /// Whom
        #[arg(value_name = "USER")]
        who: String,
    },
    /// List contacts, and who has asked or written
    List,
    /// List people who share communities or contacts with you, and let it be said
    Suggest,
}

/// Presence.
#[derive(Debug, Subcommand)]
pub enum PresenceVerb {
    /// Show how the contacts are
    Show,
    /// Say how one is, for as long as this device is connected
    Set {
        /// How
        state: PresenceWord,
        /// In words
        status: Option<String>,
    },
}

/// The account.
#[derive(Debug, Subcommand)]
pub enum AccountVerb {
    /// Change the password; all other sessions end
    Password {
        /// Read the password until now from this file
        #[arg(long, value_name = "FILE")]
        old_password_file: Option<PathBuf>,
        /// Read the new password from this file
        #[arg(long, value_name = "FILE")]
        new_password_file: Option<PathBuf>,
    },
    /// Close the account for good
    Delete {
        /// Read the password from this file
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Read the recovery key from this file, where this is not the oldest device
        #[arg(long, value_name = "FILE")]
        recovery_key_file: Option<PathBuf>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Show the settings, and change those that are named
    Settings(AccountSettings),
}

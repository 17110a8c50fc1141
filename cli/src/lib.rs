//! rookery: the terminal client, and the library that bots use.
//!
//! This crate is the only place that can open anything. It has five parts, each of which knows the ones before it: [`e2ee`] (pure: what is
//! sealed, and how), [`store`] (the device's own sealed database), [`engine`] (joins connection, e2ee and store), [`agent`] (the socket
//! through which everybody but the profile's owner asks), and [`mod@command`] with [`args`] (what a person or a script types).
//!
//! A bot asks the same verbs as the commands do: [`agent::Access::open`] finds the profile's agent or becomes it, and
//! [`agent::Agent::ask`] asks any [`agent::verb::Verb`].

pub mod agent;
pub mod args;
pub mod command;
pub mod config;
pub mod e2ee;
pub mod engine;
pub mod error;
pub mod render;
pub mod search;
pub mod store;
pub mod tui;

/// The whole command line, for manuals and completions.
#[must_use]
pub fn command() -> clap::Command {
    <args::Arguments as clap::CommandFactory>::command()
}

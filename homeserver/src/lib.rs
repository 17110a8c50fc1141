//! A homeserver: it carries, orders and stores what it cannot read.
//!
//! Three layers, each knowing the one below by its types and never the one above: [`transport`] turns bytes into typed calls, [`service`]
//! decides, [`repository`] keeps rows. [`server`] puts them together; [`args`] is the command line around it.

pub mod args;
pub mod config;
pub mod database;
pub mod identity;
pub mod lifecycle;
pub mod repository;
pub mod server;
pub mod service;
pub mod telemetry;
pub mod transport;

pub use args::command;

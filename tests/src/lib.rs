//! Real processes for the end-to-end subjects: homeservers, profiles, their faults, and what must hold.
//!
//! But for [`bare`], nothing here links what it tests. A [`World`](world::World) starts `rookeryd` and `rookery` as a person or a
//! script would, drives them by the contract for scripts alone (flags, exit codes, JSON), kills them, takes their disk
//! away, and asks the [`Ledger`](oracle::Ledger) what was lost. Reading order: [`world`], [`homeserver`],
//! [`profile`], then [`oracle`] and [`faults`]; [`process`] is what they stand on. [`pair`] is two homes that know each other, with a person
//! each; [`screen`] is a terminal with a program in it.
//!
//! What a subject leaves behind is removed with its world; with `ROOKERY_TEST_KEEP` set, it is kept and named.

pub mod bare;
pub mod chaos;
pub mod faults;
pub mod gate;
pub mod homeserver;
pub mod impostor;
pub mod internet;
pub mod lab;
pub mod liar;
pub mod oracle;
pub mod pair;
pub mod process;
pub mod profile;
pub mod random;
pub mod screen;
pub mod search;
pub mod simulation;
pub mod world;

//! A user: a signed chain that certifies devices, the per-user key, and the recovery key.
//!
//! The chain is a fold: [`apply()`] says what a [`State`] becomes by one statement, or which rule forbids it. The home runs it to refuse, and
//! every client runs it to distrust the home. No rule looks at a clock.

mod apply;
mod history;
mod state;
mod statement;

pub use apply::{Denied, MAX_LIVE_DEVICES, apply, verify_and_apply};
pub use history::History;
pub use state::{Device, PerUserKey, State};
pub use statement::{
    Action, Close, DeviceAdd, DeviceKeys, DeviceRevoke, Genesis, HomeChange, Lane, PukBox,
    PukPublic, PukRotate, RecoveryKeys, RecoveryRotate, RevokeReason, Statement, reverse_message,
};

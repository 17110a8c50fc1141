//! `keys`: what the keyboard sends here.

use super::Context;
use crate::{args::KeysVerb, error::CommandError};

/// Prints what keys arrive.
pub(super) fn keys(context: &Context, verb: &KeysVerb) -> Result<(), CommandError> {
    match verb {
        KeysVerb::Test => crate::tui::test_keys(&context.place),
    }
}

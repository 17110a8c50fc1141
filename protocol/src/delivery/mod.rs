//! What one side owes another, and when it tries again: pure, with the time as an argument.

mod backoff;
mod breaker;

pub use backoff::Backoff;
pub use breaker::Breaker;

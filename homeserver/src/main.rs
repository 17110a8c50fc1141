//! `rookeryd`: the homeserver.

use std::process::ExitCode;

fn main() -> ExitCode {
    rookery_homeserver::args::run(std::env::args_os())
}

//! `rookery`: the terminal client.

use std::{io::IsTerminal as _, process::ExitCode};

use clap::Parser as _;
use rookery_cli::{args::Arguments, command, error::CommandError, render};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A screen has no place for a log, unless standard error goes elsewhere.
    if arguments.verb.is_some() || !std::io::stderr().is_terminal() {
        start_log(arguments.global.verbose);
    }
    let is_json = arguments.global.json;
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return fail(&error.into(), is_json),
        };
    let outcome = runtime.block_on(async { Box::pin(command::run(arguments)).await });
    // A prompt or a read of standard input may still hold a thread: it is not waited for.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, is_json),
    }
}

/// Logs to standard error: nothing unless asked for, ids and sizes only, never content.
fn start_log(verbose: u8) {
    let level = match verbose {
        0 => "error",
        1 => "rookery_cli=info,warn",
        2 => "rookery_cli=debug,info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("ROOKERY_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}

/// Says on standard error what happened and what to do, and gives the exit code.
fn fail(error: &CommandError, is_json: bool) -> ExitCode {
    if is_json {
        let value = serde_json::json!({ "v": 1, "error": error });
        eprintln!("{}", render::json(&value).unwrap_or_default());
    } else {
        eprintln!("rookery: {}", render::lines(&error.message));
        for hint in &error.hints {
            eprintln!("  {}", render::lines(hint));
        }
    }
    error.exit_code()
}

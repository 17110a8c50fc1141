//! The command line: what can be typed, and what comes of it.
//!
//! Every verb prints text for people, or with `--json` one object for programs. Verbs about a server's people speak to the server that
//! runs, over its administrator's socket; while none runs they open its database themselves, under its lock.

mod admin;
mod community;
mod configure;
mod doctor;
mod key;
mod maintain;
mod output;
mod peer;
mod policy;
mod serve;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

pub use self::configure::manual;
use self::output::{Failed, Report};
use crate::config::{Loaded, Source};

/// A homeserver for rookery: it carries and stores end-to-end encrypted messages that it cannot read.
///
/// `rookeryd serve` needs no file: it makes a data directory, keys, a certificate and a database, and prints its address, its fingerprint and
/// a first invite link.
#[derive(Debug, Parser)]
#[command(name = "rookeryd", version, max_term_width = 100, after_long_help = AFTER)]
pub(crate) struct Cli {
    /// Where the server keeps its keys, its database and its socket
    #[arg(long, short = 'd', global = true, value_name = "DIR", env = "ROOKERYD_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// The configuration file; rookeryd.toml in the data directory when not given
    #[arg(long, global = true, value_name = "FILE", env = "ROOKERYD_CONFIG")]
    config: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

const AFTER: &str = "Exit status: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 the server's state forbids it, 5 denied, \
6 not reachable, 7 done in part.\n\nEvery setting of the configuration can be given in the environment as well: ROOKERYD_SERVER_LISTEN \
stands for server.listen. `rookeryd config show` lists them all.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a data directory with keys, certificate and database, and exit
    Init(serve::Init),
    /// Run the server
    Serve(serve::Serve),
    /// Say how the server is that runs on the data directory
    Status(serve::Status),
    /// Make, list and withdraw invites
    #[command(subcommand)]
    Invite(admin::Invite),
    /// List, show and change accounts
    #[command(subcommand)]
    User(admin::User),
    /// List, show and change the communities and groups that this server is the hub of
    #[command(subcommand)]
    Community(community::Community),
    /// List, show and change the other homeservers that this one is in touch with
    #[command(subcommand)]
    Peer(peer::Peer),
    /// Decide with which other homeservers there is anything to do
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Show and change the server's own keys
    #[command(subcommand)]
    Key(key::Key),
    /// Bring the database to this version's schema
    Migrate,
    /// Check, show and explain the configuration
    #[command(subcommand)]
    Config(configure::Config),
    /// Copy database and keys into a new folder, while the server goes on
    Backup(maintain::Backup),
    /// Take database and keys from a copy, as a new life of the server
    Restore(maintain::Restore),
    /// Have a restored server go on, without what its peers may still have of it
    Unfence {
        /// Do it without asking
        #[arg(long)]
        yes: bool,
    },
    /// Look for what is wrong with this machine and this server
    Doctor {
        /// What to look at; this machine and this server when not given
        #[command(subcommand)]
        what: Option<doctor::What>,
    },
    /// Print the version
    Version,
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// The command line as clap knows it, for manuals and completions.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Does what the arguments say.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    // Whatever is made here, databases and copies of them too, is for nobody else.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let wants_json = arguments.iter().any(|argument| argument == "--json");
    let matched = command()
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match matched {
        Ok(cli) => cli,
        Err(error) if wants_json && error.use_stderr() => {
            return output::print(true, Err(Failed::usage(error.to_string().trim())));
        }
        Err(error) => {
            error.print().ok();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let json = cli.json;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return output::print(json, Err(Failed::because(format!("no threads: {error}"))));
        }
    };
    let report = runtime.block_on(dispatch(&cli));
    output::print(json, report)
}

async fn dispatch(cli: &Cli) -> Result<Report, Failed> {
    match &cli.verb {
        Verb::Init(init) => serve::init(cli, init).await,
        Verb::Serve(serve) => serve::serve(cli, serve).await,
        Verb::Status(status) => serve::status(cli, status).await,
        Verb::Invite(invite) => admin::invite(cli, invite).await,
        Verb::User(user) => admin::user(cli, user).await,
        Verb::Community(verb) => community::community(cli, verb).await,
        Verb::Peer(verb) => peer::peer(cli, verb).await,
        Verb::Key(verb) => key::key(cli, verb),
        Verb::Migrate => maintain::migrate(cli).await,
        Verb::Config(verb) => configure::configure(cli, verb),
        Verb::Backup(backup) => maintain::backup(cli, backup).await,
        Verb::Restore(restore) => maintain::restore(cli, restore).await,
        Verb::Policy(verb) => policy::policy(cli, verb).await,
        Verb::Unfence { yes } => policy::unfence(cli, *yes).await,
        Verb::Doctor { what: None } => doctor::doctor(cli).await,
        Verb::Doctor { what: Some(doctor::What::Federation { name }) } => {
            doctor::federation(cli, name.as_ref()).await
        }
        Verb::Version => {
            let version = env!("CARGO_PKG_VERSION");
            Ok(Report::new(
                serde_json::json!({ "version": version }),
                format!("rookeryd {version}"),
            ))
        }
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut command(), "rookeryd", &mut script);
            let script = String::from_utf8_lossy(&script).trim_end().to_owned();
            Ok(Report::new(serde_json::json!({ "script": script }), script.clone()))
        }
    }
}

impl Cli {
    /// The data directory: as given, or where the system keeps such things.
    fn data(&self) -> Result<PathBuf, Failed> {
        let from = |name: &str| {
            std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
        };
        let chosen = self.data_dir.clone().or_else(|| from("STATE_DIRECTORY"));
        let chosen = chosen.or_else(|| from("XDG_DATA_HOME").map(|home| home.join("rookeryd")));
        let chosen = chosen.or_else(|| from("HOME").map(|home| home.join(".local/share/rookeryd")));
        let chosen = chosen
            .ok_or_else(|| Failed::usage("no data directory").hint("name one with --data-dir"))?;
        std::path::absolute(&chosen)
            .map_err(|error| Failed::because(format!("{}: {error}", chosen.display())))
    }

    /// The configuration out of file and environment.
    fn load(&self) -> Result<Loaded, Failed> {
        let mut loaded = Loaded::default();
        if let Some(file) = &self.config {
            loaded.read_file(file, "")?;
        } else {
            let file = self.data()?.join("rookeryd.toml");
            if file.exists() {
                loaded.read_file(&file, "")?;
            }
        }
        loaded.read_environment(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }))?;
        if let Some(file) = loaded.config.database_file.clone() {
            let text = std::fs::read_to_string(&file)
                .map_err(|error| Failed::because(format!("{}: {error}", file.display())))?;
            loaded.set("storage.database", text.trim(), Source::File(file))?;
        }
        Ok(loaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }
}

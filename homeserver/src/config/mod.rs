//! The configuration: one table of keys, out of which the parser, `config show`, `config explain` and the manual are made.
//!
//! Text is read once, here, and becomes a [`Config`] whose values need no second look. An unknown key is an error, because a setting that
//! is misspelt and ignored is a setting that somebody relies upon. Flags stand over the environment, the environment over the file, the
//! file over the defaults; [`Loaded::explain`] says which one won.

mod key;
mod rate;
mod value;

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

pub use key::{KEYS, Key, LIMITS};
pub use rate::{NotARate, Rate, Unit};
use rookery_protocol::{
    name::{HostPort, ServerName},
    request::{peering::Federation, server::Registration},
};
pub use value::{Adoptions, Grace, LogFormat, Nameserver, PrivateAddresses};

/// Everything that can be set, proven.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the server calls itself; the machine's host name when absent.
    pub name: Option<ServerName>,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where clients reach it, when that is not where it listens.
    pub advertise: Option<HostPort>,
    /// Who may open an account.
    pub registration: Registration,
    /// With which other homeservers there is anything to do.
    pub federation: Federation,
    /// Which communities may be moved here.
    pub adoptions: Adoptions,
    /// Who is asked where they are.
    pub nameserver: Nameserver,
    /// Whether they may be looked for where only a local network reaches.
    pub private_addresses: PrivateAddresses,
    /// `sqlite:PATH` or `postgres://…`; an SQLite file in the data directory when absent.
    pub database: Option<String>,
    /// A file that holds [`Config::database`], for addresses with a password in them.
    pub database_file: Option<PathBuf>,
    /// A certificate chain of the public web, in PEM.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub certificate_key: Option<PathBuf>,
    /// Where metrics and health are served over HTTP.
    pub metrics: Option<SocketAddr>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines are written, in the form of `RUST_LOG`.
    pub log_filter: String,
    /// How long message ids are remembered.
    pub keep_message_ids: Duration,
    /// How long ended sessions are remembered.
    pub keep_ended_sessions: Duration,
    /// How long files are kept.
    pub keep_files: Duration,
    /// How long the copy of a community is kept that nobody here has to do with.
    pub keep_unused_copies: Grace,
    /// How many envelopes wait for one device.
    pub mailbox_envelopes: u64,
    /// How many bytes of envelopes wait for one device.
    pub mailbox_bytes: u64,
    /// How many bytes one user's journal may take.
    pub journal_bytes: u64,
    /// How many contacts one user may have.
    pub contacts: u32,
    /// How many communities and groups one user may own.
    pub communities: u32,
    /// How large one file may be.
    pub file_bytes: u64,
    /// How many bytes of files one user may keep.
    pub user_files_bytes: u64,
    /// How many bytes of files all users may keep.
    pub all_files_bytes: u64,
    /// How many things wait for one peer.
    pub peer_items: u64,
    /// How many bytes wait for one peer.
    pub peer_bytes: u64,
    /// How many users of one peer are copied.
    pub peer_foreigners: u64,
    /// How long something waits for a peer.
    pub keep_outbound: Duration,
    /// How long a connection with a peer is used before both prove themselves again.
    pub proof_age: Grace,
    /// How often things may be done.
    pub limits: Limits,
}

/// How often things may be done, and by how many at once. Absent is unlimited.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "every field is a key of the table, documented there")]
pub struct Limits {
    pub read_device: Option<Rate>,
    pub read_user: Option<Rate>,
    pub read_address: Option<Rate>,
    pub post_device: Option<Rate>,
    pub post_user: Option<Rate>,
    pub receipt_device: Option<Rate>,
    pub login_address: Option<Rate>,
    pub login_account: Option<Rate>,
    pub open_address: Option<Rate>,
    pub register_address: Option<Rate>,
    pub register_server: Option<Rate>,
    pub claim_user: Option<Rate>,
    pub claim_pairs: Option<Rate>,
    pub claim_target: Option<Rate>,
    pub contact_user: Option<Rate>,
    pub account_user: Option<Rate>,
    pub link_device: Option<Rate>,
    pub link_places: Option<Rate>,
    pub follow_device: Option<Rate>,
    pub ephemera_device: Option<Rate>,
    pub journal_device: Option<Rate>,
    pub community_user: Option<Rate>,
    pub file_user: Option<Rate>,
    pub statement_user: Option<Rate>,
    pub handshake_address: Option<Rate>,
    pub peer_handshake_address: Option<Rate>,
    pub peer_read: Option<Rate>,
    pub peer_claim: Option<Rate>,
    pub peer_forward: Option<Rate>,
    pub peer_strangers: Option<Rate>,
    pub peer_copies: Option<Rate>,
    pub peer_sender: Option<Rate>,
    pub peer_contacts: Option<Rate>,
    pub peer_joins: Option<Rate>,
    pub fetch_address: Option<Rate>,
    pub fetch_server: Option<Rate>,
    pub connections_per_device: Option<u32>,
    pub connections_per_user: Option<u32>,
    pub connections_per_address: Option<u32>,
    pub half_open: Option<u32>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody said otherwise.
    Default,
    /// A file.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// The command line.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Environment(name) => write!(formatter, "environment {name}"),
            Self::Flag(flag) => write!(formatter, "{flag}"),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{} is not TOML: {message}", path.display())]
    NotToml {
        /// Which.
        path: PathBuf,
        /// Where, and what is wrong there.
        message: String,
    },
    /// There is no such key.
    #[error("there is no setting {key:?} ({origin}){}", nearest.map(|near| format!(": did you mean {near:?}?")).unwrap_or_default())]
    UnknownKey {
        /// What was written.
        key: String,
        /// Where.
        origin: Source,
        /// The key that is most like it.
        nearest: Option<&'static str>,
    },
    /// The value is not what the key takes.
    #[error("{key} ({origin}): {message}")]
    BadValue {
        /// Which key.
        key: &'static str,
        /// Where.
        origin: Source,
        /// What is wrong.
        message: String,
    },
}

/// A configuration, and where each of its values came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    sources: BTreeMap<&'static str, Source>,
}

impl Default for Loaded {
    fn default() -> Self {
        Self { config: key::defaults(), sources: BTreeMap::new() }
    }
}

impl Loaded {
    /// Sets `key` to what `text` says.
    pub fn set(&mut self, key: &str, text: &str, source: Source) -> Result<(), ConfigError> {
        let Some(known) = Key::find(key) else {
            let nearest = Key::nearest(key);
            return Err(ConfigError::UnknownKey { key: key.to_owned(), origin: source, nearest });
        };
        match (known.set)(&mut self.config, text) {
            Ok(()) => {
                self.sources.insert(known.name, source);
                Ok(())
            }
            Err(message) => Err(ConfigError::BadValue { key: known.name, origin: source, message }),
        }
    }

    /// Takes in a file of TOML, whose tables are under `prefix` (the whole file when empty).
    pub fn read_file(&mut self, path: &Path, prefix: &str) -> Result<(), ConfigError> {
        let path = path.to_owned();
        let text = std::fs::read_to_string(&path)
            .map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
        self.read_text(&text, &path, prefix)
    }

    fn read_text(&mut self, text: &str, path: &Path, prefix: &str) -> Result<(), ConfigError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            ConfigError::NotToml { path: path.to_owned(), message: error.to_string() }
        })?;
        let mut flat = Vec::new();
        flatten(prefix, &table, &mut flat);
        for (key, value) in flat {
            self.set(&key, &value, Source::File(path.to_owned()))?;
        }
        Ok(())
    }

    /// Takes in what the environment says: `ROOKERYD_SERVER_LISTEN` for `server.listen`. Unknown variables are left alone.
    pub fn read_environment(
        &mut self,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (name, value) in environment {
            if let Some(key) = KEYS.iter().find(|key| key.environment() == name) {
                self.set(key.name, &value, Source::Environment(name))?;
            }
        }
        Ok(())
    }

    /// Lifts every rate and every bound on connections.
    pub fn lift_limits(&mut self, source: &Source) {
        self.config.limits = Limits::default();
        for key in KEYS.iter().filter(|key| key.name.starts_with(LIMITS)) {
            self.sources.insert(key.name, source.clone());
        }
    }

    /// A key's value as text, secrets hidden, and where it came from.
    #[must_use]
    pub fn explain(&self, key: &Key) -> (String, Source) {
        let source = self.sources.get(key.name).cloned().unwrap_or(Source::Default);
        let value = (key.get)(&self.config);
        (if key.secret && !value.is_empty() { "***".to_owned() } else { value }, source)
    }
}

/// Writes `table` as `section.key` and text.
fn flatten(prefix: &str, table: &toml::Table, into: &mut Vec<(String, String)>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, into),
            toml::Value::String(text) => into.push((key, text.clone())),
            other => into.push((key, other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str) -> Result<Loaded, ConfigError> {
        let mut loaded = Loaded::default();
        loaded.read_text(text, Path::new("rookeryd.toml"), "").map(|()| loaded)
    }

    #[test]
    fn every_default_is_a_valid_value_and_prints_as_it_is_written() {
        for key in KEYS {
            let mut config = key::defaults();
            (key.set)(&mut config, key.default)
                .unwrap_or_else(|error| panic!("{}: {error}", key.name));
            assert_eq!((key.get)(&config), key.default, "{}", key.name);
            assert!(key.doc.ends_with('.'), "{}", key.name);
        }
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_the_nearest() {
        let error = loaded("[server]\nlisten_on = '127.0.0.1:1'").unwrap_err().to_string();
        assert!(
            error.contains("server.listen_on") && error.contains("did you mean \"server.listen\""),
            "{error}"
        );
    }

    #[test]
    fn flags_stand_over_the_environment_over_the_file() {
        let mut loaded =
            loaded("[server]\nlisten = '127.0.0.1:1'\n[limits]\npost_user = 'off'").unwrap();
        assert_eq!(loaded.config.limits.post_user, None);
        let variable = ("ROOKERYD_SERVER_LISTEN".to_owned(), "127.0.0.1:2".to_owned());
        loaded.read_environment([variable].into_iter()).unwrap();
        assert_eq!(loaded.config.listen.port(), 2);
        loaded.set("server.listen", "127.0.0.1:3", Source::Flag("--listen")).unwrap();
        let (value, source) = loaded.explain(Key::find("server.listen").unwrap());
        assert_eq!((value.as_str(), source), ("127.0.0.1:3", Source::Flag("--listen")));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let loaded = loaded("[storage]\ndatabase = 'postgres://u:secret@h/d'").unwrap();
        assert_eq!(loaded.explain(Key::find("storage.database").unwrap()).0, "***");
    }

    #[test]
    fn lifted_limits_leave_the_bounds_of_mailboxes() {
        let mut loaded = Loaded::default();
        loaded.lift_limits(&Source::Flag("--limits off"));
        assert_eq!(loaded.config.limits.post_device, None);
        assert_eq!(loaded.config.mailbox_envelopes, 100_000);
    }
}

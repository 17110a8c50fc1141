//! The table of all keys.

use std::time::Duration;

use rookery_protocol::request::{peering::Federation, server::Registration};

use super::{
    Adoptions, Config, Grace, Limits, LogFormat, Nameserver, PrivateAddresses, value::Value,
};

/// What the keys of `--limits FILE` stand under.
pub const LIMITS: &str = "limits";

/// One setting.
pub struct Key {
    /// `section.key`, as in the file.
    pub name: &'static str,
    /// Its value when nobody says otherwise.
    pub default: &'static str,
    /// What it is, with the reason for the default.
    pub doc: &'static str,
    /// Whether its value is hidden from whoever asks.
    pub secret: bool,
    pub(super) set: fn(&mut Config, &str) -> Result<(), String>,
    pub(super) get: fn(&Config) -> String,
}

impl Key {
    /// The key that is called `name`.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// The key whose name begins most like `name`.
    pub(super) fn nearest(name: &str) -> Option<&'static str> {
        let common = |key: &Self| {
            key.name.bytes().zip(name.bytes()).take_while(|(left, right)| left == right).count()
        };
        // Fewer than half the letters in common is a guess that helps nobody.
        KEYS.iter()
            .max_by_key(|key| common(key))
            .filter(|key| common(key) > name.len() / 2)
            .map(|key| key.name)
    }

    /// The variable that sets it.
    #[must_use]
    pub fn environment(&self) -> String {
        format!("ROOKERYD_{}", self.name.replace('.', "_").to_uppercase())
    }
}

/// Writes the table; each row is a key, the field it sets, its default and its documentation.
macro_rules! keys {
    ($($name:literal => $($field:ident).+, $default:literal $($secret:ident)?, $doc:literal;)*) => {
        /// All settings there are.
        pub const KEYS: &[Key] = &[$(Key {
            name: $name,
            default: $default,
            doc: $doc,
            secret: false $(|| stringify!($secret).len() == 6)?,
            set: |config, text| {
                config.$($field).+ = Value::read(text)?;
                Ok(())
            },
            get: |config| Value::write(&config.$($field).+),
        },)*];
    };
}

keys! {
    "server.name" => name, "",
        "What the server calls itself, as in alice@NAME: a host name. The machine's host name when empty. It stands in the first statement of every account, so it is chosen once.";
    "server.listen" => listen, "0.0.0.0:7665",
        "Where the server listens (UDP). Port 0 takes any that is free.";
    "server.advertise" => advertise, "",
        "Where clients reach the server, for links, when that is not where it listens: a host name or address, with a port unless it is 7665.";
    "server.registration" => registration, "invite",
        "Who may open an account: closed, invite or open. Invites, because an open server is found by others within days.";
    "server.federation" => federation, "allowlist",
        "With which other homeservers there is anything to do: allowlist (those that `rookeryd peer add` names), open (any that connects and is whoever owns the domain that it is called by), or off.";
    "server.adoptions" => adoptions, "members",
        "Which communities their owners may move here from another homeserver: members (those that somebody here belongs to) or none. What was moved here is ordered and kept here like what was founded here.";
    "server.proof_age" => proof_age, "1d",
        "How long a connection with another homeserver is used; then a new one is made, on which both prove themselves again.";
    "discovery.nameserver" => nameserver, "system",
        "Who is asked where other homeservers are: system (as the machine has it), the address of a name server with its port, such as 127.0.0.1:53, or off: then nothing is looked up, and homeservers are dialled only where `peer add` or their own records say.";
    "discovery.private_addresses" => private_addresses, "deny",
        "Whether a homeserver may be looked for at a private, loopback or link-local address that nobody here gave: deny or allow. Deny, because else whoever claims a name has this server connect to machines behind its firewall. Allow it on a local network with name servers of its own. What `peer add` gives is always dialled.";
    "storage.database" => database, "" secret,
        "The database: sqlite:PATH or postgres://USER@HOST/NAME. An SQLite file in the data directory when empty, which is enough for thousands of users.";
    "storage.database_file" => database_file, "",
        "A file that holds storage.database, for an address with a password in it.";
    "storage.mailbox_envelopes" => mailbox_envelopes, "100000",
        "How many envelopes wait for one device that is away. At 100 messages a day that is over two years.";
    "storage.mailbox_bytes" => mailbox_bytes, "268435456",
        "How many bytes of envelopes wait for one device: 256 MiB, so that one lost phone cannot fill the disk.";
    "storage.journal_bytes" => journal_bytes, "1073741824",
        "How many bytes one user's journal may take: 1 GiB, about a million messages with their history.";
    "storage.contacts" => contacts, "5000",
        "How many contacts, requests and blocks one user may have.";
    "storage.communities" => communities, "200",
        "How many communities and groups one user may own.";
    "storage.file_bytes" => file_bytes, "104857600",
        "How large one file may be, sealed: 100 MiB.";
    "storage.user_files_bytes" => user_files_bytes, "1073741824",
        "How many bytes of files one user may keep: 1 GiB.";
    "storage.all_files_bytes" => all_files_bytes, "53687091200",
        "How many bytes of files all users may keep together: 50 GiB, so that files cannot fill the disk on which messages are.";
    "storage.peer_items" => peer_items, "100000",
        "How many messages and contact requests wait for one other homeserver that is away; beyond that, senders are told to wait.";
    "storage.peer_bytes" => peer_bytes, "268435456",
        "How many bytes of them wait: 256 MiB, so that one dead server cannot fill the disk.";
    "storage.peer_foreigners" => peer_foreigners, "20000",
        "How many users of one other homeserver are known here, by a copy of what they state about their devices: about 2 KiB each.";
    "tls.certificate" => certificate, "",
        "A certificate chain of the public web in PEM. When empty, the server signs its own, and links pin its root key.";
    "tls.certificate_key" => certificate_key, "",
        "The key of tls.certificate in PEM.";
    "metrics.listen" => metrics, "off",
        "Where /metrics, /livez, /readyz and /.well-known/rookery/server are served over HTTP (TCP), or off. It has no password: keep it on a loopback or private address.";
    "log.format" => log_format, "text",
        "How log lines look: text or json. They hold ids, sizes and durations, and never content.";
    "log.filter" => log_filter, "info",
        "Which log lines are written, as RUST_LOG has it: info, or rookery_homeserver=debug.";
    "retention.message_ids" => keep_message_ids, "90d",
        "How long ids of sent messages are remembered, so that one that is sent again is known. Longer than the 35 days for which a sender tries.";
    "retention.ended_sessions" => keep_ended_sessions, "30d",
        "How long sessions that have ended are remembered, so that the use of their stolen tokens is told from a mistake.";
    "retention.files" => keep_files, "365d",
        "How long a file is kept after it was sent.";
    "retention.unused_copies" => keep_unused_copies, "7d",
        "How long the copy of a community that another homeserver orders is kept when nobody here belongs to it any more.";
    "retention.outbound" => keep_outbound, "7d",
        "How long something waits for another homeserver that does not answer; then its sender is told that it was not delivered.";
    "limits.read_device" => limits.read_device, "50/s burst 500",
        "Small questions of one device. A client that starts asks for many chains at once.";
    "limits.read_user" => limits.read_user, "100/s burst 1000",
        "Small questions of all devices of one user.";
    "limits.read_address" => limits.read_address, "20/s burst 200",
        "Questions from one address by connections that have proven nothing. An address is an IPv4 address or an IPv6 /64.";
    "limits.post_device" => limits.post_device, "5/s burst 20",
        "Messages of one device: faster than a person writes.";
    "limits.post_user" => limits.post_user, "10/s burst 60",
        "Messages of all devices of one user.";
    "limits.receipt_device" => limits.receipt_device, "5/s burst 50",
        "Batches of receipts of one device.";
    "limits.login_address" => limits.login_address, "12/min burst 10",
        "Log-ins from one address: a password costs the server 20 ms and 19 MiB to check.";
    "limits.login_account" => limits.login_account, "6/min burst 5",
        "Log-ins to one account, whoever tries.";
    "limits.open_address" => limits.open_address, "20/s burst 200",
        "Sessions opened or refreshed from one address: these prove a key and check no password.";
    "limits.register_address" => limits.register_address, "3/h",
        "Registrations without an invite from one address.";
    "limits.register_server" => limits.register_server, "60/h",
        "Registrations at the whole server.";
    "limits.claim_user" => limits.claim_user, "5/s burst 100",
        "Requests for prekeys by one user.";
    "limits.claim_pairs" => limits.claim_pairs, "30/h",
        "Devices whose prekeys one user claims for the first time, own devices aside.";
    "limits.claim_target" => limits.claim_target, "20/h",
        "One-time keys that are given out for one user; beyond that signed prekeys only, so that they cannot be drained.";
    "limits.contact_user" => limits.contact_user, "20/h",
        "Contact requests of one user.";
    "limits.account_user" => limits.account_user, "1/s burst 30",
        "Changes to one account, its devices and keys.";
    "limits.link_device" => limits.link_device, "1/s burst 20",
        "Letters of one device that links another.";
    "limits.link_places" => limits.link_places, "3/h",
        "Meeting places of one user for linking: few, so that codes cannot be guessed.";
    "limits.follow_device" => limits.follow_device, "1/s burst 10",
        "Follow streams opened by one device.";
    "limits.ephemera_device" => limits.ephemera_device, "2/s burst 20",
        "Changes of presence and typing by one device.";
    "limits.journal_device" => limits.journal_device, "20/s burst 200",
        "Appends to the journal by one device.";
    "limits.community_user" => limits.community_user, "5/s burst 200",
        "Changes of communities by one user, and parts of the blobs that go with them: the wraps of a large community are 50 parts.";
    "limits.file_user" => limits.file_user, "40/s burst 400",
        "Parts of files, of 512 KiB, that all devices of one user put or get: 20 MiB a second.";
    "limits.statement_user" => limits.statement_user, "2000/d burst 1000",
        "Statements in the logs of communities by one user: the founding of a large one takes some hundred at once.";
    "limits.handshake_address" => limits.handshake_address, "5/s burst 30",
        "New connections from one address; beyond that each has to show first that it receives there (QUIC Retry).";
    "limits.peer_handshake_address" => limits.peer_handshake_address, "20/s burst 40",
        "Greetings and proofs of homeservers from one address.";
    "limits.peer_read" => limits.peer_read, "50/s burst 2000",
        "Questions of one other homeserver.";
    "limits.peer_claim" => limits.peer_claim, "20/s burst 200",
        "Claims of prekeys by one other homeserver for its users.";
    "limits.peer_forward" => limits.peer_forward, "1000/s burst 10000",
        "Messages that one other homeserver hands over: what gathered while it could not reach this one comes at once.";
    "limits.peer_strangers" => limits.peer_strangers, "30/h",
        "First messages and contact requests from people of one other homeserver to people here who have nothing to do with them yet.";
    "limits.peer_copies" => limits.peer_copies, "20/s burst 2000",
        "What is written down here of the users of one other homeserver: new devices, names, and users who were not known.";
    "limits.peer_sender" => limits.peer_sender, "50/s burst 2000",
        "Messages that one other homeserver hands over for one of its users, so that none of them takes what is the others'.";
    "limits.peer_contacts" => limits.peer_contacts, "5/s burst 300",
        "Requests, agreements and ends of contacts that one other homeserver hands over.";
    "limits.peer_joins" => limits.peer_joins, "50/min",
        "People of one other homeserver who join communities here, or ask to.";
    "limits.fetch_address" => limits.fetch_address, "5/min",
        "Look-ups that homeservers of one address have this one make which claim a name that is not known: each has it connect to somewhere.";
    "limits.fetch_server" => limits.fetch_server, "20/s",
        "Look-ups of other homeservers by the whole server, whoever has it make them.";
    "limits.connections_per_device" => limits.connections_per_device, "2",
        "Connections of one device: the one in use, and the one that replaces it. The oldest is closed for a third.";
    "limits.connections_per_user" => limits.connections_per_user, "20",
        "Connections of one user; the oldest is closed for one more.";
    "limits.connections_per_address" => limits.connections_per_address, "64",
        "Connections from one address; further ones are turned away.";
    "limits.half_open" => limits.half_open, "2000",
        "Connections at the whole server that have not opened a session.";
}

/// The configuration when nobody says anything.
#[expect(clippy::expect_used, reason = "a test sets every key to its default")]
pub(super) fn defaults() -> Config {
    let mut config = Config {
        name: None,
        listen: std::net::SocketAddr::from(([0, 0, 0, 0], rookery_protocol::name::DEFAULT_PORT)),
        advertise: None,
        registration: Registration::Invite,
        federation: Federation::Allowlist,
        adoptions: Adoptions::Members,
        nameserver: Nameserver::System,
        private_addresses: PrivateAddresses::Deny,
        database: None,
        database_file: None,
        certificate: None,
        certificate_key: None,
        metrics: None,
        log_format: LogFormat::Text,
        log_filter: String::new(),
        keep_message_ids: Duration::ZERO,
        keep_ended_sessions: Duration::ZERO,
        keep_files: Duration::ZERO,
        keep_unused_copies: Grace(Duration::ZERO),
        mailbox_envelopes: 0,
        mailbox_bytes: 0,
        journal_bytes: 0,
        contacts: 0,
        communities: 0,
        file_bytes: 0,
        user_files_bytes: 0,
        all_files_bytes: 0,
        peer_items: 0,
        peer_bytes: 0,
        peer_foreigners: 0,
        keep_outbound: Duration::ZERO,
        proof_age: Grace(Duration::ZERO),
        limits: Limits::default(),
    };
    for key in KEYS {
        (key.set)(&mut config, key.default).expect("a default is a valid value");
    }
    config
}

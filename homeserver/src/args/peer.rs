//! Other homeservers.

use clap::Subcommand;
use rookery_protocol::{
    id::ServerId,
    name::{HostPort, ServerName},
    request::{
        Answer,
        discovery::{AddDomain, Rank},
        peering::{
            AcceptPeer, AddPeer, ChangePeer, ListPeers, PeerChange, PeerEntry, PeerLink,
            PeerStanding, PeerStep, PeerTest, PeeringError, ShowPeer, TestPeer,
        },
    },
};
use serde_json::{Value, json};

use super::{
    Cli, admin,
    output::{Failed, Kind, Report, time},
};

#[derive(Debug, Subcommand)]
pub(super) enum Peer {
    /// List the peers by name
    List,
    /// Show one peer
    Show {
        /// Which
        name: ServerName,
    },
    /// Add a peer and pin its root key, or give one another address
    ///
    /// A domain name is enough: the server is looked for, and the root key is pinned that is published for the name. Compare its fingerprint
    /// with what `rookeryd status` shows on the other side. A name without a dot is one of a local network, and needs address and fingerprint.
    Add {
        /// Its name, the part of an address behind the @
        name: ServerName,
        /// Where it listens: a host name or address, with a port unless it is 7665
        #[arg(requires = "root")]
        address: Option<HostPort>,
        /// The fingerprint of its root key, as its own `rookeryd status` shows it
        root: Option<ServerId>,
    },
    /// Forget a peer, with what waits for it
    Remove {
        /// Which
        name: ServerName,
        /// Do it without asking
        #[arg(long)]
        yes: bool,
    },
    /// Have nothing to do with a server, whoever it says to be
    Block {
        /// Which
        name: ServerName,
    },
    /// Hold on to what is for a peer, and do not connect
    Pause {
        /// Which
        name: ServerName,
    },
    /// Undo pause or block
    Resume {
        /// Which
        name: ServerName,
    },
    /// Try to connect now, and hand over what waits
    Retry {
        /// Which
        name: ServerName,
    },
    /// Connect anew, apart from the connection in use, and say how that went
    Test {
        /// Which
        name: ServerName,
    },
    /// Pin another root key for a peer, which ends its quarantine
    Accept {
        /// Which
        name: ServerName,
        /// The fingerprint of its new root key: ask its administrator, not the network
        #[arg(long, value_name = "FINGERPRINT")]
        root: ServerId,
    },
}

/// Lists, shows and changes peers.
pub(super) async fn peer(cli: &Cli, verb: &Peer) -> Result<Report, Failed> {
    match verb {
        Peer::List => {
            let found = admin::list(cli, &ListPeers {}).await?.peers;
            let lines: Vec<String> = found.iter().map(line).collect();
            let peers: Vec<Value> = found.iter().map(shown).collect();
            Ok(Report::new(json!({ "peers": peers }), lines.join("\n")))
        }
        Peer::Show { name } => {
            let found = asked(admin::call(cli, &ShowPeer { name: name.clone() }).await?)?;
            Ok(Report::new(shown(&found), details(&found)))
        }
        Peer::Add { name, address: Some(address), root: Some(root) } => {
            let request = AddPeer { name: name.clone(), address: address.clone(), root: *root };
            let found = asked(admin::call(cli, &request).await?)?;
            Ok(Report::new(shown(&found), line(&found)))
        }
        Peer::Add { name, .. } => add_domain(cli, name).await,
        Peer::Remove { name, yes } => {
            if !yes {
                return Err(Failed::usage(format!("what waits for {name} would be lost"))
                    .hint("say --yes to do it; `peer pause` keeps it"));
            }
            change(cli, name, PeerChange::Remove, "forgotten").await
        }
        Peer::Block { name } => change(cli, name, PeerChange::Block, "blocked").await,
        Peer::Pause { name } => change(cli, name, PeerChange::Pause, "paused").await,
        Peer::Resume { name } => change(cli, name, PeerChange::Resume, "active").await,
        Peer::Retry { name } => change(cli, name, PeerChange::Retry, "tried again").await,
        Peer::Test { name } => {
            let tested = asked(admin::call(cli, &TestPeer { name: name.clone() }).await?)?;
            tried(name, &tested)
        }
        Peer::Accept { name, root } => {
            let request = AcceptPeer { name: name.clone(), root: *root };
            let found = asked(admin::call(cli, &request).await?)?;
            Ok(Report::new(shown(&found), line(&found)))
        }
    }
}

/// Adds a peer by its name, and shows what was pinned and on whose word.
async fn add_domain(cli: &Cli, name: &ServerName) -> Result<Report, Failed> {
    let added = asked(admin::call(cli, &AddDomain { name: name.clone() }).await?)?;
    let mut data = shown(&added.peer);
    if let Value::Object(fields) = &mut data {
        fields.insert("found_by".to_owned(), json!(rank(added.by)));
    }
    let by = match added.by {
        Rank::WellKnown => "published at the name, over HTTPS",
        Rank::Override | Rank::Record | Rank::Srv | Rank::Name => {
            "shown by the server, under its certificate for the name"
        }
    };
    let root = added.root;
    let text = format!("root key {root}: {by}, and pinned now\n{}", line(&added.peer));
    Ok(Report::new(data, text))
}

/// Who says where a server is, in a word.
pub(super) const fn rank(rank: Rank) -> &'static str {
    match rank {
        Rank::Override => "override",
        Rank::Record => "record",
        Rank::WellKnown => "well-known",
        Rank::Srv => "srv",
        Rank::Name => "name",
    }
}

/// The steps to a peer, as they are called.
const STEPS: [(PeerStep, &str); 5] = [
    (PeerStep::Name, "name"),
    (PeerStep::Udp, "udp"),
    (PeerStep::Tls, "tls"),
    (PeerStep::Record, "record"),
    (PeerStep::Proof, "proof"),
];

/// What to do about a step that does not go well.
pub(super) const fn advice(step: PeerStep) -> &'static str {
    match step {
        PeerStep::Name => {
            "`rookeryd doctor federation NAME` says where it was looked for; `rookeryd peer add NAME ADDRESS ROOT` says where it is"
        }
        PeerStep::Udp => {
            "nobody answers there: see that it runs, and that UDP to its port gets through"
        }
        PeerStep::Tls => "something else answers there, or something in between ends TLS",
        PeerStep::Record => {
            "ask its administrator for its root key's fingerprint; `rookeryd peer accept` pins another"
        }
        PeerStep::Proof => {
            "it has to know this server too: its administrator adds it by `peer add`"
        }
    }
}

/// Step by step how a test went.
fn tried(name: &ServerName, tested: &PeerTest) -> Result<Report, Failed> {
    let mut went_well = true;
    let steps = STEPS.map(|(step, word)| {
        let state = match tested.failed {
            Some(failed) if failed == step => "failed",
            _ if !went_well => "not tried",
            _ => "ok",
        };
        went_well &= state == "ok";
        (word, state)
    });
    let data = json!({
        "name": name.to_string(),
        "proven": tested.is_proven,
        "took_ms": tested.took_ms,
        "reason": tested.reason,
        "steps": steps.map(|(word, state)| json!({ "step": word, "state": state })),
    });
    let shown = steps.map(|(word, state)| format!("{word} {state}")).join(", ");
    let Some(reason) = &tested.reason else {
        let text = format!("{shown}\n{name} was reached and proven in {} ms", tested.took_ms);
        return Ok(Report::new(data, text));
    };
    let failed = Failed::new(Kind::Unavailable, format!("{name} was not reached: {reason}"));
    let hint = tested.failed.map_or(shown.clone(), |step| format!("{shown}: {}", advice(step)));
    Err(failed.hint(hint).data(data))
}

async fn change(
    cli: &Cli,
    name: &ServerName,
    change: PeerChange,
    done: &str,
) -> Result<Report, Failed> {
    asked(admin::call(cli, &ChangePeer { name: name.clone(), change }).await?)?;
    Ok(Report::new(json!({ "name": name.to_string() }), format!("{name} is {done}")))
}

/// The reply, or what a person is told instead.
pub(super) fn asked<T>(answer: Answer<T, PeeringError>) -> Result<T, Failed> {
    match answer {
        Answer::Reply(reply) => Ok(reply),
        Answer::Error(error @ PeeringError::NotFound) => {
            Err(Failed::new(Kind::NotFound, error.to_string())
                .hint("`rookeryd peer list` shows all there are"))
        }
        Answer::Error(error @ PeeringError::Refused { .. }) => {
            Err(Failed::new(Kind::Precondition, error.to_string()))
        }
        Answer::Refused(refusal) => Err(Failed::because(refusal.to_string())),
    }
}

const fn standing(standing: PeerStanding) -> &'static str {
    match standing {
        PeerStanding::Active => "active",
        PeerStanding::Paused => "paused",
        PeerStanding::Blocked => "blocked",
    }
}

/// What matters most about it, in a word.
pub(super) const fn state(entry: &PeerEntry) -> &'static str {
    match entry {
        PeerEntry { offered: Some(_), .. } => "quarantined",
        PeerEntry { standing: PeerStanding::Active, link: PeerLink::Up, .. } => "up",
        PeerEntry { standing: PeerStanding::Active, link: PeerLink::Down, .. } => "down",
        PeerEntry { standing: PeerStanding::Active, link: PeerLink::Off, .. } => "off",
        entry => standing(entry.standing),
    }
}

fn shown(entry: &PeerEntry) -> Value {
    json!({
        "name": entry.name.to_string(),
        "address": entry.address.as_ref().map(ToString::to_string),
        "root": entry.root.map(|root| root.to_string()),
        "offered_root": entry.offered.map(|root| root.to_string()),
        "standing": standing(entry.standing),
        "state": state(entry),
        "since": time(entry.since),
        "reason": entry.reason,
        "waiting": entry.waiting,
        "oldest": entry.oldest.map(time),
        "followed": entry.followed,
        "found": entry.found.as_ref().map(ToString::to_string),
    })
}

fn line(entry: &PeerEntry) -> String {
    let address = entry
        .address
        .as_ref()
        .or(entry.found.as_ref())
        .map_or_else(|| "-".to_owned(), ToString::to_string);
    format!(
        "{}  {}  {address}  {} since {}, {} waiting",
        entry.name,
        standing(entry.standing),
        state(entry),
        time(entry.since),
        entry.waiting,
    )
}

fn details(entry: &PeerEntry) -> String {
    let rows = [
        ("root", entry.root.map(|root| root.to_string())),
        ("offered root", entry.offered.map(|root| root.to_string())),
        ("reason", entry.reason.clone()),
        ("oldest", entry.oldest.map(time)),
        ("followed", Some(entry.followed.to_string())),
        ("found at", entry.found.as_ref().map(ToString::to_string)),
    ];
    let rows = rows.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?)));
    [line(entry)].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_says_what_is_well_what_is_not_and_what_was_not_tried() {
        let name: ServerName = "garden.example".parse().unwrap();
        let tested = |failed: Option<PeerStep>| PeerTest {
            is_proven: failed.is_none(),
            took_ms: 3,
            reason: failed.map(|_| "no".to_owned()),
            failed,
        };
        assert!(tried(&name, &tested(None)).is_ok());
        let failed = format!("{:?}", tried(&name, &tested(Some(PeerStep::Tls))).unwrap_err());
        let steps = "name ok, udp ok, tls failed, record not tried, proof not tried";
        assert!(failed.contains(steps), "{failed}");
    }
}

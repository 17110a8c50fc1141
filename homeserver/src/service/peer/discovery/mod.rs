//! Where another homeserver is, and whose its name is.
//!
//! Five may say where a homeserver is, and each is of a [`Rank`]: the administrator here, the homeserver's own last record, the document that
//! is published under its name, SRV records, and the name itself. Places are tried in that order, and a later one is asked for only when the
//! ones before it have led nowhere. No word ever takes the place of a higher one: each is kept by itself. All of them only point. Who a
//! peer is, its pinned root says, which it has to prove wherever it was found.
//!
//! Whose a *name* is, is another question, asked before a root is pinned that nobody here has named ([`owner()`]). The owner of a domain is
//! whoever has a certificate for it: they publish the record over HTTPS, or show it themselves under that certificate. What an SRV record
//! points at needs the certificate of the name, never that of its target.
//!
//! Looking has this server connect where a stranger says. So what was looked up never leads to addresses that are not public (unless the
//! settings allow them), exactly the addresses that were looked at are connected to, and nobody has this server look more often than the limits say.

pub mod document;
mod owner;
pub mod rule;
#[cfg(test)]
mod tests;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use rookery_protocol::{
    name::{HostPort, ServerName},
    request::{
        Refusal,
        discovery::Rank,
        server::{ServerRecord, SignedServerRecord},
    },
};

pub use self::owner::{Owner, other_owner, owner, show};
use self::{
    owner::published,
    rule::{Candidate, Memory, SrvRecord, Word},
};
use super::{Peer, Services};
use crate::{
    config::{Nameserver, PrivateAddresses},
    service::limit::{Bucket, Subject},
};

/// How many names are remembered. A record is about 300 bytes.
const MAX_NAMES: usize = 10_000;
/// How many addresses of one host are connected to.
const MAX_ADDRESSES: usize = 4;

/// Why something was not found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfound {
    /// It is not there: somebody who knows has said so, or what is there is of no use.
    #[error("{0}")]
    Nothing(String),
    /// No answer came, which says nothing.
    #[error("{0}")]
    Silent(String),
    /// Too much has been looked up.
    #[error("too much was looked up just now: try again in {} s", retry_after_ms.div_ceil(1_000))]
    Throttled {
        /// When to come again.
        retry_after_ms: u64,
    },
}

/// What a web server answers.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The status: 200 is good.
    pub status: u16,
    /// How long the answer may be kept, as it says.
    pub max_age: Option<Duration>,
    /// The document.
    pub body: Vec<u8>,
}

/// Who asks the world. It connects to the addresses that it is given and to no others, and decides nothing.
#[async_trait]
pub trait Seek: Send + Sync {
    /// The addresses of a host.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Unfound>;

    /// The SRV records `_rookery._udp` of a name.
    async fn srv(&self, name: &ServerName) -> Result<Vec<SrvRecord>, Unfound>;

    /// The document of a name ([`document::PATH`]), from a web server at one of these addresses that has a certificate for the name.
    async fn document(&self, name: &ServerName, at: &[SocketAddr]) -> Result<Fetched, Unfound>;

    /// The record that a homeserver at one of these addresses shows which has a certificate for the name.
    async fn record(
        &self,
        name: &ServerName,
        at: &[SocketAddr],
    ) -> Result<SignedServerRecord, Unfound>;
}

/// What is known of where others are, and who finds out more.
pub struct Discovery {
    seek: Arc<dyn Seek>,
    documents: Mutex<Memory<Result<ServerRecord, Unfound>>>,
    shown: Mutex<Memory<Result<Owner, Unfound>>>,
    /// Hosts of which no answer came.
    silent: Mutex<Memory<String>>,
}

impl Discovery {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(seek: Arc<dyn Seek>) -> Self {
        Self {
            seek,
            documents: Mutex::new(Memory::new(MAX_NAMES)),
            shown: Mutex::new(Memory::new(MAX_NAMES)),
            silent: Mutex::new(Memory::new(MAX_NAMES)),
        }
    }

    /// Forgets what was looked up of a name, so that it is looked up anew.
    pub fn forget(&self, name: &ServerName) {
        held(&self.documents).forget(name.as_str());
        held(&self.shown).forget(name.as_str());
        held(&self.silent).forget(name.as_str());
    }
}

fn held<T>(memory: &Mutex<Memory<T>>) -> MutexGuard<'_, Memory<T>> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who has this server look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// This server itself, or its administrator.
    Own,
    /// Somebody at that address, of whom nothing is known.
    Stranger(IpAddr),
}

/// Where to look, as one of those who may know has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The places.
    pub candidates: Vec<Candidate>,
    /// Why there is none, or why they are old ones.
    pub remark: Option<String>,
}

/// Whether there is anywhere to look for a peer.
#[must_use]
pub fn can_be_sought(services: &Services, peer: &Peer) -> bool {
    let stored = peer.stored();
    stored.address.is_some() || !stored.findings.is_empty() || looks_up(services, &peer.name)
}

/// Whether anything is looked up of `name`.
fn looks_up(services: &Services, name: &ServerName) -> bool {
    name.is_domain() && services.config.nameserver != Nameserver::Off
}

/// Where the one of `rank` says that a server is, of which `stored` is known where it is a peer.
pub async fn hear(
    services: &Services,
    name: &ServerName,
    peer: Option<&Peer>,
    rank: Rank,
) -> Heard {
    let stored = peer.map(Peer::stored);
    let findings = stored.as_ref().map(|stored| stored.findings.as_slice()).unwrap_or_default();
    let word = match rank {
        Rank::Override => match stored.as_ref().and_then(|stored| stored.address.clone()) {
            Some(address) => Word::There(vec![address]),
            None => Word::Nowhere("no address was given".to_owned()),
        },
        Rank::Record => match findings.iter().find(|finding| finding.rank == Rank::Record) {
            Some(finding) => Word::There(vec![finding.place.clone()]),
            None => Word::Nowhere("no record of it names a place".to_owned()),
        },
        Rank::WellKnown => match published(services, name, Asker::Own).await {
            // Another root's place is not where the peer is.
            Ok(record)
                if stored.as_ref().is_some_and(|one| one.root != Some(record.root.server_id())) =>
            {
                Word::Nowhere(format!(
                    "the document is of the root key {}, which is not pinned",
                    record.root.server_id()
                ))
            }
            Ok(record) => Word::There(vec![endpoint(&record)]),
            Err(unfound) => word_of(unfound),
        },
        Rank::Srv => srv(services, name).await,
        Rank::Name if !looks_up(services, name) => word_of(not_looked_up(name)),
        Rank::Name => Word::There(rule::by_name(name)),
    };
    let candidates = rule::candidates(rank, &word, findings);
    let remark = match word {
        Word::There(_) => None,
        Word::Nowhere(why) | Word::Silence(why) => Some(why),
    };
    Heard { candidates, remark }
}

/// Where a record has its server be: where it says, or at its name.
fn endpoint(record: &ServerRecord) -> HostPort {
    let by_name =
        || HostPort { host: record.name.to_string(), port: rookery_protocol::name::DEFAULT_PORT };
    record.endpoint.clone().unwrap_or_else(by_name)
}

fn word_of(unfound: Unfound) -> Word {
    match unfound {
        Unfound::Nothing(why) => Word::Nowhere(why),
        unfound @ (Unfound::Silent(_) | Unfound::Throttled { .. }) => {
            Word::Silence(unfound.to_string())
        }
    }
}

fn not_looked_up(name: &ServerName) -> Unfound {
    if name.is_domain() {
        return Unfound::Silent(
            "nothing is looked up here (discovery.nameserver is off)".to_owned(),
        );
    }
    Unfound::Nothing(format!("{name} is a name of a local network, which nobody vouches for"))
}

async fn srv(services: &Services, name: &ServerName) -> Word {
    if !looks_up(services, name) {
        return word_of(not_looked_up(name));
    }
    if let Some(why) = recall(services, &services.discovery.silent, name.as_str()) {
        return Word::Silence(why);
    }
    match services.discovery.seek.srv(name).await {
        Ok(records) => match rule::by_srv(records) {
            places if places.is_empty() => Word::Nowhere("no SRV record names a host".to_owned()),
            places => Word::There(places),
        },
        Err(unfound) => {
            note_silence(services, name.as_str(), &unfound);
            word_of(unfound)
        }
    }
}

/// The addresses at which to connect to a candidate that no administrator gave.
pub async fn addresses(
    services: &Services,
    candidate: &Candidate,
) -> Result<Vec<SocketAddr>, Unfound> {
    let found = resolve(services, &candidate.place.host, candidate.place.port).await;
    match (found, candidate.reached) {
        (Err(Unfound::Silent(_)), Some(reached)) => {
            admit(services, &candidate.place.host, vec![reached])
        }
        (found, _) => found,
    }
}

async fn resolve(services: &Services, host: &str, port: u16) -> Result<Vec<SocketAddr>, Unfound> {
    let found = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) if services.config.nameserver == Nameserver::Off => {
            return Err(Unfound::Silent(
                "nothing is looked up here (discovery.nameserver is off)".to_owned(),
            ));
        }
        Err(_) => {
            if let Some(why) = recall(services, &services.discovery.silent, host) {
                return Err(Unfound::Silent(why));
            }
            let found = services.discovery.seek.addresses(host).await;
            found.inspect_err(|unfound| note_silence(services, host, unfound))?
        }
    };
    admit(services, host, found.into_iter().map(|address| (address, port).into()).collect())
}

/// Of these addresses of `host` those that may be connected to.
fn admit(
    services: &Services,
    host: &str,
    found: Vec<SocketAddr>,
) -> Result<Vec<SocketAddr>, Unfound> {
    if found.is_empty() {
        return Err(Unfound::Nothing(format!("{host} has no address")));
    }
    let mut why = None;
    let mut admitted = vec![];
    for address in found {
        match barred(services, address.ip()) {
            Some(kind) => why = Some((address.ip(), kind)),
            None => admitted.push(address),
        }
    }
    if let (true, Some((address, kind))) = (admitted.is_empty(), why) {
        metrics::counter!("rookery_discovery_denied_total", "kind" => kind).increment(1);
        return Err(Unfound::Nothing(format!(
            "{host} is at {address}, which is a {kind} address: nobody is looked for there unless discovery.private_addresses allows it"
        )));
    }
    admitted.truncate(MAX_ADDRESSES);
    Ok(admitted)
}

/// What keeps this server from connecting to an address that nobody here gave, if anything does.
#[must_use]
pub fn barred(services: &Services, address: IpAddr) -> Option<&'static str> {
    match services.config.private_addresses {
        PrivateAddresses::Allow => None,
        PrivateAddresses::Deny => rule::denied(address),
    }
}

/// Takes one look-up from what there is of them.
fn charge(services: &Services, asker: Asker) -> Result<(), Unfound> {
    let take = |subject| match services.limiter.take(Bucket::Fetches, &subject) {
        Ok(()) => Ok(()),
        Err(Refusal::Throttled { retry_after_ms }) => Err(Unfound::Throttled { retry_after_ms }),
        Err(refusal) => Err(Unfound::Silent(refusal.to_string())),
    };
    if let Asker::Stranger(address) = asker {
        take(Subject::address(address))?;
    }
    take(Subject::Server)
}

fn recall<T: Clone>(services: &Services, memory: &Mutex<Memory<T>>, about: &str) -> Option<T> {
    held(memory).recall(about, services.clock.now()).cloned()
}

fn keep<T>(services: &Services, memory: &Mutex<Memory<T>>, about: &str, heard: T, span: Duration) {
    held(memory).keep(about, heard, span, services.clock.now());
}

/// Nobody asks again for a while where no answer came.
fn note_silence(services: &Services, host: &str, unfound: &Unfound) {
    if let Unfound::Silent(why) = unfound {
        keep(services, &services.discovery.silent, host, why.clone(), rule::SILENT);
    }
}

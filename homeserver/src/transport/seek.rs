//! Asks the world where other homeservers are: name servers, web servers, and homeservers themselves.
//!
//! Names are looked up here and nowhere else, so that who decides about addresses sees exactly those that are connected to.

use std::{net::IpAddr, net::SocketAddr, sync::OnceLock, time::Duration};

use async_trait::async_trait;
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{Name, RData},
};
use rookery_protocol::{
    io::{
        ConnectError,
        client::{Client, Trust},
        https,
    },
    name::ServerName,
    request::server::{ServerInfo, SignedServerRecord},
};

use crate::{
    config::Nameserver,
    service::peer::discovery::{Fetched, Seek, Unfound, document, rule::SrvRecord},
};

/// How long one question to one name server may take, and how often it is asked.
const QUESTION: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;
/// How long a lookup may take, however many name servers there are.
const LOOKUP: Duration = Duration::from_secs(4);
/// How long a web server may take.
const DOCUMENT: Duration = Duration::from_secs(5);
/// How long a homeserver may take to show its record, and how long each of its addresses to answer.
const RECORD: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(2);

/// The world.
pub struct World {
    nameserver: Nameserver,
    /// Made when something is looked up for the first time.
    resolver: OnceLock<Result<TokioResolver, String>>,
}

impl World {
    /// The world, as `nameserver` knows it.
    #[must_use]
    pub const fn new(nameserver: Nameserver) -> Self {
        Self { nameserver, resolver: OnceLock::new() }
    }

    fn resolver(&self) -> Result<&TokioResolver, Unfound> {
        let made = self.resolver.get_or_init(|| {
            resolver(self.nameserver).map_err(|error| format!("no name can be looked up: {error}"))
        });
        made.as_ref().map_err(|why| Unfound::Silent(why.clone()))
    }
}

fn resolver(nameserver: Nameserver) -> Result<TokioResolver, NetError> {
    let mut builder = match nameserver {
        Nameserver::System | Nameserver::Off => TokioResolver::builder_tokio()?,
        Nameserver::At(address) => {
            let at = |mut way: ConnectionConfig| {
                way.port = address.port();
                way
            };
            let ways = vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())];
            let server = NameServerConfig::new(address.ip(), true, ways);
            let config = ResolverConfig::from_name_servers(vec![server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options = builder.options_mut();
    (options.timeout, options.attempts) = (QUESTION, ATTEMPTS);
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    builder.build()
}

/// What is looked up stands for itself: no domain of this machine is put behind it.
fn whole(host: &str) -> Result<Name, Unfound> {
    let name = Name::from_utf8(host).map(|mut name| {
        name.set_fqdn(true);
        name
    });
    name.map_err(|_| Unfound::Nothing(format!("{host} is no host name")))
}

fn unfound(what: &str, error: &NetError) -> Unfound {
    if error.is_no_records_found() {
        return Unfound::Nothing(format!("there is no {what}"));
    }
    Unfound::Silent(format!("{what} cannot be looked up: {error}"))
}

async fn within<T>(
    limit: Duration,
    what: &str,
    looking: impl Future<Output = Result<T, Unfound>>,
) -> Result<T, Unfound> {
    let late = || Unfound::Silent(format!("no answer about {what} within {} s", limit.as_secs()));
    tokio::time::timeout(limit, looking).await.unwrap_or_else(|_| Err(late()))
}

#[async_trait]
impl Seek for World {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Unfound> {
        let (resolver, name) = (self.resolver()?, whole(host)?);
        let what = format!("address of {host}");
        within(LOOKUP, &what, async {
            let found = resolver.lookup_ip(name).await.map_err(|error| unfound(&what, &error))?;
            Ok(found.iter().collect())
        })
        .await
    }

    async fn srv(&self, name: &ServerName) -> Result<Vec<SrvRecord>, Unfound> {
        let (resolver, service) = (self.resolver()?, whole(&format!("_rookery._udp.{name}"))?);
        let what = format!("SRV record of _rookery._udp.{name}");
        within(LOOKUP, &what, async {
            let found = resolver.srv_lookup(service).await;
            let found = found.map_err(|error| unfound(&what, &error))?;
            let records = found.answers().iter().filter_map(|record| match &record.data {
                RData::SRV(srv) => Some(SrvRecord {
                    priority: srv.priority,
                    weight: srv.weight,
                    port: srv.port,
                    target: srv.target.to_ascii(),
                }),
                _ => None,
            });
            Ok(records.collect())
        })
        .await
    }

    async fn document(&self, name: &ServerName, at: &[SocketAddr]) -> Result<Fetched, Unfound> {
        let what = format!("https://{name}{}", document::PATH);
        within(DOCUMENT, &what, async {
            let answer = https::get(at, name, document::PATH).await;
            let answer = answer.map_err(|error| {
                let why = format!("{what}: {error}");
                if error.is_an_answer() { Unfound::Nothing(why) } else { Unfound::Silent(why) }
            })?;
            Ok(Fetched { status: answer.status, max_age: answer.max_age, body: answer.body })
        })
        .await
    }

    async fn record(
        &self,
        name: &ServerName,
        at: &[SocketAddr],
    ) -> Result<SignedServerRecord, Unfound> {
        within(RECORD, name.as_str(), async {
            let client = Client::connect_to(at, name, Trust::WebPki, CONNECT).await;
            let client = client.map_err(|error| match error {
                ConnectError::Untrusted(_) | ConnectError::WrongServer { .. } => {
                    Unfound::Nothing(error.to_string())
                }
                ConnectError::NoAddress { .. }
                | ConnectError::Unreachable(_)
                | ConnectError::Socket(_)
                | ConnectError::Tls(_) => Unfound::Silent(error.to_string()),
            })?;
            let described = client.call(&ServerInfo {}).await;
            client.close();
            described
                .map(|description| description.record)
                .map_err(|error| Unfound::Silent(error.to_string()))
        })
        .await
    }
}

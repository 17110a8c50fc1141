//! A whole server: storage, services and transport, put together, started and stopped.

use std::{fs, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use rookery_protocol::{
    io::{
        CloseReason, ConnectError,
        server::Listener,
        tls::{ServerTls, TlsError},
    },
    name::{HostPort, JoinLink, ServerName},
    request::{Failure, admin::CreateInvite},
    time::Clock,
};

use crate::{
    config::Config,
    identity::{DataDir, DataDirError, Said},
    lifecycle::Lifecycle,
    repository::{Storage, StorageError},
    service::{self, Parts, Services, invite, password::Passwords, peer::place_drop, retention},
    transport::{self, Place, Router, admin, health, listener, peer, seek::World},
};

/// How often the invite that a start prints can be used, and how long.
const FIRST_USES: u32 = 10;
const FIRST_INVITE: Duration = Duration::from_hours(168);

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The database.
    #[error("the database cannot be used")]
    Storage(#[from] StorageError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A file that the configuration names.
    #[error("{} cannot be read", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The address that devices connect to.
    #[error("cannot listen on {address} (UDP)")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: ConnectError,
    },
    /// The administrator's socket, or the address of metrics.
    #[error("cannot listen on {place}")]
    Socket {
        /// Which.
        place: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A certificate without its key, or the other way round.
    #[error("tls.certificate and tls.certificate_key go together")]
    HalfCertificate,
}

/// What a server is made of.
pub struct Ingredients {
    /// Its directory, locked.
    pub data: DataDir,
    /// Its database, open.
    pub storage: Arc<dyn Storage>,
    /// How it is set up.
    pub config: Config,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How passwords are hashed.
    pub passwords: Passwords,
}

/// A server that runs.
pub struct Running {
    /// Where devices connect.
    pub address: SocketAddr,
    /// Its services.
    pub services: Arc<Services>,
    /// Its end.
    pub lifecycle: Lifecycle,
    listener: Arc<Listener>,
    data: DataDir,
}

/// Services without a network, as for an administrator while no server runs.
pub struct Offline {
    /// Every request there is.
    pub router: Router,
    lifecycle: Lifecycle,
    _data: DataDir,
}

impl Offline {
    /// Puts services together over a directory that no server uses.
    pub fn open(ingredients: Ingredients) -> Result<Self, StartError> {
        let Ingredients { data, storage, config, clock, passwords } = ingredients;
        let lifecycle = Lifecycle::default();
        let identity = data.identity(&said(&config), clock.now())?;
        let advertised = advertised(&config, config.listen, &identity.name);
        let tasks = lifecycle.tasks.clone();
        let listen = config.listen.to_string();
        let seek = Arc::new(World::new(config.nameserver));
        let services = Services::start(Parts {
            clock,
            storage,
            identity,
            config,
            advertised,
            passwords,
            seek,
            tasks,
        });
        let place = Place { listen, data: data.path().to_owned() };
        Ok(Self { router: transport::router(services, place), lifecycle, _data: data })
    }

    /// Ends it, with everything stored.
    pub async fn close(self) {
        let storage = Arc::clone(&self.router.services().storage);
        drop(self.router);
        self.lifecycle.stop().await;
        storage.close().await;
    }
}

/// Starts a server.
pub async fn start(
    ingredients: Ingredients,
    metrics: Option<PrometheusHandle>,
) -> Result<Running, StartError> {
    let Ingredients { data, storage, config, clock, passwords } = ingredients;
    let identity = data.identity(&said(&config), clock.now())?;
    let tls = match (&config.certificate, &config.certificate_key) {
        (None, None) => identity.tls()?,
        (Some(chain), Some(key)) => ServerTls::from_pem(&read(chain)?, &read(key)?)?,
        _ => return Err(StartError::HalfCertificate),
    };
    let listen = config.listen;
    let wrong = |source| StartError::Listen { address: listen, source };
    let listener = Arc::new(Listener::bind(listen, &tls).map_err(wrong)?);
    let address = listener.local().map_err(wrong)?;
    let lifecycle = Lifecycle::default();
    let advertised = advertised(&config, address, &identity.name);
    let health_address = config.metrics;
    let tasks = lifecycle.tasks.clone();
    let seek = Arc::new(World::new(config.nameserver));
    let services = Services::start(Parts {
        clock,
        storage,
        identity,
        config,
        advertised,
        passwords,
        seek,
        tasks,
    });
    service::peer::load(&services).await?;
    service::fence::load(&services).await?;
    let place = Place { listen: address.to_string(), data: data.path().to_owned() };
    let router = Arc::new(transport::router(Arc::clone(&services), place));

    let socket = admin::socket_path(data.path());
    let bound = admin::bind(&socket);
    let bound = bound
        .map_err(|source| StartError::Socket { place: socket.display().to_string(), source })?;
    lifecycle.tasks.spawn(admin::serve(bound, socket, Arc::clone(&router), lifecycle.clone()));
    if let (Some(address), Some(handle)) = (health_address, metrics) {
        let bound = health::bind(address).await;
        let bound =
            bound.map_err(|source| StartError::Socket { place: address.to_string(), source })?;
        lifecycle.tasks.spawn(health::serve(
            bound,
            handle,
            Arc::clone(&services),
            lifecycle.clone(),
        ));
    }
    lifecycle.tasks.spawn(retention::run(Arc::downgrade(&services), lifecycle.drain.clone()));
    lifecycle.tasks.spawn(place_drop::run(Arc::downgrade(&services), lifecycle.drain.clone()));
    lifecycle.tasks.spawn(peer::run(Arc::clone(&router), lifecycle.clone()));
    lifecycle.tasks.spawn(listener::serve(Arc::clone(&listener), router, lifecycle.clone()));
    tracing::info!(%address, name = %services.identity.name, fingerprint = %services.identity.server(), "listening");
    Ok(Running { address, services, lifecycle, listener, data })
}

impl Running {
    /// A link with an invite for whoever starts a server: for a few people and devices, and for a week.
    pub async fn first_invite(&self) -> Result<JoinLink, StorageError> {
        let expires = Some(self.services.clock.now().plus(FIRST_INVITE));
        let request = CreateInvite {
            uses: FIRST_USES,
            expires,
            note: Some("made when the server started".to_owned()),
        };
        match invite::create(&self.services, request).await {
            Ok(invite) => Ok(self.services.link(invite.token)),
            Err(Failure::Error(_) | Failure::Refused(_)) => {
                Err(StorageError::Unavailable("no invite could be made".to_owned()))
            }
        }
    }

    /// Stops in order: nothing that was acknowledged is lost, and who is connected is told to come back.
    pub async fn stop(self) {
        let Self { services, lifecycle, listener, data, .. } = self;
        let storage = Arc::clone(&services.storage);
        retention::write_down(&services).await;
        drop(services);
        lifecycle.stop().await;
        listener.close(CloseReason::GoingAway);
        tokio::time::timeout(Duration::from_secs(1), listener.drained()).await.ok();
        storage.close().await;
        drop(data);
    }
}

/// What the configuration says of who the server is.
#[must_use]
pub fn said(config: &Config) -> Said {
    Said { name: config.name.clone(), endpoint: config.advertise.clone() }
}

fn read(path: &PathBuf) -> Result<Vec<u8>, StartError> {
    fs::read(path).map_err(|source| StartError::File { path: path.clone(), source })
}

/// What goes into links: what the administrator says, else where the server listens, else its name.
fn advertised(config: &Config, address: SocketAddr, name: &ServerName) -> HostPort {
    if let Some(advertised) = &config.advertise {
        return advertised.clone();
    }
    let host =
        if address.ip().is_unspecified() { name.to_string() } else { address.ip().to_string() };
    HostPort { host, port: address.port() }
}

#[cfg(test)]
mod tests;

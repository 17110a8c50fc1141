//! A homeserver that lies: the real services behind a front that changes what it tells, and to whom.
//!
//! A session is bound to its connection, so nobody in the middle can lie: the server itself has to. The front has the server's own keys and
//! takes connections as the server does; every request is decided and stored by the real services, and only the answers, and what is told
//! live, go through a *lie* on their way out. A lie is a function of who is told and of the whole chain as it really is.

#![expect(
    clippy::disallowed_methods,
    reason = "tasks of a liar end with its connections, and with the runtime of the subject"
)]

mod answer;
mod down;
mod forge;
pub mod scene;
mod stranger;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use rookery_homeserver::{
    config::{Loaded, Nameserver, Source},
    database,
    identity::{Absent, DataDir},
    lifecycle::Lifecycle,
    repository::Limit,
    server::said,
    service::{
        Parts, Services,
        feed::{Feed, Live},
        follow, invite, message,
        password::Passwords,
        peer::admin,
        seat::{PeerSide, Seat},
    },
    transport::{self, Place, Router, seek::World},
};
use rookery_protocol::{
    chain::Entry,
    codec::{self, MAX_BATCH, MAX_FRAME},
    id::{BlobId, ChainId, CommunityId, ServerId, UserId},
    io::{
        Connection, RecvStream, SendStream,
        client::{Client, Protocol},
        server::{Incoming, Listener},
    },
    name::{HostPort, JoinLink, ServerName},
    request::{Answer, Failure, Request as _, admin::CreateInvite, peering::AddPeer},
    session::{Authenticated, Follow, FollowError, FollowStarted, FollowUp, Principal},
    time::SystemClock,
};
use tokio::sync::watch;

use self::down::Down;
pub use self::{
    forge::{forge_statement, item_of, relink, statement_of},
    stranger::Stranger,
};
use crate::homeserver::Homeserver;

/// The longest name of a method, with room.
const MAX_METHOD: usize = 64;
/// More than any chain here has.
const WHOLE: Limit = Limit { rows: 100_000, bytes: 256 * 1024 * 1024 };

/// What somebody is shown of a chain, instead of all that it really has.
type ChainLie = dyn Fn(UserId, ChainId, Vec<Entry>) -> Vec<Entry> + Send + Sync;
/// What another homeserver is shown of a chain, instead of all that it really has.
type PeerLie = dyn Fn(ServerId, ChainId, Vec<Entry>) -> Vec<Entry> + Send + Sync;
/// What somebody gets as a part of a blob; nothing when it is said to be absent.
type BlobLie = dyn Fn(UserId, BlobId, Vec<u8>) -> Option<Vec<u8>> + Send + Sync;

/// What is told at present.
struct Lies {
    chains: Arc<ChainLie>,
    peers: Arc<PeerLie>,
    blobs: Arc<BlobLie>,
}

impl Default for Lies {
    fn default() -> Self {
        Self {
            chains: Arc::new(|_, _, entries| entries),
            peers: Arc::new(|_, _, entries| entries),
            blobs: Arc::new(|_, _, bytes| Some(bytes)),
        }
    }
}

/// A homeserver that lies. It runs for as long as the runtime that it was started in.
#[derive(Clone)]
pub struct Liar {
    router: Arc<Router>,
    lies: Arc<Mutex<Lies>>,
    /// Rises with each lie: whoever follows is told everything anew.
    told: watch::Sender<u64>,
    _data: Arc<DataDir>,
}

impl Liar {
    /// Starts one that tells the truth so far, with its data in `folder`.
    pub async fn start(folder: &Path) -> Result<Self> {
        let data = DataDir::take(folder, Absent::Make)?;
        let storage = database::open(None, folder).await?;
        let mut loaded = Loaded::default();
        loaded
            .set("server.name", "nest", Source::Default)
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        loaded.lift_limits(&Source::Default);
        let config = loaded.config;
        let clock = Arc::new(SystemClock);
        let identity =
            data.identity(&said(&config), rookery_protocol::time::Clock::now(&*clock))?;
        let tls = identity.tls()?;
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), &tls)?;
        let address = listener.local()?;
        let lifecycle = Lifecycle::default();
        let services = Services::start(Parts {
            clock,
            storage,
            identity,
            config,
            advertised: HostPort { host: address.ip().to_string(), port: address.port() },
            passwords: Passwords::default(),
            seek: Arc::new(World::new(Nameserver::Off)),
            tasks: lifecycle.tasks.clone(),
        });
        let place = Place { listen: address.to_string(), data: folder.to_owned() };
        let liar = Self {
            router: Arc::new(transport::router(services, place)),
            lies: Arc::default(),
            told: watch::Sender::new(0),
            _data: Arc::new(data),
        };
        tokio::spawn(transport::peer::run(Arc::clone(&liar.router), lifecycle));
        tokio::spawn(liar.clone().serve(listener));
        Ok(liar)
    }

    fn services(&self) -> &Arc<Services> {
        self.router.services()
    }

    /// A link for `uses` newcomers.
    pub async fn invite(&self, uses: u32) -> Result<JoinLink> {
        let request = CreateInvite { uses, expires: None, note: None };
        let made = invite::create(self.services(), request).await;
        let made = made.map_err(|_| anyhow::anyhow!("no invite could be made"))?;
        Ok(self.services().link(made.token))
    }

    /// Shows chains by `lie` from now on, and tells everybody who follows from the beginning of each chain.
    pub fn lie_about_chains(
        &self,
        lie: impl Fn(UserId, ChainId, Vec<Entry>) -> Vec<Entry> + Send + Sync + 'static,
    ) {
        self.lies().chains = Arc::new(lie);
        self.told.send_modify(|turn| *turn = turn.saturating_add(1));
    }

    /// Shows other homeservers chains by `lie` from now on, and signs what it shows.
    pub fn lie_to_peers(
        &self,
        lie: impl Fn(ServerId, ChainId, Vec<Entry>) -> Vec<Entry> + Send + Sync + 'static,
    ) {
        self.lies().peers = Arc::new(lie);
    }

    /// What it calls itself, where it listens, and its root key's fingerprint.
    #[must_use]
    pub fn place(&self) -> (ServerName, HostPort, ServerId) {
        let services = self.services();
        let identity = &services.identity;
        (identity.name.clone(), services.advertised.clone(), identity.server())
    }

    /// Has it know `server` as a peer, which it never dials: what it dialled, it would answer without lies.
    pub async fn know(&self, server: &Homeserver) -> Result<()> {
        let (ready, nowhere) = (server.ready(), "127.0.0.1:9".parse()?);
        let (name, root) = (ready.name.parse()?, ready.fingerprint.parse()?);
        let added = admin::add(self.services(), AddPeer { name, address: nowhere, root }).await;
        added.map(|_| ()).map_err(|failure| anyhow::anyhow!("{failure:?}"))
    }

    /// Gives blobs by `lie` from now on.
    pub fn lie_about_blobs(
        &self,
        lie: impl Fn(UserId, BlobId, Vec<u8>) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) {
        self.lies().blobs = Arc::new(lie);
    }

    /// Tells the truth from now on, and from the beginning.
    pub fn tell_the_truth(&self) {
        *self.lies() = Lies::default();
        self.told.send_modify(|turn| *turn = turn.saturating_add(1));
    }

    fn lies(&self) -> std::sync::MutexGuard<'_, Lies> {
        self.lies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A chain as it really is.
    pub async fn entries(&self, chain: ChainId) -> Result<Vec<Entry>> {
        let page = self.services().storage.read().await?.entries(chain, None, WHOLE).await?;
        ensure!(!page.more, "a chain is longer than a test needs");
        Ok(page.rows.into_iter().map(|stored| stored.entry).collect())
    }

    /// A blob as it really is.
    pub async fn blob(&self, community: CommunityId, blob: BlobId) -> Result<Vec<u8>> {
        let mut view = self.services().storage.read().await?;
        let stored = view.whole_blob(community, blob).await?.context("no such blob")?;
        Ok(view.blob_bytes(stored.key, 0, stored.size).await?)
    }

    /// The communities that there are.
    pub async fn communities(&self) -> Result<Vec<CommunityId>> {
        let rows = self.services().storage.read().await?.communities(None, 100).await?;
        Ok(rows.into_iter().map(|row| row.community).collect())
    }

    /// A chain as `to` is shown it.
    async fn shown(&self, to: UserId, chain: ChainId) -> Result<Vec<Entry>> {
        let entries = self.entries(chain).await?;
        let lie = Arc::clone(&self.lies().chains);
        Ok(lie(to, chain, entries))
    }

    async fn serve(self, listener: Listener) {
        while let Some(incoming) = listener.accept().await {
            tokio::spawn(self.clone().connection(incoming));
        }
    }

    async fn connection(self, incoming: Incoming) {
        let Ok(connection) = incoming.establish().await else { return };
        let exporter = connection.exporter();
        let side = (connection.protocol() == Protocol::Peer)
            .then(|| PeerSide::new(connection.peer_exporters(), Client::over(connection.clone())));
        let seats = &self.services().seats;
        let address = connection.remote().ip();
        let Some(seat) = seats.sit_as(address, exporter, side, None) else { return };
        self.carry(&connection, &seat).await;
        seats.leave(&seat);
    }

    async fn carry(&self, connection: &Connection, seat: &Arc<Seat>) {
        loop {
            tokio::select! {
                accepted = connection.accept() => {
                    let Ok((send, recv)) = accepted else { return };
                    let (liar, seat) = (self.clone(), Arc::clone(seat));
                    tokio::spawn(async move {
                        // Whoever asked is gone, or asked something that cannot be: a liar owes nobody a reason.
                        drop(liar.stream(send, recv, seat).await);
                    });
                }
                _ = seat.ended() => return,
            }
        }
    }

    async fn stream(
        self,
        mut send: SendStream,
        mut recv: RecvStream,
        seat: Arc<Seat>,
    ) -> Result<()> {
        let method = recv.read_frame(MAX_METHOD).await?.context("no method")?;
        let method = String::from_utf8(method)?;
        let body = recv.read_frame(MAX_BATCH).await?.context("no body")?;
        if method == Follow::METHOD {
            return self.follow(send, recv, &seat, &body).await;
        }
        let honest = self.router.answer(&method, body.clone(), Arc::clone(&seat)).await;
        let answer = match seat.principal() {
            Principal::Device(who) => {
                self.changed(who.user, &method, &body, honest.to_vec()).await?
            }
            Principal::Peer(root) => {
                self.changed_for_peer(root, &method, &body, honest.to_vec()).await?
            }
            _ => honest.to_vec(),
        };
        send.write_frame(&answer).await?;
        send.finish().await;
        Ok(())
    }

    async fn follow(
        &self,
        mut send: SendStream,
        recv: RecvStream,
        seat: &Seat,
        body: &[u8],
    ) -> Result<()> {
        let Principal::Device(who) = seat.principal() else { return Ok(()) };
        let services = self.services();
        let request: Follow = codec::decode_within(body, MAX_BATCH)?;
        let opened = follow::open(services, who, request).await;
        let following =
            opened.map_err(|_: Failure<FollowError>| anyhow::anyhow!("not followed"))?;
        let started: Answer<FollowStarted, FollowError> = Answer::Reply(following.started);
        send.write_frame(&codec::encode(&started)).await?;
        let mut down = Down {
            liar: self,
            who,
            send,
            feed: Arc::clone(&following.feed),
            position: following.position,
            sent: following.chains.into_iter().collect(),
        };
        let result = tokio::select! {
            result = down.run() => result,
            result = self.up(recv, who, &following.feed) => result,
        };
        follow::close(services, who, &following.feed).await;
        result
    }

    async fn up(&self, mut recv: RecvStream, who: Authenticated, feed: &Arc<Feed>) -> Result<()> {
        let services = self.services();
        loop {
            let Some(bytes) = recv.read_frame(MAX_FRAME).await? else {
                return std::future::pending().await;
            };
            match codec::decode(&bytes)? {
                FollowUp::Acknowledge { through } => {
                    message::acknowledge(services, who.device, through);
                }
                FollowUp::Follow(followed) => follow::more(services, who, feed, followed).await?,
                FollowUp::Unfollow { chain } => {
                    services.feeds.unfollow(feed, chain);
                    feed.push(Live::End { chain });
                }
                FollowUp::Typing { .. } | FollowUp::TypingIn { .. } | FollowUp::ReadIn { .. } => {}
            }
        }
    }
}

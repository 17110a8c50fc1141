//! The connection: made, authenticated, kept, and made again with jittered backoff.

use std::{sync::Arc, time::Duration};

use rookery_protocol::{
    delivery::Backoff,
    io::client::{CallError, Client, Trust},
    name::HostPort,
    request::session::{OpenError, Refresh, RefreshError},
    session::{FollowDown, FollowUp, prove_login},
    time::Timestamp,
};
use tokio::sync::mpsc;

use super::{Engine, chains::ChainError, draw, refusal::failed_as};
use crate::{
    error::{CommandError, Kind},
    store::{Account, AccountStage, Name, Session, Store},
};

/// The first wait before connecting again, and the longest: with the ten seconds that an attempt may take, within half a minute after the server
/// can be reached again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));
/// How long nothing may come down the follow stream before the server is asked whether it is there. The transport's own time-out is a
/// minute, and a message that waits for it is a minute late.
const QUIET: Duration = Duration::from_secs(15);
/// A token that ends this soon is refreshed first.
const MARGIN: Duration = Duration::from_mins(1);
/// What came down and was not taken in yet. The stream's own window holds the rest back.
const DOWN: usize = 256;
/// What waits to go up: acknowledgements and chains to follow.
const UP: usize = 256;

/// How the connection stands.
#[derive(Clone, Debug)]
pub enum Link {
    /// The first attempt is under way.
    Connecting,
    /// There is one.
    Online(Online),
    /// There is none, and it will be tried again.
    Offline(CommandError),
    /// There will be none: the session is over, or this device was revoked.
    Ended(CommandError),
}

/// An authenticated connection.
#[derive(Clone, Debug)]
pub struct Online {
    /// The connection.
    pub client: Client,
    /// Since when.
    pub since: Timestamp,
    /// Whether everything that had waited at the home has been taken in.
    pub caught_up: bool,
    pub(super) up: mpsc::Sender<FollowUp>,
}

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum Attempt {
    /// It may succeed another time.
    Again(CommandError),
    /// It will not: log in again, or another device has to act.
    Never(CommandError),
}

impl From<CommandError> for Attempt {
    fn from(error: CommandError) -> Self {
        Self::Again(error)
    }
}

impl From<crate::store::StoreError> for Attempt {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Again(error.into())
    }
}

impl Engine {
    /// Keeps the connection for as long as the engine runs.
    pub(super) async fn run_link(self: Arc<Self>) {
        if !self.is_certified() {
            let error = match self.account().stage {
                AccountStage::Ended => over("this device was signed out or revoked"),
                _ => CommandError::new(Kind::NotPermitted, "this device is not certified yet").hint(
                    "run `rookery device link` on another device, and `rookery login` with its code here",
                ),
            };
            self.link.send_replace(Link::Ended(error));
            return;
        }
        let mut backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
        loop {
            let outcome = tokio::select! {
                () = self.drain.cancelled() => return,
                outcome = self.connect_and_follow(&mut backoff) => outcome,
            };
            if self.drain.is_cancelled() {
                return;
            }
            let wait = match outcome {
                Attempt::Never(error) => {
                    tracing::warn!(%error, "the session has ended");
                    self.link.send_replace(Link::Ended(error));
                    return;
                }
                Attempt::Again(error) => {
                    tracing::debug!(%error, "not connected");
                    self.link.send_replace(Link::Offline(error));
                    backoff.next_delay(draw())
                }
            };
            tokio::select! {
                () = self.drain.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn connect_and_follow(&self, backoff: &mut Backoff) -> Attempt {
        let client = match self.connect().await {
            Ok(client) => client,
            Err(attempt) => return attempt,
        };
        backoff.reset();
        let (up, up_queue) = mpsc::channel(UP);
        self.link.send_replace(Link::Online(Online {
            client: client.clone(),
            since: self.now(),
            caught_up: false,
            up: up.clone(),
        }));
        self.outbox_wake.notify_one();
        // What changed while there was no connection was told to nobody.
        self.owe(|due| due.outstanding = true);
        self.postings_wake.notify_one();
        self.transfers_wake.notify_one();
        self.transfers_wake.notify_one();
        self.leaves_wake.notify_one();
        self.owe_communities();
        let ended = Box::pin(self.follow(&client, up, up_queue)).await;
        if let Some(lost) = client.connection().lost()
            && let rookery_protocol::io::ConnectionLost::Closed(
                rookery_protocol::io::CloseReason::SessionEnded,
            ) = lost
        {
            // Whether it was this session or this device, the next attempt will say.
            tracing::info!("the home has ended the session");
        }
        client.close();
        ended
    }

    async fn connect(&self) -> Result<Client, Attempt> {
        let account = self.account();
        let client = reach(&account).await?;
        let session =
            usable_session(&client, &self.store, &account, &self.secrets, self.now()).await?;
        let mut opened = client.open_session(self.secrets.signing(), &session.access).await;
        if matches!(opened, Err(CallError::Request(OpenError::Expired | OpenError::InvalidToken))) {
            let session = refresh(&client, &self.store, session, &self.secrets, self.now()).await?;
            opened = client.open_session(self.secrets.signing(), &session.access).await;
        }
        let opened = match opened {
            Ok(opened) => opened,
            Err(CallError::Request(OpenError::Ended)) => {
                return Err(Attempt::Never(over("the session has ended")));
            }
            Err(error) => return Err(Attempt::Again(failed_as(error, |_| Kind::Locked))),
        };
        if !opened.certified {
            self.change_account(|account| account.stage = AccountStage::Ended).await?;
            return Err(Attempt::Never(over(
                "this device is not in the account's chain any more: it was revoked",
            )));
        }
        Ok(client)
    }

    /// Opens the follow stream and takes in what comes, until it ends.
    async fn follow(
        &self,
        client: &Client,
        up: mpsc::Sender<FollowUp>,
        mut up_queue: mpsc::Receiver<FollowUp>,
    ) -> Attempt {
        let follow = match self.prepare_follow(client).await {
            Ok(follow) => follow,
            Err(error) => return Attempt::Again(error),
        };
        let (started, mut receiver, mut sender) = match client.follow(&follow).await {
            Ok(started) => started,
            Err(error) => return Attempt::Again(failed_as(error, |_| Kind::Failed)),
        };
        if let Err(error) = self.note_start(&started, &follow).await {
            return Attempt::Again(error.into());
        }
        // Receiving and sending frames are not cancel-safe, so each has a task of its own; both end with the connection.
        let (down, mut down_queue) = mpsc::channel::<FollowDown>(DOWN);
        self.tasks.spawn(async move {
            while let Ok(frame) = receiver.recv().await {
                if down.send(frame).await.is_err() {
                    return;
                }
            }
        });
        self.tasks.spawn(async move {
            while let Some(frame) = up_queue.recv().await {
                if sender.send(&frame).await.is_err() {
                    return;
                }
            }
        });
        let mut frames = Vec::with_capacity(DOWN);
        let mut better = std::pin::pin!(client.until_quic_works());
        loop {
            frames.clear();
            // Taking what is there is cancel-safe: what was not taken stays in the channel.
            let taken = tokio::select! {
                taken = tokio::time::timeout(QUIET, down_queue.recv_many(&mut frames, DOWN)) => taken,
                () = &mut better => return broken(),
            };
            match taken {
                Ok(0) => return broken(),
                Ok(_) => {}
                // A server that was killed says nothing, and what it has for us waits until we come back.
                Err(_) if client.is_there().await => continue,
                Err(_) => return broken(),
            }
            match self.take_in(client, &up, std::mem::take(&mut frames)).await {
                Ok(()) => {}
                Err(ChainError::GoingAway(wait)) => {
                    tokio::time::sleep(wait).await;
                    return Attempt::Again(CommandError::new(
                        Kind::NoConnection,
                        "the server is restarting",
                    ));
                }
                Err(ChainError::Ended(error)) => return Attempt::Never(error),
                Err(error) => return Attempt::Again(error.into()),
            }
        }
    }

    /// Marks that all that had waited was taken in.
    pub(super) fn mark_caught_up(&self) {
        self.link.send_if_modified(|link| match link {
            Link::Online(online) if !online.caught_up => {
                online.caught_up = true;
                true
            }
            _ => false,
        });
    }

    /// Sends something up the follow stream, if there is one.
    pub(super) async fn send_up(&self, frame: FollowUp) {
        let up = match &*self.link.borrow() {
            Link::Online(online) => Some(online.up.clone()),
            _ => None,
        };
        if let Some(up) = up {
            up.send(frame).await.ok();
        }
    }
}

/// A connection that is gone.
fn broken() -> Attempt {
    Attempt::Again(CommandError::new(Kind::NoConnection, "the connection to the server broke"))
}

/// A session that is over.
fn over(what: &str) -> CommandError {
    CommandError::new(Kind::Locked, format!("{what}; what is stored here can still be read")).hint(
        "`rookery login` with the same profile logs in again; a revoked device needs a new profile",
    )
}

/// Connects to the account's home.
pub(super) async fn reach(account: &Account) -> Result<Client, CommandError> {
    let address: HostPort = account.address.parse()?;
    let trust = account.pin.map_or(Trust::WebPki, Trust::Pinned);
    Ok(Client::connect(&address, trust).await?)
}

/// The session, with a token that is good for a while.
pub(super) async fn usable_session(
    client: &Client,
    store: &Store,
    _account: &Account,
    secrets: &crate::e2ee::identity::DeviceSecrets,
    now: Timestamp,
) -> Result<Session, Attempt> {
    let session = store.read().await?.session().await?;
    let session =
        session.ok_or_else(|| Attempt::Never(over("nobody is logged in on this device")))?;
    if session.access_expires > now.plus(MARGIN) {
        return Ok(session);
    }
    refresh(client, store, session, secrets, now).await
}

async fn refresh(
    client: &Client,
    store: &Store,
    session: Session,
    secrets: &crate::e2ee::identity::DeviceSecrets,
    now: Timestamp,
) -> Result<Session, Attempt> {
    let proof = prove_login(secrets.signing(), &client.exporter(), &session.refresh, now);
    let request = Refresh {
        token: session.refresh,
        device: secrets.signing().verifying_key(),
        proof,
        at: now,
    };
    // A lost answer costs nothing: the same token gets the same successor until that is used.
    match client.call(&request).await {
        Ok(tokens) => {
            let session = Session::from(tokens);
            let mut unit = store.write().await?;
            unit.put_value(Name::Session, &session).await?;
            unit.commit().await?;
            Ok(session)
        }
        Err(CallError::Request(
            error @ (RefreshError::Ended | RefreshError::Reused | RefreshError::Disabled),
        )) => Err(Attempt::Never(over(&error.to_string()))),
        Err(error) => Err(Attempt::Again(failed_as(error, |_| Kind::Failed))),
    }
}

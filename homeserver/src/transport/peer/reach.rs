//! Reaching a peer: wherever it may be, one place after the other, until one proves the pinned root.

use std::{collections::HashSet, time::Duration};

use rookery_protocol::{
    id::ServerId,
    io::{
        ConnectError,
        client::{CONNECT_PATIENCE, CallError, Client},
    },
    name::HostPort,
    request::{
        Refusal,
        discovery::Rank,
        peer::{PeerHelloError, PeerProveError},
        peering::PeerStep,
        server::ServerRecord,
    },
    session::peer::{Dialling, Unproven},
};

use crate::{
    repository::{StorageError, peer::StoredFinding},
    service::{
        Services,
        peer::{
            Peer,
            discovery::{
                self, Unfound,
                rule::{Candidate, RANKS},
            },
            handshake,
        },
    },
};

/// How long an address may take to answer after another one did not, so that the first is soon tried again.
const LESS_PATIENCE: Duration = Duration::from_secs(4);
/// How long proving may take.
const PROOF: Duration = Duration::from_secs(10);

/// Why a peer was not reached.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// It is not known where it is.
    #[error("it is not known where the server is: {0}")]
    NoPlace(String),
    /// A place cannot be made out, or is not to be connected to.
    #[error(transparent)]
    Unfound(#[from] Unfound),
    /// Nobody answers there.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It turned this server away.
    #[error(transparent)]
    TurnedAway(#[from] CallError<PeerHelloError>),
    /// It did not take this server's proof.
    #[error(transparent)]
    NotTaken(#[from] CallError<PeerProveError>),
    /// It did not prove itself.
    #[error(transparent)]
    Unproven(#[from] Unproven),
    /// It has another root than the pinned one, where it is to be by the word of who may say so.
    #[error("the server there shows the root key {found}, which is not the pinned one")]
    OtherRoot {
        /// Which.
        found: ServerId,
    },
    /// Somebody else is where it might have been.
    #[error("another server is at {place}: it shows the root key {found}")]
    Stranger {
        /// Where.
        place: HostPort,
        /// Which.
        found: ServerId,
    },
    /// Its record is older than one that it showed before.
    #[error("the server's record is older than the one that is known")]
    OldRecord,
    /// Its record has ended.
    #[error("the server's record has ended: its administrator renews it by `rookeryd key rotate`")]
    EndedRecord,
    /// It took too long.
    #[error("the server took too long to prove itself")]
    TimedOut,
    /// This server is broken.
    #[error("this server failed: {0}")]
    Own(Refusal),
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl DialError {
    /// What did not go well.
    #[must_use]
    pub fn step(&self) -> PeerStep {
        match self {
            Self::NoPlace(_) | Self::Unfound(_) | Self::Connect(ConnectError::NoAddress { .. }) => {
                PeerStep::Name
            }
            Self::Connect(ConnectError::Unreachable(_) | ConnectError::Socket(_)) => PeerStep::Udp,
            Self::Connect(
                ConnectError::WrongServer { .. }
                | ConnectError::Untrusted(_)
                | ConnectError::Tls(_),
            ) => PeerStep::Tls,
            Self::Unproven(Unproven::Forged)
            | Self::NotTaken(_)
            | Self::TimedOut
            | Self::Own(_)
            | Self::Storage(_) => PeerStep::Proof,
            Self::TurnedAway(_)
            | Self::Unproven(_)
            | Self::OtherRoot { .. }
            | Self::Stranger { .. }
            | Self::OldRecord
            | Self::EndedRecord => PeerStep::Record,
        }
    }

    /// Whether the peer itself has answered, or what should be there is another: it is looked for nowhere else.
    const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::NotTaken(_)
                | Self::OtherRoot { .. }
                | Self::OldRecord
                | Self::EndedRecord
                | Self::Own(_)
                | Self::Storage(_)
        )
    }
}

/// Connects to a peer wherever it is found first and proves both sides, and no more.
pub async fn reach(services: &Services, peer: &Peer) -> Result<(Client, ServerRecord), DialError> {
    let mut remarks = vec![];
    let mut failure: Option<DialError> = None;
    let mut tried = HashSet::new();
    for rank in RANKS {
        let heard = discovery::hear(services, &peer.name, Some(peer), rank).await;
        remarks.extend(heard.remark);
        for candidate in &heard.candidates {
            if tried.contains(&candidate.place) {
                continue;
            }
            let patience = if tried.is_empty() { CONNECT_PATIENCE } else { LESS_PATIENCE };
            match attempt(services, peer, candidate, patience).await {
                Ok(reached) => return Ok(reached),
                Err(error) if error.is_final() => return Err(error),
                Err(error) => {
                    tracing::debug!(peer = %peer.name, place = %candidate.place, ?rank, %error, "the peer is not there");
                    // A place that was not made out may be by what somebody else remembers of it.
                    if !matches!(error, DialError::Unfound(_)) {
                        tried.insert(candidate.place.clone());
                    }
                    // What came furthest tells most.
                    if failure.as_ref().is_none_or(|former| former.step() < error.step()) {
                        failure = Some(error);
                    }
                }
            }
        }
    }
    // Where nobody here said where the peer is, whoever owns its name says whether it still is who it was.
    if peer.stored().address.is_none()
        && let Some(found) = discovery::other_owner(services, peer)
    {
        return Err(DialError::OtherRoot { found });
    }
    remarks.dedup();
    Err(failure.unwrap_or_else(|| DialError::NoPlace(remarks.join("; "))))
}

/// Connects to a peer where it may be, and proves both sides. Each address has as much time to answer as `patience` says.
pub(super) async fn attempt(
    services: &Services,
    peer: &Peer,
    candidate: &Candidate,
    patience: Duration,
) -> Result<(Client, ServerRecord), DialError> {
    let client = if candidate.rank == Rank::Override {
        Client::connect_peer(&candidate.place).await?
    } else {
        let addresses = discovery::addresses(services, candidate).await?;
        let client = Client::connect_peer_to(&addresses, &peer.name, patience).await?;
        // Those addresses were looked at; this is the one that was connected to.
        let remote = client.connection().remote().ip();
        if let Some(kind) = discovery::barred(services, remote) {
            client.close();
            let why = format!("{} is at {remote}, which is a {kind} address", candidate.place);
            return Err(Unfound::Nothing(why).into());
        }
        client
    };
    let proven = tokio::time::timeout(PROOF, prove(services, peer, &client)).await;
    match proven.unwrap_or(Err(DialError::TimedOut)) {
        Ok(record) => {
            note_place(services, peer, candidate, &client).await?;
            Ok((client, record))
        }
        Err(DialError::OtherRoot { found }) if candidate.rank != Rank::Override => {
            client.close();
            Err(DialError::Stranger { place: candidate.place.clone(), found })
        }
        Err(error) => {
            client.close();
            Err(error)
        }
    }
}

/// Keeps where the peer has proven itself, for when nobody can say so.
async fn note_place(
    services: &Services,
    peer: &Peer,
    candidate: &Candidate,
    client: &Client,
) -> Result<(), StorageError> {
    let reached = Some(client.connection().remote());
    let Candidate { rank, place, .. } = candidate.clone();
    handshake::found(services, peer, StoredFinding { rank, place, reached }).await
}

async fn prove(
    services: &Services,
    peer: &Peer,
    client: &Client,
) -> Result<ServerRecord, DialError> {
    let record = services.identity.record();
    let own = record.oneself(&services.identity.online);
    let nonce = handshake::nonce().map_err(DialError::Own)?;
    let exporters = client.connection().peer_exporters();
    let (dialling, hello) = Dialling::begin(&own, &peer.name, nonce)?;
    let reply = client.call(&hello).await?;
    let (record, prove) = dialling.handle_reply(&own, &reply, &exporters)?;
    let (stored, found) = (peer.stored(), record.root.server_id());
    if stored.root != Some(found) {
        return Err(DialError::OtherRoot { found });
    }
    if record.number < stored.record {
        return Err(DialError::OldRecord);
    }
    if record.has_ended(services.clock.now()) {
        return Err(DialError::EndedRecord);
    }
    client.call(&prove).await?;
    Ok(record)
}

/// An error with its causes.
#[must_use]
pub fn explain(error: &DialError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

//! Finding the profile's agent, or becoming it.

use std::{fs::File, os::unix::fs::OpenOptionsExt as _, sync::Arc, time::Duration};

use super::{
    client::{Agent, Asked, Remote},
    server::Server,
    verb::Verb,
};
use crate::{
    config::Place,
    engine::Engine,
    error::{CommandError, Kind},
    store::{self, Secret, Store, UnlockError},
};

/// How long to wait for a profile whose owner neither answers nor goes.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long between two looks whether the owner answers or is gone.
const GLANCE: Duration = Duration::from_millis(5);
/// How long a command that owned the profile stays for what is owed.
const SETTLE: Duration = Duration::from_millis(1_500);

/// The lock of a profile's directory: its holder owns the profile. The system lets it go when its holder dies, however that happens.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, if nobody has it.
    pub fn try_take(place: &Place) -> Result<Option<Self>, CommandError> {
        place.create()?;
        let file = File::options().create(true).append(true).mode(0o600).open(place.lock())?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Takes the lock; says that somebody else has the profile when they do not go soon.
    pub async fn take(place: &Place) -> Result<Self, CommandError> {
        let wait = async {
            loop {
                if let Some(lock) = Self::try_take(place)? {
                    return Ok(lock);
                }
                tokio::time::sleep(GLANCE).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(3), wait).await.unwrap_or_else(|_| {
            Err(CommandError::new(Kind::Failed, "another rookery is at work with this profile")
                .hint("end the running `rookery daemon` or terminal first"))
        })
    }
}

/// This process as the profile's owner.
#[derive(Debug)]
pub struct Owner {
    engine: Arc<Engine>,
    server: Server,
    _lock: Lock,
}

impl Owner {
    /// Owns the profile whose lock is held and whose store is open: starts its engine, serves its socket.
    pub async fn start(place: &Place, lock: Lock, store: Store) -> Result<Self, CommandError> {
        let engine = Engine::open(place.clone(), store).await?;
        let server = Server::start(place.socket()?, Arc::clone(&engine))?;
        engine.start();
        Ok(Self { engine, server, _lock: lock })
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Ends in order: what is owed goes out for a moment, callers are let finish, then the lock is free.
    pub async fn stop(self) {
        self.server.stop().await;
        self.engine.stop(SETTLE).await;
    }
}

/// Where a passphrase comes from, when the store needs one.
pub type SecretSource = Box<dyn Fn(Need) -> Result<Secret, CommandError> + Send + Sync>;

/// How much a secret is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Whatever was named, or what can be found.
    First,
    /// A passphrase, since nothing that was found opens the store.
    Passphrase,
}

/// A profile's agent: another process, or this one.
pub struct Access {
    place: Place,
    source: SecretSource,
    agent: Agent,
    owner: Option<Owner>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Access")
            .field("place", &self.place)
            .field("is_owner", &self.owner.is_some())
            .finish_non_exhaustive()
    }
}

impl Access {
    /// Finds the profile's agent or becomes it.
    pub async fn open(place: Place, source: SecretSource) -> Result<Self, CommandError> {
        let (agent, owner) = find(&place, &source).await?;
        Ok(Self { place, source, agent, owner })
    }

    /// Asks `verb`. When the agent goes away meanwhile, its successor is asked, or this process becomes it: verbs that send carry the id of
    /// what they send, so that asking twice sends once.
    pub async fn ask<V: Verb + Clone>(
        &mut self,
        verb: V,
        mut on_event: impl FnMut(V::Event) -> Result<(), CommandError>,
    ) -> Result<V::Reply, CommandError> {
        for _ in 0..5 {
            match self.agent.ask(verb.clone(), &mut on_event).await {
                Asked::Answered(outcome) => return outcome,
                Asked::Gone => self.reopen().await?,
            }
        }
        Err(CommandError::new(Kind::Failed, "the profile's agent keeps going away"))
    }

    /// Asks `verb` once.
    pub async fn ask_once<V: Verb>(
        &mut self,
        verb: V,
        on_event: impl FnMut(V::Event) -> Result<(), CommandError>,
    ) -> Asked<V::Reply> {
        self.agent.ask(verb, on_event).await
    }

    /// Asks `verb` of the agent that is there now, whose successor would know nothing of what went before.
    pub async fn ask_answered<V: Verb>(
        &mut self,
        verb: V,
        on_event: impl FnMut(V::Event) -> Result<(), CommandError>,
    ) -> Result<V::Reply, CommandError> {
        match self.agent.ask(verb, on_event).await {
            Asked::Answered(outcome) => outcome,
            Asked::Gone => {
                Err(CommandError::new(Kind::Failed, "the profile's agent went away meanwhile")
                    .hint("try again"))
            }
        }
    }

    /// Finds the agent again after it went away.
    pub async fn reopen(&mut self) -> Result<(), CommandError> {
        (self.agent, self.owner) = find(&self.place, &self.source).await?;
        Ok(())
    }

    /// The owner, when this process is it.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        self.owner.as_ref()
    }

    /// The profile's place.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Ends in order.
    pub async fn close(self) {
        if let Some(owner) = self.owner {
            owner.stop().await;
        }
    }
}

async fn find(
    place: &Place,
    source: &SecretSource,
) -> Result<(Agent, Option<Owner>), CommandError> {
    if !place.store().exists() {
        return Err(UnlockError::Absent.into());
    }
    let socket = place.socket()?;
    let search = async {
        loop {
            if let Some(remote) = Remote::connect(&socket).await? {
                return Ok((Agent::Other(Box::new(remote)), None));
            }
            if let Some(lock) = Lock::try_take(place)? {
                let owner = own(place, lock, source).await?;
                return Ok((Agent::Own(Arc::clone(owner.engine())), Some(owner)));
            }
            // Its owner is about to serve, or about to go.
            tokio::time::sleep(GLANCE).await;
        }
    };
    // A passphrase that somebody types is not waited for here: the lock is held by then.
    tokio::time::timeout(PATIENCE.saturating_add(Duration::from_mins(2)), search)
        .await
        .unwrap_or_else(|_| {
            Err(CommandError::new(
                Kind::Failed,
                "another rookery holds this profile, and does not answer",
            )
            .hint("look for a hanging `rookery` process, and end it"))
        })
}

async fn own(place: &Place, lock: Lock, source: &SecretSource) -> Result<Owner, CommandError> {
    let locked = store::unlock(place, source(Need::First)?).await;
    let store = match locked {
        Err(UnlockError::NeedsPassphrase) => {
            store::unlock(place, source(Need::Passphrase)?).await?
        }
        outcome => outcome?,
    };
    Owner::start(place, lock, store).await
}

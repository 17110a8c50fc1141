//! One agent asked by many at once: what a screen needs, which follows changes, reads pages and sends, all at the same time.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use serde_json::Value;

use super::{
    client::{Agent, Asked, Remote},
    own::Access,
};
use crate::error::{CommandError, Kind};

/// Connections to another process's agent that are kept for the next call.
const IDLE: usize = 4;
/// How often a call looks for the agent's successor.
const ATTEMPTS: usize = 5;

/// The profile's agent, for callers that do not wait for one another. When the agent goes away, the first of them finds its successor, or
/// makes this process the agent.
#[derive(Debug)]
pub struct Shared {
    access: tokio::sync::Mutex<Access>,
    /// Rises whenever the agent was looked for again.
    generation: AtomicU64,
    idle: Mutex<Vec<Remote>>,
}

impl Shared {
    /// Shares `access`.
    #[must_use]
    pub fn new(access: Access) -> Arc<Self> {
        Arc::new(Self {
            access: tokio::sync::Mutex::new(access),
            generation: AtomicU64::new(0),
            idle: Mutex::default(),
        })
    }

    /// Calls `method` of the verb table; events go to `on_event` as they come. What its agent left unanswered is asked of the next one:
    /// verbs that send carry the id of what they send.
    pub async fn call(
        &self,
        method: &str,
        params: Value,
        mut on_event: impl FnMut(Value),
    ) -> Result<Value, CommandError> {
        for _ in 0..ATTEMPTS {
            let generation = self.generation.load(Ordering::Acquire);
            if let Some(mut agent) = self.line().await?
                && let Asked::Answered(outcome) =
                    agent.call(method, params.clone(), &mut on_event).await
            {
                self.keep(agent);
                return outcome;
            }
            self.renew(generation).await?;
        }
        Err(CommandError::new(Kind::Failed, "the profile's agent keeps going away"))
    }

    /// Whether this process is the agent.
    pub async fn is_owner(&self) -> bool {
        self.access.lock().await.owner().is_some()
    }

    /// Ends in order: what is owed goes out for a moment.
    pub async fn close(self: Arc<Self>) {
        if let Some(shared) = Arc::into_inner(self) {
            shared.access.into_inner().close().await;
        }
    }

    /// A way to ask; nothing when the agent is gone.
    async fn line(&self) -> Result<Option<Agent>, CommandError> {
        if let Some(remote) = self.kept().pop() {
            return Ok(Some(Agent::Other(Box::new(remote))));
        }
        let access = self.access.lock().await;
        if let Some(owner) = access.owner() {
            return Ok(Some(Agent::Own(Arc::clone(owner.engine()))));
        }
        let socket = access.place().socket()?;
        drop(access);
        let remote = Remote::connect(&socket).await?;
        Ok(remote.map(|remote| Agent::Other(Box::new(remote))))
    }

    fn keep(&self, agent: Agent) {
        if let Agent::Other(remote) = agent {
            let mut kept = self.kept();
            if kept.len() < IDLE {
                kept.push(*remote);
            }
        }
    }

    /// Finds the agent again, unless another caller has done so since `generation`.
    async fn renew(&self, generation: u64) -> Result<(), CommandError> {
        let mut access = self.access.lock().await;
        if self.generation.load(Ordering::Acquire) != generation {
            return Ok(());
        }
        self.kept().clear();
        access.reopen().await?;
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Remote>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

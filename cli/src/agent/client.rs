//! Asking an agent: over its socket, or in this very process.

use std::{path::Path, sync::Arc};

use serde_json::Value;
use tokio::{
    io::BufReader,
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
};

use super::{
    MAX_ANSWER, MAX_EVENTS, VERSION,
    line::{Request, Response, read_line_of, write_line},
    verb::{Call, Hello, Verb, table},
};
use crate::{
    engine::Engine,
    error::{CommandError, Kind},
};

/// Somebody who answers verbs.
#[derive(Debug)]
pub enum Agent {
    /// This process owns the profile.
    Own(Arc<Engine>),
    /// Another one does.
    Other(Box<Remote>),
}

/// The socket of another process's agent. One call at a time.
#[derive(Debug)]
pub struct Remote {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    next: u64,
}

/// What a call came to, when its agent may go away meanwhile.
#[derive(Debug)]
pub enum Asked<T> {
    /// An answer, or the verb's failure.
    Answered(Result<T, CommandError>),
    /// The agent is gone; whether the verb was carried out is not known.
    Gone,
}

impl Agent {
    /// Asks `verb` and waits for the answer; events go to `on_event` as they come.
    pub async fn ask<V: Verb>(
        &mut self,
        verb: V,
        mut on_event: impl FnMut(V::Event) -> Result<(), CommandError>,
    ) -> Asked<V::Reply> {
        match self {
            Self::Own(engine) => {
                let (events, mut coming) = mpsc::channel::<Value>(MAX_EVENTS);
                let mut run = Box::pin(verb.run(Call::new(Arc::clone(engine), events)));
                loop {
                    tokio::select! {
                        biased;
                        Some(event) = coming.recv() => {
                            if let Err(error) = parse::<V::Event>(event).and_then(&mut on_event) {
                                return Asked::Answered(Err(error));
                            }
                        }
                        outcome = &mut run => {
                            while let Ok(event) = coming.try_recv() {
                                if let Err(error) = parse::<V::Event>(event).and_then(&mut on_event) {
                                    return Asked::Answered(Err(error));
                                }
                            }
                            return Asked::Answered(outcome);
                        }
                    }
                }
            }
            Self::Other(remote) => remote.ask(verb, on_event).await,
        }
    }

    /// Calls `method` of the verb table with its parameters as they go over the wire.
    pub async fn call(
        &mut self,
        method: &str,
        params: Value,
        mut on_event: impl FnMut(Value),
    ) -> Asked<Value> {
        let engine = match self {
            Self::Other(remote) => return remote.call(method, params, on_event).await,
            Self::Own(engine) => engine,
        };
        let Some(entry) = table().iter().find(|entry| entry.method == method) else {
            let error = CommandError::new(Kind::Usage, format!("there is no method {method:?}"));
            return Asked::Answered(Err(error));
        };
        let (events, mut coming) = mpsc::channel::<Value>(MAX_EVENTS);
        let mut run = (entry.run)(params, Call::new(Arc::clone(engine), events));
        loop {
            tokio::select! {
                biased;
                Some(event) = coming.recv() => on_event(event),
                outcome = &mut run => {
                    while let Ok(event) = coming.try_recv() {
                        on_event(event);
                    }
                    return Asked::Answered(outcome);
                }
            }
        }
    }
}

impl Remote {
    /// Connects to the agent at `path`, if there is one.
    pub async fn connect(path: &Path) -> Result<Option<Self>, CommandError> {
        let stream = match UnixStream::connect(path).await {
            Ok(stream) => stream,
            // Nobody has bound it, or who did is gone, perhaps just now.
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound
                        | std::io::ErrorKind::ConnectionRefused
                        | std::io::ErrorKind::ConnectionReset
                        | std::io::ErrorKind::BrokenPipe
                ) =>
            {
                return Ok(None);
            }
            Err(error) => {
                return Err(CommandError::new(
                    Kind::Failed,
                    format!("the agent's socket {} cannot be used: {error}", path.display()),
                ));
            }
        };
        let Ok(peer) = stream.peer_cred() else { return Ok(None) };
        if peer.uid() != crate::config::own_uid()? {
            return Err(CommandError::new(
                Kind::Trust,
                format!(
                    "the agent's socket {} belongs to another user; nothing was sent to it",
                    path.display()
                ),
            ));
        }
        let (reader, writer) = stream.into_split();
        let mut remote = Self { reader: BufReader::new(reader), writer, next: 1 };
        match remote.ask(Hello { version: VERSION }, |_| Ok(())).await {
            Asked::Answered(Ok(hello)) if hello.version == VERSION => Ok(Some(remote)),
            Asked::Answered(Ok(hello)) => Err(CommandError::new(
                Kind::Failed,
                format!(
                    "the running agent is rookery {}, and does not speak this version's language",
                    hello.software
                ),
            )
            .hint("end the running `rookery daemon` and start it again")),
            Asked::Answered(Err(error)) => Err(error),
            Asked::Gone => Ok(None),
        }
    }

    async fn ask<V: Verb>(
        &mut self,
        verb: V,
        mut on_event: impl FnMut(V::Event) -> Result<(), CommandError>,
    ) -> Asked<V::Reply> {
        let params = match serde_json::to_value(&verb) {
            Ok(params) => params,
            Err(error) => return Asked::Answered(Err(CommandError::of(Kind::Failed, &error))),
        };
        let outcome = self
            .exchange(V::METHOD, params, |event| parse::<V::Event>(event).and_then(&mut on_event))
            .await;
        match outcome {
            Asked::Answered(outcome) => Asked::Answered(outcome.and_then(parse)),
            Asked::Gone => Asked::Gone,
        }
    }

    async fn call(
        &mut self,
        method: &str,
        params: Value,
        mut on_event: impl FnMut(Value),
    ) -> Asked<Value> {
        let tell = |event| {
            on_event(event);
            Ok(())
        };
        self.exchange(method, params, tell).await
    }

    async fn exchange(
        &mut self,
        method: &str,
        params: Value,
        mut on_event: impl FnMut(Value) -> Result<(), CommandError>,
    ) -> Asked<Value> {
        let id = self.next;
        self.next = self.next.saturating_add(1);
        if write_line(&mut self.writer, &Request::call(id, method, params)).await.is_err() {
            return Asked::Gone;
        }
        loop {
            let Ok(Some(line)) = read_line_of(&mut self.reader, MAX_ANSWER).await else {
                return Asked::Gone;
            };
            let Ok(response) = serde_json::from_str::<Response>(&line) else {
                return Asked::Answered(Err(CommandError::new(
                    Kind::Failed,
                    "the agent answered something that is not JSON-RPC",
                )));
            };
            if let Some(mut params) = response.params {
                let event = params.get_mut("event").map(Value::take).unwrap_or_default();
                if let Err(error) = on_event(event) {
                    return Asked::Answered(Err(error));
                }
                continue;
            }
            if response.id != id {
                continue;
            }
            return Asked::Answered(match (response.result, response.error) {
                (_, Some(error)) => Err(error.into()),
                (result, None) => Ok(result.unwrap_or_default()),
            });
        }
    }
}

fn parse<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, CommandError> {
    serde_json::from_value(value).map_err(|error| {
        CommandError::new(
            Kind::Failed,
            format!("the agent answered something else than was asked: {error}"),
        )
    })
}

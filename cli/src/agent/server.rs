//! Serving the socket.

use std::{os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufRead, AsyncWrite, BufReader},
    net::UnixListener,
    sync::{Semaphore, mpsc},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    MAX_CALLS, MAX_EVENTS,
    line::{Request, Response, read_line, write_line},
    verb::{self, Call},
};
use crate::{
    engine::Engine,
    error::{CommandError, Kind},
};

/// Callers at one time; the next waits in the socket's own queue.
const MAX_CALLERS: usize = 64;
/// How long calls under way get to end when the owner ends.
const GRACE: Duration = Duration::from_secs(2);
/// How long calls get to end whose caller has nothing more to ask: as long as a call to the home may take, and some.
const PATIENCE: Duration = Duration::from_mins(1);

/// The agent's socket, served for as long as the owner lives.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    tasks: TaskTracker,
    drain: CancellationToken,
}

impl Server {
    /// Binds `path` and serves `engine` on it. Whoever calls this holds the profile's lock, so a socket that is there is a dead one's.
    pub fn start(path: PathBuf, engine: Arc<Engine>) -> Result<Self, CommandError> {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(|error| {
            CommandError::new(
                Kind::Failed,
                format!("the agent's socket {} cannot be bound: {error}", path.display()),
            )
        })?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let (tasks, drain) = (TaskTracker::new(), CancellationToken::new());
        let own = crate::config::own_uid()?;
        tasks.spawn(accept(listener, own, engine, tasks.clone(), drain.clone()));
        Ok(Self { path, tasks, drain })
    }

    /// Takes no more callers, lets calls under way end for a moment, and takes the socket away.
    pub async fn stop(self) {
        // First the name, so that nobody new comes; the lock is still held.
        std::fs::remove_file(&self.path).ok();
        self.drain.cancel();
        self.tasks.close();
        tokio::time::timeout(GRACE, self.tasks.wait()).await.ok();
    }
}

async fn accept(
    listener: UnixListener,
    own: u32,
    engine: Arc<Engine>,
    tasks: TaskTracker,
    drain: CancellationToken,
) {
    let callers = Arc::new(Semaphore::new(MAX_CALLERS));
    loop {
        let Ok(permit) = Arc::clone(&callers).acquire_owned().await else { return };
        let stream = tokio::select! {
            () = drain.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a caller could not be accepted");
                    continue;
                }
            },
        };
        if stream.peer_cred().map_or(true, |peer| peer.uid() != own) {
            tracing::warn!("another user called the agent's socket; refused");
            continue;
        }
        let (engine, drain) = (Arc::clone(&engine), drain.clone());
        tasks.spawn(async move {
            let (reader, writer) = stream.into_split();
            if let Err(error) = serve_stream(BufReader::new(reader), writer, engine, drain).await {
                tracing::debug!(%error, "a caller is gone");
            }
            drop(permit);
        });
    }
}

/// Serves one caller until they are gone or `drain` is cancelled: lines in, answers and events out. `rookery rpc` serves its own standard
/// input and output this way.
pub async fn serve_stream<R, W>(
    mut reader: R,
    mut writer: W,
    engine: Arc<Engine>,
    drain: CancellationToken,
) -> std::io::Result<()>
where
    R: AsyncBufRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let (answers, mut coming) = mpsc::channel::<Response>(MAX_EVENTS);
    let calls = TaskTracker::new();
    // A caller who goes away takes its calls along, and so does the end of the owner for calls that never end by themselves.
    let gone = CancellationToken::new();
    calls.spawn({
        let gone = gone.clone();
        async move {
            while let Some(response) = coming.recv().await {
                if write_line(&mut writer, &response).await.is_err() {
                    gone.cancel();
                    return;
                }
            }
        }
    });
    let ending = drain.child_token();
    let limit = Arc::new(Semaphore::new(MAX_CALLS));
    let outcome = loop {
        let Ok(permit) = Arc::clone(&limit).acquire_owned().await else { break Ok(()) };
        // Reading is not cancel-safe, but nothing is read after a cancellation.
        let line = tokio::select! {
            () = drain.cancelled() => break Ok(()),
            () = gone.cancelled() => break Ok(()),
            line = read_line(&mut reader) => match line {
                Ok(Some(line)) => line,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            },
        };
        if line.trim().is_empty() {
            continue;
        }
        let Ok(request) = serde_json::from_str::<Request>(&line) else {
            answers
                .send(Response::unreadable(-32700, "this line is no JSON-RPC request"))
                .await
                .ok();
            continue;
        };
        let (answers, engine, gone, ending) =
            (answers.clone(), Arc::clone(&engine), gone.clone(), ending.clone());
        calls.spawn(async move {
            tokio::select! {
                () = gone.cancelled() => {}
                () = answer(request, engine, &answers, &ending) => {}
            }
            drop(permit);
        });
    };
    // At the end of input, what was asked is still answered; only what would go on for ever ends.
    let patience = if drain.is_cancelled() { GRACE } else { PATIENCE };
    ending.cancel();
    drop(answers);
    calls.close();
    tokio::time::timeout(patience, calls.wait()).await.ok();
    gone.cancel();
    outcome
}

async fn answer(
    request: Request,
    engine: Arc<Engine>,
    answers: &mpsc::Sender<Response>,
    ending: &CancellationToken,
) {
    let id = request.id.clone();
    let (events, mut coming) = mpsc::channel::<Value>(MAX_EVENTS);
    let Some(entry) = verb::table().iter().find(|entry| entry.method == request.method) else {
        let response = Response::answer(
            id.unwrap_or_default(),
            Err(CommandError::new(Kind::Usage, format!("there is no method {:?}", request.method))
                .hint("`rookery schema` lists them")),
        );
        answers.send(response).await.ok();
        return;
    };
    let locking = engine.locking().clone();
    let mut run = (entry.run)(request.params, Call::new(engine, events));
    let outcome = loop {
        tokio::select! {
            biased;
            Some(event) = coming.recv() => {
                answers.send(Response::event(&id.clone().unwrap_or_default(), &event)).await.ok();
            }
            outcome = &mut run => break Some(outcome),
            // A call that goes on for ever ends with its owner; its caller finds the next one.
            () = ending.cancelled(), if entry.is_endless => {
                // Of a store that was locked there is no next one, before somebody unlocks it.
                break locking.is_cancelled().then(|| Err(crate::engine::locked()));
            }
        }
    };
    while let Ok(event) = coming.try_recv() {
        answers.send(Response::event(&id.clone().unwrap_or_default(), &event)).await.ok();
    }
    if let (Some(outcome), Some(id)) = (outcome, id) {
        answers.send(Response::answer(id, outcome)).await.ok();
    }
}

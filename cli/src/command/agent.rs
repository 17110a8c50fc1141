//! `daemon`, `rpc` and `schema`.

use std::sync::Arc;

use tokio::{
    io::{AsyncWriteExt as _, BufReader},
    net::UnixStream,
};
use tokio_util::sync::CancellationToken;

use super::Context;
use crate::{
    agent::{
        self, Agent, Asked, Lock, Need, Owner, Remote,
        verb::{self, LockLine, StoreLock},
    },
    error::{CommandError, Kind},
    render, store,
};

/// Owns the profile until told to end.
pub(super) async fn daemon(context: &Context) -> Result<(), CommandError> {
    if !context.place.store().exists() {
        return Err(store::UnlockError::Absent.into());
    }
    // A one-shot command may own the profile for a moment: its successor is this.
    let lock = Lock::take(&context.place).await?;
    let source = context.secret_source();
    let store = match store::unlock(&context.place, source(Need::First)?).await {
        Err(store::UnlockError::NeedsPassphrase) => {
            store::unlock(&context.place, source(Need::Passphrase)?).await?
        }
        outcome => outcome?,
    };
    let owner = Owner::start(&context.place, lock, store).await?;
    let socket = context.place.socket()?.display().to_string();
    context.line(
        &serde_json::json!({ "v": 1, "state": "serving", "socket": socket }),
        &["serving", &socket],
    )?;
    let is_locked = tokio::select! {
        () = told_to_end() => false,
        () = owner.engine().locking().cancelled() => true,
    };
    owner.stop().await;
    if is_locked {
        context.line(&serde_json::json!({ "v": 1, "state": "locked" }), &["locked"])?;
    }
    Ok(())
}

/// Has whoever owns the profile close its store, so that its passphrase is asked for again.
pub(super) async fn lock(context: &Context) -> Result<(), CommandError> {
    let place = &context.place;
    if !place.store().exists() {
        return Err(store::UnlockError::Absent.into());
    }
    let owner = match Remote::connect(&place.socket()?).await? {
        Some(remote) => Agent::Other(Box::new(remote)).ask(StoreLock {}, |_| Ok(())).await,
        None => Asked::Gone,
    };
    let line = match owner {
        Asked::Answered(line) => line?,
        // Nobody has it open.
        Asked::Gone => {
            let locked =
                store::Locked::open(&place.store()).await.map_err(store::UnlockError::from)?;
            LockLine::new(store::opens_by_itself(place, &locked).await?)
        }
    };
    match line.refusal() {
        Some(why) => Err(CommandError::new(Kind::Failed, why)),
        None => context.line(&line, &[&line.state]),
    }
}

/// Speaks JSON-RPC on standard input and output, as the socket does.
pub(super) async fn rpc(context: &Context) -> Result<(), CommandError> {
    let access = context.access().await?;
    let (input, mut output) = (tokio::io::stdin(), tokio::io::stdout());
    if let Some(owner) = access.owner() {
        let engine = Arc::clone(owner.engine());
        let served =
            agent::serve_stream(BufReader::new(input), output, engine, CancellationToken::new());
        tokio::select! {
            served = served => served?,
            () = told_to_end() => {}
            () = owner.engine().locking().cancelled() => {}
        }
    } else {
        let (mut from, mut to) = UnixStream::connect(context.place.socket()?).await?.into_split();
        let mut input = input;
        let up = async {
            tokio::io::copy(&mut input, &mut to).await?;
            to.shutdown().await
        };
        let down = async {
            tokio::io::copy(&mut from, &mut output).await?;
            output.flush().await
        };
        let (sent, answered) = tokio::join!(up, down);
        sent.and(answered)?;
    }
    access.close().await;
    Ok(())
}

/// Prints the verb table as JSON Schema.
pub(super) fn schema() -> Result<(), CommandError> {
    let text = serde_json::to_string_pretty(&verb::schema())
        .map_err(|error| CommandError::of(Kind::Failed, &error))?;
    Ok(render::write_line(&text)?)
}

/// Waits for an interrupt or the order to terminate.
pub(super) async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut hang_up)) =
        (signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        tokio::signal::ctrl_c().await.ok();
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
}

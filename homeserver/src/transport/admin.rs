//! The administrator's socket: the same typed requests, over a Unix socket that only its owner can open.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use rookery_protocol::{
    codec::{self, MAX_BATCH},
    io::frame::{FrameError, read_frame, write_frame},
    request::{Answer, Request},
};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::task::TaskTracker;

use super::Router;
use crate::lifecycle::Lifecycle;

/// How many administrators there are at one time: scripts, and a person.
const AT_ONCE: usize = 16;
/// A path of a Unix socket has at most 107 bytes (`sun_path`).
const MAX_PATH: usize = 100;

/// Where the socket of a data directory is.
#[must_use]
pub fn socket_path(data: &Path) -> PathBuf {
    let beside = data.join("admin.sock");
    if beside.as_os_str().len() <= MAX_PATH {
        return beside;
    }
    // Too long for a socket: a name made of the path, where short-lived files go.
    let name = blake3::hash(data.as_os_str().as_encoded_bytes()).to_hex();
    let name = name.get(..16).unwrap_or_default().to_owned();
    std::env::temp_dir().join(format!("rookeryd-{name}.sock"))
}

/// Binds the socket with mode 0600.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // Bound under a name that nobody waits for, and moved once it is private.
    let hidden = path.with_extension("new");
    fs::remove_file(&hidden).ok();
    let listener = UnixListener::bind(&hidden)?;
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o600))?;
    fs::rename(&hidden, path)?;
    Ok(listener)
}

/// Answers administrators until the lifecycle drains.
pub async fn serve(
    listener: UnixListener,
    path: PathBuf,
    router: Arc<Router>,
    lifecycle: Lifecycle,
) {
    let streams = TaskTracker::new();
    loop {
        tokio::select! {
            () = lifecycle.drain.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if streams.len() < AT_ONCE => {
                    streams.spawn(converse(stream, Arc::clone(&router), lifecycle.clone()));
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "an administrator could not connect");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            },
        }
    }
    fs::remove_file(&path).ok();
    streams.close();
    streams.wait().await;
}

async fn converse(mut stream: UnixStream, router: Arc<Router>, lifecycle: Lifecycle) {
    let seat = router.services().seats.administrator();
    loop {
        let exchange = async {
            let Some(method) = read_frame(&mut stream, 64).await? else { return Ok(false) };
            let Some(body) = read_frame(&mut stream, MAX_BATCH).await? else { return Ok(false) };
            let method = String::from_utf8(method).unwrap_or_default();
            let answer = router.answer(&method, body, Arc::clone(&seat)).await;
            write_frame(&mut stream, &answer).await?;
            Ok::<_, FrameError>(true)
        };
        tokio::select! {
            went = exchange => if !matches!(went, Ok(true)) { return },
            () = lifecycle.abort.cancelled() => return,
        }
        if lifecycle.drain.is_cancelled() {
            return;
        }
    }
}

/// Why an administrator got no answer.
#[derive(Debug, thiserror::Error)]
pub enum AdminCallError {
    /// No server listens.
    #[error("no server answers at {}", path.display())]
    NotRunning {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The socket is somebody else's.
    #[error("{} belongs to another user: run this as the server's user", path.display())]
    Denied {
        /// Which.
        path: PathBuf,
    },
    /// The conversation broke off.
    #[error("the server broke off")]
    Broken(#[from] FrameError),
    /// The answer is not what its type says: another version answers.
    #[error("the server's answer cannot be read: is it of another version?")]
    Malformed(#[from] codec::Malformed),
}

/// Asks the server that runs on `data`.
pub async fn ask<R: Request>(
    data: &Path,
    request: &R,
) -> Result<Answer<R::Reply, R::Error>, AdminCallError> {
    let path = socket_path(data);
    let mut stream = UnixStream::connect(&path).await.map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => AdminCallError::Denied { path: path.clone() },
        _ => AdminCallError::NotRunning { path: path.clone(), source },
    })?;
    write_frame(&mut stream, R::METHOD.as_bytes()).await?;
    write_frame(&mut stream, &codec::encode(request)).await?;
    let bytes = read_frame(&mut stream, 2 * MAX_BATCH).await?;
    let bytes = bytes.ok_or_else(|| FrameError::Broken(io::ErrorKind::UnexpectedEof.into()))?;
    Ok(codec::decode_within(&bytes, 2 * MAX_BATCH)?)
}

//! What moves a connection's bytes: one task, as long as the connection lives.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use futures::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::{compat::FuturesAsyncReadCompatExt as _, task::TaskTracker};

use super::{
    Ask, Connection, Facts, MAX_STREAMS, Shared,
    gate::{Allowance, Gate},
    own::{Ends, own},
};
use crate::io::ConnectionLost;

/// Streams of both sides, the connection's own, and some that are just ending.
const MOST_STREAMS: usize = 2 * MAX_STREAMS + 8;
/// What all streams together may have on the way towards us.
const WINDOW: usize = MOST_STREAMS * yamux::DEFAULT_CREDIT as usize;
/// How long the last words may take to get out.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The stream that the dialling side opens first.
const OWN: &str = "1";

/// Begins a connection over `socket`, as the side that dialled or the one that was, and has one of `tasks` run it. The side that was dialled
/// waits for the other one's first stream: before that nothing is held for it but the socket.
pub(super) async fn drive<T>(
    socket: T,
    facts: Facts,
    mode: yamux::Mode,
    tasks: &TaskTracker,
) -> Result<Connection, ConnectionLost>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut config = yamux::Config::default();
    config.set_max_num_streams(MOST_STREAMS);
    config.set_max_connection_receive_window(Some(WINDOW));
    let (asks, asked) = mpsc::channel(MAX_STREAMS);
    let (opened_sender, opened) = mpsc::channel(MAX_STREAMS);
    let (lost_sender, lost) = watch::channel(None);
    let allowance = match mode {
        yamux::Mode::Client => Allowance::without_end(),
        yamux::Mode::Server => Allowance::of(facts.protocol),
    };
    let mux = yamux::Connection::new(Gate::new(socket, Arc::clone(&allowance)), config, mode);
    let mut driver = Driver { mux, asked, waiting: None, opened: opened_sender };
    let stream = driver.own_stream(mode).await?;
    let (own, ends) = own();
    tasks.spawn(driver.run(stream, ends, lost_sender));
    Ok(Connection(Arc::new(Shared {
        facts,
        asks,
        may_open: Arc::new(Semaphore::new(MAX_STREAMS)),
        opened: tokio::sync::Mutex::new(opened),
        own,
        allowance,
        lost,
        closed_here: Mutex::new(false),
    })))
}

struct Driver<T> {
    mux: yamux::Connection<T>,
    asked: mpsc::Receiver<Ask>,
    waiting: Option<Ask>,
    opened: mpsc::Sender<yamux::Stream>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Driver<T> {
    async fn run(
        mut self,
        own: yamux::Stream,
        ends: Ends,
        lost: watch::Sender<Option<ConnectionLost>>,
    ) {
        let broken = self.run_with(own, ends, &lost).await;
        let why = broken.unwrap_or(ConnectionLost::ClosedHere);
        lost.send_if_modified(|lost| lost.is_none() && lost.replace(why).is_none());
        // Whoever still waits for a stream is told by the channels' end.
        self.asked.close();
        let close = poll_fn(|context| self.mux.poll_close(context));
        tokio::time::timeout(LAST_WORDS, close).await.ok();
    }

    /// Runs until one side ends the connection, or it breaks.
    async fn run_with(
        &mut self,
        own: yamux::Stream,
        ends: Ends,
        lost: &watch::Sender<Option<ConnectionLost>>,
    ) -> Option<ConnectionLost> {
        let (read, write) = tokio::io::split(own.compat());
        let outlet = ends.outlet();
        let mut writing = pin!(Ends::write(&outlet, write));
        let mut reading = pin!(ends.read(read, lost));
        let mut has_read = false;
        loop {
            tokio::select! {
                broken = poll_fn(|context| self.poll(context)) => {
                    if !has_read {
                        // What came before the end is here, the reason of the end among it.
                        tokio::time::timeout(LAST_WORDS, reading).await.ok();
                    }
                    return Some(broken);
                }
                () = &mut writing => return None,
                () = &mut reading, if !has_read => {
                    has_read = true;
                    if lost.borrow().is_some() {
                        return None;
                    }
                }
            }
        }
    }

    /// Opens the connection's own stream, or waits for it. yamux announces a stream with what is first written to it, so that a request may
    /// overtake the stream that was opened before: it is kept for whoever accepts.
    async fn own_stream(&mut self, mode: yamux::Mode) -> Result<yamux::Stream, ConnectionLost> {
        let Self { mux, opened, .. } = self;
        if mode == yamux::Mode::Client {
            let stream = poll_fn(|context| mux.poll_new_outbound(context)).await;
            return stream.map_err(|error| broken(&error));
        }
        loop {
            let next = poll_fn(|context| mux.poll_next_inbound(context)).await;
            let next = next.unwrap_or(Err(yamux::ConnectionError::Closed));
            let stream = next.map_err(|error| broken(&error))?;
            if stream.id().to_string() == OWN {
                return Ok(stream);
            }
            if opened.try_send(stream).is_err() {
                let why = "it does not open its own stream".to_owned();
                return Err(ConnectionLost::Broken(why));
            }
        }
    }

    /// Moves everything that can be moved; ready when nothing can any more.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ConnectionLost> {
        loop {
            let mut has_moved = false;
            if self.waiting.is_none()
                && let Poll::Ready(Some(ask)) = self.asked.poll_recv(context)
            {
                self.waiting = Some(ask);
            }
            if self.waiting.is_some()
                && let Poll::Ready(stream) = self.mux.poll_new_outbound(context)
            {
                has_moved = true;
                if let Some(ask) = self.waiting.take() {
                    // Whoever asked may have gone.
                    ask.send(stream.map_err(|error| broken(&error))).ok();
                }
            }
            match self.mux.poll_next_inbound(context) {
                Poll::Ready(Some(Ok(stream))) => {
                    has_moved = true;
                    // One too many is reset by being dropped.
                    self.opened.try_send(stream).ok();
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(broken(&error)),
                Poll::Ready(None) => {
                    let why = "the other side has gone without a word".to_owned();
                    return Poll::Ready(ConnectionLost::Broken(why));
                }
                Poll::Pending => {}
            }
            if !has_moved {
                return Poll::Pending;
            }
        }
    }
}

fn broken(error: &yamux::ConnectionError) -> ConnectionLost {
    match error {
        yamux::ConnectionError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            ConnectionLost::TimedOut
        }
        other => ConnectionLost::Broken(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_util::compat::TokioAsyncReadCompatExt as _;

    use super::*;
    use crate::{io::tls::Protocol, session::peer::Exporters};

    fn facts() -> Facts {
        Facts {
            id: 0,
            remote: "127.0.0.1:1".parse().unwrap(),
            protocol: Protocol::Device,
            exporter: [0; 32],
            peer_exporters: Exporters { initiator: [0; 32], responder: [0; 32] },
        }
    }

    #[tokio::test]
    async fn a_request_may_overtake_the_connection_s_own_stream() {
        let (near, far) = tokio::io::duplex(1024);
        let mut mux =
            yamux::Connection::new(near.compat(), yamux::Config::default(), yamux::Mode::Client);
        let own = poll_fn(|context| mux.poll_new_outbound(context)).await.unwrap();
        let request = poll_fn(|context| mux.poll_new_outbound(context)).await.unwrap();
        let mut other_side = pin!(async {
            let tasks = TaskTracker::new();
            let connection =
                drive(far.compat(), facts(), yamux::Mode::Server, &tasks).await.unwrap();
            let (_, mut recv) = connection.accept().await.unwrap();
            recv.read_frame(16).await.unwrap().unwrap()
        });
        let mut this_side = pin!(async {
            // Kept until the end: dropped streams are reset.
            let (mut own, mut request) = (own.compat(), request.compat());
            request.write_all(&[0, 0, 0, 2, b'h', b'i']).await.unwrap();
            // The other stream is announced only when the request is on its way.
            tokio::task::yield_now().await;
            own.write_all(&[0, 0, 0, 0]).await.unwrap();
            request.read_exact(&mut [0]).await.ok();
        });
        let mut moving = pin!(poll_fn(|context| mux.poll_next_inbound(context)));
        let got = tokio::select! {
            got = &mut other_side => got,
            _ = &mut moving => panic!("the connection ended"),
            () = &mut this_side => panic!("the stream ended"),
        };
        assert_eq!(got, b"hi");
    }
}

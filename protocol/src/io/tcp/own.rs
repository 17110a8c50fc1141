//! The stream of the connection itself: datagrams, and why it ends.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use tokio::{
    io::{ReadHalf, WriteHalf},
    sync::{Mutex as AsyncMutex, Notify, mpsc, watch},
};
use tokio_util::compat::Compat;

use super::super::{
    CloseReason, ConnectionLost,
    frame::{self, FrameReader},
};

/// How many datagrams wait at most, to be sent and to be read: a second of a few voices.
const WAITING: usize = 256;
/// The longest datagram, with its kind.
const MAX_DATAGRAM: usize = 2_048;
/// The first byte of a frame that brings a datagram.
const DATAGRAM: u8 = 0;
/// The first byte of a frame that ends the connection: a code of four bytes follows.
const CLOSE: u8 = 1;
/// The first byte of a frame that says nothing but that the stream is there.
const HELLO: u8 = 2;

/// What goes out.
#[derive(Debug, Default)]
struct Out {
    datagrams: VecDeque<Bytes>,
    close: Option<CloseReason>,
}

/// The connection's side of it.
#[derive(Debug)]
pub(super) struct Own {
    out: Arc<Outlet>,
    came: AsyncMutex<mpsc::Receiver<Bytes>>,
}

/// What is to be sent.
#[derive(Debug, Default)]
pub(super) struct Outlet {
    out: Mutex<Out>,
    more: Notify,
}

/// The driver's side of it.
#[derive(Debug)]
pub(super) struct Ends {
    out: Arc<Outlet>,
    came: mpsc::Sender<Bytes>,
}

/// Both sides.
pub(super) fn own() -> (Own, Ends) {
    let out = Arc::new(Outlet::default());
    let (sender, receiver) = mpsc::channel(WAITING);
    let own = Own { out: Arc::clone(&out), came: AsyncMutex::new(receiver) };
    (own, Ends { out, came: sender })
}

impl Own {
    /// Has a datagram sent; the oldest that waits makes room.
    pub(super) fn send(&self, datagram: Bytes) {
        let mut out = self.out.out.lock().unwrap_or_else(PoisonError::into_inner);
        if out.datagrams.len() >= WAITING {
            out.datagrams.pop_front();
        }
        out.datagrams.push_back(datagram);
        drop(out);
        self.out.more.notify_one();
    }

    /// Has the connection end.
    pub(super) fn close(&self, reason: CloseReason) {
        let mut out = self.out.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.close.get_or_insert(reason);
        drop(out);
        self.out.more.notify_one();
    }

    /// Waits for a datagram; without end when none can come any more. Cancel-safe.
    pub(super) async fn read(&self) -> Bytes {
        match self.came.lock().await.recv().await {
            Some(datagram) => datagram,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Own {
    /// Nobody uses the connection any more.
    fn drop(&mut self) {
        self.close(CloseReason::Done);
    }
}

impl Ends {
    /// Sends what is to be sent, until the connection is to end, and says so to the other side.
    pub(super) async fn write(out: &Outlet, mut half: WriteHalf<Compat<yamux::Stream>>) {
        if frame::write_frame(&mut half, &[HELLO]).await.is_err() {
            return;
        }
        loop {
            let (next, close) = {
                let mut out = out.out.lock().unwrap_or_else(PoisonError::into_inner);
                (out.datagrams.pop_front(), out.close)
            };
            let is_last = close.is_some();
            let payload = match (next, close) {
                (_, Some(reason)) => [&[CLOSE][..], &reason.code().to_be_bytes()].concat(),
                (Some(datagram), None) => [&[DATAGRAM][..], &datagram].concat(),
                (None, None) => {
                    out.more.notified().await;
                    continue;
                }
            };
            if frame::write_frame(&mut half, &payload).await.is_err() || is_last {
                return;
            }
        }
    }

    /// What is to be sent.
    pub(super) fn outlet(&self) -> Arc<Outlet> {
        Arc::clone(&self.out)
    }

    /// Takes in what comes, until the other side says why it ends, or the stream does.
    pub(super) async fn read(
        self,
        half: ReadHalf<Compat<yamux::Stream>>,
        lost: &watch::Sender<Option<ConnectionLost>>,
    ) {
        let mut half = FrameReader::new(half);
        while let Ok(Some(frame)) = half.read_frame(MAX_DATAGRAM).await {
            match frame.split_first() {
                // What nobody reads in time is lost, as datagrams are.
                Some((&DATAGRAM, datagram)) => {
                    self.came.try_send(Bytes::copy_from_slice(datagram)).ok();
                }
                Some((&CLOSE, code)) => {
                    let code = code.try_into().map_or(u32::MAX, u32::from_be_bytes);
                    let why = CloseReason::told(code.into());
                    lost.send_if_modified(|lost| lost.is_none() && lost.replace(why).is_none());
                    return;
                }
                _ => {}
            }
        }
    }
}

//! A link of ours between two network namespaces: a relay that forwards datagrams and TCP streams, each direction as its
//! [`Conditions`] say.
//!
//! It stands on the machine's own side of the namespaces' cables, and there is no other way from one to another. So it does what a kernel
//! would need `netem` for (delay, jitter, reordering) and what it would take packet filters for (loss, partitions), the same on every kernel.
//! What it cannot do is refuse: a destination without a listener looks silent over UDP, and ends streams over TCP.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::trouble::{Conditions, Shaper};
use crate::random::Random;

/// The largest datagram that there is.
const DATAGRAM: usize = 65_536;
/// Datagrams that wait for one flow's task: a burst of its sender; more are dropped, as by a network.
const BURST: usize = 1_024;
/// Pieces of a stream that are under way; then its sender waits.
const PIECES: usize = 64;
/// Above the idle time-out of what runs over it: a flow without traffic is forgotten.
const FORGOTTEN: Duration = Duration::from_mins(3);
/// How often a stream that is cut looks whether it is still so.
const LOOK: Duration = Duration::from_millis(20);

/// How both directions are: there, and back.
pub type Both = [Conditions; 2];

/// A relay from its own address to another one. It ends when it is dropped.
#[derive(Debug)]
pub struct Link {
    conditions: watch::Sender<Both>,
    carried: Arc<AtomicU64>,
    _relaying: JoinSet<()>,
}

impl Link {
    /// Forwards what comes to `near` to `far`, and back.
    pub async fn open(near: SocketAddr, far: SocketAddr, mut random: Random) -> Result<Self> {
        let socket = UdpSocket::bind(near).await.with_context(|| format!("udp {near}"))?;
        let listener = TcpListener::bind(near).await.with_context(|| format!("tcp {near}"))?;
        let (conditions, seen) = watch::channel(Both::default());
        let carried = Arc::new(AtomicU64::new(0));
        let mut relaying = JoinSet::new();
        let counted = Arc::clone(&carried);
        relaying.spawn(datagrams(Arc::new(socket), far, seen.clone(), random.split(), counted));
        relaying.spawn(streams(listener, far, seen, random));
        Ok(Self { conditions, carried, _relaying: relaying })
    }

    /// Makes it so from now on.
    pub fn set(&self, conditions: Both) {
        self.conditions.send_replace(conditions);
    }

    /// How many datagrams it has carried to their end.
    #[must_use]
    pub fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }
}

/// Gives every sender a flow of its own, with a socket of its own towards `far`.
async fn datagrams(
    near: Arc<UdpSocket>,
    far: SocketAddr,
    conditions: watch::Receiver<Both>,
    mut random: Random,
    carried: Arc<AtomicU64>,
) {
    let mut flows: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>> = HashMap::new();
    let mut running = JoinSet::new();
    let mut buffer = vec![0; DATAGRAM];
    loop {
        // An error is one of an earlier datagram that somebody did not take.
        let Ok((length, from)) = near.recv_from(&mut buffer).await else { continue };
        while running.try_join_next().is_some() {}
        let datagram = buffer.get(..length).unwrap_or_default().to_vec();
        flows.retain(|_, flow| !flow.is_closed());
        let flow = flows.entry(from).or_insert_with(|| {
            let (send, receive) = mpsc::channel(BURST);
            let flow = Flow {
                near: Arc::clone(&near),
                from,
                far,
                conditions: conditions.clone(),
                there: Shaper::new(random.split()),
                back: Shaper::new(random.split()),
                carried: Arc::clone(&carried),
            };
            running.spawn(async move {
                // Without a socket there is no way: its sender hears nothing.
                flow.run(receive).await.ok();
            });
            send
        });
        // What does not fit is dropped.
        flow.try_send(datagram).ok();
    }
}

/// The datagrams between one sender and the far end.
struct Flow {
    near: Arc<UdpSocket>,
    from: SocketAddr,
    far: SocketAddr,
    conditions: watch::Receiver<Both>,
    there: Shaper,
    back: Shaper,
    carried: Arc<AtomicU64>,
}

impl Flow {
    async fn run(mut self, mut sent: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
        let socket = UdpSocket::bind("0.0.0.0:0").await?;
        socket.connect(self.far).await?;
        let mut buffer = vec![0; DATAGRAM];
        loop {
            let next = [self.there.next_arrival(), self.back.next_arrival()];
            let next = next.into_iter().flatten().min();
            tokio::select! {
                datagram = sent.recv() => {
                    let Some(datagram) = datagram else { return Ok(()) };
                    let [there, _] = *self.conditions.borrow();
                    self.there.send(&datagram, &there, Instant::now());
                }
                received = socket.recv(&mut buffer) => {
                    // An error is that nobody listens there: which the sender of a datagram learns from silence.
                    let Ok(length) = received else { continue };
                    let [_, back] = *self.conditions.borrow();
                    self.back.send(buffer.get(..length).unwrap_or_default(), &back, Instant::now());
                }
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
                () = sleep(FORGOTTEN), if next.is_none() => return Ok(()),
            }
            self.hand_over(&socket).await;
        }
    }

    /// Hands over what has arrived. What cannot be sent is lost, as on any network.
    async fn hand_over(&mut self, socket: &UdpSocket) {
        let now = Instant::now();
        while let Some(datagram) = self.there.arrived(now) {
            self.carried.fetch_add(1, Ordering::Relaxed);
            socket.send(&datagram).await.ok();
        }
        while let Some(datagram) = self.back.arrived(now) {
            self.carried.fetch_add(1, Ordering::Relaxed);
            self.near.send_to(&datagram, self.from).await.ok();
        }
    }
}

async fn streams(
    listener: TcpListener,
    far: SocketAddr,
    conditions: watch::Receiver<Both>,
    mut random: Random,
) {
    let mut running = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while running.try_join_next().is_some() {}
        let (conditions, there, back) = (conditions.clone(), random.split(), random.split());
        running.spawn(async move {
            // Where nobody takes it, it just ends.
            let Ok(onward) = TcpStream::connect(far).await else { return };
            let ((near_read, near_write), (far_read, far_write)) =
                (stream.into_split(), onward.into_split());
            let there = pump(near_read, far_write, conditions.clone(), 0, there);
            let back = pump(far_read, near_write, conditions, 1, back);
            // An end of one direction by an error is an end of both.
            tokio::try_join!(there, back).ok();
        });
    }
}

/// Forwards one direction of a stream: late where it is slow, and not at all while it is cut.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    conditions: watch::Receiver<Both>,
    direction: usize,
    mut random: Random,
) -> io::Result<()> {
    let present = || conditions.borrow().get(direction).copied().unwrap_or_default();
    let (send, mut receive) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES);
    let read = async {
        let mut buffer = vec![0; 16_384];
        loop {
            let length = from.read(&mut buffer).await?;
            let piece = buffer.get(..length).unwrap_or_default().to_vec();
            let arrives = present().arrival(Instant::now(), &mut random);
            let is_end = piece.is_empty();
            if send.send((arrives, piece)).await.is_err() || is_end {
                return Ok::<_, io::Error>(());
            }
        }
    };
    let write = async {
        while let Some((arrives, piece)) = receive.recv().await {
            sleep_until(arrives).await;
            while !present().is_open(Instant::now()) {
                sleep(LOOK).await;
            }
            if piece.is_empty() {
                return to.shutdown().await;
            }
            to.write_all(&piece).await?;
        }
        Ok(())
    };
    tokio::try_join!(read, write)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::lab::trouble::Cut;

    const SOON: Duration = Duration::from_secs(5);
    const NOTHING: Duration = Duration::from_millis(300);

    async fn near() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
    }

    /// A socket at the end of a link, one that sends into it, and the link.
    async fn datagrams_over() -> (UdpSocket, UdpSocket, Link) {
        let far = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = near().await;
        let link = Link::open(at, far.local_addr().unwrap(), Random::of(7)).await.unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        sender.connect(at).await.unwrap();
        (far, sender, link)
    }

    #[tokio::test]
    async fn datagrams_go_there_and_back_and_are_cut_in_one_direction() {
        let (far, sender, link) = datagrams_over().await;
        let mut buffer = [0; 16];
        sender.send(b"there").await.unwrap();
        let (length, from) = timeout(SOON, far.recv_from(&mut buffer)).await.unwrap().unwrap();
        assert_eq!(buffer.get(..length), Some(&b"there"[..]));
        let closed = Conditions { cut: Cut::Closed, ..Conditions::default() };
        link.set([closed, Conditions::default()]);
        sender.send(b"lost").await.unwrap();
        assert!(timeout(NOTHING, far.recv_from(&mut buffer)).await.is_err());
        far.send_to(b"back", from).await.unwrap();
        let length = timeout(SOON, sender.recv(&mut buffer)).await.unwrap().unwrap();
        assert_eq!(buffer.get(..length), Some(&b"back"[..]));
        assert_eq!(link.carried(), 2);
    }

    #[tokio::test]
    async fn a_datagram_takes_as_long_as_it_is_told() {
        let (far, sender, link) = datagrams_over().await;
        let delay = Duration::from_millis(200);
        link.set([Conditions { delay, ..Conditions::default() }; 2]);
        let begun = Instant::now();
        sender.send(b"late").await.unwrap();
        timeout(SOON, far.recv_from(&mut [0; 16])).await.unwrap().unwrap();
        assert!(begun.elapsed() >= delay, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_stream_stands_still_while_it_is_cut_and_then_goes_on() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = near().await;
        let link = Link::open(at, listener.local_addr().unwrap(), Random::of(7)).await.unwrap();
        let mut sender = TcpStream::connect(at).await.unwrap();
        sender.write_all(b"one").await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        let mut three = [0; 3];
        timeout(SOON, far.read_exact(&mut three)).await.unwrap().unwrap();
        link.set([Conditions { cut: Cut::Closed, ..Conditions::default() }; 2]);
        sender.write_all(b"two").await.unwrap();
        assert!(timeout(NOTHING, far.read(&mut three)).await.is_err());
        link.set(Both::default());
        timeout(SOON, far.read_exact(&mut three)).await.unwrap().unwrap();
        assert_eq!(&three, b"two");
        drop(sender);
        assert_eq!(timeout(SOON, far.read(&mut three)).await.unwrap().unwrap(), 0);
    }
}

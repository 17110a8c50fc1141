//! Where no UDP comes through: the same calls over TLS on TCP, in both ways of not coming through.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and its tasks end with it"
)]

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use rookery_protocol::{
    codec,
    io::{
        CloseReason, ConnectError, Connection, ConnectionLost,
        client::{Client, Protocol, Trust},
        server::Listener,
        tls::ServerTls,
    },
    key::SigningKey,
    name::HostPort,
    request::{
        Answer, Never,
        device::{Devices, ListDevices},
    },
};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// How UDP does not come through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Udp {
    /// The host says so.
    Rejected,
    /// Nothing is heard.
    Dropped,
}

/// A server, and an address at which only its TCP port is to be reached. The socket takes UDP in and says nothing.
struct Blocked {
    listener: Listener,
    root: SigningKey,
    address: HostPort,
    _silent: Option<UdpSocket>,
}

async fn blocked(udp: Udp) -> Blocked {
    let root = SigningKey::from_seed(&[1; 32]);
    let tls = ServerTls::self_signed(&root).unwrap();
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), &tls).unwrap();
    let server = listener.local().unwrap();
    let (gate, silent) = loop {
        let gate = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // The port has to be free for UDP, too, for nobody to answer there.
        if let Ok(socket) = UdpSocket::bind(gate.local_addr().unwrap()).await {
            break (gate, (udp == Udp::Dropped).then_some(socket));
        }
    };
    let address = gate.local_addr().unwrap().to_string().parse().unwrap();
    tokio::task::spawn(relay(gate, server));
    Blocked { listener, root, address, _silent: silent }
}

async fn relay(gate: TcpListener, server: SocketAddr) {
    while let Ok((mut near, _)) = gate.accept().await {
        let mut far = TcpStream::connect(server).await.unwrap();
        tokio::task::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
    }
}

impl Blocked {
    fn pin(&self) -> Trust {
        Trust::Pinned(self.root.verifying_key().server_id())
    }

    /// Both ends of a connection on which somebody has proven who they are.
    async fn pair(&self) -> (Client, Connection) {
        let (client, connection) = self.unproven().await;
        connection.trust();
        (client, connection)
    }

    /// Both ends of a connection.
    async fn unproven(&self) -> (Client, Connection) {
        let accept = async { self.listener.accept().await.unwrap().establish().await.unwrap() };
        let (client, connection) = tokio::join!(Client::connect(&self.address, self.pin()), accept);
        (client.unwrap(), connection)
    }
}

#[tokio::test]
async fn a_server_is_reached_over_tcp_where_udp_is_rejected_or_dropped() {
    for udp in [Udp::Rejected, Udp::Dropped] {
        let blocked = blocked(udp).await;
        let (client, connection) = blocked.pair().await;
        assert!(client.connection().is_fallback() && connection.is_fallback(), "{udp:?}");
        assert_eq!(client.server_id(), Some(blocked.root.verifying_key().server_id()));
        assert_eq!(client.exporter(), connection.exporter());
        assert_eq!(connection.protocol(), Protocol::Device);
        let (ours, theirs) = (client.connection().peer_exporters(), connection.peer_exporters());
        assert_eq!((ours.initiator, ours.responder), (theirs.initiator, theirs.responder));
        assert_ne!(ours.initiator, client.exporter());
    }
}

#[tokio::test]
async fn another_server_than_the_pinned_one_is_refused_over_tcp_as_well() {
    let blocked = blocked(Udp::Rejected).await;
    let other = SigningKey::from_seed(&[2; 32]).verifying_key().server_id();
    let accept = async { blocked.listener.accept().await.unwrap().establish().await.is_err() };
    let connect = Client::connect(&blocked.address, Trust::Pinned(other));
    let (connected, is_refused) = tokio::join!(connect, accept);
    let found = blocked.root.verifying_key().server_id();
    assert!(matches!(connected, Err(ConnectError::WrongServer { found: one }) if one == found));
    assert!(is_refused);
}

#[tokio::test]
async fn a_server_that_takes_quic_is_reached_by_quic() {
    let blocked = blocked(Udp::Dropped).await;
    let address: HostPort = blocked.listener.local().unwrap().to_string().parse().unwrap();
    let accept = async { blocked.listener.accept().await.unwrap().establish().await.unwrap() };
    let (client, connection) = tokio::join!(Client::connect(&address, blocked.pin()), accept);
    assert!(!client.unwrap().connection().is_fallback() && !connection.is_fallback());
}

#[tokio::test]
async fn more_calls_than_there_are_streams_are_answered_both_ways_and_large_ones_too() {
    const CALLS: usize = 200;
    let blocked = blocked(Udp::Rejected).await;
    let (client, connection) = blocked.pair().await;
    let large = vec![7; 900_000];
    let answer = codec::encode(&Answer::<Devices, Never>::Reply(Devices { devices: vec![] }));
    let serve = |connection: Connection, count: usize| {
        let answer = answer.clone();
        async move {
            for _ in 0..count {
                let (mut send, mut recv) = connection.accept().await.unwrap();
                let answer = answer.clone();
                tokio::task::spawn(async move {
                    recv.read_frame(64).await.unwrap().unwrap();
                    recv.read_frame(64).await.unwrap().unwrap();
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    send.write_frame(&answer).await.unwrap();
                    send.finish().await;
                });
            }
        }
    };
    let ask = |client: Client| async move {
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..CALLS {
            let client = client.clone();
            asked.spawn(async move { client.call(&ListDevices {}).await.unwrap() });
        }
        assert_eq!(asked.join_all().await.len(), CALLS);
    };
    tokio::join!(
        serve(connection.clone(), CALLS),
        serve(client.connection().clone(), CALLS),
        ask(client.clone()),
        ask(Client::over(connection.clone())),
    );
    // Each way at once, through streams whose windows are smaller.
    let (mut send, mut recv) = client.connection().open().await.unwrap();
    let echo = async {
        let (mut send, mut recv) = connection.accept().await.unwrap();
        while let Some(frame) = recv.read_frame(1_000_000).await.unwrap() {
            send.write_frame(&frame).await.unwrap();
        }
        send.finish().await;
    };
    let write = async {
        for _ in 0..5 {
            send.write_frame(&large).await.unwrap();
        }
        send.finish().await;
    };
    let read = async {
        for _ in 0..5 {
            assert_eq!(recv.read_frame(1_000_000).await.unwrap().unwrap(), large);
        }
        assert!(recv.read_frame(1_000_000).await.unwrap().is_none());
    };
    tokio::join!(echo, write, read);
}

#[tokio::test]
async fn the_reason_of_the_end_is_told_both_ways_and_what_waits_is_woken() {
    for by_server in [true, false] {
        let blocked = blocked(Udp::Rejected).await;
        let (client, connection) = blocked.pair().await;
        let (near, far) = (client.connection().clone(), connection);
        let (closing, other) = if by_server { (far, near) } else { (near, far) };
        let waiting = tokio::task::spawn({
            let other = other.clone();
            async move { other.accept().await.map(|_| ()).unwrap_err() }
        });
        // Whoever waits for an answer, and whoever reads what comes, hears of it as well.
        let calling = tokio::task::spawn({
            let client = Client::over(other.clone());
            async move { client.call(&ListDevices {}).await.unwrap_err() }
        });
        let reading = tokio::task::spawn({
            let closing = closing.clone();
            async move {
                let (_send, mut recv) = closing.accept().await.unwrap();
                recv.read_frame(64).await.unwrap().unwrap();
                recv.read_frame(64).await.unwrap().unwrap();
                recv.read_frame(64).await.unwrap();
            }
        });
        reading.await.unwrap();
        closing.close(CloseReason::SessionEnded);
        let told = tokio::time::timeout(Duration::from_secs(5), calling).await.unwrap().unwrap();
        assert!(told.is_transient(), "{told:?}");
        assert_eq!(other.closed().await, ConnectionLost::Closed(CloseReason::SessionEnded));
        assert_eq!(waiting.await.unwrap(), ConnectionLost::Closed(CloseReason::SessionEnded));
        assert_eq!(closing.closed().await, ConnectionLost::ClosedHere);
        assert!(other.open().await.is_err() && other.lost().is_some());
    }
}

#[tokio::test]
async fn an_end_that_is_dropped_or_cut_off_is_noticed() {
    let blocked = blocked(Udp::Rejected).await;
    let (client, connection) = blocked.pair().await;
    drop(client);
    assert_eq!(connection.closed().await, ConnectionLost::Closed(CloseReason::Done));
}

#[tokio::test]
async fn datagrams_go_over_tcp_and_old_ones_make_room() {
    let blocked = blocked(Udp::Rejected).await;
    let (client, connection) = blocked.pair().await;
    client.connection().send_datagram(Bytes::from_static(b"a word")).unwrap();
    assert_eq!(connection.read_datagram().await.unwrap(), "a word");
    for number in 0..5_000_u32 {
        connection.send_datagram(Bytes::copy_from_slice(&number.to_be_bytes())).unwrap();
    }
    let last = Bytes::copy_from_slice(&4_999_u32.to_be_bytes());
    let mut read = 0;
    while client.connection().read_datagram().await.unwrap() != last {
        read += 1;
    }
    assert!(read < 4_999, "nothing made room");
}

#[tokio::test]
async fn garbage_on_the_port_is_turned_away() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let blocked = blocked(Udp::Rejected).await;
    let server = blocked.listener.local().unwrap();
    let mut socket = TcpStream::connect(server).await.unwrap();
    socket.write_all(&[0x55; 4_096]).await.unwrap();
    blocked.listener.accept().await.unwrap().establish().await.unwrap_err();
    let mut rest = vec![];
    // It is closed, with an alert or without.
    socket.read_to_end(&mut rest).await.ok();
}

/// Hands on what one client sends, and what it is answered.
async fn relay_udp(gate: UdpSocket, server: SocketAddr) {
    let far = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (mut from_client, mut from_server) = ([0; 2_048], [0; 2_048]);
    let mut client = None;
    loop {
        tokio::select! {
            read = gate.recv_from(&mut from_client) => if let Ok((length, from)) = read {
                client = Some(from);
                far.send_to(&from_client[..length], server).await.unwrap();
            },
            read = far.recv(&mut from_server) => if let (Ok(length), Some(client)) = (read, client) {
                gate.send_to(&from_server[..length], client).await.unwrap();
            },
        }
    }
}

#[tokio::test]
async fn a_connection_over_tcp_gives_way_when_quic_works_again() {
    let blocked = blocked(Udp::Rejected).await;
    let (client, connection) = blocked.pair().await;
    let gate: SocketAddr = blocked.address.to_string().parse().unwrap();
    tokio::task::spawn(relay_udp(
        UdpSocket::bind(gate).await.unwrap(),
        blocked.listener.local().unwrap(),
    ));
    let accept = async {
        // The trial, and then the real one.
        let trial = blocked.listener.accept().await.unwrap().establish().await.unwrap();
        assert!(!trial.is_fallback());
        trial.closed().await;
    };
    let gives_way = async { tokio::join!(client.until_quic_works(), accept) };
    tokio::time::timeout(Duration::from_secs(30), gives_way).await.unwrap();
    assert_eq!(connection.closed().await, ConnectionLost::Closed(CloseReason::Done));
    let (client, connection) = blocked.pair().await;
    assert!(!client.connection().is_fallback() && !connection.is_fallback());
}

#[tokio::test]
async fn who_says_nothing_after_the_handshake_is_never_let_in() {
    let blocked = blocked(Udp::Rejected).await;
    let server = blocked.listener.local().unwrap();
    // Whoever opens TCP and says nothing has no connection, and holds nothing once the handshake's time is over.
    let socket = TcpStream::connect(server).await.unwrap();
    let incoming = blocked.listener.accept().await.unwrap();
    let established = tokio::time::timeout(Duration::from_millis(300), incoming.establish()).await;
    assert!(established.is_err());
    drop(socket);
}

#[tokio::test]
async fn who_has_proven_nothing_gets_little_through_and_everything_once_they_have() {
    let blocked = blocked(Udp::Rejected).await;
    let (client, connection) = blocked.unproven().await;
    // One frame of the allowance and more: it arrives only once its sender is known.
    let large = vec![7; 400 * 1024];
    let sending = async {
        let (mut send, recv) = client.connection().open().await.unwrap();
        send.write_frame(&large).await.unwrap();
        send.finish().await;
        recv
    };
    let taking = async {
        let (_send, mut recv) = connection.accept().await.unwrap();
        let mut reading = std::pin::pin!(recv.read_frame(1024 * 1024));
        let early = tokio::time::timeout(Duration::from_secs(1), &mut reading).await;
        assert!(early.is_err(), "more than the allowance was read");
        connection.trust();
        let read = tokio::time::timeout(Duration::from_secs(5), reading).await;
        read.unwrap().unwrap().unwrap().len()
    };
    let (_recv, taken) = tokio::join!(sending, taking);
    assert_eq!(taken, 400 * 1024);
}

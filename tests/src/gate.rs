//! A way to a server that lets TCP through, and no UDP.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
};

/// What becomes of UDP on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Udp {
    /// The host says that nothing takes it.
    Rejected,
    /// It is taken, and nothing is ever heard.
    Dropped,
}

/// The way, for as long as this lives.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    _silent: Option<UdpSocket>,
    _relaying: JoinSet<()>,
}

impl Gate {
    /// Opens a way on loopback to `server`.
    pub async fn towards(server: SocketAddr, udp: Udp) -> Result<Self> {
        let (listener, silent) = loop {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            // The port has to be free for UDP, too, so that nobody answers there.
            if let Ok(socket) = UdpSocket::bind(listener.local_addr()?).await {
                break (listener, (udp == Udp::Dropped).then_some(socket));
            }
        };
        let address = listener.local_addr()?;
        let mut relaying = JoinSet::new();
        relaying.spawn(relay(listener, server));
        Ok(Self { address, _silent: silent, _relaying: relaying })
    }

    /// Where it begins.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn relay(listener: TcpListener, server: SocketAddr) {
    let mut both_ways = JoinSet::new();
    while let Ok((mut near, _)) = listener.accept().await {
        both_ways.spawn(async move {
            // A server that is away takes nothing: then the way just ends.
            if let Ok(mut far) = TcpStream::connect(server).await {
                tokio::io::copy_bidirectional(&mut near, &mut far).await.ok();
            }
        });
    }
}

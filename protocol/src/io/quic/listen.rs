//! A server's side: taking connections, or sending those away that come too often.

use std::{
    io::IoSliceMut,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    super::{
        CloseReason, ConnectError, ConnectionLost,
        tls::{ServerTls, TlsError},
    },
    Connection, bind,
    runtime::Patient,
    transport,
};

/// A bound UDP socket that takes connections.
pub(in crate::io) struct Endpoint(quinn::Endpoint);

/// How many packets go to the kernel at once. Every connection keeps a buffer for so many as long as it lives.
const BURST: usize = 4;

/// A socket whose bursts are of [`BURST`] packets at most.
#[derive(Debug)]
struct ShortBursts(Arc<dyn quinn::AsyncUdpSocket>);

impl quinn::AsyncUdpSocket for ShortBursts {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn quinn::UdpPoller>> {
        Arc::clone(&self.0).create_io_poller()
    }

    fn try_send(&self, transmit: &quinn::udp::Transmit) -> std::io::Result<()> {
        self.0.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [quinn::udp::RecvMeta],
    ) -> Poll<std::io::Result<usize>> {
        self.0.poll_recv(context, buffers, meta)
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.0.max_transmit_segments().min(BURST)
    }

    fn max_receive_segments(&self) -> usize {
        self.0.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.0.may_fragment()
    }
}

/// Somebody who wants to connect.
pub(in crate::io) struct Attempt(quinn::Incoming);

impl Endpoint {
    pub(in crate::io) fn bind(address: SocketAddr, tls: &ServerTls) -> Result<Self, ConnectError> {
        let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(Arc::clone(&tls.config))
            .map_err(|error| TlsError::Certificate(error.to_string()))?;
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        config.transport_config(Arc::new(transport()));
        let socket = bind(address)?;
        let socket = quinn::Runtime::wrap_udp_socket(&Patient, socket)?;
        Ok(Self(quinn::Endpoint::new_with_abstract_socket(
            quinn::EndpointConfig::default(),
            Some(config),
            Arc::new(ShortBursts(socket)),
            Arc::new(Patient),
        )?))
    }

    pub(in crate::io) fn local(&self) -> Result<SocketAddr, ConnectError> {
        Ok(self.0.local_addr()?)
    }

    pub(in crate::io) async fn accept(&self) -> Option<Attempt> {
        self.0.accept().await.map(Attempt)
    }

    pub(in crate::io) fn close(&self, reason: CloseReason) {
        self.0.close(reason.code().into(), b"");
    }

    pub(in crate::io) async fn wait_idle(&self) {
        self.0.wait_idle().await;
    }
}

impl Attempt {
    pub(in crate::io) fn remote(&self) -> SocketAddr {
        self.0.remote_address()
    }

    pub(in crate::io) fn is_validated(&self) -> bool {
        self.0.remote_address_validated()
    }

    pub(in crate::io) fn retry(self) {
        self.0.retry().ok();
    }

    pub(in crate::io) fn refuse(self) {
        self.0.refuse();
    }

    pub(in crate::io) async fn establish(self) -> Result<Connection, ConnectionLost> {
        let inner = self.0.accept()?.await?;
        Ok(Connection { inner, _endpoint: None })
    }
}

//! A server's side: taking connections, or sending those away that come too often.

use std::{net::SocketAddr, sync::Arc};

use super::{
    super::tls::{ServerTls, TlsError},
    CloseReason, ConnectError, Connection, ConnectionLost, transport,
};

/// A bound UDP socket that takes connections.
pub(in crate::io) struct Endpoint(quinn::Endpoint);

/// Somebody who wants to connect.
pub(in crate::io) struct Attempt(quinn::Incoming);

impl Endpoint {
    pub(in crate::io) fn bind(address: SocketAddr, tls: &ServerTls) -> Result<Self, ConnectError> {
        let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(Arc::clone(&tls.config))
            .map_err(|error| TlsError::Certificate(error.to_string()))?;
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        config.transport_config(Arc::new(transport()));
        Ok(Self(quinn::Endpoint::server(config, address)?))
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

//! A client's side.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::{compat::TokioAsyncReadCompatExt as _, task::TaskTracker};

use super::{Connection, Facts, driver::drive, listen::keep_alive, next_id};
use crate::{
    id::ServerId,
    io::{
        ConnectError, ConnectionLost,
        tls::{self, Protocol, TlsError, Trust},
    },
};

/// Connects to `address`, whose certificate is to be good for `name` where `trust` looks at names.
pub(in crate::io) async fn connect(
    address: SocketAddr,
    name: &str,
    (trust, protocol): (Trust, Protocol),
    patience: Duration,
) -> Result<(Connection, Option<ServerId>), ConnectError> {
    let (config, seen) = tls::client_config(trust, protocol)?;
    let name = if trust == Trust::WebPki { name } else { tls::PINNED_NAME };
    let name = ServerName::try_from(name.to_owned())
        .map_err(|error| TlsError::Certificate(error.to_string()))?;
    let connecting = async {
        let socket = TcpStream::connect(address).await?;
        keep_alive(&socket)?;
        TlsConnector::from(Arc::new(config)).connect(name, socket).await
    };
    let stream = match tokio::time::timeout(patience, connecting).await {
        Err(_) => return Err(ConnectError::Unreachable(ConnectionLost::TimedOut)),
        Ok(Err(error)) => {
            if let (Trust::Pinned(pinned), Some(found)) = (trust, seen.get())
                && *found != pinned
            {
                return Err(ConnectError::WrongServer { found: *found });
            }
            return Err(explain(&error));
        }
        Ok(Ok(stream)) => stream,
    };
    let facts = Facts::of(address, stream.get_ref().1, protocol)?;
    let mode = yamux::Mode::Client;
    let connection = drive(stream.compat(), facts, mode, &TaskTracker::new()).await;
    Ok((connection.map_err(ConnectError::Unreachable)?, seen.get().copied()))
}

impl Facts {
    /// What a TLS session says of its connection.
    pub(super) fn of<D>(
        remote: SocketAddr,
        session: &rustls::ConnectionCommon<D>,
        protocol: Protocol,
    ) -> Result<Self, TlsError> {
        use crate::{
            session::peer::{Exporters, Role},
            version::{EXPORTER_DEVICE, EXPORTER_PEER},
        };
        let export = |label: &[u8], context: &[u8]| {
            session.export_keying_material([0; 32], label, Some(context))
        };
        Ok(Self {
            id: next_id(),
            remote,
            protocol,
            exporter: export(EXPORTER_DEVICE, &[])?,
            peer_exporters: Exporters {
                initiator: export(EXPORTER_PEER, Role::Initiator.context())?,
                responder: export(EXPORTER_PEER, Role::Responder.context())?,
            },
        })
    }
}

/// Tells a server that is not trusted from one that does not answer.
fn explain(error: &io::Error) -> ConnectError {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(
            wrong @ (rustls::Error::InvalidCertificate(_)
            | rustls::Error::General(_)
            | rustls::Error::NoCertificatesPresented),
        ) => ConnectError::Untrusted(wrong.to_string()),
        _ if error.kind() == io::ErrorKind::ConnectionRefused => {
            ConnectError::Unreachable(ConnectionLost::Refused)
        }
        _ => ConnectError::Unreachable(ConnectionLost::Broken(error.to_string())),
    }
}

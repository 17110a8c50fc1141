//! Metrics and health over HTTP, and the document that a web server in front may publish under the server's name: four paths, read only, off
//! unless asked for.
//!
//! Written by hand because it is forty lines: an HTTP server crate would be the largest thing in the tree, for answers of fixed shape. Each
//! connection answers one request and closes (HTTP/1.0, RFC 1945).

use std::{net::SocketAddr, sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::TaskTracker;

use crate::{
    lifecycle::Lifecycle,
    service::{Services, peer::discovery::document},
};

/// How many ask at one time.
const AT_ONCE: usize = 32;
/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a request line with its headers may be.
const MAX_REQUEST: usize = 8 * 1024;

/// Binds the address.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers until the lifecycle drains.
pub async fn serve(
    listener: TcpListener,
    handle: PrometheusHandle,
    services: Arc<Services>,
    lifecycle: Lifecycle,
) {
    let streams = TaskTracker::new();
    loop {
        tokio::select! {
            () = lifecycle.drain.cancelled() => return,
            accepted = listener.accept() => if let Ok((stream, _)) = accepted && streams.len() < AT_ONCE {
                let (handle, services) = (handle.clone(), Arc::clone(&services));
                streams.spawn(async move {
                    tokio::time::timeout(PATIENCE, answer(stream, &handle, &services)).await.ok();
                });
            },
        }
    }
}

async fn answer(
    mut stream: TcpStream,
    handle: &PrometheusHandle,
    services: &Services,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut chunk = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < MAX_REQUEST {
        match stream.read(&mut chunk).await? {
            0 => break,
            count => request.extend_from_slice(chunk.get(..count).unwrap_or_default()),
        }
    }
    let request = String::from_utf8_lossy(&request);
    let mut words = request.split_ascii_whitespace();
    let text = "text/plain; version=0.0.4; charset=utf-8";
    let (status, kind, body) = match (words.next(), words.next()) {
        (Some("GET"), Some("/metrics")) => ("200 OK", text, measure(handle, services).await),
        (Some("GET"), Some("/livez")) => ("200 OK", text, "alive\n".to_owned()),
        (Some("GET"), Some("/readyz")) => match services.storage.probe().await {
            Ok(()) => ("200 OK", text, "ready\n".to_owned()),
            Err(error) => ("503 Service Unavailable", text, format!("not ready: {error}\n")),
        },
        (Some("GET"), Some(document::PATH)) => {
            ("200 OK", "application/json", document::write(&services.identity.record()))
        }
        (Some("GET"), _) => {
            let known = format!("there is /metrics, /livez, /readyz and {}\n", document::PATH);
            ("404 Not Found", text, known)
        }
        _ => ("405 Method Not Allowed", text, "only GET\n".to_owned()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.0 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// Reads off what is not counted as it happens, and prints everything.
async fn measure(handle: &PrometheusHandle, services: &Services) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float by definition")]
    let float = |count: u64| count as f64;
    let (taken, anonymous) = services.seats.count();
    metrics::gauge!("rookery_conns", "kind" => "device", "transport" => "quic")
        .set(float(taken.saturating_sub(anonymous)));
    metrics::gauge!("rookery_conns", "kind" => "anonymous", "transport" => "quic")
        .set(float(anonymous));
    metrics::gauge!("rookery_up_seconds")
        .set(services.clock.now().since(services.since).as_secs_f64());
    metrics::gauge!("rookery_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    if let Ok(mut view) = services.storage.read().await
        && let Ok(census) = view.census().await
    {
        metrics::gauge!("rookery_accounts").set(float(census.accounts));
        metrics::gauge!("rookery_mailbox_envelopes").set(float(census.waiting_envelopes));
        metrics::gauge!("rookery_mailbox_bytes").set(float(census.waiting_bytes));
    }
    handle.run_upkeep();
    handle.render()
}

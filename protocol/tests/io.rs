//! Two real ends over loopback: pins, calls, exporters, closing.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and its tasks end with it"
)]

use rookery_protocol::{
    codec,
    io::{
        CloseReason, ConnectError, ConnectionLost,
        client::{CallError, Client, Trust},
        server::Listener,
        tls::ServerTls,
    },
    key::SigningKey,
    name::HostPort,
    request::{
        Answer, Never, Refusal, Request,
        device::{Devices, ListDevices},
    },
};

fn listen(seed: u8) -> (Listener, HostPort, SigningKey) {
    let root = SigningKey::from_seed(&[seed; 32]);
    let listener =
        Listener::bind("127.0.0.1:0".parse().unwrap(), &ServerTls::self_signed(&root).unwrap())
            .unwrap();
    let address = listener.local().unwrap().to_string().parse().unwrap();
    (listener, address, root)
}

#[tokio::test]
async fn a_pinned_server_is_known_and_another_is_refused_by_name() {
    let (listener, address, root) = listen(1);
    let id = root.verifying_key().server_id();
    let other = SigningKey::from_seed(&[2; 32]).verifying_key().server_id();
    let serving = tokio::task::spawn(async move {
        while let Some(incoming) = listener.accept().await {
            if let Ok(connection) = incoming.establish().await {
                connection.closed().await;
            }
        }
    });
    let client = Client::connect(&address, Trust::Pinned(id)).await.unwrap();
    assert_eq!(client.server_id(), Some(id));
    client.close();
    let client = Client::connect(&address, Trust::FirstContact).await.unwrap();
    assert_eq!(client.server_id(), Some(id));
    client.close();
    match Client::connect(&address, Trust::Pinned(other)).await {
        Err(ConnectError::WrongServer { found }) => assert_eq!(found, id),
        wrong => panic!("a wrong pin was not refused as such: {wrong:?}"),
    }
    serving.abort();
}

#[tokio::test]
async fn a_call_gets_its_reply_its_refusal_or_the_reason_of_the_end() {
    let (listener, address, root) = listen(3);
    let serving = tokio::task::spawn(async move {
        let connection = listener.accept().await.unwrap().establish().await.unwrap();
        let answers: [Answer<Devices, Never>; 2] = [
            Answer::Reply(Devices { devices: vec![] }),
            Answer::Refused(Refusal::Throttled { retry_after_ms: 7 }),
        ];
        for answer in answers {
            let (mut send, mut recv) = connection.accept().await.unwrap();
            assert_eq!(recv.read_frame(64).await.unwrap().unwrap(), ListDevices::METHOD.as_bytes());
            assert_eq!(recv.read_frame(64).await.unwrap().unwrap(), codec::encode(&ListDevices {}));
            send.write_frame(&codec::encode(&answer)).await.unwrap();
            send.finish().await;
        }
        let exporter = connection.exporter();
        connection.accept().await.unwrap();
        connection.close(CloseReason::SessionEnded);
        (listener, exporter)
    });
    let client =
        Client::connect(&address, Trust::Pinned(root.verifying_key().server_id())).await.unwrap();
    assert_eq!(client.call(&ListDevices {}).await.unwrap(), Devices { devices: vec![] });
    let refused = client.call(&ListDevices {}).await.unwrap_err();
    assert!(
        matches!(refused, CallError::Refused(Refusal::Throttled { retry_after_ms: 7 }))
            && refused.is_transient()
    );
    let exporter = client.exporter();
    client.call(&ListDevices {}).await.unwrap_err();
    assert_eq!(client.closed().await, ConnectionLost::Closed(CloseReason::SessionEnded));
    assert_eq!(serving.await.unwrap().1, exporter);
}

#[tokio::test]
async fn nobody_there_is_said_so_at_once() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address: HostPort = socket.local_addr().unwrap().to_string().parse().unwrap();
    drop(socket);
    assert!(matches!(
        Client::connect(&address, Trust::FirstContact).await,
        Err(ConnectError::Unreachable(ConnectionLost::Refused))
    ));
}

//! Connections: how fast they come about, and what an idle one weighs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rookery_protocol::{
    io::client::{Client, Dialer},
    session::Follow,
};
use rookery_tests::bare::{Bare, populate};
use tokio::task::JoinSet;

use crate::{
    messages::as_f64,
    server::{Server, now},
};

/// One more authenticated connection of `person`.
async fn connect(server: &Server, dialer: &Dialer, person: &Bare) -> anyhow::Result<Client> {
    let client = dialer.connect(server.trust()).await?;
    client.open_session(&person.key, &person.tokens.access).await?;
    Ok(client)
}

pub(crate) async fn connections(count: usize, at_once: usize) -> anyhow::Result<()> {
    let server = Arc::new(Server::start()?);
    let person = populate(server.address, &server.invite, 1).await?.remove(0);
    let left = Arc::new(AtomicUsize::new(count));
    let (begin, cpu) = (now(), server.cpu()?);
    let mut workers = JoinSet::new();
    for _ in 0..at_once {
        let (server, person, left) = (Arc::clone(&server), person.clone(), Arc::clone(&left));
        workers.spawn(async move {
            let dialer = Dialer::towards(server.address)?;
            while left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok()
            {
                connect(&server, &dialer, &person).await?.close();
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = workers.join_next().await {
        done??;
    }
    let (elapsed, used) = (begin.elapsed(), server.cpu()?.since(cpu));
    let count = as_f64(u64::try_from(count)?);
    println!(
        "connections: handshake (X25519MLKEM768) and authentication, {at_once} at a time, generator on the same cores"
    );
    println!("  a second                        {:>10.0}", count / elapsed.as_secs_f64());
    println!("  server CPU a connection         {:>10.0} µs", as_f64(used) / count);
    Ok(())
}

pub(crate) async fn idle(count: usize) -> anyhow::Result<()> {
    let server = Server::start()?;
    let few = populate(server.address, &server.invite, 1).await?;
    let before = server.memory()?;
    // Each is another person's device: a device has one follow stream.
    let dialer = Dialer::towards(server.address)?;
    let mut held = Vec::with_capacity(count);
    for number in 0..count {
        let person = Bare::register(&dialer, &server.invite, format!("idle-{number}")).await?;
        let follow = person.client.follow(&Follow { mailbox: None, chains: vec![] }).await?;
        held.push((person, follow));
    }
    // Handshakes and registrations leave buffers behind that are given back a little later.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = server.memory()?;
    let each = after.saturating_sub(before).checked_div(u64::try_from(count)?).unwrap_or_default();
    println!(
        "idle: {count} connections of as many devices, authenticated, each with its follow stream open"
    );
    println!("  memory a connection             {:>10.1} KiB", as_f64(each) / 1024.0);
    println!("  memory of the whole server      {:>10.1} MiB", as_f64(after) / 1024.0 / 1024.0);
    drop((held, few));
    Ok(())
}

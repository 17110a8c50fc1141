//! How long it takes to a working connection where no UDP comes through.

use std::time::Duration;

use rookery_protocol::{io::client::Client, name::HostPort, request::server::ServerInfo};
use rookery_tests::gate::{Gate, Udp};

use crate::server::{Server, now};

/// Connects `times` times in each of three ways, and asks something on each connection.
pub(crate) async fn measure(times: usize) -> anyhow::Result<()> {
    let server = Server::start()?;
    println!("no UDP: time to the first answer on a new connection, {times} times, on loopback");
    tell("UDP comes through", &server, &server.address.to_string().parse()?, times).await?;
    for (what, udp) in [("UDP is rejected", Udp::Rejected), ("UDP is dropped", Udp::Dropped)] {
        let gate = Gate::towards(server.address, udp).await?;
        tell(what, &server, &gate.address().to_string().parse()?, times).await?;
    }
    Ok(())
}

async fn tell(what: &str, server: &Server, to: &HostPort, times: usize) -> anyhow::Result<()> {
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let begin = now();
        let client = Client::connect(to, server.trust()).await?;
        client.call(&ServerInfo {}).await?;
        took.push(begin.elapsed());
        client.close();
    }
    took.sort_unstable();
    let ms = |at: usize| took.get(at).map_or(0.0, |time: &Duration| time.as_secs_f64() * 1e3);
    let (median, worst) = (ms(times / 2), ms(times.saturating_sub(1)));
    println!("  {what:<24} median {median:>7.1} ms   worst {worst:>7.1} ms");
    Ok(())
}

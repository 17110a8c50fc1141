//! People on a network that lets no UDP through: everything works over TCP, and nothing is lost when the server is killed.

use anyhow::{Context as _, Result, ensure};
use rookery_tests::{
    gate::{Gate, Udp},
    process::PATIENCE,
    profile::Profile,
    world::{World, befriend},
};

/// An invitation that leads through the gate.
fn through(gate: &Gate, link: &str, address: &str) -> Result<String> {
    ensure!(link.contains(address), "{link} does not name {address}");
    Ok(link.replace(address, &gate.address().to_string()))
}

async fn carrier(profile: &Profile) -> Result<String> {
    let status = profile.ask(&["status"]).await?;
    let carrier = status.get("carrier").and_then(serde_json::Value::as_str);
    Ok(carrier.with_context(|| status.to_string())?.to_owned())
}

#[tokio::test]
async fn where_no_udp_comes_through_people_talk_over_tcp() -> Result<()> {
    for udp in [Udp::Rejected, Udp::Dropped] {
        let world = World::new()?;
        let mut server = world.homeserver("nest").start().await?;
        let address = server.ready().address.clone();
        let gate = Gate::towards(address.parse()?, udp).await?;
        let (alice, bob) = (world.profile("alice", "laptop")?, world.profile("bob", "laptop")?);
        alice.register(&through(&gate, &server.ready().invite, &address)?).await?;
        bob.register(&server.invite(1).await?).await?;
        let _agents = (alice.start_agent()?, bob.start_agent()?);
        alice.wait_until_connected().await?;
        bob.wait_until_connected().await?;
        ensure!(carrier(&alice).await? == "tcp" && carrier(&bob).await? == "quic");
        befriend(&alice, &bob).await?;
        for number in 0..20 {
            alice.send("@bob", &format!("over {number}")).await?;
            bob.send("@alice", &format!("back {number}")).await?;
        }
        server.kill().await?;
        alice.try_send("@bob", "while it was away", "away", None).await?;
        server.start().await?;
        for (reader, with) in [(&bob, "@alice"), (&alice, "@bob")] {
            let shown = reader.read_all(with, 41, PATIENCE).await?;
            let texts: Vec<&str> = shown.iter().map(|message| message.text.as_str()).collect();
            let of = |word: &str| -> Vec<&str> {
                texts.iter().copied().filter(|text| text.starts_with(word)).collect()
            };
            let wanted = |word: &str| -> Vec<String> {
                (0..20).map(|number| format!("{word} {number}")).collect()
            };
            ensure!(of("over") == wanted("over") && of("back") == wanted("back"), "{texts:?}");
            ensure!(texts.last() == Some(&"while it was away"), "{texts:?}");
        }
    }
    Ok(())
}

//! The keys of a server: another online key, a root key that is kept elsewhere, and records that are over.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use rookery_protocol::{io::client::CallError, request::peer::PeerProveError};
use rookery_tests::{
    homeserver::Homeserver,
    impostor::Impostor,
    pair::{ALICE, BOB, Pair},
};
use serde_json::Value;

/// What `rookeryd key list` says.
async fn keys_of(server: &Homeserver) -> Result<Value> {
    let listed = server.admin(&["key", "list"]).await?.success()?.json()?;
    Ok(listed.get("data").context("no data")?.clone())
}

/// A message each way.
async fn talk(pair: &Pair, word: &str) -> Result<()> {
    for (from, whom, to, who) in
        [(&pair.alice, BOB, &pair.bob, ALICE), (&pair.bob, ALICE, &pair.alice, BOB)]
    {
        let said = format!("{word} {}", from.user());
        from.send(whom, &said).await?;
        to.read_until(who, &[&said]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn another_online_key_ends_what_a_thief_of_the_old_one_can_do() -> Result<()> {
    let mut pair = Pair::of_friends().await?;
    talk(&pair, "before").await?;
    let running = pair.nest.admin(&["key", "rotate"]).await?.exit(4)?.stdout;
    ensure!(running.contains("stop it first"), "{running}");
    let before = keys_of(&pair.nest).await?;
    pair.nest.stop().await?;
    let thief = Impostor::in_place_of(pair.nest.data())?;
    pair.nest.admin(&["key", "rotate"]).await?.success()?;
    pair.nest.start().await?;
    let after = keys_of(&pair.nest).await?;
    ensure!(before.get("root") == after.get("root"), "{before} {after}");
    ensure!(before.get("online") != after.get("online"), "{before} {after}");
    let number = |keys: &Value| keys.get("record").and_then(Value::as_u64);
    ensure!(number(&after) > number(&before), "{before} {after}");
    pair.garden.wait_for_peer("nest.example", "up").await?;
    // Nobody logs in again, and nobody's pin breaks.
    talk(&pair, "after").await?;
    let address = &pair.garden.ready().address;
    let refused = thief.connect(address, "garden.example").await.err().context("let in")?;
    let expected = CallError::Request(PeerProveError::OldRecord).to_string();
    ensure!(format!("{refused:#}").contains(&expected), "{refused:#}");
    Ok(())
}

#[tokio::test]
async fn a_server_runs_without_its_root_key() -> Result<()> {
    let mut pair = Pair::of_friends().await?;
    let kept = pair.world.path().join("kept.key");
    let file = kept.to_str().context("a path of UTF-8")?;
    pair.nest.stop().await?;
    pair.nest.admin(&["key", "export-root", "--to", file]).await?.success()?;
    ensure!(!pair.nest.data().join("root.key").exists(), "it is still there");
    let again = pair.nest.admin(&["key", "rotate"]).await?.exit(4)?.stdout;
    ensure!(again.contains("--root-key"), "{again}");
    pair.nest.start().await?;
    let listed = keys_of(&pair.nest).await?;
    ensure!(listed.get("has_root_key") == Some(&Value::Bool(false)), "{listed}");
    talk(&pair, "without").await?;
    // The certificate that clients pin the root of is the stored one: somebody new sees the same server.
    let carol = pair.world.profile("carol", "laptop")?;
    carol.register(&pair.nest.invite(1).await?).await?;

    pair.nest.stop().await?;
    pair.nest.admin(&["key", "rotate", "--root-key", file]).await?.success()?;
    pair.nest.start().await?;
    talk(&pair, "renewed").await?;
    let copy = pair.world.path().join("copy");
    let folder = copy.to_str().context("a path of UTF-8")?;
    pair.nest.admin(&["backup", "--to", folder]).await?.success()?;
    ensure!(!copy.join("root.key").exists() && copy.join("certificate.pem").exists(), "the copy");

    pair.nest.stop().await?;
    pair.nest.admin(&["key", "import-root", "--from", file]).await?.success()?;
    ensure!(fs::read(pair.nest.data().join("root.key"))? == fs::read(&kept)?, "another key");
    pair.nest.start().await?;
    talk(&pair, "with").await
}

#[tokio::test]
async fn a_record_that_is_over_is_not_taken() -> Result<()> {
    let pair = Pair::of_strangers().await?;
    let late = Impostor::new("late.example")?.ended()?;
    let root = late.root().to_string();
    pair.nest.admin(&["peer", "add", "late.example", "127.0.0.1:9", &root]).await?.success()?;
    let refused = late.connect(&pair.nest.ready().address, "nest.example").await;
    let refused = refused.err().context("it was let in")?;
    let expected = CallError::Request(PeerProveError::EndedRecord).to_string();
    ensure!(format!("{refused:#}").contains(&expected), "{refused:#}");
    Ok(())
}

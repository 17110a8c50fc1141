//! Telling moderators of a message.

use anyhow::{Result, ensure};
use rookery_tests::{process::PATIENCE, world::eventually};

use crate::scene::{Scene, exit, id_of};

#[tokio::test]
async fn a_report_reaches_those_who_may_moderate_and_nobody_else() -> Result<()> {
    let scene = Scene::of(&["alice", "bob", "mallory"]).await?;
    let (alice, bob) = (scene.person("alice"), scene.person("bob"));
    let mallory = scene.person("mallory");
    scene.club(&[]).await?;
    mallory.send("club#general", "buy my coins\nand my watches").await?;
    let shown = bob.read_until("club#general", &["buy my coins\nand my watches"]).await?;
    let id = id_of(&shown, "buy my coins\nand my watches")?;
    let report = ["report", "club#general", &id, "--reason", "spam", "--json"];
    for _ in 0..2 {
        let told = bob.run(&report).await?.success()?.json_lines()?;
        ensure!(told.len() == 1 && told[0]["to"] == "alice@nest", "{told:?}");
        ensure!(["sent", "delivered", "read"].iter().any(|state| told[0]["state"] == *state));
    }
    eventually(PATIENCE, async || {
        let read = alice.read("@bob", 10).await?;
        ensure!(read.len() == 1, "once, however often it is asked for: {read:?}");
        let text = &read[0].text;
        ensure!(
            text.starts_with("I report a message of @mallory@nest in club#general, "),
            "{text}"
        );
        ensure!(text.contains(": spam\n> buy my coins\n> and my watches\n"), "{text}");
        ensure!(text.contains(&id), "{text}");
        Ok(())
    })
    .await?;
    // Who is reported learns nothing, and there is nobody to report to for the only one who may moderate.
    let heard = mallory.run(&["rooms", "--json"]).await?.success()?;
    ensure!(!heard.stdout.contains("@bob"), "{heard}");
    alice.read_until("club#general", &["buy my coins\nand my watches"]).await?;
    let refused = alice.run(&["report", "club#general", &id]).await?;
    ensure!(refused.code() == exit::NOT_FOUND, "{refused}");
    let refused = mallory.run(&["report", "club#general", &id]).await?;
    ensure!(refused.code() == exit::USAGE, "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_report_without_a_connection_goes_out_when_there_is_one() -> Result<()> {
    let mut scene = Scene::of(&["alice", "bob", "mallory"]).await?;
    scene.club(&[]).await?;
    let (bob, mallory) = (scene.person("bob"), scene.person("mallory"));
    mallory.send("club#general", "buy my coins").await?;
    let shown = bob.read_until("club#general", &["buy my coins"]).await?;
    let id = id_of(&shown, "buy my coins")?;
    scene.server.kill().await?;
    let waits = scene.person("bob").run(&["report", "club#general", &id, "--json"]).await?;
    ensure!(waits.code() == 3 && waits.stdout.contains("\"queued\""), "{waits}");
    scene.server.start().await?;
    eventually(PATIENCE, async || {
        let read = scene.person("alice").read("@bob", 10).await?;
        ensure!(read.len() == 1 && read[0].text.contains("> buy my coins"), "{read:?}");
        Ok(())
    })
    .await
}

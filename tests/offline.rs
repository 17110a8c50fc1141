//! The first word to somebody never met, written without a connection: it waits under their name, and goes to whoever bears it.

use anyhow::{Context, Result, ensure};
use rookery_tests::{
    process::PATIENCE,
    profile::Message,
    world::{Couple, eventually},
};
use serde_json::Value;

const NO_CONNECTION: i32 = 3;
const NOT_FOUND: i32 = 7;

#[tokio::test]
async fn a_first_message_to_somebody_never_met_waits_for_the_connection() -> Result<()> {
    let mut scene = Couple::of_strangers().await?;
    scene.server.stop().await?;
    // Both spellings are one conversation, before and after the name is resolved.
    for (number, to) in ["@bob", "bob@nest", "@bob"].into_iter().enumerate() {
        queue(&scene, to, &format!("offline {number}"), &number.to_string()).await?;
    }
    let shown = scene.alice.read("bob@nest", 10).await?;
    let waiting = texts(&shown, "queued");
    ensure!(waiting == ["offline 0", "offline 1", "offline 2"], "{waiting:?}");
    let status = scene.alice.run(&["status", "--json"]).await?.exit(NO_CONNECTION)?.json()?;
    ensure!(status.get("queued") == Some(&Value::from(3)), "{status}");

    scene.server.start().await?;
    // Said later, it arrives later, though this command knows at once whom the name stands for.
    scene.alice.send("@bob", "online").await?;
    let all = ["offline 0", "offline 1", "offline 2", "online"];
    let shown = scene.bob.read_all("@alice", 4, PATIENCE).await?;
    let arrived: Vec<_> = shown.iter().map(|message| message.text.as_str()).collect();
    ensure!(arrived == all, "{arrived:?}");
    for with in ["@bob", "bob@nest"] {
        let shown = scene.alice.read(with, 10).await?;
        let own: Vec<_> = shown.iter().map(|message| message.text.as_str()).collect();
        ensure!(own == all, "with {with}: {own:?}");
    }
    // The same order under the same id is still the same message.
    scene.alice.ask(&["send", "@bob", "offline 0", "--id", "0"]).await?;
    ensure!(scene.bob.read("@alice", 10).await?.len() == 4, "something came twice");
    Ok(())
}

/// The agent was there all along, and a command waits for its message: both are told when the name has been resolved.
#[tokio::test]
async fn whoever_waits_or_follows_sees_the_message_go() -> Result<()> {
    let mut scene = Couple::of_strangers().await?;
    scene.server.stop().await?;
    let mut agent = scene.alice.start_agent()?;
    queue(&scene, "@bob", "first", "first").await?;
    let mut tail = scene.alice.start(&["tail", "@bob", "--json", "--since", "1h"])?;
    let told: Message = serde_json::from_value(tail.expect(PATIENCE).await?)?;
    ensure!(told.text == "first", "{told:?}");
    let mut waiting = scene.alice.start(&[
        "send",
        "@bob",
        "second",
        "--json",
        "--until",
        "sent",
        "--timeout",
        "60s",
    ])?;
    let told: Message = serde_json::from_value(tail.expect(PATIENCE).await?)?;
    ensure!(told.text == "second", "{told:?}");

    scene.server.start().await?;
    // Receipts are for contacts, so Bob becomes one, and answers.
    let mut bobs = scene.bob.start_agent()?;
    eventually(PATIENCE, async || scene.alice.ask(&["contact", "add", "@bob"]).await).await?;
    eventually(PATIENCE, async || scene.bob.ask(&["contact", "accept", "@alice"]).await).await?;
    scene.bob.send("@alice", "answer").await?;
    let told: Message = serde_json::from_value(tail.expect(PATIENCE).await?)?;
    ensure!(told.text == "answer", "{told:?}");
    let shown = scene.bob.read_all("@alice", 3, PATIENCE).await?;
    let mine = shown.iter().filter(|message| message.from == "alice@nest");
    let mine: Vec<_> = mine.map(|message| message.text.as_str()).collect();
    ensure!(mine == ["first", "second"], "{mine:?}");
    scene.alice.send("@bob", "third").await?;
    let told: Message = serde_json::from_value(tail.expect(PATIENCE).await?)?;
    ensure!(told.text == "third", "{told:?}");
    let waited: Value = waiting.expect(PATIENCE).await?;
    ensure!(waited.get("state").is_some_and(|state| state != "queued"), "{waited}");
    bobs.stop().await?;
    agent.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_name_that_turns_out_to_be_nobodys_fails_the_message() -> Result<()> {
    let mut scene = Couple::of_strangers().await?;
    scene.server.stop().await?;
    queue(&scene, "@nobody", "is there anybody?", "one").await?;
    queue(&scene, "@nobody", "hello?", "two").await?;
    scene.server.start().await?;
    let mut agent = scene.alice.start_agent()?;
    let shown = eventually(PATIENCE, async || {
        let shown = scene.alice.read("@nobody", 10).await?;
        ensure!(texts(&shown, "failed") == ["is there anybody?", "hello?"], "{shown:?}");
        Ok(shown)
    })
    .await?;
    let reason = shown[0].more.get("reason").and_then(Value::as_str).context("no reason")?;
    ensure!(reason.contains("nobody"), "{reason}");
    let status = scene.alice.ask(&["status"]).await?;
    ensure!(status.get("queued") == Some(&Value::from(0)), "{status}");
    ensure!(status.get("failed") == Some(&Value::from(2)), "{status}");
    // Where there is a connection, it is said at once, as ever.
    scene.alice.run(&["send", "@nobody", "hello?", "--json"]).await?.exit(NOT_FOUND)?;
    agent.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_message_that_may_not_be_queued_is_not() -> Result<()> {
    let mut scene = Couple::of_strangers().await?;
    scene.server.stop().await?;
    let refused = ["send", "@bob", "now or never", "--no-queue", "--json"];
    let refused = scene.alice.run(&refused).await?.exit(NO_CONNECTION)?;
    ensure!(refused.stdout.is_empty(), "{refused}");
    let status = scene.alice.run(&["status", "--json"]).await?.exit(NO_CONNECTION)?.json()?;
    ensure!(status.get("queued") == Some(&Value::from(0)), "{status}");
    Ok(())
}

async fn queue(couple: &Couple, to: &str, text: &str, id: &str) -> Result<()> {
    let arguments = ["send", to, text, "--json", "--id", id];
    let queued = couple.alice.run(&arguments).await?.exit(NO_CONNECTION)?.json()?;
    ensure!(queued.get("state") == Some(&Value::from("queued")), "{queued}");
    Ok(())
}

fn texts<'m>(shown: &'m [Message], state: &str) -> Vec<&'m str> {
    let there = shown.iter().filter(|message| message.state == state);
    there.map(|message| message.text.as_str()).collect()
}

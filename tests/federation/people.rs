//! How contacts on another server are, and that they write: told as at home, and to nobody else.

use anyhow::{Result, ensure};
use rookery_tests::{
    pair::{ALICE, BOB, Pair, text},
    process::PATIENCE,
    profile::Profile,
    world::eventually,
};
use serde_json::Value;

/// Of whom `who` knows how they are.
async fn presences(who: &Profile) -> Result<Vec<Value>> {
    who.run(&["presence", "show", "--json"]).await?.success()?.json_lines()
}

/// Waits until `who` sees `whom` in `state`.
async fn wait_for(who: &Profile, whom: &str, state: &str) -> Result<Value> {
    eventually(PATIENCE, async || {
        let seen = presences(who).await?;
        let line = seen.iter().find(|line| text(line, "name") == whom.trim_start_matches('@'));
        match line {
            Some(line) if text(line, "state") == state => Ok(line.clone()),
            _ => anyhow::bail!("{whom} is not {state} to {}: {seen:?}", who.label()),
        }
    })
    .await
}

/// What `who` is shown of Alice's profile.
async fn shown(who: &Profile) -> Result<(String, String)> {
    let profile = who.ask(&["profile", "show", ALICE]).await?;
    Ok((text(&profile, "display_name").to_owned(), text(&profile, "status").to_owned()))
}

#[tokio::test]
async fn a_profile_is_seen_by_contacts_on_another_server_and_by_nobody_else() -> Result<()> {
    let mut pair = Pair::of_friends().await?;
    let eve = pair.world.profile("eve", "laptop")?;
    eve.register(&pair.garden.invite(1).await?).await?;
    let _agents = [pair.alice.start_agent()?, pair.bob.start_agent()?];
    pair.alice.ask(&["profile", "set", "--display-name", "Alice Nest"]).await?;
    eventually(PATIENCE, async || {
        let seen = shown(&pair.bob).await?;
        ensure!(seen.0 == "Alice Nest", "{seen:?}");
        Ok(())
    })
    .await?;
    // A change is told: it is in the list of contacts without being asked for.
    pair.alice.ask(&["profile", "set", "--display-name", "Alice of Nest"]).await?;
    let is_listed = async || {
        let listed = pair.bob.run(&["contact", "list", "--json"]).await?.success()?.json_lines()?;
        let is_it = |line: &Value| text(line, "display_name") == "Alice of Nest";
        ensure!(listed.iter().any(is_it), "{listed:?}");
        Ok(())
    };
    eventually(PATIENCE, is_listed).await?;
    let refused = eve.run(&["profile", "show", ALICE]).await?;
    ensure!(!refused.stdout.contains("Alice of Nest"), "{refused:?}");
    // While her home is away, what it said last is shown.
    pair.nest.stop().await?;
    let seen = shown(&pair.bob).await?;
    ensure!(seen.0 == "Alice of Nest", "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn contacts_on_another_server_see_how_one_is_and_that_one_writes() -> Result<()> {
    let mut pair = Pair::of_friends().await?;
    let _alice = pair.alice.start_agent()?;
    let mut bob = pair.bob.start_agent()?;
    // What was set before the other came is known, and what is set later.
    wait_for(&pair.bob, ALICE, "online").await?;
    wait_for(&pair.alice, BOB, "online").await?;
    pair.alice.ask(&["presence", "set", "busy", "on call until noon"]).await?;
    let is_on_call = async || {
        let seen = wait_for(&pair.bob, ALICE, "busy").await?;
        // Sealed under a key that came in a letter.
        ensure!(text(&seen, "status") == "on call until noon", "{seen}");
        Ok(())
    };
    eventually(PATIENCE, is_on_call).await?;
    eventually(PATIENCE, async || {
        pair.bob.run(&["typing", ALICE]).await?.success()?;
        let typing = pair.alice.run(&["typing", "--json"]).await?.success()?.json_lines()?;
        let is_bob = |line: &Value| text(line, "name") == BOB.trim_start_matches('@');
        ensure!(typing.iter().any(is_bob), "{typing:?}");
        Ok(())
    })
    .await?;
    // Whoever goes is offline, and so is everybody of a server that is away, until it is back.
    bob.stop().await?;
    wait_for(&pair.alice, BOB, "offline").await?;
    pair.nest.stop().await?;
    wait_for(&pair.bob, ALICE, "offline").await?;
    pair.nest.start().await?;
    eventually(PATIENCE, is_on_call).await
}

#[tokio::test]
async fn nobody_else_on_another_server_is_told() -> Result<()> {
    let pair = Pair::of_friends().await?;
    let carol = pair.world.profile("carol", "laptop")?;
    carol.register(&pair.garden.invite(1).await?).await?;
    let _agents = (pair.alice.start_agent()?, pair.bob.start_agent()?, carol.start_agent()?);
    // She has asked, and waits.
    carol.ask(&["contact", "add", ALICE]).await?;
    pair.alice.ask(&["presence", "set", "away", "out"]).await?;
    wait_for(&pair.bob, ALICE, "away").await?;
    let seen = presences(&carol).await?;
    let is_alice = |line: &&Value| text(line, "name") == ALICE.trim_start_matches('@');
    let told = seen.iter().find(is_alice);
    ensure!(told.is_none_or(|line| text(line, "state") == "offline"), "{seen:?}");
    // Who is a contact no longer hears nothing more.
    pair.alice.ask(&["contact", "block", BOB]).await?;
    wait_for(&pair.bob, ALICE, "offline").await?;
    pair.alice.ask(&["presence", "set", "online"]).await?;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    wait_for(&pair.bob, ALICE, "offline").await?;
    Ok(())
}

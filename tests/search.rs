//! Searching on a device: what its messages say now, with a server and without one.

use anyhow::{Context, Result, ensure};
use rookery_tests::{
    process::PATIENCE,
    profile::{Profile, messages},
    world::{World, befriend, eventually},
};
use serde_json::Value;

/// What a search shows, newest first, and the cursor of the next page.
async fn search(who: &Profile, arguments: &[&str]) -> Result<(Vec<String>, Option<String>)> {
    let whole = [&["search", "--json"], arguments].concat();
    let mut lines = who.run(&whole).await?.success()?.json_lines()?;
    let is_cursor = lines.last().is_some_and(|line| line.get("next").is_some());
    let last = if is_cursor { lines.pop() } else { None };
    let next = last.and_then(|line| line.get("next").and_then(Value::as_str).map(str::to_owned));
    let texts = messages(lines)?.into_iter().map(|message| message.text).collect();
    Ok((texts, next))
}

async fn finds(who: &Profile, query: &str, expected: &[&str]) -> Result<()> {
    let (texts, _) = search(who, &[query]).await?;
    ensure!(texts == expected, "{query} finds {texts:?}, not {expected:?}");
    Ok(())
}

#[tokio::test]
async fn words_are_found_as_they_are_now_with_a_server_and_without_one() -> Result<()> {
    let world = World::new()?;
    let mut server = world.homeserver("nest").start().await?;
    let (alice, bob) = (world.profile("alice", "laptop")?, world.profile("bob", "laptop")?);
    for person in [&alice, &bob] {
        person.register(&server.invite(1).await?).await?;
    }
    befriend(&alice, &bob).await?;
    let agents = [alice.start_agent()?, bob.start_agent()?];
    alice.wait_until_connected().await?;
    bob.wait_until_connected().await?;
    alice.ask(&["community", "create", "club"]).await?;
    let invited = alice.ask(&["community", "invite", "club"]).await?;
    let link = invited.get("link").and_then(Value::as_str).context("a link")?;
    bob.ask(&["community", "join", link]).await?;

    alice.send("@bob", "Grüße vom Reiher").await?;
    alice.send("club#general", "the heron flies at https://nest.example").await?;
    let edited = alice.send("club#general", "the heron sleeps").await?;
    let erased = alice.send("club#general", "the heron lies").await?;
    alice.run(&["edit", "club#general", &edited, "the stork sleeps"]).await?.success()?;
    alice.run(&["delete", "club#general", &erased]).await?.success()?;
    bob.send("club#general", "a heron, a stork").await?;
    let flies = "the heron flies at https://nest.example";
    eventually(PATIENCE, async || {
        finds(&bob, "heron", &["a heron, a stork", flies]).await?;
        finds(&bob, "stork", &["a heron, a stork", "the stork sleeps"]).await
    })
    .await?;
    finds(&alice, "GRUSSE", &["Grüße vom Reiher"]).await?;
    for mut agent in agents {
        agent.stop().await?;
    }
    server.stop().await?;
    for (query, expected) in [
        ("hero", &["a heron, a stork", flies][..]),
        ("\"the heron\"", &[flies]),
        ("heron -stork", &[flies]),
        ("from:alice stork", &["the stork sleeps"]),
        ("from:me heron", &["a heron, a stork"]),
        ("in:@alice reih*", &["Grüße vom Reiher"]),
        ("in:club#general has:edit", &["the stork sleeps"]),
        ("has:link", &[flies]),
        ("lies", &[]),
        ("heron before:2020-01-31", &[]),
    ] {
        finds(&bob, query, expected).await?;
    }
    let (first, next) = search(&bob, &["heron", "-n", "1"]).await?;
    let cursor = next.context("there is a second page")?;
    let (second, end) = search(&bob, &["heron", "-n", "1", "--cursor", &cursor]).await?;
    ensure!((first, second, end) == (vec!["a heron, a stork".into()], vec![flies.into()], None));
    bob.run(&["search", "lies"]).await?.success()?;
    bob.run(&["search", "h*n"]).await?.exit(2)?;
    bob.run(&["search", "from:nobody", "heron"]).await?.exit(7)?;
    Ok(())
}

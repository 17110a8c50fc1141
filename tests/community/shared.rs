//! What members see of each other, and a user's devices of one another.

use anyhow::{Result, ensure};
use rookery_tests::{process::PATIENCE, profile::Profile, world::eventually};
use serde_json::Value;

use crate::scene::{Scene, exit};

#[tokio::test]
async fn read_marks_are_shared_and_unread_and_mentions_are_counted() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    let (alice, bob) = (scene.person("alice"), scene.person("bob"));
    scene.club(&[]).await?;
    let phone = scene.world.profile("bob", "phone")?;
    phone.link_to(bob, &scene.server.ready().invite).await?;
    let _agent = phone.start_agent()?;
    phone.wait_until_connected().await?;
    for text in ["one", "two @bob", "three"] {
        alice.send("club#general", text).await?;
    }
    let counts = async |device: &Profile, unread: u64, mentions: u64| {
        eventually(PATIENCE, async || {
            let channels = device.run(&["channel", "list", "club", "--json"]).await?.success()?;
            let line: Value =
                serde_json::from_str(channels.stdout.lines().next().unwrap_or_default())?;
            ensure!(line["unread"] == unread && line["mentions"] == mentions, "{line}");
            Ok(())
        })
        .await
    };
    counts(bob, 3, 1).await?;
    counts(&phone, 3, 1).await?;
    bob.read("club#general", 50).await?;
    counts(bob, 0, 0).await?;
    counts(&phone, 0, 0).await?;
    Ok(())
}

#[tokio::test]
async fn members_see_who_types_and_who_has_read_and_whom_they_may_know() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    let (alice, bob) = (scene.person("alice"), scene.person("bob"));
    scene.club(&[]).await?;
    alice.send("club#general", "read this").await?;
    bob.read_until("club#general", &["read this"]).await?;
    eventually(PATIENCE, async || {
        let shown = alice.read("club#general", 5).await?;
        let readers = shown.last().and_then(|message| message.more.get("read_by"));
        ensure!(readers.is_some_and(|readers| readers.to_string().contains("bob")), "{shown:?}");
        Ok(())
    })
    .await?;
    eventually(PATIENCE, async || {
        bob.run(&["typing", "club#general"]).await?.success()?;
        let typing = alice.run(&["typing", "--json"]).await?.success()?;
        ensure!(
            typing.stdout.contains("bob") && typing.stdout.contains("club#general"),
            "{typing}"
        );
        Ok(())
    })
    .await?;
    for person in [alice, bob] {
        person.ask(&["account", "settings", "--suggest", "true"]).await?;
    }
    let suggested = alice.run(&["contact", "suggest", "--json"]).await?.success()?;
    ensure!(suggested.stdout.contains("bob"), "{suggested}");
    bob.ask(&["account", "settings", "--suggest", "false"]).await?;
    let suggested = alice.run(&["contact", "suggest", "--json"]).await?.success()?;
    ensure!(!suggested.stdout.contains("bob"), "{suggested}");
    Ok(())
}

#[tokio::test]
async fn settings_drafts_and_mutes_are_shared_by_a_user_s_devices() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    let bob = scene.person("bob");
    scene.club(&[]).await?;
    let phone = scene.world.profile("bob", "phone")?;
    phone.link_to(bob, &scene.server.ready().invite).await?;
    let _agent = phone.start_agent()?;
    phone.wait_until_connected().await?;
    bob.ask(&["settings", "theme", "light"]).await?;
    bob.ask(&["settings", "mute", "on", "--of", "club#general"]).await?;
    bob.ask(&["settings", "draft", "half a thought", "--of", "club#general"]).await?;
    eventually(PATIENCE, async || {
        let theme = phone.ask(&["settings", "theme"]).await?;
        let mute = phone.ask(&["settings", "mute", "--of", "club#general"]).await?;
        let draft = phone.ask(&["settings", "draft", "--of", "club#general"]).await?;
        ensure!(theme["value"] == "light" && mute["value"] == "on", "{theme} {mute}");
        ensure!(draft["value"] == "half a thought", "{draft}");
        Ok(())
    })
    .await?;
    let refused = bob.run(&["settings", "theme", "polka"]).await?;
    ensure!(refused.code() == exit::USAGE, "{refused}");
    Ok(())
}

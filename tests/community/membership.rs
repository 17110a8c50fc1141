//! Who is in, who is not, and what they may read and do.

use anyhow::{Result, ensure};
use rookery_tests::{process::PATIENCE, world::eventually};

use crate::scene::{Scene, exit};

#[tokio::test]
async fn who_was_sent_away_reads_nothing_more_and_who_comes_reads_what_the_setting_says()
-> Result<()> {
    for (history, reads_before) in [("full", true), ("since-join", false)] {
        let scene = Scene::of(&["alice", "bob", "carol", "dave"]).await?;
        let (alice, bob) = (scene.person("alice"), scene.person("bob"));
        let (carol, dave) = (scene.person("carol"), scene.person("dave"));
        alice.ask(&["community", "create", "club", "--history", history]).await?;
        let link = alice.link_into("club", &[]).await?;
        for early in [bob, carol] {
            early.ask(&["community", "join", &link]).await?;
        }
        alice.send("club#general", "before").await?;
        bob.read_until("club#general", &["before"]).await?;
        carol.read_until("club#general", &["before"]).await?;

        alice.ask(&["member", "kick", "club", "@carol", "--reason", "rude"]).await?;
        alice.send("club#general", "without carol").await?;
        bob.read_until("club#general", &["before", "without carol"]).await?;
        let refused = carol.run(&["send", "club#general", "still here?"]).await?;
        ensure!(refused.code() != 0, "{refused}");
        let shown = carol.read("club#general", 50).await?;
        ensure!(shown.iter().all(|message| message.text != "without carol"), "{shown:?}");

        dave.ask(&["community", "join", &link]).await?;
        alice.send("club#general", "with dave").await?;
        let shown = dave.read_until("club#general", &["with dave"]).await?;
        let before = shown.iter().any(|message| message.text == "before");
        ensure!(before == reads_before, "history {history}: {shown:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_device_that_is_linked_later_reads_everything_with_nobody_else_online() -> Result<()> {
    let mut scene = Scene::of(&["alice", "bob"]).await?;
    scene.club(&[]).await?;
    let phone = scene.world.profile("bob", "phone")?;
    {
        let (alice, bob) = (scene.person("alice"), scene.person("bob"));
        alice.send("club#general", "one").await?;
        bob.read_until("club#general", &["one"]).await?;
        bob.send("club#general", "two").await?;
        alice.read_until("club#general", &["one", "two"]).await?;
        phone.link_to(bob, &scene.server.ready().invite).await?;
    }
    // Everybody else is gone.
    for (_, agent) in &mut scene.people {
        agent.kill().await?;
    }
    phone.read_until("club#general", &["one", "two"]).await?;
    phone.send("club#general", "from the phone").await?;
    Ok(())
}

#[tokio::test]
async fn private_channels_roles_and_exceptions_hold() -> Result<()> {
    let scene = Scene::of(&["alice", "bob", "carol"]).await?;
    let (alice, bob, carol) = (scene.person("alice"), scene.person("bob"), scene.person("carol"));
    scene.club(&[]).await?;
    alice
        .ask(&["role", "create", "club", "crew", "--rank", "5", "--permissions", "moderate,kick"])
        .await?;
    alice.ask(&["channel", "create", "club", "bridge", "--private", "--roles", "crew"]).await?;
    alice.send("club#bridge", "for the crew").await?;
    let unseen = bob.run(&["read", "club#bridge"]).await?;
    ensure!(unseen.code() == exit::NOT_FOUND, "{unseen}");

    alice.ask(&["member", "role", "club", "@bob", "crew"]).await?;
    bob.read_until("club#bridge", &["for the crew"]).await?;
    bob.send("club#bridge", "aye").await?;
    alice.read_until("club#bridge", &["for the crew", "aye"]).await?;
    alice.ask(&["member", "role", "club", "@bob", "crew", "--remove"]).await?;
    alice.send("club#bridge", "bob is gone").await?;
    let shown = bob.run(&["read", "club#bridge", "--json"]).await?;
    ensure!(!shown.stdout.contains("bob is gone"), "{shown:?}");

    alice.ask(&["channel", "deny", "club#general", "@carol", "post"]).await?;
    let refused = eventually(PATIENCE, async || {
        let refused = carol.run(&["send", "club#general", "may I?"]).await?;
        ensure!(refused.code() == exit::NOT_PERMITTED, "{refused}");
        Ok(refused)
    })
    .await?;
    ensure!(!refused.stderr.is_empty(), "it says why");
    let refused = carol.run(&["role", "create", "club", "boss"]).await?;
    ensure!(refused.code() == exit::NOT_PERMITTED, "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_group_is_made_of_people_and_changes_with_them() -> Result<()> {
    let scene = Scene::of(&["alice", "bob", "carol"]).await?;
    let (alice, bob, carol) = (scene.person("alice"), scene.person("bob"), scene.person("carol"));
    alice.ask(&["group", "create", "weekend", "@bob"]).await?;
    alice.send("+weekend", "where to?").await?;
    bob.read_until("+weekend", &["where to?"]).await?;
    bob.send("+weekend", "the sea").await?;
    alice.ask(&["group", "add", "+weekend", "@carol"]).await?;
    carol.read_until("+weekend", &["where to?", "the sea"]).await?;
    carol.send("+weekend", "yes!").await?;
    alice.read_until("+weekend", &["where to?", "the sea", "yes!"]).await?;
    alice.ask(&["group", "rename", "+weekend", "seaside"]).await?;
    eventually(PATIENCE, async || bob.read("+seaside", 10).await).await?;
    alice.ask(&["group", "remove", "+seaside", "@bob"]).await?;
    alice.send("+seaside", "just us").await?;
    carol.read_until("+seaside", &["just us"]).await?;
    let shown = bob.run(&["read", "+seaside", "--json"]).await?;
    ensure!(!shown.stdout.contains("just us"), "{shown:?}");
    carol.ask(&["group", "leave", "+seaside"]).await?;
    let refused = carol.run(&["group", "add", "+seaside", "@bob"]).await?;
    ensure!(refused.code() != 0 && refused.code() != exit::USAGE, "{refused}");
    Ok(())
}

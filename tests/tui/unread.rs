//! What is marked unread, and stays so.

use anyhow::{Context as _, Result, ensure};
use rookery_tests::{
    process::PATIENCE,
    profile::Profile,
    screen::{Key, Setup},
    world::eventually,
};

use crate::scene::{Scene, open, quit};

/// Its own devices agree on it, it is there after a restart, and reading it ends it everywhere.
#[tokio::test]
async fn pain_09_unread_from_here_is_kept_and_shared() -> Result<()> {
    let scene = Scene::talking().await?;
    for text in ["one of three", "two of three", "three of three"] {
        scene.bob.send("@alice", text).await?;
    }
    let mut terminal = scene.alice_at_her_screen().await?;
    terminal.wait_text("three of three")?;
    let unread = async |profile: &Profile, wanted: u64| {
        eventually(PATIENCE, async || {
            // The list waits for nothing; this waits for what the other device has said.
            profile.run(&["status"]).await?;
            let rooms = profile.run(&["rooms", "--json"]).await?.success()?;
            let line =
                rooms.stdout.lines().find(|line| line.contains("\"@bob")).context("no bob")?;
            let line: serde_json::Value = serde_json::from_str(line)?;
            ensure!(line["unread"] == wanted, "{line}");
            Ok(())
        })
        .await
    };
    unread(&scene.alice, 0).await?;
    let phone = scene.world.profile("alice", "phone")?;
    phone.link_to(&scene.alice, &scene.server.ready().invite).await?;
    // From the second of them on.
    terminal.press(Key::Up)?;
    terminal.press(Key::Up)?;
    terminal.press(Key::Character('u'))?;
    terminal.wait_text("Unread from there on")?;
    unread(&scene.alice, 2).await?;
    // The other device learns of it while this one is open, which goes on looking at it.
    unread(&phone, 2).await?;
    quit(&mut terminal)?;
    unread(&scene.alice, 2).await?;
    phone.run(&["mark-read", "@bob"]).await?.success()?;
    unread(&phone, 0).await?;
    unread(&scene.alice, 0).await?;
    scene.alice.run(&["mark-unread", "@bob"]).await?.success()?;
    unread(&scene.alice, 1).await?;
    let mut terminal = open(&scene.alice, &Setup::default())?;
    terminal.wait_text("three of three")?;
    unread(&scene.alice, 0).await?;
    quit(&mut terminal)
}

#[tokio::test]
async fn pain_09_a_room_counts_as_unread_from_a_place_on() -> Result<()> {
    let scene = Scene::talking().await?;
    scene.alice.ask(&["community", "create", "club"]).await?;
    let made = scene.alice.ask(&["community", "invite", "club"]).await?;
    // Somebody has to be there to let him in.
    let _agent = scene.alice.start_agent()?;
    scene.alice.wait_until_connected().await?;
    scene.bob.ask(&["community", "join", made["link"].as_str().context("link")?]).await?;
    eventually(PATIENCE, async || scene.bob.send("club#general", "one").await.map(drop)).await?;
    scene.bob.send("club#general", "two").await?;
    let unread = async |wanted: u64| {
        eventually(PATIENCE, async || {
            let rooms = scene.alice.run(&["rooms", "--json"]).await?.success()?;
            let line = rooms.stdout.lines().find(|line| line.contains("club#general"));
            let line: serde_json::Value = serde_json::from_str(line.context("no room")?)?;
            ensure!(line["unread"] == wanted, "{line}");
            Ok(())
        })
        .await
    };
    scene.alice.read_all("club#general", 2, PATIENCE).await?;
    unread(0).await?;
    let read = scene.alice.read("club#general", 2).await?;
    scene.alice.run(&["mark-unread", "club#general", &read[0].id]).await?.success()?;
    unread(2).await?;
    scene.bob.send("club#general", "three").await?;
    unread(3).await?;
    scene.alice.run(&["mark-read", "club#general"]).await?.success()?;
    unread(0).await?;
    let nothing = scene.alice.run(&["mark-unread", "club#general", "999999"]).await?;
    ensure!(nothing.code() == 7, "{nothing}");
    Ok(())
}

//! A device that comes later has everything, with nobody's help but the server's; one that was put out gets nothing.

use anyhow::{Context, Result, ensure};
use rookery_tests::{
    homeserver::Homeserver,
    process::PATIENCE,
    profile::{Message, Profile},
    world::{World, befriend, eventually},
};
use serde_json::Value;

#[tokio::test]
async fn a_device_linked_later_reads_the_whole_history_alone() -> Result<()> {
    let scene = Scene::new().await?;
    let phone = scene.world.profile("bob", "phone")?;
    phone.link_to(&scene.bob, scene.link()).await?;
    // Only the phone runs from here on, so what it has it has from the server.
    scene.has_the_whole_history(&phone).await?;
    scene.gets_what_is_sent_from_now_on(&phone).await
}

#[tokio::test]
async fn a_device_brought_back_by_the_recovery_key_alone_reads_the_whole_history() -> Result<()> {
    let scene = Scene::new().await?;
    let key = scene.world.path().join("paper");
    std::fs::rename(scene.bob.recovery_key_file(), &key)?;
    std::fs::remove_dir_all(scene.bob.home())?;
    let found = scene.world.profile("bob", "found")?;
    found.recover(scene.link(), &key).await?;
    scene.has_the_whole_history(&found).await?;
    scene.gets_what_is_sent_from_now_on(&found).await
}

#[tokio::test]
async fn a_password_alone_reads_nothing() -> Result<()> {
    let scene = Scene::new().await?;
    let thief = scene.world.profile("bob", "thief")?;
    thief.log_in(scene.link()).await?;
    let read = thief.run(&["read", "@alice", "--json"]).await?;
    ensure!(read.stdout.trim().is_empty(), "it read something: {read}");
    ensure!(read.code() != 0, "it was let read: {read}");
    Ok(())
}

#[tokio::test]
async fn a_revoked_device_gets_nothing_that_is_sealed_after() -> Result<()> {
    let scene = Scene::new().await?;
    let phone = scene.world.profile("bob", "phone")?;
    phone.link_to(&scene.bob, scene.link()).await?;
    scene.has_the_whole_history(&phone).await?;

    let id = other_device(&scene.bob).await?;
    scene.bob.ask(&["device", "revoke", &id]).await?;
    scene.alice.send("@bob", "sealed after").await?;
    let there = |shown: &[Message]| shown.iter().any(|message| message.text == "sealed after");
    eventually(PATIENCE, async || {
        ensure!(there(&scene.bob.read("@alice", 100).await?), "not yet on the device that stays");
        Ok(())
    })
    .await?;
    let read = phone.run(&["read", "@alice", "-n", "100", "--json"]).await?;
    ensure!(!read.stdout.contains("sealed after"), "the revoked device has it: {read}");
    let send = phone.run(&["send", "@alice", "still here?", "--json", "--timeout", "5s"]).await?;
    ensure!(send.code() != 0, "the revoked device sent something: {send}");
    Ok(())
}

/// Alice and Bob with a device each, and a history between them.
struct Scene {
    world: World,
    server: Homeserver,
    alice: Profile,
    bob: Profile,
    history: Vec<Message>,
}

impl Scene {
    const LENGTH: usize = 40;

    async fn new() -> Result<Self> {
        let world = World::new()?;
        let server = world.homeserver("nest").start().await?;
        let (alice, bob) = (world.profile("alice", "laptop")?, world.profile("bob", "laptop")?);
        alice.register(&server.ready().invite).await?;
        bob.register(&server.invite(1).await?).await?;
        befriend(&alice, &bob).await?;
        for number in 0..Self::LENGTH / 2 {
            alice.send("@bob", &format!("alice says {number}")).await?;
            bob.send("@alice", &format!("bob says {number}")).await?;
        }
        let history = bob.read_all("@alice", Self::LENGTH, PATIENCE).await?;
        Ok(Self { world, server, alice, bob, history })
    }

    /// By which a device finds the server; that its invite has been used up does not matter to a log-in.
    fn link(&self) -> &str {
        &self.server.ready().invite
    }

    async fn has_the_whole_history(&self, device: &Profile) -> Result<()> {
        let said = |messages: &[Message]| -> Vec<_> {
            messages
                .iter()
                .map(|one| (one.id.clone(), one.from.clone(), one.text.clone()))
                .collect()
        };
        let shown = device.read_all("@alice", self.history.len(), PATIENCE).await?;
        ensure!(said(&shown) == said(&self.history), "on {}: {shown:#?}", device.label());
        Ok(())
    }

    async fn gets_what_is_sent_from_now_on(&self, device: &Profile) -> Result<()> {
        self.alice.send("@bob", "welcome back").await?;
        let shown =
            device.read_all("@alice", self.history.len().saturating_add(1), PATIENCE).await?;
        let last = shown.last().context("nothing shown")?;
        ensure!(last.text == "welcome back", "{last:?}");
        device.send("@alice", "good to be back").await?;
        let answered =
            self.alice.read_all("@bob", self.history.len().saturating_add(2), PATIENCE).await?;
        ensure!(answered.iter().any(|message| message.text == "good to be back"), "{answered:#?}");
        Ok(())
    }
}

/// The id of the device of its user that `device` is not.
async fn other_device(device: &Profile) -> Result<String> {
    let answer = device.run(&["device", "list", "--json"]).await?.success()?;
    let others: Vec<_> = answer
        .json_lines()?
        .into_iter()
        .filter(|object| object.get("this").and_then(Value::as_bool) == Some(false))
        .filter_map(|object| object.get("id").and_then(Value::as_str).map(ToOwned::to_owned))
        .collect();
    ensure!(others.len() == 1, "wanted one other device: {answer}");
    others.into_iter().next().context("no other device")
}

//! A homeserver that was restored from a copy: what it had ordered since, its peers give back.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use rookery_tests::{
    homeserver::Homeserver, process::PATIENCE, profile::Profile, world::eventually,
};
use serde_json::Value;

use crate::scene::Scene;

/// Has the first server of the scene copied.
async fn copy(scene: &Scene) -> Result<PathBuf> {
    let to = scene.world.path().join("copy");
    let folder = to.to_str().context("a path of UTF-8")?;
    scene.homes.first().context("nest")?.admin(&["backup", "--to", folder]).await?.success()?;
    Ok(to)
}

/// Loses what the first server has, and restores the copy in its place.
async fn lose_and_restore(scene: &mut Scene, copy: &Path) -> Result<Value> {
    let nest = scene.homes.first_mut().context("nest")?;
    nest.kill().await?;
    fs::rename(nest.data(), nest.data().with_extension("lost"))?;
    let copy = copy.to_str().context("a path of UTF-8")?;
    let restored = nest.admin(&["restore", "--from", copy]).await?.success()?.json()?;
    nest.start().await?;
    Ok(restored)
}

async fn status(server: &Homeserver) -> Result<Value> {
    // Its exit code says whether it can store, which is not asked here.
    let shown = server.admin(&["status"]).await?.json()?;
    Ok(shown.get("data").context("no data")?.clone())
}

async fn wait_until_open(server: &Homeserver) -> Result<()> {
    eventually(PATIENCE, async || {
        let status = status(server).await?;
        ensure!(status.get("fenced") == Some(&Value::Null), "{status}");
        Ok(())
    })
    .await
}

/// The ids of what `who` sees in a channel, in order.
async fn ids(who: &Profile, channel: &str) -> Result<Vec<String>> {
    Ok(who.read(channel, 100).await?.into_iter().map(|message| message.id).collect())
}

/// Says something, at once or as soon as the new connection is there.
async fn say(who: &Profile, channel: &str, text: &str) -> Result<()> {
    let sent = who.run(&["send", channel, text]).await?;
    ensure!([0, 3].contains(&sent.code()), "{sent}");
    Ok(())
}

#[tokio::test]
async fn a_restored_hub_takes_back_what_it_had_ordered_since_the_copy() -> Result<()> {
    let mut scene = Scene::of(2).await?;
    scene.club(&[]).await?;
    scene.person(0)?.send("club#general", "before").await?;
    scene.person(1)?.read_until("club#general", &["before"]).await?;
    let copied = copy(&scene).await?;

    let (alice, bob) = (scene.person(0)?, scene.person(1)?);
    bob.send("club#general", "since, by bob").await?;
    alice.send("club#general", "since, by alice").await?;
    alice.ask(&["channel", "create", "club", "plans"]).await?;
    alice.send("club#plans", "a new channel").await?;
    let phone = scene.world.profile("alice", "phone")?;
    let link = scene.homes.first().context("nest")?.invite(1).await?;
    phone.link_to(alice, &link).await?;
    phone.send("club#general", "since, by another device").await?;
    let since = ["before", "since, by bob", "since, by alice", "since, by another device"];
    bob.read_until("club#general", &since).await?;
    bob.read_until("club#plans", &["a new channel"]).await?;
    let before = ids(bob, "club#general").await?;

    let restored = lose_and_restore(&mut scene, &copied).await?;
    ensure!(restored.pointer("/data/fenced") == Some(&Value::Bool(true)), "{restored}");
    wait_until_open(scene.homes.first().context("nest")?).await?;
    let (alice, bob) = (scene.person(0)?, scene.person(1)?);
    say(alice, "club#general", "afterwards, by alice").await?;
    bob.read_until("club#general", &["afterwards, by alice"]).await?;
    say(bob, "club#general", "afterwards, by bob").await?;
    // Her other device is hers still, and logs in anew: its session was begun after the copy was made.
    phone.run(&["send", "club#plans", "afterwards, by another device"]).await?.exit(8)?;
    phone.log_in(&link).await?;
    let agent = phone.start_agent()?;
    for who in [alice, bob, &phone] {
        let all = [&since[..], &["afterwards, by alice", "afterwards, by bob"]].concat();
        who.read_until("club#general", &all).await?;
        let plans = ["a new channel", "afterwards, by another device"];
        who.read_until("club#plans", &plans).await?;
        let checked = who.run(&["community", "verify", "club", "--json"]).await?.success()?;
        ensure!(!checked.stdout.contains("fork"), "{checked}");
    }
    let after = ids(bob, "club#general").await?;
    ensure!(after.starts_with(&before), "{before:?} is not the beginning of {after:?}");
    for who in [alice, &phone] {
        let seen = ids(who, "club#general").await?;
        ensure!(seen == after, "{}: {seen:?}, not {after:?}", who.label());
    }
    drop(agent);
    // Somebody new reads it from the beginning, as the hub has it now.
    let carol = scene.world.profile("carol", "laptop")?;
    carol.register(&scene.homes.first().context("nest")?.invite(1).await?).await?;
    carol.ask(&["community", "join", &alice.link_into("club", &[]).await?]).await?;
    carol.read_until("club#general", &["afterwards, by alice", "afterwards, by bob"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_restored_server_changes_nothing_before_its_peers_were_asked() -> Result<()> {
    let mut scene = Scene::of(2).await?;
    scene.club(&[]).await?;
    scene.person(0)?.send("club#general", "before").await?;
    scene.person(1)?.read_until("club#general", &["before"]).await?;
    let copied = copy(&scene).await?;
    scene.person(1)?.send("club#general", "since").await?;
    scene.person(0)?.read_until("club#general", &["before", "since"]).await?;
    scene.homes.get_mut(1).context("garden")?.kill().await?;
    lose_and_restore(&mut scene, &copied).await?;

    let (nest, alice) = (scene.homes.first().context("nest")?, scene.person(0)?);
    let status = status(nest).await?;
    ensure!(status.get("waits_for") == Some(&serde_json::json!(["garden.example"])), "{status}");
    let looked = nest.admin(&["doctor", "federation"]).await?;
    ensure!(looked.code() == 7 && looked.stdout.contains("waits for garden.example"), "{looked}");
    // She reads; what she says waits. That her server was killed her agent notices when it next asks for something, and says that first.
    alice.wait_until_connected().await?;
    alice.read_until("club#general", &["before"]).await?;
    let id = uuid::Uuid::now_v7().to_string();
    let said = ["send", "club#general", "meanwhile", "--id", &id, "--timeout", "5s"];
    eventually(PATIENCE, async || {
        let queued = alice.run(&said).await?;
        ensure!(queued.code() == 9 && queued.stderr.contains("not posted yet"), "{queued}");
        Ok(())
    })
    .await?;
    scene.homes.get_mut(1).context("garden")?.start().await?;
    wait_until_open(scene.homes.first().context("nest")?).await?;
    for who in [scene.person(0)?, scene.person(1)?] {
        who.read_until("club#general", &["before", "since", "meanwhile"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_administrator_has_a_restored_server_go_on_without_its_peers() -> Result<()> {
    let mut scene = Scene::of(2).await?;
    let copied = copy(&scene).await?;
    scene.homes.get_mut(1).context("garden")?.kill().await?;
    lose_and_restore(&mut scene, &copied).await?;
    let nest = scene.homes.first().context("nest")?;
    nest.admin(&["unfence"]).await?.exit(2)?;
    nest.admin(&["unfence", "--yes"]).await?.success()?;
    wait_until_open(nest).await?;
    nest.admin(&["unfence", "--yes"]).await?.exit(4)?;
    let alice = scene.person(0)?;
    eventually(PATIENCE, async || alice.ask(&["community", "create", "den"]).await).await?;
    // It stays open.
    let nest = scene.homes.first_mut().context("nest")?;
    nest.kill().await?;
    nest.start().await?;
    wait_until_open(nest).await
}

#[tokio::test]
async fn policy_is_decided_while_the_server_runs_and_lasts() -> Result<()> {
    let mut scene = Scene::of(2).await?;
    scene.club(&[]).await?;
    let nest = scene.homes.first().context("nest")?;
    let shown = nest.admin(&["policy", "federation"]).await?.success()?.json()?;
    ensure!(shown.pointer("/data/federation") == Some(&Value::from("allowlist")), "{shown}");
    nest.admin(&["policy", "federation", "off"]).await?.success()?;
    nest.wait_for_peer("garden.example", "off").await?;
    scene.homes.get(1).context("garden")?.wait_for_peer("nest.example", "down").await?;
    let queued = scene.person(1)?.run(&["send", "club#general", "later"]).await?;
    ensure!(queued.code() == 3, "{queued}");
    let nest = scene.homes.first_mut().context("nest")?;
    nest.stop().await?;
    nest.start().await?;
    let shown = nest.admin(&["policy", "federation"]).await?.success()?.json()?;
    ensure!(shown.pointer("/data/federation") == Some(&Value::from("off")), "{shown}");
    nest.admin(&["policy", "federation", "configured"]).await?.success()?;
    nest.wait_for_peer("garden.example", "up").await?;
    scene.person(0)?.read_until("club#general", &["later"]).await?;
    let looked = scene.homes.first().context("nest")?;
    let looked = looked.admin(&["doctor", "federation", "garden.example"]).await?.success()?;
    ensure!(looked.stdout.contains("reached and proven"), "{looked}");
    let nobody = scene.homes.first().context("nest")?;
    nobody.admin(&["doctor", "federation", "nobody.example"]).await?.exit(3)?;
    Ok(())
}

#[tokio::test]
async fn a_hub_that_is_restored_from_before_it_handed_a_community_over_finds_where_it_went()
-> Result<()> {
    let mut scene = Scene::of(2).await?;
    scene.club(&["--channels", "plans"]).await?;
    scene.person(0)?.send("club#general", "before").await?;
    scene.person(1)?.read_until("club#general", &["before"]).await?;
    let copied = copy(&scene).await?;

    let (alice, bob) = (scene.person(0)?, scene.person(1)?);
    bob.send("club#general", "since, by bob").await?;
    alice.send("club#plans", "since, by alice").await?;
    alice.ask(&["community", "move", "club", "--to", "garden.example"]).await?;
    bob.send("club#general", "at the garden").await?;
    bob.send("club#plans", "by bob").await?;
    lose_and_restore(&mut scene, &copied).await?;
    wait_until_open(scene.homes.first().context("nest")?).await?;
    let (alice, bob) = (scene.person(0)?, scene.person(1)?);
    say(alice, "club#general", "afterwards, by alice").await?;
    say(bob, "club#plans", "afterwards, by bob").await?;
    for who in [alice, bob] {
        let said = ["before", "since, by bob", "at the garden", "afterwards, by alice"];
        who.read_until("club#general", &said).await?;
        let said = ["since, by alice", "by bob", "afterwards, by bob"];
        who.read_until("club#plans", &said).await?;
        let checked = who.ask(&["community", "verify", "club"]).await?;
        ensure!(checked["holds"] == true, "{checked}");
    }
    for channel in ["club#general", "club#plans"] {
        let (one, other) = (ids(alice, channel).await?, ids(bob, channel).await?);
        ensure!(one == other, "{channel}: {one:?} {other:?}");
    }
    Ok(())
}

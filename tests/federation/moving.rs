//! Communities that are moved to another server: planned, with all that they hold, and whatever is killed meanwhile.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rookery_tests::{
    process::PATIENCE,
    profile::{Attempt, Profile},
    random::Random,
    world::{World, eventually},
};

use super::scene::Scene;

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;
/// Kills of each of the two servers that have to come before a move has ended, and after how many moves at most.
const HITS: usize = 1;
const MOST_ROUNDS: usize = 24;
/// When the latest kill comes, in milliseconds. A move takes about as long when nothing is killed.
const LONGEST_MOVE: u64 = 100;
/// How long a move may take whose servers are killed: they find each other again within half a minute.
const ENDING: Duration = Duration::from_secs(90);
const NEST: usize = 0;
const GARDEN: usize = 1;

/// What `who` reads of a channel, oldest first, once it is that many messages.
async fn read(who: &Profile, room: &str, count: usize) -> Result<Vec<String>> {
    eventually(PATIENCE, async || {
        let shown = who.read(room, 100).await?;
        ensure!(shown.len() == count, "{} reads {shown:?}", who.label());
        Ok(shown.into_iter().map(|message| message.id).collect())
    })
    .await
}

/// A club of alice's on the first server with a private channel of hers and something said in both.
async fn busy_club(scene: &Scene) -> Result<()> {
    let alice = scene.person(ALICE)?;
    scene.club(&["--channels", "plans"]).await?;
    alice.ask(&["role", "create", "club", "crew", "--rank", "5"]).await?;
    alice.ask(&["channel", "create", "club", "bridge", "--private", "--roles", "crew"]).await?;
    for number in 0..5 {
        alice.send("club#bridge", &format!("secret {number}")).await?;
        alice.send("club#general", &format!("from alice {number}")).await?;
        scene.person(BOB)?.send("club#general", &format!("from bob {number}")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_community_goes_on_at_another_server_with_all_that_was_said() -> Result<()> {
    let mut scene = Scene::of(3).await?;
    busy_club(&scene).await?;
    let old_link = scene.person(ALICE)?.link_into("club", &[]).await?;
    scene.person(ALICE)?.ask(&["community", "move", "club", "--to", "garden.example"]).await?;
    for number in [BOB, CAROL, ALICE] {
        scene.person(number)?.send("club#general", "here we are").await?;
    }
    let mut seen = vec![];
    for number in [ALICE, BOB, CAROL] {
        seen.push(read(scene.person(number)?, "club#general", 13).await?);
    }
    ensure!(seen.windows(2).all(|two| two[0] == two[1]), "they differ: {seen:?}");
    let log = scene.person(CAROL)?.run(&["community", "log", "club"]).await?.success()?;
    ensure!(log.stdout.contains("moved it to another server"), "{log}");

    // Without its former hub it goes on: also the private channel, which nobody on the new one reads but who comes now.
    scene.homes[NEST].stop().await?;
    scene.person(BOB)?.send("club#general", "without nest").await?;
    read(scene.person(CAROL)?, "club#general", 14).await?;
    scene.homes[NEST].start().await?;
    scene.person(ALICE)?.wait_until_connected().await?;
    read(scene.person(ALICE)?, "club#general", 14).await?;
    scene.person(ALICE)?.ask(&["member", "role", "club", "@bob@garden.example", "crew"]).await?;
    read(scene.person(BOB)?, "club#bridge", 5).await?;
    scene.person(BOB)?.send("club#bridge", "aye").await?;
    read(scene.person(ALICE)?, "club#bridge", 6).await?;

    // A link from before leads there, also from a server that has never heard of it and asks its former hub.
    let aviary = scene.world.homeserver("aviary.example").start().await?;
    for home in [&scene.homes[NEST], &scene.homes[GARDEN]] {
        home.know(&aviary).await?;
        aviary.know(home).await?;
        aviary.wait_for_peer(&home.ready().name, "up").await?;
    }
    let dave = scene.world.profile("dave", "laptop")?;
    dave.register(&aviary.invite(1).await?).await?;
    let _agent = dave.start_agent()?;
    dave.wait_until_connected().await?;
    dave.ask(&["community", "join", &old_link]).await?;
    dave.send("club#general", "by the old link").await?;
    read(scene.person(ALICE)?, "club#general", 15).await?;
    let verified = scene.person(BOB)?.ask(&["community", "verify", "club"]).await?;
    ensure!(verified["holds"] == true, "{verified}");
    Ok(())
}

#[tokio::test]
async fn a_community_goes_on_to_a_third_server_and_back() -> Result<()> {
    let scene = Scene::of(3).await?;
    busy_club(&scene).await?;
    let mut count = 10;
    for to in ["garden.example", "shore.example", "nest.example"] {
        scene.person(ALICE)?.ask(&["community", "move", "club", "--to", to]).await?;
        for number in [BOB, CAROL, ALICE] {
            let who = scene.person(number)?;
            who.send("club#general", to).await?;
            let shown = who.ask(&["community", "show", "club"]).await?;
            ensure!(shown["hub"] == to, "{} sees it elsewhere: {shown}", who.label());
        }
        count += 3;
        let mut seen = vec![];
        for number in [ALICE, BOB, CAROL] {
            seen.push(read(scene.person(number)?, "club#general", count).await?);
        }
        ensure!(seen.windows(2).all(|two| two[0] == two[1]), "at {to} they differ: {seen:?}");
    }
    let log = scene.person(CAROL)?.run(&["community", "log", "club"]).await?.success()?;
    ensure!(log.stdout.matches("moved it to another server").count() == 3, "{log}");
    // Whoever comes now checks all of it from the beginning.
    let dave = scene.world.profile("dave", "laptop")?;
    dave.register(&scene.homes[GARDEN].invite(1).await?).await?;
    let _agent = dave.start_agent()?;
    dave.wait_until_connected().await?;
    let link = scene.person(ALICE)?.link_into("club", &[]).await?;
    dave.ask(&["community", "join", &link]).await?;
    read(&dave, "club#general", count).await?;
    Ok(())
}

#[tokio::test]
async fn nobody_else_moves_a_community_and_no_server_is_made_to_take_it() -> Result<()> {
    let world = World::new()?;
    let homes = vec![
        world.homeserver("nest.example").start().await?,
        world
            .homeserver("garden.example")
            .setting("ROOKERYD_SERVER_ADOPTIONS", "none")
            .start()
            .await?,
        world.homeserver("shore.example").start().await?,
    ];
    let scene = Scene::on(world, homes).await?;
    let (alice, bob) = (scene.person(ALICE)?, scene.person(BOB)?);
    alice.ask(&["community", "create", "club"]).await?;
    let link = alice.link_into("club", &[]).await?;
    bob.ask(&["community", "join", &link]).await?;
    let refusals = [
        (bob, "nest.example", 6, "on that server already"),
        (bob, "shore.example", 6, "only its owner"),
        (alice, "garden.example", 6, "takes none"),
        (alice, "shore.example", 6, "somebody on it belongs to"),
        (alice, "nest.example", 6, "on that server already"),
        (alice, "elsewhere.example", 3, "no connection"),
        (alice, "no name", 2, "name"),
    ];
    for (who, to, code, why) in refusals {
        let refused = who.run(&["community", "move", "club", "--to", to]).await?;
        ensure!(refused.code() == code && refused.stderr.contains(why), "{to}: {refused}");
    }
    alice.send("club#general", "still here").await?;
    bob.read_until("club#general", &["still here"]).await?;
    Ok(())
}

#[tokio::test]
async fn whatever_is_killed_while_a_community_moves_it_is_whole_in_the_end() -> Result<()> {
    let mut scene = Scene::of(2).await?;
    busy_club(&scene).await?;
    let mut random = Random::from_seed(7665)?;
    let (mut count, mut round) = (10, 0);
    // How often each was killed before its move had ended.
    let mut hits = [0; 2];
    while hits.iter().any(|hits| *hits < HITS) {
        ensure!(round < MOST_ROUNDS, "the kills come too late: {hits:?} of {round}");
        round += 1;
        let (victim, to) = match round % 4 {
            1 => (GARDEN, "garden.example"),
            2 => (GARDEN, "nest.example"),
            3 => (NEST, "garden.example"),
            _ => (NEST, "nest.example"),
        };
        let mut moving = scene.person(ALICE)?.start(&["community", "move", "club", "--to", to])?;
        tokio::time::sleep(random.pause(10, LONGEST_MOVE)).await;
        hits[victim] += usize::from(!moving.has_ended()?);
        scene.homes[victim].kill().await?;
        scene.homes[victim].start().await?;
        // Whether it was moved by then is not known: what counts is that the command ends, that the community is in one place, and that nothing
        // is lost.
        let ended = moving.wait(ENDING).await.with_context(|| format!("round {round}, to {to}"))?;
        scene.homes[NEST].wait_for_peer("garden.example", "up").await?;
        for number in [ALICE, BOB] {
            scene.person(number)?.wait_until_connected().await?;
        }
        eventually(PATIENCE, async || {
            let moved =
                scene.person(ALICE)?.run(&["community", "move", "club", "--to", to]).await?;
            ensure!(
                moved.code() == 0 || moved.stderr.contains("on that server already"),
                "{moved} after {ended:?}"
            );
            Ok(())
        })
        .await
        .with_context(|| format!("round {round}, to {to}"))?;
        for number in [ALICE, BOB] {
            let (who, id) = (scene.person(number)?, uuid::Uuid::now_v7().to_string());
            let kept = who.try_send("club#general", &format!("round {round}"), &id, None).await?;
            ensure!(matches!(kept, Attempt::Taken { .. }), "round {round}: {kept:?}");
        }
        count += 2;
        let one = read(scene.person(ALICE)?, "club#general", count).await?;
        let other = read(scene.person(BOB)?, "club#general", count).await?;
        ensure!(one == other, "round {round}: {one:?} {other:?}");
    }
    Ok(())
}

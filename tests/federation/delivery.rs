//! What people of two servers write to each other arrives, once and in order.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rookery_tests::{
    chaos::{Toll, kill_homeserver, talk},
    homeserver::{Homeserver, new_postgresql_database},
    pair::{ALICE, BOB, Pair, befriend, state_of, text, wait_for_state},
    process::PATIENCE,
    random::Random,
    world::{World, eventually},
};
use serde_json::Value;

/// For everything to arrive after the last kill, on a machine that does much else.
const SETTLING: Duration = Duration::from_mins(2);

#[tokio::test]
async fn requests_messages_and_receipts_go_between_two_servers() -> Result<()> {
    go_between(Pair::of_friends().await?).await
}

#[tokio::test]
async fn two_servers_on_postgresql_do_the_same() -> Result<()> {
    let world = World::new()?;
    let setup = world.homeserver("nest.example").database(&new_postgresql_database().await?);
    let nest = setup.start().await?;
    let setup = world.homeserver("garden.example").database(&new_postgresql_database().await?);
    let garden = setup.start().await?;
    let pair = Pair::between(world, nest, garden).await?;
    befriend(&pair.alice, &pair.bob).await?;
    go_between(pair).await
}

async fn go_between(pair: Pair) -> Result<()> {
    let Pair { alice, bob, nest, garden, world: _world } = &pair;
    let agents = [alice.start_agent()?, bob.start_agent()?];
    for (from, to, whom, back) in [(alice, bob, BOB, ALICE), (bob, alice, ALICE, BOB)] {
        let words = ["send", whom, "over the wall", "--until", "delivered", "--timeout", "60s"];
        let sent = from.ask(&words).await?;
        ensure!(text(&sent, "state") == "delivered", "{sent}");
        let id = text(&sent, "id");
        let got = state_of(to, back, id).await?;
        ensure!(text(&got, "text") == "over the wall", "{got}");
        ensure!(format!("@{}", text(&got, "from")) == back, "{got}");
        // Read, and told so.
        to.run(&["read", back]).await?.success()?;
        wait_for_state(from, whom, id, "read").await?;
    }
    // Both see the same number, made of chains that each has checked for itself.
    let numbers = [alice.ask(&["verify", BOB]).await?, bob.ask(&["verify", ALICE]).await?];
    let [one, two] = numbers.each_ref().map(|line| text(line, "safety_number"));
    ensure!(!one.is_empty() && one == two, "{numbers:?}");
    let peers = alice.run(&["peers", "--json"]).await?.success()?.json()?;
    ensure!(text(&peers, "server") == "garden.example" && text(&peers, "state") == "up", "{peers}");
    for (server, other) in [(nest, "garden.example"), (garden, "nest.example")] {
        let shown = server.peer(other).await?;
        ensure!(shown.get("waiting").and_then(Value::as_u64) == Some(0), "{shown}");
        server.admin(&["peer", "test", other]).await?.success()?;
    }
    drop(agents);
    Ok(())
}

#[tokio::test]
async fn a_stranger_on_another_server_may_write_and_is_shown_apart() -> Result<()> {
    let pair = Pair::of_strangers().await?;
    let sent = pair.alice.ask(&["send", BOB, "hello from afar"]).await?;
    let got =
        eventually(PATIENCE, async || state_of(&pair.bob, ALICE, text(&sent, "id")).await).await?;
    ensure!(got.get("request").and_then(Value::as_bool) == Some(true), "{got}");
    // Bob takes her on, which is a request of his to her; and blocks end it.
    pair.bob.ask(&["contact", "block", ALICE]).await?;
    let refused = pair.alice.run(&["send", BOB, "again", "--json"]).await?;
    ensure!(refused.code() != 0, "a blocked person's message was taken: {refused}");
    Ok(())
}

#[tokio::test]
async fn servers_prove_themselves_again_after_a_while_and_nothing_is_lost_meanwhile() -> Result<()>
{
    let world = World::new()?;
    let aging = |name| world.homeserver(name).verbose().setting("ROOKERYD_SERVER_PROOF_AGE", "1s");
    let (nest, garden) =
        (aging("nest.example").start().await?, aging("garden.example").start().await?);
    let pair = Pair::between(world, nest, garden).await?;
    befriend(&pair.alice, &pair.bob).await?;
    let logs = || -> Result<[String; 2]> {
        let [nest, garden] = [&pair.nest, &pair.garden].map(Homeserver::log_file);
        Ok([fs::read_to_string(nest)?, fs::read_to_string(garden)?])
    };
    let proofs = || -> Result<usize> {
        Ok(logs()?.iter().map(|log| log.matches("both have proven themselves").count()).sum())
    };
    let before = proofs()?;
    // When they first meet, of two connections that were made at once one ends.
    let met = logs()?.map(|log| log.len());
    let toll = Toll::default();
    let mut random = Random::from_seed(12)?;
    let mut said = talk(&pair.alice, BOB, 10, random.split(), &toll).await?;
    let mut count = 10;
    while proofs()? < before.saturating_add(4) {
        ensure!(count < 400, "the proofs are never renewed");
        said.merge(talk(&pair.alice, BOB, 10, random.split(), &toll).await?);
        count += 10;
    }
    let shown = pair.bob.read_all(ALICE, count, SETTLING).await?;
    said.judge(&shown).ensure_clean("bob/laptop")?;
    for (log, met) in logs()?.iter().zip(met) {
        let since = log.get(met..).unwrap_or_default();
        ensure!(!since.contains("the peer is not reached"), "the connection was lost: {since}");
    }
    Ok(())
}

#[tokio::test]
async fn what_waits_for_a_server_that_was_killed_arrives_once_and_in_order() -> Result<()> {
    let mut pair = Pair::of_friends().await?;
    let mut random = Random::from_seed(11)?;
    let toll = Toll::default();
    let before = talk(&pair.alice, BOB, 5, random.split(), &toll).await?;
    pair.garden.kill().await?;
    pair.nest.wait_for_peer("garden.example", "down").await.ok();

    let mut agent = pair.alice.start_agent()?;
    pair.alice.wait_until_connected().await?;
    let waiting = talk(&pair.alice, BOB, 20, random.split(), &toll).await?;
    let last = pair.alice.ask(&["send", BOB, "the last"]).await?;
    let line = wait_for_state(&pair.alice, BOB, text(&last, "id"), "waiting").await?;
    ensure!(
        text(&line, "server") == "garden.example" && !text(&line, "since").is_empty(),
        "{line}"
    );
    let shown = pair.alice.run(&["read", BOB, "--peek"]).await?.success()?;
    ensure!(shown.stdout.contains("waiting for garden.example since "), "{}", shown.stdout);
    let peers = pair.alice.run(&["peers", "--json"]).await?.success()?.json()?;
    ensure!(text(&peers, "state") == "down", "{peers}");
    ensure!(
        peers.get("waiting").and_then(Value::as_u64).is_some_and(|count| count >= 21),
        "{peers}"
    );

    // The sender's server is killed as well: what it has acknowledged is on its disk.
    pair.nest.kill().await?;
    pair.nest.start().await?;
    pair.garden.start().await?;
    let shown = pair.bob.read_all(ALICE, 26, SETTLING).await?;
    let (first, rest) = shown.split_at(5);
    before.judge(first).ensure_clean("bob/laptop, before")?;
    let (rest, end) = rest.split_at(20);
    waiting.judge(rest).ensure_clean("bob/laptop, after")?;
    ensure!(end.len() == 1 && end.iter().all(|one| one.id == text(&last, "id")), "{end:?}");
    wait_for_state(&pair.alice, BOB, text(&last, "id"), "read").await?;
    agent.stop().await?;
    Ok(())
}

/// Sends `signal` to the process of `server`.
async fn send_signal(server: &Homeserver, signal: &str) -> Result<()> {
    let order = format!("kill -{signal} {}", server.id()?);
    let done = tokio::process::Command::new("sh").args(["-c", &order]).status().await?;
    ensure!(done.success(), "{order}: {done}");
    Ok(())
}

#[tokio::test]
async fn what_waits_for_a_server_that_fell_silent_arrives_when_it_speaks_again() -> Result<()> {
    let pair = Pair::of_friends().await?;
    let mut random = Random::from_seed(12)?;
    let toll = Toll::default();
    let mut agent = pair.alice.start_agent()?;
    pair.alice.wait_until_connected().await?;
    // Its sessions are begun, and nothing answers any more: as a network in between that drops everything.
    let before = talk(&pair.alice, BOB, 3, random.split(), &toll).await?;
    send_signal(&pair.garden, "STOP").await?;
    let waiting = talk(&pair.alice, BOB, 10, random.split(), &toll).await?;
    pair.nest.wait_for_peer("garden.example", "down").await?;
    let shown = pair.nest.peer("garden.example").await?;
    let count = shown.get("waiting").and_then(Value::as_u64).unwrap_or_default();
    ensure!(count >= 10, "{shown}");
    send_signal(&pair.garden, "CONT").await?;
    let shown = pair.bob.read_all(ALICE, 13, SETTLING).await?;
    let (first, rest) = shown.split_at(3);
    before.judge(first).ensure_clean("bob/laptop, before")?;
    waiting.judge(rest).ensure_clean("bob/laptop, after")?;
    pair.nest.wait_for_peer("garden.example", "up").await?;
    agent.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_arrives_once_and_in_order_though_both_servers_are_killed() -> Result<()> {
    let each_way = match std::env::var("ROOKERY_TEST_MESSAGES") {
        Ok(given) => given.parse().context("ROOKERY_TEST_MESSAGES is not a number")?,
        Err(_) => 60,
    };
    let Pair { alice, bob, mut nest, mut garden, world: _world } = Pair::of_friends().await?;
    let mut random = Random::from_seed(7665)?;
    let (mut talkers, mut killers) = (random.split(), random.split());
    let toll = Toll::default();
    let mut agents = [alice.start_agent()?, bob.start_agent()?];
    let talking = async {
        tokio::try_join!(
            talk(&alice, BOB, each_way, talkers.split(), &toll),
            talk(&bob, ALICE, each_way, talkers.split(), &toll),
        )
    };
    let killing = async {
        tokio::try_join!(
            kill_homeserver(&mut nest, killers.split(), &toll),
            kill_homeserver(&mut garden, killers.split(), &toll),
        )
    };
    let ledgers = tokio::select! {
        ledgers = talking => ledgers?,
        ended = killing => match ended?.0 {},
    };
    println!("killed: {toll:?}");
    ensure!(toll.homeservers.load(std::sync::atomic::Ordering::Relaxed) >= 4, "{toll:?}");
    for server in [&mut nest, &mut garden] {
        if !server.runs()? {
            server.start().await?;
        }
    }
    let mut all = ledgers.0;
    all.merge(ledgers.1);
    for (who, whom) in [(&alice, BOB), (&bob, ALICE)] {
        let shown = who.read_all(whom, all.acknowledged(), SETTLING).await?;
        all.judge(&shown).ensure_clean(&who.label())?;
    }
    for agent in &mut agents {
        agent.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_waits_is_sealed_again_when_the_receiver_has_a_new_device() -> Result<()> {
    let pair = Pair::of_friends().await?;
    let mut agent = pair.alice.start_agent()?;
    pair.alice.wait_until_connected().await?;
    pair.nest.admin(&["peer", "pause", "garden.example"]).await?.success()?;
    let mut random = Random::from_seed(5)?;
    let toll = Toll::default();
    let ledger = talk(&pair.alice, BOB, 5, random.split(), &toll).await?;
    // Bob has another device now, which none of them was sealed for.
    let phone = pair.world.profile("bob", "phone")?;
    phone.link_to(&pair.bob, &pair.garden.invite(1).await?).await?;
    pair.nest.admin(&["peer", "resume", "garden.example"]).await?.success()?;
    for device in [&pair.bob, &phone] {
        let shown = device.read_all(ALICE, 5, SETTLING).await?;
        ledger.judge(&shown).ensure_clean(&device.label())?;
    }
    agent.stop().await?;
    Ok(())
}

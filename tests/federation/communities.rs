//! Communities and groups whose members live on several homeservers, real processes all of them.

use std::{sync::atomic::Ordering, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use rookery_protocol::{
    codec,
    community::{Action, Statement},
    id::{ChannelId, CommunityId},
    io::client::CallError,
    request::{
        blob::{GetBlob, GetBlobError},
        chain::ReadError,
        peer_place::{PeerGetBlob, PeerListPlaces, PeerReadPlace},
    },
};
use rookery_tests::{
    chaos::{Toll, kill_homeserver, talk},
    homeserver::new_postgresql_database,
    impostor::{Impostor, attended},
    oracle::Ledger,
    process::PATIENCE,
    random::Random,
    world::{World, eventually},
};
use serde_json::Value;

use super::scene::{HOMES, Scene};

const BOB: &str = "@bob@garden.example";
const CAROL: &str = "@carol@shore.example";

/// For everything to arrive after the last kill, on a machine that does much else.
const SETTLING: Duration = Duration::from_mins(2);

/// How often it is talked on at most until enough was killed.
const MOST_ROUNDS: usize = 40;

#[tokio::test]
async fn a_community_is_joined_by_its_link_from_another_server_and_both_talk() -> Result<()> {
    talk_in_a_club(Scene::of(2).await?).await
}

async fn talk_in_a_club(scene: Scene) -> Result<()> {
    let (alice, bob) = (scene.person(0)?, scene.person(1)?);
    scene.club(&["--channels", "plans"]).await?;
    alice.send("club#general", "welcome").await?;
    bob.read_until("club#general", &["welcome"]).await?;
    bob.send("#general", "glad to be here @alice@nest.example").await?;
    bob.send("club#plans", "a picnic?").await?;
    let order = ["welcome", "glad to be here @alice@nest.example"];
    let mut seen = vec![];
    for who in [alice, bob] {
        let messages = who.read_until("club#general", &order).await?;
        seen.push(messages.iter().map(|message| message.id.clone()).collect::<Vec<_>>());
        who.read_until("club#plans", &["a picnic?"]).await?;
    }
    ensure!(seen.first() == seen.last(), "the channel differs: {seen:?}");
    // How far each has read is told across.
    for (who, other) in [(alice, "bob@garden.example"), (bob, "alice@nest.example")] {
        eventually(PATIENCE, async || {
            let shown = who.read("club#general", 10).await?;
            let mut own = shown.iter().filter(|message| message.from.starts_with(who.user()));
            let is_told = own.any(|message| {
                let readers = message.more.get("read_by");
                readers.is_some_and(|readers| readers.to_string().contains(other))
            });
            ensure!(is_told, "{}: {shown:?}", who.user());
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn members_on_servers_with_postgresql_do_the_same() -> Result<()> {
    let world = World::new()?;
    let mut homes = vec![];
    for name in HOMES.iter().take(2) {
        let setup = world.homeserver(name).database(&new_postgresql_database().await?);
        homes.push(setup.start().await?);
    }
    talk_in_a_club(Scene::on(world, homes).await?).await
}

#[tokio::test]
async fn a_group_and_an_invitation_reach_contacts_on_another_server() -> Result<()> {
    let scene = Scene::of(2).await?;
    let (alice, bob) = (scene.person(0)?, scene.person(1)?);
    alice.ask(&["group", "create", "weekend", BOB]).await?;
    alice.send("+weekend", "where to?").await?;
    bob.read_until("+weekend", &["where to?"]).await?;
    bob.send("+weekend", "the sea").await?;
    alice.read_until("+weekend", &["where to?", "the sea"]).await?;
    bob.ask(&["group", "leave", "+weekend"]).await?;
    alice.send("+weekend", "alone").await?;
    let shown = bob.run(&["read", "+weekend", "--json"]).await?;
    ensure!(!shown.stdout.contains("alone"), "{shown}");

    // By name, to a community that nobody else may join.
    alice.ask(&["community", "create", "den", "--policy", "invited"]).await?;
    alice.ask(&["community", "invite", "den", BOB]).await?;
    let den = eventually(PATIENCE, async || {
        let listed = bob.run(&["community", "list", "--json"]).await?.success()?.json_lines()?;
        let den = listed.iter().find(|line| line["standing"] == "invited");
        let id = den.and_then(|line| line.get("id")).and_then(Value::as_str);
        Ok(id.with_context(|| format!("no invitation in {listed:?}"))?.to_owned())
    })
    .await?;
    bob.ask(&["community", "join", &den]).await?;
    alice.send("den#general", "you found it").await?;
    bob.read_until("den#general", &["you found it"]).await?;
    Ok(())
}

#[tokio::test]
async fn who_is_of_the_hub_may_be_a_group_s_founder_s_contact_on_a_third_server() -> Result<()> {
    let scene = Scene::of(3).await?;
    let (alice, bob, carol) = (scene.person(0)?, scene.person(1)?, scene.person(2)?);
    // The hub of the group is bob's home; its members live on three servers.
    bob.ask(&["group", "create", "crew", "@alice@nest.example", CAROL]).await?;
    bob.send("+crew", "all aboard").await?;
    for other in [alice, carol] {
        other.read_until("+crew", &["all aboard"]).await?;
    }
    carol.send("+crew", "aye").await?;
    alice.send("+crew", "ahoy").await?;
    let mut seen = vec![];
    for (who, _) in &scene.people {
        let messages = eventually(PATIENCE, async || {
            let messages = who.read("+crew", 50).await?;
            ensure!(messages.len() == 3, "{messages:?}");
            Ok(messages)
        })
        .await?;
        seen.push(messages.iter().map(|message| message.id.clone()).collect::<Vec<_>>());
        let members = who.run(&["member", "list", "+crew"]).await?.success()?;
        for name in ["alice@nest.example", "bob@garden.example", "carol@shore.example"] {
            ensure!(members.stdout.contains(name), "{name}: {}", members.stdout);
        }
    }
    ensure!(seen.windows(2).all(|two| two[0] == two[1]), "the group differs: {seen:?}");
    Ok(())
}

#[tokio::test]
async fn members_of_three_servers_are_one_community() -> Result<()> {
    let world = World::new()?;
    let mut homes = vec![];
    for name in HOMES {
        homes.push(world.homeserver(name).start().await?);
    }
    // The homes of bob and carol know the hub, and not each other.
    let scene = Scene::knowing(world, homes, |one, other| one == 0 || other == 0).await?;
    let (alice, bob, carol) = (scene.person(0)?, scene.person(1)?, scene.person(2)?);
    scene.club(&[]).await?;
    bob.send("club#general", "one").await?;
    carol.read_until("club#general", &["one"]).await?;
    carol.send("club#general", "two").await?;
    for (who, _) in &scene.people {
        who.read_until("club#general", &["one", "two"]).await?;
    }
    // A role that is given opens a private channel abroad, and closes it again.
    let role = ["role", "create", "club", "crew", "--rank", "5", "--permissions", "moderate,kick"];
    alice.ask(&role).await?;
    alice.ask(&["channel", "create", "club", "bridge", "--private", "--roles", "crew"]).await?;
    alice.send("club#bridge", "for the crew").await?;
    alice.ask(&["member", "role", "club", BOB, "crew"]).await?;
    bob.read_until("club#bridge", &["for the crew"]).await?;
    bob.send("club#bridge", "aye").await?;
    alice.read_until("club#bridge", &["for the crew", "aye"]).await?;
    let unseen = carol.run(&["read", "club#bridge"]).await?;
    ensure!(unseen.code() != 0, "{unseen}");
    // Whose role it is sends away who lives on a third server.
    bob.ask(&["member", "kick", "club", CAROL]).await?;
    bob.send("club#general", "without carol").await?;
    alice.read_until("club#general", &["one", "two", "without carol"]).await?;
    eventually(PATIENCE, async || {
        let refused = carol.run(&["send", "club#general", "still here?"]).await?;
        ensure!(refused.code() != 0 && refused.code() != 3, "{refused}");
        Ok(())
    })
    .await?;
    let shown = carol.run(&["read", "club#general", "--json"]).await?;
    ensure!(!shown.stdout.contains("without carol"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn while_the_hub_is_away_its_copy_is_read_and_what_is_said_waits() -> Result<()> {
    let mut scene = Scene::of(2).await?;
    scene.club(&[]).await?;
    scene.person(0)?.send("club#general", "before").await?;
    let bob = scene.person(1)?;
    bob.read_until("club#general", &["before"]).await?;
    scene.homes.first_mut().context("the hub")?.kill().await?;
    scene.homes.get(1).context("garden")?.wait_for_peer("nest.example", "down").await?;
    let bob = scene.person(1)?;
    let queued = bob.run(&["send", "club#general", "meanwhile"]).await?;
    ensure!(queued.code() == 3, "{queued}");
    let said = format!("{}{}", queued.stdout, queued.stderr);
    ensure!(said.contains("nest.example cannot be reached since "), "{queued}");
    // Nothing but talk and leaving is queued, and it says why.
    let refused = bob.run(&["community", "invite", "club"]).await?;
    ensure!(refused.code() != 0 && refused.stderr.contains("nest.example"), "{refused}");
    // Another device of his has nothing but his home to read from.
    let phone = scene.world.profile("bob", "phone")?;
    let link = scene.homes.get(1).context("garden")?.invite(1).await?;
    phone.link_to(bob, &link).await?;
    phone.read_until("club#general", &["before"]).await?;
    scene.homes.first_mut().context("the hub")?.start().await?;
    scene.person(0)?.read_until("club#general", &["before", "meanwhile"]).await?;
    phone.read_until("club#general", &["before", "meanwhile"]).await?;
    Ok(())
}

#[tokio::test]
async fn the_home_of_who_was_sent_away_gets_the_log_up_to_then_and_nothing_after() -> Result<()> {
    let mut scene = Scene::of(2).await?;
    scene.club(&[]).await?;
    let (alice, bob) = (scene.person(0)?, scene.person(1)?);
    alice.send("club#general", "before").await?;
    bob.read_until("club#general", &["before"]).await?;
    let listed = alice.run(&["community", "list", "--json"]).await?.success()?.json_lines()?;
    let id = listed.first().and_then(|line| line.get("id")).and_then(Value::as_str);
    let community: CommunityId = id.context("an id")?.parse()?;
    alice.ask(&["member", "ban", "club", BOB, "--reason", "rude"]).await?;
    alice.send("club#general", "without bob").await?;
    // He is told, and has what he had.
    eventually(PATIENCE, async || {
        let refused = bob.run(&["send", "club#general", "still here?"]).await?;
        ensure!(refused.code() != 0 && refused.code() != 3, "{refused}");
        Ok(())
    })
    .await?;
    let shown = bob.run(&["read", "club#general", "--json"]).await?.success()?;
    ensure!(shown.stdout.contains("before") && !shown.stdout.contains("without bob"), "{shown}");
    let link = scene.person(0)?.link_into("club", &[]).await?;
    let refused = scene.person(1)?.run(&["community", "join", &link]).await?;
    ensure!(refused.code() != 0, "{refused}");

    // Whatever his home were to ask: here we are his home.
    let garden = scene.homes.get_mut(1).context("garden")?;
    garden.kill().await?;
    let garden = Impostor::in_place_of(garden.data())?;
    let nest = scene.homes.first().context("nest")?;
    let client = garden.connect(&nest.ready().address, "nest.example").await?;
    let asking = async {
        let read = |channel, after| PeerReadPlace {
            community,
            channel,
            after,
            limit: 256,
            guest: None,
            last: None,
        };
        let channel = Some(ChannelId::from_number(1));
        let refused = client.call(&read(channel, None)).await;
        ensure!(matches!(refused, Err(CallError::Request(ReadError::NotFound))), "{refused:?}");
        let log = client.call(&read(None, None)).await?;
        let last = log.entries.last().context("a log")?;
        let statement: Statement = codec::decode(last.body.as_ref().context("a body")?.as_slice())?;
        ensure!(matches!(statement.action, Action::Ban(_)), "{statement:?}");
        ensure!(!log.more && client.call(&read(None, Some(last.seq))).await?.entries.is_empty());
        for wraps in log.entries.iter().filter_map(|entry| entry.body.as_ref()) {
            let statement: Statement = codec::decode(wraps.as_slice())?;
            let Action::Epoch(epoch) = statement.action else { continue };
            let get = GetBlob { community, blob: epoch.wraps, offset: 0, length: 1_168 };
            let refused = client.call(&PeerGetBlob { request: get, guest: None }).await;
            ensure!(
                matches!(refused, Err(CallError::Request(GetBlobError::NotFound))),
                "{refused:?}"
            );
        }
        // It speaks for nobody but its own, and not for who was sent away either.
        let page = client.call(&PeerListPlaces { after: None, only: None }).await?;
        ensure!(page.places.iter().all(|place| place.channel.is_none()), "{page:?}");
        Ok(())
    };
    attended(client.connection(), async |_, _| Ok(None), asking).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_post_arrives_once_and_in_order_though_hub_and_home_are_killed() -> Result<()> {
    let each = match std::env::var("ROOKERY_TEST_MESSAGES") {
        Ok(given) => given.parse().context("ROOKERY_TEST_MESSAGES is not a number")?,
        Err(_) => 40,
    };
    let Scene { mut homes, people, world: _world } = {
        let scene = Scene::of(2).await?;
        scene.club(&[]).await?;
        scene
    };
    let [(alice, _), (bob, _)] = people.as_slice() else { bail!("two people") };
    let [hub, home] = homes.as_mut_slice() else { bail!("two servers") };
    let mut random = Random::from_seed(4711)?;
    let (mut talkers, mut killers) = (random.split(), random.split());
    let toll = Toll::default();
    let talking = async {
        let mut all = Ledger::default();
        // On a fast machine all would be said before anybody was killed.
        for _ in 0..MOST_ROUNDS {
            let (one, other) = tokio::try_join!(
                talk(alice, "club#general", each, talkers.split(), &toll),
                talk(bob, "club#general", each, talkers.split(), &toll),
            )?;
            all.merge(one);
            all.merge(other);
            if toll.homeservers.load(Ordering::Relaxed) >= 4 {
                break;
            }
        }
        anyhow::Ok(all)
    };
    let killing = async {
        tokio::try_join!(
            kill_homeserver(hub, killers.split(), &toll),
            kill_homeserver(home, killers.split(), &toll),
        )
    };
    let all = tokio::select! {
        all = talking => all?,
        ended = killing => match ended?.0 {},
    };
    println!("killed: {toll:?}");
    ensure!(toll.homeservers.load(Ordering::Relaxed) >= 4, "{toll:?}");
    for server in &mut homes {
        if !server.runs()? {
            server.start().await?;
        }
    }
    let mut seen = vec![];
    for (who, _) in &people {
        let shown = who.read_all("club#general", all.acknowledged(), SETTLING).await?;
        all.judge(&shown).ensure_clean(&who.label())?;
        seen.push(shown.into_iter().map(|message| message.id).collect::<Vec<_>>());
    }
    ensure!(seen.first() == seen.last(), "the channel differs");
    Ok(())
}

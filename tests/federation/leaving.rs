//! Leaving communities whose hub is on another server: also while the hub is away, and what becomes of the copies that nobody needs then.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rookery_homeserver::{database, repository::Storage};
use rookery_protocol::{
    id::{ChainId, ChannelId, CommunityId},
    io::client::CallError,
    request::{
        chain::ReadError,
        peer_place::{PeerListPlaces, PeerReadPlace},
    },
};
use rookery_tests::{
    impostor::{Impostor, attended},
    pair::text,
    process::PATIENCE,
    profile::Profile,
    world::{World, eventually},
};
use serde_json::Value;

use super::scene::Scene;

const ALICE: usize = 0;
const BOB: usize = 1;
const BOB_S_NAME: &str = "bob@garden.example";

/// What `who` lists of a community or group.
async fn listed(who: &Profile, name: &str) -> Result<Value> {
    let lines = who.run(&["community", "list", "--json"]).await?.success()?.json_lines()?;
    let found = lines.into_iter().find(|line| text(line, "name") == name);
    found.with_context(|| format!("{} does not list {name}", who.label()))
}

async fn id_of(who: &Profile, name: &str) -> Result<CommunityId> {
    Ok(text(&listed(who, name).await?, "id").parse()?)
}

/// Waits until `who` stands to `name` as `standing` says.
async fn wait_for_standing(who: &Profile, name: &str, standing: &str) -> Result<()> {
    eventually(PATIENCE, async || {
        let line = listed(who, name).await?;
        ensure!(text(&line, "standing") == standing, "not {standing}: {line}");
        Ok(())
    })
    .await
}

/// Waits until `who` sees that bob does not belong to `name`.
async fn wait_until_gone(who: &Profile, name: &str) -> Result<()> {
    eventually(PATIENCE, async || {
        let members = who.run(&["member", "list", name]).await?.success()?;
        ensure!(!members.stdout.contains(BOB_S_NAME), "{members}");
        Ok(())
    })
    .await
}

async fn epoch_of(who: &Profile, name: &str) -> Result<u64> {
    let shown = who.run(&["community", "show", name, "--json"]).await?.success()?.json()?;
    shown.get("epoch").and_then(Value::as_u64).with_context(|| format!("no epoch in {shown}"))
}

/// Alice's club and her group with bob, whose hub she lives on; the hub is away.
async fn without_hub() -> Result<Scene> {
    let mut scene = Scene::of(2).await?;
    scene.club(&[]).await?;
    let alice = scene.person(ALICE)?;
    alice.ask(&["group", "create", "crew", &format!("@{BOB_S_NAME}")]).await?;
    alice.send("+crew", "ahoy").await?;
    alice.send("club#general", "before").await?;
    let bob = scene.person(BOB)?;
    bob.read_until("+crew", &["ahoy"]).await?;
    bob.read_until("club#general", &["before"]).await?;
    scene.homes.get_mut(ALICE).context("the hub")?.kill().await?;
    scene.homes.get(BOB).context("garden")?.wait_for_peer("nest.example", "down").await?;
    Ok(scene)
}

#[tokio::test]
async fn who_leaves_while_the_hub_is_away_is_gone_when_it_is_back() -> Result<()> {
    let mut scene = without_hub().await?;
    let bob = scene.person(BOB)?;
    let queued = bob.run(&["send", "club#general", "last words"]).await?;
    ensure!(queued.code() == 3, "{queued}");
    let left = bob.ask(&["community", "leave", "club"]).await?;
    let waits = left.get("leaving").context("it waits")?;
    ensure!(text(waits, "hub") == "nest.example" && !text(waits, "since").is_empty(), "{left}");
    // What was said before goes first, so nothing was asked of the hub yet.
    let told = bob.run(&["group", "leave", "+crew"]).await?.success()?;
    let said = "leaving crew waits for nest.example since ";
    ensure!(told.stderr.contains(said) && told.stderr.contains("cannot be reached"), "{told}");
    let again = bob.run(&["group", "leave", "+crew"]).await?.success()?;
    ensure!(again.stderr.contains(said), "{again}");

    // It is out of the way at once, and stays so whatever is killed.
    out_of_the_way(bob).await?;
    scene.kill_agent(BOB).await?;
    scene.homes.get_mut(BOB).context("garden")?.kill().await?;
    scene.homes.get_mut(BOB).context("garden")?.start().await?;
    scene.start_agent(BOB).await?;
    out_of_the_way(scene.person(BOB)?).await?;

    scene.homes.get_mut(ALICE).context("the hub")?.start().await?;
    let (alice, bob) = (scene.person(ALICE)?, scene.person(BOB)?);
    alice.wait_until_connected().await?;
    for name in ["club", "crew"] {
        wait_for_standing(bob, name, "gone").await?;
        wait_until_gone(alice, name).await?;
    }
    alice.read_until("club#general", &["before", "last words"]).await?;
    let status = bob.run(&["status", "--json"]).await?.success()?.json()?;
    ensure!(status.get("leaving").is_none(), "{status}");

    // Nothing is sealed for him from then on.
    for (name, room) in [("club", "club#general"), ("crew", "+crew")] {
        let before = epoch_of(alice, name).await?;
        alice.send(room, "without bob").await?;
        ensure!(epoch_of(alice, name).await? > before, "{name} goes on in the epoch that bob has");
        let shown = bob.run(&["read", room, "--json"]).await?;
        ensure!(!shown.stdout.contains("without bob"), "{shown}");
    }
    // He can come again.
    let link = alice.link_into("club", &[]).await?;
    let joined = bob.ask(&["community", "join", &link]).await?;
    ensure!(text(&joined, "standing") == "member", "{joined}");
    bob.send("club#general", "here again").await?;
    alice.read_until("club#general", &["without bob", "here again"]).await?;
    Ok(())
}

/// What bob is leaving is no room of his any more, and he is told what it waits for.
async fn out_of_the_way(bob: &Profile) -> Result<()> {
    for name in ["club", "crew"] {
        let line = listed(bob, name).await?;
        ensure!(text(&line, "standing") == "leaving", "{line}");
        ensure!(line.pointer("/leaving/hub") == Some(&Value::from("nest.example")), "{line}");
    }
    let rooms = bob.run(&["rooms", "--json"]).await?.success()?;
    ensure!(!rooms.stdout.contains("club") && !rooms.stdout.contains("crew"), "{rooms}");
    let status = bob.run(&["status", "--json"]).await?;
    let status = status.json_lines()?.into_iter().next().context("a status")?;
    let waiting = status.get("leaving").and_then(Value::as_array).map_or(0, Vec::len);
    ensure!(waiting == 2, "{status}");
    for room in ["club#general", "+crew"] {
        let refused = bob.run(&["send", room, "still here?"]).await?;
        ensure!(refused.code() != 0 && refused.code() != 3, "{refused}");
        ensure!(refused.stderr.contains("you are leaving"), "{refused}");
    }
    let plain = bob.run(&["community", "list"]).await?.success()?;
    ensure!(plain.stdout.contains("leaving club waits for nest.example since "), "{plain}");
    Ok(())
}

#[tokio::test]
async fn a_leave_that_waits_can_be_taken_back() -> Result<()> {
    let mut scene = without_hub().await?;
    let bob = scene.person(BOB)?;
    bob.ask(&["community", "leave", "club"]).await?;
    wait_for_standing(bob, "club", "leaving").await?;
    let stays = bob.ask(&["community", "join", "club"]).await?;
    ensure!(text(&stays, "standing") == "member", "{stays}");
    wait_for_standing(bob, "club", "member").await?;
    let queued = bob.run(&["send", "club#general", "I stay"]).await?;
    ensure!(queued.code() == 3, "{queued}");
    scene.homes.get_mut(ALICE).context("the hub")?.start().await?;
    let (alice, bob) = (scene.person(ALICE)?, scene.person(BOB)?);
    alice.read_until("club#general", &["before", "I stay"]).await?;
    alice.send("club#general", "good").await?;
    bob.read_until("club#general", &["before", "I stay", "good"]).await?;
    wait_for_standing(bob, "club", "member").await?;
    // What the rules forbid does not wait for anybody.
    let refused = alice.run(&["community", "leave", "club"]).await?;
    ensure!(refused.code() != 0, "{refused}");
    wait_for_standing(alice, "club", "member").await
}

/// Two servers, of which bob's drops what nobody needs after a second.
async fn forgetful() -> Result<Scene> {
    let world = World::new()?;
    let nest = world.homeserver("nest.example").start().await?;
    let setup = world.homeserver("garden.example");
    let garden = setup.setting("ROOKERYD_RETENTION_UNUSED_COPIES", "1s").start().await?;
    Scene::on(world, vec![nest, garden]).await
}

/// The database of bob's home, which has to be stopped.
async fn kept_at_home(scene: &Scene) -> Result<Arc<dyn Storage>> {
    let garden = scene.homes.get(BOB).context("garden")?;
    Ok(database::open(None, garden.data()).await?)
}

#[tokio::test]
async fn a_copy_goes_when_the_last_who_lives_there_has_left_and_comes_again() -> Result<()> {
    let mut scene = forgetful().await?;
    scene.club(&["--channels", "plans"]).await?;
    let (alice, bob) = (scene.person(ALICE)?, scene.person(BOB)?);
    alice.ask(&["group", "create", "crew", &format!("@{BOB_S_NAME}")]).await?;
    for room in ["club#general", "club#plans", "+crew"] {
        alice.send(room, "before").await?;
        bob.read_until(room, &["before"]).await?;
    }
    let (club, crew) = (id_of(bob, "club").await?, id_of(bob, "crew").await?);
    bob.ask(&["community", "leave", "club"]).await?;
    // A crash in the midst of it changes nothing.
    for wait in [900, 1_050, 1_200] {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let garden = scene.homes.get_mut(BOB).context("garden")?;
        garden.kill().await?;
        garden.start().await?;
    }
    let garden = scene.homes.get(BOB).context("garden")?;
    garden.wait_for_peer("nest.example", "up").await?;
    wait_until_dropped(&scene).await?;

    // What he still belongs to is as it was.
    let (alice, bob) = (scene.person(ALICE)?, scene.person(BOB)?);
    // His agent may find out only now that its connection went with the server: what he says waits for the next one.
    let said = bob.run(&["send", "+crew", "still here"]).await?;
    ensure!(said.code() == 0 || said.code() == 3, "{said}");
    alice.read_until("+crew", &["before", "still here"]).await?;
    alice.send("club#general", "without bob").await?;

    // Nothing of it is at his home, and the hub has nothing for that any more.
    scene.homes.get_mut(BOB).context("garden")?.kill().await?;
    let storage = kept_at_home(&scene).await?;
    let mut view = storage.read().await?;
    let channels = [1, 2].map(|number| ChainId::of_channel(club, ChannelId::from_number(number)));
    for chain in [ChainId::of_log(club), channels[0], channels[1]] {
        ensure!(view.chain(chain).await?.is_none(), "a chain of it is left");
        ensure!(view.chain_place(chain).await?.is_none(), "its place is left");
    }
    ensure!(view.community(club).await?.is_none(), "it is left");
    ensure!(view.community(crew).await?.is_some_and(|kept| !kept.is_deleted), "the other is gone");
    ensure!(view.chain(ChainId::of_log(crew)).await?.is_some(), "the other's log is gone");
    drop(view);
    storage.close().await;
    let impostor = Impostor::in_place_of(scene.homes.get(BOB).context("garden")?.data())?;
    let nest = scene.homes.get(ALICE).context("nest")?;
    let client = impostor.connect(&nest.ready().address, "nest.example").await?;
    let asking = async {
        let page = client.call(&PeerListPlaces { after: None, only: None }).await?;
        let of_crew = page.places.iter().filter(|place| place.community == crew).count();
        ensure!(of_crew == 2 && page.places.len() == 2, "{page:?}");
        let log = PeerReadPlace {
            community: club,
            channel: None,
            after: None,
            limit: 9,
            guest: None,
            last: None,
        };
        let refused = client.call(&log).await;
        ensure!(matches!(refused, Err(CallError::Request(ReadError::NotFound))), "{refused:?}");
        Ok(())
    };
    attended(client.connection(), async |_, _| Ok(None), asking).await?;
    drop(client);

    // He comes again, and has everything anew.
    scene.homes.get_mut(BOB).context("garden")?.start().await?;
    scene.homes.get(BOB).context("garden")?.wait_for_peer("nest.example", "up").await?;
    let (alice, bob) = (scene.person(ALICE)?, scene.person(BOB)?);
    let link = alice.link_into("club", &[]).await?;
    eventually(PATIENCE, async || bob.ask(&["community", "join", &link]).await).await?;
    bob.read_until("club#general", &["before", "without bob"]).await?;
    bob.send("club#plans", "here again").await?;
    alice.read_until("club#plans", &["before", "here again"]).await?;
    // And it is kept, as long as he is there.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    alice.send("club#general", "welcome back").await?;
    bob.read_until("club#general", &["before", "without bob", "welcome back"]).await?;
    let checked = bob.run(&["community", "verify", "club", "--json"]).await?.success()?;
    ensure!(checked.stdout.contains("\"holds\":true"), "{checked}");
    Ok(())
}

/// Waits until the hub knows that bob's home needs nothing of the club any more: it says so in its log when it drops the copy, and asks
/// nothing of it afterwards.
async fn wait_until_dropped(scene: &Scene) -> Result<()> {
    let log = scene.homes.get(BOB).context("garden")?.log_file();
    eventually(PATIENCE, async || {
        let text = std::fs::read_to_string(&log)?;
        let dropped = text.matches("that nobody here belongs to is dropped").count();
        ensure!(dropped == 1, "dropped {dropped} times");
        ensure!(text.contains("the hub knows that the copy was dropped"), "the hub is not told");
        Ok(())
    })
    .await
}

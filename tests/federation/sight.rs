//! Coming into a large community on another server: it is read at once on what its owner vouches for, and nothing is sealed for it until its
//! log has been checked.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rookery_protocol::{
    community::JoinBy,
    id::ChannelId,
    io::client::CallError,
    request::{
        community::PreviewError,
        look::{LookAtPlace, LookAtSnapshot, LookAtUsers, Looking},
    },
};
use rookery_tests::{
    bare::{
        community::{Commons, Link},
        populate,
    },
    homeserver::Homeserver,
    pair::{BOB, Pair, text},
    process::{PATIENCE, Running},
    profile::{Attempt, Profile},
    world::{World, eventually},
};
use serde_json::Value;

/// Members from whom on an owner vouches for the log.
const CROWD: usize = 260;
/// For a home and a device to check the log of a crowd, on a machine that does much else.
const CHECKING: Duration = Duration::from_mins(3);

/// A community of a crowd on one server, which its owner has vouched for, and somebody on another whose home cannot copy it.
struct Scene {
    alice: Profile,
    _alice: Running,
    bob: Profile,
    bob_runs: Running,
    garden: Homeserver,
    _nest: Homeserver,
    link: String,
    _world: World,
}

impl Scene {
    async fn new() -> Result<Self> {
        let world = World::new()?;
        let nest = world.homeserver("nest.example").start().await?;
        let garden = world.homeserver("garden.example");
        // Too few for the crowd: of the community there is no copy until that is changed.
        let garden = garden.setting("ROOKERYD_STORAGE_PEER_FOREIGNERS", "20").start().await?;
        nest.know(&garden).await?;
        garden.know(&nest).await?;
        let (alice, bob) = (world.profile("alice", "laptop")?, world.profile("bob", "laptop")?);
        alice.register(&nest.invite(1).await?).await?;
        bob.register(&garden.invite(1).await?).await?;
        let agents = [alice.start_agent()?, bob.start_agent()?];
        alice.wait_until_connected().await?;
        bob.wait_until_connected().await?;
        let arguments = ["--policy", "open", "--history", "full"];
        alice.ask(&[&["community", "create", "club"], &arguments[..]].concat()).await?;
        alice.send("club#general", "before the crowd").await?;
        let link = alice.link_into("club", &[]).await?;
        let inside: Link = link.parse()?;
        let here = nest.invite(u32::try_from(CROWD)?).await?.parse()?;
        let crowd = populate(nest.ready().address.parse()?, &here, CROWD).await?;
        let mut commons = Commons::seen_by(crowd.first().context("a crowd")?, &inside).await?;
        for person in &crowd {
            commons.join_by(person, &inside).await?;
        }
        eventually(CHECKING, async || {
            let log = alice.run(&["community", "log", "club"]).await?.success()?;
            ensure!(log.stdout.contains("vouched for the log"), "nothing is vouched for");
            Ok(())
        })
        .await?;
        alice.send("club#general", "after it").await?;
        let [alice_runs, bob_runs] = agents;
        Ok(Self {
            alice,
            _alice: alice_runs,
            bob,
            bob_runs,
            garden,
            _nest: nest,
            link,
            _world: world,
        })
    }

    /// What Bob's list says of how he stands to the community.
    async fn standing(&self) -> Result<String> {
        let listed = self.bob.run(&["community", "list", "--json"]).await?.success()?;
        let lines = listed.json_lines()?;
        let club = lines.iter().find(|line| text(line, "name") == "club");
        Ok(club.map(|line| text(line, "standing").to_owned()).unwrap_or_default())
    }

    async fn read_by(who: &Profile) -> Result<Vec<Value>> {
        who.run(&["read", "club#general", "--peek", "--json"]).await?.success()?.json_lines()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_reads_on_the_owner_s_word_and_seals_nothing_until_the_log_is_checked()
-> Result<()> {
    let mut scene = Scene::new().await?;
    scene.bob.ask(&["community", "join", &scene.link]).await?;
    ensure!(scene.standing().await? == "checking", "{}", scene.standing().await?);
    let read = Scene::read_by(&scene.bob).await?;
    let texts: Vec<&str> = read.iter().map(|line| text(line, "text")).collect();
    ensure!(texts == ["before the crowd", "after it"], "{read:?}");
    for line in &read {
        ensure!(text(line, "from") == "alice@nest.example", "{line}");
        ensure!(text(line, "doubt").contains("being checked"), "{line}");
    }
    // What goes on is seen as well.
    scene.alice.send("club#general", "and on").await?;
    eventually(PATIENCE, async || {
        let read = Scene::read_by(&scene.bob).await?;
        ensure!(read.iter().any(|line| text(line, "text") == "and on"), "{read:?}");
        Ok(())
    })
    .await?;
    // What he says is kept, and not sealed.
    let said = scene.bob.try_send("club#general", "me too", "me-too", Some("2s")).await?;
    ensure!(matches!(&said, Attempt::Taken { state } if state == "queued"), "{said:?}");
    let refused = scene.bob.run(&["community", "invite", "club"]).await?;
    ensure!(refused.stderr.contains("still being checked"), "{refused:?}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let heard = Scene::read_by(&scene.alice).await?;
    ensure!(heard.iter().all(|line| text(line, "text") != "me too"), "{heard:?}");
    ensure!(scene.standing().await? == "checking", "{}", scene.standing().await?);

    // An agent that ends meanwhile looks again when it is back.
    scene.bob_runs.kill().await?;
    scene.bob_runs = scene.bob.start_agent()?;
    eventually(PATIENCE, async || {
        ensure!(scene.standing().await? == "checking", "{}", scene.standing().await?);
        let read = Scene::read_by(&scene.bob).await?;
        ensure!(read.iter().any(|line| text(line, "text") == "and on"), "{read:?}");
        Ok(())
    })
    .await?;

    scene.garden.stop().await?;
    scene.garden.set("ROOKERYD_STORAGE_PEER_FOREIGNERS", "20000");
    scene.garden.start().await?;
    eventually(CHECKING, async || {
        ensure!(scene.standing().await? == "member", "{}", scene.standing().await?);
        let read = Scene::read_by(&scene.bob).await?;
        ensure!(read.iter().all(|line| text(line, "doubt").is_empty()), "{read:?}");
        ensure!(read.len() == 4, "{read:?}");
        let heard = Scene::read_by(&scene.alice).await?;
        ensure!(heard.iter().any(|line| text(line, "text") == "me too"), "{heard:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_sent_away_while_the_log_is_checked_sees_nothing_any_more() -> Result<()> {
    let scene = Scene::new().await?;
    let joined = scene.bob.ask(&["community", "join", &scene.link]).await?;
    ensure!(scene.standing().await? == "checking", "{}", scene.standing().await?);
    eventually(PATIENCE, async || scene.alice.ask(&["member", "kick", "club", BOB]).await).await?;
    scene.alice.send("club#general", "he is gone").await?;
    eventually(CHECKING, async || {
        let listed = scene.bob.run(&["community", "list", "--json"]).await?.success()?;
        let lines = listed.json_lines()?;
        let club = lines.iter().find(|line| text(line, "id") == text(&joined, "id"));
        ensure!(text(club.context("no such line")?, "standing") == "gone", "{lines:?}");
        Ok(())
    })
    .await?;
    let read = scene.bob.run(&["read", "club#general", "--peek", "--json"]).await?;
    ensure!(!read.stdout.contains("he is gone"), "{read:?}");
    Ok(())
}

#[tokio::test]
async fn nobody_looks_at_what_only_others_of_their_server_may_read() -> Result<()> {
    let pair = Pair::of_friends().await?;
    let _agents = [pair.alice.start_agent()?, pair.bob.start_agent()?];
    let den = pair.alice.ask(&["community", "create", "den", "--policy", "invited"]).await?;
    pair.alice.ask(&["community", "invite", "den", BOB]).await?;
    eventually(PATIENCE, async || pair.bob.ask(&["community", "join", text(&den, "id")]).await)
        .await?;
    pair.alice.send("den#general", "between us").await?;
    pair.bob.read_until("den#general", &["between us"]).await?;
    let invite = pair.garden.invite(1).await?.parse()?;
    let people = populate(pair.garden.ready().address.parse()?, &invite, 1).await?;
    let mallory = &people.first().context("nobody")?.client;
    let community = text(&den, "id").parse()?;
    let hub = Some("nest.example".parse()?);
    let at = || Looking { community, by: JoinBy::Open, hub: hub.clone() };
    for channel in [None, Some(ChannelId::from_number(1))] {
        let request = LookAtPlace { at: at(), channel, after: None, limit: 256 };
        let shown = mallory.call(&request).await;
        let is_nothing = matches!(shown, Err(CallError::Request(PreviewError::NotFound)));
        ensure!(is_nothing, "of {channel:?} was shown {shown:?}");
    }
    let snapshot = mallory.call(&LookAtSnapshot { at: at(), offset: 0 }).await;
    ensure!(matches!(snapshot, Err(CallError::Request(PreviewError::NotFound))), "{snapshot:?}");
    let users = mallory.call(&LookAtUsers { at: at(), users: vec![] }).await;
    ensure!(matches!(users, Err(CallError::Request(PreviewError::NotFound))), "{users:?}");
    Ok(())
}

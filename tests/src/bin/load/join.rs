//! Coming into a large community on another homeserver: how long until its first message is read.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rookery_tests::{
    bare::{
        community::{Commons, Link as IntoCommunity},
        populate,
    },
    lab::{link::Both, trouble::Conditions},
    process::Finished,
    profile::Profile,
    world::World,
};
use serde_json::Value;

use crate::{
    server::{Server, now},
    trouble::link_to,
};

/// How long the owner's device may take to vouch for the log, and a newcomer's to check it.
const PATIENCE: Duration = Duration::from_mins(20);
/// How often it is looked whether something has come about.
const LOOK: Duration = Duration::from_millis(20);

/// How large a community is, how often somebody comes into it, and how far away.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) members: usize,
    pub(crate) times: usize,
    pub(crate) round_trip: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self { members: 10_000, times: 3, round_trip: Duration::from_millis(100) }
    }
}

/// How long somebody took.
struct Came {
    joined: Duration,
    read: Duration,
}

/// Newcomers to a community, each from a homeserver of their own that has nothing of it.
pub(crate) async fn measure(plan: Plan) -> anyhow::Result<()> {
    let world = World::new()?;
    let here = Server::start_called("here.example")?;
    let alice = world.profile("alice", "desk")?;
    alice.register(&here.invite.to_string()).await?;
    let _alice = alice.start_agent()?;
    alice.wait_until_connected().await?;
    let link = founded(&alice, &here, plan.members).await?;
    println!(
        "join: {} members on another server, {} ms round trip, on the owner's snapshot",
        plan.members,
        plan.round_trip.as_millis()
    );
    let mut came = vec![];
    for number in 0..plan.times {
        let there = Server::start_called(&format!("there-{number}.example"))?;
        let (far, near) = link_to(&there).await?;
        let (back, here_near) = link_to(&here).await?;
        here.add_peer_at(&there, near)?;
        there.add_peer_at(&here, here_near)?;
        let carol = world.profile(&format!("carol-{number}"), "desk")?;
        carol.register(&there.invite.to_string()).await?;
        let _carol = carol.start_agent()?;
        carol.wait_until_connected().await?;
        met(&carol, &here).await?;
        let one_way = plan.round_trip.div_f64(2.0);
        let conditions = Conditions { delay: one_way, ..Conditions::default() };
        // Each link is for the connections that one of them makes: both are as far.
        for link in [&far, &back] {
            link.set(Both::from([conditions; 2]));
        }
        // The estimate of the round trip, and what is under way, are of this link from here on.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let begin = now();
        came.push(come(&carol, &link, begin).await?);
        if number.saturating_add(1) == plan.times {
            until(|| checked(&carol)).await.context("the log was not checked")?;
            println!("  its log checked after           {:>10.1} s", begin.elapsed().as_secs_f64());
        }
    }
    let tell = |what: &str, of: fn(&Came) -> Duration| {
        let mut times: Vec<Duration> = came.iter().map(of).collect();
        times.sort();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        let worst = times.last().copied().unwrap_or_default();
        println!("  {what:<30}  {:>10.2} / {:.2} s", median.as_secs_f64(), worst.as_secs_f64());
    };
    tell("a member after, p50 / worst", |came| came.joined);
    tell("first message read, p50 / worst", |came| came.read);
    Ok(())
}

/// A community of so many, one message in it, for which its owner has vouched; gives a link into it.
async fn founded(alice: &Profile, here: &Server, members: usize) -> anyhow::Result<String> {
    alice.ask(&["community", "create", "club", "--policy", "open", "--history", "full"]).await?;
    let link = alice.link_into("club", &[]).await?;
    let inside: IntoCommunity = link.parse()?;
    let crowd = populate(here.address, &here.invite, members).await?;
    let first = crowd.first().context("nobody")?;
    let mut commons = Commons::seen_by(first, &inside).await?;
    for person in &crowd {
        commons.join_by(person, &inside).await?;
    }
    until(|| vouched(alice, members)).await.context("the owner has not vouched for the log")?;
    alice.send("club#general", "the first message").await?;
    Ok(link)
}

/// Whether the owner has vouched for a log that has nearly all of so many members.
async fn vouched(alice: &Profile, members: usize) -> anyhow::Result<bool> {
    let shown = alice.ask(&["community", "show", "club"]).await?;
    let count = shown.get("members").and_then(Value::as_u64).unwrap_or(0);
    if count < u64::try_from(members)? {
        return Ok(false);
    }
    let log = lines(alice.run(&["community", "log", "club", "--json"]).await?)?;
    let is_word =
        |line: &Value| line.get("what").and_then(Value::as_str) == Some("vouched for the log");
    Ok(log.iter().rev().take(256).any(is_word))
}

/// Waits until the two homes are in touch, for which somebody looks up somebody.
async fn met(carol: &Profile, here: &Server) -> anyhow::Result<()> {
    let address = format!("@alice@{}", here.invite.server);
    until(|| async { Ok(carol.run(&["contact", "add", &address]).await?.success().is_ok()) }).await
}

async fn come(carol: &Profile, link: &str, begin: Instant) -> anyhow::Result<Came> {
    carol.ask(&["community", "join", link]).await?;
    let joined = begin.elapsed();
    until(|| async {
        let read = carol.run(&["read", "club#general", "--peek", "--json"]).await?;
        let read = lines(read)?;
        Ok(read.iter().any(|line| line.get("text").is_some_and(|text| text == "the first message")))
    })
    .await?;
    Ok(Came { joined, read: begin.elapsed() })
}

/// Whether nothing of the community is shown on the owner's word any more.
async fn checked(carol: &Profile) -> anyhow::Result<bool> {
    let listed = lines(carol.run(&["community", "list", "--json"]).await?)?;
    let standing = listed.iter().find_map(|line| line.get("standing")?.as_str());
    Ok(standing == Some("member"))
}

fn lines(finished: Finished) -> anyhow::Result<Vec<Value>> {
    finished.success()?.json_lines()
}

/// Waits until something is so.
async fn until<F: Future<Output = anyhow::Result<bool>>>(
    mut so: impl FnMut() -> F,
) -> anyhow::Result<()> {
    let deadline = now().checked_add(PATIENCE);
    while !so().await? {
        ensure!(deadline.is_none_or(|deadline| now() < deadline), "it takes too long");
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

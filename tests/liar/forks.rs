//! A hub that shows the homes of its members two histories: each is right in itself, and the homes find it out by comparing.

use anyhow::{Context as _, Result, ensure};
use rookery_protocol::{
    codec::{self, MAX_BATCH},
    community::Fork,
    id::{ChainId, CommunityId, from_base32},
};
use rookery_tests::{
    homeserver::Homeserver,
    liar::{Liar, relink},
    process::{PATIENCE, Running},
    profile::Profile,
    world::{World, eventually},
};
use serde_json::Value;

/// Bob on garden.example and carol on shore.example, in a community of alice's, who lives on a hub that lies.
struct Abroad {
    liar: Liar,
    alice: Profile,
    _agent: Running,
    garden: Homeserver,
    shore: Homeserver,
    people: Vec<(Profile, Running)>,
    community: CommunityId,
    _world: World,
}

async fn add_hub(home: &Homeserver, liar: &Liar) -> Result<()> {
    liar.know(home).await?;
    let (name, address, root) = liar.place();
    let add = ["peer", "add", name.as_str(), &address.to_string(), &root.to_string()];
    home.admin(&add).await?.success()?;
    home.wait_for_peer(name.as_str(), "up").await
}

impl Abroad {
    async fn new() -> Result<Self> {
        let world = World::new()?;
        let liar = Liar::start(&world.path().join("nest")).await?;
        let alice = world.profile("alice", "laptop")?;
        alice.register(&liar.invite(1).await?.to_string()).await?;
        // Somebody has to give newcomers the keys.
        let agent = alice.start_agent()?;
        alice.wait_until_connected().await?;
        let garden = world.homeserver("garden.example").start().await?;
        let shore = world.homeserver("shore.example").start().await?;
        garden.know(&shore).await?;
        shore.know(&garden).await?;
        alice.ask(&["community", "create", "club"]).await?;
        let link = alice.link_into("club", &[]).await?;
        let mut people = vec![];
        for (name, home) in [("bob", &garden), ("carol", &shore)] {
            add_hub(home, &liar).await?;
            let profile = world.profile(name, "laptop")?;
            profile.register(&home.invite(1).await?).await?;
            let agent = profile.start_agent()?;
            profile.wait_until_connected().await?;
            profile.ask(&["community", "join", &link]).await?;
            people.push((profile, agent));
        }
        let community = liar.communities().await?.first().copied().context("a community")?;
        let abroad =
            Self { liar, alice, _agent: agent, garden, shore, people, community, _world: world };
        abroad.alice.send("club#general", "at first").await?;
        for (person, _) in &abroad.people {
            person.read_until("club#general", &["at first"]).await?;
        }
        Ok(abroad)
    }

    fn person(&self, number: usize) -> Result<&Profile> {
        Ok(&self.people.get(number).context("a person")?.0)
    }

    fn log(&self) -> ChainId {
        ChainId::of_log(self.community)
    }

    /// How much has been said, as the hub has it.
    async fn said(&self) -> Result<usize> {
        let channel = rookery_protocol::id::ChannelId::from_number(1);
        Ok(self.liar.entries(ChainId::of_channel(self.community, channel)).await?.len())
    }
}

async fn length_of_log(who: &Profile) -> Result<usize> {
    let log = who.run(&["community", "log", "club", "--json"]).await?.success()?;
    Ok(log.stdout.lines().count())
}

async fn wait_for_log(who: &Profile, length: usize) -> Result<()> {
    eventually(PATIENCE, async || {
        let found = length_of_log(who).await?;
        ensure!(found == length, "{}: {found} statements of {length}", who.user());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn homes_that_are_shown_two_histories_prove_it_and_nothing_is_sealed_any_more() -> Result<()>
{
    let mut abroad = Abroad::new().await?;
    let before = abroad.liar.entries(abroad.log()).await?.len();
    let (log, shore) = (abroad.log(), abroad.shore.ready().fingerprint.parse()?);
    // Carol's home is not shown what alice states; what carol states stands there instead.
    abroad.liar.lie_to_peers(move |to, chain, mut entries| {
        if (to, chain) == (shore, log) && entries.len() > before {
            entries.remove(before);
            return relink(entries);
        }
        entries
    });
    abroad.alice.ask(&["member", "nick", "club", "@alice", "queen"]).await?;
    let (bob, carol) = (abroad.person(0)?, abroad.person(1)?);
    wait_for_log(bob, before + 1).await?;
    carol.ask(&["member", "nick", "club", "@carol@shore.example", "jester"]).await?;
    wait_for_log(carol, before + 1).await?;
    wait_for_log(bob, before + 2).await?;
    for who in [bob, carol] {
        let shown = who.ask(&["community", "show", "club"]).await?;
        ensure!(shown.get("alarm").is_none(), "each history is right in itself: {shown}");
    }
    // The homes compare what they were told when they connect.
    abroad.garden.kill().await?;
    abroad.garden.start().await?;
    let said = abroad.said().await?;
    for number in [0, 1] {
        is_found_out(&abroad, number).await?;
    }
    ensure!(
        abroad.said().await? == said,
        "something was sealed for a community with two histories"
    );
    for home in [&abroad.garden, &abroad.shore] {
        let id = abroad.community.to_string();
        let shown = home.admin(&["community", "show", &id]).await?.success()?.json()?;
        let shown = shown.get("data").unwrap_or(&shown);
        ensure!(shown.get("forks").and_then(Value::as_u64) == Some(1), "{shown}");
        let proof = shown.pointer("/proofs/0/proof").and_then(Value::as_str);
        check_proof(&abroad, proof.context("no proof")?)?;
    }
    Ok(())
}

/// Somebody is told, and nothing of theirs is sealed any more.
async fn is_found_out(abroad: &Abroad, number: usize) -> Result<()> {
    let who = abroad.person(number)?;
    eventually(PATIENCE, async || {
        let shown = who.ask(&["community", "show", "club"]).await?;
        let alarm = shown.get("alarm").and_then(Value::as_str).unwrap_or_default();
        ensure!(alarm.contains("two histories that contradict each other"), "{shown}");
        Ok(())
    })
    .await?;
    let whom = if number == 0 { "@bob@garden.example" } else { "@carol@shore.example" };
    for order in [
        ["send", "club#general", "is anybody there?"].as_slice(),
        &["member", "nick", "club", whom, "nobody"],
    ] {
        let refused = who.run(order).await?.exit(4)?;
        ensure!(refused.stderr.contains("community verify"), "{refused}");
    }
    let status = who.ask(&["status"]).await?;
    ensure!(status.pointer("/not_believed/0").and_then(Value::as_str) == Some("club"), "{status}");
    let verified = who.run(&["community", "verify", "club", "--json"]).await?.exit(4)?;
    let line: Value = serde_json::from_str(verified.stdout.lines().next().context("nothing")?)?;
    ensure!(line.get("holds").and_then(Value::as_bool) == Some(false), "{line}");
    let proof = line.pointer("/forks/0/proof").and_then(Value::as_str).context("no proof")?;
    check_proof(abroad, proof)
}

/// The proof shows by itself, without anybody who could be asked, what the hub has done.
fn check_proof(abroad: &Abroad, proof: &str) -> Result<()> {
    let bytes = from_base32(proof).context("no base 32")?;
    let fork: Fork = codec::decode_within(&bytes, MAX_BATCH)?;
    let shown = fork.verify()?;
    let (name, _, root) = abroad.liar.place();
    ensure!(shown.community == abroad.community && shown.channel.is_none(), "{shown:?}");
    ensure!((&shown.hub, shown.root) == (&name, root), "{shown:?}");
    Ok(())
}

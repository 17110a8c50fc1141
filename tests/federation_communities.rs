//! Communities and groups whose members live on several homeservers, real processes all of them.

use anyhow::{Context as _, Result, ensure};
use rookery_tests::{
    homeserver::{Homeserver, new_postgresql_database},
    process::{PATIENCE, Running},
    profile::{Message, Profile},
    world::{World, eventually},
};
use serde_json::Value;

/// Homeservers that all know each other, with a person each: alice on the first, bob on the second, carol on the third.
struct Scene {
    homes: Vec<Homeserver>,
    people: Vec<(Profile, Running)>,
    _world: World,
}

const HOMES: [&str; 3] = ["nest.example", "garden.example", "shore.example"];
const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];
const BOB: &str = "@bob@garden.example";
const CAROL: &str = "@carol@shore.example";

impl Scene {
    async fn of(count: usize) -> Result<Self> {
        let world = World::new()?;
        let mut homes = vec![];
        for name in HOMES.iter().take(count) {
            homes.push(world.homeserver(name).start().await?);
        }
        Self::on(world, homes).await
    }

    async fn on(world: World, homes: Vec<Homeserver>) -> Result<Self> {
        let mut people = vec![];
        for (home, name) in homes.iter().zip(PEOPLE) {
            for other in homes.iter().filter(|other| other.ready().name != home.ready().name) {
                home.know(other).await?;
            }
            let profile = world.profile(name, "laptop")?;
            profile.register(&home.invite(1).await?).await?;
            let agent = profile.start_agent()?;
            profile.wait_until_connected().await?;
            people.push((profile, agent));
        }
        let scene = Self { homes, people, _world: world };
        scene.wait_for_links().await?;
        Ok(scene)
    }

    async fn wait_for_links(&self) -> Result<()> {
        for home in &self.homes {
            for other in self.homes.iter().filter(|other| other.ready().name != home.ready().name) {
                home.wait_for_peer(&other.ready().name, "up").await?;
            }
        }
        Ok(())
    }

    fn person(&self, number: usize) -> Result<&Profile> {
        Ok(&self.people.get(number).context("a person of the scene")?.0)
    }

    /// A community of alice's that the others have joined by its link.
    async fn club(&self, arguments: &[&str]) -> Result<()> {
        let alice = self.person(0)?;
        alice.ask(&[&["community", "create", "club"], arguments].concat()).await?;
        let link = link_of(alice, &[]).await?;
        for (other, _) in self.people.iter().skip(1) {
            other.ask(&["community", "join", &link]).await?;
        }
        Ok(())
    }
}

async fn link_of(inviter: &Profile, arguments: &[&str]) -> Result<String> {
    let made = inviter.ask(&[&["community", "invite", "club"], arguments].concat()).await?;
    Ok(made.get("link").and_then(Value::as_str).context("a link")?.to_owned())
}

/// Reads until `wanted` are there, in this order among others.
async fn read_until(reader: &Profile, room: &str, wanted: &[&str]) -> Result<Vec<Message>> {
    eventually(PATIENCE, async || {
        let messages = reader.read(room, 200).await?;
        let texts: Vec<&str> = messages.iter().map(|message| message.text.as_str()).collect();
        let mut rest = texts.iter();
        let all = wanted.iter().all(|text| rest.any(|shown| shown == text));
        ensure!(all, "{} sees {texts:?}, not {wanted:?}", reader.user());
        Ok(messages)
    })
    .await
}

#[tokio::test]
async fn a_community_is_joined_by_its_link_from_another_server_and_both_talk() -> Result<()> {
    talk_in_a_club(Scene::of(2).await?).await
}

async fn talk_in_a_club(scene: Scene) -> Result<()> {
    let (alice, bob) = (scene.person(0)?, scene.person(1)?);
    scene.club(&["--channels", "plans"]).await?;
    alice.send("club#general", "welcome").await?;
    read_until(bob, "club#general", &["welcome"]).await?;
    bob.send("#general", "glad to be here @alice@nest.example").await?;
    bob.send("club#plans", "a picnic?").await?;
    let order = ["welcome", "glad to be here @alice@nest.example"];
    let mut seen = vec![];
    for who in [alice, bob] {
        let messages = read_until(who, "club#general", &order).await?;
        seen.push(messages.iter().map(|message| message.id.clone()).collect::<Vec<_>>());
        read_until(who, "club#plans", &["a picnic?"]).await?;
    }
    ensure!(seen.first() == seen.last(), "the channel differs: {seen:?}");
    Ok(())
}

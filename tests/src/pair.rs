//! Two people, each on a server of their own.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    homeserver::Homeserver,
    process::PATIENCE,
    profile::Profile,
    world::{World, eventually},
};

/// Alice on one server and Bob on another.
pub struct Pair {
    /// At home at [`Self::nest`].
    pub alice: Profile,
    /// At home at [`Self::garden`].
    pub bob: Profile,
    /// `nest.example`.
    pub nest: Homeserver,
    /// `garden.example`.
    pub garden: Homeserver,
    /// What is removed with them.
    pub world: World,
}

impl Pair {
    /// Two servers that know each other, with a person each, who have nothing to do with one another yet.
    pub async fn of_strangers() -> Result<Self> {
        let world = World::new()?;
        let nest = world.homeserver("nest.example").start().await?;
        let garden = world.homeserver("garden.example").start().await?;
        Self::between(world, nest, garden).await
    }

    /// The same on two servers that have been started already, and are named so.
    pub async fn between(world: World, nest: Homeserver, garden: Homeserver) -> Result<Self> {
        nest.know(&garden).await?;
        garden.know(&nest).await?;
        let (alice, bob) = (world.profile("alice", "laptop")?, world.profile("bob", "laptop")?);
        alice.register(&nest.invite(1).await?).await?;
        bob.register(&garden.invite(1).await?).await?;
        nest.wait_for_peer("garden.example", "up").await?;
        garden.wait_for_peer("nest.example", "up").await?;
        Ok(Self { alice, bob, nest, garden, world })
    }

    /// Strangers who have become contacts.
    pub async fn of_friends() -> Result<Self> {
        let pair = Self::of_strangers().await?;
        befriend(&pair.alice, &pair.bob).await?;
        Ok(pair)
    }
}

/// Makes Alice and Bob contacts: she asks, he accepts, and she hears of it.
pub async fn befriend(alice: &Profile, bob: &Profile) -> Result<()> {
    alice.ask(&["contact", "add", BOB]).await?;
    eventually(PATIENCE, async || bob.ask(&["contact", "accept", ALICE]).await).await?;
    for (who, whom) in [(alice, BOB), (bob, ALICE)] {
        eventually(PATIENCE, async || {
            let listed = who.run(&["contact", "list", "--json"]).await?.success()?.json_lines()?;
            let state =
                listed.iter().find(|line| text(line, "name") == whom.trim_start_matches('@'));
            ensure!(state.is_some_and(|line| text(line, "state") == "accepted"), "{listed:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// What Bob calls Alice.
pub const ALICE: &str = "@alice@nest.example";
/// What Alice calls Bob.
pub const BOB: &str = "@bob@garden.example";

/// The text at `key`; empty if there is none.
pub fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// What `who` has of the message `id` with `whom`.
pub async fn state_of(who: &Profile, whom: &str, id: &str) -> Result<Value> {
    let shown = who.run(&["read", whom, "--peek", "--json"]).await?.success()?.json_lines()?;
    let found = shown.into_iter().find(|line| text(line, "id") == id);
    found.with_context(|| format!("{} has no message {id}", who.label()))
}

/// Waits until the message `id` is in `state` for `who`.
pub async fn wait_for_state(who: &Profile, whom: &str, id: &str, state: &str) -> Result<Value> {
    eventually(PATIENCE, async || {
        let line = state_of(who, whom, id).await?;
        ensure!(text(&line, "state") == state, "not {state}: {line}");
        Ok(line)
    })
    .await
}

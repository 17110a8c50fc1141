//! Homeservers that share communities.

use anyhow::{Context as _, Result};
use rookery_tests::{homeserver::Homeserver, process::Running, profile::Profile, world::World};

pub(crate) const HOMES: [&str; 3] = ["nest.example", "garden.example", "shore.example"];
const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

/// Homeservers that all know each other, with a person each: alice on the first, bob on the second, carol on the third.
pub(crate) struct Scene {
    pub(crate) homes: Vec<Homeserver>,
    pub(crate) people: Vec<(Profile, Running)>,
    pub(crate) world: World,
}

impl Scene {
    pub(crate) async fn of(count: usize) -> Result<Self> {
        let world = World::new()?;
        let mut homes = vec![];
        for name in HOMES.iter().take(count) {
            homes.push(world.homeserver(name).start().await?);
        }
        Self::on(world, homes).await
    }

    pub(crate) async fn on(world: World, homes: Vec<Homeserver>) -> Result<Self> {
        Self::knowing(world, homes, |_, _| true).await
    }

    /// Those servers know each other of which `knows` says so.
    pub(crate) async fn knowing(
        world: World,
        homes: Vec<Homeserver>,
        knows: impl Fn(usize, usize) -> bool,
    ) -> Result<Self> {
        let mut people = vec![];
        for (number, (home, name)) in homes.iter().zip(PEOPLE).enumerate() {
            for (one, other) in homes.iter().enumerate() {
                if one != number && knows(number, one) {
                    home.know(other).await?;
                }
            }
            let profile = world.profile(name, "laptop")?;
            profile.register(&home.invite(1).await?).await?;
            let agent = profile.start_agent()?;
            profile.wait_until_connected().await?;
            people.push((profile, agent));
        }
        let scene = Self { homes, people, world };
        for (number, home) in scene.homes.iter().enumerate() {
            for (one, other) in scene.homes.iter().enumerate() {
                if one != number && knows(number, one) {
                    home.wait_for_peer(&other.ready().name, "up").await?;
                }
            }
        }
        Ok(scene)
    }

    /// Kills a person's agent.
    pub(crate) async fn kill_agent(&mut self, number: usize) -> Result<()> {
        self.people.get_mut(number).context("a person of the scene")?.1.kill().await
    }

    /// Starts a person's agent again, after it was killed.
    pub(crate) async fn start_agent(&mut self, number: usize) -> Result<()> {
        let (profile, agent) = self.people.get_mut(number).context("a person of the scene")?;
        *agent = profile.start_agent()?;
        profile.wait_until_connected().await
    }

    pub(crate) fn person(&self, number: usize) -> Result<&Profile> {
        Ok(&self.people.get(number).context("a person of the scene")?.0)
    }

    /// A community of alice's that the others have joined by its link.
    pub(crate) async fn club(&self, arguments: &[&str]) -> Result<()> {
        let alice = self.person(0)?;
        alice.ask(&[&["community", "create", "club"], arguments].concat()).await?;
        let link = alice.link_into("club", &[]).await?;
        for (other, _) in self.people.iter().skip(1) {
            other.ask(&["community", "join", &link]).await?;
        }
        Ok(())
    }
}

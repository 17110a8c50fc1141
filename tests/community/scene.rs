//! People of a community.

use anyhow::{Context, Result};
use rookery_tests::{
    homeserver::Homeserver,
    profile::{Message, Profile},
    world::World,
};

/// The exit codes that are promised, by name.
pub(crate) mod exit {
    pub(crate) const USAGE: i32 = 2;
    pub(crate) const NOT_PERMITTED: i32 = 6;
    pub(crate) const NOT_FOUND: i32 = 7;
}

/// A homeserver with people on it, each with one device whose agent runs.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) server: Homeserver,
    pub(crate) people: Vec<(Profile, rookery_tests::process::Running)>,
}

impl Scene {
    pub(crate) async fn of(names: &[&str]) -> Result<Self> {
        let world = World::new()?;
        let server = world.homeserver("nest").start().await?;
        let mut people = vec![];
        for name in names {
            let profile = world.profile(name, "laptop")?;
            profile.register(&server.invite(1).await?).await?;
            let agent = profile.start_agent()?;
            profile.wait_until_connected().await?;
            people.push((profile, agent));
        }
        Ok(Self { world, server, people })
    }

    /// # Panics
    ///
    /// When nobody of that name is in the scene: a mistake of the subject's.
    #[expect(clippy::expect_used, reason = "a subject names people that it has made")]
    pub(crate) fn person(&self, name: &str) -> &Profile {
        let found = self.people.iter().find(|(profile, _)| profile.user() == name);
        &found.expect("a person of the scene").0
    }

    /// A community of alice's that the others have joined by its link.
    pub(crate) async fn club(&self, arguments: &[&str]) -> Result<()> {
        let alice = self.person("alice");
        let create = [&["community", "create", "club"], arguments].concat();
        alice.ask(&create).await?;
        let link = alice.link_into("club", &[]).await?;
        for (other, _) in self.people.iter().skip(1) {
            other.ask(&["community", "join", &link]).await?;
        }
        Ok(())
    }
}

pub(crate) fn id_of(messages: &[Message], text: &str) -> Result<String> {
    let found = messages.iter().find(|message| message.text == text);
    Ok(found.with_context(|| format!("no message {text:?}"))?.id.clone())
}

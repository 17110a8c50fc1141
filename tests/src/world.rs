//! Where a subject takes place: a temporary directory with homeservers and people in it.

use std::{env, fmt::Debug, path::Path, time::Duration};

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{homeserver, homeserver::Homeserver, process::PATIENCE, profile::Profile};

/// A temporary directory, with everything in it. What runs there is killed when its own value is dropped.
#[derive(Debug)]
pub struct World {
    directory: TempDir,
}

impl World {
    /// An empty one.
    pub fn new() -> Result<Self> {
        let mut directory = TempDir::with_prefix("rookery-")?;
        if env::var_os("ROOKERY_TEST_KEEP").is_some() {
            directory.disable_cleanup(true);
            println!("kept: {}", directory.path().display());
        }
        Ok(Self { directory })
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A homeserver, not yet started.
    #[must_use]
    pub fn homeserver(&self, name: &str) -> homeserver::Setup {
        homeserver::Setup::new(name, self.path().join(name))
    }

    /// A device that nothing has been done with.
    pub fn profile(&self, user: &str, device: &str) -> Result<Profile> {
        Profile::new(user, device, self.path().join(format!("{user}-{device}")))
    }

    /// `user`, registered on `server`, with two devices.
    pub async fn person(&self, server: &Homeserver, user: &str) -> Result<Person> {
        let link = server.invite(1).await?;
        let person =
            Person { laptop: self.profile(user, "laptop")?, phone: self.profile(user, "phone")? };
        person.laptop.register(&link).await?;
        person.phone.link_to(&person.laptop, &link).await?;
        Ok(person)
    }

    /// Alice and Bob, registered on `server`, with two devices each, and contacts of one another.
    pub async fn alice_and_bob(&self, server: &Homeserver) -> Result<(Person, Person)> {
        let alice = self.person(server, "alice").await?;
        let bob = self.person(server, "bob").await?;
        befriend(&alice.laptop, &bob.laptop).await?;
        Ok((alice, bob))
    }
}

/// Somebody with two devices.
#[derive(Debug)]
pub struct Person {
    /// The one that registered.
    pub laptop: Profile,
    /// The one that was linked.
    pub phone: Profile,
}

impl Person {
    /// Both, the older first.
    #[must_use]
    pub fn devices(&self) -> [&Profile; 2] {
        [&self.laptop, &self.phone]
    }
}

/// Alice and Bob with a device each, on one server.
pub struct Couple {
    /// Alice's device.
    pub alice: Profile,
    /// Bob's.
    pub bob: Profile,
    /// Their server.
    pub server: Homeserver,
    /// Where it all is.
    pub world: World,
}

impl Couple {
    /// Two who have nothing to do with one another yet.
    pub async fn of_strangers() -> Result<Self> {
        let world = World::new()?;
        let server = world.homeserver("nest").start().await?;
        let (alice, bob) = (world.profile("alice", "laptop")?, world.profile("bob", "laptop")?);
        alice.register(&server.ready().invite).await?;
        bob.register(&server.invite(1).await?).await?;
        Ok(Self { alice, bob, server, world })
    }

    /// Two who are contacts.
    pub async fn of_friends() -> Result<Self> {
        let couple = Self::of_strangers().await?;
        befriend(&couple.alice, &couple.bob).await?;
        Ok(couple)
    }
}

/// Makes the people of two devices contacts: the first asks, the second accepts.
pub async fn befriend(first: &Profile, second: &Profile) -> Result<()> {
    first.ask(&["contact", "add", &format!("@{}", second.user())]).await?;
    // The request travels as a sealed message, so it may not be there yet.
    eventually(PATIENCE, async || {
        second.ask(&["contact", "accept", &format!("@{}", first.user())]).await
    })
    .await?;
    Ok(())
}

/// Tries `what` until it succeeds, or fails with its last error when `limit` has passed.
pub async fn eventually<T: Debug>(limit: Duration, what: impl AsyncFn() -> Result<T>) -> Result<T> {
    let deadline = Instant::now().checked_add(limit).context("time")?;
    loop {
        match what().await {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() > deadline => {
                return Err(error.context(format!("not so within {limit:?}")));
            }
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

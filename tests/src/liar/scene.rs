//! People on a lying server, and what must be seen of a lie.

#![expect(
    clippy::indexing_slicing,
    reason = "a subject fails by panicking, and names people that it has made"
)]

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use rookery_protocol::{
    chain::{Entry, Seen},
    community::Action,
    id::{ChainId, ChannelId, CommunityId, UserId},
    key::SigningKey,
};
use serde_json::Value;

use super::{Liar, Stranger, forge_statement, statement_of};
use crate::{
    process::{PATIENCE, Running},
    profile::Profile,
    world::{World, eventually},
};

/// The exit code that says that a server is not to be believed.
const NOT_TRUSTED: i32 = 4;
const GENERAL: ChannelId = ChannelId::from_number(1);

/// People on a lying server, in a community of the first one's, and a stranger who is in none.
pub struct Scene {
    /// Where it is.
    pub world: World,
    /// The server.
    pub liar: Liar,
    people: Vec<(Profile, Running)>,
    /// Who they are, the founder first.
    pub users: Vec<UserId>,
    /// Who is in no community.
    pub stranger: Arc<Stranger>,
    /// The community.
    pub community: CommunityId,
}

impl Scene {
    /// A lying server that has told the truth so far, with a device for each of `names`.
    pub async fn of(names: &[&str]) -> Result<Self> {
        let world = World::new()?;
        let liar = Liar::start(&world.path().join("nest")).await?;
        let mut people = vec![];
        for name in names {
            let profile = world.profile(name, "laptop")?;
            profile.register(&liar.invite(1).await?.to_string()).await?;
            let agent = profile.start_agent()?;
            profile.wait_until_connected().await?;
            people.push((profile, agent));
        }
        let stranger = Arc::new(Stranger::register(&liar.invite(1).await?, "mallory").await?);
        let (alice, _) = people.first().context("somebody")?;
        alice.ask(&["community", "create", "club"]).await?;
        let made = alice.ask(&["community", "invite", "club"]).await?;
        let link = made.get("link").and_then(Value::as_str).context("a link")?;
        for (other, _) in people.iter().skip(1) {
            other.ask(&["community", "join", link]).await?;
        }
        let community = liar.communities().await?.first().copied().context("a community")?;
        let mut users = vec![];
        for entry in liar.entries(ChainId::of_log(community)).await? {
            let statement = statement_of(&entry)?;
            if matches!(statement.action, Action::Create(_) | Action::Join(_)) {
                users.push(statement.author);
            }
        }
        ensure!(users.len() == names.len(), "everybody belongs to it");
        let scene = Self { world, liar, people, users, stranger, community };
        scene.all_hear("at first").await?;
        Ok(scene)
    }

    /// A person's device.
    #[must_use]
    pub fn person(&self, index: usize) -> &Profile {
        &self.people[index].0
    }

    /// The community's log.
    #[must_use]
    pub fn log(&self) -> ChainId {
        ChainId::of_log(self.community)
    }

    /// The chain of its first channel.
    #[must_use]
    pub fn channel(&self) -> ChainId {
        ChainId::of_channel(self.community, GENERAL)
    }

    /// The log as it really is.
    pub async fn log_entries(&self) -> Result<Vec<Entry>> {
        self.liar.entries(self.log()).await
    }

    /// Alice says `text`, and everybody reads it.
    pub async fn all_hear(&self, text: &str) -> Result<()> {
        self.person(0).send("club#general", text).await?;
        for (person, _) in &self.people {
            reads(person, text).await?;
        }
        Ok(())
    }

    /// Shows `victim` another log from now on.
    pub fn show_log(
        &self,
        victim: UserId,
        shown: impl Fn(Vec<Entry>) -> Vec<Entry> + Send + Sync + 'static,
    ) {
        self.show(victim, self.log(), shown);
    }

    /// Shows `victim` another chain from now on.
    pub fn show(
        &self,
        victim: UserId,
        lied: ChainId,
        shown: impl Fn(Vec<Entry>) -> Vec<Entry> + Send + Sync + 'static,
    ) {
        self.liar.lie_about_chains(move |to, chain, entries| {
            if (to, chain) == (victim, lied) { shown(entries) } else { entries }
        });
    }

    /// A statement after the log as it is, in the name of `author` and signed by `signing`.
    pub async fn forge(
        &self,
        author: (UserId, Seen),
        signing: &SigningKey,
        action: Action,
    ) -> Result<Entry> {
        forge_statement(&self.log_entries().await?, self.community, author, signing, action)
    }

    /// Person number `index` finds out that the server lies, for a reason with `why` in it; says so wherever they look; seals nothing.
    pub async fn finds_out(&self, index: usize, why: &str) -> Result<()> {
        let person = self.person(index);
        eventually(PATIENCE, async || {
            let shown = person.ask(&["community", "show", "club"]).await?;
            let alarm = shown.get("alarm").and_then(Value::as_str).unwrap_or_default();
            ensure!(alarm.contains(why), "no alarm of {why:?}: {shown}");
            Ok(())
        })
        .await?;
        let listed = person.ask(&["community", "list"]).await?;
        ensure!(listed["alarm"].as_str().is_some_and(|alarm| alarm.contains(why)), "{listed}");
        let verified = person.run(&["community", "verify", "club"]).await?;
        ensure!(verified.code() == NOT_TRUSTED, "{verified}");
        let (log, channel) = (self.log_entries().await?, self.liar.entries(self.channel()).await?);
        for refused in [
            &["send", "club#general", "to whom?"][..],
            &["member", "nick", "club", "@alice", "queen"],
            &["community", "invite", "club"],
        ] {
            let refused = person.run(refused).await?;
            ensure!(refused.code() == NOT_TRUSTED, "{refused}");
        }
        ensure!(self.log_entries().await? == log, "something was stated");
        ensure!(self.liar.entries(self.channel()).await? == channel, "something was said");
        Ok(())
    }

    /// Nothing that was ever sealed opens for the stranger.
    pub async fn stranger_has_nothing(&self) -> Result<()> {
        let opened = self.stranger.opens(&self.liar, self.community).await?;
        ensure!(opened == 0, "{opened} secrets were sealed for a stranger");
        Ok(())
    }

    /// What a channel's line says of what was refused there.
    pub async fn refused(&self, index: usize) -> Result<u64> {
        let listed =
            self.person(index).run(&["channel", "list", "club", "--json"]).await?.success()?;
        let line: Value = serde_json::from_str(listed.stdout.lines().next().unwrap_or_default())?;
        line.get("refused").and_then(Value::as_u64).with_context(|| format!("no count in {line}"))
    }
}

/// Waits until `person` reads `text`, once; gives what else is said of it.
pub async fn reads(person: &Profile, text: &str) -> Result<Value> {
    eventually(PATIENCE, async || {
        let messages = person.read("club#general", 100).await?;
        let found: Vec<_> = messages.iter().filter(|message| message.text == text).collect();
        ensure!(found.len() == 1, "{} reads {text:?} {} times", person.user(), found.len());
        Ok(found.first().map(|message| Value::Object(message.more.clone())).unwrap_or_default())
    })
    .await
}

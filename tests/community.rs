//! Communities, channels and groups between real processes: what members may read, and what nobody else may.

use std::fs;

use anyhow::{Context, Result, ensure};
use rookery_tests::{
    homeserver::Homeserver,
    process::PATIENCE,
    profile::{Message, Profile},
    random::Random,
    search::{Search, files_below},
    world::{World, eventually},
};
use serde_json::Value;

/// The exit codes that are promised, by name.
mod exit {
    pub(crate) const USAGE: i32 = 2;
    pub(crate) const NOT_PERMITTED: i32 = 6;
    pub(crate) const NOT_FOUND: i32 = 7;
}

/// A homeserver with people on it, each with one device whose agent runs.
struct Scene {
    world: World,
    server: Homeserver,
    people: Vec<(Profile, rookery_tests::process::Running)>,
}

impl Scene {
    async fn of(names: &[&str]) -> Result<Self> {
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
    fn person(&self, name: &str) -> &Profile {
        let found = self.people.iter().find(|(profile, _)| profile.user() == name);
        &found.expect("a person of the scene").0
    }

    /// A community of alice's that the others have joined by its link.
    async fn club(&self, arguments: &[&str]) -> Result<()> {
        let alice = self.person("alice");
        let create = [&["community", "create", "club"], arguments].concat();
        alice.ask(&create).await?;
        let link = link_of(alice, &[]).await?;
        for (other, _) in self.people.iter().skip(1) {
            other.ask(&["community", "join", &link]).await?;
        }
        Ok(())
    }
}

async fn link_of(inviter: &Profile, arguments: &[&str]) -> Result<String> {
    let invite = [&["community", "invite", "club"], arguments].concat();
    let made = inviter.ask(&invite).await?;
    let link = made.get("link").and_then(Value::as_str).context("a link")?;
    Ok(link.to_owned())
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

fn id_of(messages: &[Message], text: &str) -> Result<String> {
    let found = messages.iter().find(|message| message.text == text);
    Ok(found.with_context(|| format!("no message {text:?}"))?.id.clone())
}

#[tokio::test]
async fn members_talk_in_channels_and_see_the_same() -> Result<()> {
    let scene = Scene::of(&["alice", "bob", "carol"]).await?;
    let (alice, bob, carol) = (scene.person("alice"), scene.person("bob"), scene.person("carol"));
    scene.club(&["--channels", "plans"]).await?;
    alice.send("club#general", "welcome").await?;
    read_until(bob, "club#general", &["welcome"]).await?;
    bob.send("#general", "glad to be here @carol").await?;
    carol.send("club#plans", "a picnic?").await?;
    let order = ["welcome", "glad to be here @carol"];
    let mut seen = vec![];
    for (person, _) in &scene.people {
        let messages = read_until(person, "club#general", &order).await?;
        seen.push(messages.iter().map(|message| message.id.clone()).collect::<Vec<_>>());
        read_until(person, "club#plans", &["a picnic?"]).await?;
    }
    ensure!(seen.iter().all(|ids| *ids == seen[0]), "the channel differs: {seen:?}");
    Ok(())
}

#[tokio::test]
async fn messages_are_answered_edited_reacted_to_pinned_and_erased() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    let (alice, bob) = (scene.person("alice"), scene.person("bob"));
    scene.club(&[]).await?;
    alice.send("club#general", "first").await?;
    let messages = read_until(bob, "club#general", &["first"]).await?;
    let first = id_of(&messages, "first")?;
    bob.ask(&["send", "club#general", "an answer", "--reply-to", &first]).await?;
    bob.ask(&["send", "club#general", "apart", "--thread", &first]).await?;
    bob.ask(&["react", "club#general", &first, "👍"]).await?;
    alice.ask(&["edit", "club#general", &first, "first, better"]).await?;
    alice.ask(&["pin", "club#general", &first]).await?;
    let messages = read_until(alice, "club#general", &["first, better", "an answer"]).await?;
    let shown = messages.iter().find(|message| message.id == first).context("the first")?;
    ensure!(shown.more["edited"] == true && shown.more["pinned"] == true, "{shown:?}");
    ensure!(shown.more["replies"] == 1, "{shown:?}");
    eventually(PATIENCE, async || {
        let messages = alice.read("club#general", 50).await?;
        let shown = messages.iter().find(|message| message.id == first).context("the first")?;
        ensure!(
            shown.more.get("reactions").is_some_and(|all| all.get("👍").is_some()),
            "{shown:?}"
        );
        Ok(())
    })
    .await?;
    ensure!(messages.iter().all(|message| message.text != "apart"), "a thread stands apart");
    let thread = alice.run(&["thread", "club#general", &first, "--json"]).await?.success()?;
    ensure!(thread.stdout.contains("apart"), "the thread");

    // Only its author edits a message; who owns the community erases it.
    let refused = bob.run(&["edit", "club#general", &first, "mine now"]).await?;
    ensure!(refused.code() == exit::NOT_PERMITTED, "{refused}");
    let refused = bob.run(&["delete", "club#general", &first]).await?;
    ensure!(refused.code() == exit::NOT_PERMITTED, "{refused}");
    let answer = id_of(&messages, "an answer")?;
    alice.ask(&["delete", "club#general", &answer, "--reason", "too loud"]).await?;
    eventually(PATIENCE, async || {
        let messages = bob.read("club#general", 50).await?;
        let shown = messages.iter().find(|message| message.id == answer).context("the answer")?;
        ensure!(shown.text.is_empty(), "{shown:?}");
        ensure!(shown.more["erased"]["reason"] == "too loud", "{shown:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn who_was_sent_away_reads_nothing_more_and_who_comes_reads_what_the_setting_says()
-> Result<()> {
    for (history, reads_before) in [("full", true), ("since-join", false)] {
        let scene = Scene::of(&["alice", "bob", "carol", "dave"]).await?;
        let (alice, bob) = (scene.person("alice"), scene.person("bob"));
        let (carol, dave) = (scene.person("carol"), scene.person("dave"));
        alice.ask(&["community", "create", "club", "--history", history]).await?;
        let link = link_of(alice, &[]).await?;
        for early in [bob, carol] {
            early.ask(&["community", "join", &link]).await?;
        }
        alice.send("club#general", "before").await?;
        read_until(bob, "club#general", &["before"]).await?;
        read_until(carol, "club#general", &["before"]).await?;

        alice.ask(&["member", "kick", "club", "@carol", "--reason", "rude"]).await?;
        alice.send("club#general", "without carol").await?;
        read_until(bob, "club#general", &["before", "without carol"]).await?;
        let refused = carol.run(&["send", "club#general", "still here?"]).await?;
        ensure!(refused.code() != 0, "{refused}");
        let shown = carol.read("club#general", 50).await?;
        ensure!(shown.iter().all(|message| message.text != "without carol"), "{shown:?}");

        dave.ask(&["community", "join", &link]).await?;
        alice.send("club#general", "with dave").await?;
        let shown = read_until(dave, "club#general", &["with dave"]).await?;
        let before = shown.iter().any(|message| message.text == "before");
        ensure!(before == reads_before, "history {history}: {shown:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_device_that_is_linked_later_reads_everything_with_nobody_else_online() -> Result<()> {
    let mut scene = Scene::of(&["alice", "bob"]).await?;
    scene.club(&[]).await?;
    let phone = scene.world.profile("bob", "phone")?;
    {
        let (alice, bob) = (scene.person("alice"), scene.person("bob"));
        alice.send("club#general", "one").await?;
        read_until(bob, "club#general", &["one"]).await?;
        bob.send("club#general", "two").await?;
        read_until(alice, "club#general", &["one", "two"]).await?;
        phone.link_to(bob, &scene.server.ready().invite).await?;
    }
    // Everybody else is gone.
    for (_, agent) in &mut scene.people {
        agent.kill().await?;
    }
    read_until(&phone, "club#general", &["one", "two"]).await?;
    phone.send("club#general", "from the phone").await?;
    Ok(())
}

#[tokio::test]
async fn private_channels_roles_and_exceptions_hold() -> Result<()> {
    let scene = Scene::of(&["alice", "bob", "carol"]).await?;
    let (alice, bob, carol) = (scene.person("alice"), scene.person("bob"), scene.person("carol"));
    scene.club(&[]).await?;
    alice
        .ask(&["role", "create", "club", "crew", "--rank", "5", "--permissions", "moderate,kick"])
        .await?;
    alice.ask(&["channel", "create", "club", "bridge", "--private", "--roles", "crew"]).await?;
    alice.send("club#bridge", "for the crew").await?;
    let unseen = bob.run(&["read", "club#bridge"]).await?;
    ensure!(unseen.code() == exit::NOT_FOUND, "{unseen}");

    alice.ask(&["member", "role", "club", "@bob", "crew"]).await?;
    read_until(bob, "club#bridge", &["for the crew"]).await?;
    bob.send("club#bridge", "aye").await?;
    read_until(alice, "club#bridge", &["for the crew", "aye"]).await?;
    alice.ask(&["member", "role", "club", "@bob", "crew", "--remove"]).await?;
    alice.send("club#bridge", "bob is gone").await?;
    let shown = bob.run(&["read", "club#bridge", "--json"]).await?;
    ensure!(!shown.stdout.contains("bob is gone"), "{shown:?}");

    alice.ask(&["channel", "deny", "club#general", "@carol", "post"]).await?;
    let refused = eventually(PATIENCE, async || {
        let refused = carol.run(&["send", "club#general", "may I?"]).await?;
        ensure!(refused.code() == exit::NOT_PERMITTED, "{refused}");
        Ok(refused)
    })
    .await?;
    ensure!(!refused.stderr.is_empty(), "it says why");
    let refused = carol.run(&["role", "create", "club", "boss"]).await?;
    ensure!(refused.code() == exit::NOT_PERMITTED, "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_group_is_made_of_people_and_changes_with_them() -> Result<()> {
    let scene = Scene::of(&["alice", "bob", "carol"]).await?;
    let (alice, bob, carol) = (scene.person("alice"), scene.person("bob"), scene.person("carol"));
    alice.ask(&["group", "create", "weekend", "@bob"]).await?;
    alice.send("+weekend", "where to?").await?;
    read_until(bob, "+weekend", &["where to?"]).await?;
    bob.send("+weekend", "the sea").await?;
    alice.ask(&["group", "add", "+weekend", "@carol"]).await?;
    read_until(carol, "+weekend", &["where to?", "the sea"]).await?;
    carol.send("+weekend", "yes!").await?;
    read_until(alice, "+weekend", &["where to?", "the sea", "yes!"]).await?;
    alice.ask(&["group", "rename", "+weekend", "seaside"]).await?;
    eventually(PATIENCE, async || bob.read("+seaside", 10).await).await?;
    alice.ask(&["group", "remove", "+seaside", "@bob"]).await?;
    alice.send("+seaside", "just us").await?;
    read_until(carol, "+seaside", &["just us"]).await?;
    let shown = bob.run(&["read", "+seaside", "--json"]).await?;
    ensure!(!shown.stdout.contains("just us"), "{shown:?}");
    carol.ask(&["group", "leave", "+seaside"]).await?;
    let refused = carol.run(&["group", "add", "+seaside", "@bob"]).await?;
    ensure!(refused.code() != 0 && refused.code() != exit::USAGE, "{refused}");
    Ok(())
}

#[tokio::test]
async fn what_is_posted_while_the_server_is_away_is_posted_when_it_is_back() -> Result<()> {
    let mut scene = Scene::of(&["alice", "bob"]).await?;
    scene.club(&[]).await?;
    scene.person("alice").send("club#general", "before").await?;
    read_until(scene.person("bob"), "club#general", &["before"]).await?;
    scene.server.kill().await?;
    let queued = scene.person("alice").run(&["send", "club#general", "meanwhile"]).await?;
    ensure!(queued.code() == 3, "{queued}");
    scene.server.start().await?;
    read_until(scene.person("bob"), "club#general", &["before", "meanwhile"]).await?;
    Ok(())
}

#[tokio::test]
async fn the_hub_has_no_name_no_topic_and_no_text() -> Result<()> {
    let mut random = Random::from_seed(11)?;
    let mut words = |count: usize| -> String {
        (0..count).map(|_| random.word()).collect::<Vec<_>>().join(" ")
    };
    let (name, topic, channel, role) = (words(1), words(3), words(1), words(1));
    let (nickname, reason, text, edited) = (words(1), words(2), words(30), words(9));
    let world = World::new()?;
    let mut server = world.homeserver("nest").verbose().start().await?;
    let (alice, bob) = (world.profile("alice", "laptop")?, world.profile("bob", "laptop")?);
    alice.register(&server.invite(1).await?).await?;
    bob.register(&server.invite(1).await?).await?;
    // A member has to be online to give a newcomer the key.
    let _agent = alice.start_agent()?;
    alice.wait_until_connected().await?;
    alice.ask(&["community", "create", &name, "--topic", &topic, "--channels", &channel]).await?;
    let made = alice.ask(&["community", "invite", &name]).await?;
    let link = made.get("link").and_then(Value::as_str).context("a link")?.to_owned();
    bob.ask(&["community", "join", &link]).await?;
    alice.ask(&["role", "create", &name, &role, "--rank", "3"]).await?;
    let room = format!("{name}#{channel}");
    let id = alice.send(&room, &text).await?;
    alice.ask(&["edit", &room, &id, &edited]).await?;
    read_until(&bob, &room, &[&edited]).await?;
    alice.ask(&["member", "nick", &name, "@bob", &nickname]).await?;
    alice.ask(&["member", "kick", &name, "@bob", "--reason", &reason]).await?;
    let all = [&name, &topic, &channel, &role, &nickname, &reason, &text, &edited];
    let secret = Search::for_words(all.iter().flat_map(|words| words.split(' ')));
    let control = Search::for_words(["alice"]);
    for stop in [false, true] {
        if stop {
            server.stop().await?;
        }
        let mut sighted = false;
        for file in files_below(server.data())?.into_iter().chain([server.log_file()]) {
            let content = fs::read(&file)?;
            sighted |= control.first_in(&content).is_some();
            ensure!(secret.first_in(&content).is_none(), "{} holds what was said", file.display());
        }
        ensure!(sighted, "a search that finds nothing proves nothing");
    }
    Ok(())
}

#[tokio::test]
async fn read_marks_are_shared_and_unread_and_mentions_are_counted() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    let (alice, bob) = (scene.person("alice"), scene.person("bob"));
    scene.club(&[]).await?;
    let phone = scene.world.profile("bob", "phone")?;
    phone.link_to(bob, &scene.server.ready().invite).await?;
    let _agent = phone.start_agent()?;
    phone.wait_until_connected().await?;
    for text in ["one", "two @bob", "three"] {
        alice.send("club#general", text).await?;
    }
    let counts = async |device: &Profile, unread: u64, mentions: u64| {
        eventually(PATIENCE, async || {
            let channels = device.run(&["channel", "list", "club", "--json"]).await?.success()?;
            let line: Value =
                serde_json::from_str(channels.stdout.lines().next().unwrap_or_default())?;
            ensure!(line["unread"] == unread && line["mentions"] == mentions, "{line}");
            Ok(())
        })
        .await
    };
    counts(bob, 3, 1).await?;
    counts(&phone, 3, 1).await?;
    bob.read("club#general", 50).await?;
    counts(bob, 0, 0).await?;
    counts(&phone, 0, 0).await?;
    Ok(())
}

#[tokio::test]
async fn members_see_who_types_and_who_has_read_and_whom_they_may_know() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    let (alice, bob) = (scene.person("alice"), scene.person("bob"));
    scene.club(&[]).await?;
    alice.send("club#general", "read this").await?;
    read_until(bob, "club#general", &["read this"]).await?;
    eventually(PATIENCE, async || {
        let shown = alice.read("club#general", 5).await?;
        let readers = shown.last().and_then(|message| message.more.get("read_by"));
        ensure!(readers.is_some_and(|readers| readers.to_string().contains("bob")), "{shown:?}");
        Ok(())
    })
    .await?;
    eventually(PATIENCE, async || {
        bob.run(&["typing", "club#general"]).await?.success()?;
        let typing = alice.run(&["typing", "--json"]).await?.success()?;
        ensure!(
            typing.stdout.contains("bob") && typing.stdout.contains("club#general"),
            "{typing}"
        );
        Ok(())
    })
    .await?;
    for person in [alice, bob] {
        person.ask(&["account", "settings", "--suggest", "true"]).await?;
    }
    let suggested = alice.run(&["contact", "suggest", "--json"]).await?.success()?;
    ensure!(suggested.stdout.contains("bob"), "{suggested}");
    bob.ask(&["account", "settings", "--suggest", "false"]).await?;
    let suggested = alice.run(&["contact", "suggest", "--json"]).await?.success()?;
    ensure!(!suggested.stdout.contains("bob"), "{suggested}");
    Ok(())
}

#[tokio::test]
async fn settings_drafts_and_mutes_are_shared_by_a_user_s_devices() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    let bob = scene.person("bob");
    scene.club(&[]).await?;
    let phone = scene.world.profile("bob", "phone")?;
    phone.link_to(bob, &scene.server.ready().invite).await?;
    let _agent = phone.start_agent()?;
    phone.wait_until_connected().await?;
    bob.ask(&["settings", "theme", "light"]).await?;
    bob.ask(&["settings", "mute", "on", "--of", "club#general"]).await?;
    bob.ask(&["settings", "draft", "half a thought", "--of", "club#general"]).await?;
    eventually(PATIENCE, async || {
        let theme = phone.ask(&["settings", "theme"]).await?;
        let mute = phone.ask(&["settings", "mute", "--of", "club#general"]).await?;
        let draft = phone.ask(&["settings", "draft", "--of", "club#general"]).await?;
        ensure!(theme["value"] == "light" && mute["value"] == "on", "{theme} {mute}");
        ensure!(draft["value"] == "half a thought", "{draft}");
        Ok(())
    })
    .await?;
    let refused = bob.run(&["settings", "theme", "polka"]).await?;
    ensure!(refused.code() == exit::USAGE, "{refused}");
    Ok(())
}

#[tokio::test]
async fn rooms_and_conversations_are_paged_both_ways_and_around_a_message() -> Result<()> {
    let scene = Scene::of(&["alice", "bob"]).await?;
    let (alice, bob) = (scene.person("alice"), scene.person("bob"));
    scene.club(&[]).await?;
    rookery_tests::world::befriend(alice, bob).await?;
    for room in ["club#general", "@bob"] {
        let mut ids = vec![];
        for number in 0..9 {
            ids.push(alice.send(room, &format!("number {number}")).await?);
        }
        let page = async |spot: &str, id: &str, count: &str| -> Result<Vec<String>> {
            let read = alice.run(&["read", room, spot, id, "-n", count, "--json"]).await?;
            let lines = read.success()?.json_lines()?;
            Ok(lines.iter().filter_map(|line| Some(line["text"].as_str()?.to_owned())).collect())
        };
        let numbers = |range: std::ops::Range<u32>| -> Vec<String> {
            range.map(|number| format!("number {number}")).collect()
        };
        ensure!(page("--before", &ids[4], "3").await? == numbers(1..4), "{room} before");
        ensure!(page("--after", &ids[4], "3").await? == numbers(5..8), "{room} after");
        ensure!(page("--around", &ids[4], "4").await? == numbers(2..6), "{room} around");
        ensure!(page("--from", "2020-01-01", "2").await? == numbers(0..2), "{room} from");
    }
    Ok(())
}

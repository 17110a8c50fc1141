//! What is said, and how it is read.

use std::fs;

use anyhow::{Context, Result, ensure};
use rookery_tests::{
    process::PATIENCE,
    random::Random,
    search::{Search, files_below},
    world::{World, eventually},
};
use serde_json::Value;

use crate::scene::{Scene, exit, id_of};

#[tokio::test]
async fn members_talk_in_channels_and_see_the_same() -> Result<()> {
    let scene = Scene::of(&["alice", "bob", "carol"]).await?;
    let (alice, bob, carol) = (scene.person("alice"), scene.person("bob"), scene.person("carol"));
    scene.club(&["--channels", "plans"]).await?;
    alice.send("club#general", "welcome").await?;
    bob.read_until("club#general", &["welcome"]).await?;
    bob.send("#general", "glad to be here @carol").await?;
    carol.send("club#plans", "a picnic?").await?;
    let order = ["welcome", "glad to be here @carol"];
    let mut seen = vec![];
    for (person, _) in &scene.people {
        let messages = person.read_until("club#general", &order).await?;
        seen.push(messages.iter().map(|message| message.id.clone()).collect::<Vec<_>>());
        person.read_until("club#plans", &["a picnic?"]).await?;
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
    let messages = bob.read_until("club#general", &["first"]).await?;
    let first = id_of(&messages, "first")?;
    bob.ask(&["send", "club#general", "an answer", "--reply-to", &first]).await?;
    bob.ask(&["send", "club#general", "apart", "--thread", &first]).await?;
    bob.ask(&["react", "club#general", &first, "👍"]).await?;
    alice.ask(&["edit", "club#general", &first, "first, better"]).await?;
    alice.ask(&["pin", "club#general", &first]).await?;
    let messages = alice.read_until("club#general", &["first, better", "an answer"]).await?;
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
async fn what_is_posted_while_the_server_is_away_is_posted_when_it_is_back() -> Result<()> {
    let mut scene = Scene::of(&["alice", "bob"]).await?;
    scene.club(&[]).await?;
    scene.person("alice").send("club#general", "before").await?;
    scene.person("bob").read_until("club#general", &["before"]).await?;
    scene.server.kill().await?;
    let queued = scene.person("alice").run(&["send", "club#general", "meanwhile"]).await?;
    ensure!(queued.code() == 3, "{queued}");
    scene.server.start().await?;
    scene.person("bob").read_until("club#general", &["before", "meanwhile"]).await?;
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
    bob.read_until(&room, &[&edited]).await?;
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

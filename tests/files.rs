//! Files that go with messages: they arrive as they were sent, wherever the reader lives, whatever breaks in between, and the server has
//! nothing of what is in them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use rookery_tests::{
    pair::{ALICE, BOB, Pair},
    process::PATIENCE,
    profile::Profile,
    random::Random,
    search::{Search, files_below},
    world::{Couple, World, befriend, eventually},
};
use serde_json::Value;

/// What no connection ends with.
const NO_CONNECTION: i32 = 3;
const NOT_FOUND: i32 = 7;

/// A file of `size` bytes that nobody could guess.
fn made(folder: &Path, name: &str, size: usize) -> Result<(PathBuf, Vec<u8>)> {
    let mut random = Random::from_seed(u64::try_from(size)?)?;
    let bytes: Vec<u8> =
        std::iter::repeat_with(|| random.word().into_bytes()).flatten().take(size).collect();
    let path = folder.join(name);
    fs::write(&path, &bytes)?;
    Ok((path, bytes))
}

/// Has `who` send a file, and gives the message's id.
async fn send(who: &Profile, to: &str, path: &Path, more: &[&str]) -> Result<String> {
    let path = path.to_str().context("a path that is text")?;
    let sent = who.ask(&[&["send", to, "--file", path], more].concat()).await?;
    Ok(sent.get("id").and_then(Value::as_str).context("an id")?.to_owned())
}

/// The message of that id, as `who` has it in `room`.
async fn line_of(who: &Profile, room: &str, id: &str) -> Result<Value> {
    eventually(PATIENCE, async || {
        let lines = who.run(&["read", room, "--json"]).await?.success()?.json_lines()?;
        lines.into_iter().find(|line| line["id"] == *id).context("it has not come")
    })
    .await
}

/// What `who` gets when they save the file of a message into a new folder.
async fn saved(who: &Profile, room: &str, id: &str, folder: &Path) -> Result<(PathBuf, Vec<u8>)> {
    fs::create_dir_all(folder)?;
    let into = folder.to_str().context("a path that is text")?;
    let saved = who.ask(&["file", "get", room, id, "-o", into]).await?;
    let path = PathBuf::from(saved.get("path").and_then(Value::as_str).context("a path")?);
    let bytes = fs::read(&path)?;
    Ok((path, bytes))
}

/// How many files are on their way in a profile.
fn left_in(who: &Profile) -> Result<usize> {
    let folder = who.home().join("files");
    Ok(fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))?.count())
}

#[tokio::test]
async fn a_file_arrives_as_it_was_sent_and_the_server_has_nothing_of_it() -> Result<()> {
    let Couple { alice, bob, mut server, world } = Couple::of_friends().await?;
    let (path, bytes) = made(world.path(), "plans.tar.gz", 300_000)?;
    let id = send(&alice, "@bob", &path, &["for your eyes"]).await?;
    let line = line_of(&bob, "@alice", &id).await?;
    ensure!(line["text"] == "for your eyes" && line["file"]["name"] == "plans.tar.gz", "{line}");
    ensure!(line["file"]["size_bytes"] == 300_000, "{line}");
    ensure!(line["file"]["media_type"] == "application/gzip", "{line}");
    let into = world.path().join("in");
    let (place, got) = saved(&bob, "@alice", &id, &into).await?;
    ensure!(place == into.join("plans.tar.gz") && got == bytes);
    // A second one stands beside it, and nothing that is there is written over.
    let (place, got) = saved(&bob, "@alice", &id, &into).await?;
    ensure!(place == into.join("plans.tar-2.gz") && got == bytes);
    let taken = into.join("plans.tar.gz");
    let taken = taken.to_str().context("text")?;
    let refused = bob.run(&["file", "get", "@alice", &id, "-o", taken]).await?;
    ensure!(refused.code() == 2 && refused.stderr.contains("exists already"), "{refused}");
    fs::write(taken, "something else")?;
    bob.ask(&["file", "get", "@alice", &id, "-o", taken, "--force"]).await?;
    ensure!(fs::read(taken)? == bytes);
    // It is found by its name, and its own sender has it as well.
    let found = bob.run(&["search", "plans has:file", "--json"]).await?.success()?.json_lines()?;
    ensure!(found.iter().any(|line| line["id"] == *id), "{found:?}");
    ensure!(saved(&alice, "@bob", &id, &world.path().join("own")).await?.1 == bytes);
    ensure!((left_in(&alice)?, left_in(&bob)?) == (0, 0), "nothing is left on its way");
    server.stop().await?;
    let text = String::from_utf8(bytes)?;
    let pieces =
        text.as_bytes().chunks(40).step_by(500).filter_map(|piece| str::from_utf8(piece).ok());
    let search = Search::for_words(pieces.chain(["plans.tar.gz"]));
    let files = files_below(server.data())?;
    ensure!(!files.is_empty(), "the server has files");
    for file in files {
        let found = search.first_in(&fs::read(&file)?);
        ensure!(found.is_none(), "{} has it", file.display());
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_is_sent_and_got_without_a_name_of_its_own() -> Result<()> {
    let Couple { alice, bob, server: _server, world: _world } = Couple::of_friends().await?;
    let command =
        alice.command(&["send", "@bob", "--file", "-", "--file-name", "../log.txt", "--json"])?;
    let sent = rookery_tests::process::run(command, b"line one\nline two\n", PATIENCE).await?;
    let sent = sent.success()?.json()?;
    let id = sent["id"].as_str().context("an id")?;
    let line = line_of(&bob, "@alice", id).await?;
    ensure!(line["file"]["name"] == "log.txt" && line["text"] == "", "{line}");
    let got = bob.run(&["file", "get", "@alice", id, "-o", "-"]).await?.success()?;
    ensure!(got.stdout == "line one\nline two\n", "{got}");
    let shown = bob.run(&["read", "@alice"]).await?.success()?;
    ensure!(shown.stdout.contains("[file] log.txt 18 B"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn a_file_for_a_room_waits_for_the_server_and_overtakes_nothing_that_does_not_wait()
-> Result<()> {
    let Couple { alice, bob, mut server, world } = Couple::of_friends().await?;
    let (_alice, _bob) = (alice.start_agent()?, bob.start_agent()?);
    alice.ask(&["group", "create", "trip", "@bob"]).await?;
    alice.send("+trip", "before").await?;
    bob.read_until("+trip", &["before"]).await?;
    server.kill().await?;
    let (path, bytes) = made(world.path(), "route.gpx", 1_500_000)?;
    let name = path.to_str().context("text")?;
    let waits = alice.run(&["send", "+trip", "--file", name, "--json"]).await?;
    ensure!(waits.code() == NO_CONNECTION && waits.stdout.contains("\"queued\""), "{waits}");
    let id = waits.json_lines()?[0]["id"].as_str().context("an id")?.to_owned();
    // What becomes of the original is nobody's business any more.
    fs::remove_file(&path)?;
    server.start().await?;
    let line = line_of(&bob, "+trip", &id).await?;
    ensure!(line["file"]["name"] == "route.gpx", "{line}");
    ensure!(saved(&bob, "+trip", &id, &world.path().join("in")).await?.1 == bytes);
    Ok(())
}

#[tokio::test]
async fn a_large_file_goes_on_where_it_ended_when_everything_is_killed() -> Result<()> {
    let world = World::new()?;
    // Slow enough to be caught in the middle.
    let limits = "file_user = \"5/s burst 5\"\n";
    let mut server = world.homeserver("nest").limits(limits).start().await?;
    let (alice, bob) = (world.profile("alice", "laptop")?, world.profile("bob", "laptop")?);
    alice.register(&server.ready().invite).await?;
    bob.register(&server.invite(1).await?).await?;
    befriend(&alice, &bob).await?;
    let mut agent = alice.start_agent()?;
    alice.wait_until_connected().await?;
    let (path, bytes) = made(world.path(), "film.webm", 9_000_000)?;
    let name = path.to_str().context("text")?.to_owned();
    let sending = alice.start(&["send", "@bob", "--file", &name, "--id", "film"])?;
    let halfway = async || {
        let lines = alice.run(&["read", "@bob", "--json"]).await?.success()?.json_lines()?;
        let percent = lines.iter().find_map(|line| line["file"]["sent_percent"].as_u64());
        ensure!(percent.is_some_and(|percent| percent >= 20), "{percent:?}");
        Ok(percent)
    };
    let before = eventually(PATIENCE, halfway).await?;
    agent.kill().await?;
    drop(sending);
    server.kill().await?;
    server.start().await?;
    let _agent = alice.start_agent()?;
    let resumed = async || {
        let lines = alice.run(&["read", "@bob", "--json"]).await?.success()?.json_lines()?;
        let line = lines.iter().find(|line| line["file"]["name"] == "film.webm");
        let line = line.context("the message is kept")?;
        let percent = line["file"]["sent_percent"].as_u64();
        ensure!(percent >= before || line["state"] != "queued", "it began anew: {line}");
        ensure!(percent.is_some() || line["state"] != "queued", "it does not go on: {line}");
        Ok(line["id"].as_str().unwrap_or_default().to_owned())
    };
    let id = eventually(PATIENCE, resumed).await?;
    line_of(&bob, "@alice", &id).await?;
    let shown = bob.run(&["read", "@alice", "--json"]).await?.success()?.json_lines()?;
    ensure!(shown.iter().filter(|line| line["file"].is_object()).count() == 1, "{shown:?}");
    // Whoever gets it is killed as well, and goes on.
    let into = world.path().join("film.webm.got");
    let into = into.to_str().context("text")?;
    let mut getting = bob.start(&["file", "get", "@alice", &id, "-o", into])?;
    eventually(PATIENCE, async || {
        let parts = fs::read_dir(bob.home().join("files"));
        let parts = parts.with_context(|| getting.log_tail())?;
        let most = parts.filter_map(|part| Some(part.ok()?.metadata().ok()?.len())).max();
        ensure!(most.is_some_and(|most| most > 1_000_000), "{most:?}");
        Ok(())
    })
    .await?;
    getting.kill().await?;
    ensure!(!Path::new(into).exists(), "nothing is written before all of it is there");
    bob.ask(&["file", "get", "@alice", &id, "-o", into]).await?;
    ensure!(fs::read(into)? == bytes);
    Ok(())
}

#[tokio::test]
async fn what_the_server_does_not_take_says_why() -> Result<()> {
    let world = World::new()?;
    let server = world.homeserver("nest").setting("ROOKERYD_STORAGE_FILE_BYTES", "200000");
    let server = server.setting("ROOKERYD_STORAGE_USER_FILES_BYTES", "300000");
    let server = server.setting("ROOKERYD_STORAGE_ALL_FILES_BYTES", "330000").start().await?;
    let (alice, bob) = (world.profile("alice", "laptop")?, world.profile("bob", "laptop")?);
    alice.register(&server.ready().invite).await?;
    bob.register(&server.invite(1).await?).await?;
    befriend(&alice, &bob).await?;
    let (large, _) = made(world.path(), "large", 250_000)?;
    let large = large.to_str().context("text")?;
    let refused = alice.run(&["send", "@bob", "--file", large]).await?;
    ensure!(refused.code() == 1 && refused.stderr.contains("at most 200000 bytes"), "{refused}");
    let (first, bytes) = made(world.path(), "first", 150_000)?;
    let id = send(&alice, "@bob", &first, &[]).await?;
    let second = made(world.path(), "second", 160_000)?.0;
    let second = second.to_str().context("text")?;
    let refused = alice.run(&["send", "@bob", "--file", second]).await?;
    ensure!(refused.stderr.contains("300000 bytes that one user may keep"), "{refused}");
    let missing = alice.run(&["send", "@bob", "--file", "/nowhere/at/all"]).await?;
    ensure!(missing.code() == NOT_FOUND, "{missing}");
    let folder = alice.run(&["send", "@bob", "--file", "/"]).await?;
    ensure!(folder.code() == 2 && folder.stderr.contains("tar c"), "{folder}");
    line_of(&bob, "@alice", &id).await?;
    ensure!(saved(&bob, "@alice", &id, &world.path().join("in")).await?.1 == bytes);
    // Where all files together are too many, one waits for room, and what is said meanwhile does not.
    let _agent = bob.start_agent()?;
    bob.wait_until_connected().await?;
    let second = made(world.path(), "third", 190_000)?.0;
    let second = second.to_str().context("text")?;
    let order = ["send", "@alice", "--file", second, "--timeout", "5"];
    let waits = bob.run(&order).await?;
    ensure!(waits.code() != 0, "{waits}");
    let lines = bob.run(&["read", "@alice", "--json"]).await?.success()?.json_lines()?;
    let line = lines.iter().find(|line| line["file"]["name"] == "third").context("it is kept")?;
    ensure!(line["state"] == "queued", "{line}");
    ensure!(line["reason"].as_str().is_some_and(|why| why.contains("room")), "{line}");
    bob.ask(&["send", "@alice", "no file"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_file_goes_when_its_message_is_deleted_or_expires() -> Result<()> {
    let Couple { alice, bob, server: _server, world } = Couple::of_friends().await?;
    let (_alice, _bob) = (alice.start_agent()?, bob.start_agent()?);
    alice.ask(&["group", "create", "trip", "@bob"]).await?;
    let path = made(world.path(), "mistake.txt", 1_000)?.0;
    let deleted = send(&alice, "+trip", &path, &["oops"]).await?;
    let expiring = send(&alice, "@bob", &path, &["--expire", "1s"]).await?;
    line_of(&bob, "+trip", &deleted).await?;
    alice.ask(&["delete", "+trip", &deleted]).await?;
    for (room, id) in [("+trip", &deleted), ("@bob", &expiring)] {
        let into = world.path().join("never");
        let into = into.to_str().context("text")?;
        eventually(PATIENCE, async || {
            let gone = alice.run(&["file", "get", room, id, "-o", into]).await?;
            ensure!(gone.code() == NOT_FOUND, "{gone}");
            Ok(())
        })
        .await?;
    }
    let line = line_of(&bob, "+trip", &deleted).await?;
    ensure!(line["file"].is_null() && line["erased"].is_object(), "{line}");
    Ok(())
}

#[tokio::test]
async fn a_file_is_got_from_another_server_and_not_while_that_is_away() -> Result<()> {
    let mut pair = Pair::of_friends().await?;
    let (path, bytes) = made(pair.world.path(), "notes.md", 700_000)?;
    let id = send(&pair.alice, BOB, &path, &[]).await?;
    line_of(&pair.bob, ALICE, &id).await?;
    let into = pair.world.path().join("in");
    ensure!(saved(&pair.bob, ALICE, &id, &into).await?.1 == bytes);
    pair.nest.stop().await?;
    pair.garden.wait_for_peer("nest.example", "down").await?;
    let away = pair.bob.run(&["file", "get", ALICE, &id, "-o", "/dev/null/x"]).await?;
    ensure!(away.code() == NO_CONNECTION && away.stderr.contains("nest.example"), "{away}");
    pair.nest.start().await?;
    pair.garden.wait_for_peer("nest.example", "up").await?;
    ensure!(saved(&pair.bob, ALICE, &id, &into).await?.1 == bytes);
    Ok(())
}

//! The contract for scripts: flags, files, JSON keys and exit codes, each as it is promised.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, time::Duration};

use anyhow::{Context, Result, ensure};
use rookery_tests::{
    process::{Finished, PATIENCE, binary, run},
    profile::Message,
    world::{Couple, World},
};
use serde_json::Value;
use tokio::{process::Command, time::timeout};

/// The exit codes that are promised, by name.
mod exit {
    pub(crate) const USAGE: i32 = 2;
    pub(crate) const NO_CONNECTION: i32 = 3;
    pub(crate) const NOT_FOUND: i32 = 7;
    pub(crate) const NOT_LOGGED_IN: i32 = 8;
    pub(crate) const TIMED_OUT: i32 = 9;
}

#[tokio::test]
async fn serve_needs_no_file_and_says_when_it_is_ready() -> Result<()> {
    let world = World::new()?;
    let server = world.homeserver("nest").start().await?;
    let ready = server.ready();
    ensure!(ready.name == "nest", "{ready:?}");
    ensure!(ready.address.starts_with("127.0.0.1:"), "{ready:?}");
    ensure!(!ready.fingerprint.is_empty(), "{ready:?}");
    ensure!(ready.invite.starts_with(&format!("rookery://{}/join#", ready.address)), "{ready:?}");
    Ok(())
}

#[tokio::test]
async fn a_server_keeps_its_identity_over_a_restart() -> Result<()> {
    let world = World::new()?;
    let mut server = world.homeserver("nest").start().await?;
    let before = server.ready().clone();
    ensure!(server.stop().await?.success(), "SIGTERM is an orderly end");
    server.start().await?;
    let after = server.ready();
    ensure!((&before.address, &before.fingerprint) == (&after.address, &after.fingerprint));
    Ok(())
}

#[tokio::test]
async fn the_admins_commands_answer_in_one_shape() -> Result<()> {
    let scene = Couple::of_friends().await?;
    let created = scene.server.admin(&["invite", "create", "--uses", "10"]).await?.success()?;
    let created = created.json()?;
    ensure!(created.get("schema").is_some_and(Value::is_string), "{created}");
    ensure!(created.get("ok") == Some(&Value::Bool(true)), "{created}");
    let link = created.pointer("/data/link").and_then(Value::as_str).unwrap_or_default();
    ensure!(link.starts_with("rookery://"), "{created}");

    let users = scene.server.admin(&["user", "list"]).await?.success()?.json()?;
    ensure!(users.to_string().contains("alice"), "{users}");
    // Of the admin's exit codes, 3 says that there is no such thing.
    let nobody = scene.server.admin(&["user", "show", "nobody"]).await?.exit(3)?.json()?;
    ensure!(nobody.get("ok") == Some(&Value::Bool(false)), "{nobody}");
    ensure!(nobody.pointer("/error/code").is_some_and(Value::is_string), "{nobody}");
    ensure!(nobody.pointer("/error/message").is_some_and(Value::is_string), "{nobody}");
    let communities = scene.server.admin(&["community", "list"]).await?.success()?.json()?;
    ensure!(communities.pointer("/data/communities").is_some_and(Value::is_array), "{communities}");
    let absent = "a".repeat(52);
    scene.server.admin(&["community", "freeze", &absent]).await?.exit(3)?.json()?;
    scene.server.admin(&["community", "delete", &absent]).await?.exit(exit::USAGE)?;
    scene.server.admin(&["no-such-command"]).await?.exit(exit::USAGE)?;
    Ok(())
}

#[tokio::test]
async fn registering_leaves_a_recovery_key_and_needs_no_terminal() -> Result<()> {
    let world = World::new()?;
    let server = world.homeserver("nest").start().await?;
    let alice = world.profile("alice", "laptop")?;
    let answer = alice.register(&server.ready().invite).await?;
    has_keys(&answer, &["v"])?;
    let path = alice.recovery_key_file();
    ensure!(answer.to_string().contains(path.to_str().context("path")?), "no path in {answer}");
    ensure!(!fs::read_to_string(&path)?.trim().is_empty());
    for entry in fs::read_dir(alice.home())? {
        let entry = entry?;
        let (path, mode) = (entry.path(), entry.metadata()?);
        let others = mode.permissions().mode() & 0o077;
        ensure!(others == 0, "others may use {}: mode {others:o}", path.display());
    }
    Ok(())
}

#[tokio::test]
async fn a_recovery_key_goes_where_it_is_told_and_never_over_another() -> Result<()> {
    let world = World::new()?;
    let server = world.homeserver("nest").start().await?;
    let file = world.path().join("paper");
    fs::write(&file, "somebody else's")?;
    let alice = world.profile("alice", "laptop")?;
    let password = world.path().join("password");
    fs::write(&password, "the password of alice\n")?;
    let (file, password) = (file.to_str().context("path")?, password.to_str().context("path")?);
    let link = &server.ready().invite;
    let arguments =
        ["register", link, "alice", "--password-file", password, "--recovery-key-file", file];
    ensure!(alice.run(&arguments).await?.code() != 0, "it wrote over another key");
    ensure!(fs::read_to_string(file)? == "somebody else's");
    fs::remove_file(file)?;
    alice.run(&arguments).await?.success()?;
    ensure!(fs::metadata(file)?.permissions().mode() & 0o777 == 0o600);
    Ok(())
}

#[tokio::test]
async fn what_send_read_and_tail_print_has_the_promised_keys() -> Result<()> {
    let scene = Couple::of_friends().await?;
    let mut tail = scene.bob.start_tail()?;
    let sent = scene.alice.ask(&["send", "@bob", "first"]).await?;
    ensure!(sent.get("v") == Some(&Value::from(1)), "{sent}");
    ensure!(sent.get("id").is_some_and(Value::is_string), "{sent}");
    ensure!(sent.get("state") == Some(&Value::from("sent")), "{sent}");
    scene.alice.send("@bob", "second").await?;

    let shown = scene.bob.read_all("@alice", 2, PATIENCE).await?;
    let texts: Vec<_> = shown.iter().map(|message| message.text.as_str()).collect();
    ensure!(texts == ["first", "second"], "oldest first: {texts:?}");
    for message in &shown {
        let Message { v, from, at, .. } = message;
        ensure!(*v == 1 && from == "alice@nest" && is_rfc_3339(at), "{message:?}");
    }
    ensure!(Some(shown[0].id.as_str()) == sent.get("id").and_then(Value::as_str));
    let printed = tail.expect(PATIENCE).await?;
    let printed: Message = serde_json::from_value(printed)?;
    ensure!((&printed.id, &printed.text) == (&shown[0].id, &shown[0].text), "{printed:?}");
    Ok(())
}

#[tokio::test]
async fn tail_resumes_after_its_cursor() -> Result<()> {
    let scene = Couple::of_friends().await?;
    let mut seen = BTreeSet::new();
    for round in 0..3 {
        let text = format!("in round {round}");
        scene.alice.send("@bob", &text).await?;
        let mut tail = scene.bob.start_tail()?;
        let message: Message = serde_json::from_value(tail.expect(PATIENCE).await?)?;
        ensure!(message.text == text && seen.insert(message.id.clone()), "{message:?}");
        // Nothing else: all that came before was printed by those before.
        ensure!(timeout(Duration::from_millis(500), tail.next()).await.is_err());
        tail.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_whole_standard_input_is_one_message() -> Result<()> {
    let scene = Couple::of_friends().await?;
    let text = "two\nlines and a tab\t, ünïcödé 🦭";
    let sending = scene.alice.command(&["send", "@bob", "-", "--json"])?;
    run(sending, format!("{text}\n").as_bytes(), PATIENCE).await?.success()?;
    let shown = scene.bob.read_all("@alice", 1, PATIENCE).await?;
    ensure!(shown.len() == 1 && shown[0].text == text, "{shown:?}");
    Ok(())
}

/// Under a pseudo-terminal, as for a person.
#[tokio::test]
async fn without_a_text_the_editor_is_opened_and_what_it_leaves_is_sent() -> Result<()> {
    let scene = Couple::of_friends().await?;
    let editor = scene.world.path().join("an editor");
    let seen = scene.world.path().join("seen");
    let write = |what: &str| -> Result<()> {
        let seen = seen.display();
        let body = format!("stat -c '%a %s' \"$2\" >'{seen}'\necho \"$2\" >>'{seen}'\n{what}\n");
        fs::write(&editor, format!("#!/bin/sh\n[ \"$1\" = --wait ] || exit 9\n{body}"))?;
        Ok(fs::set_permissions(&editor, fs::Permissions::from_mode(0o700))?)
    };
    let send = async |variable: &str| -> Result<Finished> {
        let mut terminal = Command::new("script");
        let line = format!("'{}' send @bob", binary("rookery")?.display());
        terminal.args(["-qec", &line, "/dev/null"]);
        terminal.env("ROOKERY_HOME", scene.alice.home()).env_remove("XDG_RUNTIME_DIR");
        terminal.env_remove("VISUAL").env_remove("EDITOR");
        terminal.env(variable, format!("'{}' --wait", editor.display()));
        run(terminal, b"", PATIENCE).await
    };
    write("printf 'written with\\nan editor\\n' >\"$2\"")?;
    send("VISUAL").await?.success()?;
    let told = fs::read_to_string(&seen)?;
    let (mode, path) = told.trim().split_once('\n').context("not two lines")?;
    ensure!(mode == "600 0", "others may read it, or it is not new: {mode}");
    ensure!(!fs::exists(path)?, "it was left behind: {path}");
    // Some editors put another file in its place.
    write("echo again >\"$2.new\"; mv \"$2.new\" \"$2\"")?;
    send("EDITOR").await?.success()?;

    write("exit 0")?;
    let empty = send("EDITOR").await?.exit(exit::USAGE)?;
    ensure!(empty.stdout.contains("nothing was sent"), "{empty}");
    write("echo half a message >\"$2\"; exit 1")?;
    let failed = send("EDITOR").await?.exit(1)?;
    ensure!(failed.stdout.contains("nothing was sent"), "{failed}");
    let none = send("NO_EDITOR").await?.exit(exit::USAGE)?;
    ensure!(none.stdout.contains("$EDITOR"), "{none}");
    let runtime = fs::read_dir(scene.alice.home().join("run"))?.count();
    ensure!(runtime == 0, "{runtime} files are left");

    let shown = scene.bob.read_all("@alice", 2, PATIENCE).await?;
    let texts: Vec<_> = shown.iter().map(|message| message.text.as_str()).collect();
    ensure!(texts == ["written with\nan editor", "again"], "{texts:?}");
    Ok(())
}

#[tokio::test]
async fn send_waits_for_as_much_as_it_is_told() -> Result<()> {
    let scene = Couple::of_friends().await?;
    let arguments = ["send", "@bob", "there?", "--json", "--until", "delivered", "--timeout"];
    let alone = [&arguments[..], &["2s"]].concat();
    scene.alice.run(&alone).await?.exit(exit::TIMED_OUT)?;
    let mut agent = scene.bob.start_agent()?;
    let delivered = scene.alice.run(&[&arguments[..], &["30s"]].concat()).await?.success()?;
    let delivered = delivered.json()?;
    ensure!(delivered.get("state") == Some(&Value::from("delivered")), "{delivered}");
    agent.stop().await?;
    Ok(())
}

#[tokio::test]
async fn without_a_connection_a_message_is_queued_and_the_exit_code_says_so() -> Result<()> {
    let mut scene = Couple::of_friends().await?;
    scene.alice.run(&["status", "--json"]).await?.success()?.json()?;
    scene.server.stop().await?;
    let status = scene.alice.run(&["status", "--json"]).await?.exit(exit::NO_CONNECTION)?;
    has_keys(&status.json()?, &["v"])?;
    let arguments = ["send", "@bob", "later", "--json", "--id", "one"];
    let queued = scene.alice.run(&arguments).await?.exit(exit::NO_CONNECTION)?.json()?;
    ensure!(queued.get("state") == Some(&Value::from("queued")), "{queued}");
    // Told how long to wait, it waits for the server, and then says that the time is over.
    let waiting = [&arguments[..], &["--timeout", "1s"]].concat();
    let queued = scene.alice.run(&waiting).await?.exit(exit::TIMED_OUT)?.json()?;
    ensure!(queued.get("state") == Some(&Value::from("queued")), "{queued}");

    scene.server.start().await?;
    scene.alice.run(&arguments).await?.success()?;
    let shown = scene.bob.read_all("@alice", 1, PATIENCE).await?;
    ensure!(shown.len() == 1 && shown[0].text == "later", "{shown:?}");
    Ok(())
}

#[tokio::test]
async fn every_failure_has_its_own_exit_code() -> Result<()> {
    let scene = Couple::of_friends().await?;
    scene.alice.run(&["send"]).await?.exit(exit::USAGE)?;
    scene.alice.run(&["send", "@bob", "text", "--no-such-flag"]).await?.exit(exit::USAGE)?;
    scene.alice.run(&["send", "@nobody", "text"]).await?.exit(exit::NOT_FOUND)?;
    scene.alice.run(&["read", "@nobody"]).await?.exit(exit::NOT_FOUND)?;
    let nobody = scene.world.profile("nobody", "laptop")?;
    nobody.run(&["send", "@bob", "text"]).await?.exit(exit::NOT_LOGGED_IN)?;
    let wrong = scene.world.path().join("wrong");
    fs::write(&wrong, "not the password\n")?;
    let thief = scene.world.profile("thief", "laptop")?;
    let link = &scene.server.ready().invite;
    let password = wrong.to_str().context("path")?;
    let login = ["login", link, "alice", "--password-file", password, "--json"];
    let refused = thief.run(&login).await?.exit(exit::NOT_LOGGED_IN)?;
    ensure!(!refused.stderr.is_empty(), "no word on standard error: {refused}");
    Ok(())
}

#[tokio::test]
async fn standard_output_has_data_only() -> Result<()> {
    let scene = Couple::of_friends().await?;
    scene.alice.send("@bob", "hello").await?;
    for arguments in [
        &["whoami"][..],
        &["status"],
        &["device", "list"],
        &["contact", "list"],
        &["session", "list"],
        &["profile", "show"],
        &["read", "@bob"],
    ] {
        let answer = scene.alice.run(&[arguments, &["--json"]].concat()).await?.success()?;
        let objects = answer.json_lines()?;
        ensure!(!objects.is_empty(), "nothing: {answer}");
        for object in objects {
            has_keys(&object, &["v"]).with_context(|| answer.to_string())?;
        }
    }
    let refused = scene.alice.run(&["read", "@nobody", "--json"]).await?;
    ensure!(refused.json_lines().is_ok(), "{refused}");
    Ok(())
}

#[tokio::test]
async fn control_characters_of_others_never_reach_the_terminal() -> Result<()> {
    let scene = Couple::of_friends().await?;
    let nasty = "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\u{8}\u{7f}\r\u{202e}txt\u{2066}.\u{0}end";
    let sending = scene.alice.command(&["send", "@bob", "-"])?;
    run(sending, nasty.as_bytes(), PATIENCE).await?.success()?;
    scene.bob.read_all("@alice", 1, PATIENCE).await?;
    for arguments in
        [&["read", "@alice"][..], &["read", "@alice", "--json"], &["contact", "list"], &["whoami"]]
    {
        let answer = scene.bob.run(arguments).await?.success()?;
        for text in [&answer.stdout, &answer.stderr] {
            let found = text.chars().find(|&character| is_dangerous(character));
            ensure!(found.is_none(), "{found:?} in {:?}", answer.stdout);
        }
    }
    Ok(())
}

#[tokio::test]
async fn secrets_are_never_asked_for_where_nobody_can_answer() -> Result<()> {
    let world = World::new()?;
    let server = world.homeserver("nest").start().await?;
    let alice = world.profile("alice", "laptop")?;
    // Without --password-file it would have to ask; standard input is no terminal here.
    let command = alice.command(&["register", &server.ready().invite, "alice"])?;
    let asked = run(command, b"correct horse\ncorrect horse\n", PATIENCE).await?.exit(2)?;
    ensure!(asked.stderr.contains("--password-file"), "{asked}");
    alice.register(&server.ready().invite).await?;
    Ok(())
}

#[tokio::test]
async fn help_completions_and_schema_come_without_a_profile() -> Result<()> {
    let world = World::new()?;
    let alice = world.profile("alice", "laptop")?;
    for arguments in [&["--help"][..], &["--version"], &["completions", "bash"], &["schema"]] {
        let answer = alice.run(arguments).await?.success()?;
        ensure!(!answer.stdout.is_empty(), "{answer}");
    }
    serde_json::from_str::<Value>(&alice.run(&["schema"]).await?.stdout)?;
    for arguments in [&["--help"][..], &["--version"], &["serve", "--help"]] {
        let mut command = Command::new(binary("rookeryd")?);
        command.args(arguments);
        run(command, b"", PATIENCE).await?.success()?;
    }
    Ok(())
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_error() -> Result<()> {
    let scene = Couple::of_friends().await?;
    scene.alice.send("@bob", &"long ".repeat(2000)).await?;
    let rookery = binary("rookery")?;
    let mut shell = Command::new("bash");
    shell.arg("-c").arg("\"$0\" read @bob | true; echo ${PIPESTATUS[0]}").arg(&rookery);
    shell.env("ROOKERY_HOME", scene.alice.home()).env_remove("XDG_RUNTIME_DIR");
    let answer: Finished = run(shell, b"", PATIENCE).await?.success()?;
    // 141 is what a shell says of a program that SIGPIPE ended.
    ensure!(["0", "141"].contains(&answer.stdout.trim()) && answer.stderr.is_empty(), "{answer}");
    Ok(())
}

fn has_keys(object: &Value, keys: &[&str]) -> Result<()> {
    for key in keys {
        ensure!(object.get(key).is_some(), "no {key:?} in {object}");
    }
    Ok(())
}

/// `2026-05-12T10:04:07.123Z`, or with an offset.
fn is_rfc_3339(text: &str) -> bool {
    let shape = |c: char| if c.is_ascii_digit() { '0' } else { c };
    let shaped: String = text.chars().map(shape).collect();
    shaped.starts_with("0000-00-00T00:00:00.000")
        && ["Z", "+00:00", "-00:00"].iter().any(|zone| shaped.ends_with(zone))
}

/// What can drive a terminal or turn text around, but for the end of a line and the tab that parts columns.
fn is_dangerous(character: char) -> bool {
    let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || character.is_control() && !matches!(character, '\n' | '\t')
}

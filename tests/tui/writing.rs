//! What is written: drafts, pastes, new lines, editors, and what a terminal says by itself.

use std::{fs, os::unix::fs::PermissionsExt as _};

use anyhow::{Context as _, Result, ensure};
use rookery_tests::{
    process::PATIENCE,
    screen::{Answers, Key, Setup, text_of},
};

use crate::scene::{Scene, escape, open, quit, say, start, wait_written, write};

/// What a terminal answers to whoever asks: too late, never, and at once.
#[tokio::test]
async fn pain_12_no_answer_of_the_terminal_is_waited_for_or_typed() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut late = start(&scene.alice, &Setup::default().answers(Answers::Held))?;
    late.wait_text("the second word")?;
    write(&mut late, "mine alone")?;
    if late.look(|_, emulator| !emulator.questions.is_empty()) {
        late.release_answers()?;
    }
    // And what nobody asked for: reports of the cursor and of the terminal.
    late.write(b"\x1b[12;40R\x1b[?62;22c")?;
    write(&mut late, "!")?;
    wait_written(&mut late, "mine alone!")?;
    quit(&mut late)?;

    let mut never = start(&scene.alice, &Setup::default().answers(Answers::Never))?;
    never.wait_text("the second word")?;
    wait_written(&mut never, "mine alone!")?;
    // Drawing everything again asks nothing either.
    never.press(Key::Control('l'))?;
    write(&mut never, "!")?;
    never.wait_text("the second word")?;
    quit(&mut never)
}

/// Replies to a program that ran here before: a colour (OSC 11), a name (DCS), and a list of keys.
#[tokio::test]
async fn pain_12_what_another_program_asked_is_not_typed() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    write(&mut terminal, "mine alone")?;
    terminal.write(b"\x1b]11;rgb:0000/0000/0000\x1b\\")?;
    terminal.write(b"\x1b]10;rgb:ffff/ffff/ffff\x07")?;
    terminal.write(b"\x1bP>|xterm(390)\x1b\\\x1bP1+r544e=787465726d\x1b\\")?;
    write(&mut terminal, "!")?;
    wait_written(&mut terminal, "mine alone!")?;
    quit(&mut terminal)
}

#[tokio::test]
async fn a_message_that_ends_with_a_name_goes_with_one_enter() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    write(&mut terminal, "thanks @bob")?;
    terminal.press(Key::Enter)?;
    let shown = scene.bob.read_all("@alice", 3, PATIENCE).await?;
    ensure!(shown[2].text.trim_end() == "thanks @bob", "{shown:?}");
    quit(&mut terminal)
}

#[tokio::test]
async fn pain_13_keys_that_terminals_cannot_tell_apart_do_what_people_expect() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    // Ctrl+H is what some terminals send for Backspace, and Ctrl+M is Enter.
    write(&mut terminal, "tellx")?;
    terminal.press(Key::Control('h'))?;
    wait_written(&mut terminal, "tell")?;
    terminal.press(Key::Control('m'))?;
    let shown = scene.bob.read_all("@alice", 3, PATIENCE).await?;
    ensure!(shown[2].text == "tell", "{shown:?}");
    quit(&mut terminal)
}

#[tokio::test]
async fn pain_14_every_terminal_has_a_key_for_a_new_line() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    write(&mut terminal, "one")?;
    terminal.press(Key::AltEnter)?;
    write(&mut terminal, "two")?;
    terminal.press(Key::Control('j'))?;
    write(&mut terminal, "three\\")?;
    terminal.press(Key::Enter)?;
    write(&mut terminal, "four")?;
    terminal.press(Key::Enter)?;
    let shown = scene.bob.read_all("@alice", 3, PATIENCE).await?;
    ensure!(shown[2].text == "one\ntwo\nthree\nfour", "{shown:?}");
    quit(&mut terminal)
}

#[tokio::test]
async fn pain_15_a_paste_is_one_text_and_sends_nothing() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    // A short one stands in the composer.
    terminal.paste("first line\nsecond line\nthird line")?;
    wait_written(&mut terminal, "third line")?;
    terminal.press(Key::Enter)?;
    let shown = scene.bob.read_all("@alice", 3, PATIENCE).await?;
    ensure!(shown[2].text == "first line\nsecond line\nthird line", "{shown:?}");
    // A long one is asked about first; whatever is answered, nothing is sent by it.
    let line = "a line of some log that is pasted as people paste logs";
    let long = format!("{}the end of it", format!("{line}\n").repeat(100 * 1024 / line.len()));
    terminal.paste(&long)?;
    terminal.wait_text("KiB")?;
    terminal.press(Key::Character('y'))?;
    wait_written(&mut terminal, "the end of it")?;
    scene.alice.send("@bob", "after the paste").await?;
    let shown = scene.bob.read_all("@alice", 4, PATIENCE).await?;
    ensure!(shown.len() == 4 && shown[3].text == "after the paste", "{} messages", shown.len());
    quit(&mut terminal)
}

#[tokio::test]
async fn pain_16_neither_escape_nor_another_room_loses_what_is_written() -> Result<()> {
    let scene = Scene::talking().await?;
    scene.alice.ask(&["community", "create", "club"]).await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    write(&mut terminal, "not lost")?;
    for _ in 0..4 {
        escape(&mut terminal)?;
    }
    wait_written(&mut terminal, "not lost")?;
    terminal.press(Key::AltDown)?;
    terminal.wait_text("#general")?;
    write(&mut terminal, "in the club")?;
    terminal.press(Key::AltUp)?;
    wait_written(&mut terminal, "not lost")?;
    terminal.press(Key::AltDown)?;
    wait_written(&mut terminal, "in the club")?;
    // What Ctrl+C takes away can be had back.
    terminal.press(Key::Control('c'))?;
    terminal.wait_no_text("in the club")?;
    terminal.press(Key::Control('_'))?;
    wait_written(&mut terminal, "in the club")?;
    quit(&mut terminal)
}

#[tokio::test]
async fn pain_16_what_is_written_in_a_thread_survives_a_restart() -> Result<()> {
    let scene = Scene::talking().await?;
    scene.alice.ask(&["community", "create", "club"]).await?;
    for turn in 0..2 {
        let mut terminal = scene.alice_at_her_screen().await?;
        terminal.wait_text("general")?;
        terminal.type_text("/go club#general\r")?;
        if turn == 0 {
            terminal.wait_text("founded this community")?;
            say(&mut terminal, "of which a thread is")?;
        }
        terminal.wait_text("of which a thread is")?;
        terminal.wait_for("its mark", |screen| text_of(screen).contains('✓'))?;
        terminal.press(Key::Alt('p'))?;
        terminal.wait_text("thread")?;
        terminal.press(Key::Character('t'))?;
        if turn == 0 {
            terminal.wait_text("Thread")?;
            write(&mut terminal, "half an answer")?;
        }
        wait_written(&mut terminal, "half an answer")?;
        quit(&mut terminal)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_draft_survives_a_restart_and_kill_9() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    write(&mut terminal, "not yet said")?;
    quit(&mut terminal)?;
    let mut terminal = open(&scene.alice, &Setup::default())?;
    wait_written(&mut terminal, "not yet said")?;
    write(&mut terminal, ", nor this")?;
    // It says when, once it was kept by this very program.
    terminal.wait_for("a draft that was kept now", |screen| {
        let text = text_of(screen);
        let said = text.split_once("draft saved ").map(|(_, at)| at.trim_start());
        said.is_some_and(|at| at.starts_with(|letter: char| letter.is_ascii_digit()))
    })?;
    terminal.signal("KILL")?;
    terminal.wait_exit()?;
    let mut terminal = open(&scene.alice, &Setup::default())?;
    wait_written(&mut terminal, "not yet said, nor this")?;
    terminal.press(Key::Enter)?;
    let shown = scene.bob.read_all("@alice", 3, PATIENCE).await?;
    ensure!(shown[2].text == "not yet said, nor this", "{shown:?}");
    quit(&mut terminal)?;
    // What was sent is no draft any more.
    let mut terminal = open(&scene.alice, &Setup::default())?;
    terminal.wait_text("nor this")?;
    say(&mut terminal, "the composer was empty")?;
    let shown = scene.bob.read_all("@alice", 4, PATIENCE).await?;
    ensure!(shown[3].text == "the composer was empty", "{shown:?}");
    quit(&mut terminal)
}

#[tokio::test]
async fn pain_17_an_editor_has_the_terminal_to_itself() -> Result<()> {
    let scene = Scene::talking().await?;
    let editor = scene.world.path().join("editor");
    let seen = scene.world.path().join("seen");
    // It reads keys, which must all be its own, and fills the screen with its own words.
    let body = format!(
        "#!/bin/sh\nstat -c %a \"$1\" >'{seen}'\ncat \"$1\" >>'{seen}'\necho \"$1\" >'{seen}.path'\n\
         printf '\\033[2J\\033[Hthe editor is open\\n'\nread line\necho \"$line\" >\"$1\"\n",
        seen = seen.display()
    );
    fs::write(&editor, body)?;
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o700))?;
    let setup = Setup::default().environment("EDITOR", editor.to_str().context("path")?);
    let mut terminal = open(&scene.alice, &setup)?;
    terminal.wait_text("the second word")?;
    write(&mut terminal, "begun here")?;
    terminal.press_all(&[Key::Control('x'), Key::Control('e')])?;
    terminal.wait_text("the editor is open")?;
    ensure!(!terminal.look(|screen, _| screen.bracketed_paste()), "{}", terminal.dump());
    // Messages that come meanwhile are not drawn into it.
    scene.bob.send("@alice", "said meanwhile").await?;
    scene.alice.read_all("@bob", 3, PATIENCE).await?;
    ensure!(!terminal.screen().contains("said meanwhile"), "{}", terminal.dump());
    terminal.type_text("finished there")?;
    terminal.press(Key::Enter)?;
    wait_written(&mut terminal, "finished there")?;
    terminal.wait_text("said meanwhile")?;
    terminal.wait_text("the second word")?;
    ensure!(!terminal.screen().contains("the editor is open\n"), "{}", terminal.dump());
    let told = fs::read_to_string(&seen)?;
    ensure!(told == "600\nbegun here" || told == "600\nbegun here\n", "{told:?}");
    let path = fs::read_to_string(seen.with_extension("path"))?;
    ensure!(!fs::exists(path.trim())?, "{path} is left behind");
    terminal.press(Key::Enter)?;
    let shown = scene.bob.read_all("@alice", 4, PATIENCE).await?;
    ensure!(shown.iter().any(|message| message.text == "finished there"), "{shown:?}");
    quit(&mut terminal)
}

#[tokio::test]
async fn an_unknown_command_is_not_sent_and_a_doubled_slash_is() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    write(&mut terminal, "/nosuchcommand at all")?;
    terminal.press(Key::Enter)?;
    terminal.wait_for("a word on it", |screen| text_of(screen).contains("no command"))?;
    terminal.press(Key::Control('c'))?;
    terminal.wait_no_text("nosuchcommand at all")?;
    say(&mut terminal, "a path")?;
    terminal.type_text("//etc/passwd")?;
    terminal.press(Key::Enter)?;
    let shown = scene.bob.read_all("@alice", 4, PATIENCE).await?;
    ensure!(shown[3].text == "/etc/passwd", "{shown:?}");
    quit(&mut terminal)
}

#[tokio::test]
async fn a_command_that_goes_elsewhere_leaves_no_draft_behind() -> Result<()> {
    let scene = Scene::talking().await?;
    scene.alice.ask(&["community", "create", "club"]).await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    terminal.wait_text("general")?;
    write(&mut terminal, "/go club#general ")?;
    terminal.press(Key::Enter)?;
    terminal.wait_text("#general")?;
    terminal.press(Key::AltUp)?;
    terminal.wait_text("the second word")?;
    terminal.wait_quiet(crate::scene::QUIET)?;
    ensure!(!terminal.screen().contains("/go"), "{}", terminal.dump());
    quit(&mut terminal)
}

#[tokio::test]
async fn keys_of_the_text_and_of_panes_are_the_users_own() -> Result<()> {
    let scene = Scene::talking().await?;
    let map = "[[key]]\non = \"ctrl-t\"\nrun = \"kill-line\"\nin = \"writing\"\n";
    fs::write(scene.alice.home().join("keys.toml"), map)?;
    let mut terminal = scene.alice_at_her_screen().await?;
    write(&mut terminal, "never sent")?;
    terminal.press(Key::Control('t'))?;
    terminal.wait_no_text("never sent")?;
    // By its slash name it comes back.
    terminal.type_text("/undo\r")?;
    wait_written(&mut terminal, "never sent")?;
    terminal.press(Key::Control('c'))?;
    terminal.wait_no_text("never sent")?;
    terminal.type_text("/set keys vim\r")?;
    terminal.wait_text("keys is vim")?;
    // Vi's panes: a sheet over the whole screen, and away again.
    terminal.type_text("/keys\r")?;
    terminal.wait_text("What to do next")?;
    terminal.press_all(&[Key::Control('w'), Key::Character('z')])?;
    terminal.wait_for("no list of rooms", |screen| {
        !screen.rows(0, 19).any(|row| row.contains("> bob"))
    })?;
    terminal.press_all(&[Key::Control('w'), Key::Character('q')])?;
    terminal.wait_text("the second word")?;
    quit(&mut terminal)
}

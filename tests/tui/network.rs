//! Without a server, with one that does not answer, and with an agent that dies.

use std::time::Duration;

use anyhow::{Result, ensure};
use rookery_tests::{
    process::PATIENCE,
    screen::{Key, Setup, signal, text_of},
    world::eventually,
};

use crate::scene::{
    QUIET, Scene, escape, open, quit, say, start, wait_status, wait_written, write,
};

#[tokio::test]
async fn pain_01_the_first_frame_needs_no_server() -> Result<()> {
    let mut scene = Scene::talking().await?;
    scene.server.stop().await?;
    let mut terminal = start(&scene.alice, &Setup::default())?;
    terminal.wait_text("the first word")?;
    terminal.wait_text("the second word")?;
    wait_status(&mut terminal, "offline")?;
    write(&mut terminal, "it can be written in")?;
    quit(&mut terminal)
}

/// The server is stopped rather than ended: what is sent to it is taken by its kernel, and never answered.
#[tokio::test]
async fn pain_02_keys_are_taken_while_the_network_stalls() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    signal(scene.server.id()?, "STOP")?;
    for number in 0..20 {
        let text = format!("stalled {number}");
        write(&mut terminal, &text)?;
        // What is sent stands there in the frame that takes it from the composer, whatever the server does.
        let bytes = Key::Enter.bytes(false);
        let wanted = text.clone();
        let time = terminal.time(&bytes, &text, move |screen| text_of(screen).contains(&wanted))?;
        ensure!(time < Duration::from_secs(1), "{text:?} took {time:?}\n{}", terminal.dump());
    }
    // Other rooms, help and searching do not wait either.
    terminal.press(Key::Function(1))?;
    terminal.wait_text("Enter sends")?;
    escape(&mut terminal)?;
    write(&mut terminal, "still here")?;
    signal(scene.server.id()?, "CONT")?;
    scene.bob.read_all("@alice", 22, PATIENCE).await?;
    quit(&mut terminal)
}

#[tokio::test]
async fn pain_03_nothing_is_written_while_nothing_happens() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    let before = terminal.wait_quiet(Duration::from_secs(4))?;
    let after = terminal.wait_quiet(Duration::from_secs(8))?;
    let written = terminal.raw_since(before).escape_ascii().to_string();
    ensure!(before == after, "{} bytes: {written}", after.saturating_sub(before));
    quit(&mut terminal)
}

/// Over a slow line every byte is felt.
#[tokio::test]
async fn a_typed_character_costs_few_bytes() -> Result<()> {
    const TYPED: u64 = 40;
    let scene = Scene::talking().await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    write(&mut terminal, "typed")?;
    let before = terminal.wait_quiet(Duration::from_secs(3))?;
    for number in 0..TYPED {
        let now = terminal.bytes_written();
        terminal.type_text(if number % 6 == 5 { " " } else { "x" })?;
        terminal.wait_written(PATIENCE, now)?;
    }
    let after = terminal.wait_quiet(Duration::from_secs(3))?;
    let each = after.saturating_sub(before) / TYPED;
    ensure!(each <= 64, "{each} bytes: {}", terminal.raw_since(before).escape_ascii());
    quit(&mut terminal)
}

#[tokio::test]
async fn pain_07_each_step_of_a_message_has_its_mark() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    let marked = |text: &'static str, marks: &'static [&'static str]| {
        move |screen: &rookery_tests::screen::Screen| {
            let text_of = text_of(screen);
            let row = text_of.split('\n').find(|row| row.contains(text));
            row.is_some_and(|row| marks.iter().any(|mark| row.contains(mark)))
        }
    };
    say(&mut terminal, "how far did it come")?;
    terminal.wait_for("the mark of what was sent", marked("how far did it come", &["✓"]))?;
    let mut agent = scene.bob.start_agent()?;
    terminal.wait_for("the mark of what was delivered", marked("how far did it come", &["✓✓"]))?;
    agent.stop().await?;
    signal(scene.server.id()?, "STOP")?;
    say(&mut terminal, "and this one")?;
    terminal.wait_for("the mark of what is under way", marked("and this one", &["⋯", "↻"]))?;
    signal(scene.server.id()?, "CONT")?;
    terminal.wait_for("the mark of what was sent", marked("and this one", &["✓"]))?;
    quit(&mut terminal)
}

#[tokio::test]
async fn pain_08_what_waits_is_counted_and_survives_a_restart() -> Result<()> {
    let mut scene = Scene::talking().await?;
    scene.server.stop().await?;
    let mut terminal = open(&scene.alice, &Setup::default())?;
    wait_status(&mut terminal, "offline")?;
    for number in 1..=3 {
        say(&mut terminal, &format!("waits {number}"))?;
    }
    wait_status(&mut terminal, "3 queued")?;
    ensure!(terminal.screen().contains('↻'), "no mark\n{}", terminal.dump());
    quit(&mut terminal)?;

    let mut terminal = open(&scene.alice, &Setup::default())?;
    wait_status(&mut terminal, "3 queued")?;
    terminal.wait_text("waits 3")?;
    scene.server.start().await?;
    terminal.wait_no_text("queued")?;
    terminal.wait_no_text("↻")?;
    let shown = scene.bob.read_all("@alice", 5, PATIENCE).await?;
    let texts: Vec<_> = shown.iter().map(|message| message.text.as_str()).skip(2).collect();
    ensure!(texts == ["waits 1", "waits 2", "waits 3"], "{texts:?}");
    quit(&mut terminal)
}

#[tokio::test]
async fn what_waits_survives_kill_9() -> Result<()> {
    let mut scene = Scene::talking().await?;
    scene.server.stop().await?;
    let mut terminal = open(&scene.alice, &Setup::default())?;
    say(&mut terminal, "taken")?;
    wait_status(&mut terminal, "1 queued")?;
    terminal.signal("KILL")?;
    terminal.wait_exit()?;
    scene.server.start().await?;
    let mut terminal = open(&scene.alice, &Setup::default())?;
    let shown = scene.bob.read_all("@alice", 3, PATIENCE).await?;
    ensure!(shown.len() == 3 && shown[2].text == "taken", "{shown:?}");
    terminal.wait_text("taken")?;
    quit(&mut terminal)
}

#[tokio::test]
async fn pain_24_a_script_and_the_screen_share_a_profile() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    scene.alice.send("@bob", "a script said this").await?;
    terminal.wait_text("a script said this")?;
    // Another screen of the same profile shows the same, and either can go.
    let mut second = open(&scene.alice, &Setup::default())?;
    second.wait_text("a script said this")?;
    say(&mut second, "from the second screen")?;
    terminal.wait_text("from the second screen")?;
    quit(&mut terminal)?;
    say(&mut second, "alone now")?;
    scene.bob.read_all("@alice", 5, PATIENCE).await?;
    quit(&mut second)
}

#[tokio::test]
async fn an_agent_that_is_killed_is_replaced_and_nothing_is_lost() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut agent = scene.alice.start_agent()?;
    scene.alice.wait_until_connected().await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    write(&mut terminal, "half a sentence")?;
    agent.kill().await?;
    // What is being written stays, and goes on.
    write(&mut terminal, ", and the rest")?;
    wait_written(&mut terminal, "half a sentence, and the rest")?;
    terminal.press(Key::Enter)?;
    let shown = scene.bob.read_all("@alice", 3, PATIENCE).await?;
    ensure!(shown.len() == 3 && shown[2].text == "half a sentence, and the rest", "{shown:?}");
    // The screen is the agent now.
    eventually(PATIENCE, async || scene.alice.send("@bob", "through the screen").await).await?;
    terminal.wait_text("through the screen")?;
    quit(&mut terminal)
}

#[tokio::test]
async fn what_waits_is_kept_when_the_agent_is_killed() -> Result<()> {
    let mut scene = Scene::talking().await?;
    scene.server.stop().await?;
    let mut agent = scene.alice.start_agent()?;
    eventually(PATIENCE, async || scene.alice.run(&["whoami"]).await?.success()).await?;
    let mut terminal = open(&scene.alice, &Setup::default())?;
    say(&mut terminal, "under way")?;
    wait_status(&mut terminal, "1 queued")?;
    agent.kill().await?;
    terminal.wait_quiet(QUIET)?;
    wait_status(&mut terminal, "1 queued")?;
    scene.server.start().await?;
    let shown = scene.bob.read_all("@alice", 3, PATIENCE).await?;
    ensure!(shown.len() == 3 && shown[2].text == "under way", "{shown:?}");
    quit(&mut terminal)
}

#[tokio::test]
async fn two_people_talk_at_two_screens() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut alice = scene.alice_at_her_screen().await?;
    let mut bob = start(&scene.bob, &Setup::default().size(120, 40))?;
    bob.wait_text("the second word")?;
    for round in 1..=3 {
        say(&mut alice, &format!("alice says {round}"))?;
        bob.wait_text(&format!("alice says {round}"))?;
        say(&mut bob, &format!("bob says {round}"))?;
        alice.wait_text(&format!("bob says {round}"))?;
    }
    quit(&mut alice)?;
    quit(&mut bob)
}

#[tokio::test]
async fn who_writes_is_shown_each_time() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut alice = scene.alice_at_her_screen().await?;
    let mut bob = start(&scene.bob, &Setup::default().size(120, 40))?;
    bob.wait_text("the second word")?;
    say(&mut bob, "written and sent")?;
    alice.wait_text("written and sent")?;
    // He goes on writing; how often that is told is not every key.
    let mut is_shown = false;
    for _ in 0..15 {
        bob.type_text("x")?;
        is_shown = alice.wait_text_within(Duration::from_secs(2), "bob is typing").is_ok();
        if is_shown {
            break;
        }
    }
    ensure!(is_shown, "{}", alice.dump());
    quit(&mut alice)?;
    quit(&mut bob)
}

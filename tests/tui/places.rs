//! Where it runs: terminals of all sizes and kinds, and multiplexers.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rookery_tests::{
    process::{PATIENCE, binary, run},
    screen::{Key, Multiplexer, Screen, Setup, Terminal, raw, text_of},
};

use crate::scene::{QUIET, Scene, escape, open, quit, say, start, start_with, wait_written, write};

#[tokio::test]
async fn a_storm_of_sizes_does_no_harm() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    write(&mut terminal, "in the storm")?;
    let mut seed = 1_u64;
    for _ in 0..300 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (columns, rows) = ((seed >> 33) % 250 + 1, (seed >> 45) % 80 + 1);
        terminal.resize(u16::try_from(columns)?, u16::try_from(rows)?)?;
        terminal.type_text(".")?;
    }
    for (columns, rows) in [(1, 1), (20, 5), (40, 12), (64, 20), (120, 40), (80, 24)] {
        terminal.resize(columns, rows)?;
        terminal.wait_quiet(QUIET)?;
        ensure!(!terminal.has_ended()?, "it ended at {columns}x{rows}\n{}", terminal.dump());
    }
    terminal.wait_text("the second word")?;
    terminal.press(Key::Control('c'))?;
    terminal.wait_no_text("in the storm")?;
    say(&mut terminal, "after the storm")?;
    quit(&mut terminal)
}

#[tokio::test]
async fn every_size_shows_the_conversation_and_the_composer() -> Result<()> {
    let scene = Scene::talking().await?;
    for (columns, rows) in [(40, 12), (64, 20), (80, 24), (120, 40), (200, 60)] {
        let place = format!("{columns}x{rows}");
        let mut terminal = start(&scene.alice, &Setup::default().size(columns, rows))?;
        terminal.wait_text("the second word").context(place.clone())?;
        write(&mut terminal, &place)?;
        let (column, row, is_shown) = terminal.cursor();
        ensure!(is_shown && column < columns && row + 3 >= rows, "{place}\n{}", terminal.dump());
        terminal.press(Key::Control('c'))?;
        terminal.wait_no_text(&place)?;
        quit(&mut terminal).context(place)?;
    }
    // Where there is no room, a line says so.
    let mut terminal = start(&scene.alice, &Setup::default().size(20, 5))?;
    terminal.wait_for("a word", |screen| text_of(screen).chars().any(char::is_alphabetic))?;
    quit(&mut terminal)
}

#[tokio::test]
async fn without_utf_8_and_on_the_console_nothing_but_ascii_is_written() -> Result<()> {
    let scene = Scene::talking().await?;
    let places = [
        ("LANG=C", Setup::default().environment("LANG", "C")),
        ("LC_ALL=C", Setup::default().environment("LC_ALL", "C")),
        ("no locale", Setup::default().environment("LANG", "")),
        ("TERM=linux", Setup::default().environment("TERM", "linux")),
    ];
    for (name, setup) in places {
        let mut terminal = open(&scene.alice, &setup)?;
        terminal.wait_text("the second word")?;
        say(&mut terminal, &format!("said with {name}"))?;
        terminal.press(Key::Function(1))?;
        terminal.wait_text("Enter sends")?;
        escape(&mut terminal)?;
        quit(&mut terminal)?;
        let beyond = raw::beyond_ascii(&terminal.raw());
        ensure!(beyond.is_empty(), "{name}: {beyond:?}\n{}", terminal.dump());
    }
    Ok(())
}

#[tokio::test]
async fn no_color_means_no_colour_and_other_glyphs_stay() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = open(&scene.alice, &Setup::default())?;
    terminal.wait_text("the second word")?;
    quit(&mut terminal)?;
    ensure!(!raw::colours(&terminal.raw()).is_empty(), "there are no colours at all");

    let mut terminal = open(&scene.alice, &Setup::default().environment("NO_COLOR", "1"))?;
    terminal.wait_text("the second word")?;
    say(&mut terminal, "without any colour")?;
    terminal.press(Key::Control('p'))?;
    terminal.wait_quiet(QUIET)?;
    escape(&mut terminal)?;
    quit(&mut terminal)?;
    let colours = raw::colours(&terminal.raw());
    ensure!(colours.is_empty(), "{colours:?}");
    ensure!(!raw::beyond_ascii(&terminal.raw()).is_empty(), "NO_COLOR took the glyphs as well");
    Ok(())
}

#[tokio::test]
async fn it_runs_in_tmux_and_in_screen() -> Result<()> {
    let scene = Scene::talking().await?;
    for (multiplexer, count) in [(Multiplexer::Tmux, 4), (Multiplexer::Screen, 6)] {
        let setup = Setup::default().within(multiplexer);
        let mut terminal = open(&scene.alice, &setup)?;
        scene.alice.wait_until_connected().await?;
        terminal.wait_text("the second word")?;
        let text = format!("said in {multiplexer:?}");
        say(&mut terminal, &text)?;
        terminal.resize(100, 30)?;
        terminal.wait_text(&text)?;
        // Keys with Alt, function keys, and a paste come through.
        terminal.press(Key::Function(1))?;
        terminal.wait_text("Enter sends")?;
        escape(&mut terminal)?;
        write(&mut terminal, "one")?;
        terminal.press(Key::AltEnter)?;
        write(&mut terminal, "two")?;
        terminal.press(Key::Enter)?;
        terminal.press(Key::Control('q'))?;
        terminal.wait_exit()?;
        let shown = scene.bob.read_all("@alice", count, PATIENCE).await?;
        let last = shown.last().map(|message| message.text.as_str());
        ensure!(shown.len() == count && last == Some("one\ntwo"), "{shown:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_dumb_terminal_gets_lines() -> Result<()> {
    let scene = Scene::talking().await?;
    let setup = Setup::default().environment("TERM", "dumb");
    lines(&scene, &mut start(&scene.alice, &setup)?).await
}

#[tokio::test]
async fn pain_22_a_screen_reader_gets_lines() -> Result<()> {
    let scene = Scene::talking().await?;
    lines(&scene, &mut start_with(&scene.alice, &["--linear"], &Setup::default())?).await
}

/// What stands there once is never written over: no cursor movement, no alternate screen, no boxes, words for marks.
async fn lines(scene: &Scene, terminal: &mut Terminal) -> Result<()> {
    terminal.wait_text("the second word")?;
    scene.alice.wait_until_connected().await?;
    terminal.type_text("from a line")?;
    terminal.press(Key::Enter)?;
    let shown = scene.bob.read_all("@alice", 3, PATIENCE).await?;
    ensure!(shown.last().is_some_and(|last| last.text == "from a line"), "{shown:?}");
    scene.bob.send("@alice", "to a line").await?;
    terminal.wait_text("to a line")?;
    terminal.type_text("/quit")?;
    terminal.press(Key::Enter)?;
    let status = terminal.wait_exit()?;
    ensure!(status.success(), "{status}\n{}", terminal.dump());
    terminal.ensure_restored()?;
    let raw = terminal.raw();
    ensure!(!raw.contains(&0x1b), "a sequence: {}", raw.escape_ascii());
    ensure!(terminal.screen().contains("sent"), "no word for the mark\n{}", terminal.dump());
    Ok(())
}

/// Links are for terminals that are likely to follow them.
#[tokio::test]
async fn links_can_be_followed_and_lead_to_nothing_else() -> Result<()> {
    let scene = Scene::talking().await?;
    let text = "see https://nest.example/a\u{1b}]8;;evil:\u{7}b, [there](javascript:alert(1)), [her\u{e9}](https://nest.example/\u{e9})";
    let sending = scene.bob.command(&["send", "@alice", "-"])?;
    run(sending, text.as_bytes(), PATIENCE).await?.success()?;
    scene.alice.read_all("@bob", 3, PATIENCE).await?;
    let told = |terminal: &Terminal| {
        terminal.look(|_, emulator| {
            let links = emulator.commands.iter().filter(|command| command.starts_with("8;"));
            links.filter(|command| *command != "8;;").cloned().collect::<Vec<_>>()
        })
    };
    let mut terminal = open(&scene.alice, &Setup::default())?;
    terminal.wait_text("see https")?;
    terminal.wait_quiet(QUIET)?;
    let links = told(&terminal);
    ensure!(links.iter().any(|link| link.ends_with(";https://nest.example/%C3%A9")), "{links:?}");
    for link in &links {
        ensure!(link.contains(";https://nest.example/") && link.is_ascii(), "{links:?}");
    }
    quit(&mut terminal)?;
    for (name, value) in [("TERM", "linux"), ("TERM", "screen-256color"), ("STY", "1.screen")] {
        let mut terminal = open(&scene.alice, &Setup::default().environment(name, value))?;
        terminal.wait_text("see https")?;
        terminal.wait_quiet(QUIET)?;
        ensure!(told(&terminal).is_empty(), "{name}={value}: {:?}", told(&terminal));
        quit(&mut terminal)?;
    }
    Ok(())
}

/// tmux has its own mind about how wide an emoji is: what it holds for its screen is asked of itself.
#[tokio::test]
async fn pain_18_emoji_leave_nothing_behind_in_tmux() -> Result<()> {
    let scene = Scene::talking().await?;
    let setup = Setup::default().within(Multiplexer::Tmux);
    let mut terminal = open(&scene.alice, &setup)?;
    scene.alice.wait_until_connected().await?;
    terminal.wait_text("the second word")?;
    terminal.wait_quiet(QUIET)?;
    let rows = |terminal: &Terminal| -> Result<Vec<String>> {
        let held = terminal.multiplexer(&["capture-pane", "-p"])?;
        // The last rows tell of drafts and keys.
        Ok(held.split('\n').take(21).map(|row| row.trim_end().to_owned()).collect())
    };
    let before = rows(&terminal)?;
    for beginning in [":he", ":fam", ":fla", ":ta"] {
        terminal.type_text(beginning)?;
        wait_written(&mut terminal, beginning)?;
        terminal.wait_quiet(QUIET)?;
        ensure!(rows(&terminal)? != before, "nothing is offered for {beginning}");
        escape(&mut terminal)?;
        terminal.press(Key::Control('u'))?;
        terminal.wait_no_text(&format!("> {beginning}"))?;
        terminal.wait_quiet(QUIET)?;
        let after = rows(&terminal)?;
        ensure!(after == before, "{beginning}\n{}\n{}", before.join("\n"), after.join("\n"));
    }
    terminal.press(Key::Control('q'))?;
    terminal.wait_exit()?;
    Ok(())
}

#[tokio::test]
async fn pain_13_keys_test_tells_what_arrives() -> Result<()> {
    let scene = Scene::new().await?;
    let mut terminal = start_with(&scene.alice, &["keys", "test"], &Setup::default())?;
    terminal.wait_text("q ends")?;
    terminal.press(Key::Control('k'))?;
    terminal.wait_text("Go to a room")?;
    terminal.press(Key::AltEnter)?;
    terminal.wait_text("Begin a line")?;
    terminal.paste("two\nlines")?;
    terminal.wait_text("9 bytes in 2 lines")?;
    terminal.press(Key::Character('q'))?;
    let status = terminal.wait_exit()?;
    ensure!(status.success(), "{status}");
    terminal.ensure_restored()?;
    let mut terminal = start_with(&scene.alice, &["keys", "test"], &Setup::default())?;
    terminal.wait_text("q ends")?;
    terminal.press_all(&[Key::Control('c'), Key::Control('c')])?;
    terminal.wait_exit()?;
    terminal.ensure_restored()
}

/// The demonstration opens the screen among people who answer.
#[tokio::test]
async fn the_demonstration_opens_the_screen() -> Result<()> {
    let mut command = Command::new(binary("demo")?);
    // What it would build is there already.
    command.env("CARGO", "true");
    let mut terminal = Setup::default().start(&command)?;
    terminal.wait_within(Duration::from_mins(2), "the screen", Screen::alternate_screen)?;
    for words in ["general", "night watch", "cy"] {
        terminal.wait_text(words)?;
    }
    say(&mut terminal, "anybody there")?;
    terminal.press(Key::Control('q'))?;
    let status = terminal.wait_exit()?;
    ensure!(status.success(), "{status}\n{}", terminal.dump());
    terminal.ensure_restored()
}

//! How it ends, stops and goes on; and what the terminal is then.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rookery_cli::tui::terminal::{Surroundings, Taken};
use rookery_tests::{
    process::PATIENCE,
    profile::Profile,
    screen::{Key, Multiplexer, Screen, Setup, Terminal, text_of},
    world::eventually,
};

use crate::scene::{QUIET, Scene, open, quit, start, wait_written, write};

#[tokio::test]
async fn the_terminal_is_given_back_however_the_program_is_ended() -> Result<()> {
    let scene = Scene::talking().await?;
    for ending in ["TERM", "HUP", "INT"] {
        let mut terminal = open(&scene.alice, &Setup::default())?;
        terminal.wait_text("the second word")?;
        write(&mut terminal, ending)?;
        terminal.signal(ending)?;
        terminal.wait_exit()?;
        terminal.ensure_restored().context(ending)?;
        // What was being written is kept.
        let mut terminal = open(&scene.alice, &Setup::default())?;
        wait_written(&mut terminal, ending)?;
        terminal.press(Key::Control('c'))?;
        terminal.wait_no_text(&format!("> {ending}"))?;
        quit(&mut terminal)?;
    }
    Ok(())
}

/// Before there is a frame, too.
#[tokio::test]
async fn the_terminal_is_given_back_when_the_end_comes_early() -> Result<()> {
    let scene = Scene::talking().await?;
    for turn in 0..10 {
        let mut terminal = start(&scene.alice, &Setup::default())?;
        if turn % 2 == 0 {
            terminal.wait_for("anything", Screen::alternate_screen)?;
        }
        terminal.signal("TERM")?;
        terminal.wait_exit()?;
        terminal.ensure_restored().with_context(|| format!("turn {turn}"))?;
    }
    Ok(())
}

/// As when an SSH connection is cut: reads give nothing, writes fail, and SIGHUP comes.
#[tokio::test]
async fn a_terminal_that_is_gone_ends_the_program() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = open(&scene.alice, &Setup::default().within(Multiplexer::Tmux))?;
    write(&mut terminal, "cut off")?;
    let id = terminal.multiplexer(&["display-message", "-p", "#{pane_pid}"])?;
    terminal.multiplexer(&["kill-server"])?;
    let path = format!("/proc/{}", id.trim());
    eventually(PATIENCE, async || {
        ensure!(!std::fs::exists(&path)?, "{path} is still there");
        Ok(())
    })
    .await?;
    let mut terminal = open(&scene.alice, &Setup::default())?;
    wait_written(&mut terminal, "cut off")?;
    quit(&mut terminal)
}

/// Ctrl+Z in a shell with job control.
#[tokio::test]
async fn it_can_be_suspended_and_brought_back() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = shell(&scene.alice)?;
    terminal.wait_text("shell:")?;
    terminal.type_text("\"$ROOKERY\"\r")?;
    terminal.wait_text("the second word")?;
    write(&mut terminal, "kept meanwhile")?;
    terminal.press(Key::Control('z'))?;
    terminal.wait_text("Stopped")?;
    ensure!(!terminal.look(|screen, _| screen.alternate_screen()), "{}", terminal.dump());
    terminal.type_text("echo the shell has the keys\r")?;
    // Typed before the prompt is there or after: what is asked for is the answer.
    terminal.wait_for("the shell's answer", |screen| {
        let text = text_of(screen);
        let mut rows = text.lines().map(str::trim_end);
        rows.any(|row| row.ends_with("the shell has the keys") && !row.contains("echo"))
    })?;
    terminal.type_text("fg\r")?;
    terminal.wait_text("the second word")?;
    wait_written(&mut terminal, "kept meanwhile")?;
    terminal.press(Key::Control('q'))?;
    terminal.wait_for("the shell", |screen| !screen.alternate_screen())?;
    terminal.type_text("exit\r")?;
    terminal.wait_exit()?;
    terminal.ensure_restored()
}

/// From the moment that the screen is gone, every key is the shell's.
#[tokio::test]
async fn what_is_typed_after_the_end_is_the_shells() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = shell(&scene.alice)?;
    for turn in 0..8 {
        terminal.type_text("\"$ROOKERY\"\r")?;
        terminal.wait_text("the second word")?;
        terminal.press(Key::Control('q'))?;
        terminal.wait_for("the shell", |screen| !screen.alternate_screen())?;
        terminal.type_text(&format!("echo turn $((10 + {turn}))\r"))?;
        terminal.wait_text(&format!("turn {}", 10 + turn))?;
    }
    terminal.type_text("exit\r")?;
    terminal.wait_exit()?;
    terminal.ensure_restored()
}

/// Somebody else has stopped it, and had the terminal meanwhile.
#[tokio::test]
async fn after_a_stop_everything_is_drawn_again() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    write(&mut terminal, "kept meanwhile")?;
    terminal.signal("STOP")?;
    let before = terminal.wait_quiet(QUIET)?;
    terminal.signal("CONT")?;
    terminal.wait_written(PATIENCE, before)?;
    terminal.wait_quiet(QUIET)?;
    let raw = String::from_utf8_lossy(&terminal.raw_since(before)).into_owned();
    ensure!(raw.contains("\x1b[?1049h") && raw.contains("second"), "{raw:?}");
    // What came meanwhile is there at one moment: a signal, a new size, and keys.
    terminal.signal("STOP")?;
    terminal.wait_quiet(QUIET)?;
    terminal.resize(90, 30)?;
    terminal.type_text(", and gone on with")?;
    terminal.signal("CONT")?;
    wait_written(&mut terminal, "kept meanwhile, and gone on with")?;
    quit(&mut terminal)
}

/// A shell of a person, who may start `$ROOKERY`.
fn shell(profile: &Profile) -> Result<Terminal> {
    let client = profile.command(&[])?;
    let mut command = Command::new("bash");
    command.args(["--norc", "--noediting", "-i"]).env("PS1", "shell: ");
    command.env("ROOKERY", client.as_std().get_program());
    for (name, value) in client.as_std().get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    Setup::default().start(&command)
}

/// What is run by the test below, in a terminal of its own: nothing but the panic's own hook can give the terminal back here.
#[test]
#[ignore = "it panics: the_terminal_is_given_back_after_a_panic runs it"]
fn panics_at_a_screen() {
    let taken = Taken::take(&Surroundings::find()).expect("a terminal");
    std::mem::forget(taken);
    panic!("on purpose");
}

#[test]
fn the_terminal_is_given_back_after_a_panic() -> Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--exact", "endings::panics_at_a_screen", "--ignored", "--nocapture"]);
    let mut terminal = Setup::default().start(&command)?;
    terminal.watch(Screen::alternate_screen);
    let status = terminal.wait_exit()?;
    ensure!(!status.success(), "it did not panic\n{}", terminal.dump());
    let raw = String::from_utf8_lossy(&terminal.raw()).into_owned();
    let (taken, restored) = (raw.find("\x1b[?1049h"), raw.find("\x1b[?1049l"));
    ensure!(taken.is_some() && restored > taken, "{raw:?}");
    let said = raw.find("on purpose");
    ensure!(said > restored, "what is wrong is said where it can be read: {raw:?}");
    terminal.ensure_restored()
}

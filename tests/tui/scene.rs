//! People at terminals.

use std::time::Duration;

use anyhow::Result;
use rookery_tests::{
    homeserver::Homeserver,
    profile::Profile,
    screen::{Key, Setup, Terminal},
    world::{World, befriend},
};

/// Longer than a pause between two bursts of one change.
pub(crate) const QUIET: Duration = Duration::from_millis(300);

/// Alice and Bob, contacts with a device each, and their server.
pub(crate) struct Scene {
    pub(crate) alice: Profile,
    pub(crate) bob: Profile,
    pub(crate) server: Homeserver,
    pub(crate) world: World,
}

impl Scene {
    pub(crate) async fn new() -> Result<Self> {
        let world = World::new()?;
        let server = world.homeserver("nest").start().await?;
        let (alice, bob) = (world.profile("alice", "laptop")?, world.profile("bob", "laptop")?);
        alice.register(&server.ready().invite).await?;
        bob.register(&server.invite(1).await?).await?;
        befriend(&alice, &bob).await?;
        Ok(Self { alice, bob, server, world })
    }

    /// The same, after a first word each way.
    pub(crate) async fn talking() -> Result<Self> {
        let scene = Self::new().await?;
        scene.bob.send("@alice", "the first word").await?;
        scene.alice.read_all("@bob", 1, rookery_tests::process::PATIENCE).await?;
        scene.alice.send("@bob", "the second word").await?;
        Ok(scene)
    }

    /// Alice before her screen, with Bob's conversation open and the connection there.
    pub(crate) async fn alice_at_her_screen(&self) -> Result<Terminal> {
        let mut terminal = open(&self.alice, &Setup::default())?;
        self.alice.wait_until_connected().await?;
        // The last thing that was said, by which the conversation is known to be open.
        terminal.wait_text("the second word")?;
        Ok(terminal)
    }
}

/// Starts the terminal client of `profile`, with nothing waited for.
pub(crate) fn start(profile: &Profile, setup: &Setup) -> Result<Terminal> {
    start_with(profile, &[], setup)
}

/// Starts it with arguments.
pub(crate) fn start_with(profile: &Profile, arguments: &[&str], setup: &Setup) -> Result<Terminal> {
    let mut command = profile.command(arguments)?;
    command.current_dir(profile.directory());
    setup.start(command.as_std())
}

/// Starts Alice's, and waits until her conversation with Bob is shown.
pub(crate) fn open(profile: &Profile, setup: &Setup) -> Result<Terminal> {
    let mut terminal = start(profile, setup)?;
    terminal.wait_text("bob")?;
    Ok(terminal)
}

/// Presses Ctrl+Q, and holds that the program ends well and leaves the terminal as it was.
pub(crate) fn quit(terminal: &mut Terminal) -> Result<()> {
    terminal.press(Key::Control('q'))?;
    let status = terminal.wait_exit()?;
    anyhow::ensure!(status.success(), "{status}\n{}", terminal.dump());
    terminal.ensure_restored()
}

/// Types `text`, and waits until it stands before the cursor.
pub(crate) fn write(terminal: &mut Terminal, text: &str) -> Result<()> {
    terminal.type_text(text)?;
    wait_written(terminal, text)
}

/// Waits until `text` stands before the cursor.
pub(crate) fn wait_written(terminal: &mut Terminal, text: &str) -> Result<()> {
    terminal.wait_for(&format!("{text:?} before the cursor"), |screen| {
        let (row, column) = screen.cursor_position();
        // A blank need not be written where there was one.
        let row = screen.rows(0, column).nth(usize::from(row)).unwrap_or_default();
        row.trim_end().ends_with(text.trim_end())
    })
}

/// Types a message and sends it, and waits until it stands in the conversation and no longer in the composer.
pub(crate) fn say(terminal: &mut Terminal, text: &str) -> Result<()> {
    write(terminal, text)?;
    terminal.press(Key::Enter)?;
    wait_said(terminal, text)
}

/// Waits until `text` stands on the screen and the composer is empty.
pub(crate) fn wait_said(terminal: &mut Terminal, text: &str) -> Result<()> {
    terminal.wait_for(&format!("{text:?} said"), |screen| {
        let (row, _) = screen.cursor_position();
        let (_, columns) = screen.size();
        let mut above = screen.rows(0, columns.get()).take(usize::from(row));
        let composer = screen.rows(0, columns.get()).nth(usize::from(row)).unwrap_or_default();
        above.any(|row| row.contains(text)) && !composer.contains(text)
    })
}

/// Waits until the row that says how things stand says `text`.
pub(crate) fn wait_status(terminal: &mut Terminal, text: &str) -> Result<()> {
    terminal.wait_for(&format!("the status {text:?}"), |screen| {
        let (rows, columns) = screen.size();
        let status = rows.get().saturating_sub(3);
        screen.rows(0, columns.get()).nth(status.into()).is_some_and(|row| row.contains(text))
    })
}

/// Presses Escape and waits until that has been taken: with the next key it would be another one.
pub(crate) fn escape(terminal: &mut Terminal) -> Result<()> {
    let before = terminal.wait_quiet(QUIET)?;
    terminal.press(Key::Escape)?;
    // It may change nothing, and then it need not be answered.
    terminal.wait_written(Duration::from_secs(2), before).ok();
    terminal.wait_quiet(QUIET)?;
    Ok(())
}

//! What a person sees and does at the terminal, and how a figure is told.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use rookery_tests::screen::{Key, Screen, Terminal, text_of};

use super::LAST;

/// Whether there is a frame: the alternate screen with something on it.
pub(super) fn is_drawn(screen: &Screen) -> bool {
    screen.alternate_screen() && !text_of(screen).trim().is_empty()
}

/// Whether messages of the room are shown: of the store, or of those that came in by an earlier measurement.
pub(super) fn is_readable(screen: &Screen) -> bool {
    let text = text_of(screen);
    ["message ", "one of the flood", LAST, "glyph "].iter().any(|said| text.contains(said))
}

/// The numbers of the messages that are shown, lowest first.
pub(super) fn numbers_on(screen: &Screen) -> Vec<u64> {
    let text = text_of(screen);
    let after = text.split("message ").skip(1);
    let mut numbers: Vec<u64> =
        after.filter_map(|rest| rest.split_once(':')?.0.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

pub(super) fn first_on(terminal: &Terminal) -> anyhow::Result<u64> {
    terminal.look(|screen, _| numbers_on(screen).first().copied()).context("no messages are shown")
}

/// Types one letter, and says how long it took until it stood before the cursor. After a line's worth of them, the composer is cleared.
pub(super) fn type_one(terminal: &mut Terminal, number: usize) -> anyhow::Result<Duration> {
    if number % 30 == 29 {
        clear(terminal)?;
    }
    let letter = u8::try_from(number % 26)?.saturating_add(b'a');
    terminal.time(&[letter], &format!("the letter {:?}", char::from(letter)), move |screen| {
        let (row, column) = screen.cursor_position();
        let before = column.checked_sub(1).and_then(|column| screen.cell(row, column));
        before.is_some_and(|cell| cell.contents().as_bytes() == [letter])
    })
}

/// Empties the composer.
pub(super) fn clear(terminal: &mut Terminal) -> anyhow::Result<()> {
    terminal.press(Key::Control('c'))?;
    terminal.wait_for("an empty composer", |screen| {
        let (row, column) = screen.cursor_position();
        let before = column.checked_sub(1).and_then(|column| screen.cell(row, column));
        before.is_none_or(|cell| ["", " ", ">"].contains(&cell.contents()))
    })
}

pub(super) fn quit(terminal: &mut Terminal) -> anyhow::Result<()> {
    terminal.press(Key::Control('q'))?;
    let status = terminal.wait_exit()?;
    ensure!(status.success(), "it ended with {status}\n{}", terminal.dump());
    terminal.ensure_restored()
}

/// The time that so many of 100 do not pass.
pub(super) fn quantile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    let index = times.len().saturating_mul(percent) / 100;
    times.get(index.min(last)).copied().unwrap_or_default()
}

pub(super) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Prints a figure beside its bar; what has none is only told.
pub(super) fn tell(what: &str, figure: f64, unit: &str, bar: f64) {
    if bar.is_nan() {
        println!("  {what:<44}{figure:>10.2} {unit}");
        return;
    }
    let verdict = if figure <= bar { "ok" } else { "OVER" };
    println!("  {what:<44}{figure:>10.2} {unit:<4} bar {bar:>6} {unit:<4} {verdict}");
}

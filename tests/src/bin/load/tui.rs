//! The terminal, measured where a person sits: keys go into a pseudo-terminal, and what the program writes is timed by who reads it.
//!
//! The store holds as many messages in 300 rooms as one wants; 12 in 100 are of one conversation, which is the one that is open. Everything is a
//! real process: the server, the screen with its agent, and whoever writes to it.

mod fill;
mod hands;
mod process;

use std::{os::unix::net::UnixStream, path::PathBuf, time::Duration};

use anyhow::ensure;
use rookery_tests::screen::{Key, PATIENCE, Setup, Terminal, text_of};

use self::{
    fill::Scene,
    hands::{
        clear, first_on, is_drawn, is_readable, ms, numbers_on, quantile, quit, tell, type_one,
    },
    process::{Processes, Used},
};
use crate::{
    catch_up::{Running, post},
    messages::as_f64,
    server::now,
    wall::rookery,
};

/// What is measured, and how often.
pub(crate) struct Plan {
    pub(crate) messages: u64,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) starts: usize,
    pub(crate) keys: usize,
    pub(crate) flood: usize,
    pub(crate) idle: Duration,
    pub(crate) paged: u64,
}

/// What the bars are for.
impl Default for Plan {
    fn default() -> Self {
        let (messages, paged) = (1_000_000, 100_000);
        let idle = Duration::from_mins(1);
        Self { messages, directory: None, starts: 20, keys: 300, flood: 10_000, idle, paged }
    }
}

/// Longer than the slowest start on a machine that does much else.
const START: Duration = Duration::from_mins(1);
/// What is written at last in a flood.
const LAST: &str = "the last of the flood";
/// How long nothing is written before a burst counts as over.
const QUIET: Duration = Duration::from_millis(80);
/// How long a room that was open last takes to be shown, at most.
const SOON: Duration = Duration::from_secs(5);
/// How long somebody waits before they press a key again that has done nothing.
const AGAIN: Duration = Duration::from_millis(250);
const PASTE: usize = 100 * 1024;
const MEBIBYTE: f64 = 1_048_576.0;

/// Measures all of it, and fails in the end if something could not be measured.
pub(crate) async fn measure(plan: Plan) -> anyhow::Result<()> {
    let mut bench =
        Bench { scene: Scene::find(plan.directory.clone(), plan.messages).await?, plan };
    println!("the terminal, a store of {} messages in {} rooms", bench.plan.messages, fill::ROOMS);
    let mut failed = 0_u32;
    let mut note = |what: &str, outcome: anyhow::Result<()>| {
        if let Err(error) = outcome {
            failed = failed.saturating_add(1);
            println!("  {what:<44} NOT MEASURED: {error:#}");
        }
    };
    note("remembering the room", bench.open_room());
    bench.scene.server.stop()?;
    note("starts", bench.starts());
    bench.scene.server.start_again()?;
    let mut terminal = bench.start((80, 24))?;
    note("connecting", bench.wait_until_connected());
    note("memory after the start", bench.memory("resident memory after the start", 60.0));
    note("keys", bench.keys(&mut terminal));
    note("bytes", Bench::bytes(&mut terminal));
    // Before Bob comes: that he goes again is news.
    note("idle", bench.idle(&mut terminal));
    note("incoming", bench.incoming(&mut terminal).await);
    note("paste", Bench::paste(&mut terminal));
    note("resizes", Bench::resizes(&mut terminal));
    note("paging", bench.paging(&mut terminal));
    note("the end", quit(&mut terminal));
    drop(terminal);
    note("flood", bench.flood().await);
    ensure!(failed == 0, "{failed} figures could not be had");
    Ok(())
}

struct Bench {
    scene: Scene,
    plan: Plan,
}

impl Bench {
    /// Alice's screen.
    fn start(&self, size: (u16, u16)) -> anyhow::Result<Terminal> {
        let mut terminal = Setup::default()
            .size(size.0, size.1)
            .start_watching(&rookery(&self.scene.home("alice"))?, is_drawn)?;
        terminal.watched(START, "the first frame")?;
        Ok(terminal)
    }

    /// Opens the room that is measured, so that it is the last one that was open.
    fn open_room(&self) -> anyhow::Result<()> {
        let mut terminal = self.start((80, 24))?;
        Self::go_to_bob(&mut terminal)?;
        quit(&mut terminal)
    }

    fn go_to_bob(terminal: &mut Terminal) -> anyhow::Result<()> {
        let is_there = terminal.wait_within(SOON, "the room with Bob", |screen| {
            is_readable(screen) && text_of(screen).contains("@bob")
        });
        if is_there.is_ok() {
            return Ok(());
        }
        terminal.press(Key::Control('k'))?;
        terminal.wait_quiet(QUIET)?;
        terminal.type_text("bob")?;
        terminal.wait_quiet(QUIET)?;
        terminal.press(Key::Enter)?;
        terminal.wait_for("the room with Bob", is_readable)
    }

    fn starts(&self) -> anyhow::Result<()> {
        let (mut frames, mut rooms) = (vec![], vec![]);
        for _ in 0..self.plan.starts {
            let mut terminal =
                Setup::default().start_watching(&rookery(&self.scene.home("alice"))?, is_drawn)?;
            let drawn = terminal.watched(START, "the first frame")?;
            frames.push(drawn.saturating_duration_since(terminal.begun()));
            // It may have been in the first frame: then that was when.
            let is_there = terminal.look(|screen, _| is_readable(screen));
            let readable = if is_there {
                drawn
            } else {
                terminal.watch(is_readable);
                terminal.watched(START, "the last room")?
            };
            rooms.push(readable.saturating_duration_since(terminal.begun()));
            quit(&mut terminal)?;
        }
        tell("start to first frame, no server, p95", ms(quantile(&mut frames, 95)), "ms", 50.0);
        tell("last room readable, p95", ms(quantile(&mut rooms, 95)), "ms", 150.0);
        Ok(())
    }

    fn wait_until_connected(&self) -> anyhow::Result<()> {
        for _ in 0..300 {
            if self.scene.ask("alice", &["status"]).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        anyhow::bail!("no connection after 30 s")
    }

    fn memory(&self, what: &str, bar: f64) -> anyhow::Result<()> {
        let bytes = Processes::of(&self.scene.home("alice"))?.memory()?;
        tell(what, as_f64(bytes) / MEBIBYTE, "MiB", bar);
        Ok(())
    }

    fn keys(&self, terminal: &mut Terminal) -> anyhow::Result<()> {
        Self::go_to_bob(terminal)?;
        let mut times = vec![];
        for number in 0..self.plan.keys {
            times.push(type_one(terminal, number)?);
            // As fast as nobody types, but not all at once.
            std::thread::sleep(Duration::from_millis(15));
        }
        clear(terminal)?;
        tell("key to bytes out, p50", ms(quantile(&mut times, 50)), "ms", 1.0);
        tell("key to bytes out, p99", ms(quantile(&mut times, 99)), "ms", 8.0);
        Ok(())
    }

    /// What is written because of a character, and not because of something that came due meanwhile: that a draft was saved is on the
    /// screen already, and that the line was emptied is there no more.
    fn bytes(terminal: &mut Terminal) -> anyhow::Result<()> {
        let mut counts = vec![];
        type_one(terminal, 0)?;
        terminal.wait_for("a saved draft", |screen| {
            let text = text_of(screen);
            text.contains("draft saved") && !text.contains("Ctrl+Q ends")
        })?;
        for number in 1..29 {
            let before = terminal.wait_quiet(QUIET)?;
            type_one(terminal, number)?;
            counts.push(terminal.wait_quiet(QUIET)?.saturating_sub(before));
        }
        clear(terminal)?;
        counts.sort_unstable();
        let middle = counts.get(counts.len() / 2).copied().unwrap_or_default();
        tell("bytes for a typed character, median", as_f64(middle), "B", 64.0);
        let most = counts.last().copied().unwrap_or_default();
        tell("bytes for a typed character, most", as_f64(most), "B", 64.0);
        Ok(())
    }

    /// From the moment that somebody else's agent is asked to send: sealing, both ways and opening are in it.
    async fn incoming(&self, terminal: &mut Terminal) -> anyhow::Result<()> {
        let (_agent, socket) = self.bob()?;
        let mut times = vec![];
        for number in 0..20 {
            let text = format!("glyph {number}.");
            let wanted = text.clone();
            terminal.watch(move |screen| text_of(screen).contains(&wanted));
            let begun = now();
            post(&socket, "@alice", 1, move |_| format!("glyph {number}.")).await?;
            let shown = terminal.watched(PATIENCE, &text)?;
            times.push(shown.saturating_duration_since(begun));
        }
        tell("another's send to the glyph here, p50", ms(quantile(&mut times, 50)), "ms", f64::NAN);
        Ok(())
    }

    fn bob(&self) -> anyhow::Result<(Running, PathBuf)> {
        let home = self.scene.home("bob");
        let agent = Running(rookery(&home)?.arg("daemon").spawn()?);
        let socket = rookery_cli::config::Place::find(Some(home), None)?.socket()?;
        for _ in 0..300 {
            // A status without the agent would be the profile's owner itself, for a moment.
            if UnixStream::connect(&socket).is_ok() && self.scene.ask("bob", &["status"]).is_ok() {
                return Ok((agent, socket));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        anyhow::bail!("Bob's agent does not come up")
    }

    /// Until the last line of it shows, or the question what is to be done with so much.
    fn paste(terminal: &mut Terminal) -> anyhow::Result<()> {
        let line = "a line of a log that somebody pastes, and it is a long one, as they are\r";
        let mut text = line.repeat(PASTE.div_ceil(line.len()));
        text.truncate(PASTE);
        text.push_str("\rthe end of it");
        let bytes = format!("\x1b[200~{text}\x1b[201~");
        ensure!(terminal.look(|screen, _| screen.bracketed_paste()), "bracketed paste is off");
        let time = terminal.time(bytes.as_bytes(), "what was pasted", |screen| {
            let text = text_of(screen);
            text.contains("the end of it") || text.contains("pasted")
        })?;
        tell("paste of 100 KiB", ms(time), "ms", 100.0);
        terminal.press(Key::Escape)?;
        terminal.wait_quiet(QUIET)?;
        clear(terminal)
    }

    /// Until all that is written for the new size has come.
    fn resizes(terminal: &mut Terminal) -> anyhow::Result<()> {
        let mut times = vec![];
        for _ in 0..10 {
            for (columns, rows) in [(200, 60), (80, 24)] {
                terminal.wait_quiet(QUIET)?;
                let before = terminal.bytes_written();
                let begun = now();
                terminal.resize(columns, rows)?;
                terminal.wait_written(PATIENCE, before)?;
                terminal.wait_quiet(QUIET)?;
                if columns == 200 {
                    times.push(terminal.last_written().saturating_duration_since(begun));
                }
            }
        }
        tell("resize to 200x60 until all is drawn, p50", ms(quantile(&mut times, 50)), "ms", 33.0);
        tell("resize to 200x60 until all is drawn, p95", ms(quantile(&mut times, 95)), "ms", 33.0);
        Ok(())
    }

    fn idle(&self, terminal: &mut Terminal) -> anyhow::Result<()> {
        self.wait_until_connected()?;
        // The focus is here, as a terminal would say that is asked.
        terminal.write(b"\x1b[I")?;
        terminal.wait_quiet(Duration::from_secs(8))?;
        let processes = Processes::of(&self.scene.home("alice"))?;
        let (bytes, before, begun) = (terminal.bytes_written(), processes.used()?, now());
        std::thread::sleep(self.plan.idle);
        let (time, after) = (begun.elapsed().as_secs_f64(), processes.used()?);
        let used = Used {
            cpu_ns: after.cpu_ns.saturating_sub(before.cpu_ns),
            waits: after.waits.saturating_sub(before.waits),
        };
        let of = format!("idle for {time:.0} s, connected");
        tell(&format!("{of}: CPU"), as_f64(used.cpu_ns) / 1e7 / time, "%", 0.05);
        tell(&format!("{of}: wake-ups"), as_f64(used.waits) / time, "/s", 2.0);
        let written = terminal.bytes_written().saturating_sub(bytes);
        tell(&format!("{of}: written"), as_f64(written), "B", 0.0);
        Ok(())
    }

    fn paging(&self, terminal: &mut Terminal) -> anyhow::Result<()> {
        terminal.resize(200, 60)?;
        terminal.wait_quiet(QUIET)?;
        // 3 of 25 numbers are in this room.
        let wanted = self.plan.paged.min(self.scene.with_bob.saturating_sub(200));
        let lowest = self.plan.messages.saturating_sub(wanted.saturating_mul(25) / 3);
        // What came in since the store was made has no numbers.
        for _ in 0..self.plan.flood.max(100) {
            if terminal.look(|screen, _| numbers_on(screen).len() > 40) {
                break;
            }
            terminal.press(Key::PageUp)?;
            terminal.wait_quiet(QUIET)?;
        }
        let (mut times, mut presses) = (vec![], 0_u32);
        let mut last = first_on(terminal)?;
        while last > lowest {
            let before = last;
            terminal.watch(move |screen| {
                numbers_on(screen).first().is_some_and(|first| *first < before)
            });
            let begun = now();
            // A person presses again when nothing happens.
            let shown = loop {
                terminal.press(Key::PageUp)?;
                presses = presses.saturating_add(1);
                match terminal.watched(AGAIN, "an older page") {
                    Ok(shown) => break shown,
                    Err(error) if begun.elapsed() > PATIENCE => {
                        return Err(error.context(format!("at message {last}")));
                    }
                    Err(_) => {}
                }
            };
            times.push(shown.saturating_duration_since(begun));
            last = first_on(terminal)?;
        }
        ensure!(!times.is_empty(), "there is too little to page through");
        let count = times.len();
        tell("a page back, p50", ms(quantile(&mut times, 50)), "ms", 30.0);
        tell("a page back, p95", ms(quantile(&mut times, 95)), "ms", 30.0);
        let what = format!("resident memory after {wanted} messages");
        println!("  ({count} pages by {presses} presses of PageUp)");
        self.memory(&what, 120.0)
    }

    async fn flood(&self) -> anyhow::Result<()> {
        let count = self.plan.flood;
        let (agent, socket) = self.bob()?;
        let text = move |number| format!("one of the flood, {number}: kalo milo neru sato");
        post(&socket, "@alice", count, text).await?;
        post(&socket, "@alice", 1, |_| LAST.to_owned()).await?;
        drop(agent);
        let mut terminal = self.start((80, 24))?;
        terminal.wait_quiet(Duration::from_millis(1)).ok();
        let mut times = vec![];
        let begun = now();
        while !terminal.screen().contains(LAST) {
            ensure!(begun.elapsed() < Duration::from_mins(10), "the flood does not end");
            times.push(type_one(&mut terminal, times.len())?);
            std::thread::sleep(Duration::from_millis(10));
        }
        let time = begun.elapsed().as_secs_f64();
        println!(
            "  ({count} messages came in within {time:.1} s, while {} keys were pressed)",
            times.len()
        );
        tell("key to bytes out in it, p50", ms(quantile(&mut times, 50)), "ms", f64::NAN);
        tell("key to bytes out in it, p99", ms(quantile(&mut times, 99)), "ms", 16.0);
        clear(&mut terminal)?;
        quit(&mut terminal)
    }
}

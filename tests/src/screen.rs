//! A program in a pseudo-terminal, as a person has it before them: keys go in, and what comes out is read by a terminal emulator.
//!
//! Everything that a terminal remembers is kept: the rows, the cursor, modes that were switched on, what was asked of it, and all bytes. A wait
//! for something to be shown is a wait for that condition, bounded, and its error holds the whole screen. The bytes are read by a thread of their
//! own, which notes when each came, so that what is measured does not depend on who looks. These calls block, like the terminal they stand for.

mod emulator;
mod key;
mod multiplexer;
pub mod raw;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt::Write as _,
    io::{Read, Write},
    num::NonZeroU16,
    process::Command,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, SlavePty};
use vt100::{MouseProtocolMode, Parser};

pub use self::{
    emulator::{Answers, Emulator},
    key::Key,
    multiplexer::Multiplexer,
};
pub use vt100::Screen;

/// Longer than anything on a screen takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How often a wait looks whether the program has ended.
const GLANCE: Duration = Duration::from_millis(20);
/// Bytes of the program's output that are kept; beyond twice as many, the older half goes.
const KEPT: usize = 4 << 20;

/// What a program is started with.
#[derive(Debug, Clone)]
pub struct Setup {
    columns: u16,
    rows: u16,
    answers: Answers,
    environment: BTreeMap<OsString, OsString>,
    multiplexer: Option<Multiplexer>,
}

/// 80 columns by 24 rows, xterm's name, a UTF-8 locale, and answers to what the program asks.
impl Default for Setup {
    fn default() -> Self {
        let pairs = [("TERM", "xterm-256color"), ("LANG", "C.UTF-8")];
        let mut environment: BTreeMap<OsString, OsString> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        for name in ["PATH", "TMPDIR"] {
            environment.extend(std::env::var_os(name).map(|value| (name.into(), value)));
        }
        Self { columns: 80, rows: 24, answers: Answers::AtOnce, environment, multiplexer: None }
    }
}

impl Setup {
    /// In a terminal of another size.
    #[must_use]
    pub const fn size(mut self, columns: u16, rows: u16) -> Self {
        (self.columns, self.rows) = (columns, rows);
        self
    }

    /// With another environment variable; nothing but `PATH` and `TMPDIR` is taken from the tests' own.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// In a terminal that answers so when it is asked something.
    #[must_use]
    pub const fn answers(mut self, answers: Answers) -> Self {
        self.answers = answers;
        self
    }

    /// In a multiplexer in the terminal.
    #[must_use]
    pub const fn within(mut self, multiplexer: Multiplexer) -> Self {
        self.multiplexer = Some(multiplexer);
        self
    }

    /// Starts `command`, whose own environment comes on top.
    pub fn start(&self, command: &Command) -> Result<Terminal> {
        self.start_watching(command, |_| false)
    }

    /// Starts `command`, and notes when the screen first is as `shows` says: [`Terminal::watched`] gives it.
    pub fn start_watching(
        &self,
        command: &Command,
        shows: impl Fn(&Screen) -> bool + Send + 'static,
    ) -> Result<Terminal> {
        let mut environment = self.environment.clone();
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => environment.insert(name.to_owned(), value.to_owned()),
                None => environment.remove(name),
            };
        }
        let program = command.get_program().to_owned();
        let mut words: Vec<OsString> =
            [program].into_iter().chain(command.get_args().map(Into::into)).collect();
        let session =
            self.multiplexer.map(|kind| kind.prepare(&mut words, &mut environment)).transpose()?;
        let mut builder = CommandBuilder::from_argv(words);
        builder.env_clear();
        for (name, value) in &environment {
            builder.env(name, value);
        }
        builder.cwd(command.get_current_dir().unwrap_or_else(|| std::path::Path::new("/")));

        let size = pty_size(self.columns, self.rows);
        let pair = portable_pty::native_pty_system().openpty(size)?;
        let (rows, columns) = cells(self.columns, self.rows)?;
        let seen = Arc::new(Seen {
            state: Mutex::new(State {
                parser: Parser::new_with_callbacks(rows, columns, 1000, Emulator::default()),
                bytes: 0,
                last_at: now(),
                tail: Vec::new(),
                watch: Some(Watch { shows: Box::new(shows), at: None }),
                answers: self.answers,
                has_ended: false,
            }),
            changed: Condvar::new(),
        });
        let reader = pair.master.try_clone_reader()?;
        let writer = pair.master.take_writer()?;
        let before = modes_of_line(&*pair.master);
        let (orders, taken) = mpsc::channel();
        thread::spawn(move || write_all(writer, &taken));
        let begun = now();
        let child = pair.slave.spawn_command(builder)?;
        let terminal = Terminal {
            child,
            master: pair.master,
            slave: Some(pair.slave),
            seen: Arc::clone(&seen),
            orders: orders.clone(),
            before,
            begun,
            session,
            status: None,
        };
        thread::spawn(move || read_all(reader, &seen, &orders));
        Ok(terminal)
    }
}

/// A terminal with a program in it, which is killed when this is dropped.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    /// Kept open as the shell does that a program was started from; without it, what the program did to the line would be lost with it.
    slave: Option<Box<dyn SlavePty + Send>>,
    seen: Arc<Seen>,
    orders: mpsc::Sender<Order>,
    before: String,
    begun: Instant,
    session: Option<multiplexer::Session>,
    status: Option<ExitStatus>,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.dump())
    }
}

impl Terminal {
    // What is typed.

    /// Types `text` at once, as it stands.
    pub fn type_text(&self, text: &str) -> Result<()> {
        self.write(text.as_bytes()).map(drop)
    }

    /// Presses a key. What is pressed right after Escape may be taken for one key with it, as everywhere.
    pub fn press(&self, key: Key) -> Result<()> {
        let bytes = key.bytes(self.see().parser.screen().application_cursor());
        self.write(&bytes).map(drop)
    }

    /// Presses one key after another.
    pub fn press_all(&self, keys: &[Key]) -> Result<()> {
        keys.iter().try_for_each(|key| self.press(*key))
    }

    /// Pastes `text` as a terminal does: between marks if the program asked for them, and with a return for the end of each line.
    pub fn paste(&self, text: &str) -> Result<()> {
        let text = text.replace('\n', "\r");
        let is_marked = self.see().parser.screen().bracketed_paste();
        let (begin, end) = if is_marked { ("\x1b[200~", "\x1b[201~") } else { ("", "") };
        self.write(format!("{begin}{text}{end}").as_bytes()).map(drop)
    }

    /// Writes any bytes, and says when. Fails if the program does not take them in.
    pub fn write(&self, bytes: &[u8]) -> Result<Instant> {
        let (done, when) = mpsc::channel();
        let order = Order { bytes: bytes.to_vec(), done: Some(done) };
        self.orders.send(order).ok().context("the terminal is closed")?;
        match when.recv_timeout(PATIENCE) {
            Ok(at) => Ok(at),
            Err(_) => bail!("the program does not read what is typed\n{}", self.dump()),
        }
    }

    /// Gives the answers that were held back.
    pub fn release_answers(&self) -> Result<()> {
        let answers = {
            let mut state = self.see();
            state.answers = Answers::AtOnce;
            state.parser.callbacks_mut().take_answers()
        };
        ensure!(!answers.is_empty(), "nothing was asked of this terminal\n{}", self.dump());
        self.write(&answers).map(drop)
    }

    /// Makes the terminal another size, which its program is told by SIGWINCH.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        let cells = cells(columns, rows)?;
        // What comes next is drawn for the new size, so the screen has it first.
        self.see().parser.set_size(cells.0, cells.1);
        self.master.resize(pty_size(columns, rows))
    }

    // What is seen.

    /// The rows from above to below, without the blanks at their ends.
    #[must_use]
    pub fn screen(&self) -> String {
        text_of(self.see().parser.screen())
    }

    /// One row, counted from 0; negative ones from below.
    #[must_use]
    pub fn row(&self, number: isize) -> String {
        let screen = self.screen();
        let rows: Vec<&str> = screen.split('\n').collect();
        let index = match usize::try_from(number) {
            Ok(index) => Some(index),
            Err(_) => rows.len().checked_sub(number.unsigned_abs()),
        };
        index.and_then(|index| rows.get(index).copied()).unwrap_or_default().to_owned()
    }

    /// Column and row of the cursor, from 0, and whether it is shown.
    #[must_use]
    pub fn cursor(&self) -> (u16, u16, bool) {
        let state = self.see();
        let (row, column) = state.parser.screen().cursor_position();
        (column, row, !state.parser.screen().hide_cursor())
    }

    /// Asks something of the screen, and of what the emulator remembers beside it.
    pub fn look<T>(&self, ask: impl FnOnce(&Screen, &Emulator) -> T) -> T {
        let state = self.see();
        ask(state.parser.screen(), state.parser.callbacks())
    }

    /// How many bytes the program has written.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.see().bytes
    }

    /// When the last of them came.
    #[must_use]
    pub fn last_written(&self) -> Instant {
        self.see().last_at
    }

    /// The last bytes that it wrote, up to some megabytes.
    #[must_use]
    pub fn raw(&self) -> Vec<u8> {
        self.see().tail.clone()
    }

    /// What it wrote after the first `mark` bytes, as far as that is kept.
    #[must_use]
    pub fn raw_since(&self, mark: u64) -> Vec<u8> {
        let state = self.see();
        let new = usize::try_from(state.bytes.saturating_sub(mark)).unwrap_or(usize::MAX);
        let from = state.tail.len().saturating_sub(new);
        state.tail.get(from..).unwrap_or_default().to_vec()
    }

    /// Waits until the screen is as `shows` says.
    pub fn wait_for(&mut self, what: &str, shows: impl Fn(&Screen) -> bool) -> Result<()> {
        self.wait_within(PATIENCE, what, shows)
    }

    /// Waits so, but not longer than `limit`.
    pub fn wait_within(
        &mut self,
        limit: Duration,
        what: &str,
        shows: impl Fn(&Screen) -> bool,
    ) -> Result<()> {
        self.wait_until(limit, what, |state| shows(state.parser.screen()).then_some(()))
    }

    /// Waits until `text` stands somewhere on the screen.
    pub fn wait_text(&mut self, text: &str) -> Result<()> {
        self.wait_text_within(PATIENCE, text)
    }

    /// Waits so, but not longer than `limit`.
    pub fn wait_text_within(&mut self, limit: Duration, text: &str) -> Result<()> {
        self.wait_within(limit, &format!("{text:?}"), |screen| text_of(screen).contains(text))
    }

    /// Waits until `text` stands nowhere on the screen any more.
    pub fn wait_no_text(&mut self, text: &str) -> Result<()> {
        self.wait_for(&format!("{text:?} to go"), |screen| !text_of(screen).contains(text))
    }

    /// Waits until more than `bytes` have been written, but not longer than `limit`.
    pub fn wait_written(&mut self, limit: Duration, bytes: u64) -> Result<()> {
        self.wait_until(limit, "anything new", |state| (state.bytes > bytes).then_some(()))
    }

    /// Waits until nothing has been written for as long as `quiet`, and gives the number of bytes until then.
    pub fn wait_quiet(&mut self, quiet: Duration) -> Result<u64> {
        let deadline = later(PATIENCE)?;
        let mut state = self.see();
        loop {
            let before = state.bytes;
            let waited = self.seen.changed.wait_timeout(state, quiet);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if state.bytes == before {
                return Ok(before);
            }
            if now() > deadline {
                drop(state);
                bail!("the program does not stop writing\n{}", self.dump());
            }
        }
    }

    /// When the program was started.
    #[must_use]
    pub const fn begun(&self) -> Instant {
        self.begun
    }

    /// Notes from now on when the screen first is as `shows` says.
    pub fn watch(&self, shows: impl Fn(&Screen) -> bool + Send + 'static) {
        self.see().watch = Some(Watch { shows: Box::new(shows), at: None });
    }

    /// Waits until it is so, and says when it came to be.
    pub fn watched(&mut self, limit: Duration, what: &str) -> Result<Instant> {
        self.wait_until(limit, what, |state| state.watch.as_ref().and_then(|watch| watch.at))
    }

    /// Writes `bytes` and says how long it took until the screen was as `shows` says.
    pub fn time(
        &mut self,
        bytes: &[u8],
        what: &str,
        shows: impl Fn(&Screen) -> bool + Send + 'static,
    ) -> Result<Duration> {
        self.watch(shows);
        let begun = self.write(bytes)?;
        Ok(self.watched(PATIENCE, what)?.saturating_duration_since(begun))
    }

    fn wait_until<T>(
        &mut self,
        limit: Duration,
        what: &str,
        ready: impl Fn(&State) -> Option<T>,
    ) -> Result<T> {
        let deadline = later(limit)?;
        loop {
            // Asked before the screen is looked at: what an ended program has written last still counts.
            let has_ended = self.has_ended()?;
            let state = self.see();
            if let Some(found) = ready(&state) {
                return Ok(found);
            }
            if now() < deadline && !(has_ended && state.has_ended) {
                drop(self.seen.changed.wait_timeout(state, GLANCE));
                continue;
            }
            drop(state);
            let end = self.status.as_ref().map(|status| format!(" (it ended: {status})"));
            let end = end.unwrap_or_default();
            bail!("{what} was not shown within {limit:?}{end}\n{}", self.dump());
        }
    }

    /// The whole screen, and what else a terminal remembers, for an error's message.
    #[must_use]
    pub fn dump(&self) -> String {
        let state = self.see();
        let screen = state.parser.screen();
        let (rows, columns) = screen.size();
        let (row, column) = screen.cursor_position();
        let mut text = String::new();
        let line = "-".repeat(usize::from(columns.get()));
        writeln!(text, "+{line}+ {columns}x{rows}, cursor at {column},{row}").ok();
        for row in text_of(screen).split('\n') {
            writeln!(text, "|{row}").ok();
        }
        writeln!(text, "+{line}+ {} bytes, the last:", state.bytes).ok();
        let last = state.tail.len().saturating_sub(300);
        text.push_str(&state.tail.get(last..).unwrap_or_default().escape_ascii().to_string());
        text
    }

    // The program.

    /// Its process id. In a multiplexer, the multiplexer's client.
    pub fn id(&self) -> Result<u32> {
        self.child.process_id().context("no process id")
    }

    /// Sends it a signal, such as `TERM`.
    pub fn signal(&self, name: &str) -> Result<()> {
        signal(self.id()?, name)
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> Result<bool> {
        if self.status.is_none() {
            self.status = self.child.try_wait()?;
            if self.status.is_some() {
                // The reader comes to an end when nobody has the line any more, and by then it has read everything.
                self.note_line();
                self.slave = None;
            }
        }
        Ok(self.status.is_some())
    }

    /// Waits until it has ended and all that it wrote is read.
    pub fn wait_exit(&mut self) -> Result<ExitStatus> {
        let deadline = later(PATIENCE)?;
        while !self.has_ended()? {
            if now() > deadline {
                bail!("the program still runs\n{}", self.dump());
            }
            thread::sleep(Duration::from_millis(5));
        }
        let mut state = self.see();
        while !state.has_ended && now() < deadline {
            let waited = self.seen.changed.wait_timeout(state, GLANCE);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        self.status.clone().context("no status")
    }

    /// What the program has left switched on that was off before: nothing, if it restored its terminal.
    #[must_use]
    pub fn left_behind(&self) -> Vec<String> {
        let state = self.see();
        let (screen, emulator) = (state.parser.screen(), state.parser.callbacks());
        let plain = vt100::Color::Default;
        let mut left: Vec<String> = [
            (screen.alternate_screen(), "the alternate screen"),
            (screen.hide_cursor(), "a hidden cursor"),
            (screen.bracketed_paste(), "bracketed paste"),
            (screen.mouse_protocol_mode() != MouseProtocolMode::None, "mouse reports"),
            (screen.application_cursor(), "application cursor keys"),
            (screen.application_keypad(), "the application keypad"),
            (screen.fgcolor() != plain || screen.bgcolor() != plain, "a colour"),
            (screen.bold() || screen.dim() || screen.inverse(), "an attribute"),
            (screen.italic() || screen.underline(), "an attribute"),
        ]
        .into_iter()
        .filter(|(is_left, _)| *is_left)
        .map(|(_, name)| name.to_owned())
        .collect();
        left.extend(emulator.left_behind());
        let line = emulator.line.clone().unwrap_or_else(|| modes_of_line(&*self.master));
        drop(state);
        if line != self.before {
            left.push(format!("the line's modes: {line}, before {}", self.before));
        }
        left
    }

    /// Fails unless the program has restored its terminal.
    pub fn ensure_restored(&self) -> Result<()> {
        let left = self.left_behind();
        ensure!(left.is_empty(), "left behind: {}\n{}", left.join(", "), self.dump());
        Ok(())
    }

    /// Runs a command of the multiplexer that the program runs in, such as `kill-server` or `detach-client`, and gives what it says.
    pub fn multiplexer(&self, words: &[&str]) -> Result<String> {
        self.session.as_ref().context("no multiplexer")?.run(words)
    }

    /// Notes what the program has done to the line, while it is open.
    fn note_line(&self) {
        let line = modes_of_line(&*self.master);
        self.see().parser.callbacks_mut().line = Some(line);
    }

    fn see(&self) -> MutexGuard<'_, State> {
        self.seen.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(session) = &self.session {
            session.end();
        }
        if self.status.is_none() {
            if let Ok(id) = self.id() {
                signal(id, "KILL").ok();
            }
            self.child.wait().ok();
        }
    }
}

/// Sends the process `id` a signal, such as `TERM`. The shell's own `kill` is the only one that is everywhere.
pub fn signal(id: u32, name: &str) -> Result<()> {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status()?;
    ensure!(status.success(), "no signal {name} for {id}");
    Ok(())
}

/// The rows of a screen, without the blanks at their ends.
#[must_use]
pub fn text_of(screen: &Screen) -> String {
    let (_, columns) = screen.size();
    let rows: Vec<String> =
        screen.rows(0, columns.get()).map(|row| row.trim_end().to_owned()).collect();
    rows.join("\n")
}

/// What the reading thread shares.
struct Seen {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    parser: Parser<Emulator>,
    bytes: u64,
    last_at: Instant,
    tail: Vec<u8>,
    watch: Option<Watch>,
    answers: Answers,
    has_ended: bool,
}

struct Watch {
    shows: Box<dyn Fn(&Screen) -> bool + Send>,
    at: Option<Instant>,
}

/// Bytes that are to be typed.
struct Order {
    bytes: Vec<u8>,
    done: Option<mpsc::Sender<Instant>>,
}

impl State {
    /// Takes in what was read at `at`, and gives what the terminal answers.
    fn take(&mut self, bytes: &[u8], at: Instant) -> Vec<u8> {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or_default());
        self.last_at = at;
        self.tail.extend_from_slice(bytes);
        if self.tail.len() > KEPT.saturating_mul(2) {
            self.tail.drain(..KEPT);
        }
        self.parser.process(bytes);
        if let Some(watch) = &mut self.watch
            && watch.at.is_none()
            && (watch.shows)(self.parser.screen())
        {
            watch.at = Some(at);
        }
        match self.answers {
            Answers::AtOnce => self.parser.callbacks_mut().take_answers(),
            Answers::Never | Answers::Held => Vec::new(),
        }
    }
}

fn read_all(mut reader: Box<dyn Read + Send>, seen: &Seen, orders: &mpsc::Sender<Order>) {
    let mut buffer = vec![0_u8; 64 * 1024];
    loop {
        let count = reader.read(&mut buffer).unwrap_or(0);
        let at = now();
        let mut state = seen.state.lock().unwrap_or_else(PoisonError::into_inner);
        if count == 0 {
            state.has_ended = true;
            seen.changed.notify_all();
            return;
        }
        let answers = state.take(buffer.get(..count).unwrap_or_default(), at);
        drop(state);
        seen.changed.notify_all();
        if !answers.is_empty() {
            orders.send(Order { bytes: answers, done: None }).ok();
        }
    }
}

/// Types in a thread of its own: a program that does not read must not stop those who look at its screen.
fn write_all(mut writer: Box<dyn Write + Send>, orders: &mpsc::Receiver<Order>) {
    for Order { bytes, done } in orders {
        let at = now();
        let is_written = writer.write_all(&bytes).and_then(|()| writer.flush()).is_ok();
        if let Some(done) = done.filter(|_| is_written) {
            done.send(at).ok();
        }
    }
}

/// What the line discipline does to what is typed: echo, line editing, signals.
fn modes_of_line(master: &dyn MasterPty) -> String {
    master.get_termios().map(|modes| format!("{modes:?}")).unwrap_or_default()
}

const fn pty_size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

/// Rows and columns, as the emulator wants them.
fn cells(columns: u16, rows: u16) -> Result<(NonZeroU16, NonZeroU16)> {
    let pair = NonZeroU16::new(rows).zip(NonZeroU16::new(columns));
    pair.context("a terminal has at least one cell")
}

/// The wall clock, which real programs run by.
#[expect(clippy::disallowed_methods, reason = "real programs are waited for and measured")]
fn now() -> Instant {
    Instant::now()
}

fn later(limit: Duration) -> Result<Instant> {
    now().checked_add(limit).context("time")
}

#[cfg(test)]
mod tests;

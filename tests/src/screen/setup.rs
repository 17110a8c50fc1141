//! Starting a program in a terminal.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    process::Command,
    sync::{Arc, Condvar, Mutex, mpsc},
    thread,
};

use anyhow::Result;
use portable_pty::CommandBuilder;
use vt100::{Parser, Screen};

use super::{
    Answers, Emulator, Multiplexer, Terminal, cells, modes_of_line, now, pty_size,
    reading::{Seen, State, Watch, read_all, write_all},
};

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

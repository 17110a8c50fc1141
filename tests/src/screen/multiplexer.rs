//! Programs that stand between a terminal and what runs in it.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    path::PathBuf,
    process::Command,
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Multiplexer {
    /// `tmux`.
    Tmux,
    /// GNU `screen`.
    Screen,
}

/// One that runs, with a socket of its own.
#[derive(Debug)]
pub(super) struct Session {
    kind: Multiplexer,
    directory: TempDir,
}

const TMUX_SETTINGS: &str = "set -g default-terminal tmux-256color
set -g status off
set -s escape-time 0
set -g remain-on-exit off
";
const SCREEN_SETTINGS: &str = "startup_message off
vbell off
defutf8 on
term screen-256color
maptimeout 0
";

impl Multiplexer {
    /// Puts its own words before those of the program, and its own variables into the environment.
    pub(super) fn prepare(
        self,
        words: &mut Vec<OsString>,
        environment: &mut BTreeMap<OsString, OsString>,
    ) -> Result<Session> {
        let session = Session { kind: self, directory: TempDir::with_prefix("rookery-")? };
        fs::write(
            session.path("settings"),
            match self {
                Self::Tmux => TMUX_SETTINGS,
                Self::Screen => SCREEN_SETTINGS,
            },
        )?;
        let mut own = session.words(&[]);
        let program = own.first().context("no program")?.clone();
        let is_there = Command::new(&program).arg("-V").output();
        is_there.with_context(|| {
            format!("{} is missing: `tests/run` installs it", program.to_string_lossy())
        })?;
        if self == Self::Tmux {
            own.extend(["-f".into(), session.path("settings").into(), "new-session".into()]);
        } else {
            own.extend(["-U".into(), "-c".into(), session.path("settings").into()]);
            environment.insert("SCREENDIR".into(), session.path("sockets").into());
            // The directory must be nobody else's.
            let sockets = session.path("sockets");
            fs::create_dir(&sockets)?;
            fs::set_permissions(sockets, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        }
        own.append(words);
        *words = own;
        Ok(session)
    }
}

impl Session {
    /// Runs one of its commands, and gives what it says.
    pub(super) fn run(&self, words: &[&str]) -> Result<String> {
        let words = self.words(words);
        let (program, arguments) = words.split_first().context("no program")?;
        let mut command = Command::new(program);
        command.args(arguments).env("SCREENDIR", self.path("sockets")).env_remove("TMUX");
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{command:?}: {said}{:?}", output.stderr.escape_ascii());
        Ok(said)
    }

    /// Ends it, with all that runs in it.
    pub(super) fn end(&self) {
        self.run(match self.kind {
            Multiplexer::Tmux => &["kill-server"],
            Multiplexer::Screen => &["quit"],
        })
        .ok();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// How its program is called for this session.
    fn words(&self, words: &[&str]) -> Vec<OsString> {
        let own: Vec<OsString> = match self.kind {
            Multiplexer::Tmux => vec!["tmux".into(), "-S".into(), self.path("socket").into()],
            Multiplexer::Screen => vec!["screen".into(), "-S".into(), "rookery".into()],
        };
        let is_command = self.kind == Multiplexer::Screen && !words.is_empty();
        let command = is_command.then(|| OsStr::new("-X").to_owned());
        own.into_iter().chain(command).chain(words.iter().map(Into::into)).collect()
    }
}

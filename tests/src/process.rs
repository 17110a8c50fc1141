//! Programs under test: where they are, running them with a time limit, and reading their JSON.
//!
//! Every wait here ends. A program that outlives its limit, or the value that stands for it, is killed with SIGKILL.

use std::{
    env, fs, iter,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// Longer than anything that works takes on a busy machine with two cores.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Finds the binary `name`: in the directory `ROOKERY_BIN_DIR`, or else where Cargo put it beside this program.
pub fn binary(name: &str) -> Result<PathBuf> {
    if let Some(directory) = env::var_os("ROOKERY_BIN_DIR") {
        let path = Path::new(&directory).join(name);
        ensure!(path.is_file(), "ROOKERY_BIN_DIR holds no {name}");
        return Ok(path);
    }
    let own = env::current_exe()?;
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("no {name} beside {}: run `cargo build` first", own.display()))
}

/// On which network a program runs: this machine's own, or that of a network namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    namespace: Option<PathBuf>,
}

impl Place {
    /// In the network namespace that the file `namespace` stands for. Only root may start anything there.
    #[must_use]
    pub fn within(namespace: PathBuf) -> Self {
        Self { namespace: Some(namespace) }
    }

    /// The binary `name`, to be run there. Its process is the program's own: what is done to it is done to the program.
    pub fn program(&self, name: &str) -> Result<Command> {
        let program = binary(name)?;
        let Some(namespace) = &self.namespace else { return Ok(Command::new(program)) };
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", namespace.display())).arg("--").arg(program);
        Ok(command)
    }
}

/// Runs `command` to its end with `input` on its standard input, or kills it after `limit`.
pub async fn run(mut command: Command, input: &[u8], limit: Duration) -> Result<Finished> {
    let line = words(&command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("cannot start {line}"))?;
    let (mut stdin, mut stdout, mut stderr) = (
        child.stdin.take().context("no stdin")?,
        child.stdout.take().context("no stdout")?,
        child.stderr.take().context("no stderr")?,
    );
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let feed = async move {
        // A program that does not read its input may be gone already; its exit code says more than a broken pipe.
        drop(stdin.write_all(input).await);
    };
    let all = async {
        let ((), read_out, read_err, status) = tokio::join!(
            feed,
            stdout.read_to_end(&mut out),
            stderr.read_to_end(&mut err),
            child.wait()
        );
        read_out.and(read_err).and(status)
    };
    let ended = timeout(limit, all).await;
    let finished = |status| Finished {
        line: line.clone(),
        status,
        stdout: String::from_utf8_lossy(&out).into_owned(),
        stderr: String::from_utf8_lossy(&err).into_owned(),
    };
    match ended {
        Ok(status) => Ok(finished(status?)),
        Err(_) => bail!("still running after {limit:?}: {}", finished(ExitStatus::default())),
    }
}

/// The command as one would type it.
fn words(command: &Command) -> String {
    let command = command.as_std();
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    iter::once(program)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A program that has ended, with all it said.
#[derive(Debug, Clone)]
pub struct Finished {
    line: String,
    status: ExitStatus,
    /// What it wrote on standard output.
    pub stdout: String,
    /// What it wrote on standard error.
    pub stderr: String,
}

impl Finished {
    /// The exit code, or -1 where a signal ended it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// Itself, if its exit code was 0; otherwise an error with all it said.
    pub fn success(self) -> Result<Self> {
        self.exit(0)
    }

    /// Itself, if its exit code was `code`; otherwise an error with all it said.
    pub fn exit(self, code: i32) -> Result<Self> {
        ensure!(self.code() == code, "wanted exit code {code}: {self}");
        Ok(self)
    }

    /// The one JSON object on its standard output.
    pub fn json(&self) -> Result<Value> {
        let mut objects = self.json_lines()?;
        ensure!(objects.len() == 1, "wanted one JSON object: {self}");
        objects.pop().context("no object")
    }

    /// Its standard output, an object a line.
    pub fn json_lines(&self) -> Result<Vec<Value>> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {self}")))
            .collect()
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, status, stdout, stderr } = self;
        let end = status.signal().map_or_else(
            || format!("exit code {}", self.code()),
            |signal| format!("ended by signal {signal}"),
        );
        write!(f, "{line}\n({end})\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

/// A program that goes on, such as `tail` or `daemon`, whose standard output is JSON, an object a line.
#[derive(Debug)]
pub struct Running {
    line: String,
    log: PathBuf,
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Survives a [`next`](Self::next) that was dropped half-way.
    partial: Vec<u8>,
}

impl Running {
    /// Starts `command`, whose standard error is added to the file `log`.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let line = words(&command);
        let file = fs::File::options().append(true).create(true).open(log)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {line}"))?;
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?);
        Ok(Self { line, log: log.to_owned(), child, stdout, partial: Vec::new() })
    }

    /// Its process id, unless it has ended.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Its next object, or `None` after the last. A line that it did not finish does not count. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Value>> {
        self.stdout.read_until(b'\n', &mut self.partial).await?;
        if self.partial.pop() != Some(b'\n') {
            return Ok(None);
        }
        let line = std::mem::take(&mut self.partial);
        let object = serde_json::from_slice(&line).with_context(|| {
            format!("{} printed no JSON: {}", self.line, String::from_utf8_lossy(&line))
        })?;
        Ok(Some(object))
    }

    /// Its next object, which it must print within `limit`.
    pub async fn expect(&mut self, limit: Duration) -> Result<Value> {
        match timeout(limit, self.next()).await {
            Ok(Ok(Some(object))) => Ok(object),
            Ok(Ok(None)) => bail!("{} said nothing more\n{}", self.line, self.log_tail()),
            Ok(Err(error)) => Err(error),
            Err(_) => bail!("{} said nothing for {limit:?}\n{}", self.line, self.log_tail()),
        }
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Asks it to end by SIGTERM, and waits until it has.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        if let Some(id) = self.id() {
            // The shell's own `kill` is the only one that is everywhere, and forbidden `unsafe` rules out the call.
            Command::new("sh").args(["-c", &format!("kill -TERM {id}")]).status().await?;
        }
        self.wait(PATIENCE).await
    }

    /// Kills it by SIGKILL unless it has ended, and waits until it is gone. What it had written can still be read.
    pub async fn kill(&mut self) -> Result<()> {
        if !self.has_ended()? {
            self.child.kill().await?;
        }
        Ok(())
    }

    /// Waits until it has ended by itself.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        match timeout(limit, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!("{} still runs after {limit:?}\n{}", self.line, self.log_tail()),
        }
    }

    /// The end of what it wrote on standard error.
    #[must_use]
    pub fn log_tail(&self) -> String {
        log_tail(&self.log)
    }
}

/// The last lines of a log, for an error's message.
#[must_use]
pub fn log_tail(log: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<_> = text.lines().collect();
    let last = lines.len().saturating_sub(30);
    format!("--- {}\n{}", log.display(), lines.get(last..).unwrap_or_default().join("\n"))
}

//! `file`, and the files of `send`.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write as _},
    path::Path,
};

use super::Context;
use crate::{
    agent::verb::{FileEvent, FileGet},
    args::{FileVerb, MessageArgs},
    engine::Stream,
    error::{CommandError, Kind},
    render::size,
};

/// Gets a file.
pub(super) async fn file(context: &Context, verb: FileVerb) -> Result<(), CommandError> {
    let FileVerb::Get { message: MessageArgs { room, message }, output, force } = verb;
    let is_output = output == Path::new("-");
    let stream = is_output.then(|| Stream::new(&context.place)).transpose()?;
    let path = match &stream {
        Some(stream) => stream.path().to_owned(),
        None => std::path::absolute(&output)?,
    };
    let to = text_of(&path)?;
    let mut progress = Progress::new(context, "got");
    let saved = context
        .watch(FileGet { room, message, to, force }, |event| {
            progress.show(&event);
            Ok(())
        })
        .await;
    progress.end();
    let saved = saved?;
    if let Some(stream) = &stream {
        let mut source = File::open(stream.path())?;
        let mut output = io::stdout().lock();
        io::copy(&mut source, &mut output)?;
        return Ok(output.flush()?);
    }
    context.line(&saved, &[&saved.path, &size(saved.file.size_bytes)])
}

/// The agent may be another process: it is told of files by paths that are text and mean the same there.
fn text_of(path: &Path) -> Result<String, CommandError> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        let what = format!("{} is no UTF-8: the agent cannot be told of it", path.display());
        CommandError::new(Kind::Usage, what)
    })
}

/// Where a file that is sent comes from.
pub(super) struct Source {
    path: String,
    name: Option<String>,
    _stream: Option<Stream>,
}

impl Source {
    /// What the command line names; `-` is all of standard input.
    pub(super) fn of(context: &Context, path: &Path) -> Result<Self, CommandError> {
        if path != Path::new("-") {
            let path = text_of(&std::path::absolute(path)?)?;
            return Ok(Self { path, name: None, _stream: None });
        }
        let stream = Stream::of(&context.place, &mut io::stdin().lock())?;
        let path = text_of(stream.path())?;
        Ok(Self { path, name: Some("stdin".to_owned()), _stream: Some(stream) })
    }

    /// Its path, for the agent.
    pub(super) fn path(&self) -> String {
        self.path.clone()
    }

    /// What it is called, if not by its path.
    pub(super) fn name(&self) -> Option<String> {
        self.name.clone()
    }
}

/// Shows at a terminal how far a file has come, in one line.
pub(super) struct Progress {
    is_shown: bool,
    has_line: bool,
    verb: &'static str,
}

impl Progress {
    /// Nothing is shown to whoever wants quiet, and where there is no terminal.
    pub(super) fn new(context: &Context, verb: &'static str) -> Self {
        let is_shown = !context.global.quiet && io::stderr().is_terminal();
        Self { is_shown, has_line: false, verb }
    }

    /// Shows it.
    pub(super) fn show(&mut self, event: &FileEvent) {
        if self.is_shown && event.size_bytes > 0 {
            let (have, all) = (size(event.have_bytes), size(event.size_bytes));
            eprint!("\r\x1b[K{have} of {all} {}", self.verb);
            self.has_line = true;
        }
    }

    /// Takes the line away.
    pub(super) fn end(&mut self) {
        if std::mem::take(&mut self.has_line) {
            eprint!("\r\x1b[K");
        }
    }
}

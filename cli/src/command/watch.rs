//! `tail`: everything that arrives, each message once, from where the cursor file says.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Context, message::message_line};
use crate::{
    agent::{Asked, verb::Tail},
    args::TailArgs,
    config,
    error::{CommandError, Kind},
};

/// What a cursor file holds.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    v: u32,
    /// Whose store it counts in: a cursor of another device means nothing here.
    device: String,
    /// The last message that was written out.
    after: u64,
}

/// Follows messages until told to end.
pub(super) async fn tail(context: &Context, args: TailArgs) -> Result<(), CommandError> {
    let mut access = context.access().await?;
    let device = access.ask(crate::agent::verb::Whoami {}, |_| Ok(())).await?.device;
    let file = args.cursor_file.map(|path| CursorFile { path, device });
    let known = file.as_ref().map(CursorFile::read).transpose()?.flatten();
    // A new file has told nothing yet: it begins with everything that is stored.
    let mut after = known.or((file.is_some() && args.since.is_none()).then_some(0));
    let since_ms = args.since.map(|span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX));
    let outcome = tokio::select! {
        outcome = async {
            loop {
                let order = Tail { with: args.with.clone(), after, since_ms, once: args.once };
                let told = access.ask_once(order, |message| {
                    message_line(context, &message)?;
                    // Only now has it been told: a reader that dies before this gets the line again rather than never.
                    if let Some(file) = &file {
                        file.write(message.cursor)?;
                    }
                    after = Some(message.cursor);
                    Ok(())
                }).await;
                match told {
                    Asked::Answered(outcome) => return outcome.map(|_| ()),
                    // The agent is gone; another process owns the profile now, or this one does.
                    Asked::Gone => access.reopen().await?,
                }
            }
        } => outcome,
        () = super::agent::told_to_end() => Ok(()),
    };
    access.close().await;
    outcome
}

#[derive(Debug)]
struct CursorFile {
    path: PathBuf,
    device: String,
}

impl CursorFile {
    fn read(&self) -> Result<Option<u64>, CommandError> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unusable(&error.to_string())),
        };
        if text.trim().is_empty() {
            return Ok(None);
        }
        let cursor: Cursor =
            serde_json::from_str(&text).map_err(|_| self.unusable("it is no cursor file"))?;
        if cursor.v != 1 || cursor.device != self.device {
            return Err(self.unusable("it was written for another device"));
        }
        Ok(Some(cursor.after))
    }

    fn write(&self, after: u64) -> Result<(), CommandError> {
        let cursor = Cursor { v: 1, device: self.device.clone(), after };
        let text = serde_json::to_string(&cursor)
            .map_err(|error| CommandError::of(Kind::Failed, &error))?;
        config::replace(&self.path, text.as_bytes())
            .map_err(|error| self.unusable(&error.to_string()))
    }

    fn unusable(&self, why: &str) -> CommandError {
        let path: &Path = &self.path;
        CommandError::new(
            Kind::Failed,
            format!("the cursor file {} cannot be used: {why}", path.display()),
        )
        .hint("name another file, or take this one away to begin from the beginning")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_another_device_s_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cursor");
        let file = CursorFile { path: path.clone(), device: "one".to_owned() };
        assert_eq!(file.read().unwrap(), None);
        file.write(7).unwrap();
        assert_eq!(file.read().unwrap(), Some(7));
        assert!(CursorFile { path, device: "two".to_owned() }.read().is_err());
    }
}

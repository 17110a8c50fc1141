//! Files that go with messages.

use std::{future::Future, path::PathBuf, pin::pin};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Call, Verb};
use crate::{
    e2ee::file::Attachment,
    engine::{Reporter, SaveOrder, Target},
    error::{CommandError, Kind},
    render,
};

/// The file that goes with a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct FileLine {
    /// What its sender calls it.
    pub name: String,
    /// What its sender says that it is, such as `image/png`; may be empty.
    pub media_type: String,
    /// How large it is, in bytes.
    pub size_bytes: u64,
    /// How much of it is at the home, in percent, while it is on its way there from this device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_percent: Option<u8>,
}

impl FileLine {
    /// The line for a file, of whose bytes so many are where they shall be.
    #[must_use]
    pub fn new(attachment: &Attachment, sent: Option<(u64, u64)>) -> Self {
        Self {
            name: attachment.name.clone(),
            media_type: attachment.media_type.clone(),
            size_bytes: attachment.size,
            sent_percent: percent(sent),
        }
    }
}

impl FileLine {
    /// It in words: `[file] notes.txt 48 KiB`.
    #[must_use]
    pub fn words(&self) -> String {
        format!("[file] {} {}", render::field(&self.name), render::size(self.size_bytes))
    }
}

/// Of how many how many, in percent.
#[must_use]
pub fn percent(sent: Option<(u64, u64)>) -> Option<u8> {
    let (have, size) = sent?;
    u8::try_from(have.min(size).saturating_mul(100).checked_div(size)?).ok()
}

/// How far a file has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileEvent {
    /// So many bytes, sealed.
    pub have_bytes: u64,
    /// Of so many.
    pub size_bytes: u64,
}

/// Gets the file of a message.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileGet {
    /// In which conversation: `@bob`, `bob@nest.example`, `club#general` or `+weekend`.
    pub room: String,
    /// With which message, by its id.
    pub message: String,
    /// Where to write it, on the agent's machine: a folder, under the file's own name or one like it that is free, or a path.
    pub to: String,
    /// Write over what is there.
    #[serde(default)]
    pub force: bool,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SavedLine {
    /// The version of this object: 1.
    pub v: u32,
    /// Where it was written.
    pub path: String,
    /// What it is.
    #[serde(flatten)]
    pub file: FileLine,
}

impl Verb for FileGet {
    const METHOD: &'static str = "file.get";
    const ABOUT: &'static str = "Gets the file of a message, checks it, and writes it.";
    type Reply = SavedLine;
    type Event = FileEvent;

    async fn run(self, call: Call) -> Result<SavedLine, CommandError> {
        let path = absolute(&self.to)?;
        let target = match (path.is_dir(), self.force) {
            (true, _) => Target::Folder(path),
            (false, true) => Target::Over(path),
            (false, false) => Target::New(path),
        };
        let order = SaveOrder { room: self.room, message: self.message, target };
        let (tell, told) = Reporter::new();
        let saved =
            Box::pin(tell_progress(&call, told, call.engine.save_file(order, &tell))).await?;
        let path = saved.path.to_string_lossy().into_owned();
        Ok(SavedLine { v: 1, path, file: FileLine::new(&saved.attachment, None) })
    }
}

/// A path that means the same wherever the agent runs.
pub(super) fn absolute(path: &str) -> Result<PathBuf, CommandError> {
    let path = PathBuf::from(path);
    if path.is_absolute() {
        return Ok(path);
    }
    let what = format!("{} is no absolute path: the agent runs elsewhere", path.display());
    Err(CommandError::new(Kind::Usage, what))
}

/// Does `work`, and tells the caller meanwhile how far it has come.
pub(super) async fn tell_progress<T>(
    call: &Call,
    mut told: watch::Receiver<(u64, u64)>,
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            Ok(()) = told.changed() => {
                let (have_bytes, size_bytes) = *told.borrow_and_update();
                call.event(&FileEvent { have_bytes, size_bytes }).await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_a_hundred_at_most_and_nothing_of_nothing() {
        assert_eq!(percent(Some((1, 3))), Some(33));
        assert_eq!(percent(Some((9, 3))), Some(100));
        assert_eq!(percent(Some((0, 0))), None);
        assert_eq!(percent(None), None);
    }
}

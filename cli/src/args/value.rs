//! Values that people type.

use std::{
    fmt,
    io::{IsTerminal as _, Read as _},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use zeroize::Zeroizing;

use crate::error::{CommandError, Kind};

/// A length of time: a number and `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

/// Text that is no length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time is a number and ms, s, m, h or d, such as 30s")]
pub struct NotASpan;

impl FromStr for Span {
    type Err = NotASpan;
    fn from_str(text: &str) -> Result<Self, NotASpan> {
        let split = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let number: u64 = number.parse().map_err(|_| NotASpan)?;
        let milliseconds = match unit {
            "ms" => 1,
            "s" | "" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(NotASpan),
        };
        number
            .checked_mul(milliseconds)
            .map(|total| Self(Duration::from_millis(total)))
            .ok_or(NotASpan)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}ms", self.0.as_millis())
    }
}

/// A time of so many seconds in its largest whole unit.
pub(crate) fn short(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// How long something stays: `off` for ever, or a whole number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry(pub Option<Duration>);

impl FromStr for Expiry {
    type Err = NotASpan;
    fn from_str(text: &str) -> Result<Self, NotASpan> {
        if text == "off" {
            return Ok(Self(None));
        }
        let Span(time) = text.parse()?;
        if time.as_secs() == 0 { Err(NotASpan) } else { Ok(Self(Some(time))) }
    }
}

/// Where a message's text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextSource {
    /// The command line.
    Given(String),
    /// All of standard input.
    Input,
    /// What is written with this editor.
    Editor(String),
}

impl TextSource {
    /// What the command line says: `-` means standard input, and so does nothing, but at a terminal, where that is the editor.
    pub fn of(text: Option<String>) -> Result<Self, CommandError> {
        match text {
            Some(text) if text == "-" => Ok(Self::Input),
            Some(text) => Ok(Self::Given(text)),
            None if std::io::stdin().is_terminal() => match editor() {
                Some(editor) => Ok(Self::Editor(editor)),
                None => Err(CommandError::new(Kind::Usage, "no text was given").hint(
                    "give it as an argument, through a pipe, by an editor that $VISUAL or $EDITOR names, or type `-` to write it here",
                )),
            },
            None => Ok(Self::Input),
        }
    }

    /// The text. One line end at the end of input is the shell's, not the message's. An editor's file is made in `directory`, and removed.
    pub fn read(self, directory: &Path) -> Result<String, CommandError> {
        match self {
            Self::Given(text) => Ok(text),
            Self::Editor(editor) => edit(&editor, directory),
            Self::Input => {
                let mut text = String::new();
                std::io::stdin().lock().take(MAX_INPUT).read_to_string(&mut text)?;
                if text.ends_with('\n') {
                    text.pop();
                }
                Ok(text)
            }
        }
    }
}

/// The editor that this user wants; the one for whole screens before the other.
pub(crate) fn editor() -> Option<String> {
    ["VISUAL", "EDITOR"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|editor| !editor.trim().is_empty())
}

/// A file that nobody else can read, and that is gone when this is.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

/// Lets somebody write a message with `editor`.
fn edit(editor: &str, directory: &Path) -> Result<String, CommandError> {
    let Written { text, is_good } = edit_text(editor, directory, "")?;
    if !is_good {
        let what = format!("the editor {editor:?} failed; nothing was sent");
        return Err(CommandError::new(Kind::Failed, what));
    }
    if text.trim().is_empty() {
        return Err(CommandError::new(Kind::Usage, "the message is empty; nothing was sent"));
    }
    Ok(text)
}

/// What an editor has left.
pub(crate) struct Written {
    /// The text.
    pub text: String,
    /// Whether the editor has ended well: else the text may not be what was wanted.
    pub is_good: bool,
}

/// Lets somebody change a text with `editor`, which may have arguments of its own.
pub(crate) fn edit_text(
    editor: &str,
    directory: &Path,
    text: &str,
) -> Result<Written, CommandError> {
    let draft = Draft(directory.join(format!("message-{}.txt", uuid::Uuid::new_v4().simple())));
    crate::config::write_private(&draft.0, text.as_bytes())?;
    // As git and others do it: the shell takes the command apart, and the file's name is not for it to read.
    let status = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!("{editor} \"$@\""))
        .arg(editor)
        .arg(&draft.0)
        .status()?;
    let mut text = String::new();
    std::fs::File::open(&draft.0)?.take(MAX_INPUT).read_to_string(&mut text)?;
    text.truncate(text.trim_end_matches('\n').len());
    Ok(Written { text, is_good: status.success() })
}

/// More than a message may have; the rest need not be read to say so.
const MAX_INPUT: u64 = 1024 * 1024;

/// The first line of a file that holds a secret, without its line end. `-` is standard input.
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<String>, CommandError> {
    let unreadable = |error: std::io::Error| {
        CommandError::new(Kind::Failed, format!("{} cannot be read: {error}", path.display()))
    };
    let text = if path == Path::new("-") {
        let mut text = Zeroizing::new(String::new());
        std::io::stdin().lock().take(MAX_INPUT).read_to_string(&mut text).map_err(unreadable)?;
        text
    } else {
        Zeroizing::new(std::fs::read_to_string(path).map_err(unreadable)?)
    };
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

/// Asks for a secret at the terminal; never when nobody is there.
pub(crate) fn ask_secret(prompt: &str, instead: &str) -> Result<Zeroizing<String>, CommandError> {
    if !std::io::stdin().is_terminal() {
        return Err(CommandError::new(
            Kind::Usage,
            format!("{prompt} is needed, and nobody is at a terminal to be asked"),
        )
        .hint(instead));
    }
    Ok(Zeroizing::new(rpassword::prompt_password(format!("{prompt}: "))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_with_their_units() {
        for (text, seconds) in [("30s", 30), ("2m", 120), ("1h", 3_600), ("1d", 86_400), ("5", 5)] {
            assert_eq!(text.parse::<Span>().unwrap().0, Duration::from_secs(seconds), "{text}");
        }
        assert_eq!("250ms".parse::<Span>().unwrap().0, Duration::from_millis(250));
        for bad in ["", "s", "-1s", "1w", "1.5h", "99999999999999999999d", "18446744073709551615d"]
        {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_stays_for_ever_is_off_and_less_than_a_second_is_nothing() {
        assert_eq!("off".parse(), Ok(Expiry(None)));
        assert_eq!("8h".parse(), Ok(Expiry(Some(Duration::from_hours(8)))));
        for bad in ["", "on", "0s", "999ms", "-1h"] {
            assert_eq!(bad.parse::<Expiry>(), Err(NotASpan), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_the_first_line_without_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        std::fs::write(&path, "correct horse \r\nsecond\n").unwrap();
        assert_eq!(read_secret(&path).unwrap().as_str(), "correct horse ");
    }
}

//! Lines for a terminal or a pipe: other people's text made harmless, and nothing lost when the reader goes away.
//!
//! What somebody else wrote must not drive this terminal. Every control character is taken out where it enters a line: C0 and C1 with
//! escape among them, and the marks that turn the direction of text around, by which a name can be made to look like another. JSON needs
//! none of this for its own sake, since it escapes C0, but C1 and direction marks would pass through it onto a screen: they are escaped too.

use std::io::{self, Write};

use serde::Serialize;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Tab-separated lines.
    Text,
    /// One JSON object a line.
    Json,
}

/// Whether `character` could change how a terminal shows what is around it.
#[must_use]
pub fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200e}' | '\u{200f}' | '\u{061c}' // single marks
            | '\u{202a}'..='\u{202e}' // embeddings and overrides
            | '\u{2066}'..='\u{2069}' // isolates
            | '\u{2028}' | '\u{2029}' // line and paragraph separators
            | '\u{fff9}'..='\u{fffb}' // interlinear annotation
            | '\u{e0000}'..='\u{e007f}') // invisible tags
}

/// `text` as one harmless field: unsafe characters are taken out, line ends and tabs become spaces.
#[must_use]
pub fn field(text: &str) -> String {
    text.chars()
        .filter_map(|character| match character {
            '\n' | '\t' => Some(' '),
            other if is_unsafe(other) => None,
            other => Some(other),
        })
        .collect()
}

/// `text` as harmless lines: line ends stay, tabs become spaces.
#[must_use]
pub fn lines(text: &str) -> String {
    text.split('\n').map(field).collect::<Vec<_>>().join("\n")
}

/// A number of bytes in the largest unit that it reaches, of 1,024 each: `48 KiB`, `1.5 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    let mut rest = bytes;
    let mut unit = "B";
    let mut tenths = 0;
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if rest < 1_024 {
            break;
        }
        tenths = rest.wrapping_rem(1_024).saturating_mul(10) / 1_024;
        rest /= 1_024;
        unit = next;
    }
    if rest < 10 && tenths > 0 {
        format!("{rest}.{tenths} {unit}")
    } else {
        format!("{rest} {unit}")
    }
}

/// `value` as one line of JSON in ASCII where it has to be: unsafe characters outside C0 become escapes.
pub fn json(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string(value)?;
    if !text.chars().any(is_unsafe) {
        return Ok(text);
    }
    let mut safe = String::with_capacity(text.len().saturating_add(16));
    for character in text.chars() {
        if is_unsafe(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                use std::fmt::Write as _;
                // Writing to a string cannot fail.
                write!(safe, "\\u{unit:04x}").ok();
            }
        } else {
            safe.push(character);
        }
    }
    Ok(safe)
}

/// Where results go. A reader that goes away ends the process quietly, as SIGPIPE would.
#[derive(Debug)]
pub struct Output {
    format: Format,
}

impl Output {
    /// Writes as `format` says.
    #[must_use]
    pub const fn new(format: Format) -> Self {
        Self { format }
    }

    /// Whether JSON is wanted.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        matches!(self.format, Format::Json)
    }

    /// Writes one result: `value` as JSON, or `fields` between tabs. The line is flushed before this returns.
    pub fn line(&self, value: &impl Serialize, fields: &[&str]) -> io::Result<()> {
        let line = match self.format {
            Format::Json => json(value).map_err(io::Error::other)?,
            Format::Text => fields.iter().map(|text| field(text)).collect::<Vec<_>>().join("\t"),
        };
        write_line(&line)
    }
}

/// Writes a line to standard output and flushes it.
pub fn write_line(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let written = out
        .write_all(line.as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(141),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_and_direction_marks_do_not_pass() {
        assert_eq!(field("a\u{1b}[31mred\u{9b}2J\u{7}\u{202e}b\tc\r\nd"), "a[31mred2Jb c d");
        assert_eq!(lines("one\n\u{1b}]0;title\u{7}two"), "one\n]0;titletwo");
    }

    #[test]
    fn a_size_is_told_in_two_figures_at_least() {
        for (bytes, told) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1 KiB"),
            (49_152, "48 KiB"),
            (1_572_864, "1.5 MiB"),
            (u64::MAX, "16777215 TiB"),
        ] {
            assert_eq!(size(bytes), told);
        }
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({"text": "a\u{9b}\u{202e}\u{e0041}\n"});
        let text = json(&value).unwrap();
        assert!(!text.chars().any(is_unsafe), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    proptest! {
        #[test]
        fn nothing_unsafe_ever_comes_out(text in any::<String>()) {
            prop_assert!(!field(&text).chars().any(is_unsafe));
            prop_assert!(lines(&text).chars().all(|character| character == '\n' || !is_unsafe(character)));
            let round: String = serde_json::from_str(&json(&text).unwrap()).unwrap();
            prop_assert_eq!(round, text);
        }
    }
}

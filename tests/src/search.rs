//! Looking for words where they must not be.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use data_encoding::{BASE64, HEXLOWER};

/// What to look for, by its first four bytes, so that one pass over a file finds any of thousands.
#[derive(Debug, Default)]
pub struct Search {
    needles: HashMap<[u8; 4], Vec<Needle>>,
}

/// One way in which a word may stand in a file.
#[derive(Debug)]
pub struct Needle {
    /// The word.
    pub word: String,
    /// How it is dressed.
    pub form: &'static str,
    bytes: Vec<u8>,
}

impl Search {
    /// A search for each of `words`, of at least four bytes, in every form.
    pub fn for_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut search = Self::default();
        for word in words {
            for (form, bytes) in forms(word) {
                if let Some(start) = bytes.first_chunk() {
                    let needle = Needle { word: word.to_owned(), form, bytes: bytes.clone() };
                    search.needles.entry(*start).or_default().push(needle);
                }
            }
        }
        search
    }

    /// What of it stands first in `content`.
    #[must_use]
    pub fn first_in(&self, content: &[u8]) -> Option<&Needle> {
        (0..content.len()).filter_map(|at| content.get(at..)).find_map(|rest| {
            let needles = self.needles.get(rest.first_chunk::<4>()?)?;
            needles.iter().find(|needle| rest.starts_with(&needle.bytes))
        })
    }
}

/// A word as it is, and as careless code might have dressed it.
fn forms(word: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = word.as_bytes();
    let mut forms = vec![
        ("text", bytes.to_vec()),
        ("upper case", word.to_uppercase().into_bytes()),
        ("hexadecimal", HEXLOWER.encode(bytes).into_bytes()),
        ("UTF-16", word.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("a list of numbers", format!("{bytes:?}").trim_matches(['[', ']']).into()),
    ];
    forms.extend((0..3).map(|before| ("base64", base64_after(before, bytes))));
    forms
}

/// What stands in the base64 of any text that has `bytes` after `before` others: the letters that depend on neither neighbour.
fn base64_after(before: usize, bytes: &[u8]) -> Vec<u8> {
    let text = [&vec![0; before], bytes].concat();
    let letters = BASE64.encode(&text).into_bytes();
    let foreign = [0, 2, 3].get(before).copied().unwrap_or_default();
    // The last letter that stands for bits of `bytes` alone: six bits a letter, eight a byte.
    let whole = text.len().saturating_mul(8) / 6;
    letters.get(foreign..whole).unwrap_or_default().to_vec()
}

/// Every file below `directory`.
pub fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_finds_a_word_however_it_is_dressed() {
        let search = Search::for_words(["xylophones"]);
        for content in [
            "a xylophones b",
            "XYLOPHONES",
            "[1, 120, 121, 108, 111, 112, 104, 111, 110, 101, 115, 7]",
            "x\0y\0l\0o\0p\0h\0o\0n\0e\0s\0",
            &HEXLOWER.encode(b"a xylophones b"),
            &BASE64.encode(b"xylophones b"),
            &BASE64.encode(b"a xylophones b"),
            &BASE64.encode(b"ab xylophones b"),
        ] {
            assert!(search.first_in(content.as_bytes()).is_some(), "not found in {content}");
        }
        assert!(search.first_in(b"a xylophone").is_none());
    }

    #[test]
    fn no_form_is_so_short_that_it_stands_in_random_letters_by_chance() {
        assert!(forms("ledges").iter().all(|(_, bytes)| bytes.len() >= 6), "{:?}", forms("ledges"));
        assert_eq!(forms("ledges").iter().filter(|(form, _)| *form == "base64").count(), 3);
    }
}

//! Where paths begin that somebody types.

use std::path::{Path, PathBuf};

/// Where this program was started, and its user's own folder.
#[derive(Clone, Debug)]
pub struct Folders {
    /// Where it was started.
    pub here: PathBuf,
    /// What `~` stands for.
    pub home: Option<PathBuf>,
}

impl Default for Folders {
    fn default() -> Self {
        Self { here: PathBuf::from("/"), home: None }
    }
}

impl Folders {
    /// Those of this process.
    #[must_use]
    pub fn find() -> Self {
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let here = std::env::current_dir().ok().or_else(|| home.clone());
        Self { here: here.unwrap_or_else(|| PathBuf::from("/")), home }
    }

    /// The path that somebody has typed, or that a terminal has put where a file was dropped: quoted, or with backslashes before spaces.
    #[must_use]
    pub fn absolute(&self, typed: &str) -> PathBuf {
        let typed = unquoted(typed.trim());
        let in_home = if typed == "~" { Some("") } else { typed.strip_prefix("~/") };
        match (in_home, &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => self.here.join(Path::new(&typed)),
        }
    }
}

/// As a shell would read one word.
fn unquoted(typed: &str) -> String {
    for quote in ['\'', '"'] {
        let inner = typed.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner.to_owned();
        }
    }
    let mut plain = String::with_capacity(typed.len());
    let mut letters = typed.chars();
    while let Some(letter) = letters.next() {
        plain.push(if letter == '\\' { letters.next().unwrap_or(letter) } else { letter });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_where_the_program_was_started_or_at_home() {
        let folders = Folders { here: "/srv/logs".into(), home: Some("/home/ada".into()) };
        for (typed, wanted) in [
            ("", "/srv/logs/"),
            ("a b.txt", "/srv/logs/a b.txt"),
            ("/etc/hosts", "/etc/hosts"),
            ("~/notes.md", "/home/ada/notes.md"),
            ("~", "/home/ada"),
            ("~bob/x", "/srv/logs/~bob/x"),
            ("'/tmp/it is here'", "/tmp/it is here"),
            ("/tmp/it\\ is\\ here", "/tmp/it is here"),
        ] {
            assert_eq!(folders.absolute(typed), Path::new(wanted), "{typed}");
        }
        let homeless = Folders { home: None, ..folders };
        assert_eq!(homeless.absolute("~/x"), Path::new("/srv/logs/~/x"));
    }
}

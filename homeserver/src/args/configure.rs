//! The configuration: checked, shown, explained, and written up for the manual.

use std::fmt::Write as _;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Cli,
    output::{Failed, Kind, Report},
};
use crate::config::{KEYS, Key};

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Say whether the configuration is valid
    Check,
    /// Show every setting, its value and where that comes from
    Show,
    /// Explain one setting
    Explain {
        /// Which, such as server.listen
        key: String,
    },
}

/// Checks, shows and explains.
pub(super) fn configure(cli: &Cli, verb: &Config) -> Result<Report, Failed> {
    let loaded = cli.load()?;
    let describe = |key: &'static Key| {
        let (value, source) = loaded.explain(key);
        json!({
            "key": key.name,
            "value": value,
            "source": source.to_string(),
            "default": key.default,
            "environment": key.environment(),
            "doc": key.doc,
        })
    };
    match verb {
        Config::Check => Ok(Report::new(json!({ "valid": true }), "the configuration is valid")),
        Config::Show => {
            let line = |key: &'static Key| {
                let (value, source) = loaded.explain(key);
                format!("{} = {value:?}  # {source}", key.name)
            };
            let lines: Vec<String> = KEYS.iter().map(line).collect();
            let settings: Vec<Value> = KEYS.iter().map(describe).collect();
            Ok(Report::new(json!({ "settings": settings }), lines.join("\n")))
        }
        Config::Explain { key } => {
            let found = Key::find(key).ok_or_else(|| {
                Failed::new(Kind::NotFound, format!("there is no setting {key:?}"))
                    .hint("`rookeryd config show` lists them all")
            })?;
            let (value, source) = loaded.explain(found);
            let text = format!(
                "{} = {value:?} ({source})\n\n{}\n\ndefault {:?}; environment {}",
                found.name,
                found.doc,
                found.default,
                found.environment()
            );
            Ok(Report::new(describe(found), text))
        }
    }
}

/// A documented `rookeryd.toml` with every setting at its default: the body of its manual page.
#[must_use]
pub fn manual() -> String {
    let mut text = String::from(
        "# Every setting with its default. Lines that begin with # are as if they were not there.\n",
    );
    let mut former = "";
    for key in KEYS {
        let (section, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if section != former {
            let _ = write!(text, "\n[{section}]\n");
            former = section;
        }
        let _ = write!(text, "\n# {}\n# {name} = {:?}\n", key.doc, key.default);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_names_every_setting_and_is_a_valid_file() {
        let text = manual();
        assert!(text.parse::<toml::Table>().is_ok());
        let set: String = text
            .lines()
            .map(|line| {
                line.strip_prefix("# ").filter(|line| line.contains(" = \"")).unwrap_or(line)
            })
            .collect::<Vec<_>>()
            .join("\n");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rookeryd.toml");
        std::fs::write(&file, set).unwrap();
        crate::config::Loaded::default().read_file(&file, "").unwrap();
        assert!(KEYS.iter().all(|key| text.contains(key.doc)));
    }
}

//! A user's file of keys as it is written.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    #[serde(default)]
    pub(super) key: Vec<toml::Spanned<RawKey>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKey {
    pub(super) on: String,
    pub(super) run: String,
    #[serde(default, rename = "in")]
    pub(super) place: Option<RawPlace>,
    #[serde(default, rename = "desc")]
    pub(super) _desc: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawPlace {
    Everywhere,
    Selecting,
    Writing,
    Vim,
}

//! Where a link leads, and whether its text says otherwise.

use std::sync::Arc;

use crate::render::field;

/// A link that is being read.
pub(super) struct Destination {
    url: Arc<str>,
    text: String,
    depth: usize,
}

impl Destination {
    pub(super) fn new(url: &str) -> Self {
        Self { url: field(url).into(), text: String::new(), depth: 0 }
    }

    pub(super) const fn enter(&mut self) {
        self.depth = self.depth.saturating_add(1);
    }

    /// Says whether this was the outermost.
    pub(super) const fn leave(&mut self) -> bool {
        self.depth = self.depth.saturating_sub(1);
        self.depth == 0
    }

    /// Notes that the link shows `text`.
    pub(super) fn note(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Where it leads, if that is a place on the web or an address for mail: nothing else is ever opened.
    pub(super) fn target(&self) -> Option<Arc<str>> {
        let scheme = self.url.split_once(':')?.0.to_ascii_lowercase();
        matches!(scheme.as_str(), "http" | "https" | "mailto").then(|| Arc::clone(&self.url))
    }

    /// What has to stand beside the text: the link itself, where the text looks like another or nothing opens it.
    pub(super) fn to_show(&self) -> Option<&str> {
        let text = self.text.trim();
        let honest = bare(text) == bare(&self.url);
        let claims =
            text.is_empty() || text.contains("://") || text.split_whitespace().any(is_host);
        (!self.url.is_empty() && !honest && (claims || self.target().is_none()))
            .then_some(&*self.url)
    }
}

/// A link without what may be left out when it is written down.
fn bare(url: &str) -> String {
    let url = url.to_lowercase();
    let schemes = ["https://", "http://", "mailto:"];
    let rest = schemes.iter().find_map(|scheme| url.strip_prefix(scheme)).unwrap_or(&url);
    rest.trim_end_matches('/').to_owned()
}

/// Whether somebody could take `word` for a host's name, with whatever stands around it.
fn is_host(word: &str) -> bool {
    // Other full stops, which look like the one of names.
    let word = word.replace(['\u{2024}', '\u{3002}', '\u{ff0e}', '\u{ff61}'], ".");
    let word = word.trim_matches(|edge: char| !edge.is_alphanumeric());
    let host = word.split(['/', '?', '#', ':']).next().unwrap_or_default();
    host.rsplit_once('.').is_some_and(|(rest, top)| {
        !rest.is_empty() && top.chars().count() > 1 && top.chars().all(char::is_alphabetic)
    })
}

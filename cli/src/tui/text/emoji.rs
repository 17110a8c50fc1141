//! Emoji by name, and names for emoji: for people who type them, and for terminals that cannot show them.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;

/// How many names [`complete`] offers.
pub const OFFERED: usize = 20;

/// No name is longer; what lies between two colons further apart is text.
const LONGEST: usize = 64;

/// `text` with every `:name:` that is an emoji's as that emoji.
#[must_use]
pub fn expand(text: &str) -> Cow<'_, str> {
    let mut expanded = String::new();
    let mut rest = text;
    let mut done = "";
    while let Some((before, behind)) = rest.split_once(':') {
        let name = behind.get(..behind.floor_char_boundary(LONGEST)).unwrap_or(behind);
        let found = name.split_once(':').and_then(|(name, _)| {
            let glyph = emojis::get_by_shortcode(name)?.as_str();
            Some((glyph, behind.get(name.len().saturating_add(1)..)?))
        });
        expanded.push_str(before);
        if let Some((glyph, behind)) = found {
            expanded.push_str(glyph);
            (rest, done) = (behind, glyph);
        } else {
            expanded.push(':');
            rest = behind;
        }
    }
    if done.is_empty() {
        return Cow::Borrowed(text);
    }
    expanded.push_str(rest);
    Cow::Owned(expanded)
}

/// `text` with every emoji as its `:name:`, for terminals that show emoji badly.
#[must_use]
pub fn spell(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let spelt = text.graphemes(true).map(|cluster| match emojis::get(cluster) {
        Some(emoji) if !cluster.is_ascii() => Cow::Owned(match emoji.shortcode() {
            Some(name) => format!(":{name}:"),
            // Skin tones and the like have no short name of their own.
            None => format!(":{}:", emoji.name().replace(' ', "_")),
        }),
        _ => Cow::Borrowed(cluster),
    });
    Cow::Owned(spelt.collect())
}

/// The short name of an emoji.
#[must_use]
pub fn name_of(glyph: &str) -> Option<&'static str> {
    emojis::get(glyph)?.shortcode()
}

/// Names that begin with or hold `prefix`, each with its emoji: best first, [`OFFERED`] at most.
#[must_use]
pub fn complete(prefix: &str) -> Vec<(&'static str, &'static str)> {
    let prefix = prefix.to_lowercase();
    let mut found: Vec<_> = emojis::iter()
        .flat_map(|emoji| emoji.shortcodes().map(move |name| (name, emoji.as_str())))
        .filter_map(|(name, glyph)| rank(name, &prefix).map(|rank| (rank, name.len(), name, glyph)))
        .collect();
    found.sort_unstable();
    found.dedup_by_key(|(.., glyph)| *glyph);
    found.into_iter().take(OFFERED).map(|(.., name, glyph)| (name, glyph)).collect()
}

/// How well `name` answers `prefix`: whole, at its start, at the start of one of its words, anywhere.
fn rank(name: &str, prefix: &str) -> Option<u8> {
    let at = name.find(prefix)?;
    Some(match at {
        0 if name.len() == prefix.len() => 0,
        0 => 1,
        _ if name.split('_').any(|word| word.starts_with(prefix)) => 2,
        _ => 3,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_becomes_its_emoji_and_what_is_none_stays() {
        let cases = [
            ("ship it :rocket:!", "ship it 🚀!"),
            (":+1::tada:", "👍🎉"),
            ("at 10:30:15", "at 10:30:15"),
            (":nosuchthing: :rocket:", ":nosuchthing: 🚀"),
            ("a::b", "a::b"),
            ("", ""),
        ];
        for (text, expanded) in cases {
            assert_eq!(expand(text), expanded);
        }
    }

    #[test]
    fn an_emoji_has_its_name() {
        assert_eq!(name_of("🚀"), Some("rocket"));
        assert_eq!(name_of("x"), None);
        assert_eq!(spell("go 🚀 日本 1"), "go :rocket: 日本 1");
        assert!(spell("👍🏽").is_ascii());
    }

    #[test]
    fn the_best_names_come_first_and_are_few() {
        let names: Vec<_> = complete("rocket").into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.first(), Some(&"rocket"));
        assert!(complete("he").iter().all(|(name, _)| name.contains("he")));
        assert!(complete("he").first().unwrap().0.starts_with("he"));
        assert_eq!(complete("a").len(), OFFERED);
        assert!(complete("nosuchthing").is_empty());
    }

    proptest! {
        #[test]
        fn what_is_offered_expands(prefix in "[a-z]{1,3}") {
            for (name, glyph) in complete(&prefix) {
                let text = format!(":{name}:");
                prop_assert_eq!(expand(&text), glyph);
            }
        }

        #[test]
        fn no_text_is_lost(text in "[a-z: 日]{0,40}") {
            prop_assert!(expand(&text).chars().count() <= text.chars().count());
        }
    }
}

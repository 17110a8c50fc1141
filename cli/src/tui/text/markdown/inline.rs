//! What is found in plain text: links, mentions, channels, spoilers and emoji.
//!
//! One pass from left to right; what begins nothing is passed over for good, so a line costs what it is long.

use std::borrow::Cow;

use super::{EmojiStyle, Reading, Spoilers};
use crate::{
    render::field,
    tui::{
        text::{Piece, TextLine, emoji},
        theme::Role,
    },
};

/// What stands for a spoiler that is covered.
pub(super) const COVER: &str = "(spoiler)";

/// `line` in parts; what is nothing special has `role`.
pub(super) fn parts(line: &str, role: Role, reading: &Reading) -> Vec<Piece> {
    let mut parts = TextLine::default();
    let mut rest = line;
    while let Some((before, inside, behind)) = spoiler(rest) {
        scan(before, role, reading, &mut parts);
        match reading.spoilers {
            Spoilers::Covered => parts.push(COVER, Role::Spoiler, None),
            Spoilers::Open => parts.push(&emoji(inside, reading.emoji), Role::Spoiler, None),
        }
        rest = behind;
    }
    scan(rest, role, reading, &mut parts);
    parts.pieces
}

/// `text` with its emoji as the reader wants them.
pub(super) fn emoji(text: &str, style: EmojiStyle) -> Cow<'_, str> {
    match style {
        EmojiStyle::Glyphs => emoji::expand(text),
        EmojiStyle::Names => emoji::spell(text),
    }
}

/// The first `||spoiler||`: what is before, inside and behind it. A spoiler has no space at its edges, so that code such as `a || b` is none.
fn spoiler(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0_usize;
    loop {
        let start = text.get(from..)?.find("||")?.saturating_add(from);
        let open = start.saturating_add(2);
        let tail = text.get(open..)?;
        let length = tail.find("||")?;
        let (inside, behind) = tail.split_at_checked(length)?;
        if !inside.is_empty() && inside.trim().len() == inside.len() {
            return Some((text.get(..start)?, inside, behind.get(2..)?));
        }
        from = open;
    }
}

/// Adds the links, mentions and channels of `text`, and what is between them.
fn scan(text: &str, role: Role, reading: &Reading, parts: &mut TextLine) {
    let mut plain_from = 0_usize;
    let mut skip_to = 0_usize;
    let mut before: Option<char> = None;
    for (at, character) in text.char_indices() {
        let begins = before.is_none_or(|before| !before.is_alphanumeric() && before != '_');
        before = Some(character);
        if at < skip_to || !begins || !matches!(character, '@' | '#' | 'h' | 'H') {
            continue;
        }
        let tail = text.get(at..).unwrap_or_default();
        let found = match character {
            '@' => mention(tail, &reading.me),
            '#' => channel(tail),
            _ => url(tail),
        };
        let Some((length, role_found)) = found.filter(|(length, _)| *length > 0) else { continue };
        let (special, _) = tail.split_at_checked(length).unwrap_or((tail, ""));
        let plain = text.get(plain_from..at).unwrap_or_default();
        parts.push(&emoji(plain, reading.emoji), role, None);
        let link = (role_found == Role::Link).then(|| field(special).into());
        parts.push(special, role_found, link.as_ref());
        skip_to = at.saturating_add(length);
        plain_from = skip_to;
    }
    parts.push(&emoji(text.get(plain_from..).unwrap_or_default(), reading.emoji), role, None);
}

/// The length of the mention that `text` begins with, and whose it is.
fn mention(text: &str, me: &[String]) -> Option<(usize, Role)> {
    let name = address(text.strip_prefix('@')?);
    if name.is_empty() {
        return None;
    }
    let mine = me.iter().any(|mine| mine.to_lowercase() == name.to_lowercase());
    let role = if mine { Role::MentionOfMe } else { Role::Mention };
    Some((name.len().saturating_add(1), role))
}

/// The length of the channel's name that `text` begins with. `#12` is a number, not a channel.
fn channel(text: &str) -> Option<(usize, Role)> {
    let name = address(text.strip_prefix('#')?);
    let named = name.chars().any(char::is_alphabetic);
    named.then(|| (name.len().saturating_add(1), Role::Channel))
}

/// `name` or `name@server` at the start of `text`, without the full stop of a sentence.
fn address(text: &str) -> &str {
    let name = word(text);
    let server = text.get(name.len()..).and_then(|rest| rest.strip_prefix('@')).map_or("", word);
    let length = match (name.len(), server.len()) {
        (0, _) => 0,
        (name, 0) => name,
        (name, server) => name.saturating_add(1).saturating_add(server),
    };
    text.get(..length).unwrap_or_default()
}

fn word(text: &str) -> &str {
    let end = text.find(|letter: char| !letter.is_alphanumeric() && !"_-.".contains(letter));
    text.get(..end.unwrap_or(text.len())).unwrap_or_default().trim_end_matches(['.', '-'])
}

/// The length of the link that `text` begins with: to the next space, without what belongs to the sentence around it.
fn url(text: &str) -> Option<(usize, Role)> {
    let scheme = ["https://", "http://"].into_iter().find(|scheme| {
        text.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme))
    })?;
    let end = text.find(|edge: char| edge.is_whitespace() || matches!(edge, '<' | '>' | '"' | '`'));
    let mut link = text.get(..end.unwrap_or(text.len()))?;
    let (mut open, mut closed) = (link.matches('(').count(), link.matches(')').count());
    while let Some(last) = link.chars().next_back() {
        match last {
            ')' if closed > open => closed = closed.saturating_sub(1),
            '(' => open = open.saturating_sub(1),
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_' | '~' | '|' | ']' => {}
            _ => break,
        }
        link = link.get(..link.len().saturating_sub(last.len_utf8()))?;
    }
    (link.len() > scheme.len()).then_some((link.len(), Role::Link))
}

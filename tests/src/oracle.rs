//! What must hold of messages, judged from outside: nothing acknowledged is lost, nothing appears twice, and an
//! author's own order is kept (I1, I2, I4).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use anyhow::{Result, ensure};

use crate::profile::Message;

/// Which message, as its author's device has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    author: String,
    number: usize,
}

/// What was sent, by whom, in which order, and what of it was acknowledged.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By id.
    sent: BTreeMap<String, Entry>,
    /// How many each author's device has sent.
    counts: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Entry {
    place: Place,
    text: String,
    acknowledged: bool,
}

impl Ledger {
    /// Notes that the device `author` is about to send `text` under `id`, after everything that it sent before.
    pub fn attempt(&mut self, author: &str, id: &str, text: &str) {
        let count = self.counts.entry(author.to_owned()).or_default();
        let place = Place { author: author.to_owned(), number: *count };
        *count = count.saturating_add(1);
        let entry = Entry { place, text: text.to_owned(), acknowledged: false };
        self.sent.insert(id.to_owned(), entry);
    }

    /// Notes that the message `id` has been acknowledged to its author.
    pub fn acknowledge(&mut self, id: &str) {
        if let Some(entry) = self.sent.get_mut(id) {
            entry.acknowledged = true;
        }
    }

    /// How many messages have been acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.sent.values().filter(|entry| entry.acknowledged).count()
    }

    /// Adds what `other` has noted: of other devices, or of the same ones after everything that is noted here.
    pub fn merge(&mut self, other: Self) {
        for (id, mut entry) in other.sent {
            let before = self.counts.get(&entry.place.author).copied().unwrap_or_default();
            entry.place.number = entry.place.number.saturating_add(before);
            self.sent.insert(id, entry);
        }
        for (author, count) in other.counts {
            let known = self.counts.entry(author).or_default();
            *known = known.saturating_add(count);
        }
    }

    /// Judges what one device shows, oldest first.
    #[must_use]
    pub fn judge(&self, shown: &[Message]) -> Verdict {
        let mut verdict = Verdict::default();
        let mut seen = BTreeSet::new();
        let mut latest: BTreeMap<&str, usize> = BTreeMap::new();
        for message in shown {
            let Some(Entry { place, text, .. }) = self.sent.get(&message.id) else {
                verdict.never_sent.push(message.id.clone());
                continue;
            };
            if *text != message.text {
                verdict.altered.push(message.id.clone());
            }
            if !seen.insert(&message.id) {
                verdict.duplicated.push(text.clone());
                continue;
            }
            let latest = latest.entry(&place.author).or_default();
            if place.number < *latest {
                verdict.reordered.push(text.clone());
            }
            *latest = place.number.max(*latest);
        }
        for (id, entry) in &self.sent {
            if entry.acknowledged && !seen.contains(id) {
                verdict.lost.push(entry.text.clone());
            }
        }
        verdict
    }
}

/// What is wrong with what a device shows. Empty when all is well.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Acknowledged, and not there.
    pub lost: Vec<String>,
    /// There more than once.
    pub duplicated: Vec<String>,
    /// There after something that its author sent later.
    pub reordered: Vec<String>,
    /// There with another text.
    pub altered: Vec<String>,
    /// There, and sent by nobody; ids.
    pub never_sent: Vec<String>,
}

impl Verdict {
    /// Fails unless all is well on `device`.
    pub fn ensure_clean(&self, device: &str) -> Result<()> {
        ensure!(*self == Self::default(), "on {device}: {self}");
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, duplicated, reordered, altered, never_sent } = self;
        for (name, list) in [
            ("lost", lost),
            ("duplicated", duplicated),
            ("reordered", reordered),
            ("altered", altered),
            ("never sent", never_sent),
        ] {
            if let Some(first) = list.first() {
                write!(f, "{} {name} (first: {first:?}); ", list.len())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        for (author, id, text) in [("a", "1", "one"), ("a", "2", "two"), ("b", "3", "three")] {
            ledger.attempt(author, id, text);
            ledger.acknowledge(id);
        }
        ledger.attempt("a", "4", "not acknowledged");
        ledger
    }

    fn shown(ids: &[&str]) -> Vec<Message> {
        let texts = BTreeMap::from([("1", "one"), ("2", "two"), ("3", "three")]);
        ids.iter()
            .map(|id| Message {
                v: 1,
                id: (*id).to_owned(),
                from: String::new(),
                at: String::new(),
                text: texts.get(id).copied().unwrap_or("not acknowledged").to_owned(),
                state: String::new(),
                more: serde_json::Map::new(),
            })
            .collect()
    }

    #[test]
    fn what_was_not_acknowledged_may_be_there_or_not() {
        assert_eq!(ledger().judge(&shown(&["1", "2", "3"])), Verdict::default());
        assert_eq!(ledger().judge(&shown(&["1", "2", "3", "4"])), Verdict::default());
    }

    #[test]
    fn authors_may_come_in_any_order_among_each_other() {
        assert_eq!(ledger().judge(&shown(&["3", "1", "2"])), Verdict::default());
        assert_eq!(ledger().judge(&shown(&["1", "3", "2"])), Verdict::default());
    }

    #[test]
    fn a_lost_message_is_reported() {
        assert_eq!(ledger().judge(&shown(&["1", "3"])).lost, ["two"]);
    }

    #[test]
    fn a_message_shown_twice_is_reported() {
        assert_eq!(ledger().judge(&shown(&["1", "2", "1", "3"])).duplicated, ["one"]);
    }

    #[test]
    fn an_author_out_of_order_is_reported() {
        assert_eq!(ledger().judge(&shown(&["2", "1", "3"])).reordered, ["one"]);
    }

    #[test]
    fn another_text_and_a_message_from_nowhere_are_reported() {
        let mut other = shown(&["1", "2", "3", "5"]);
        other[0].text.push('!');
        let verdict = ledger().judge(&other);
        assert_eq!((verdict.altered, verdict.never_sent), (vec!["1".into()], vec!["5".into()]));
    }
}

//! What a community's log tells of the room that is open: who came and went, and what was changed. It stands among the messages, and is none:
//! nothing of it is unread.

/// How many entries of a log are read at once.
pub const PART: u32 = 256;
/// How many lines are kept at most; further back nothing is read.
const MOST: usize = 4_096;

/// One thing that happened, in harmless words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// Its place in the log.
    pub seq: u64,
    /// When, in milliseconds since 1970, by its author's clock.
    pub at: i64,
    /// Of whom it is told.
    pub who: String,
    /// What.
    pub what: String,
}

/// A part of a log that ends with its newest entry.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// By their times, since clocks differ.
    happenings: Vec<Happening>,
    /// The first place that was read.
    first: Option<u64>,
    /// The place after the last one that was read.
    next: u64,
    /// When the oldest of it was written, shown or not.
    since: i64,
    /// Whether a part is on its way.
    pub is_asked: bool,
}

/// An entry that was read: its place, its time, and what it comes to, if it is to be shown.
pub type Read = (u64, i64, Option<Happening>);

impl Log {
    /// Which part is to be read next, from its first place on: the newest at first, then what was added since, of `entries` in all.
    #[must_use]
    pub fn wants(&self, entries: u64) -> Option<Option<u64>> {
        let is_behind = self.next < entries;
        (is_behind && !self.is_asked).then(|| self.first.map(|_| self.next))
    }

    /// From where on what is older is to be read, if anything is shown that is older than what was read, from `at` on.
    #[must_use]
    pub fn wants_older(&self, at: i64) -> Option<u64> {
        let first = self.first.filter(|first| *first > 0)?;
        let is_due = !self.is_asked && self.since > at && self.happenings.len() < MOST;
        is_due.then(|| first.saturating_sub(u64::from(PART)))
    }

    /// Takes in entries that follow one another, oldest first. What does not join what is here is left.
    pub fn take(&mut self, entries: Vec<Read>) {
        self.is_asked = false;
        let Some((first, since, _)) = entries.first() else { return };
        let (first, since) = (*first, *since);
        let next = entries.last().map_or(first, |(seq, ..)| seq.saturating_add(1));
        let is_older = self.first.is_some_and(|known| first < known);
        let mut new: Vec<Happening> = entries.into_iter().filter_map(|(.., what)| what).collect();
        match self.first {
            Some(known) if is_older => new.retain(|one| one.seq < known),
            Some(_) => new.retain(|one| one.seq >= self.next),
            None => {}
        }
        self.happenings.append(&mut new);
        self.happenings.sort_by_key(|one| (one.at, one.seq));
        self.next = self.next.max(next);
        if is_older || self.first.is_none() {
            self.first = Some(first);
            self.since = since;
        }
        let excess = self.happenings.len().saturating_sub(MOST);
        if !is_older {
            self.happenings.drain(..excess);
        }
    }

    /// Notes that of `entries` in all there is no more to be read: what was erased is not told.
    pub fn reach(&mut self, entries: u64) {
        self.next = self.next.max(entries);
    }

    /// What happened after one time and through another, in milliseconds since 1970.
    #[must_use]
    pub fn between(&self, after: i64, through: i64) -> &[Happening] {
        let begin = self.happenings.partition_point(|one| one.at <= after);
        let end = self.happenings.partition_point(|one| one.at <= through);
        self.happenings.get(begin..end).unwrap_or_default()
    }

    /// What stands in the log from a place on.
    pub fn since(&self, from: u64) -> impl Iterator<Item = &Happening> {
        self.happenings.iter().filter(move |one| one.seq >= from)
    }

    /// The place after the last one that was read.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(range: std::ops::Range<u64>) -> Vec<Read> {
        range
            .map(|seq| {
                let at = i64::try_from(seq.saturating_mul(10)).unwrap();
                let one = Happening { seq, at, who: "bob".to_owned(), what: "joined".to_owned() };
                (seq, at, (seq % 2 == 0).then_some(one))
            })
            .collect()
    }

    fn places<'a>(happenings: impl IntoIterator<Item = &'a Happening>) -> Vec<u64> {
        happenings.into_iter().map(|one| one.seq).collect()
    }

    #[test]
    fn the_newest_part_is_read_first_then_what_is_added_then_what_is_older() {
        let mut log = Log::default();
        assert_eq!(log.wants(0), None, "an empty log");
        assert_eq!(log.wants(700), Some(None));
        log.take(entries(444..700));
        assert_eq!(log.wants(700), None);
        assert_eq!(log.wants(702), Some(Some(700)));
        log.is_asked = true;
        assert_eq!(log.wants(702), None);
        log.take(entries(700..702));
        assert_eq!(log.wants_older(4_500), None, "nothing older is shown");
        assert_eq!(log.wants_older(4_000), Some(188));
        log.take(entries(188..444));
        assert_eq!(log.wants_older(100), Some(0));
        // More than was asked for, and again what is here.
        log.take(entries(0..444));
        assert_eq!(log.wants_older(0), None);
        assert_eq!(places(log.since(0)), (0..702).step_by(2).collect::<Vec<_>>());
        assert_eq!(places(log.between(95, 125)), [10, 12]);
    }

    #[test]
    fn a_clock_that_is_wrong_misplaces_its_own_entry_alone() {
        let mut log = Log::default();
        let mut wrong = entries(0..8);
        if let (_, _, Some(one)) = &mut wrong[4] {
            one.at = i64::MAX;
        }
        log.take(wrong);
        assert_eq!(places(log.between(i64::MIN, i64::MAX)), [0, 2, 6, 4]);
        assert_eq!(places(log.between(i64::MIN, 1_000)), [0, 2, 6]);
    }
}

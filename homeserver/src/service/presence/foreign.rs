//! How people of other servers are, as their homes tell it to each of those here who may know.
//!
//! What one is told is nobody else's: of two people here one may be a contact and the other not, and a home tells each by themselves. A home
//! may tell as often as it is allowed to ask, so what differs is shown at once and then no more often than [`PACE`] says; what came last is
//! shown in the end.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use rookery_protocol::{
    id::UserId,
    name::ServerName,
    request::presence::{PresenceEntry, PresenceState},
};
use tokio::time::Instant;

/// At most one change of one person is shown to one other in this time. Short for who looks on, and long beside what a device shows in one go.
pub const PACE: Duration = Duration::from_secs(2);

/// Somebody who lives elsewhere, and somebody here who is told of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// Who lives elsewhere.
    pub user: UserId,
    /// Who is told.
    pub to: UserId,
}

/// What is to be done about something that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is known.
    Known,
    /// It is shown.
    Now,
    /// It is shown later, if nothing else comes until then.
    Later,
}

/// What is to be shown now of what was put off.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// What, and to whom.
    pub entries: Vec<(UserId, PresenceEntry)>,
    /// When more is due.
    pub next: Option<Instant>,
}

#[derive(Debug)]
struct Told {
    by: ServerName,
    /// The newest.
    entry: PresenceEntry,
    /// When something was shown last.
    shown: Instant,
}

/// What was told: at most one row for each accepted contact of people here.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    told: HashMap<Pair, Told>,
    /// Of whom something newer than what was shown is known, by who has told it.
    late: BTreeMap<ServerName, BTreeSet<Pair>>,
}

impl Foreign {
    /// Takes in how somebody is, by the word of their home.
    pub(super) fn note(
        &mut self,
        by: &ServerName,
        to: UserId,
        entry: &PresenceEntry,
        now: Instant,
    ) -> Heard {
        let pair = Pair { user: entry.user, to };
        match self.told.get_mut(&pair).filter(|told| told.by == *by) {
            Some(told) if told.entry == *entry => return Heard::Known,
            Some(told) if now < due(told) => {
                told.entry = entry.clone();
                self.late.entry(by.clone()).or_default().insert(pair);
                return Heard::Later;
            }
            _ => self.forget(pair),
        }
        let told = Told { by: by.clone(), entry: entry.clone(), shown: now };
        self.told.insert(pair, told);
        Heard::Now
    }

    /// Takes what `by` has told and is to be shown now. It is shown even where it is the same as what was shown before: who has asked in between
    /// has seen what came in between.
    pub(super) fn take_due(&mut self, by: &ServerName, now: Instant) -> Due {
        let mut found = Due::default();
        let Some(late) = self.late.get_mut(by) else { return found };
        late.retain(|pair| {
            let Some(told) = self.told.get_mut(pair) else { return false };
            let at = due(told);
            if at > now {
                found.next = Some(found.next.map_or(at, |next| next.min(at)));
                return true;
            }
            told.shown = now;
            found.entries.push((pair.to, told.entry.clone()));
            false
        });
        if late.is_empty() {
            self.late.remove(by);
        }
        found
    }

    pub(super) fn of(&self, pair: Pair) -> Option<&PresenceEntry> {
        self.told.get(&pair).map(|told| &told.entry)
    }

    /// Nothing more is to be known of a pair.
    pub(super) fn forget(&mut self, pair: Pair) {
        if let Some(told) = self.told.remove(&pair)
            && let Some(late) = self.late.get_mut(&told.by)
        {
            late.remove(&pair);
        }
    }

    /// Nothing more is told to `to`.
    pub(super) fn forget_to(&mut self, to: UserId) {
        self.told.retain(|pair, _| pair.to != to);
        self.late.values_mut().for_each(|late| late.retain(|pair| pair.to != to));
    }

    /// Nothing is known any more of what `by` has told. Gives those who were shown, or to be shown, as something else than offline.
    pub(super) fn forget_of(&mut self, by: &ServerName) -> Vec<Pair> {
        let late = self.late.remove(by).unwrap_or_default();
        let gone = self.told.extract_if(|_, told| told.by == *by);
        let was_there = |(pair, told): (Pair, Told)| {
            let is_offline = told.entry.state == PresenceState::Offline && !late.contains(&pair);
            (!is_offline).then_some(pair)
        };
        gone.filter_map(was_there).collect()
    }
}

/// When something else may be shown.
fn due(told: &Told) -> Instant {
    told.shown.checked_add(PACE).unwrap_or(told.shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(number: u8) -> UserId {
        UserId::from_bytes([number; 32])
    }

    fn garden() -> ServerName {
        "garden.example".parse().unwrap()
    }

    fn entry(state: PresenceState) -> PresenceEntry {
        PresenceEntry { user: user(9), state, last_online: None, status: None }
    }

    use PresenceState::{Away, Busy, Offline, Online};

    #[test]
    fn what_is_known_is_not_shown_again_and_each_receiver_is_shown_it_once() {
        let (mut foreign, now) = (Foreign::default(), Instant::now());
        for to in [1, 2] {
            let heard = [0; 2].map(|_| foreign.note(&garden(), user(to), &entry(Online), now));
            assert_eq!(heard, [Heard::Now, Heard::Known], "{to}");
        }
        assert_eq!(foreign.take_due(&garden(), now + PACE), Due::default());
        assert_eq!(foreign.of(Pair { user: user(9), to: user(2) }), Some(&entry(Online)));
        assert_eq!(foreign.of(Pair { user: user(9), to: user(3) }), None, "nobody else's");
    }

    #[test]
    fn what_changes_quickly_is_shown_once_and_as_it_is_in_the_end() {
        let (mut foreign, start) = (Foreign::default(), Instant::now());
        let note = |foreign: &mut Foreign, state, at| {
            foreign.note(&garden(), user(1), &entry(state), start + at)
        };
        assert_eq!(note(&mut foreign, Online, Duration::ZERO), Heard::Now);
        for (state, millis) in [(Busy, 100), (Away, 200), (Online, 300), (Busy, 400)] {
            let heard = note(&mut foreign, state, Duration::from_millis(millis));
            assert_eq!(heard, Heard::Later);
        }
        let early = foreign.take_due(&garden(), start + PACE / 2);
        assert_eq!(early, Due { entries: vec![], next: Some(start + PACE) });
        let due = foreign.take_due(&garden(), start + PACE);
        assert_eq!(due, Due { entries: vec![(user(1), entry(Busy))], next: None });
        assert_eq!(foreign.take_due(&garden(), start + PACE * 3), Due::default());
        assert_eq!(note(&mut foreign, Away, PACE + PACE / 2), Heard::Later);
        assert_eq!(note(&mut foreign, Online, PACE * 2), Heard::Now);
        assert_eq!(foreign.take_due(&garden(), start + PACE * 3), Due::default(), "it was shown");
    }

    #[test]
    fn what_changes_back_is_shown_to_who_has_asked_in_between() {
        let (mut foreign, now) = (Foreign::default(), Instant::now());
        for state in [Online, Busy, Online] {
            foreign.note(&garden(), user(1), &entry(state), now);
        }
        let due = foreign.take_due(&garden(), now + PACE);
        assert_eq!(due.entries, [(user(1), entry(Online))]);
    }

    #[test]
    fn of_a_server_that_is_away_everybody_is_offline_once() {
        let (mut foreign, now) = (Foreign::default(), Instant::now());
        let shore: ServerName = "shore.example".parse().unwrap();
        foreign.note(&shore, user(1), &PresenceEntry { user: user(8), ..entry(Online) }, now);
        for (to, states) in [(1, [Offline, Online]), (2, [Online, Offline]), (3, [Offline; 2])] {
            for state in states {
                foreign.note(&garden(), user(to), &entry(state), now);
            }
        }
        let mut gone = foreign.forget_of(&garden());
        gone.sort_unstable();
        // The second one has not been shown yet that they went.
        assert_eq!(gone, [1, 2].map(|to| Pair { user: user(9), to: user(to) }));
        assert_eq!(foreign.forget_of(&garden()), []);
        assert_eq!(foreign.take_due(&garden(), now + PACE), Due::default());
        assert_eq!(foreign.told.len(), 1);
        foreign.forget_to(user(1));
        assert!(foreign.told.is_empty());
    }
}

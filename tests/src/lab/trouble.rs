//! What becomes of what is sent over a link: pure, with time and randomness as arguments.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use tokio::time::Instant;

use crate::random::Random;

/// So many datagrams wait in one direction of a flow at most, as in a router's buffer; more are dropped.
pub const BUFFER: usize = 4_096;
/// By how much one that is overtaken comes later than it would.
const OVERTAKEN: Duration = Duration::from_millis(30);
/// What a lost segment costs where the sender sends it again by itself, as TCP does.
const SENT_AGAIN: Duration = Duration::from_millis(200);

/// Whether anything goes through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cut {
    /// It does.
    #[default]
    Open,
    /// Nothing does.
    Closed,
    /// It does not, and does, for `period` each, beginning with nothing at `since`.
    Flapping {
        /// When it began.
        since: Instant,
        /// How long each state lasts.
        period: Duration,
    },
}

/// How one direction of a link is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Of a hundred datagrams, how many are lost.
    pub loss: u64,
    /// Of a hundred, how many come twice.
    pub duplicate: u64,
    /// Of a hundred, how many are overtaken by those behind them.
    pub reorder: u64,
    /// How long each takes.
    pub delay: Duration,
    /// How much longer it may take, by chance.
    pub jitter: Duration,
    /// Whether anything goes through.
    pub cut: Cut,
}

impl Conditions {
    /// Both at once: the worse of each.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let cut = match (self.cut, other.cut) {
            (Cut::Closed, _) | (_, Cut::Closed) => Cut::Closed,
            (Cut::Open, cut) | (cut, _) => cut,
        };
        Self {
            loss: self.loss.max(other.loss),
            duplicate: self.duplicate.max(other.duplicate),
            reorder: self.reorder.max(other.reorder),
            delay: self.delay.max(other.delay),
            jitter: self.jitter.max(other.jitter),
            cut,
        }
    }

    /// Whether something that is sent at `now` goes through at all.
    #[must_use]
    pub fn is_open(&self, now: Instant) -> bool {
        match self.cut {
            Cut::Open => true,
            Cut::Closed => false,
            Cut::Flapping { since, period } => {
                let past = now.saturating_duration_since(since).as_millis();
                past.checked_div(period.as_millis()).unwrap_or(0) % 2 == 1
            }
        }
    }

    fn time(&self, random: &mut Random) -> Duration {
        let jitter = u64::try_from(self.jitter.as_millis()).unwrap_or(u64::MAX);
        self.delay.saturating_add(Duration::from_millis(random.below(jitter.saturating_add(1))))
    }

    /// When a piece of a stream that is sent at `now` arrives; what is lost is sent again.
    #[must_use]
    pub fn arrival(&self, now: Instant, random: &mut Random) -> Instant {
        let mut time = self.time(random);
        if random.below(100) < self.loss {
            time = time.saturating_add(SENT_AGAIN);
        }
        now.checked_add(time).unwrap_or(now)
    }
}

/// One direction of a flow of datagrams: what is under way.
#[derive(Debug)]
pub struct Shaper {
    random: Random,
    /// By when it arrives; then by when it was sent.
    under_way: BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>>,
    sent: u64,
    latest: Option<Instant>,
}

impl Shaper {
    /// Nothing is under way.
    #[must_use]
    pub const fn new(random: Random) -> Self {
        Self { random, under_way: BinaryHeap::new(), sent: 0, latest: None }
    }

    /// Takes a datagram that is sent at `now`.
    pub fn send(&mut self, datagram: &[u8], conditions: &Conditions, now: Instant) {
        if !conditions.is_open(now) || self.random.below(100) < conditions.loss {
            return;
        }
        let copies = if self.random.below(100) < conditions.duplicate { 2 } else { 1 };
        for _ in 0..copies {
            let arrives = now.checked_add(conditions.time(&mut self.random)).unwrap_or(now);
            // Jitter alone changes no order: a queue that grows and shrinks does not either.
            let mut arrives = self.latest.map_or(arrives, |latest| latest.max(arrives));
            if self.random.below(100) < conditions.reorder {
                arrives = arrives.checked_add(OVERTAKEN).unwrap_or(arrives);
            } else {
                self.latest = Some(arrives);
            }
            if self.under_way.len() < BUFFER {
                self.sent = self.sent.saturating_add(1);
                self.under_way.push(Reverse((arrives, self.sent, datagram.to_vec())));
            }
        }
    }

    /// The next one that has arrived by `now`.
    pub fn arrived(&mut self, now: Instant) -> Option<Vec<u8>> {
        let Reverse((arrives, _, _)) = self.under_way.peek()?;
        if *arrives > now {
            return None;
        }
        self.under_way.pop().map(|Reverse((_, _, datagram))| datagram)
    }

    /// When the next one arrives.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.peek().map(|Reverse((arrives, _, _))| *arrives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Sends `count` numbers, one a millisecond, and gives them as they arrive, each with how long it took.
    fn sent(conditions: &Conditions, count: u32) -> Vec<(u32, Duration)> {
        let begin = Instant::now();
        let at = |millisecond: u32| {
            begin.checked_add(Duration::from_millis(millisecond.into())).unwrap()
        };
        let mut shaper = Shaper::new(Random::of(7));
        let mut got = vec![];
        for now in 0..count.saturating_add(2_000) {
            if now < count {
                shaper.send(&now.to_be_bytes(), conditions, at(now));
            }
            while let Some(datagram) = shaper.arrived(at(now)) {
                let number = u32::from_be_bytes(datagram.try_into().unwrap());
                got.push((number, at(now).duration_since(at(number))));
            }
        }
        assert_eq!(shaper.next_arrival(), None);
        got
    }

    fn is_in_order(got: &[(u32, Duration)]) -> bool {
        got.windows(2).all(|two| two[0].0 <= two[1].0)
    }

    #[test]
    fn a_good_link_changes_nothing() {
        let got = sent(&Conditions::default(), 1_000);
        assert!(got.len() == 1_000 && is_in_order(&got));
        assert!(got.iter().all(|(_, took)| took.is_zero()));
    }

    #[test]
    fn of_a_hundred_so_many_are_lost_and_so_many_come_twice() {
        let got = sent(&Conditions { loss: 20, ..Conditions::default() }, 10_000);
        assert!((7_800..8_200).contains(&got.len()), "{}", got.len());
        let got = sent(&Conditions { duplicate: 10, ..Conditions::default() }, 10_000);
        assert!((10_800..11_200).contains(&got.len()), "{}", got.len());
    }

    #[test]
    fn delay_is_at_least_so_long_and_jitter_changes_no_order() {
        let (delay, jitter) = (Duration::from_millis(300), Duration::from_millis(50));
        let got = sent(&Conditions { delay, jitter, ..Conditions::default() }, 2_000);
        assert!(got.len() == 2_000 && is_in_order(&got));
        assert!(got.iter().all(|(_, took)| *took >= delay && *took <= delay + jitter));
        assert!(got.iter().any(|(_, took)| *took > delay + jitter / 2));
    }

    #[test]
    fn some_are_overtaken_and_none_is_lost() {
        let mut got = sent(&Conditions { reorder: 10, ..Conditions::default() }, 1_000);
        assert!(!is_in_order(&got));
        got.sort_unstable();
        assert!(got.iter().map(|(number, _)| *number).eq(0..1_000));
    }

    #[test]
    fn a_cut_lets_nothing_through_and_one_that_flaps_every_second_time() {
        assert!(sent(&Conditions { cut: Cut::Closed, ..Conditions::default() }, 1_000).is_empty());
        let since = Instant::now();
        let cut = Cut::Flapping { since, period: SECOND };
        let flapping = Conditions { cut, ..Conditions::default() };
        let open = |after: u32| flapping.is_open(since + SECOND * after);
        assert_eq!([0, 1, 2, 3].map(open), [false, true, false, true]);
    }

    #[test]
    fn no_more_is_under_way_than_a_buffer_holds() {
        let now = Instant::now();
        let mut shaper = Shaper::new(Random::of(7));
        let conditions = Conditions { delay: SECOND, ..Conditions::default() };
        (0..BUFFER + 10).for_each(|_| shaper.send(b"", &conditions, now));
        let arrived = std::iter::from_fn(|| shaper.arrived(now + SECOND)).count();
        assert_eq!(arrived, BUFFER);
    }

    #[test]
    fn of_two_troubles_the_worse_counts() {
        let one = Conditions { loss: 5, delay: SECOND, ..Conditions::default() };
        let other = Conditions { loss: 9, cut: Cut::Closed, ..Conditions::default() };
        let both = Conditions { loss: 9, delay: SECOND, cut: Cut::Closed, ..Conditions::default() };
        assert_eq!((one.and(other), other.and(one)), (both, both));
    }
}

//! What goes wrong, where and when: pure, and made of a seed.

use std::{fmt, time::Duration};

use crate::random::Random;

/// So many strikes a schedule has at most, however long it is.
pub const MOST: usize = 2_000;
/// How often something strikes, on average.
const EVERY: Duration = Duration::from_millis(1_200);
/// No strike is longer.
const LONGEST: Duration = Duration::from_secs(20);
/// None is shorter: a program has to notice.
const SHORTEST: Duration = Duration::from_millis(400);

/// What there is to be struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Homeservers, of which each pair has a link.
    pub homes: usize,
    /// Devices, each with a link to its home.
    pub devices: usize,
    /// By when everything is well again.
    pub time: Duration,
}

/// Which link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// Between two homes; the first has the lesser number.
    Homes(usize, usize),
    /// Between a device and its home.
    Device(usize),
}

/// What is wrong with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing goes through.
    Partition,
    /// Nothing goes through in one direction: there (from the first home, or from the device), or else back.
    OneWay {
        /// Which of them.
        there: bool,
    },
    /// Nothing goes through, and everything, by turns.
    Flapping {
        /// How long each lasts.
        period: Duration,
    },
    /// Of a hundred datagrams, so many are lost and a tenth of that many come twice.
    Loss(u64),
    /// It is slow, by 300 ms and up to 100 more, and one in ten is overtaken.
    Slow,
}

/// Which process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Process {
    /// A homeserver: some are hubs.
    Home(usize),
    /// A device's agent.
    Agent(usize),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A link is bad.
    Link(Link, Trouble),
    /// A process is killed, and started again when this ends. Of a home, what it has not synced is lost.
    Kill(Process),
    /// A home's disk has no room.
    FullDisk(usize),
    /// A process sees another time of day, by so many seconds.
    Clock(Process, i64),
}

impl Fault {
    /// The process that it is about: never are two faults of one process in force at once.
    #[must_use]
    pub const fn process(&self) -> Option<Process> {
        match *self {
            Self::Link(..) => None,
            Self::Kill(process) | Self::Clock(process, _) => Some(process),
            Self::FullDisk(home) => Some(Process::Home(home)),
        }
    }
}

/// One fault with its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strike {
    /// When it begins, after the beginning of all.
    pub from: Duration,
    /// When it is over.
    pub until: Duration,
    /// What it is.
    pub fault: Fault,
}

impl Strike {
    fn overlaps(&self, other: &Self) -> bool {
        self.from <= other.until && other.from <= self.until
    }
}

/// The strikes, by when they begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    strikes: Vec<Strike>,
}

/// How many kinds of fault there are.
const KINDS: usize = 10;

impl Schedule {
    /// That of a seed. Where the time allows, every kind of fault is in it.
    #[must_use]
    pub fn of(seed: u64, size: Size) -> Self {
        let mut random = Random::of(seed);
        let count = size.time.as_millis().checked_div(EVERY.as_millis()).unwrap_or(0);
        let count = usize::try_from(count).unwrap_or(MOST).clamp(KINDS, MOST);
        let mut strikes: Vec<Strike> = Vec::with_capacity(count);
        for number in 0..count {
            let strike = strike(number % KINDS, &mut random, size);
            let process = strike.fault.process();
            let is_taken = |other: &Strike| {
                process.is_some() && other.fault.process() == process && other.overlaps(&strike)
            };
            if !strikes.iter().any(is_taken) {
                strikes.push(strike);
            }
        }
        strikes.sort_by_key(|strike| (strike.from, strike.until));
        Self { strikes }
    }

    /// All of it.
    #[must_use]
    pub fn strikes(&self) -> &[Strike] {
        &self.strikes
    }

    /// The beginnings and ends of those that `which` is true of, in their order: after how long, whether it begins, and what.
    #[must_use]
    pub fn steps(&self, which: impl Fn(&Fault) -> bool) -> Vec<(Duration, bool, Strike)> {
        let chosen = self.strikes.iter().filter(|strike| which(&strike.fault));
        let mut steps: Vec<_> = chosen
            .flat_map(|strike| [(strike.from, true, *strike), (strike.until, false, *strike)])
            .collect();
        steps.sort_by_key(|(at, begins, _)| (*at, *begins));
        steps
    }
}

fn strike(kind: usize, random: &mut Random, size: Size) -> Strike {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let whole = millis(size.time);
    let longest = millis(LONGEST).min(whole / 4).max(millis(SHORTEST));
    let length = random.pause(millis(SHORTEST), longest);
    // Some faults are over in a moment: what was killed comes back soon.
    let length = if kind >= 5 { length.min(Duration::from_secs(5)) } else { length };
    let from = random.pause(0, whole.saturating_sub(millis(length)));
    let until = from.saturating_add(length).min(size.time);
    Strike { from, until, fault: fault(kind, random, size) }
}

fn fault(kind: usize, random: &mut Random, size: Size) -> Fault {
    let home = below(random, size.homes);
    let device = below(random, size.devices);
    match kind {
        0 => Fault::Link(link(random, size), Trouble::Partition),
        1 => {
            let trouble = Trouble::OneWay { there: random.below(2) == 0 };
            Fault::Link(link(random, size), trouble)
        }
        2 => {
            let period = random.pause(200, 2_000);
            Fault::Link(link(random, size), Trouble::Flapping { period })
        }
        3 => {
            let percent = random.below(20).saturating_add(1);
            Fault::Link(link(random, size), Trouble::Loss(percent))
        }
        4 => Fault::Link(link(random, size), Trouble::Slow),
        5 => Fault::Kill(Process::Home(home)),
        6 => Fault::Kill(Process::Agent(device)),
        7 => Fault::FullDisk(home),
        8 => Fault::Clock(Process::Home(home), jump(random)),
        _ => Fault::Clock(Process::Agent(device), jump(random)),
    }
}

fn below(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.below(bound.try_into().unwrap_or(u64::MAX))).unwrap_or(0)
}

/// By how many seconds a clock jumps: by a moment, an hour or a day, either way.
fn jump(random: &mut Random) -> i64 {
    const JUMPS: [i64; 6] = [-86_400, -3_600, -45, 45, 3_600, 86_400];
    JUMPS.get(below(random, JUMPS.len())).copied().unwrap_or(45)
}

/// As often between homes as between a device and its home.
fn link(random: &mut Random, size: Size) -> Link {
    let device = below(random, size.devices);
    let one = below(random, size.homes);
    let further = below(random, size.homes.saturating_sub(1)).saturating_add(1);
    let other = one.saturating_add(further).checked_rem(size.homes).unwrap_or(one);
    if one == other || random.below(2) == 0 {
        return Link::Device(device);
    }
    Link::Homes(one.min(other), one.max(other))
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Strike { from, until, fault } in &self.strikes {
            let (from, until) = (from.as_secs_f64(), until.as_secs_f64());
            writeln!(f, "  {from:7.2} s to {until:7.2} s  {fault:?}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn sizes() -> impl Strategy<Value = Size> {
        (2_usize..9, 1_usize..40, 5_000_u64..3_000_000).prop_map(|(homes, devices, time)| Size {
            homes,
            devices,
            time: Duration::from_millis(time),
        })
    }

    proptest! {
        #[test]
        fn one_seed_has_one_schedule(seed: u64, size in sizes()) {
            prop_assert_eq!(Schedule::of(seed, size), Schedule::of(seed, size));
        }

        #[test]
        fn everything_is_healed_by_the_end_and_there_is_no_end_of_strikes(seed: u64, size in sizes()) {
            let schedule = Schedule::of(seed, size);
            prop_assert!((1..=MOST).contains(&schedule.strikes().len()));
            for strike in schedule.strikes() {
                prop_assert!(strike.from < strike.until && strike.until <= size.time, "{strike:?}");
                prop_assert!(strike.until.saturating_sub(strike.from) <= LONGEST, "{strike:?}");
            }
            let mut wrong: Vec<Strike> = vec![];
            for (_, begins, strike) in schedule.steps(|_| true) {
                if begins {
                    wrong.push(strike);
                } else {
                    let place = wrong.iter().position(|one| *one == strike);
                    wrong.remove(place.expect("what ends has begun"));
                }
            }
            prop_assert!(wrong.is_empty(), "{wrong:?}");
        }

        #[test]
        fn one_process_has_one_fault_at_a_time(seed: u64, size in sizes()) {
            let schedule = Schedule::of(seed, size);
            let mut struck = BTreeSet::new();
            for (_, begins, strike) in schedule.steps(|fault| fault.process().is_some()) {
                let process = strike.fault.process().expect("it has one");
                let changed = if begins { struck.insert(process) } else { struck.remove(&process) };
                prop_assert!(changed, "{strike:?}");
            }
        }

        #[test]
        fn what_is_struck_is_there(seed: u64, size in sizes()) {
            for strike in Schedule::of(seed, size).strikes() {
                let is_there = match strike.fault {
                    Fault::Link(Link::Homes(one, other), _) => one < other && other < size.homes,
                    Fault::Kill(Process::Home(home)) | Fault::FullDisk(home) => home < size.homes,
                    Fault::Clock(Process::Home(home), by) => home < size.homes && by != 0,
                    Fault::Link(Link::Device(device), _)
                    | Fault::Kill(Process::Agent(device)) => device < size.devices,
                    Fault::Clock(Process::Agent(device), by) => device < size.devices && by != 0,
                };
                prop_assert!(is_there, "{strike:?}");
            }
        }
    }

    #[test]
    fn other_seeds_have_other_schedules() {
        let size = Size { homes: 3, devices: 8, time: Duration::from_secs(25) };
        let all: BTreeSet<_> = (0..100).map(|seed| Schedule::of(seed, size).to_string()).collect();
        assert_eq!(all.len(), 100);
    }

    #[test]
    fn every_kind_of_fault_is_made() {
        let size = Size { homes: 5, devices: 20, time: Duration::from_mins(5) };
        let schedule = Schedule::of(1, size).to_string();
        for kind in [
            "Partition",
            "OneWay",
            "Flapping",
            "Loss",
            "Slow",
            "Kill(Home",
            "Kill(Agent",
            "FullDisk",
        ] {
            assert!(schedule.contains(kind), "no {kind}:\n{schedule}");
        }
        for kind in ["Clock(Home", "Clock(Agent", "Homes(", "Device("] {
            assert!(schedule.contains(kind), "no {kind}:\n{schedule}");
        }
    }
}

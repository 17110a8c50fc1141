//! What people do and what goes wrong, made of a seed.

use std::fmt;

use rookery_protocol::io::simulation::Death;
use tokio::time::Duration;

use super::world::{Size, pairs};
use crate::random::Random;

/// Until when people begin to do something, in milliseconds.
const BUSY_MS: u64 = 50_000;
/// Acts of a seed: so many at least, and so many more at most.
const ACTS: (u64, u64) = (12, 7);
/// Faults of a seed: so many at least, and so many more at most.
const FAULTS: (u64, u64) = (2, 3);

/// Everything that is to happen.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    /// By time.
    pub(super) acts: Vec<Act>,
    /// By time.
    pub(super) faults: Vec<Strike>,
}

/// Somebody does something.
#[derive(Debug, Clone)]
pub(super) struct Act {
    pub(super) at: Duration,
    /// Whose device.
    pub(super) device: usize,
    pub(super) deed: Deed,
}

/// What people do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Writes to somebody.
    Write(usize),
    /// Writes in the channel.
    Post,
    /// Reads the channel.
    Read,
    /// Joins the community.
    Join,
    /// Leaves it.
    Leave,
    /// Sends somebody away.
    Kick(usize),
    /// Gives somebody the role, or takes it.
    Role(usize, bool),
}

/// Something goes wrong for a while.
#[derive(Debug, Clone)]
pub(super) struct Strike {
    pub(super) at: Duration,
    pub(super) lasts: Duration,
    pub(super) fault: Fault,
}

/// One end of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Home(usize),
    Device(usize),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A home is killed, or loses its power; it starts again at the end.
    HomeDies(usize, Death),
    /// A device's program is killed; it starts again at the end.
    DeviceDies(usize),
    /// Nothing passes either way.
    Cut(Place, Place),
    /// Nothing passes from the first to the second.
    CutOneWay(Place, Place),
    /// Nothing passes, then everything, and so on, each for so many milliseconds.
    Flaps(Place, Place, u64),
    /// Everything takes long, and so many of a hundred pieces are lost.
    Slow(Place, Place, u8),
    /// All connections there are between two break.
    Reset(Place, Place),
    /// A home's clock is wrong by so many milliseconds.
    Clock(usize, i64),
}

impl Schedule {
    /// What the seed says.
    pub(super) fn of(seed: u64, size: Size) -> Self {
        let mut random = Random::of(seed);
        let mut acts = vec![];
        let count = ACTS.0.saturating_add(random.below(ACTS.1));
        for _ in 0..count {
            let at = random.pause(0, BUSY_MS);
            let device = below(&mut random, size.devices);
            let deed = match random.below(20) {
                0..8 => Deed::Write(someone(&mut random, size, device)),
                8..16 => Deed::Post,
                16..18 => Deed::Read,
                _ => Deed::Role(below(&mut random, size.devices), random.below(2) == 0),
            };
            let device = if matches!(deed, Deed::Role(..)) { 0 } else { device };
            acts.push(Act { at, device, deed });
        }
        let guest = size.devices.saturating_sub(1);
        if random.below(5) > 0 {
            acts.push(Act { at: random.pause(0, BUSY_MS), device: guest, deed: Deed::Join });
        }
        if random.below(5) > 1 {
            // Somebody goes who is neither the owner nor the guest.
            let goes = below(&mut random, size.devices.saturating_sub(2)).saturating_add(1);
            let (device, deed) =
                if random.below(2) == 0 { (goes, Deed::Leave) } else { (0, Deed::Kick(goes)) };
            acts.push(Act { at: random.pause(0, BUSY_MS), device, deed });
        }
        acts.sort_by_key(|act| act.at);
        let count = FAULTS.0.saturating_add(random.below(FAULTS.1));
        let mut faults: Vec<Strike> = (0..count).map(|_| Strike::of(&mut random, size)).collect();
        faults.sort_by_key(|strike| strike.at);
        Self { acts, faults }
    }
}

impl Strike {
    fn of(random: &mut Random, size: Size) -> Self {
        let at = random.pause(0, BUSY_MS);
        let longest = if random.below(4) == 0 { 60_000 } else { 12_000 };
        let lasts = random.pause(200, longest);
        let home = below(random, size.homes);
        let device = below(random, size.devices);
        let death = if random.below(2) == 0 { Death::Reset } else { Death::Silent };
        let (one, other) = way(random, size);
        let fault = match random.below(16) {
            0..3 => Fault::HomeDies(home, death),
            3..6 => Fault::DeviceDies(device),
            6..9 => Fault::Cut(one, other),
            9..11 => Fault::CutOneWay(one, other),
            11 => Fault::Flaps(one, other, random.below(2_500).saturating_add(100)),
            12 | 13 => Fault::Slow(one, other, u8::try_from(random.below(40)).unwrap_or(0)),
            14 => Fault::Reset(one, other),
            _ => {
                let wrong = i64::try_from(random.below(900_000)).unwrap_or(0);
                Fault::Clock(home, if random.below(2) == 0 { wrong } else { wrong.wrapping_neg() })
            }
        };
        Self { at, lasts, fault }
    }
}

/// Two that talk to each other: homes, or a device and its home.
fn way(random: &mut Random, size: Size) -> (Place, Place) {
    let swaps = random.below(2) == 0;
    let (one, other) = if random.below(3) == 0 {
        let device = below(random, size.devices);
        (Place::Device(device), Place::Home(super::world::home_of(size, device)))
    } else {
        let one = below(random, size.homes);
        let step = below(random, size.homes.saturating_sub(1)).saturating_add(1);
        let other = one.saturating_add(step).checked_rem(size.homes).unwrap_or(0);
        (Place::Home(one), Place::Home(other))
    };
    if swaps { (other, one) } else { (one, other) }
}

/// Somebody to whom `device` writes.
fn someone(random: &mut Random, size: Size, device: usize) -> usize {
    let known: Vec<usize> = pairs(size)
        .into_iter()
        .filter_map(|(one, other)| match device {
            _ if device == one => Some(other),
            _ if device == other => Some(one),
            _ => None,
        })
        .collect();
    known.get(below(random, known.len())).copied().unwrap_or(0)
}

fn below(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.below(u64::try_from(bound).unwrap_or(0))).unwrap_or(0)
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Act { at, device, deed } in &self.acts {
            writeln!(f, "{:>6} device {device}: {deed:?}", at.as_millis())?;
        }
        for Strike { at, lasts, fault } in &self.faults {
            writeln!(f, "{:>6} for {}: {fault:?}", at.as_millis(), lasts.as_millis())?;
        }
        Ok(())
    }
}

//! Rates as people write them: `5/s burst 20`.

use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

/// A token bucket: how many at once, and how fast they come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many come back in one [`Rate::unit`].
    pub count: NonZeroU32,
    /// The time that `count` is for.
    pub unit: Unit,
    /// How many may be taken at once.
    pub burst: NonZeroU32,
}

/// The time that a rate counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
}

impl Unit {
    const ALL: [(Self, &'static str, u64); 4] = [
        (Self::Second, "s", 1),
        (Self::Minute, "min", 60),
        (Self::Hour, "h", 3_600),
        (Self::Day, "d", 86_400),
    ];

    fn row(self) -> (&'static str, u64) {
        Self::ALL
            .iter()
            .find(|(unit, ..)| *unit == self)
            .map_or(("s", 1), |(_, name, seconds)| (name, *seconds))
    }
}

/// Text that is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no rate: write `5/s`, `5/s burst 20`, `3/h`, or `off`")]
pub struct NotARate(String);

impl Rate {
    /// How long one token takes to come back.
    #[must_use]
    pub fn replenish(&self) -> Duration {
        Duration::from_secs(self.unit.row().1) / self.count.get()
    }
}

impl FromStr for Rate {
    type Err = NotARate;
    fn from_str(text: &str) -> Result<Self, NotARate> {
        let wrong = || NotARate(text.to_owned());
        let mut words = text.split_whitespace();
        let (count, unit) = words.next().and_then(|word| word.split_once('/')).ok_or_else(wrong)?;
        let count: NonZeroU32 = count.parse().map_err(|_| wrong())?;
        let unit = Unit::ALL
            .iter()
            .find(|(_, name, _)| *name == unit)
            .ok_or_else(wrong)
            .map(|row| row.0)?;
        let burst = match (words.next(), words.next(), words.next()) {
            (None, ..) => count,
            (Some("burst"), Some(burst), None) => burst.parse().map_err(|_| wrong())?,
            _ => return Err(wrong()),
        };
        Ok(Self { count, unit, burst })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.count, self.unit.row().0)?;
        if self.burst != self.count {
            write!(formatter, " burst {}", self.burst)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_comes_back_as_it_was_written() {
        for text in ["5/s burst 20", "3/h", "60/h", "12/min burst 10", "1/d"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        assert_eq!("12/min".parse::<Rate>().unwrap().replenish(), Duration::from_secs(5));
        for text in
            ["", "5", "0/s", "5/week", "5/s burst", "5/s burst 0", "5/s burst 2 more", "x/s"]
        {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}

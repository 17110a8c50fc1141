//! How each kind of value is read and written.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use rookery_protocol::request::{peering::Federation, server::Registration};

use super::Rate;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Which communities of other homeservers may be moved here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adoptions {
    /// Those that somebody here belongs to.
    Members,
    /// None.
    None,
}

/// Who is asked where other homeservers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nameserver {
    /// Those that the machine asks.
    System,
    /// Nobody.
    Off,
    /// This one.
    At(SocketAddr),
}

/// Whether other homeservers may be looked for where only a local network reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateAddresses {
    /// No.
    Deny,
    /// Yes.
    Allow,
}

/// A kind of value.
pub(super) trait Value: Sized {
    fn read(text: &str) -> Result<Self, String>;
    fn write(&self) -> String;
}

/// Values whose own text forms will do.
macro_rules! by_display {
    ($($kind:ty, $what:literal;)*) => { $(
        impl Value for $kind {
            fn read(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| format!("{text:?} is not {}", $what))
            }
            fn write(&self) -> String {
                self.to_string()
            }
        }
    )* };
}

by_display! {
    SocketAddr, "an address with a port, such as 0.0.0.0:7665";
    u64, "a whole number";
    u32, "a whole number";
    String, "text";
}

impl Value for Rate {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: super::NotARate| error.to_string())
    }
    fn write(&self) -> String {
        self.to_string()
    }
}

/// Optional values: empty text, or `off` for what limits.
macro_rules! optional {
    ($($kind:ty, $absent:literal, $read:expr;)*) => { $(
        impl Value for Option<$kind> {
            fn read(text: &str) -> Result<Self, String> {
                if text == $absent || text.is_empty() {
                    return Ok(None);
                }
                let read: fn(&str) -> Result<$kind, String> = $read;
                read(text).map(Some)
            }
            fn write(&self) -> String {
                self.as_ref().map_or_else(|| $absent.to_owned(), |value| value.to_owned().write_some())
            }
        }
    )* };
}

/// The text of a value that is there.
trait WriteSome {
    fn write_some(self) -> String;
}

impl<T: ToString> WriteSome for T {
    fn write_some(self) -> String {
        self.to_string()
    }
}

optional! {
    Rate, "off", <Rate as Value>::read;
    u32, "off", <u32 as Value>::read;
    SocketAddr, "off", <SocketAddr as Value>::read;
    String, "", <String as Value>::read;
    rookery_protocol::name::ServerName, "", |text| text.parse().map_err(|error: rookery_protocol::id::NotAnId| error.to_string());
    rookery_protocol::name::HostPort, "", |text| text.parse().map_err(|error: rookery_protocol::id::NotAnId| error.to_string());
}

impl Value for Option<PathBuf> {
    fn read(text: &str) -> Result<Self, String> {
        Ok((!text.is_empty()).then(|| PathBuf::from(text)))
    }
    fn write(&self) -> String {
        self.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
    }
}

/// Whole days.
impl Value for Duration {
    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a number of days from 1 to 36500, such as 90d");
        let days: u32 =
            text.strip_suffix('d').and_then(|days| days.parse().ok()).ok_or_else(wrong)?;
        if !(1..=36_500).contains(&days) {
            return Err(wrong());
        }
        Ok(Self::from_secs(u64::from(days).saturating_mul(86_400)))
    }
    fn write(&self) -> String {
        format!("{}d", self.as_secs() / 86_400)
    }
}

/// A time that may be short: for how long something is kept in case it is needed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace(pub Duration);

/// Units, the largest first, with their seconds.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Value for Grace {
    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a time from 1s to 36500d, such as 7d, 12h or 30m");
        let (number, seconds) = UNITS
            .iter()
            .find_map(|(unit, seconds)| Some((text.strip_suffix(*unit)?, *seconds)))
            .ok_or_else(wrong)?;
        let number: u32 = number.parse().map_err(|_| wrong())?;
        let seconds = u64::from(number).saturating_mul(seconds);
        if !(1..=36_500 * 86_400).contains(&seconds) {
            return Err(wrong());
        }
        Ok(Self(Duration::from_secs(seconds)))
    }
    fn write(&self) -> String {
        let seconds = self.0.as_secs();
        let (unit, each) =
            UNITS.into_iter().find(|(_, each)| seconds.is_multiple_of(*each)).unwrap_or(('s', 1));
        format!("{}{unit}", seconds.checked_div(each).unwrap_or(seconds))
    }
}

impl Value for Registration {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "closed" => Ok(Self::Closed),
            "invite" => Ok(Self::Invite),
            "open" => Ok(Self::Open),
            _ => Err(format!("{text:?} is not one of closed, invite, open")),
        }
    }
    fn write(&self) -> String {
        match self {
            Self::Closed => "closed",
            Self::Invite => "invite",
            Self::Open => "open",
        }
        .to_owned()
    }
}

impl Value for LogFormat {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("{text:?} is not one of text, json")),
        }
    }
    fn write(&self) -> String {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
        .to_owned()
    }
}

impl Value for Federation {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "allowlist" => Ok(Self::Allowlist),
            "open" => Ok(Self::Open),
            "off" => Ok(Self::Off),
            _ => Err(format!("{text:?} is not one of allowlist, open, off")),
        }
    }
    fn write(&self) -> String {
        match self {
            Self::Allowlist => "allowlist",
            Self::Open => "open",
            Self::Off => "off",
        }
        .to_owned()
    }
}

impl Value for Adoptions {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "members" => Ok(Self::Members),
            "none" => Ok(Self::None),
            _ => Err(format!("{text:?} is not one of members, none")),
        }
    }
    fn write(&self) -> String {
        match self {
            Self::Members => "members",
            Self::None => "none",
        }
        .to_owned()
    }
}

impl Value for Nameserver {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "system" => Ok(Self::System),
            "off" => Ok(Self::Off),
            _ => text.parse().map(Self::At).map_err(|_| {
                format!("{text:?} is not one of system, off, or an address with a port, such as 127.0.0.1:53")
            }),
        }
    }
    fn write(&self) -> String {
        match self {
            Self::System => "system".to_owned(),
            Self::Off => "off".to_owned(),
            Self::At(address) => address.to_string(),
        }
    }
}

impl Value for PrivateAddresses {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "deny" => Ok(Self::Deny),
            "allow" => Ok(Self::Allow),
            _ => Err(format!("{text:?} is not one of deny, allow")),
        }
    }
    fn write(&self) -> String {
        match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
        }
        .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_time_has_a_unit_and_comes_back_in_the_largest_that_fits() {
        for (text, seconds, written) in [
            ("7d", 604_800, "7d"),
            ("12h", 43_200, "12h"),
            ("48h", 172_800, "2d"),
            ("90s", 90, "90s"),
            ("60s", 60, "1m"),
            ("36500d", 3_153_600_000, "36500d"),
        ] {
            let read = Grace::read(text).unwrap();
            assert_eq!((read.0.as_secs(), read.write().as_str()), (seconds, written), "{text}");
        }
        for text in ["", "7", "d", "0s", "-1d", "1.5h", "36501d", "7 d", "7w", "99999999999s"] {
            assert!(Grace::read(text).is_err(), "{text}");
        }
    }
}

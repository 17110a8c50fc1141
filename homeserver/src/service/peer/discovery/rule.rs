//! What holds whoever is asked: which word counts for more, how long it is kept, and to which addresses nobody's word leads.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use rookery_protocol::{
    name::{DEFAULT_PORT, HostPort, ServerName},
    request::discovery::Rank,
    time::Timestamp,
};

use crate::repository::peer::StoredFinding;

/// All who may say where a homeserver is, the one whose word counts most first. That is the order in which places are tried.
pub const RANKS: [Rank; 5] = [Rank::Override, Rank::Record, Rank::WellKnown, Rank::Srv, Rank::Name];

/// How long a published document is kept that does not say how long: a day.
const KEPT: Duration = Duration::from_hours(24);
/// The bounds of what it may say: an hour, so that nobody has us ask all the time; a week, so that nobody's mistake lasts.
const SHORTEST: Duration = Duration::from_hours(1);
const LONGEST: Duration = Duration::from_hours(7 * 24);
/// How long it is kept that there is none.
pub const ABSENT: Duration = Duration::from_hours(1);
/// How long nobody asks again where no answer came. Short: it says nothing of who was looked for.
pub const SILENT: Duration = Duration::from_mins(1);
/// The port that a homeserver behind a strict firewall's only hole listens on, beside the usual one.
const HTTPS_PORT: u16 = 443;
/// How many targets of SRV records are looked at.
const MAX_TARGETS: usize = 4;

/// How long a published document is kept whose server says `max_age`.
#[must_use]
pub fn lifetime(max_age: Option<Duration>) -> Duration {
    max_age.unwrap_or(KEPT).clamp(SHORTEST, LONGEST)
}

/// One place where a homeserver may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Who says so.
    pub rank: Rank,
    /// Where.
    pub place: HostPort,
    /// The address at which it has proven itself before, for when the place's own cannot be found out.
    pub reached: Option<SocketAddr>,
}

/// What somebody says about where a homeserver is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// There, in this order.
    There(Vec<HostPort>),
    /// Nowhere; and why, for people.
    Nowhere(String),
    /// Nothing, because no answer came; and why. What was heard before stands.
    Silence(String),
}

/// Where to try, as the one of `rank` has it, who was `known` to have said something before.
#[must_use]
pub fn candidates(rank: Rank, word: &Word, known: &[StoredFinding]) -> Vec<Candidate> {
    let known = known.iter().find(|finding| finding.rank == rank);
    match word {
        Word::There(places) => places
            .iter()
            .map(|place| Candidate {
                rank,
                place: place.clone(),
                reached: known
                    .filter(|known| known.place == *place)
                    .and_then(|known| known.reached),
            })
            .collect(),
        Word::Nowhere(_) => vec![],
        Word::Silence(_) => known
            .map(|known| Candidate { rank, place: known.place.clone(), reached: known.reached })
            .into_iter()
            .collect(),
    }
}

/// What is to be written down when somebody says where a homeserver is, beside what is `known`; nothing when that is known already. An
/// administrator's word is kept elsewhere, and each other word takes the place of what the same one said before only.
#[must_use]
pub fn news(known: &[StoredFinding], heard: StoredFinding) -> Option<StoredFinding> {
    let former = known.iter().find(|finding| finding.rank == heard.rank);
    let former = former.filter(|former| former.place == heard.place);
    let reached = heard.reached.or_else(|| former.and_then(|former| former.reached));
    let heard = StoredFinding { reached, ..heard };
    (heard.rank != Rank::Override && former != Some(&heard)).then_some(heard)
}

/// Where a homeserver is that says nothing but its name.
#[must_use]
pub fn by_name(name: &ServerName) -> Vec<HostPort> {
    [DEFAULT_PORT, HTTPS_PORT].map(|port| HostPort { host: name.to_string(), port }).to_vec()
}

/// One SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrvRecord {
    /// Lower ones are tried first.
    pub priority: u16,
    /// Among equals, higher ones are tried first.
    pub weight: u16,
    /// Where it listens.
    pub port: u16,
    /// On which host; `.` says that there is no such service.
    pub target: String,
}

/// Where SRV records point, in the order in which that is tried. What is no host is left out.
#[must_use]
pub fn by_srv(mut records: Vec<SrvRecord>) -> Vec<HostPort> {
    records.sort_by_key(|record| (record.priority, std::cmp::Reverse(record.weight)));
    let places = records.iter().filter_map(|record| {
        let host: ServerName = record.target.trim_end_matches('.').to_lowercase().parse().ok()?;
        (record.port != 0).then(|| HostPort { host: host.to_string(), port: record.port })
    });
    places.take(MAX_TARGETS).collect()
}

/// What keeps this server from connecting to `address` on a stranger's word, if anything does: a name that leads there would have it talk to
/// machines that its firewall shields (IANA's registries of special-purpose addresses, RFC 6890).
#[must_use]
pub fn denied(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(four) => denied_v4(four),
        IpAddr::V6(six) => denied_v6(six),
    }
}

fn denied_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [first, second, third, _] = address.octets();
    Some(match (first, second, third) {
        (0, ..) => "unspecified",
        (127, ..) => "loopback",
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => "private",
        (169, 254, _) => "link-local",
        (100, 64..=127, _) => "shared by a provider's customers",
        (224..=239, ..) => "multicast",
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => {
            "set apart"
        }
        (240..=255, ..) => "reserved",
        _ => return None,
    })
}

fn denied_v6(address: Ipv6Addr) -> Option<&'static str> {
    let [first, second, third, fourth, fifth, sixth, seventh, eighth] = address.segments();
    let four = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    Some(match (first, second) {
        _ if address.is_unspecified() => "unspecified",
        _ if address.is_loopback() => "loopback",
        // IPv4 in other clothes: mapped, translated (RFC 6052), 6to4.
        (0, 0) if (third, fourth, fifth, sixth) == (0, 0, 0, 0xffff) => {
            return denied_v4(four(seventh, eighth));
        }
        (0x64, 0xff9b) if (third, fourth, fifth, sixth) == (0, 0, 0, 0) => {
            return denied_v4(four(seventh, eighth));
        }
        (0x2002, high) => return denied_v4(four(high, third)),
        (0xfc00..=0xfdff, _) => "private",
        (0xfe80..=0xfebf, _) => "link-local",
        (0xfec0..=0xfeff, _) => "site-local",
        (0xff00..=0xffff, _) => "multicast",
        // Teredo, documentation, and what else is not handed out as an address of somebody.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff) => "set apart",
        (0x2000..=0x3fff, _) => return None,
        _ => "reserved",
    })
}

/// What was heard of whom, for as long as it is to be kept.
#[derive(Clone, Debug)]
pub struct Memory<T> {
    kept: BTreeMap<String, (Timestamp, T)>,
    most: usize,
}

impl<T> Memory<T> {
    /// One that holds at most so many.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self { kept: BTreeMap::new(), most }
    }

    /// What is kept of `about`. Nothing is kept for longer than a week, wherever the clock goes.
    #[must_use]
    pub fn recall(&self, about: &str, now: Timestamp) -> Option<&T> {
        let (until, kept) = self.kept.get(about)?;
        (*until > now && until.since(now) <= LONGEST).then_some(kept)
    }

    /// Keeps `heard`, in place of what was kept. What ends first makes room.
    pub fn keep(&mut self, about: &str, heard: T, span: Duration, now: Timestamp) {
        if self.kept.len() >= self.most && !self.kept.contains_key(about) {
            self.kept.retain(|_, (until, _)| *until > now);
            while self.kept.len() >= self.most {
                let first = self.kept.iter().min_by_key(|(_, (until, _))| *until);
                let Some(first) = first.map(|(about, _)| about.clone()) else { break };
                self.kept.remove(&first);
            }
        }
        self.kept.insert(about.to_owned(), (now.plus(span.min(LONGEST)), heard));
    }

    /// Forgets what is kept of `about`.
    pub fn forget(&mut self, about: &str) {
        self.kept.remove(about);
    }
}

#[cfg(test)]
mod tests;

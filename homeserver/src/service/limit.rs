//! Token buckets: how often who may do what.
//!
//! GCRA (the virtual scheduling form of a leaky bucket, ITU-T I.371) by governor: one number a key. A class of requests has up to three
//! buckets, by device, user and address; the tightest one answers. Keys that have been quiet are forgotten.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock as GovernorClock, Reference},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::keyed::DashMapStateStore,
};
use rookery_protocol::{
    id::{DeviceId, ServerId, UserId},
    name::UserName,
    request::{RateClass, Refusal},
    session::Principal,
    time::Clock,
};

use crate::config::{Limits, Rate};

/// How many keys one bucket remembers before it looks for quiet ones. At 100 bytes a key that is 10 MiB a bucket.
const MAX_KEYS: usize = 100_000;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// A class of requests.
    Class(RateClass),
    /// Opening and refreshing sessions, which prove a key and check no password.
    Open,
    /// Passwords tried for one account.
    Password,
    /// Registrations at the whole server.
    Registrations,
    /// Pairs of a user and a device of somebody else, claimed for the first time.
    ClaimPairs,
    /// One-time keys given out for one user.
    ClaimTarget,
    /// Statements in the logs of communities.
    Statements,
    /// Meeting places.
    Places,
    /// New connections.
    Handshake,
    /// People of a peer who write to somebody here for the first time.
    PeerStrangers,
    /// What is written down of a peer's users: their chains and names.
    PeerCopies,
    /// What one user of a peer hands over.
    PeerSender,
    /// Changes of contacts that a peer hands over.
    PeerContacts,
    /// People of a peer who join communities.
    PeerJoins,
    /// Look-ups of other homeservers.
    Fetches,
}

/// Who is limited.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// One device.
    Device(DeviceId),
    /// One user.
    User(UserId),
    /// One address: an IPv4 address or an IPv6 /64.
    Address([u8; 8]),
    /// One account by its name, which need not exist.
    Name(UserName),
    /// One peer, by its root.
    Peer(ServerId),
    /// Everybody together.
    Server,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Scope {
    Device,
    User,
    Address,
    Name,
    Peer,
    Server,
}

impl Subject {
    /// The subject that an address is.
    #[must_use]
    pub fn address(address: IpAddr) -> Self {
        let mut key = [0; 8];
        match address.to_canonical() {
            IpAddr::V4(four) => key.split_at_mut(4).0.copy_from_slice(&four.octets()),
            // A subscriber has a /64 at least: its other half is free to choose.
            IpAddr::V6(six) => key.copy_from_slice(six.octets().split_at(8).0),
        }
        Self::Address(key)
    }

    fn scope(&self) -> Scope {
        match self {
            Self::Device(_) => Scope::Device,
            Self::User(_) => Scope::User,
            Self::Address(_) => Scope::Address,
            Self::Name(_) => Scope::Name,
            Self::Peer(_) => Scope::Peer,
            Self::Server => Scope::Server,
        }
    }
}

/// The clock as governor wants it: time since 1970.
#[derive(Clone)]
struct Watch(Arc<dyn Clock>);

impl GovernorClock for Watch {
    type Instant = Moment;
    fn now(&self) -> Moment {
        Moment(Duration::from_millis(self.0.now().as_millis()))
    }
}

/// A moment on that clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment(Duration);

impl std::ops::Add<Nanos> for Moment {
    type Output = Self;
    fn add(self, more: Nanos) -> Self {
        Self(self.0.saturating_add(Duration::from(more)))
    }
}

impl Reference for Moment {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }
    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.checked_sub(duration.into()).unwrap_or(self.0))
    }
}

type Keyed = RateLimiter<Subject, DashMapStateStore<Subject>, Watch, NoOpMiddleware<Moment>>;

/// All buckets.
pub struct Limiter {
    clock: Watch,
    buckets: HashMap<(Bucket, Scope), Keyed>,
}

impl Limiter {
    /// The buckets that `limits` asks for.
    #[must_use]
    pub fn new(limits: &Limits, clock: Arc<dyn Clock>) -> Self {
        use Bucket::{
            ClaimPairs, ClaimTarget, Class, Fetches, Handshake, Open, Password, PeerContacts,
            PeerCopies, PeerJoins, PeerSender, PeerStrangers, Places, Registrations, Statements,
        };
        let clock = Watch(clock);
        let rows: [(Bucket, Scope, Option<Rate>); 36] = [
            (Class(RateClass::Read), Scope::Device, limits.read_device),
            (Class(RateClass::Read), Scope::User, limits.read_user),
            (Class(RateClass::Read), Scope::Address, limits.read_address),
            (Class(RateClass::Post), Scope::Device, limits.post_device),
            (Class(RateClass::Post), Scope::User, limits.post_user),
            (Class(RateClass::Receipt), Scope::Device, limits.receipt_device),
            (Class(RateClass::Login), Scope::Address, limits.login_address),
            (Class(RateClass::Login), Scope::User, limits.login_account),
            (Password, Scope::Name, limits.login_account),
            (Open, Scope::Address, limits.open_address),
            (Class(RateClass::Register), Scope::Address, limits.register_address),
            (Registrations, Scope::Server, limits.register_server),
            (Class(RateClass::Claim), Scope::User, limits.claim_user),
            (ClaimPairs, Scope::User, limits.claim_pairs),
            (ClaimTarget, Scope::User, limits.claim_target),
            (Class(RateClass::Contact), Scope::User, limits.contact_user),
            (Class(RateClass::Account), Scope::User, limits.account_user),
            (Class(RateClass::Link), Scope::Device, limits.link_device),
            (Places, Scope::User, limits.link_places),
            (Class(RateClass::Follow), Scope::Device, limits.follow_device),
            (Class(RateClass::Ephemera), Scope::Device, limits.ephemera_device),
            (Class(RateClass::Journal), Scope::Device, limits.journal_device),
            (Class(RateClass::Community), Scope::User, limits.community_user),
            (Class(RateClass::File), Scope::User, limits.file_user),
            (Statements, Scope::User, limits.statement_user),
            (Class(RateClass::PeerHandshake), Scope::Address, limits.peer_handshake_address),
            (Class(RateClass::PeerRead), Scope::Peer, limits.peer_read),
            (Class(RateClass::PeerClaim), Scope::Peer, limits.peer_claim),
            (Class(RateClass::PeerForward), Scope::Peer, limits.peer_forward),
            (PeerStrangers, Scope::Peer, limits.peer_strangers),
            (PeerCopies, Scope::Peer, limits.peer_copies),
            (PeerSender, Scope::User, limits.peer_sender),
            (PeerContacts, Scope::Peer, limits.peer_contacts),
            (PeerJoins, Scope::Peer, limits.peer_joins),
            (Fetches, Scope::Address, limits.fetch_address),
            (Fetches, Scope::Server, limits.fetch_server),
        ];
        let mut buckets = HashMap::new();
        let handshake = (Handshake, Scope::Address, limits.handshake_address);
        for (bucket, scope, rate) in rows.into_iter().chain([handshake]) {
            if let Some(rate) = rate
                && let Some(quota) = Quota::with_period(rate.replenish())
            {
                let quota = quota.allow_burst(rate.burst);
                buckets.insert(
                    (bucket, scope),
                    RateLimiter::new(quota, DashMapStateStore::default(), clock.clone()),
                );
            }
        }
        Self { clock, buckets }
    }

    /// Takes a token of `subject` from `bucket`.
    pub fn take(&self, bucket: Bucket, subject: &Subject) -> Result<(), Refusal> {
        let Some(limiter) = self.buckets.get(&(bucket, subject.scope())) else { return Ok(()) };
        if limiter.len() > MAX_KEYS {
            limiter.retain_recent();
        }
        limiter.check_key(subject).map_err(|not_until| {
            metrics::counter!("rookery_ratelimit_hits_total", "bucket" => format!("{bucket:?}"))
                .increment(1);
            let wait = not_until.wait_time_from(self.clock.now());
            let retry_after_ms =
                u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
            Refusal::Throttled { retry_after_ms }
        })
    }

    /// Charges a call of `class` to whoever makes it.
    pub fn charge(
        &self,
        class: RateClass,
        principal: &Principal,
        address: IpAddr,
    ) -> Result<(), Refusal> {
        let bucket = Bucket::Class(class);
        match principal {
            Principal::Administrator => Ok(()),
            Principal::Peer(root) => self.take(bucket, &Subject::Peer(*root)),
            Principal::Anonymous => self.take(bucket, &Subject::address(address)),
            Principal::Uncertified(who) | Principal::Device(who) => {
                self.take(bucket, &Subject::Device(who.device))?;
                self.take(bucket, &Subject::User(who.user))
            }
        }
    }

    /// Forgets keys that have been quiet for as long as their bucket takes to fill.
    pub fn forget_quiet(&self) {
        self.buckets.values().for_each(RateLimiter::retain_recent);
    }
}

#[cfg(test)]
mod tests {
    use rookery_protocol::time::{ManualClock, Timestamp};

    use super::*;
    use crate::config::Loaded;

    #[test]
    fn what_is_throttled_is_told_when_to_come_back_and_may_then() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_000_000)));
        let mut loaded = Loaded::default();
        loaded.set("limits.post_device", "1/s burst 2", crate::config::Source::Default).unwrap();
        let limiter = Limiter::new(&loaded.config.limits, clock.clone());
        let device = Subject::Device(DeviceId::from_bytes([1; 32]));
        let bucket = Bucket::Class(RateClass::Post);
        assert!(limiter.take(bucket, &device).is_ok() && limiter.take(bucket, &device).is_ok());
        let Err(Refusal::Throttled { retry_after_ms }) = limiter.take(bucket, &device) else {
            panic!("not throttled")
        };
        let other = Subject::Device(DeviceId::from_bytes([2; 32]));
        assert!(limiter.take(bucket, &other).is_ok());
        clock.advance(Duration::from_millis(retry_after_ms));
        assert!(limiter.take(bucket, &device).is_ok());
    }

    #[test]
    fn all_of_a_subscriber_s_addresses_are_one() {
        let one = Subject::address("2001:db8::1".parse().unwrap());
        assert_eq!(one, Subject::address("2001:db8::ffff:1".parse().unwrap()));
        assert_ne!(one, Subject::address("2001:db8:0:1::1".parse().unwrap()));
        assert_eq!(
            Subject::address("::ffff:1.2.3.4".parse().unwrap()),
            Subject::address("1.2.3.4".parse().unwrap())
        );
    }
}

//! A network within the process: what the simulation in `tests/` plays whole worlds over, in virtual time.
//!
//! Whatever a thread dials or binds goes here while it has entered a [`Network`]. The streams over it are those of the carrier over TCP; there is no TLS
//! beneath, and what would be its exporters are numbers that both ends are given. Only the feature `simulation` has any of this, and no program of
//! ours enters a network but the simulation: whoever could have a thread do so could as well read its keys.
//!
//! Places are numbered ([`Spot`]). One way from a spot to another has a [`Weather`]: how long bytes take, how many are lost, and whether any arrive.
//! What is lost comes late, as TCP would send it again.

pub(super) mod wire;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

use self::wire::{End, Wire};
use super::tls::Protocol;
use crate::{id::ServerId, session::peer::Exporters};

/// The port of every address.
const PORT: u16 = 4433;
/// Who may wait at a place to be taken in; more are refused.
const WAITING: usize = 256;
/// How long lost bytes take until they were sent again.
const AGAIN: (u64, u64) = (200, 1_200);

/// A place on the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot(pub u8);

impl Spot {
    /// Where this spot listens.
    #[must_use]
    pub const fn listens(self) -> SocketAddr {
        Self(0).reaches(self)
    }

    /// Where this spot reaches `other`: each has an address of its own for each, which is how it is known who dials.
    #[must_use]
    pub const fn reaches(self, other: Self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, other.0, self.0, 1)), PORT)
    }

    /// Who reaches whom at `address`.
    fn parse(address: SocketAddr) -> Option<(Self, Self)> {
        match address.ip() {
            IpAddr::V4(ip) => {
                let [_, to, from, _] = ip.octets();
                Some((Self(from), Self(to)))
            }
            IpAddr::V6(_) => None,
        }
    }
}

/// How one way is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// How long bytes take at least.
    pub delay: Duration,
    /// How much longer they may take.
    pub jitter: Duration,
    /// How many of a hundred pieces are lost and sent again.
    pub loss: u8,
    /// Whether nothing arrives: what is sent waits.
    pub is_cut: bool,
}

impl Weather {
    /// A good way.
    pub const FAIR: Self = Self {
        delay: Duration::from_millis(10),
        jitter: Duration::from_millis(5),
        loss: 0,
        is_cut: false,
    };
}

/// How something ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The system tells the other ends at once, as when a process is killed.
    Reset,
    /// Nobody is told, as when a machine loses power: the other ends find out when their time is up.
    Silent,
}

/// After how long without a word a connection counts as lost, as the carriers have it.
const UNHEARD: Duration = Duration::from_mins(1);

thread_local! {
    static HERE: RefCell<Option<Network>> = const { RefCell::new(None) };
}

/// One network. Copies are the same one.
#[derive(Clone, Debug)]
pub struct Network(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    seed: u64,
    random: Draw,
    listening: BTreeMap<Spot, Listening>,
    weather: BTreeMap<(Spot, Spot), Weather>,
    /// How often each spot has died: what it had begun before ends with it.
    lives: BTreeMap<Spot, u32>,
    wires: Vec<Weak<Wire>>,
    /// How many connections each has made to each.
    dialled: BTreeMap<(Spot, Spot), u64>,
    is_quiet: BTreeMap<Spot, bool>,
}

#[derive(Clone, Debug)]
struct Listening {
    root: Option<ServerId>,
    incoming: mpsc::Sender<Dialled>,
}

/// Somebody who has dialled.
#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) end: End,
    pub(super) remote: SocketAddr,
    pub(super) agreed: Agreed,
}

/// What both ends of a connection know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agreed {
    pub(super) protocol: Protocol,
    pub(super) exporter: [u8; 32],
    pub(super) peer_exporters: Exporters,
}

/// The thread is on the network for as long as this lives.
#[derive(Debug)]
pub struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        HERE.set(None);
    }
}

impl Network {
    /// A network whose every draw follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = State {
            seed,
            random: Draw(seed),
            listening: BTreeMap::new(),
            weather: BTreeMap::new(),
            lives: BTreeMap::new(),
            wires: vec![],
            dialled: BTreeMap::new(),
            is_quiet: BTreeMap::new(),
        };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() }))
    }

    /// Has this thread dial and bind here until the guard is dropped.
    #[must_use]
    pub fn enter(&self) -> Entered {
        HERE.set(Some(self.clone()));
        Entered(())
    }

    /// The network that this thread is on, if it is on one.
    #[must_use]
    pub fn here() -> Option<Self> {
        HERE.with_borrow(Clone::clone)
    }

    /// A number that follows from the seed and from what was drawn before.
    #[must_use]
    pub fn draw(&self) -> u64 {
        self.state().draw()
    }

    /// From now on the way from `from` to `to` is as `weather` says.
    pub fn set(&self, from: Spot, to: Spot, weather: Weather) {
        let wires = {
            let mut state = self.state();
            state.weather.insert((from, to), weather);
            state.wires()
        };
        for wire in wires {
            wire.wake();
        }
        self.0.changed.notify_waiters();
    }

    /// How the way from `from` to `to` is.
    #[must_use]
    pub fn weather(&self, from: Spot, to: Spot) -> Weather {
        self.state().weather(from, to)
    }

    /// Ends all connections between `one` and `other`, as a box between them does that has forgotten them.
    pub fn reset(&self, one: Spot, other: Spot) {
        let wires = self.state().wires();
        let now = Instant::now();
        for wire in
            wires.iter().filter(|wire| wire.spots == [one, other] || wire.spots == [other, one])
        {
            wire.break_at([Some(now), Some(now)]);
        }
    }

    /// Ends whatever `spot` has: it listens no more, and its connections are dead, which the other ends hear of as `death` says.
    pub fn kill(&self, spot: Spot, death: Death) {
        let wires = {
            let mut state = self.state();
            state.listening.remove(&spot);
            state.is_quiet.insert(spot, death == Death::Silent);
            let lives = state.lives.entry(spot).or_default();
            *lives = lives.wrapping_add(1);
            state.wires()
        };
        let now = Instant::now();
        let told = match death {
            Death::Reset => now,
            Death::Silent => now.checked_add(UNHEARD).unwrap_or(now),
        };
        for wire in wires {
            let [dialling, dialled] = wire.spots;
            if dialling == spot {
                wire.break_at([Some(now), Some(told)]);
            } else if dialled == spot {
                wire.break_at([Some(told), Some(now)]);
            }
        }
        self.0.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens at `address`.
    pub(super) fn bind(
        &self,
        address: SocketAddr,
        root: Option<ServerId>,
    ) -> Option<mpsc::Receiver<Dialled>> {
        let (_, spot) = Spot::parse(address)?;
        let (incoming, dialled) = mpsc::channel(WAITING);
        let mut state = self.state();
        state.is_quiet.remove(&spot);
        state.listening.insert(spot, Listening { root, incoming });
        drop(state);
        self.0.changed.notify_waiters();
        Some(dialled)
    }

    /// Reaches whoever listens at `address`; waits while nothing comes through, or nobody says that nobody is there.
    pub(super) async fn dial(&self, address: SocketAddr, protocol: Protocol) -> Dial {
        let Some((from, to)) = Spot::parse(address) else { return Dial::Refused };
        let life = self.state().life(from);
        loop {
            let changed = self.0.changed.notified();
            let there = self.state().weather(from, to);
            let back = self.state().weather(to, from);
            if there.is_cut || back.is_cut || self.state().is_quiet(to) {
                changed.await;
                continue;
            }
            tokio::time::sleep(there.delay.saturating_add(back.delay)).await;
            let mut state = self.state();
            if state.life(from) != life {
                return Dial::Refused;
            }
            if state.weather(from, to).is_cut
                || state.weather(to, from).is_cut
                || state.is_quiet(to)
            {
                continue;
            }
            let Some(Listening { root, incoming }) = state.listening.get(&to).cloned() else {
                return Dial::Refused;
            };
            let agreed = Agreed {
                protocol,
                exporter: state.bytes(),
                peer_exporters: Exporters { initiator: state.bytes(), responder: state.bytes() },
            };
            let number = state.dialled.entry((from, to)).or_default();
            *number = number.wrapping_add(1);
            let wire = Arc::new(Wire::new(self.clone(), [from, to], *number));
            state.wires.retain(|wire| wire.strong_count() > 0);
            state.wires.push(Arc::downgrade(&wire));
            drop(state);
            let [near, far] = wire.ends();
            let dialled = Dialled { end: far, remote: from.listens(), agreed };
            if incoming.try_send(dialled).is_err() {
                return Dial::Refused;
            }
            return Dial::Reached { root, end: near, agreed };
        }
    }

    /// How long something takes that is sent now from `from` to `to`, as the piece `piece` of the connection `number` between them. It does not
    /// depend on what others send meanwhile.
    fn takes(&self, from: Spot, to: Spot, (number, piece): (u64, u64)) -> Duration {
        let state = self.state();
        let weather = state.weather(from, to);
        let place = u64::from(from.0).rotate_left(56) ^ u64::from(to.0).rotate_left(48);
        let mut draw = Draw(state.seed ^ place ^ number.rotate_left(24) ^ piece);
        let jitter = u64::try_from(weather.jitter.as_millis()).unwrap_or(0);
        let jitter = draw.next().checked_rem(jitter.saturating_add(1)).unwrap_or(0);
        let mut takes = weather.delay.saturating_add(Duration::from_millis(jitter));
        if weather.loss > 0 && draw.next() % 100 < u64::from(weather.loss) {
            let again = AGAIN.0.saturating_add(
                draw.next().checked_rem(AGAIN.1.saturating_sub(AGAIN.0)).unwrap_or(0),
            );
            takes = takes.saturating_add(Duration::from_millis(again));
        }
        takes
    }
}

/// `SplitMix64`.
#[derive(Debug)]
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// What comes of dialling.
#[derive(Debug)]
pub(super) enum Dial {
    /// Nobody listens there.
    Refused,
    /// Somebody does.
    Reached {
        /// The root key of the server there.
        root: Option<ServerId>,
        /// The near end.
        end: End,
        /// What both ends know.
        agreed: Agreed,
    },
}

impl State {
    fn draw(&mut self) -> u64 {
        self.random.next()
    }

    fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.draw().to_be_bytes());
        }
        bytes
    }

    fn weather(&self, from: Spot, to: Spot) -> Weather {
        self.weather.get(&(from, to)).copied().unwrap_or(Weather::FAIR)
    }

    fn life(&self, spot: Spot) -> u32 {
        self.lives.get(&spot).copied().unwrap_or_default()
    }

    fn is_quiet(&self, spot: Spot) -> bool {
        self.is_quiet.get(&spot).copied().unwrap_or_default()
    }

    fn wires(&self) -> Vec<Arc<Wire>> {
        self.wires.iter().filter_map(Weak::upgrade).collect()
    }
}

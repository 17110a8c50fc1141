//! Connections as services know them: who sits where, and who has to go.
//!
//! A [`Seat`] is one connection's place. It begins anonymous and is raised by `session/open`; what ends a session, revokes a device or
//! disables an account ends the seats in question at once (within a second), and whoever carries the connection closes it.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rookery_protocol::{
    id::{DeviceId, ServerId, SessionId, UserId},
    io::client::Client,
    session::{
        Authenticated, Principal,
        peer::{Answering, Exporters},
    },
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long an answer may take to get out before its connection is closed: less than the second that an ended session may last.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Why a connection has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The session is over, the device revoked, or the account disabled.
    Session,
    /// A newer connection takes its place.
    Replaced,
}

/// What a connection between homeservers has beside its seat.
#[derive(Debug)]
pub struct PeerSide {
    /// What both sides' proofs cover.
    pub exporters: Exporters,
    /// How the other side is asked over the same connection.
    pub client: Client,
    answering: Mutex<Option<Answering>>,
}

impl PeerSide {
    /// Of a connection that nothing was said on.
    #[must_use]
    pub fn new(exporters: Exporters, client: Client) -> Self {
        Self { exporters, client, answering: Mutex::default() }
    }

    /// Keeps what a greeting was answered with, in place of any before.
    pub fn begin(&self, answering: Answering) {
        *self.answering.lock().unwrap_or_else(PoisonError::into_inner) = Some(answering);
    }

    /// Takes that: a proof is tried once.
    pub fn take(&self) -> Option<Answering> {
        self.answering.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// One connection's place.
#[derive(Debug)]
pub struct Seat {
    number: u64,
    address: IpAddr,
    exporter: [u8; 32],
    peer: Option<PeerSide>,
    principal: RwLock<Principal>,
    ended: Mutex<Option<Ended>>,
    end: CancellationToken,
    /// Cancelled when the seat is raised.
    raised: CancellationToken,
    /// Whether the connection is gone. Changed under [`Seats::rows`] alone.
    gone: AtomicBool,
}

impl Seat {
    /// Who has proven what here.
    #[must_use]
    pub fn principal(&self) -> Principal {
        *self.principal.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the other end was when it connected.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// What a device's proof covers.
    #[must_use]
    pub fn exporter(&self) -> &[u8; 32] {
        &self.exporter
    }

    /// What it has as a connection between homeservers, if it is one.
    #[must_use]
    pub fn peer_side(&self) -> Option<&PeerSide> {
        self.peer.as_ref()
    }

    /// Waits until the connection has to end. Cancel-safe.
    pub async fn ended(&self) -> Ended {
        self.end.cancelled().await;
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(Ended::Session)
    }

    /// Waits until somebody has proven something here. Cancel-safe.
    pub async fn raised(&self) {
        self.raised.cancelled().await;
    }

    fn end(&self, reason: Ended) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.end.cancel();
    }
}

/// Everybody who is connected.
#[derive(Debug, Default)]
pub struct Seats {
    next: AtomicU64,
    rows: Mutex<Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    by_address: HashMap<IpAddr, u32>,
    by_user: HashMap<UserId, Vec<Arc<Seat>>>,
    by_peer: HashMap<ServerId, Vec<Arc<Seat>>>,
    taken: u64,
    anonymous: u64,
}

/// How many connections a peer may have: the one in use of each side, and those that replace them.
const PER_PEER: usize = 4;

/// How many connections a device and a user may have.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// Of one device.
    pub device: Option<u32>,
    /// Of one user.
    pub user: Option<u32>,
}

impl Seats {
    /// Gives a new connection from `address` its seat, unless `limit` of them are there already.
    pub fn sit(
        &self,
        address: IpAddr,
        exporter: [u8; 32],
        limit: Option<u32>,
    ) -> Option<Arc<Seat>> {
        self.sit_as(address, exporter, None, limit)
    }

    /// The same for a connection between homeservers, when `peer` says what that has.
    pub fn sit_as(
        &self,
        address: IpAddr,
        exporter: [u8; 32],
        peer: Option<PeerSide>,
        limit: Option<u32>,
    ) -> Option<Arc<Seat>> {
        let mut rows = self.rows();
        let count = rows.by_address.entry(address).or_default();
        if limit.is_some_and(|limit| *count >= limit) {
            return None;
        }
        *count = count.saturating_add(1);
        rows.taken = rows.taken.saturating_add(1);
        rows.anonymous = rows.anonymous.saturating_add(1);
        drop(rows);
        Some(Arc::new(self.seat(address, exporter, peer, Principal::Anonymous)))
    }

    /// The administrator's seat, which is no connection of the network and counts for nothing.
    #[must_use]
    pub fn administrator(&self) -> Arc<Seat> {
        Arc::new(self.seat(IpAddr::from([127, 0, 0, 1]), [0; 32], None, Principal::Administrator))
    }

    fn seat(
        &self,
        address: IpAddr,
        exporter: [u8; 32],
        peer: Option<PeerSide>,
        principal: Principal,
    ) -> Seat {
        Seat {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            address,
            exporter,
            peer,
            principal: RwLock::new(principal),
            ended: Mutex::new(None),
            end: CancellationToken::new(),
            raised: CancellationToken::new(),
            gone: AtomicBool::new(false),
        }
    }

    /// Raises a seat, unless its connection is gone. The oldest connections beyond `crowd` are ended: the newest is the one that works.
    pub fn raise(&self, seat: &Arc<Seat>, principal: Principal, crowd: Crowd) {
        let (Principal::Device(who) | Principal::Uncertified(who)) = principal else { return };
        let mut rows = self.rows();
        if seat.gone.load(Ordering::Relaxed) {
            return;
        }
        let former = {
            let mut current = seat.principal.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, principal)
        };
        match former {
            Principal::Anonymous => rows.anonymous = rows.anonymous.saturating_sub(1),
            Principal::Device(old) | Principal::Uncertified(old) => {
                rows.forget(seat.number, old.user);
            }
            Principal::Peer(_) | Principal::Administrator => {}
        }
        let seats = rows.by_user.entry(who.user).or_default();
        seats.push(Arc::clone(seat));
        let of_device = |seat: &Arc<Seat>| seat.device() == Some(who.device);
        let surplus = |count: usize, limit: Option<u32>| {
            limit.map_or(0, |limit| {
                count.saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX))
            })
        };
        let too_many = surplus(seats.iter().filter(|seat| of_device(seat)).count(), crowd.device);
        seats
            .iter()
            .filter(|seat| of_device(seat))
            .take(too_many)
            .for_each(|seat| seat.end(Ended::Replaced));
        let too_many = surplus(seats.len(), crowd.user);
        seats.iter().take(too_many).for_each(|seat| seat.end(Ended::Replaced));
        drop(rows);
        seat.raised.cancel();
    }

    /// Raises a connection between homeservers, whose other end has proven that root, and says whether it did: one that is gone, or that
    /// somebody has proven something on already, stays what it is. The oldest beyond a few are ended.
    pub fn raise_peer(&self, seat: &Arc<Seat>, root: ServerId) -> bool {
        let mut rows = self.rows();
        if seat.gone.load(Ordering::Relaxed) {
            return false;
        }
        {
            let mut current = seat.principal.write().unwrap_or_else(PoisonError::into_inner);
            if *current != Principal::Anonymous {
                return false;
            }
            *current = Principal::Peer(root);
        }
        rows.anonymous = rows.anonymous.saturating_sub(1);
        let seats = rows.by_peer.entry(root).or_default();
        seats.push(Arc::clone(seat));
        let too_many = seats.len().saturating_sub(PER_PEER);
        seats.iter().take(too_many).for_each(|seat| seat.end(Ended::Replaced));
        drop(rows);
        seat.raised.cancel();
        true
    }

    /// Ends all connections with a peer; how many there were.
    pub fn cut_peer(&self, root: ServerId) -> usize {
        let rows = self.rows();
        let seats = rows.by_peer.get(&root).map(Vec::as_slice).unwrap_or_default();
        seats.iter().inspect(|seat| seat.end(Ended::Session)).count()
    }

    /// The connection is gone.
    pub fn leave(&self, seat: &Arc<Seat>) {
        let mut rows = self.rows();
        if seat.gone.swap(true, Ordering::Relaxed) {
            return;
        }
        rows.taken = rows.taken.saturating_sub(1);
        if let Some(count) = rows.by_address.get_mut(&seat.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                rows.by_address.remove(&seat.address);
            }
        }
        match seat.principal() {
            Principal::Device(who) | Principal::Uncertified(who) => {
                rows.forget(seat.number, who.user);
            }
            Principal::Peer(root) => {
                if let Some(seats) = rows.by_peer.get_mut(&root) {
                    seats.retain(|one| one.number != seat.number);
                    if seats.is_empty() {
                        rows.by_peer.remove(&root);
                    }
                }
            }
            Principal::Anonymous => rows.anonymous = rows.anonymous.saturating_sub(1),
            Principal::Administrator => {}
        }
    }

    /// Ends the user's connections that `which` picks; how many there were.
    pub fn cut(&self, user: UserId, which: impl Fn(&Authenticated) -> bool) -> usize {
        let rows = self.rows();
        let seats = rows.by_user.get(&user).map(Vec::as_slice).unwrap_or_default();
        let cut = seats.iter().filter(|seat| seat.who().is_some_and(|who| which(&who)));
        cut.inspect(|seat| seat.end(Ended::Session)).count()
    }

    /// Ends the connections of one session.
    pub fn cut_session(&self, user: UserId, session: SessionId) -> usize {
        self.cut(user, |who| who.session == session)
    }

    /// Ends the connections of one session a moment later, so that the answer to whoever asked for it gets out first.
    pub fn cut_session_later(&self, user: UserId, session: SessionId, tasks: &TaskTracker) {
        let rows = self.rows();
        let seats = rows.by_user.get(&user).map(Vec::as_slice).unwrap_or_default();
        let cut = |seat: &&Arc<Seat>| seat.who().is_some_and(|who| who.session == session);
        let cut: Vec<_> = seats.iter().filter(cut).cloned().collect();
        drop(rows);
        tasks.spawn(async move {
            tokio::time::sleep(LAST_WORDS).await;
            for seat in cut {
                seat.end(Ended::Session);
            }
        });
    }

    /// Takes the user's connections of a device that has just been certified to what they may do now.
    pub fn certify(&self, user: UserId, device: DeviceId) {
        let rows = self.rows();
        for seat in rows.by_user.get(&user).into_iter().flatten() {
            let mut principal = seat.principal.write().unwrap_or_else(PoisonError::into_inner);
            if let Principal::Uncertified(who) = *principal
                && who.device == device
            {
                *principal = Principal::Device(who);
            }
        }
    }

    /// Ends the connections of one device.
    pub fn cut_device(&self, user: UserId, device: DeviceId) -> usize {
        self.cut(user, |who| who.device == device)
    }

    /// How many connections there are, and how many of them have proven nothing.
    #[must_use]
    pub fn count(&self) -> (u64, u64) {
        let rows = self.rows();
        (rows.taken, rows.anonymous)
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn forget(&mut self, number: u64, user: UserId) {
        if let Some(seats) = self.by_user.get_mut(&user) {
            seats.retain(|seat| seat.number != number);
            if seats.is_empty() {
                self.by_user.remove(&user);
            }
        }
    }
}

impl Seat {
    fn who(&self) -> Option<Authenticated> {
        match self.principal() {
            Principal::Device(who) | Principal::Uncertified(who) => Some(who),
            Principal::Anonymous | Principal::Peer(_) | Principal::Administrator => None,
        }
    }

    fn device(&self) -> Option<DeviceId> {
        self.who().map(|who| who.device)
    }
}

#[cfg(test)]
mod tests;

//! Opening: everything is tried on a copy, and an error leaves the pair as it was.

use rookery_protocol::{
    chain::HeadRef,
    codec,
    envelope::{Envelope, EnvelopeHeader, EnvelopeKind, Initiation},
    key::Domain,
    time::Timestamp,
    version::SUITE,
};

use super::{
    Former, Inner, Me, OpenError, Opened, Pair, Peer, SessionEvent, bind, context, remember,
    reset_message,
};
use crate::e2ee::{
    Random, Unopenable,
    handshake::{NoHandshake, respond},
    padding::{FLOOR, unpad},
    payload::Payload,
    prekey::{PrekeyStore, SpentPrekeys},
    session::{Advanced, Responder, Session},
    verify::is_fork,
};

/// Where the session of an envelope stands.
#[derive(Clone, Copy)]
enum Place {
    Active,
    Former(usize),
    /// It was begun by this envelope, which used these prekeys up.
    New(Option<SpentPrekeys>),
}

impl From<Unopenable> for OpenError {
    fn from(_: Unopenable) -> Self {
        Self::Undecryptable
    }
}

impl From<NoHandshake> for OpenError {
    fn from(_: NoHandshake) -> Self {
        Self::Undecryptable
    }
}

/// One envelope, with what was read of it.
struct Incoming<'a> {
    envelope: &'a Envelope,
    header: EnvelopeHeader,
    context: Vec<u8>,
    now: Timestamp,
}

impl Pair {
    /// Opens an envelope from `peer`: its addresses, the session, the outer seal, the number, the ratchet, the binding, the heads.
    pub fn open(
        &self,
        me: &Me<'_>,
        peer: &Peer<'_>,
        prekeys: &PrekeyStore,
        envelope: &Envelope,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Opened, OpenError> {
        let header = envelope.read_header().map_err(|_| OpenError::Undecryptable)?;
        let (to, from) =
            ((header.dst_user, header.dst_device), (header.src_user, header.src_device));
        if to != (me.user, me.secrets.id()) || from != (peer.user, peer.device) {
            return Err(OpenError::Misdirected);
        }
        if header.suite != SUITE || !is_well_formed(header.kind, envelope.initiation.as_ref()) {
            return Err(OpenError::Undecryptable);
        }
        let context = context(envelope.header.as_slice(), envelope.initiation.as_ref());
        let incoming = Incoming { envelope, header, context, now };
        let (advanced, place) = self.advance(me, peer, prekeys, &incoming, random)?;
        let inner = read_inner(me, peer, &incoming, &advanced)?;
        if let Some(initiation) = &envelope.initiation {
            check_head(initiation.src_head, peer.head)?;
            check_head(initiation.dst_head, me.head)?;
        }
        let payload = Payload::decode(inner.kind, &inner.payload);
        let mut pair = self.duplicate();
        if !pair.seen.take(inner.n) {
            return Err(OpenError::Replayed);
        }
        let (session, spent) = pair.settle(advanced.session, place, &incoming, &payload);
        let message = incoming.header.message;
        let Inner { n, seen, at, to, .. } = *inner;
        Ok(Opened { pair: Box::new(pair), spent, message, to, n, seen, at, payload, session })
    }

    /// Finds the session or joins it, and opens with it. A number that was taken in before is found out here, by the outer seal alone:
    /// whoever replays envelopes cannot make them count as failures.
    fn advance(
        &self,
        me: &Me<'_>,
        peer: &Peer<'_>,
        prekeys: &PrekeyStore,
        incoming: &Incoming<'_>,
        random: &mut dyn Random,
    ) -> Result<(Advanced, Place), OpenError> {
        let sealed = incoming.envelope.sealed.as_slice();
        if let Some((session, place)) = self.find(&incoming.header) {
            let unread = session.peek(&incoming.context, sealed)?;
            if !self.seen.is_new(unread.n) {
                return Err(OpenError::Replayed);
            }
            return Ok((session.open(unread)?, place));
        }
        let initiation = incoming.envelope.initiation.as_ref().ok_or(OpenError::Undecryptable)?;
        if let Some(signature) = &initiation.resync {
            let message = reset_message(incoming.envelope.header.as_slice(), initiation);
            peer.keys
                .signing
                .verify(Domain::RESYNC, &message, signature)
                .map_err(|_| OpenError::Undecryptable)?;
        }
        let answer = respond(me, peer, prekeys, initiation)?;
        let generations = (me.puk_generation, peer.puk_generation);
        let (responder, spent) = Responder::new(answer, generations, incoming.now, random);
        if responder.id() != incoming.header.session {
            return Err(OpenError::Undecryptable);
        }
        let unread = responder.peek(&incoming.context, sealed)?;
        if !self.seen.is_new(unread.n) {
            return Err(OpenError::Replayed);
        }
        Ok((responder.open(unread)?, Place::New(spent)))
    }

    fn find(&self, header: &EnvelopeHeader) -> Option<(&Session, Place)> {
        let active = self.active.iter().map(|session| (session, Place::Active));
        let former = self
            .former
            .iter()
            .enumerate()
            .map(|(index, former)| (&former.session, Place::Former(index)));
        active.chain(former).find(|(session, _)| session.id == header.session)
    }

    /// Puts the session that opened something into its place.
    fn settle(
        &mut self,
        session: Session,
        place: Place,
        incoming: &Incoming<'_>,
        payload: &Payload,
    ) -> (SessionEvent, Option<SpentPrekeys>) {
        let now = incoming.now;
        let (mut event, mut used) = (SessionEvent::None, None);
        match place {
            Place::Active => {
                self.active = Some(session);
                self.confirm_active(now);
            }
            Place::Former(index) => {
                if let Some(former) = self.former.get_mut(index) {
                    former.session = session;
                }
            }
            Place::New(spent) => {
                used = spent;
                event = self.join(session, incoming, payload);
            }
        }
        self.prune(now);
        (event, used)
    }

    /// Takes in a session that the other device began. When both began one at the same time, the lower name wins on both sides, and the
    /// other only opens what is on its way.
    fn join(
        &mut self,
        session: Session,
        incoming: &Incoming<'_>,
        payload: &Payload,
    ) -> SessionEvent {
        let previous =
            incoming.envelope.initiation.as_ref().and_then(|initiation| initiation.previous);
        let is_reset = incoming.header.kind == EnvelopeKind::Resync;
        let ours_wins = self.active.as_ref().is_some_and(|active| {
            active.initiation.is_some() && previous != Some(active.id) && active.id < session.id
        });
        if ours_wins && !is_reset {
            self.former.push(Former { session, until: None });
        } else {
            self.succeed(session);
            self.confirm_active(incoming.now);
        }
        if !is_reset {
            return SessionEvent::Begun;
        }
        remember(&mut self.resets, incoming.now);
        let last_good = match payload {
            Payload::Reset(reset) => reset.last_good,
            _ => None,
        };
        // A device that runs on an old copy of its state would otherwise give out numbers that are taken.
        if let Some(last_good) = last_good {
            self.next = self.next.max(last_good.saturating_add(1));
        }
        SessionEvent::Reset { last_good }
    }
}

/// Reads what the ratchet opened, and checks that it is of this envelope.
fn read_inner(
    me: &Me<'_>,
    peer: &Peer<'_>,
    incoming: &Incoming<'_>,
    advanced: &Advanced,
) -> Result<Box<Inner>, OpenError> {
    let inner: Inner =
        codec::decode(unpad(&advanced.plaintext, FLOOR)?).map_err(|_| OpenError::Undecryptable)?;
    let bound = inner.bind == bind(incoming.envelope.header.as_slice()) && inner.n == advanced.n;
    // One's own other devices send copies of what went to others; everybody else writes to this user.
    let addressed = peer.user == me.user || inner.to == me.user;
    if bound && addressed { Ok(Box::new(inner)) } else { Err(OpenError::Undecryptable) }
}

/// What an envelope of each kind carries.
fn is_well_formed(kind: EnvelopeKind, initiation: Option<&Initiation>) -> bool {
    let signed = initiation.map(|initiation| initiation.resync.is_some());
    match kind {
        EnvelopeKind::Handshake => signed == Some(false),
        EnvelopeKind::Message => signed.is_none(),
        EnvelopeKind::Resync => signed == Some(true),
    }
}

/// What the sender had seen of a chain, beside what is verified here.
fn check_head(theirs: HeadRef, ours: HeadRef) -> Result<(), OpenError> {
    if is_fork(theirs, ours) {
        Err(OpenError::Forked)
    } else if theirs.seq > ours.seq {
        Err(OpenError::ChainBehind)
    } else {
        Ok(())
    }
}

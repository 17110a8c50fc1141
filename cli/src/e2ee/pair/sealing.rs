//! Sealing: the pair goes in, and comes out with the envelope.

use rookery_protocol::{
    codec::{self, MAX_BODY, Octets},
    envelope::{Envelope, EnvelopeHeader, EnvelopeKind, Initiation},
    id::ItemId,
    key::Domain,
    prekey::Bundle,
    time::Timestamp,
    version::SUITE,
};

use super::{
    BundleNeed, Inner, Me, Outgoing, PAYLOAD_BYTES, Pair, Peer, RESET_PAUSE, SealError, Sealed,
    Unsealed, bind, context, remember, reset_message,
};
use crate::e2ee::{
    Random,
    cbor::encode_secret,
    handshake::initiate,
    padding::{FLOOR, pad},
    payload::{Payload, Reset},
    session::Session,
    verify::is_fork,
};

/// One letter, as it was asked for.
struct Letter<'a> {
    kind: EnvelopeKind,
    outgoing: &'a Outgoing<'a>,
    now: Timestamp,
}

impl Pair {
    /// Seals `outgoing` for `peer`. A `bundle` is used when one is needed or due, and is otherwise left alone.
    pub fn seal(
        self,
        me: &Me<'_>,
        peer: &Peer<'_>,
        bundle: Option<&Bundle>,
        outgoing: &Outgoing<'_>,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Sealed, Unsealed> {
        let begun = match (self.bundle_need(me, peer, now), bundle) {
            (BundleNeed::None, _) | (BundleNeed::Due, None) => Ok(None),
            (BundleNeed::Required, None) => Err(SealError::NeedsBundle),
            (BundleNeed::Required | BundleNeed::Due, Some(bundle)) => {
                self.begin(me, peer, bundle, now, random).map(Some)
            }
        };
        let letter = Letter { kind: EnvelopeKind::Message, outgoing, now };
        match begun.and_then(|begun| self.compose(me, peer, begun, &letter, random)) {
            Ok((session, envelope)) => Ok(self.sealed_with(session, envelope, now)),
            Err(reason) => Err(Unsealed { pair: Box::new(self), reason }),
        }
    }

    /// Seals the first envelope of a session that replaces a lost one: signed by this device, so that a reset is never silent.
    pub fn seal_reset(
        mut self,
        me: &Me<'_>,
        peer: &Peer<'_>,
        bundle: &Bundle,
        message: ItemId,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Sealed, Unsealed> {
        if self.own_reset.is_some_and(|last| now.since(last) < RESET_PAUSE) {
            return Err(Unsealed { pair: Box::new(self), reason: SealError::TooSoon });
        }
        // A device that runs on an old copy of its store has given out numbers that it does not know of, and a reset under one of them would
        // be taken for a replay. The clock is ahead of them all: no device seals a thousand letters a second for another one.
        self.next = self.next.max(now.as_millis());
        let payload = Payload::Reset(Reset { last_good: self.seen.highest() });
        let outgoing = Outgoing { message, to: peer.user, payload: &payload };
        let letter = Letter { kind: EnvelopeKind::Resync, outgoing: &outgoing, now };
        let composed = self
            .begin(me, peer, bundle, now, random)
            .and_then(|begun| self.compose(me, peer, Some(begun), &letter, random));
        match composed {
            Ok((session, envelope)) => {
                self.failures.clear();
                self.own_reset = Some(now);
                remember(&mut self.resets, now);
                Ok(self.sealed_with(session, envelope, now))
            }
            Err(reason) => Err(Unsealed { pair: Box::new(self), reason }),
        }
    }

    /// Begins a session out of `bundle`, which heals or replaces the active one.
    fn begin(
        &self,
        me: &Me<'_>,
        peer: &Peer<'_>,
        bundle: &Bundle,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Session, SealError> {
        if bundle.user != peer.user || bundle.device != peer.device {
            return Err(SealError::BadBundle("it is another device's"));
        }
        bundle
            .verify(peer.keys.signing)
            .map_err(|_| SealError::BadBundle("a signature does not hold"))?;
        if is_fork(bundle.chain_head, peer.head) {
            return Err(SealError::Forked);
        }
        let previous = self.active.as_ref().map(|session| session.id);
        let generations = (me.puk_generation, peer.puk_generation);
        initiate(me, peer, bundle, previous, random)
            .and_then(|initiated| Session::initiate(initiated, generations, now, random))
            .map_err(|_| SealError::BadBundle("a key contributes nothing"))
    }

    /// Seals in the session that was `begun`, or in the active one. Nothing of the pair changes.
    fn compose(
        &self,
        me: &Me<'_>,
        peer: &Peer<'_>,
        begun: Option<Session>,
        letter: &Letter<'_>,
        random: &mut dyn Random,
    ) -> Result<(Session, Envelope), SealError> {
        let session = begun
            .or_else(|| self.active.as_ref().map(Session::duplicate))
            .ok_or(SealError::NeedsBundle)?;
        let kind = match (letter.kind, &session.initiation) {
            (EnvelopeKind::Message, Some(_)) => EnvelopeKind::Handshake,
            (kind, _) => kind,
        };
        let header = codec::encode(&EnvelopeHeader {
            suite: SUITE,
            kind,
            dst_user: peer.user,
            dst_device: peer.device,
            src_user: me.user,
            src_device: me.secrets.id(),
            session: session.id,
            message: letter.outgoing.message,
        });
        let initiation = session.initiation.clone().map(|initiation| {
            let message = reset_message(&header, &initiation);
            let resync = (kind == EnvelopeKind::Resync)
                .then(|| me.secrets.signing().sign(Domain::RESYNC, &message));
            Initiation { resync, ..initiation }
        });
        let inner = self.inner(&header, letter)?;
        let context = context(&header, initiation.as_ref());
        let (session, sealed) = session
            .seal(&context, self.next, &pad(&inner, FLOOR), random)
            .map_err(|_| SealError::Exhausted)?;
        let too_long = |_| SealError::TooLong { limit: PAYLOAD_BYTES };
        let header = Octets::parse(header).map_err(too_long)?;
        let sealed = Octets::<MAX_BODY>::parse(sealed).map_err(too_long)?;
        Ok((session, Envelope { header, sealed, initiation }))
    }

    /// What the ratchet seals, encoded.
    fn inner(
        &self,
        header: &[u8],
        letter: &Letter<'_>,
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, SealError> {
        let payload = letter.outgoing.payload.encode();
        if payload.len() > PAYLOAD_BYTES {
            return Err(SealError::TooLong { limit: PAYLOAD_BYTES });
        }
        if self.next == u64::MAX {
            return Err(SealError::Exhausted);
        }
        Ok(encode_secret(&Inner {
            bind: bind(header),
            n: self.next,
            seen: self.seen.highest(),
            at: letter.now,
            to: letter.outgoing.to,
            kind: letter.outgoing.payload.kind(),
            payload,
        }))
    }

    fn sealed_with(mut self, session: Session, envelope: Envelope, now: Timestamp) -> Sealed {
        self.next = self.next.saturating_add(1);
        if self.active.as_ref().is_some_and(|active| active.id == session.id) {
            self.active = Some(session);
        } else {
            self.succeed(session);
        }
        self.prune(now);
        Sealed { pair: Box::new(self), envelope }
    }
}

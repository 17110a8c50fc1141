//! The handshake that begins a session: X3DH with X-Wing beside it, after Signal's PQXDH.
//!
//! Three or four X25519 agreements tie both devices' identity keys in, an X-Wing encapsulation keeps what is recorded today from a quantum
//! computer of tomorrow, and a hash of every public key, id and chain head goes into the key derivation: two devices that disagree about
//! any of them derive different keys. PQXDH's analysis (Bhargavan et al. 2024) found that a KEM ciphertext can otherwise be re-encapsulated
//! and key kinds confused.

use rookery_protocol::{
    chain::HeadRef,
    codec::Octets,
    envelope::Initiation,
    hash::labelled,
    id::{DeviceId, Digest, RatchetId, UserId},
    key::{AgreementKey, KemKey},
    prekey::Bundle,
    user::{DeviceKeys, State},
    version::SUITE,
};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::{
    Random,
    aead::Key,
    identity::DeviceSecrets,
    kdf::expand,
    kem::{decapsulate, encapsulate},
    prekey::{PrekeyStore, SpentPrekeys},
    random::secret,
};

/// This device, as of its user's verified chain.
#[derive(Clone, Copy, Debug)]
pub struct Me<'a> {
    pub(crate) user: UserId,
    pub(crate) head: HeadRef,
    pub(crate) puk_generation: u32,
    pub(crate) secrets: &'a DeviceSecrets,
}

impl<'a> Me<'a> {
    /// This device in `state`, the verified chain of its user.
    #[must_use]
    pub fn of(state: &State, secrets: &'a DeviceSecrets) -> Self {
        let puk_generation = state.puk().map_or(0, |puk| puk.generation);
        Self { user: state.user, head: state.head.into(), puk_generation, secrets }
    }

    pub(crate) fn party(&self) -> Party {
        Party {
            user: self.user,
            device: self.secrets.id(),
            identity: self.secrets.identity_public(),
        }
    }
}

/// The other device, as of its user's verified chain: only a live one can be had.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'a> {
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    pub(crate) head: HeadRef,
    pub(crate) puk_generation: u32,
    pub(crate) keys: &'a DeviceKeys,
}

impl<'a> Peer<'a> {
    /// The device `device` of the user whose verified chain is `state`, if it is live.
    #[must_use]
    pub fn of(state: &'a State, device: DeviceId) -> Option<Self> {
        let keys = &state.live_device(device)?.keys;
        let puk_generation = state.puk().map_or(0, |puk| puk.generation);
        Some(Self { user: state.user, device, head: state.head.into(), puk_generation, keys })
    }

    /// Whose.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.user
    }

    /// Which device.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.device
    }

    pub(crate) fn party(&self) -> Party {
        Party { user: self.user, device: self.device, identity: self.keys.identity }
    }
}

/// One side, as the transcript names it.
#[derive(Clone, Copy)]
pub(crate) struct Party {
    user: UserId,
    device: DeviceId,
    identity: AgreementKey,
}

/// A handshake that does not come about: a key that contributes nothing, that is none, or that is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the handshake does not come about")]
pub(crate) struct NoHandshake;

/// What both sides have afterwards.
pub(crate) struct Agreed {
    /// The first root key of the Double Ratchet.
    pub(crate) root: Zeroizing<[u8; 32]>,
    /// Seals envelopes from the initiator.
    pub(crate) from_initiator: Key,
    /// Seals envelopes from the responder.
    pub(crate) from_responder: Key,
    /// Names the session.
    pub(crate) id: RatchetId,
    /// Keys that vodozemac wants for a session's name and never uses as keys: identity, ephemeral, signed prekey.
    pub(crate) names: [[u8; 32]; 3],
}

/// The initiator's side: agreed, with its first ratchet key.
pub(crate) struct Initiated {
    pub(crate) agreed: Agreed,
    /// The responder's signed prekey, which is the first remote ratchet key.
    pub(crate) remote: AgreementKey,
    /// What the responder needs.
    pub(crate) initiation: Initiation,
}

/// Begins a session with the device of `peer`, out of a bundle whose signatures the caller has checked.
pub(crate) fn initiate(
    me: &Me<'_>,
    peer: &Peer<'_>,
    bundle: &Bundle,
    previous: Option<RatchetId>,
    random: &mut dyn Random,
) -> Result<Initiated, NoHandshake> {
    let ephemeral = StaticSecret::from(*secret(random));
    let ephemeral_public = AgreementKey::from_bytes(PublicKey::from(&ephemeral).to_bytes());
    let (kem, kem_id, kem_is_one_time) = bundle
        .one_time_kem
        .as_ref()
        .map_or((&bundle.signed_kem.public, bundle.signed_kem.id, false), |one_time| {
            (&one_time.public, one_time.id, true)
        });
    let (shared, ciphertext) = encapsulate(kem, random).map_err(|_| NoHandshake)?;
    let signed = bundle.signed.public;
    let one_time = bundle.one_time.as_ref();
    let mut agreements = Agreements::new();
    agreements.add(me.secrets.identity(), &signed)?;
    agreements.add(&ephemeral, &peer.keys.identity)?;
    agreements.add(&ephemeral, &signed)?;
    if let Some(one_time) = one_time {
        agreements.add(&ephemeral, &one_time.public)?;
    }
    let initiation = Initiation {
        ephemeral: ephemeral_public,
        signed_prekey: bundle.signed.id,
        one_time: one_time.map(|key| key.id),
        kem_prekey: kem_id,
        kem_is_one_time,
        kem_ciphertext: Octets::parse(ciphertext).map_err(|_| NoHandshake)?,
        src_head: me.head,
        dst_head: peer.head,
        previous,
        resync: None,
    };
    let transcript = Transcript {
        initiator: me.party(),
        responder: peer.party(),
        signed,
        one_time: one_time.map(|key| key.public),
        kem,
        initiation: &initiation,
    };
    let agreed = agreements.agree(&shared, &transcript);
    Ok(Initiated { agreed, remote: signed, initiation })
}

/// The responder's side: agreed, with its first ratchet key.
pub(crate) struct Responded {
    pub(crate) agreed: Agreed,
    /// The private half of the signed prekey, which is the first ratchet key of its own.
    pub(crate) ratchet: StaticSecret,
    /// What is used up when the first message opens.
    pub(crate) spent: Option<SpentPrekeys>,
}

/// Answers what `peer` began. Nothing is proven until the first message opens.
pub(crate) fn respond(
    me: &Me<'_>,
    peer: &Peer<'_>,
    prekeys: &PrekeyStore,
    initiation: &Initiation,
) -> Result<Responded, NoHandshake> {
    let signed = prekeys.signed(initiation.signed_prekey).ok_or(NoHandshake)?;
    let one_time = match initiation.one_time {
        Some(id) => Some(prekeys.one_time(id).ok_or(NoHandshake)?),
        None => None,
    };
    let kem = prekeys.kem(initiation.kem_prekey, initiation.kem_is_one_time).ok_or(NoHandshake)?;
    let shared =
        decapsulate(&kem, initiation.kem_ciphertext.as_slice()).map_err(|_| NoHandshake)?;
    let mut agreements = Agreements::new();
    agreements.add(&signed, &peer.keys.identity)?;
    agreements.add(me.secrets.identity(), &initiation.ephemeral)?;
    agreements.add(&signed, &initiation.ephemeral)?;
    if let Some(one_time) = &one_time {
        agreements.add(one_time, &initiation.ephemeral)?;
    }
    let public =
        |secret: &StaticSecret| AgreementKey::from_bytes(PublicKey::from(secret).to_bytes());
    let transcript = Transcript {
        initiator: peer.party(),
        responder: me.party(),
        signed: public(&signed),
        one_time: one_time.as_ref().map(public),
        kem: &kem.public(),
        initiation,
    };
    let agreed = agreements.agree(&shared, &transcript);
    let spent = SpentPrekeys {
        one_time: initiation.one_time,
        one_time_kem: initiation.kem_is_one_time.then_some(initiation.kem_prekey),
    };
    let any = spent.one_time.is_some() || spent.one_time_kem.is_some();
    Ok(Responded { agreed, ratchet: signed, spent: any.then_some(spent) })
}

/// Where the initiator's ratchet stands before its first message.
pub(crate) struct FirstStep {
    pub(crate) root: Zeroizing<[u8; 32]>,
    pub(crate) chain: Zeroizing<[u8; 32]>,
}

/// The initiator's first step of the ratchet: `HKDF(salt = root, ikm = DH(T_A, SPK_B), info = "OLM_RATCHET")` to the next root key and the
/// first chain key, as Olm has it.
pub(crate) fn first_step(
    root: &[u8; 32],
    ratchet: &StaticSecret,
    remote: &AgreementKey,
) -> Result<FirstStep, NoHandshake> {
    let shared = agreement(ratchet, remote)?;
    let output = expand::<64>(Some(root), shared.as_ref(), b"OLM_RATCHET");
    let mut step = FirstStep { root: Zeroizing::new([0; 32]), chain: Zeroizing::new([0; 32]) };
    let (next, chain) = output.split_at(32);
    step.root.copy_from_slice(next);
    step.chain.copy_from_slice(chain);
    Ok(step)
}

/// X25519 (RFC 7748) that refuses a key of small order, whose result everybody knows.
fn agreement(
    secret: &StaticSecret,
    public: &AgreementKey,
) -> Result<Zeroizing<[u8; 32]>, NoHandshake> {
    let shared = secret.diffie_hellman(&PublicKey::from(*public.as_bytes()));
    if shared.was_contributory() { Ok(Zeroizing::new(shared.to_bytes())) } else { Err(NoHandshake) }
}

/// `0xFF³² ‖ DH1 ‖ DH2 ‖ DH3 ‖ [DH4] ‖ ss`, as it grows. The bytes before keep it apart from every encoding of a curve point, as in X3DH.
struct Agreements(Zeroizing<Vec<u8>>);

impl Agreements {
    fn new() -> Self {
        let mut material = Zeroizing::new(Vec::with_capacity(6 * 32));
        material.extend_from_slice(&[0xff; 32]);
        Self(material)
    }

    fn add(&mut self, secret: &StaticSecret, public: &AgreementKey) -> Result<(), NoHandshake> {
        self.0.extend_from_slice(agreement(secret, public)?.as_ref());
        Ok(())
    }

    fn agree(mut self, shared: &[u8; 32], transcript: &Transcript<'_>) -> Agreed {
        self.0.extend_from_slice(shared);
        let info = [b"rookery/1/pqxdh", transcript.hash().as_bytes().as_slice()].concat();
        let output = expand::<112>(Some(&[0; 32]), &self.0, &info);
        let mut part = output.chunks(32);
        let mut next = || {
            let mut key = Zeroizing::new([0; 32]);
            key.iter_mut().zip(part.next().unwrap_or_default()).for_each(|(to, from)| *to = *from);
            key
        };
        let (root, from_initiator, from_responder, id) = (next(), next(), next(), next());
        let mut name = [0; 16];
        name.copy_from_slice(id.split_at(16).0);
        Agreed {
            root,
            from_initiator: Key::new(from_initiator),
            from_responder: Key::new(from_responder),
            id: RatchetId::from_bytes(name),
            names: [
                *transcript.initiator.identity.as_bytes(),
                *transcript.initiation.ephemeral.as_bytes(),
                *transcript.signed.as_bytes(),
            ],
        }
    }
}

/// Everything public that both sides have to agree about.
struct Transcript<'a> {
    initiator: Party,
    responder: Party,
    signed: AgreementKey,
    one_time: Option<AgreementKey>,
    kem: &'a KemKey,
    initiation: &'a Initiation,
}

impl Transcript<'_> {
    /// `LH("pqxdh", suite, user_A, dev_A, head_A, user_B, dev_B, head_B, IK_A, IK_B, EK_A, SPK_B, OPK_B or nothing, PQ_B, ct,
    /// [previous session])`; a head is its place in eight bytes and its hash.
    fn hash(&self) -> Digest {
        let (source, destination) =
            (head(self.initiation.src_head), head(self.initiation.dst_head));
        let mut parts: Vec<&[u8]> = vec![
            &[SUITE],
            self.initiator.user.as_bytes(),
            self.initiator.device.as_bytes(),
            &source,
            self.responder.user.as_bytes(),
            self.responder.device.as_bytes(),
            &destination,
            self.initiator.identity.as_bytes(),
            self.responder.identity.as_bytes(),
            self.initiation.ephemeral.as_bytes(),
            self.signed.as_bytes(),
            self.one_time.as_ref().map_or(&[], |key| key.as_bytes()),
            self.kem.as_bytes(),
            self.initiation.kem_ciphertext.as_slice(),
        ];
        if let Some(previous) = &self.initiation.previous {
            parts.push(previous.as_bytes());
        }
        labelled("pqxdh", &parts)
    }
}

fn head(head: HeadRef) -> Vec<u8> {
    [&head.seq.to_be_bytes()[..], head.hash.as_bytes()].concat()
}

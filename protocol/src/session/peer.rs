//! Two homeservers prove to each other who they are, on one connection, before either says more.
//!
//! A certificate proves one side only, and public authorities no longer issue any for clients. So each side signs the TLS exporter (RFC 8446
//! §7.5) of this very connection with its online key, which its root has signed: one signature a connection, independent of how
//! certificates are renewed, and worthless on every other connection.
//!
//! Both sides greet first. What is signed has the role of who signs, both names, both online keys and the hashes of both greetings as they
//! were sent: a proof that is sent back is of the other role, one that is passed on is of another connection, and nobody can be made to
//! talk to somebody whom they did not mean. The exporter is taken for each role apart.
//!
//! The certificate of the answering side is not looked at ([`Trust::Proof`](crate::io::client::Trust)): whoever stands in the middle has two
//! connections with two exporters, and no key of either server.

use crate::{
    codec::{self, Octets},
    hash::{labelled, plain},
    id::Digest,
    key::{Domain, Signature, SigningKey},
    name::ServerName,
    request::{
        peer::{PeerHello, PeerHelloReply, PeerProve},
        server::{ServerRecord, SignedServerRecord},
    },
    version::PEER_VERSION,
    wire_struct,
};

wire_struct! {
    /// What a homeserver says of itself before it proves it.
    pub struct Greeting {
        /// Who it is, under its root.
        #[n(0)] pub record: SignedServerRecord,
        /// Whom it means.
        #[n(1)] pub to: ServerName,
        /// 32 random bytes.
        #[n(2)] pub nonce: Octets<32>,
        /// The oldest version of the protocol between homeservers that it speaks.
        #[n(3)] pub oldest: u32,
        /// The newest.
        #[n(4)] pub newest: u32,
    }
}

/// Why the other side is not taken for who it says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The greeting does not decode, or its record is not signed by the root that it names.
    #[error("the greeting is malformed, or its record is not signed by its root")]
    Malformed,
    /// It means another server.
    #[error("the greeting is meant for another server")]
    Misdirected,
    /// Another server than the one that was called answers.
    #[error("another server answers than the one that was called")]
    OtherServer,
    /// It has this server's own root or name: a greeting that comes back.
    #[error("the greeting is this server's own")]
    Reflected,
    /// No version is common.
    #[error("the two servers have no version in common")]
    NoCommonVersion,
    /// The signature is not by that server's online key over this connection, in its role.
    #[error("the proof does not hold on this connection")]
    Forged,
}

/// The exporters of one connection, one for each role's proof.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Exporters {
    /// What the side that has dialled signs.
    pub initiator: [u8; 32],
    /// What the side that was dialled signs.
    pub responder: [u8; 32],
}

/// The lengths only: what is in them is the connection's own.
impl std::fmt::Debug for Exporters {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Exporters(2 × 32 bytes)")
    }
}

/// Which side of a connection somebody is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The side that has dialled.
    Initiator,
    /// The side that was dialled.
    Responder,
}

impl Role {
    /// What tells the exporters of the two roles apart.
    #[must_use]
    pub const fn context(self) -> &'static [u8] {
        match self {
            Self::Initiator => b"initiator",
            Self::Responder => b"responder",
        }
    }
}

/// One side as it has greeted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Party {
    record: ServerRecord,
    /// The hash of its greeting as it was sent.
    greeting: Digest,
}

impl Party {
    /// Reads a greeting, for a server that is called `own`.
    fn read(bytes: &[u8], own: &ServerRecord) -> Result<Self, Unproven> {
        let greeting: Greeting = codec::decode(bytes).map_err(|_| Unproven::Malformed)?;
        let claimed: ServerRecord =
            codec::decode(greeting.record.payload.as_slice()).map_err(|_| Unproven::Malformed)?;
        let record =
            greeting.record.verify(claimed.root.server_id()).map_err(|_| Unproven::Malformed)?;
        if record.root == own.root || record.online == own.online || record.name == own.name {
            return Err(Unproven::Reflected);
        }
        if greeting.to != own.name {
            return Err(Unproven::Misdirected);
        }
        if greeting.oldest > PEER_VERSION || greeting.newest < PEER_VERSION {
            return Err(Unproven::NoCommonVersion);
        }
        Ok(Self { record, greeting: plain(bytes) })
    }
}

/// What both sides have said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Transcript {
    initiator: Party,
    responder: Party,
}

impl Transcript {
    /// What the side in `role` signs.
    fn message(&self, role: Role, exporters: &Exporters) -> Vec<u8> {
        let exporter = match role {
            Role::Initiator => &exporters.initiator,
            Role::Responder => &exporters.responder,
        };
        let (initiator, responder) = (&self.initiator, &self.responder);
        labelled(
            "peer",
            &[
                role.context(),
                initiator.record.name.as_str().as_bytes(),
                responder.record.name.as_str().as_bytes(),
                initiator.record.online.as_bytes(),
                responder.record.online.as_bytes(),
                initiator.greeting.as_bytes(),
                responder.greeting.as_bytes(),
                exporter,
            ],
        )
        .as_bytes()
        .to_vec()
    }

    fn prove(&self, role: Role, exporters: &Exporters, online: &SigningKey) -> Signature {
        online.sign(Domain::PEER, &self.message(role, exporters))
    }

    fn check(&self, role: Role, exporters: &Exporters, proof: &Signature) -> Result<(), Unproven> {
        let party = match role {
            Role::Initiator => &self.initiator,
            Role::Responder => &self.responder,
        };
        let message = self.message(role, exporters);
        party.record.online.verify(Domain::PEER, &message, proof).map_err(|_| Unproven::Forged)
    }
}

/// Who a homeserver is to others: its record as signed, and what that says.
#[derive(Clone, Copy, Debug)]
pub struct Oneself<'k> {
    /// The record, under the root.
    pub signed: &'k SignedServerRecord,
    /// What it says.
    pub record: &'k ServerRecord,
    /// The key that the record names.
    pub online: &'k SigningKey,
}

impl Oneself<'_> {
    fn greet(&self, to: &ServerName, nonce: [u8; 32]) -> Result<Octets<4096>, Unproven> {
        let greeting = Greeting {
            record: self.signed.clone(),
            to: to.clone(),
            nonce: Octets::parse(nonce.to_vec()).map_err(|_| Unproven::Malformed)?,
            oldest: PEER_VERSION,
            newest: PEER_VERSION,
        };
        Octets::parse(codec::encode(&greeting)).map_err(|_| Unproven::Malformed)
    }

    fn party(&self, greeting: &Octets<4096>) -> Party {
        Party { record: self.record.clone(), greeting: plain(greeting.as_slice()) }
    }
}

/// The dialling side, which has greeted and waits for the answer.
#[derive(Clone, Debug)]
pub struct Dialling {
    to: ServerName,
    greeting: Octets<4096>,
}

impl Dialling {
    /// Greets `to`. `nonce` is random.
    pub fn begin(
        own: &Oneself<'_>,
        to: &ServerName,
        nonce: [u8; 32],
    ) -> Result<(Self, PeerHello), Unproven> {
        let greeting = own.greet(to, nonce)?;
        let hello = PeerHello { greeting: greeting.clone() };
        Ok((Self { to: to.clone(), greeting }, hello))
    }

    /// Checks the other side's greeting and proof; gives who it is, and one's own proof for it. Whether its root is the one that was pinned
    /// is the caller's to see to.
    pub fn handle_reply(
        self,
        own: &Oneself<'_>,
        reply: &PeerHelloReply,
        exporters: &Exporters,
    ) -> Result<(ServerRecord, PeerProve), Unproven> {
        let responder = Party::read(reply.greeting.as_slice(), own.record)?;
        if responder.record.name != self.to {
            return Err(Unproven::OtherServer);
        }
        let transcript = Transcript { initiator: own.party(&self.greeting), responder };
        transcript.check(Role::Responder, exporters, &reply.proof)?;
        let proof = transcript.prove(Role::Initiator, exporters, own.online);
        Ok((transcript.responder.record, PeerProve { proof }))
    }
}

/// The answering side, which waits for the proof of who has greeted it.
#[derive(Clone, Debug)]
pub struct Answering {
    transcript: Transcript,
}

impl Answering {
    /// Reads who greets; nothing of it is proven yet. `nonce` is random.
    pub fn begin(
        own: &Oneself<'_>,
        hello: &PeerHello,
        nonce: [u8; 32],
        exporters: &Exporters,
    ) -> Result<(Self, PeerHelloReply), Unproven> {
        let initiator = Party::read(hello.greeting.as_slice(), own.record)?;
        let greeting = own.greet(&initiator.record.name, nonce)?;
        let transcript = Transcript { initiator, responder: own.party(&greeting) };
        let proof = transcript.prove(Role::Responder, exporters, own.online);
        Ok((Self { transcript }, PeerHelloReply { greeting, proof }))
    }

    /// Who says to have dialled.
    #[must_use]
    pub fn claimed(&self) -> &ServerRecord {
        &self.transcript.initiator.record
    }

    /// Checks the proof; gives who it is.
    pub fn handle_proof(
        self,
        prove: &PeerProve,
        exporters: &Exporters,
    ) -> Result<ServerRecord, Unproven> {
        self.transcript.check(Role::Initiator, exporters, &prove.proof)?;
        Ok(self.transcript.initiator.record)
    }
}

#[cfg(test)]
mod tests;

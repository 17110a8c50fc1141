//! What a server says of itself to anybody.

use std::time::Duration;

use crate::{
    codec::{self, Octets},
    id::ServerId,
    key::{Domain, Forged, Signature, SigningKey, VerifyingKey},
    name::{HostPort, ServerName},
    request,
    request::{Anyone, Never},
    time::Timestamp,
    wire_index, wire_struct,
};

wire_index! {
    /// Who may open an account.
    pub enum Registration {
        /// Nobody.
        #[n(1)] Closed,
        /// Whoever has an invite.
        #[n(2)] Invite,
        /// Anybody.
        #[n(3)] Open,
    }
}

wire_struct! {
    /// Asks a server what it is.
    pub struct ServerInfo {}
}

wire_struct! {
    /// What a server's root key says of it.
    pub struct ServerRecord {
        /// Its name.
        #[n(0)] pub name: ServerName,
        /// The root key, whose fingerprint is the server's id.
        #[n(1)] pub root: VerifyingKey,
        /// The key that signs heads and tokens.
        #[n(2)] pub online: VerifyingKey,
        /// Rises with each record.
        #[n(3)] pub number: u64,
        /// Since when.
        #[n(4)] pub since: Timestamp,
        /// Until when other homeservers take it: an online key that was stolen is of no use to its thief for longer.
        #[n(5)] pub until: Timestamp,
        /// Where the server listens, if its administrator has said so; else at its name.
        #[n(6)] pub endpoint: Option<HostPort>,
    }
}

wire_struct! {
    /// The record as it was signed.
    pub struct SignedServerRecord {
        /// The encoded [`ServerRecord`].
        #[n(0)] pub payload: Octets<1024>,
        /// By the root key.
        #[n(1)] pub signature: Signature,
    }
}

wire_struct! {
    /// What a server is.
    pub struct ServerDescription {
        /// Its keys, under its root.
        #[n(0)] pub record: SignedServerRecord,
        /// Its software's version.
        #[n(1)] pub version: String,
        /// Who may open an account.
        #[n(2)] pub registration: Registration,
        /// Its clock.
        #[n(3)] pub at: Timestamp,
    }
}

request!(ServerInfo: "server/info/1", Read, Anyone => ServerDescription, Never);

impl ServerRecord {
    /// How far the clocks of two servers may be apart.
    pub const SKEW: Duration = Duration::from_hours(1);

    /// Whether it has ended by a clock that says `now`.
    #[must_use]
    pub fn has_ended(&self, now: Timestamp) -> bool {
        now > self.until.plus(Self::SKEW)
    }

    /// Signs the record with the root key that it names.
    pub fn sign(&self, root: &SigningKey) -> Result<SignedServerRecord, codec::Malformed> {
        let payload = Octets::parse(codec::encode(self))?;
        let signature = root.sign(Domain::SERVER, payload.as_slice());
        Ok(SignedServerRecord { payload, signature })
    }
}

impl SignedServerRecord {
    /// Reads the record, if the root key that it names has the id `server` and signed it.
    pub fn verify(&self, server: ServerId) -> Result<ServerRecord, Forged> {
        let record: ServerRecord = codec::decode(self.payload.as_slice()).map_err(|_| Forged)?;
        if record.root.server_id() != server {
            return Err(Forged);
        }
        record.root.verify(Domain::SERVER, self.payload.as_slice(), &self.signature)?;
        Ok(record)
    }
}

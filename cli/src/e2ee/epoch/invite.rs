//! What an invitation's link carries: 32 random bytes, behind the `#` of the link, where no server sees them.

use std::fmt;

use rookery_protocol::{
    community::invite_message,
    id::{CommunityId, InviteId, UserId},
    key::{Domain, Signature, SigningKey},
};
use zeroize::Zeroizing;

use crate::e2ee::{KemSecret, Random, kdf::derive, random::secret};

/// The secret in a link.
pub struct LinkSecret(Zeroizing<[u8; 32]>);

impl LinkSecret {
    /// Draws a secret.
    #[must_use]
    pub fn generate(random: &mut dyn Random) -> Self {
        Self(secret(random))
    }

    /// The secret out of a link, or out of the sealed store.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// The 32 bytes, for the link.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    /// What follows from it.
    #[must_use]
    pub fn keys(&self) -> LinkKeys {
        LinkKeys {
            signing: SigningKey::from_seed(&derive(self.0.as_ref(), "invite/sign", &[])),
            kem: KemSecret::from_seed(derive(self.0.as_ref(), "invite/kem", &[])),
        }
    }
}

impl fmt::Debug for LinkSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LinkSecret(secret)")
    }
}

/// What a link's secret comes to.
#[derive(Debug)]
pub struct LinkKeys {
    /// Proves that somebody has the link: its public half is the invitation's `key`.
    pub signing: SigningKey,
    /// Opens wraps for the link: its public half is the invitation's `wrap_key`, where it has one.
    pub kem: KemSecret,
}

impl LinkKeys {
    /// The proof that `user` comes by this link.
    #[must_use]
    pub fn prove(&self, community: CommunityId, invite: InviteId, user: UserId) -> Signature {
        self.signing.sign(Domain::INVITE, &invite_message(community, invite, user))
    }
}

//! Invites: the right to register, a number of times.

use rookery_protocol::{
    id::{InviteToken, to_base32},
    name::JoinLink,
    request::{
        Failure, Refusal,
        admin::{AdminError, CreateInvite, Invite, Invites},
    },
};

use super::Services;
use crate::repository::invite::{InviteHash, StoredInvite};

/// How often one invite can be used at most.
const MAX_USES: u32 = 100_000;

/// What the database knows a token by.
#[must_use]
pub fn hash(token: &InviteToken) -> InviteHash {
    InviteHash(*blake3::hash(token.as_bytes()).as_bytes())
}

impl Services {
    /// The link that leads here.
    #[must_use]
    pub fn link(&self, invite: Option<InviteToken>) -> JoinLink {
        JoinLink {
            address: self.advertised.clone(),
            server: self.identity.name.clone(),
            key: self.identity.server(),
            invite,
        }
    }
}

/// Makes an invite.
pub async fn create(
    services: &Services,
    request: CreateInvite,
) -> Result<Invite, Failure<AdminError>> {
    let now = services.clock.now();
    if !(1..=MAX_USES).contains(&request.uses) {
        let reason = format!("an invite can be used 1 to {MAX_USES} times");
        return Err(Failure::Error(AdminError::Precondition { reason }));
    }
    if request.expires.is_some_and(|expires| expires <= now) {
        let reason = "an invite ends in the future".to_owned();
        return Err(Failure::Error(AdminError::Precondition { reason }));
    }
    let (mut token, mut id) = ([0; 16], [0; 5]);
    getrandom::fill(&mut token).map_err(|_| Refusal::Internal)?;
    getrandom::fill(&mut id).map_err(|_| Refusal::Internal)?;
    let token = InviteToken::from_bytes(token);
    let stored = StoredInvite {
        hash: hash(&token),
        id: to_base32(&id),
        uses_left: request.uses,
        created: now,
        expires: request.expires,
        note: request.note.map(|note| note.chars().take(200).collect()),
        revoked: false,
    };
    let mut unit = services.storage.begin().await?;
    if !unit.create_invite(&stored).await? {
        return Err(Refusal::Unavailable.into());
    }
    unit.commit().await?;
    let link = services.link(Some(token)).to_string();
    Ok(Invite { link: Some(link), token: Some(token), ..shown(stored) })
}

/// Lists them.
pub async fn list(services: &Services) -> Result<Invites, Refusal> {
    let mut view = services.storage.read().await.map_err(|error| super::refusal(&error))?;
    let invites = view.invites().await.map_err(|error| super::refusal(&error))?;
    Ok(Invites { invites: invites.into_iter().map(shown).collect() })
}

/// Withdraws one.
pub async fn revoke(services: &Services, id: &str) -> Result<(), Failure<AdminError>> {
    let mut unit = services.storage.begin().await?;
    if !unit.revoke_invite(id).await? {
        return Err(Failure::Error(AdminError::NotFound { what: "invite".to_owned() }));
    }
    unit.commit().await?;
    Ok(())
}

fn shown(stored: StoredInvite) -> Invite {
    Invite {
        id: stored.id,
        link: None,
        token: None,
        uses_left: stored.uses_left,
        created: stored.created,
        expires: stored.expires,
        note: stored.note,
        revoked: stored.revoked,
    }
}

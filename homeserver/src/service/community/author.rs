//! Who states something: a user who lives here, or one for whom their own home hands it in.

use std::sync::Arc;

use rookery_protocol::{id::UserId, user};

use crate::{
    repository::StorageError,
    service::{Services, directory::Resident, peer::copy::Foreigner},
};

/// On which side somebody lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Here.
    Here,
    /// On another server, which has shown that it speaks for them.
    Abroad,
}

/// Somebody in whose name something may be done.
#[derive(Clone, Debug)]
pub(super) enum Author {
    /// A user of this server.
    Here(Arc<Resident>),
    /// A user of another one.
    Abroad(Arc<Foreigner>),
}

impl Author {
    /// Who.
    pub(super) fn user(&self) -> UserId {
        match self {
            Self::Here(resident) => resident.user,
            Self::Abroad(foreigner) => foreigner.stored.user,
        }
    }

    /// What their chain amounts to, as far as it is here.
    pub(super) fn state(&self) -> &user::State {
        match self {
            Self::Here(resident) => &resident.state,
            Self::Abroad(foreigner) => &foreigner.state,
        }
    }
}

impl Services {
    /// The user `user` of that side, if anything may be done in their name.
    pub(super) async fn author(
        &self,
        user: UserId,
        side: Side,
    ) -> Result<Option<Author>, StorageError> {
        Ok(match side {
            Side::Here => {
                let resident = self.resident(user).await?.filter(|resident| resident.is_active());
                resident.map(Author::Here)
            }
            Side::Abroad => {
                let foreigner = self.foreigner(user).await?;
                foreigner.filter(|foreigner| !foreigner.state.closed).map(Author::Abroad)
            }
        })
    }
}

//! Which root key a server is known by: whose users somebody new is taken to be one of.
//!
//! A user's id holds whatever their first statement says, and that names their home and its root key. Nobody but their home vouches for it:
//! one's own home could show anybody as a user of any server, with a key that it made up. So the first root key that a user of a server
//! was founded under stays that server's here, and somebody new under another one is refused until a person says that it is right. One's
//! own home has the root key that this user's own chain names.

use rookery_protocol::{id::ServerId, name::ServerName, user::State};

use super::{Engine, chains::ChainError};
use crate::{
    error::CommandError,
    store::{Name, StoreError, Unit},
};

/// How many servers are remembered; beyond that nobody new of another one is met.
const MAX_ROOTS: usize = 10_000;

/// A server's name with a root key that it is known by. One that was set up anew has several.
type Root = (ServerName, ServerId);

/// What is thought of a root key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judged {
    /// It is the server's.
    Known,
    /// The server was not known.
    First,
    /// The server is known by another one.
    Other,
}

fn judge(known: &[Root], server: &ServerName, root: ServerId) -> Judged {
    let mut of_server = known.iter().filter(|(name, _)| name == server).peekable();
    if of_server.peek().is_none() {
        return Judged::First;
    }
    if of_server.any(|(_, known)| *known == root) { Judged::Known } else { Judged::Other }
}

impl Engine {
    /// Sees to it that somebody who was not known before was founded on the server that is known by that name.
    pub(super) async fn pin_server(
        &self,
        unit: &mut Unit,
        state: &State,
    ) -> Result<(), ChainError> {
        self.pin_root(unit, &state.home, state.home_key).await
    }

    /// Sees to it that a server that is to order a community of this user's is the one that is known by that name.
    pub(super) async fn pin_hub(
        &self,
        server: &ServerName,
        root: ServerId,
    ) -> Result<(), ChainError> {
        let mut unit = self.store.write().await?;
        self.pin_root(&mut unit, server, root).await?;
        Ok(unit.commit().await?)
    }

    async fn pin_root(
        &self,
        unit: &mut Unit,
        server: &ServerName,
        root: ServerId,
    ) -> Result<(), ChainError> {
        let other = || ChainError::OtherRoot { server: server.clone(), root };
        if *server == self.account().server {
            let own = unit.person(self.user).await?;
            return match own {
                Some(own) if own.home == *server && own.home_key != root => Err(other()),
                _ => Ok(()),
            };
        }
        let mut known = unit.roots().await?;
        match judge(&known, server, root) {
            Judged::Known => Ok(()),
            Judged::First if known.len() < MAX_ROOTS => {
                known.push((server.clone(), root));
                Ok(unit.put_value(Name::ServerRoots, &known).await?)
            }
            Judged::First | Judged::Other => Err(other()),
        }
    }

    /// From now on people of `server` may be founded under `root`, too: a person has compared it with what the server's administrator says.
    pub(crate) async fn trust_root(
        &self,
        server: ServerName,
        root: ServerId,
    ) -> Result<(), CommandError> {
        let mut unit = self.store.write().await?;
        let mut known = unit.roots().await?;
        if !known.contains(&(server.clone(), root)) {
            known.push((server, root));
            unit.put_value(Name::ServerRoots, &known).await?;
            unit.commit().await?;
        }
        self.outbox_wake.notify_one();
        Ok(())
    }
}

impl Unit {
    /// The root keys that other servers are known by.
    async fn roots(&mut self) -> Result<Vec<Root>, StoreError> {
        Ok(self.value(Name::ServerRoots).await?.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_root_keeps_a_server_s_name() {
        let [garden, aviary]: [ServerName; 2] =
            ["garden.example", "aviary.example"].map(|name| name.parse().unwrap());
        let [one, two] = [1, 2].map(|byte| ServerId::from_bytes([byte; 32]));
        let known = [(garden.clone(), one)];
        assert_eq!(judge(&known, &garden, one), Judged::Known);
        assert_eq!(judge(&known, &garden, two), Judged::Other);
        assert_eq!(judge(&known, &aviary, two), Judged::First);
        let accepted = [(garden.clone(), one), (garden.clone(), two)];
        assert_eq!(judge(&accepted, &garden, two), Judged::Known);
    }
}

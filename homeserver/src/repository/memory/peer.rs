//! Peers, copies of their users, and queues for them.

use async_trait::async_trait;
use rookery_protocol::{
    id::{ServerId, UserId},
    name::{ServerName, UserName},
    request::contact::Standing,
    time::Timestamp,
};

use super::{Handle, Rows};
use crate::repository::{
    StorageError,
    community::Belonging,
    peer::{PeerEdit, PeerRepository, PeerView, StoredForeigner, StoredPeer},
};

#[async_trait]
impl PeerView for Handle {
    async fn peers(&mut self) -> Result<Vec<StoredPeer>, StorageError> {
        Ok(self.rows().peers.values().map(|(peer, _)| peer.clone()).collect())
    }

    async fn idle_strangers(
        &mut self,
        only: Option<&ServerName>,
    ) -> Result<Vec<(ServerName, Timestamp)>, StorageError> {
        let rows = self.rows();
        let asked = rows.strangers.iter().filter(|(name, _)| only.is_none_or(|only| only == *name));
        let idle = asked.filter(|(name, _)| !rows.have_to_do_with_peer(name));
        Ok(idle.map(|(name, reached)| (name.clone(), *reached)).collect())
    }

    async fn peer_may_read(
        &mut self,
        peer: &ServerName,
        user: UserId,
    ) -> Result<bool, StorageError> {
        let rows = self.rows();
        let is_of_peer =
            |user: &UserId| rows.foreigners.get(user).is_some_and(|one| one.peer == *peer);
        let mut named = rows.belongings.iter().filter(|((_, named), _)| *named == user);
        let by_community = named.any(|((community, _), standing)| {
            let Some(found) = rows.communities.get(community) else { return false };
            match &found.hub {
                Some(hub) => hub == peer && *standing != Belonging::Named,
                None => rows.have_to_do_with(*community).any(|user| is_of_peer(&user)),
            }
        });
        Ok(by_community || rows.peer_readers.contains(&(peer.clone(), user)))
    }

    async fn foreigner(&mut self, user: UserId) -> Result<Option<StoredForeigner>, StorageError> {
        Ok(self.rows().foreigners.get(&user).cloned())
    }

    async fn foreigner_named(
        &mut self,
        peer: &ServerName,
        name: &UserName,
    ) -> Result<Option<UserId>, StorageError> {
        let rows = self.rows();
        let mut theirs = rows.foreigners.values().filter(|one| one.peer == *peer);
        Ok(theirs.find(|one| one.name.as_ref() == Some(name)).map(|one| one.user))
    }

    async fn foreigners_of(
        &mut self,
        peer: &ServerName,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<UserId>, StorageError> {
        let rows = self.rows();
        let theirs = rows.foreigners.values().filter(|one| one.peer == *peer);
        let later =
            theirs.map(|one| one.user).filter(|user| after.is_none_or(|after| *user > after));
        Ok(later.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
    }

    async fn foreigner_count(&mut self, peer: &ServerName) -> Result<u64, StorageError> {
        let rows = self.rows();
        let foreigners = rows.foreigners.values();
        let theirs = foreigners.filter(|one| one.brought.as_ref().unwrap_or(&one.peer) == peer);
        Ok(u64::try_from(theirs.count()).unwrap_or(u64::MAX))
    }
}

#[async_trait]
impl PeerRepository for Handle {
    async fn put_peer(&mut self, peer: &StoredPeer) -> Result<bool, StorageError> {
        let rows = self.change()?;
        if rows.peers.contains_key(&peer.name) {
            return Ok(false);
        }
        let stored = StoredPeer { roots: vec![], findings: vec![], ..peer.clone() };
        rows.peers.insert(peer.name.clone(), (stored, 0));
        if let Some(root) = peer.root {
            rows.put_root(&peer.name, root);
        }
        Ok(true)
    }

    async fn edit_peer(
        &mut self,
        name: &ServerName,
        edit: &PeerEdit,
    ) -> Result<bool, StorageError> {
        let rows = self.change()?;
        let Some((peer, _)) = rows.peers.get_mut(name) else { return Ok(false) };
        let pinned = match edit {
            PeerEdit::Standing(standing) => {
                peer.standing = *standing;
                None
            }
            PeerEdit::Place { address, root } => {
                if peer.root.is_some_and(|known| known != *root) {
                    return Ok(false);
                }
                peer.address = Some(address.clone());
                Some(*root)
            }
            PeerEdit::Root(root) => {
                if peer.root != Some(*root) {
                    peer.record = 0;
                    peer.findings.clear();
                }
                peer.offered = None;
                Some(*root)
            }
            PeerEdit::Record { root, number } => {
                if peer.root != Some(*root) || peer.record >= *number {
                    return Ok(false);
                }
                peer.record = *number;
                None
            }
            PeerEdit::Offered { pinned, offered } => {
                if peer.root != Some(*pinned) {
                    return Ok(false);
                }
                peer.offered = Some(*offered);
                None
            }
            PeerEdit::Found { root, finding } => {
                if peer.root != Some(*root) {
                    return Ok(false);
                }
                peer.findings.retain(|known| known.rank != finding.rank);
                peer.findings.push(finding.clone());
                peer.findings.sort_by_key(|known| known.rank);
                None
            }
            PeerEdit::Lost { root, rank } => {
                let before = peer.findings.len();
                peer.findings.retain(|known| peer.root != Some(*root) || known.rank != *rank);
                return Ok(peer.findings.len() < before);
            }
        };
        if let Some(root) = pinned {
            peer.root = Some(root);
            rows.put_root(name, root);
        }
        Ok(true)
    }

    async fn put_stranger(
        &mut self,
        name: &ServerName,
        reached: Timestamp,
    ) -> Result<(), StorageError> {
        let rows = self.change()?;
        if rows.peers.contains_key(name) {
            rows.strangers.entry(name.clone()).or_insert(reached);
        }
        Ok(())
    }

    async fn reach_stranger(
        &mut self,
        name: &ServerName,
        reached: Timestamp,
    ) -> Result<(), StorageError> {
        if let Some(before) = self.change()?.strangers.get_mut(name) {
            *before = reached;
        }
        Ok(())
    }

    async fn end_stranger(&mut self, name: &ServerName) -> Result<(), StorageError> {
        self.change()?.strangers.remove(name);
        Ok(())
    }

    async fn remove_peer(&mut self, name: &ServerName) -> Result<bool, StorageError> {
        let rows = self.change()?;
        rows.strangers.remove(name);
        rows.outbound.retain(|(peer, _), _| peer != name);
        rows.peer_readers.retain(|(peer, _)| peer != name);
        rows.farewells.retain(|(peer, _), _| peer != name);
        Ok(rows.peers.remove(name).is_some())
    }

    async fn let_peer_read(&mut self, peer: &ServerName, user: UserId) -> Result<(), StorageError> {
        self.change()?.peer_readers.insert((peer.clone(), user));
        Ok(())
    }

    async fn end_peer_reading(
        &mut self,
        peer: &ServerName,
        user: UserId,
    ) -> Result<(), StorageError> {
        self.change()?.peer_readers.remove(&(peer.clone(), user));
        Ok(())
    }

    async fn name_foreigner(&mut self, user: UserId, name: &UserName) -> Result<(), StorageError> {
        if let Some(foreigner) = self.change()?.foreigners.get_mut(&user) {
            foreigner.name = Some(name.clone());
        }
        Ok(())
    }

    async fn put_foreigner(&mut self, foreigner: &StoredForeigner) -> Result<(), StorageError> {
        self.change()?.foreigners.insert(foreigner.user, foreigner.clone());
        Ok(())
    }
}

impl Rows {
    /// Whether somebody here has to do with a peer.
    fn have_to_do_with_peer(&self, peer: &ServerName) -> bool {
        let is_theirs =
            |user: &UserId| self.foreigners.get(user).is_some_and(|one| one.peer == *peer);
        let is_wanted = |standing| matches!(standing, Standing::Asked | Standing::Accepted);
        let mut members =
            self.belongings.iter().filter(|(_, standing)| **standing == Belonging::Member);
        self.outbound.keys().any(|(name, _)| name == peer)
            || self.contacts.values().any(|contact| {
                is_wanted(contact.standing) && contact.user.is_some_and(|user| is_theirs(&user))
            })
            || members.any(|((community, user), _)| {
                let hub = self.communities.get(community).map(|found| &found.hub);
                match hub {
                    Some(Some(hub)) => hub == peer && self.accounts.contains_key(user),
                    Some(None) => is_theirs(user),
                    None => false,
                }
            })
    }

    /// A root that a peer is known by, unless it is another's.
    fn put_root(&mut self, name: &ServerName, root: ServerId) {
        if self.peers.values().any(|(peer, _)| peer.roots.contains(&root)) {
            return;
        }
        if let Some((peer, _)) = self.peers.get_mut(name) {
            peer.roots.push(root);
            peer.roots.sort_unstable();
        }
    }
}

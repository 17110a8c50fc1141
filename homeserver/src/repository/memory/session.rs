//! Sessions.

use async_trait::async_trait;
use rookery_protocol::{
    id::{DeviceId, SessionId, UserId},
    time::Timestamp,
};

use super::{Handle, Rows};
use crate::repository::{
    StorageError,
    session::{SessionRepository, SessionView, StoredSession, TokenHash},
};

#[async_trait]
impl SessionView for Handle {
    async fn session(&mut self, session: SessionId) -> Result<Option<StoredSession>, StorageError> {
        Ok(self.rows().sessions.get(&session).cloned())
    }

    async fn session_by_token(
        &mut self,
        token: TokenHash,
    ) -> Result<Option<StoredSession>, StorageError> {
        let shows =
            |session: &&StoredSession| session.current == token || session.previous == Some(token);
        Ok(self.rows().sessions.values().find(shows).cloned())
    }

    async fn sessions(&mut self, user: UserId) -> Result<Vec<StoredSession>, StorageError> {
        let rows = self.rows();
        let live = rows
            .sessions
            .values()
            .filter(|session| session.user == user && session.ended.is_none());
        let mut sessions: Vec<_> = live.cloned().collect();
        sessions.sort_by(|one, other| {
            other.created.cmp(&one.created).then_with(|| one.session.cmp(&other.session))
        });
        Ok(sessions)
    }
}

#[async_trait]
impl SessionRepository for Handle {
    async fn create_session(&mut self, session: &StoredSession) -> Result<bool, StorageError> {
        let rows = self.change()?;
        let known = rows
            .sessions
            .values()
            .any(|other| other.session == session.session || other.current == session.current);
        if !known {
            rows.sessions.insert(session.session, session.clone());
        }
        Ok(!known)
    }

    async fn rotate_session(
        &mut self,
        session: SessionId,
        generation: u64,
        next: TokenHash,
        at: Timestamp,
    ) -> Result<bool, StorageError> {
        let found = self.change()?.sessions.get_mut(&session);
        let Some(row) = found.filter(|row| row.generation == generation && row.ended.is_none())
        else {
            return Ok(false);
        };
        row.previous = Some(row.current);
        row.current = next;
        row.current_used = false;
        row.generation = generation.saturating_add(1);
        row.last_seen = row.last_seen.max(at);
        Ok(true)
    }

    async fn mark_token_used(&mut self, session: SessionId) -> Result<(), StorageError> {
        if let Some(row) = self.change()?.sessions.get_mut(&session) {
            row.current_used = true;
        }
        Ok(())
    }

    async fn touch_sessions(
        &mut self,
        seen: &[(SessionId, Timestamp)],
    ) -> Result<(), StorageError> {
        let rows = self.change()?;
        for (session, at) in seen {
            if let Some(row) = rows.sessions.get_mut(session) {
                row.last_seen = row.last_seen.max(*at);
            }
        }
        Ok(())
    }

    async fn end_session(
        &mut self,
        session: SessionId,
        at: Timestamp,
    ) -> Result<bool, StorageError> {
        Ok(!self.change()?.end(at, |row| row.session == session).is_empty())
    }

    async fn end_sessions_of_user(
        &mut self,
        user: UserId,
        except: Option<SessionId>,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StorageError> {
        Ok(self.change()?.end(at, |row| row.user == user && Some(row.session) != except))
    }

    async fn end_sessions_of_device(
        &mut self,
        device: DeviceId,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StorageError> {
        Ok(self.change()?.end(at, |row| row.device == device))
    }
}

impl Rows {
    fn end(&mut self, at: Timestamp, which: impl Fn(&StoredSession) -> bool) -> Vec<SessionId> {
        let live = self.sessions.values_mut().filter(|row| row.ended.is_none() && which(row));
        live.map(|row| {
            row.ended = Some(at);
            row.session
        })
        .collect()
    }
}

//! Sessions.

use async_trait::async_trait;
use rookery_protocol::{
    id::{DeviceId, SessionId, UserId},
    key::VerifyingKey,
    time::Timestamp,
};
use sqlx::query;

use super::{
    Handle, Row,
    row::{Cells, to_row},
};
use crate::repository::{
    StorageError,
    session::{SessionRepository, SessionView, StoredSession, TokenHash},
};

/// The columns of a session, as [`session_of`] reads them.
macro_rules! session_columns {
    () => {
        "session, user_id, device, device_key, created, last_seen, generation, current_hash, \
         previous_hash, current_used, ended"
    };
}

#[async_trait]
impl SessionView for Handle {
    async fn session(&mut self, session: SessionId) -> Result<Option<StoredSession>, StorageError> {
        let text = concat!("SELECT ", session_columns!(), " FROM session WHERE session = $1");
        let row = self.first(query(text).bind(&session.as_bytes()[..])).await?;
        row.as_ref().map(session_of).transpose()
    }

    async fn session_by_token(
        &mut self,
        token: TokenHash,
    ) -> Result<Option<StoredSession>, StorageError> {
        let text = concat!(
            "SELECT ",
            session_columns!(),
            " FROM session WHERE current_hash = $1 OR previous_hash = $1"
        );
        let row = self.first(query(text).bind(&token.0[..])).await?;
        row.as_ref().map(session_of).transpose()
    }

    async fn sessions(&mut self, user: UserId) -> Result<Vec<StoredSession>, StorageError> {
        let text = concat!(
            "SELECT ",
            session_columns!(),
            " FROM session WHERE user_id = $1 AND ended IS NULL ORDER BY created DESC, session"
        );
        let rows = self.all(query(text).bind(&user.as_bytes()[..])).await?;
        rows.iter().map(session_of).collect()
    }
}

#[async_trait]
impl SessionRepository for Handle {
    async fn create_session(&mut self, session: &StoredSession) -> Result<bool, StorageError> {
        let text = concat!(
            "INSERT INTO session (",
            session_columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING"
        );
        let insert = query(text)
            .bind(&session.session.as_bytes()[..])
            .bind(&session.user.as_bytes()[..])
            .bind(&session.device.as_bytes()[..])
            .bind(&session.key.as_bytes()[..])
            .bind(session.created.to_row())
            .bind(session.last_seen.to_row())
            .bind(to_row(session.generation))
            .bind(&session.current.0[..])
            .bind(session.previous.as_ref().map(|hash| &hash.0[..]))
            .bind(session.current_used)
            .bind(session.ended.map(Timestamp::to_row));
        Ok(self.execute(insert).await? > 0)
    }

    async fn rotate_session(
        &mut self,
        session: SessionId,
        generation: u64,
        next: TokenHash,
        at: Timestamp,
    ) -> Result<bool, StorageError> {
        let text = "UPDATE session
                    SET previous_hash = current_hash, current_hash = $3, current_used = FALSE,
                        generation = generation + 1,
                        last_seen = CASE WHEN last_seen < $4 THEN $4 ELSE last_seen END
                    WHERE session = $1 AND generation = $2 AND ended IS NULL";
        let update = query(text)
            .bind(&session.as_bytes()[..])
            .bind(to_row(generation))
            .bind(&next.0[..])
            .bind(at.to_row());
        Ok(self.execute(update).await? > 0)
    }

    async fn mark_token_used(&mut self, session: SessionId) -> Result<(), StorageError> {
        let text = "UPDATE session SET current_used = TRUE WHERE session = $1 AND NOT current_used";
        self.execute(query(text).bind(&session.as_bytes()[..])).await.map(|_| ())
    }

    async fn touch_sessions(
        &mut self,
        seen: &[(SessionId, Timestamp)],
    ) -> Result<(), StorageError> {
        let text = "UPDATE session SET last_seen = $2 WHERE session = $1 AND last_seen < $2";
        // In one order for all nodes, so that two never wait for each other.
        let mut seen = seen.to_vec();
        seen.sort();
        for (session, at) in seen {
            self.execute(query(text).bind(&session.as_bytes()[..]).bind(at.to_row())).await?;
        }
        Ok(())
    }

    async fn end_session(
        &mut self,
        session: SessionId,
        at: Timestamp,
    ) -> Result<bool, StorageError> {
        let text = "UPDATE session SET ended = $2 WHERE session = $1 AND ended IS NULL";
        let update = query(text).bind(&session.as_bytes()[..]).bind(at.to_row());
        Ok(self.execute(update).await? > 0)
    }

    async fn end_sessions_of_user(
        &mut self,
        user: UserId,
        except: Option<SessionId>,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StorageError> {
        let text = "UPDATE session SET ended = $2
                    WHERE user_id = $1 AND ended IS NULL AND session <> $3 RETURNING session";
        // No session has an empty id.
        let except = except.as_ref().map_or(&[][..], |session| session.as_bytes());
        let update = query(text).bind(&user.as_bytes()[..]).bind(at.to_row()).bind(except);
        ended(&self.all(update).await?)
    }

    async fn end_sessions_of_device(
        &mut self,
        device: DeviceId,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StorageError> {
        let text = "UPDATE session SET ended = $2 WHERE device = $1 AND ended IS NULL
                    RETURNING session";
        ended(&self.all(query(text).bind(&device.as_bytes()[..]).bind(at.to_row())).await?)
    }
}

fn ended(rows: &[Row]) -> Result<Vec<SessionId>, StorageError> {
    rows.iter().map(|row| Cells::of("session", row).id(0, SessionId::from_slice)).collect()
}

fn session_of(row: &Row) -> Result<StoredSession, StorageError> {
    let cells = Cells::of("session", row);
    let hash = |bytes: &[u8]| bytes.try_into().ok().map(TokenHash);
    Ok(StoredSession {
        session: cells.id(0, SessionId::from_slice)?,
        user: cells.id(1, UserId::from_slice)?,
        device: cells.id(2, DeviceId::from_slice)?,
        key: cells.id(3, VerifyingKey::from_slice)?,
        created: cells.time(4)?,
        last_seen: cells.time(5)?,
        generation: cells.number(6)?,
        current: cells.id(7, hash)?,
        previous: cells.id_if_any(8, hash)?,
        current_used: cells.flag(9)?,
        ended: cells.time_if_any(10)?,
    })
}

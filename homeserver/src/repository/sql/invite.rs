//! Invites.

use async_trait::async_trait;
use rookery_protocol::time::Timestamp;
use sqlx::query;

use super::{Handle, Row, row::Cells};
use crate::repository::{
    StorageError,
    invite::{InviteHash, InviteRepository, InviteView, StoredInvite},
};

#[async_trait]
impl InviteView for Handle {
    async fn invites(&mut self) -> Result<Vec<StoredInvite>, StorageError> {
        let text = "SELECT hash, id, uses_left, created, expires, note, revoked FROM invite
                    ORDER BY created DESC, id";
        self.all(query(text)).await?.iter().map(invite_of).collect()
    }
}

#[async_trait]
impl InviteRepository for Handle {
    async fn create_invite(&mut self, invite: &StoredInvite) -> Result<bool, StorageError> {
        let text = "INSERT INTO invite (hash, id, uses_left, created, expires, note, revoked)
                    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
        let insert = query(text)
            .bind(&invite.hash.0[..])
            .bind(&*invite.id)
            .bind(i64::from(invite.uses_left))
            .bind(invite.created.to_row())
            .bind(invite.expires.map(Timestamp::to_row))
            .bind(invite.note.as_deref())
            .bind(invite.revoked);
        Ok(self.execute(insert).await? > 0)
    }

    async fn take_invite(
        &mut self,
        hash: InviteHash,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let text = "UPDATE invite SET uses_left = uses_left - 1
                    WHERE hash = $1 AND uses_left > 0 AND NOT revoked
                      AND (expires IS NULL OR expires > $2)";
        Ok(self.execute(query(text).bind(&hash.0[..]).bind(now.to_row())).await? > 0)
    }

    async fn revoke_invite(&mut self, id: &str) -> Result<bool, StorageError> {
        let text = "UPDATE invite SET revoked = TRUE WHERE id = $1";
        Ok(self.execute(query(text).bind(id)).await? > 0)
    }
}

fn invite_of(row: &Row) -> Result<StoredInvite, StorageError> {
    let cells = Cells::of("invite", row);
    Ok(StoredInvite {
        hash: cells.id(0, |bytes| bytes.try_into().ok().map(InviteHash))?,
        id: cells.text(1)?.to_owned(),
        uses_left: cells.number(2)?,
        created: cells.time(3)?,
        expires: cells.time_if_any(4)?,
        note: cells.text_if_any(5)?,
        revoked: cells.flag(6)?,
    })
}

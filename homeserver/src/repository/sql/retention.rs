//! What is forgotten, and counts.

use async_trait::async_trait;
use sqlx::query;

use super::{Handle, row::Cells};
use crate::repository::{
    StorageError,
    retention::{Census, FILES, Purge, Purged, RetentionRepository, RetentionView},
};

#[async_trait]
impl RetentionView for Handle {
    async fn census(&mut self) -> Result<Census, StorageError> {
        let text = "SELECT (SELECT COUNT(*) FROM account WHERE state <> 3),
                           (SELECT COUNT(*) FROM session WHERE ended IS NULL),
                           (SELECT CAST(COALESCE(SUM(waiting), 0) AS BIGINT) FROM mailbox_head),
                           (SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM mailbox_head)";
        let row = self.first(query(text)).await?;
        let row = row.ok_or(StorageError::Inconsistent { table: "account" })?;
        let cells = Cells::of("account", &row);
        Ok(Census {
            accounts: cells.number(0)?,
            sessions: cells.number(1)?,
            waiting_envelopes: cells.number(2)?,
            waiting_bytes: cells.number(3)?,
        })
    }
}

#[async_trait]
impl RetentionRepository for Handle {
    async fn purge(&mut self, purge: &Purge) -> Result<Purged, StorageError> {
        let most = i64::from(purge.rows);
        let messages = "DELETE FROM message WHERE (item, sender) IN
                        (SELECT item, sender FROM message WHERE at < $1 ORDER BY at LIMIT $2)";
        let messages = query(messages).bind(purge.messages_before.to_row()).bind(most);
        let sessions = "DELETE FROM session WHERE session IN
                        (SELECT session FROM session WHERE ended < $1 OR last_seen < $2 LIMIT $3)";
        let sessions = query(sessions)
            .bind(purge.sessions_ended_before.to_row())
            .bind(purge.sessions_idle_before.to_row())
            .bind(most);
        let claims = "DELETE FROM claim WHERE (requester, claim, device) IN
                      (SELECT requester, claim, device FROM claim WHERE at < $1
                       ORDER BY at LIMIT $2)";
        let claims = query(claims).bind(purge.claims_before.to_row()).bind(most);
        let keys = "DELETE FROM one_time_prekey WHERE (device, kind, id) IN
                    (SELECT device, kind, id FROM one_time_prekey WHERE expires < $1
                     ORDER BY expires LIMIT $2)";
        let keys = query(keys).bind(purge.claims_before.to_row()).bind(most);
        let invites = "DELETE FROM invite WHERE hash IN
                       (SELECT hash FROM invite
                        WHERE expires < $1 OR (created < $1 AND (uses_left = 0 OR revoked))
                        LIMIT $2)";
        let invites = query(invites).bind(purge.invites_before.to_row()).bind(most);
        let blobs = "DELETE FROM blob WHERE (community, blob, user_id) IN
                     (SELECT community, blob, user_id FROM blob WHERE at < $1 AND NOT named
                      ORDER BY at LIMIT $2)";
        let blobs = query(blobs).bind(purge.blobs_before.to_row()).bind(most);
        let files = "DELETE FROM file WHERE (file, user_id) IN
                     (SELECT file, user_id FROM file
                      WHERE (whole AND at < $1) OR (NOT whole AND at < $2) LIMIT $3)
                     RETURNING user_id, size";
        let files = query(files)
            .bind(purge.files_before.to_row())
            .bind(purge.unfinished_files_before.to_row())
            .bind(most.min(i64::from(FILES)));
        let files = self.all(files).await?;
        self.use_less(&files).await?;
        let entries = "DELETE FROM entry WHERE (chain, seq) IN
                       (SELECT entry.chain, seq FROM community
                        JOIN community_chain ON community_chain.community = community.community
                        JOIN entry ON entry.chain = community_chain.chain
                        WHERE deleted AND channel IS NOT NULL LIMIT $1)";
        let entries = query(entries).bind(most);
        Ok(Purged {
            messages: self.execute(messages).await?,
            sessions: self.execute(sessions).await?,
            claims: self.execute(claims).await?.saturating_add(self.execute(keys).await?),
            invites: self.execute(invites).await?,
            blobs: self.execute(blobs).await?,
            files: u64::try_from(files.len()).unwrap_or(u64::MAX),
            entries: self.execute(entries).await?,
        })
    }
}

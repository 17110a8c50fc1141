//! Contacts.

use async_trait::async_trait;
use rookery_protocol::{
    id::UserId,
    name::{Address, ServerName},
    request::contact::Standing,
};
use sqlx::query;

use super::{Handle, Row, row::Cells};
use crate::repository::{
    StorageError,
    contact::{ContactRepository, ContactView, Standings, StoredContact, binding},
};

#[async_trait]
impl ContactView for Handle {
    async fn contact(
        &mut self,
        owner: UserId,
        who: &Address,
    ) -> Result<Option<StoredContact>, StorageError> {
        let text = "SELECT owner, name, user_id, standing, since FROM contact
                    WHERE owner = $1 AND name = $2";
        let row = self.first(query(text).bind(&owner.as_bytes()[..]).bind(cell(who))).await?;
        row.as_ref().map(contact_of).transpose()
    }

    async fn contacts_with(
        &mut self,
        owner: UserId,
        user: UserId,
    ) -> Result<Vec<StoredContact>, StorageError> {
        let text = "SELECT owner, name, user_id, standing, since FROM contact
                    WHERE owner = $1 AND user_id = $2 ORDER BY name";
        let select = query(text).bind(&owner.as_bytes()[..]).bind(&user.as_bytes()[..]);
        self.all(select).await?.iter().map(contact_of).collect()
    }

    async fn standings(&mut self, user: UserId, other: UserId) -> Result<Standings, StorageError> {
        let text = "SELECT owner, standing FROM contact
                    WHERE (owner = $1 AND user_id = $2) OR (owner = $2 AND user_id = $1)";
        let (one, two) = (&user.as_bytes()[..], &other.as_bytes()[..]);
        let rows = self.all(query(text).bind(one).bind(two)).await?;
        let mut standings = Standings::default();
        for row in &rows {
            let cells = Cells::of("contact", row);
            let standing = cells.choice(1, Standing::from_number)?;
            let ours = cells.id(0, UserId::from_slice)? == user;
            let known = if ours { &mut standings.ours } else { &mut standings.theirs };
            *known = Some(known.map_or(standing, |known| binding(known, standing)));
        }
        Ok(standings)
    }

    async fn contacts(&mut self, owner: UserId) -> Result<Vec<StoredContact>, StorageError> {
        let text = "SELECT owner, name, user_id, standing, since FROM contact
                    WHERE owner = $1 ORDER BY name";
        let rows = self.all(query(text).bind(&owner.as_bytes()[..])).await?;
        rows.iter().map(contact_of).collect()
    }

    async fn contact_count(&mut self, owner: UserId) -> Result<u32, StorageError> {
        let text = "SELECT COUNT(*) FROM contact WHERE owner = $1";
        let row = self.first(query(text).bind(&owner.as_bytes()[..])).await?;
        row.as_ref().map_or(Ok(0), |row| Cells::of("contact", row).number(0))
    }

    async fn contacts_at(
        &mut self,
        peer: &ServerName,
        most: usize,
    ) -> Result<Vec<(UserId, UserId)>, StorageError> {
        let text = "SELECT DISTINCT contact.owner, contact.user_id FROM foreigner
                    JOIN contact ON contact.user_id = foreigner.user_id
                    WHERE foreigner.peer = $1 AND contact.standing = $2
                    ORDER BY contact.user_id, contact.owner LIMIT $3";
        let accepted = i64::from(Standing::Accepted.number());
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = self.all(query(text).bind(peer.as_str()).bind(accepted).bind(most)).await?;
        let pair = |row| {
            let cells = Cells::of("contact", row);
            Ok((cells.id(0, UserId::from_slice)?, cells.id(1, UserId::from_slice)?))
        };
        rows.iter().map(pair).collect()
    }

    async fn accepted_contacts(&mut self, owner: UserId) -> Result<Vec<UserId>, StorageError> {
        let text = "SELECT user_id FROM contact
                    WHERE owner = $1 AND standing = $2 AND user_id IS NOT NULL ORDER BY user_id";
        let accepted = i64::from(Standing::Accepted.number());
        let rows = self.all(query(text).bind(&owner.as_bytes()[..]).bind(accepted)).await?;
        rows.iter().map(|row| Cells::of("contact", row).id(0, UserId::from_slice)).collect()
    }
}

#[async_trait]
impl ContactRepository for Handle {
    async fn put_contact(&mut self, contact: &StoredContact) -> Result<(), StorageError> {
        let text = "INSERT INTO contact (owner, name, user_id, standing, since)
                    VALUES ($1, $2, $3, $4, $5)
                    ON CONFLICT (owner, name) DO UPDATE
                    SET user_id = excluded.user_id, standing = excluded.standing,
                        since = excluded.since";
        let insert = query(text)
            .bind(&contact.owner.as_bytes()[..])
            .bind(cell(&contact.who()))
            .bind(contact.user.as_ref().map(|user| &user.as_bytes()[..]))
            .bind(i64::from(contact.standing.number()))
            .bind(contact.since.to_row());
        self.execute(insert).await.map(|_| ())
    }

    async fn remove_contact(&mut self, owner: UserId, who: &Address) -> Result<bool, StorageError> {
        let text = "DELETE FROM contact WHERE owner = $1 AND name = $2";
        let delete = query(text).bind(&owner.as_bytes()[..]).bind(cell(who));
        Ok(self.execute(delete).await? > 0)
    }
}

/// A name as it stands in a row: bare for who lives here, `name@server` for anybody else.
fn cell(who: &Address) -> String {
    who.server.as_ref().map_or_else(|| who.name.to_string(), |_| who.to_string())
}

fn contact_of(row: &Row) -> Result<StoredContact, StorageError> {
    let cells = Cells::of("contact", row);
    let who: Address = cells.text(1)?.parse().map_err(|_| cells.impossible())?;
    Ok(StoredContact {
        owner: cells.id(0, UserId::from_slice)?,
        name: who.name,
        server: who.server,
        user: cells.id_if_any(2, UserId::from_slice)?,
        standing: cells.choice(3, Standing::from_number)?,
        since: cells.time(4)?,
    })
}

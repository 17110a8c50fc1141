//! Accounts.

use async_trait::async_trait;
use rookery_protocol::{
    id::UserId,
    name::UserName,
    request::{
        account::{AccountSettings, Writers},
        admin::AccountState,
        contact::Standing,
        presence::PresenceState,
    },
    time::Timestamp,
};
use sqlx::query;

use super::{Handle, Query, Row, many::Many, row::Cells};
use crate::repository::{
    StorageError,
    account::{
        Account, AccountRepository, AccountSummary, AccountView, NewAccount, Opened,
        StoredPresence, StoredProfile,
    },
    chain::ChainKind,
};

/// The columns of an account, as [`account_of`] reads them.
macro_rules! account_columns {
    () => {
        "account.user_id, account.name, account.password, account.state, account.created, \
         account.last_seen, account.email, account.writers, account.shows_presence, \
         account.may_be_suggested"
    };
}

/// The same with counts, as [`summary_of`] reads them.
macro_rules! summary_columns {
    () => {
        concat!(
            account_columns!(),
            ", (SELECT COUNT(*) FROM session
                WHERE session.user_id = account.user_id AND session.ended IS NULL),
               (SELECT CAST(COALESCE(SUM(waiting), 0) AS BIGINT) FROM mailbox_head
                WHERE mailbox_head.user_id = account.user_id)"
        )
    };
}

#[async_trait]
impl AccountView for Handle {
    async fn account(&mut self, user: UserId) -> Result<Option<Account>, StorageError> {
        let text = concat!("SELECT ", account_columns!(), " FROM account WHERE user_id = $1");
        let row = self.first(query(text).bind(&user.as_bytes()[..])).await?;
        row.as_ref().map(account_of).transpose()
    }

    async fn account_by_name(&mut self, name: &UserName) -> Result<Option<Account>, StorageError> {
        let text = concat!("SELECT ", account_columns!(), " FROM account WHERE name = $1");
        let row = self.first(query(text).bind(name.as_str())).await?;
        row.as_ref().map(account_of).transpose()
    }

    async fn profile(&mut self, user: UserId) -> Result<Option<StoredProfile>, StorageError> {
        let text = "SELECT profile, profile_at FROM account
                    WHERE user_id = $1 AND profile IS NOT NULL";
        let row = self.first(query(text).bind(&user.as_bytes()[..])).await?;
        let read = |row: &Row| {
            let cells = Cells::of("account", row);
            Ok(StoredProfile { sealed: cells.bytes(0)?.to_vec(), at: cells.time(1)? })
        };
        row.as_ref().map(read).transpose()
    }

    async fn presences(&mut self, users: &[UserId]) -> Result<Vec<StoredPresence>, StorageError> {
        static PRESENCES: Many = Many::new(
            "SELECT user_id, presence, last_online, status FROM account
             WHERE presence IS NOT NULL AND user_id IN (",
            1,
            ")",
        );
        let bind = |query: Query<'static>, user: &UserId| query.bind(user.as_bytes().to_vec());
        let rows = self.all_many(&PRESENCES, users, bind).await?;
        let read = |row: &Row| {
            let cells = Cells::of("account", row);
            Ok(StoredPresence {
                user: cells.id(0, UserId::from_slice)?,
                state: cells.choice(1, PresenceState::from_number)?,
                last_online: cells.time_if_any(2)?,
                status: cells.bytes_if_any(3)?.map(<[u8]>::to_vec),
            })
        };
        rows.iter().map(read).collect()
    }

    async fn accounts(
        &mut self,
        after: Option<&UserName>,
        limit: u32,
    ) -> Result<Vec<AccountSummary>, StorageError> {
        let text = concat!(
            "SELECT ",
            summary_columns!(),
            " FROM account WHERE name > $1 ORDER BY name LIMIT $2"
        );
        let after = after.map_or("", UserName::as_str);
        let rows = self.all(query(text).bind(after).bind(i64::from(limit))).await?;
        rows.iter().map(summary_of).collect()
    }

    async fn account_summary(
        &mut self,
        name: &UserName,
    ) -> Result<Option<AccountSummary>, StorageError> {
        let text = concat!("SELECT ", summary_columns!(), " FROM account WHERE name = $1");
        let row = self.first(query(text).bind(name.as_str())).await?;
        row.as_ref().map(summary_of).transpose()
    }
}

#[async_trait]
impl AccountRepository for Handle {
    async fn open_account(&mut self, new: &NewAccount) -> Result<Opened, StorageError> {
        let text = "INSERT INTO account (user_id, name, password, state, created, email, writers,
                                         shows_presence, may_be_suggested)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                    ON CONFLICT DO NOTHING";
        let insert = query(text)
            .bind(&new.user.as_bytes()[..])
            .bind(new.name.as_str())
            .bind(&*new.password)
            .bind(i64::from(AccountState::Active.number()))
            .bind(new.created.to_row())
            .bind(new.email.as_deref())
            .bind(i64::from(new.settings.writers.number()))
            .bind(new.settings.presence)
            .bind(new.settings.suggest);
        if self.execute(insert).await? > 0 {
            return Ok(Opened::New);
        }
        let same = self.account(new.user).await?.is_some_and(|known| known.name == new.name);
        Ok(if same { Opened::Already } else { Opened::NameTaken })
    }

    async fn set_password(&mut self, user: UserId, password: &str) -> Result<bool, StorageError> {
        let text = "UPDATE account SET password = $2 WHERE user_id = $1 AND state <> 3";
        self.execute(query(text).bind(&user.as_bytes()[..]).bind(password)).await.map(is_any)
    }

    async fn set_account_state(
        &mut self,
        user: UserId,
        state: AccountState,
    ) -> Result<bool, StorageError> {
        let text = "UPDATE account SET state = $2 WHERE user_id = $1 AND state <> 3";
        let state = i64::from(state.number());
        self.execute(query(text).bind(&user.as_bytes()[..]).bind(state)).await.map(is_any)
    }

    async fn set_settings(
        &mut self,
        user: UserId,
        settings: &AccountSettings,
    ) -> Result<bool, StorageError> {
        let text = "UPDATE account SET writers = $2, shows_presence = $3, may_be_suggested = $4
                    WHERE user_id = $1 AND state <> 3";
        let update = query(text)
            .bind(&user.as_bytes()[..])
            .bind(i64::from(settings.writers.number()))
            .bind(settings.presence)
            .bind(settings.suggest);
        self.execute(update).await.map(is_any)
    }

    async fn put_profile(
        &mut self,
        user: UserId,
        profile: &StoredProfile,
    ) -> Result<(), StorageError> {
        let text = "UPDATE account SET profile = $2, profile_at = $3
                    WHERE user_id = $1 AND state <> 3";
        let update =
            query(text).bind(&user.as_bytes()[..]).bind(&*profile.sealed).bind(profile.at.to_row());
        self.execute(update).await.map(|_| ())
    }

    async fn note_presences(&mut self, presences: &[StoredPresence]) -> Result<(), StorageError> {
        let text = "UPDATE account SET presence = $2, last_online = $3, status = $4
                    WHERE user_id = $1 AND state <> 3";
        // In one order for all nodes, so that two never wait for each other.
        let mut presences: Vec<_> = presences.iter().collect();
        presences.sort_by_key(|presence| presence.user);
        for presence in presences {
            let update = query(text)
                .bind(&presence.user.as_bytes()[..])
                .bind(i64::from(presence.state.number()))
                .bind(presence.last_online.map(Timestamp::to_row))
                .bind(presence.status.as_deref());
            self.execute(update).await?;
        }
        Ok(())
    }

    async fn erase_account(&mut self, user: UserId) -> Result<bool, StorageError> {
        let erase = "UPDATE account SET state = 3, password = '', email = NULL, last_seen = NULL,
                     writers = $2, shows_presence = FALSE, may_be_suggested = FALSE,
                     profile = NULL, profile_at = NULL, presence = NULL, last_online = NULL,
                     status = NULL WHERE user_id = $1 AND state <> 3";
        let writers = i64::from(Writers::Contacts.number());
        if self.execute(query(erase).bind(&user.as_bytes()[..]).bind(writers)).await? == 0 {
            return Ok(false);
        }
        for text in [
            "DELETE FROM session WHERE user_id = $1",
            "DELETE FROM puk_box WHERE user_id = $1",
            "DELETE FROM claim WHERE requester = $1
                OR device IN (SELECT device FROM prekey WHERE user_id = $1)",
            "DELETE FROM prekey WHERE user_id = $1",
            "DELETE FROM mailbox
                WHERE device IN (SELECT device FROM mailbox_head WHERE user_id = $1)",
            "DELETE FROM mailbox_head WHERE user_id = $1",
            "DELETE FROM device WHERE user_id = $1",
            "DELETE FROM contact WHERE owner = $1",
        ] {
            self.execute(query(text).bind(&user.as_bytes()[..])).await?;
        }
        let unanswered = "DELETE FROM contact WHERE user_id = $1 AND standing IN ($2, $3)";
        let unanswered = query(unanswered)
            .bind(&user.as_bytes()[..])
            .bind(i64::from(Standing::Asking.number()))
            .bind(i64::from(Standing::Stranger.number()));
        self.execute(unanswered).await?;
        let journal = "DELETE FROM chain WHERE owner = $1 AND kind = $2";
        let journal =
            query(journal).bind(&user.as_bytes()[..]).bind(i64::from(ChainKind::Journal.number()));
        self.execute(journal).await.map(|_| true)
    }
}

fn account_of(row: &Row) -> Result<Account, StorageError> {
    let cells = Cells::of("account", row);
    Ok(Account {
        user: cells.id(0, UserId::from_slice)?,
        name: cells.text(1)?.parse().map_err(|_| cells.impossible())?,
        password: cells.text(2)?.to_owned(),
        state: cells.choice(3, AccountState::from_number)?,
        created: cells.time(4)?,
        last_seen: cells.time_if_any(5)?,
        email: cells.text_if_any(6)?,
        settings: AccountSettings {
            writers: cells.choice(7, Writers::from_number)?,
            presence: cells.flag(8)?,
            suggest: cells.flag(9)?,
        },
    })
}

fn summary_of(row: &Row) -> Result<AccountSummary, StorageError> {
    let cells = Cells::of("account", row);
    Ok(AccountSummary {
        account: account_of(row)?,
        sessions: cells.number(10)?,
        waiting_envelopes: cells.number(11)?,
    })
}

fn is_any(rows: u64) -> bool {
    rows > 0
}

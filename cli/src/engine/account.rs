//! The account itself: its state, password, settings, sessions, and its end.

use rookery_protocol::{
    io::client::CallError,
    request::{
        account::{
            AccountSettings, ChangePassword, ChangeSettings, CloseAccount, CloseError,
            PasswordError, ReadSettings, Writers,
        },
        session::{EndError, EndSession, ListSessions},
    },
};

use super::{
    Engine, Link,
    refusal::{failed, failed_as},
};
use crate::{
    agent::verb::{
        Connection, SessionLine, SettingsLine, StatusLine, WhoamiLine, WritersWord, rfc3339,
    },
    e2ee::{
        OsRandom,
        recovery::RecoveryKey,
        statement::{Draft, Signer},
    },
    error::{CommandError, Kind},
    store::{Account, AccountStage, MessageState, Name, StoreError},
};

/// The word for how far a device has come.
const fn stage_word(stage: AccountStage) -> &'static str {
    match stage {
        AccountStage::Uncertified => "uncertified",
        AccountStage::Certified => "certified",
        AccountStage::Ended => "ended",
    }
}

/// Who an account is, as a line.
#[must_use]
pub fn whoami_line(account: &Account) -> WhoamiLine {
    WhoamiLine {
        v: 1,
        name: format!("{}@{}", account.name, account.server),
        user: account.user.to_string(),
        device: account.device.to_string(),
        device_name: account.device_name.clone(),
        server: account.server.to_string(),
        address: account.address.clone(),
        state: stage_word(account.stage).to_owned(),
    }
}

impl Engine {
    /// Whose profile this is.
    pub(crate) fn whoami(&self) -> WhoamiLine {
        whoami_line(&self.account())
    }

    /// How everything stands. Waits for the first attempt to connect.
    pub(crate) async fn status(&self) -> Result<StatusLine, CommandError> {
        let trouble = self.online().await.err();
        let caught_up =
            trouble.is_none() && self.wait_caught_up(std::time::Duration::from_secs(3)).await;
        let mut unit = self.store.read().await?;
        let own = unit.person(self.user).await?;
        let queued = unit.outbox_length().await?;
        let owed = unit.journal_owed(1_000).await?.len();
        let again = self.unread_again(&mut unit).await?;
        let unread = unit.unread().await?.saturating_add(again);
        let failed = unit.newest_in(MessageState::Failed).await?;
        let refused = unit.value(Name::Refused).await?.unwrap_or_default();
        let resets = unit.value(Name::Resets).await?.unwrap_or_default();
        drop(unit);
        let not_believed = self.not_believed().await?;
        let leaving = self.leaves().await?;
        let account = self.account();
        let (connection, carrier) = match &*self.link.borrow() {
            Link::Online(online) => (Connection::Online, Some(online.client.carrier())),
            Link::Connecting => (Connection::Connecting, None),
            Link::Offline(_) => (Connection::Offline, None),
            Link::Ended(_) => (Connection::Ended, None),
        };
        Ok(StatusLine {
            v: 1,
            connection,
            carrier: carrier.map(str::to_owned),
            reason: trouble.map(|trouble| trouble.message),
            caught_up,
            queued,
            journal_owed: u64::try_from(owed).unwrap_or(u64::MAX),
            unread,
            failed,
            refused,
            resets,
            not_believed,
            leaving,
            name: format!("{}@{}", account.name, account.server),
            server: account.server.to_string(),
            address: account.address,
            fingerprint: account.pin.map(|pin| pin.to_string()),
            state: stage_word(account.stage).to_owned(),
            device: self.device.to_string(),
            devices: own
                .map_or(0, |own| u32::try_from(own.live_devices().len()).unwrap_or(u32::MAX)),
            software: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    /// The sessions of this user.
    pub(crate) async fn list_sessions(&self) -> Result<Vec<SessionLine>, CommandError> {
        let client = self.online().await?;
        let sessions = client
            .call(&ListSessions {})
            .await
            .map_err(|error| failed(Kind::Failed, error))?
            .sessions;
        Ok(sessions
            .into_iter()
            .map(|session| SessionLine {
                v: 1,
                id: session.session.to_string(),
                device: session.device.to_string(),
                created: rfc3339(session.created),
                last_seen: rfc3339(session.last_seen),
                current: session.current,
            })
            .collect())
    }

    /// Ends a session.
    pub(crate) async fn end_session(&self, session: &str) -> Result<(), CommandError> {
        let session = session.parse()?;
        let client = self.online().await?;
        client
            .call(&EndSession { session: Some(session) })
            .await
            .map_err(|error| failed_as(error, |_: &EndError| Kind::NotFound))
    }

    /// Changes the password.
    pub(crate) async fn change_password(&self, old: &str, new: &str) -> Result<(), CommandError> {
        let client = self.online().await?;
        let request = ChangePassword { old: old.to_owned(), new: new.to_owned() };
        client.call(&request).await.map_err(|error| {
            failed_as(error, |error| match error {
                PasswordError::Wrong => Kind::NotPermitted,
                PasswordError::Unfit => Kind::Usage,
            })
        })
    }

    /// Closes the account for good.
    pub(crate) async fn close_account(
        &self,
        password: &str,
        recovery: Option<&RecoveryKey>,
    ) -> Result<(), CommandError> {
        let client = self.online().await?;
        let state = self.fetch_chain(&client, self.user).await?;
        let mut draft = Draft::after(&state);
        let signer = recovery.map_or(Signer::Device(&self.secrets), Signer::Recovery);
        draft.close(signer, None, self.now(), &mut OsRandom).map_err(|error| {
            CommandError::of(Kind::NotPermitted, &error).hint("an account is closed on its oldest device, or with the recovery key: --recovery-key-file")
        })?;
        let statement = draft.finish().statements.into_iter().next();
        let statement =
            statement.ok_or_else(|| CommandError::new(Kind::Failed, "no statement was made"))?;
        let outcome = client.call(&CloseAccount { password: password.to_owned(), statement }).await;
        match outcome {
            // The home closes the connection with the account: a lost answer is looked at again.
            Ok(()) => {}
            Err(CallError::Lost(_)) if matches!(&*self.link.borrow(), Link::Ended(_)) => {}
            Err(error) => {
                return Err(failed_as(error, |error| match error {
                    CloseError::WrongPassword | CloseError::Denied { .. } => Kind::NotPermitted,
                }));
            }
        }
        Ok(self.change_account(|account| account.stage = AccountStage::Ended).await?)
    }

    /// Reads the settings, and changes those that are named.
    pub(crate) async fn settings(
        &self,
        writers: Option<WritersWord>,
        presence: Option<bool>,
        suggest: Option<bool>,
        read_receipts: Option<bool>,
        archive: Option<bool>,
    ) -> Result<SettingsLine, CommandError> {
        let client = self.online().await?;
        let known =
            client.call(&ReadSettings {}).await.map_err(|error| failed(Kind::Failed, error))?;
        let next = AccountSettings {
            writers: writers.map_or(known.writers, |writers| match writers {
                WritersWord::Everyone => Writers::Everyone,
                WritersWord::CoMembers => Writers::CoMembers,
                WritersWord::Contacts => Writers::Contacts,
            }),
            presence: presence.unwrap_or(known.presence),
            suggest: suggest.unwrap_or(known.suggest),
        };
        if next != known {
            client
                .call(&ChangeSettings { settings: next.clone() })
                .await
                .map_err(|error| failed(Kind::Failed, error))?;
        }
        if read_receipts.is_some() || archive.is_some() {
            self.change_settings_here(read_receipts, archive).await?;
        }
        let account = self.account();
        Ok(SettingsLine {
            v: 1,
            writers: match next.writers {
                Writers::Everyone => WritersWord::Everyone,
                Writers::CoMembers => WritersWord::CoMembers,
                Writers::Contacts => WritersWord::Contacts,
            },
            presence: next.presence,
            suggest: next.suggest,
            read_receipts: account.read_receipts,
            archive: account.archive,
        })
    }

    async fn change_settings_here(
        &self,
        read_receipts: Option<bool>,
        archive: Option<bool>,
    ) -> Result<(), StoreError> {
        self.change_account(|account| {
            account.read_receipts = read_receipts.unwrap_or(account.read_receipts);
            account.archive = archive.unwrap_or(account.archive);
        })
        .await
    }
}

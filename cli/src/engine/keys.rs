//! How the keys of the account stand, and letting the store go.

use rookery_protocol::{
    chain::{Entry, Item},
    codec,
    time::Timestamp,
    user::{Action, Statement},
};
use tokio_util::sync::CancellationToken;

use super::{Engine, contacts};
use crate::{
    agent::verb::{KeysLine, LockLine, rfc3339},
    error::{CommandError, Kind},
    store,
};

impl Engine {
    /// How the account's keys stand, as far as this device has verified: nothing is asked of the server.
    pub(crate) async fn keys(&self) -> Result<KeysLine, CommandError> {
        let missing = || CommandError::new(Kind::Locked, "the account's chain is not here yet");
        let mut unit = self.store.read().await?;
        let chain = unit.chain(self.user).await?.ok_or_else(missing)?;
        let contacts = unit.contacts().await?;
        drop(unit);
        let known: Vec<&str> = contacts
            .iter()
            .filter(|contact| contact.user != self.user && contact.standing.is_some())
            .map(contacts::trust_word)
            .collect();
        let count = |word: &str| {
            u32::try_from(known.iter().filter(|one| **one == word).count()).unwrap_or(u32::MAX)
        };
        let live = chain.state.live_devices();
        let account = self.account();
        let file = self.place.recovery_key();
        let device_at = live.iter().find(|(id, _)| *id == self.device).map(|(_, one)| one.added);
        Ok(KeysLine {
            v: 1,
            recovery_since: chain.entries.iter().rev().find_map(recovery_at).map(rfc3339),
            recovery_key_file: file.exists().then(|| file.display().to_string()),
            device: self.device.to_string(),
            device_name: account.device_name,
            device_since: device_at
                .and_then(|place| written_at(&chain.entries, place))
                .map(rfc3339),
            is_oldest: live.first().is_some_and(|(id, _)| *id == self.device),
            devices: u32::try_from(live.len()).unwrap_or(u32::MAX),
            generation: chain.state.puk().map_or(0, |puk| puk.generation),
            owes_rotation: chain.state.owes_rotation,
            people: u32::try_from(known.len()).unwrap_or(u32::MAX),
            verified: count("verified"),
            changed: count("changed"),
        })
    }

    /// Has whoever owns the profile close its store, where it does not open by itself again.
    pub(crate) async fn lock(&self) -> Result<LockLine, CommandError> {
        let opener = store::opens_by_itself(&self.place, self.store.locked()).await?;
        if opener.is_none() {
            self.locking.cancel();
        }
        Ok(LockLine::new(opener))
    }

    /// Is cancelled when the store is to be closed and its passphrase asked for again.
    #[must_use]
    pub fn locking(&self) -> &CancellationToken {
        &self.locking
    }
}

/// What ends a call of somebody who has the store closed under it.
pub(crate) fn locked() -> CommandError {
    CommandError::new(Kind::Locked, "the store was locked")
        .hint("the next command asks for its passphrase")
}

/// When the statement at `place` was made, by its author's clock.
fn written_at(entries: &[Entry], place: u64) -> Option<Timestamp> {
    let entry = entries.iter().find(|entry| entry.seq == place)?;
    codec::decode::<Item>(entry.signed.payload.as_slice()).ok().map(|item| item.at)
}

/// When a recovery key came into force with `entry`, if one did.
fn recovery_at(entry: &Entry) -> Option<Timestamp> {
    let statement: Statement = codec::decode(entry.body.as_ref()?.as_slice()).ok()?;
    let is_one = matches!(statement.action, Action::Genesis(_) | Action::RecoveryRotate(_));
    is_one
        .then(|| codec::decode::<Item>(entry.signed.payload.as_slice()).ok())
        .flatten()
        .map(|item| item.at)
}

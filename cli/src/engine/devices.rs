//! This user's devices: listed, renamed, revoked; the recovery key replaced.

use rookery_protocol::{
    chain::HeadRef,
    id::DeviceId,
    io::client::{CallError, Client},
    request::{
        account::{AppendError, AppendStatements},
        device::ListDevices,
    },
    user::{DeviceRevoke, RevokeReason, State},
};

use super::{
    Engine,
    refusal::{failed, failed_as},
};
use crate::{
    agent::verb::{DeviceLine, rfc3339},
    e2ee::{
        OsRandom,
        journal_state::Change,
        puk::PukRing,
        recovery::RecoveryKey,
        statement::{Draft, Signer, Stated, StatementError},
    },
    error::{CommandError, Kind},
};

/// How often a statement is made again because another device was quicker.
const MAX_STALE: usize = 5;

impl From<StatementError> for CommandError {
    fn from(error: StatementError) -> Self {
        Self::of(Kind::NotPermitted, &error)
    }
}

impl Engine {
    /// The live devices, oldest first.
    pub(crate) async fn list_devices(&self) -> Result<Vec<DeviceLine>, CommandError> {
        // Without a connection, what is here of the chain still says which devices there are.
        let seen = match self.online().await {
            Ok(client) => {
                self.fetch_chain(&client, self.user).await?;
                client
                    .call(&ListDevices {})
                    .await
                    .map_err(|error| failed(Kind::Failed, error))?
                    .devices
            }
            Err(error) if error.kind == Kind::NoConnection => vec![],
            Err(error) => return Err(error),
        };
        let mut unit = self.store.read().await?;
        let own = unit.person(self.user).await?;
        let ring = unit.per_user_keys().await?;
        drop(unit);
        let own = own.ok_or_else(|| {
            CommandError::new(Kind::Locked, "the account's chain is not here yet")
        })?;
        Ok(own
            .live_devices()
            .into_iter()
            .map(|(id, device)| {
                let entry = seen.iter().find(|entry| entry.device == id);
                let renamed = self.journal().device_name(id).map(str::to_owned);
                let name = renamed
                    .or_else(|| ring.as_ref()?.open_device_name(id, &device.keys.sealed_name).ok());
                DeviceLine {
                    v: 1,
                    id: id.to_string(),
                    name: name.unwrap_or_default(),
                    this: id == self.device,
                    bot: device.keys.bot,
                    added: device.added,
                    last_seen: entry.and_then(|entry| entry.last_seen).map(rfc3339),
                    waiting: entry.map(|entry| entry.waiting),
                }
            })
            .collect())
    }

    /// The one device that `text` names: its id, the beginning of it, or its name.
    async fn device_named(&self, text: &str) -> Result<DeviceId, CommandError> {
        let devices = self.list_devices().await?;
        let by_id: Vec<_> = devices
            .iter()
            .filter(|device| text.len() >= 4 && device.id.starts_with(&text.to_ascii_lowercase()))
            .collect();
        let by_name: Vec<_> = devices.iter().filter(|device| device.name == text).collect();
        let found = if by_id.is_empty() { by_name } else { by_id };
        match found.as_slice() {
            [device] => Ok(device.id.parse()?),
            [] => Err(CommandError::new(Kind::NotFound, format!("there is no device {text:?}"))
                .hint("`rookery device list` shows them")),
            _ => Err(CommandError::new(Kind::Usage, format!("{text:?} fits more than one device"))
                .hint("name it by its id")),
        }
    }

    /// Gives a device another name.
    pub(crate) async fn rename_device(
        &self,
        device: &str,
        name: &str,
    ) -> Result<DeviceLine, CommandError> {
        if name.is_empty() || name.len() > 100 {
            return Err(CommandError::new(Kind::Usage, "a device's name has 1 to 100 bytes"));
        }
        let id = self.device_named(device).await?;
        let mut unit = self.store.write().await?;
        self.change_common(&mut unit, Change::DeviceName { device: id, name: name.to_owned() })
            .await?;
        unit.commit().await?;
        if id == self.device {
            self.change_account(|account| name.clone_into(&mut account.device_name)).await?;
        }
        self.chores_wake.notify_one();
        let devices = self.list_devices().await?;
        devices
            .into_iter()
            .find(|line| line.id == id.to_string())
            .ok_or_else(|| CommandError::new(Kind::NotFound, "the device is gone"))
    }

    /// Revokes a device: it gets nothing that is sealed after this, and the per-user key changes.
    pub(crate) async fn revoke_device(
        &self,
        device: &str,
        reason: RevokeReason,
        recovery: Option<&RecoveryKey>,
    ) -> Result<String, CommandError> {
        let id = self.device_named(device).await?;
        if id == self.device {
            return Err(CommandError::new(Kind::Usage, "this is that device")
                .hint("`rookery logout` signs it out"));
        }
        let signer = recovery.map(Signer::Recovery);
        self.state(|draft, ring| {
            let own = Signer::Device(&self.secrets);
            let signers = match signer {
                Some(recovery) => vec![recovery],
                None => vec![own],
            };
            let revoke = DeviceRevoke { devices: vec![id], reason, since_seq: None };
            draft.revoke_devices(&signers, revoke, ring, self.now(), &mut OsRandom)
        })
        .await
        .map_err(|error| {
            if error.kind == Kind::NotPermitted {
                return error.hint("a device that is older than this one is revoked with the recovery key: --recovery-key-file");
            }
            error
        })?;
        Ok(id.to_string())
    }

    /// Replaces the recovery key by `new`: signed by the old one, or by this device where the rules allow it.
    pub(crate) async fn replace_recovery(
        &self,
        old: Option<&RecoveryKey>,
        new: &RecoveryKey,
    ) -> Result<(), CommandError> {
        self.state(|draft, ring| {
            let signer = old.map_or(Signer::Device(&self.secrets), Signer::Recovery);
            draft.replace_recovery(&[signer], new, self.now(), &mut OsRandom)?;
            // The new key opens what the per-user key opens from now on: it gets a box of a new generation.
            draft.rotate_puk(Signer::Device(&self.secrets), ring, self.now(), &mut OsRandom)
        })
        .await
        .map_err(|error| {
            if error.kind == Kind::NotPermitted && old.is_none() {
                return error
                    .hint("name the recovery key that is in force by --old-recovery-key-file");
            }
            error
        })?;
        Ok(())
    }

    /// Makes the per-user key that a revocation owes.
    pub(super) async fn rotate_owed(&self, client: &Client) -> Result<(), CommandError> {
        let state = self.fetch_chain(client, self.user).await?;
        if !state.owes_rotation {
            return Ok(());
        }
        self.state(|draft, ring| {
            if draft.state().owes_rotation {
                return draft.rotate_puk(
                    Signer::Device(&self.secrets),
                    ring,
                    self.now(),
                    &mut OsRandom,
                );
            }
            Ok(())
        })
        .await
        .map(|_| ())
    }

    /// Makes statements, checks them by the chain's own rules, and hands all in; again when the chain went on meanwhile.
    pub(super) async fn state(
        &self,
        mut make: impl FnMut(&mut Draft, &mut PukRing) -> Result<(), StatementError>,
    ) -> Result<State, CommandError> {
        let client = self.online().await?;
        for _ in 0..MAX_STALE {
            let stated = {
                let mut unit = self.store.read().await?;
                let missing = || {
                    CommandError::new(Kind::Failed, "the account's keys are not here yet")
                        .hint("wait until this device has caught up")
                };
                let state = unit.person(self.user).await?.ok_or_else(missing)?;
                let mut ring = unit.per_user_keys().await?.ok_or_else(missing)?;
                let mut draft = Draft::after(&state);
                make(&mut draft, &mut ring)?;
                draft.finish()
            };
            if stated.statements.is_empty() {
                return Ok(stated.state);
            }
            match self.hand_in(&client, &stated).await? {
                Some(_) => return Ok(self.fetch_chain(&client, self.user).await?),
                None => {
                    self.fetch_chain(&client, self.user).await?;
                }
            }
        }
        Err(CommandError::new(
            Kind::Failed,
            "the account keeps changing on another device; nothing was changed",
        ))
    }

    /// Hands statements in; nothing when the chain went on meanwhile. A new per-user key is boxed for this device too: it is taken from
    /// its box once the chain says that it is in force, so that a refused one leaves no trace here.
    pub(super) async fn hand_in(
        &self,
        client: &Client,
        stated: &Stated,
    ) -> Result<Option<HeadRef>, CommandError> {
        let request =
            AppendStatements { statements: stated.statements.clone(), boxes: stated.boxes.clone() };
        match client.call(&request).await {
            Ok(head) => Ok(Some(head)),
            Err(CallError::Request(AppendError::Stale)) => Ok(None),
            Err(error) => Err(failed_as(error, |error| match error {
                AppendError::Denied { .. } => Kind::NotPermitted,
                _ => Kind::Failed,
            })),
        }
    }

    /// Signs this device out: its statement first, then its session.
    pub(crate) async fn sign_out(&self) -> Result<(), CommandError> {
        let client = self.online().await?;
        let outcome =
            self.state(|draft, _| draft.sign_out(&self.secrets, self.now(), &mut OsRandom)).await;
        match outcome {
            // Our own chain says that we are gone, which ends everything else; that is what was wanted.
            Ok(_) => {}
            Err(error) if error.kind == Kind::Locked => {}
            Err(error) => return Err(error),
        }
        client.call(&rookery_protocol::request::session::EndSession { session: None }).await.ok();
        self.change_account(|account| account.stage = crate::store::AccountStage::Ended).await?;
        Ok(())
    }
}

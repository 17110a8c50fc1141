//! Ratchets, a row for each other device, and the device's prekeys.

use rookery_protocol::id::DeviceId;

use super::{Name, StoreError, Unit};
use crate::e2ee::{identity::DeviceSecrets, pair::Pair, prekey::PrekeyStore, puk::PukRing};

impl Unit {
    /// All that this device shares with `device`; an empty pair when the two never spoke.
    pub async fn pair(&mut self, device: DeviceId) -> Result<Pair, StoreError> {
        let key = self.vault.index("pair", &[device.as_bytes()]);
        let sealed: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT sealed FROM pair WHERE device = $1")
                .bind(&key)
                .fetch_optional(&mut *self.transaction)
                .await?;
        let Some(sealed) = sealed else { return Ok(Pair::new()) };
        let bytes = self.vault.open_bytes("pair", &key, &sealed)?;
        Pair::from_bytes(&bytes).map_err(|_| StoreError::Damaged { table: "pair" })
    }

    /// Stores a pair, as the next generation of it.
    pub async fn put_pair(&mut self, device: DeviceId, pair: &Pair) -> Result<(), StoreError> {
        let key = self.vault.index("pair", &[device.as_bytes()]);
        let sealed = self.vault.seal_bytes("pair", &key, &pair.to_bytes());
        sqlx::query(
            "INSERT INTO pair (device, generation, sealed) VALUES ($1, 1, $2)
             ON CONFLICT (device) DO UPDATE SET sealed = excluded.sealed, generation = pair.generation + 1",
        )
        .bind(key)
        .bind(sealed)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// The device's secrets.
    pub async fn device(&mut self) -> Result<Option<DeviceSecrets>, StoreError> {
        let bytes = self.value_bytes(Name::Device).await?;
        bytes.map(|bytes| DeviceSecrets::from_bytes(&bytes).map_err(|_| damaged())).transpose()
    }

    /// The per-user key's generations, if this device has them.
    pub async fn per_user_keys(&mut self) -> Result<Option<PukRing>, StoreError> {
        let bytes = self.value_bytes(Name::PerUserKeys).await?;
        bytes.map(|bytes| PukRing::from_bytes(&bytes).map_err(|_| damaged())).transpose()
    }

    /// Stores the per-user key's generations.
    pub async fn put_per_user_keys(&mut self, ring: &PukRing) -> Result<(), StoreError> {
        self.put_value_bytes(Name::PerUserKeys, &ring.to_bytes()).await
    }

    /// The device's prekeys.
    pub async fn prekeys(&mut self) -> Result<PrekeyStore, StoreError> {
        match self.value_bytes(Name::Prekeys).await? {
            Some(bytes) => PrekeyStore::from_bytes(&bytes).map_err(|_| damaged()),
            None => Ok(PrekeyStore::new()),
        }
    }

    /// Stores the device's prekeys.
    pub async fn put_prekeys(&mut self, prekeys: &PrekeyStore) -> Result<(), StoreError> {
        self.put_value_bytes(Name::Prekeys, &prekeys.to_bytes()).await
    }
}

const fn damaged() -> StoreError {
    StoreError::Damaged { table: "value" }
}

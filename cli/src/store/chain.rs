//! Users' chains, as this device has verified them.
//!
//! Entries are kept, not states: a state is folded from them when it is needed, by the same rules that let them in. Chains are short, and
//! what has been verified once and sealed need not have its signatures checked again. The last ones that were asked for stay in memory: every
//! message that is sealed or opened asks for its people's.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use rookery_protocol::{
    chain::Entry,
    codec::{self, MAX_BATCH},
    id::{DeviceId, UserId},
    user::{self, Action, RevokeReason, Statement},
};
use sqlx::Row as _;

use super::{StoreError, Unit};

/// A user's chain and what it amounts to.
#[derive(Clone, Debug)]
pub struct StoredChain {
    /// All entries, from the genesis on.
    pub entries: Vec<Entry>,
    /// The state after the last.
    pub state: user::State,
}

impl StoredChain {
    /// The chain as it stood when `device` was last live, if it was signed out or retired since. Nothing for a stolen one.
    #[must_use]
    pub fn before_retirement(&self, device: DeviceId) -> Option<user::State> {
        let revoked = self.state.devices.get(&device)?.revoked?;
        let index = usize::try_from(revoked).ok()?;
        let body = self.entries.get(index)?.body.as_ref()?;
        let statement: Statement = codec::decode(body.as_slice()).ok()?;
        match statement.action {
            Action::DeviceRevoke(revoke) if revoke.reason != RevokeReason::Stolen => {}
            _ => return None,
        }
        let mut state = None;
        for entry in self.entries.get(..index)? {
            let item = codec::decode(entry.signed.payload.as_slice()).ok()?;
            state = Some(user::apply(self.state.user, state.as_ref(), entry, &item).ok()?);
        }
        state
    }
}

/// How many chains stay in memory.
const KEPT: usize = 256;

/// Chains that stay in memory.
#[derive(Debug, Default)]
pub(super) struct Chains(Mutex<HashMap<UserId, Kept>>);

#[derive(Debug)]
struct Kept {
    /// The nonce of the last row, which no other row ever has: what was written since, or was written and not committed, is another row.
    last: Vec<u8>,
    chain: Arc<StoredChain>,
}

impl Chains {
    fn get(&self, person: UserId, last: &[u8]) -> Option<Arc<StoredChain>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&person).filter(|kept| kept.last == last).map(|kept| Arc::clone(&kept.chain))
    }

    fn put(&self, person: UserId, last: Vec<u8>, chain: &Arc<StoredChain>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT && !kept.contains_key(&person) {
            kept.clear();
        }
        kept.insert(person, Kept { last, chain: Arc::clone(chain) });
    }
}

impl Unit {
    /// The state of `person`'s chain as this device has verified it.
    pub async fn chain(&mut self, person: UserId) -> Result<Option<Arc<StoredChain>>, StoreError> {
        let key = self.vault.index("chain", &[person.as_bytes()]);
        let last: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT substr(sealed, 1, 24) FROM statement WHERE person = $1 ORDER BY seq DESC LIMIT 1",
        )
        .bind(&key)
        .fetch_optional(&mut *self.transaction)
        .await?;
        let Some(last) = last else { return Ok(None) };
        if let Some(chain) = self.chains.get(person, &last) {
            return Ok(Some(chain));
        }
        let rows = sqlx::query("SELECT seq, sealed FROM statement WHERE person = $1 ORDER BY seq")
            .bind(&key)
            .fetch_all(&mut *self.transaction)
            .await?;
        let damaged = || StoreError::Damaged { table: "statement" };
        let (mut entries, mut state): (Vec<Entry>, Option<user::State>) =
            (Vec::with_capacity(rows.len()), None);
        for row in &rows {
            let (seq, sealed): (i64, &[u8]) = (row.try_get("seq")?, row.try_get("sealed")?);
            let bytes =
                self.vault.open_bytes("statement", &row_id(&key, seq.unsigned_abs()), sealed)?;
            let entry: Entry = codec::decode_within(&bytes, MAX_BATCH).map_err(|_| damaged())?;
            // The seal vouches for the entry; its item is read without checking the signatures once more.
            let item = codec::decode(entry.signed.payload.as_slice()).map_err(|_| damaged())?;
            state =
                Some(user::apply(person, state.as_ref(), &entry, &item).map_err(|_| damaged())?);
            entries.push(entry);
        }
        let chain = Arc::new(StoredChain { entries, state: state.ok_or_else(damaged)? });
        self.chains.put(person, last, &chain);
        Ok(Some(chain))
    }

    /// The state of `person`'s chain.
    pub async fn person(&mut self, person: UserId) -> Result<Option<user::State>, StoreError> {
        Ok(self.chain(person).await?.map(|chain| chain.state.clone()))
    }

    /// Adds an entry that has been verified after the last.
    pub async fn add_statement(&mut self, person: UserId, entry: &Entry) -> Result<(), StoreError> {
        let key = self.vault.index("chain", &[person.as_bytes()]);
        let sealed = self.vault.seal("statement", &row_id(&key, entry.seq), entry);
        sqlx::query("INSERT INTO statement (person, seq, sealed) VALUES ($1, $2, $3)")
            .bind(key)
            .bind(entry.seq.cast_signed())
            .bind(sealed)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }
}

fn row_id(key: &[u8], seq: u64) -> Vec<u8> {
    [key, &seq.to_be_bytes()].concat()
}

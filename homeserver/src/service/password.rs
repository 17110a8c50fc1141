//! Passwords: Argon2id (RFC 9106), away from the threads that answer.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::phc::PasswordHash,
};
use rookery_protocol::request::Refusal;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// OWASP's second recommendation for Argon2id: 19 MiB, two passes, one lane; about 20 ms here.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
/// How many are checked at once: one a core of the smallest machine we speak of, and 38 MiB of memory.
const AT_ONCE: usize = 2;
/// How long a password may be. The lower bound is NIST SP 800-63B §5.1.1.1's.
pub const LENGTH: std::ops::RangeInclusive<usize> = 8..=1024;

/// Hashes and checks passwords, a few at a time.
#[derive(Clone, Debug)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    params: Params,
}

impl Default for Passwords {
    fn default() -> Self {
        let params = Params::new(MEMORY_KIB, PASSES, 1, None).unwrap_or_default();
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), params }
    }
}

impl Passwords {
    /// Cheap parameters, for tests that log in often.
    #[cfg(test)]
    pub(crate) fn cheap() -> Self {
        let params = Params::new(8, 1, 1, None).unwrap_or_default();
        Self { params, ..Self::default() }
    }

    /// The hash of `password` as a PHC string.
    pub async fn hash(&self, password: String) -> Result<String, Refusal> {
        let password = Zeroizing::new(password);
        self.work(move |argon| {
            let hash = argon.hash_password(password.as_bytes());
            hash.map(|hash| hash.to_string()).map_err(|error| {
                tracing::error!(%error, "a password could not be hashed");
                Refusal::Internal
            })
        })
        .await?
    }

    /// Whether `password` is the one of `hash`. Takes as long when there is no hash, so that nobody learns which names exist.
    pub async fn check(&self, password: String, hash: Option<String>) -> Result<bool, Refusal> {
        let password = Zeroizing::new(password);
        self.work(move |argon| match hash.as_deref().map(PasswordHash::new) {
            Some(Ok(hash)) => argon.verify_password(password.as_bytes(), &hash).is_ok(),
            Some(Err(_)) | None => {
                // The work is done for its time; its result is for nobody.
                drop(argon.hash_password(password.as_bytes()));
                false
            }
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(Argon2<'_>) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let turn =
            Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Refusal::Unavailable)?;
        let params = self.params.clone();
        let done = tokio::task::spawn_blocking(move || {
            let result = work(Argon2::new(Algorithm::Argon2id, Version::V0x13, params));
            drop(turn);
            result
        });
        done.await.map_err(|_| Refusal::Internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = Passwords::cheap();
        let hash = passwords.hash("correct horse".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(passwords.check("correct horse".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.check("correct hors".into(), Some(hash)).await.unwrap());
        assert!(!passwords.check("anything".into(), None).await.unwrap());
        assert!(!passwords.check("anything".into(), Some(String::new())).await.unwrap());
    }
}

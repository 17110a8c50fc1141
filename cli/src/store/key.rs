//! Unlocking: where the store's secret comes from.
//!
//! Never is a person asked when nobody is at a terminal, and never is a keyring required: a box without a desktop opens its store by a key
//! file of mode 0600 beside it, or by what systemd hands to the service.

use std::{io, path::Path};

use zeroize::Zeroizing;

use super::{Locked, Store, StoreError, Vault};
use crate::{
    config::{self, Place},
    e2ee::{
        OsRandom,
        store_seal::{KeyFile, LockedError, PassphraseCost, StoreHeader, Unlock},
    },
};

/// The name of the systemd credential that holds a passphrase.
const CREDENTIAL_PASSPHRASE: &str = "rookery-passphrase";
/// The name of the systemd credential that holds 32 bytes, as a key file does.
const CREDENTIAL_KEY: &str = "rookery-key";

/// What opens a store.
#[derive(Default)]
pub enum Secret {
    /// Whatever is found: a systemd credential, then the profile's key file.
    #[default]
    Found,
    /// What somebody typed, or a file, a descriptor or a command gave.
    Passphrase(Zeroizing<String>),
}

/// Never the passphrase.
impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Found => "Found",
            Self::Passphrase(_) => "Passphrase(***)",
        })
    }
}

/// Why a store stays locked.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    /// There is no store: nobody has registered or logged in here.
    #[error("nobody is logged in here")]
    Absent,
    /// It needs a passphrase, and none was given.
    #[error("the local store is locked by a passphrase, and none was given")]
    NeedsPassphrase,
    /// Wrong, damaged, or without a slot.
    #[error("the local store does not open")]
    Locked(#[from] LockedError),
    /// The key file can be read by others.
    #[error(
        "the key file can be read by other users, so it may have been copied; the store was not opened"
    )]
    Exposed,
    /// A file cannot be read or written.
    #[error("the key file cannot be used")]
    Io(#[from] io::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the store of a new profile, locked by `secret`; a key file is made when there is nothing else. A store that is there already is
/// opened.
pub async fn create(place: &Place, secret: Secret) -> Result<Store, UnlockError> {
    let locked = Locked::open(&place.store()).await?;
    if locked.header().await?.is_some() {
        return open(place, locked, secret).await;
    }
    let (header, key) = match secret {
        Secret::Passphrase(passphrase) => {
            stretch(move || {
                let cost = PassphraseCost::calibrate(measure);
                StoreHeader::create(Unlock::Passphrase(&passphrase), cost, &mut OsRandom)
            })
            .await?
        }
        Secret::Found => {
            let key_file = match find_key(place)? {
                Some(Found::Key(key)) => key,
                Some(Found::Passphrase(passphrase)) => {
                    return Box::pin(create(place, Secret::Passphrase(passphrase))).await;
                }
                None => {
                    let key = KeyFile::generate(&mut OsRandom);
                    config::write_private(&place.key_file(), key.as_bytes())?;
                    key
                }
            };
            StoreHeader::create(Unlock::KeyFile(&key_file), PassphraseCost::FLOOR, &mut OsRandom)?
        }
    };
    locked.write_header(&header.to_bytes()).await?;
    Ok(locked.unlock(Vault::new(key)))
}

/// Opens the profile's store.
pub async fn unlock(place: &Place, secret: Secret) -> Result<Store, UnlockError> {
    if !place.store().exists() {
        return Err(UnlockError::Absent);
    }
    let locked = Locked::open(&place.store()).await?;
    open(place, locked, secret).await
}

async fn open(place: &Place, locked: Locked, secret: Secret) -> Result<Store, UnlockError> {
    let header = StoreHeader::from_bytes(&locked.header().await?.ok_or(UnlockError::Absent)?)?;
    let key = match secret {
        Secret::Passphrase(passphrase) => {
            stretch(move || header.unlock(Unlock::Passphrase(&passphrase))).await?
        }
        Secret::Found => match find_key(place)? {
            Some(Found::Key(key)) => header.unlock(Unlock::KeyFile(&key))?,
            Some(Found::Passphrase(passphrase)) => {
                stretch(move || header.unlock(Unlock::Passphrase(&passphrase))).await?
            }
            None => return Err(UnlockError::NeedsPassphrase),
        },
    };
    Ok(locked.unlock(Vault::new(key)))
}

/// What opens the store of `locked` without asking anybody: the profile's key file, or what the system hands to a service.
pub async fn opens_by_itself(
    place: &Place,
    locked: &Locked,
) -> Result<Option<&'static str>, UnlockError> {
    let header = StoreHeader::from_bytes(&locked.header().await?.ok_or(UnlockError::Absent)?)?;
    Ok(match find_key(place) {
        Ok(Some(Found::Key(key))) if header.unlock(Unlock::KeyFile(&key)).is_ok() => {
            Some("a key file")
        }
        Ok(Some(Found::Passphrase(_))) if header.slots().passphrases > 0 => {
            Some("a credential of the system's")
        }
        // A file that is exposed or cannot be read opens nothing.
        _ => None,
    })
}

enum Found {
    Key(KeyFile),
    Passphrase(Zeroizing<String>),
}

fn find_key(place: &Place) -> Result<Option<Found>, UnlockError> {
    if let Some(directory) = std::env::var_os("CREDENTIALS_DIRECTORY") {
        let directory = Path::new(&directory);
        if let Some(bytes) = read_optional(&directory.join(CREDENTIAL_KEY))? {
            return Ok(Some(Found::Key(KeyFile::from_slice(&bytes).ok_or_else(short)?)));
        }
        if let Some(bytes) = read_optional(&directory.join(CREDENTIAL_PASSPHRASE))? {
            let text = std::str::from_utf8(&bytes)
                .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
            return Ok(Some(Found::Passphrase(Zeroizing::new(
                text.trim_end_matches(['\r', '\n']).to_owned(),
            ))));
        }
    }
    let path = place.key_file();
    let Some(bytes) = read_optional(&path)? else { return Ok(None) };
    if !config::is_private(&std::fs::metadata(&path)?) {
        return Err(UnlockError::Exposed);
    }
    Ok(Some(Found::Key(KeyFile::from_slice(&bytes).ok_or_else(short)?)))
}

fn short() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a key file has 32 bytes")
}

fn read_optional(path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Stretching a passphrase takes most of a second of one core: not on a task that others wait for.
async fn stretch<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LockedError> + Send + 'static,
) -> Result<T, UnlockError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => Ok(outcome?),
        Err(error) => Err(UnlockError::Io(io::Error::other(error))),
    }
}

/// How long `cost` takes on this machine; nothing when there is not enough memory.
fn measure(cost: PassphraseCost) -> Option<std::time::Duration> {
    #[expect(clippy::disallowed_methods, reason = "how long the machine takes is the question")]
    let started = std::time::Instant::now();
    cost.try_once()?;
    Some(started.elapsed())
}

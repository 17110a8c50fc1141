//! The recovery key: what brings an account back when every device is gone.
//!
//! 32 random bytes, from which an Ed25519 and an X-Wing key are derived. It is shown once, as text that a person can copy by hand, and is
//! never kept in the sealed store.

use std::fmt;

use rookery_protocol::{
    hash::labelled,
    id::{from_base32, to_base32},
    key::SigningKey,
    user::RecoveryKeys,
};
use zeroize::Zeroizing;

use super::{
    kdf::derive,
    kem::KemSecret,
    random::{Random, secret},
};

/// How many characters of base32 the 32 bytes take.
const KEY_CHARACTERS: usize = 52;
/// How many more are a check.
const CHECK_CHARACTERS: usize = 4;

/// Text that is no recovery key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotARecoveryKey {
    /// Too short or too long.
    #[error("a recovery key has 56 letters and digits in 14 groups of 4, and this has {found}")]
    Length {
        /// How many letters and digits were given.
        found: usize,
    },
    /// A character that base32 does not use.
    #[error("{found:?} is no part of a recovery key: it is made of a to z and 2 to 7")]
    Character {
        /// The character.
        found: char,
    },
    /// Every character is possible, but some are not the right ones.
    #[error(
        "there is a mistake in the recovery key: compare it with what you wrote down, group by group"
    )]
    Mistyped,
}

/// A user's recovery key.
pub struct RecoveryKey {
    root: Zeroizing<[u8; 32]>,
    signing: SigningKey,
    sealing: KemSecret,
}

impl RecoveryKey {
    /// A new key.
    #[must_use]
    pub fn generate(random: &mut dyn Random) -> Self {
        Self::from_root(secret(random))
    }

    fn from_root(root: Zeroizing<[u8; 32]>) -> Self {
        let signing = SigningKey::from_seed(&derive(root.as_ref(), "recovery/sign", &[]));
        let sealing = KemSecret::from_seed(derive(root.as_ref(), "recovery/kem", &[]));
        Self { root, signing, sealing }
    }

    /// Reads what [`RecoveryKey::to_text`] wrote: in either case, with or without hyphens and spaces.
    pub fn parse(text: &str) -> Result<Self, NotARecoveryKey> {
        let mut characters = Zeroizing::new(String::with_capacity(text.len()));
        characters.extend(
            text.chars().filter(|character| !character.is_whitespace() && *character != '-'),
        );
        if let Some(found) = characters
            .chars()
            .find(|character| !matches!(character, 'a'..='z' | 'A'..='Z' | '2'..='7'))
        {
            return Err(NotARecoveryKey::Character { found });
        }
        if characters.len() != KEY_CHARACTERS.saturating_add(CHECK_CHARACTERS) {
            return Err(NotARecoveryKey::Length { found: characters.len() });
        }
        let (key, check) = characters.split_at(KEY_CHARACTERS);
        let bytes = Zeroizing::new(from_base32(key).ok_or(NotARecoveryKey::Mistyped)?);
        let root: [u8; 32] = bytes.as_slice().try_into().map_err(|_| NotARecoveryKey::Mistyped)?;
        let root = Zeroizing::new(root);
        if check.eq_ignore_ascii_case(&check_of(&root)) {
            Ok(Self::from_root(root))
        } else {
            Err(NotARecoveryKey::Mistyped)
        }
    }

    /// The key for a person to keep: 52 characters of base32 and 4 of check, in groups of 4.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let characters = Zeroizing::new(to_base32(self.root.as_ref()) + &check_of(&self.root));
        let mut text = Zeroizing::new(String::with_capacity(70));
        for (index, character) in characters.chars().enumerate() {
            if index > 0 && index.is_multiple_of(4) {
                text.push('-');
            }
            text.push(character);
        }
        text
    }

    /// The public halves, as the chain shows them.
    #[must_use]
    pub fn public(&self) -> RecoveryKeys {
        RecoveryKeys { signing: self.signing.verifying_key(), sealing: self.sealing.public() }
    }

    /// What signs for the user.
    #[must_use]
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// What opens boxes of the per-user key.
    #[must_use]
    pub fn sealing(&self) -> &KemSecret {
        &self.sealing
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RecoveryKey(secret of {:?})", self.signing.verifying_key())
    }
}

/// The check: 20 bits of a hash of the key, which a slip of the pen passes once in a million.
fn check_of(root: &[u8; 32]) -> String {
    let hash = labelled("recovery/check", &[root]);
    to_base32(hash.as_bytes()).chars().take(CHECK_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::e2ee::SeededRandom;

    fn key() -> RecoveryKey {
        RecoveryKey::generate(&mut SeededRandom::new(7))
    }

    #[test]
    fn what_is_written_down_is_read_back_however_it_is_typed() {
        let text = key().to_text();
        assert_eq!((text.len(), text.split('-').count()), (69, 14));
        assert!(text.split('-').all(|group| group.len() == 4));
        for typed in
            [text.to_uppercase(), text.replace('-', ""), text.replace('-', " \n"), text.to_string()]
        {
            assert_eq!(RecoveryKey::parse(&typed).unwrap().public(), key().public());
        }
    }

    #[test]
    fn every_single_wrong_character_is_noticed() {
        let text = key().to_text().replace('-', "");
        for index in 0..text.len() {
            let mut wrong: Vec<char> = text.chars().collect();
            wrong[index] = if wrong[index] == 'a' { 'b' } else { 'a' };
            let wrong: String = wrong.into_iter().collect();
            assert_eq!(
                RecoveryKey::parse(&wrong).unwrap_err(),
                NotARecoveryKey::Mistyped,
                "{index}"
            );
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let text = key().to_text();
        assert_eq!(
            RecoveryKey::parse(&text[..60]).unwrap_err(),
            NotARecoveryKey::Length { found: 48 }
        );
        assert_eq!(
            RecoveryKey::parse(&text.replacen('a', "0", 1)).unwrap_err(),
            NotARecoveryKey::Character { found: '0' }
        );
    }

    #[test]
    fn the_two_keys_are_independent_and_nothing_secret_is_printed() {
        let key = key();
        assert_ne!(key.signing.to_seed().as_ref(), key.sealing.seed());
        assert!(!format!("{key:?}").contains(&key.to_text()[..9].replace('-', "")));
    }
}

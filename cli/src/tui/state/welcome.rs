//! Coming in: the first run, and a store that is locked.

use zeroize::Zeroizing;

use crate::tui::composer::Composer;

/// A store that wants a passphrase.
#[derive(Clone, Debug, Default)]
pub struct Locked {
    /// What is typed. It is never shown.
    pub passphrase: Zeroizing<String>,
    /// Whether the last one was wrong.
    pub was_wrong: bool,
    /// Whether one is being tried: deriving the key takes a moment.
    pub is_trying: bool,
}

/// Where in the first run somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new account, or one that there is.
    Way,
    /// The invitation, or the server.
    Server,
    /// The account's name.
    Name,
    /// Its password.
    Password,
    /// The same again, for a new account.
    PasswordAgain,
    /// What this device is called.
    Device,
    /// How the store is locked.
    Lock,
    /// The passphrase, where that is how.
    Passphrase,
    /// It is being done.
    Busy,
    /// The recovery key is shown.
    RecoveryKey,
    /// Parts of it are typed back.
    ConfirmKey,
    /// Another device or the recovery key has to let this one in.
    Certify,
    /// The code that another device shows.
    Code,
    /// The recovery key of the account.
    Recover,
}

/// Which way somebody comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// By an invitation.
    #[default]
    New,
    /// To an account that there is.
    Existing,
}

/// The first run.
#[derive(Clone, Debug)]
pub struct Welcome {
    /// Where somebody is.
    pub step: Step,
    /// Which way they take.
    pub way: Way,
    /// What is being typed.
    pub field: Composer,
    /// What is being typed and not shown.
    pub secret: Zeroizing<String>,
    /// Which of several is marked.
    pub marked: usize,
    /// What was wrong with the last answer.
    pub trouble: Option<String>,
    /// The invitation or the server.
    pub server: String,
    /// The account's name.
    pub name: String,
    /// The password.
    pub password: Zeroizing<String>,
    /// What this device is called.
    pub device: String,
    /// The store's passphrase; a key file locks it when there is none.
    pub passphrase: Option<Zeroizing<String>>,
    /// The recovery key, while it is shown.
    pub recovery_key: Zeroizing<String>,
    /// Where it stands until it is confirmed.
    pub recovery_key_file: Option<String>,
    /// The fingerprint of a server that was met for the first time.
    pub pinned: Option<String>,
    /// Which two groups of the key are asked back, counted from 0.
    pub asked: [usize; 2],
}

impl Welcome {
    /// The first question. `device` is what this machine is called.
    #[must_use]
    pub fn new(device: &str) -> Self {
        Self {
            step: Step::Way,
            way: Way::New,
            field: Composer::default(),
            secret: Zeroizing::default(),
            marked: 0,
            trouble: None,
            server: String::new(),
            name: String::new(),
            password: Zeroizing::default(),
            device: device.to_owned(),
            passphrase: None,
            recovery_key: Zeroizing::default(),
            recovery_key_file: None,
            pinned: None,
            asked: [0, 1],
        }
    }
}

//! Coming in: opening an account, logging a device in, having it certified by a code or by the recovery key.
//!
//! Each step is written down before the next one depends on it. A registration that is killed after its request went out is asked for
//! again with the same genesis and answered as the first time; a login that is killed goes on where it was.

use std::path::PathBuf;

use rookery_protocol::{
    id::UserId,
    io::client::CallError,
    name::{JoinLink, UserName},
    request::{
        account::{AppendStatements, FetchBoxes, Register, RegisterError},
        session::{Login, LoginError},
    },
    session::prove_login,
    time::{Clock as _, SystemClock, Timestamp},
    user::State,
};
use zeroize::Zeroizing;

use super::{
    home::{
        Reached, device_secrets, fetch_own_chain, find_server, open_session, reach,
        reach_uncertified,
    },
    refusal::{failed, failed_as},
};
use crate::{
    config::{self, KnownHost, Place},
    e2ee::{
        OsRandom,
        identity::{DeviceSecrets, MadeFor},
        puk::{Holder, PukRing},
        recovery::RecoveryKey,
        statement::{Draft, Founder, Signer, found},
    },
    error::{CommandError, Kind},
    store::{Account, AccountStage, Name, Registering, Session, Store},
};

/// What opening an account takes.
#[derive(Debug)]
pub struct RegisterOrder {
    /// The invitation: where, who, and the right to.
    pub link: JoinLink,
    /// The name that is wanted.
    pub name: UserName,
    /// The password.
    pub password: Zeroizing<String>,
    /// Where the recovery key goes.
    pub recovery_key_file: PathBuf,
    /// What this device is called.
    pub device_name: String,
    /// Whether a program is behind it.
    pub made_for: MadeFor,
}

/// What logging in takes.
#[derive(Debug)]
pub struct LoginOrder {
    /// A link, or where the server listens.
    pub server: String,
    /// The account.
    pub name: UserName,
    /// Its password.
    pub password: Zeroizing<String>,
    /// What this device is called.
    pub device_name: String,
}

/// How far somebody has come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    /// The account, as it is now.
    pub account: Account,
    /// The home's fingerprint, when it was met for the first time.
    pub pinned: Option<KnownHost>,
}

/// Opens an account.
pub async fn register(
    place: &Place,
    store: &Store,
    order: RegisterOrder,
) -> Result<Entered, CommandError> {
    if let Some(account) = store.read().await?.account().await? {
        return Err(taken(&account));
    }
    let JoinLink { address, key, invite, .. } = order.link;
    let reached = reach(place, address, Some(key)).await?;
    let now = SystemClock.now();
    let begun = begin_registration(
        store,
        &reached,
        &order.name,
        &order.recovery_key_file,
        &order.device_name,
        order.made_for,
        now,
    )
    .await?;
    let secrets = device_secrets(store).await?;
    let request = Register {
        name: order.name.clone(),
        password: order.password.to_string(),
        invite,
        genesis: begun.genesis.clone(),
        boxes: begun.boxes.clone(),
        prekeys: begun.prekeys.clone(),
        proof: prove_login(secrets.signing(), &reached.client.exporter(), order.name.as_str(), now),
        at: now,
        email: None,
    };
    let registered = match reached.client.call(&request).await {
        Ok(registered) => registered,
        Err(error) => {
            if let CallError::Request(RegisterError::NameTaken) = &error {
                forget_registration(store, &order.recovery_key_file).await?;
            }
            return Err(failed_as(error, |error| match error {
                RegisterError::InviteInvalid | RegisterError::Closed => Kind::NotPermitted,
                RegisterError::PasswordUnfit => Kind::Usage,
                _ => Kind::Failed,
            }));
        }
    };
    if registered.user != begun.user {
        return Err(CommandError::new(
            Kind::Trust,
            "the server answered with another user than the one that was founded",
        ));
    }
    let session = Session::from(registered.tokens);
    open_session(&reached.client, &secrets, &session).await?;
    let mut account = account(&reached, begun.user, &secrets, order.name, order.device_name);
    let mut unit = store.write().await?;
    unit.put_value(Name::Session, &session).await?;
    unit.commit().await?;
    let state = fetch_own_chain(&reached, store, begun.user).await?;
    account.stage = AccountStage::Certified;
    account.added = state.live_device(secrets.id()).map_or(0, |device| device.added);
    let mut unit = store.write().await?;
    unit.put_value(Name::Account, &account).await?;
    // Nobody has written into the journal yet.
    unit.mark_journal(None).await?;
    let mut prekeys = unit.prekeys().await?;
    prekeys.confirm(&begun.prekeys);
    unit.put_prekeys(&prekeys).await?;
    unit.erase_value(Name::Registering).await?;
    unit.commit().await?;
    reached.client.close();
    Ok(Entered { account, pinned: reached.pinned })
}

/// Logs this device in. It ends as uncertified, unless it had been certified before.
pub async fn login(
    place: &Place,
    store: &Store,
    order: LoginOrder,
) -> Result<Entered, CommandError> {
    let known = store.read().await?.account().await?;
    if let Some(account) = &known {
        if account.name != order.name {
            return Err(taken(account));
        }
        if account.stage == AccountStage::Ended {
            return Err(CommandError::new(Kind::NotPermitted, "this profile's device was signed out or revoked, and cannot come back; what is stored here can still be read")
                .hint("log in with a new profile: --profile NAME"));
        }
    }
    let reached = find_server(place, &order.server).await?;
    if let Some(account) = &known
        && account.server != reached.record.name
    {
        return Err(taken(account));
    }
    let secrets = own_or_new_secrets(store).await?;
    let now = SystemClock.now();
    let request = Login {
        name: order.name.clone(),
        password: order.password.to_string(),
        device: secrets.signing().verifying_key(),
        proof: prove_login(secrets.signing(), &reached.client.exporter(), order.name.as_str(), now),
        at: now,
    };
    let reply = reached.client.call(&request).await.map_err(|error| {
        failed_as(error, |error| match error {
            LoginError::WrongCredentials => Kind::Locked,
            LoginError::Disabled | LoginError::Revoked => Kind::NotPermitted,
            LoginError::BadProof => Kind::Failed,
        })
    })?;
    if known.as_ref().is_some_and(|account| account.user != reply.user) {
        return Err(CommandError::new(
            Kind::Trust,
            "the server says that this name belongs to another user now; nothing was changed",
        ));
    }
    let mut account = known
        .unwrap_or_else(|| account(&reached, reply.user, &secrets, order.name, order.device_name));
    account.address = reached.address.to_string();
    if !reply.certified {
        account.stage = AccountStage::Uncertified;
    }
    let mut unit = store.write().await?;
    unit.put_value(Name::Account, &account).await?;
    unit.put_value(Name::Session, &Session::from(reply.tokens)).await?;
    unit.commit().await?;
    reached.client.close();
    Ok(Entered { account, pinned: reached.pinned })
}

/// Certifies this uncertified device by the recovery key.
pub async fn recover(store: &Store, recovery: &RecoveryKey) -> Result<Account, CommandError> {
    let (reached, account, secrets) = reach_uncertified(store).await?;
    let state = fetch_own_chain(&reached, store, account.user).await?;
    if state.recovery.signing != recovery.public().signing {
        return Err(CommandError::new(
            Kind::NotPermitted,
            "this is not the recovery key of the account; nothing was changed",
        ));
    }
    let boxes = reached
        .client
        .call(&FetchBoxes {})
        .await
        .map_err(|error| failed(Kind::Failed, error))?
        .boxes;
    let ring = PukRing::open(&state, Holder::Recovery(recovery), &boxes)
        .map_err(|error| CommandError::of(Kind::Failed, &error))?;
    let sealed_name = ring.seal_device_name(secrets.id(), &account.device_name, &mut OsRandom);
    let keys = secrets.public(MadeFor::Person, sealed_name);
    let now = SystemClock.now();
    let mut draft = Draft::after(&state);
    let reverse = secrets.consent(account.user, draft.state().head.hash, &keys);
    draft.add_device(Signer::Recovery(recovery), keys, reverse, now, &mut OsRandom)?;
    draft.box_for(secrets.id(), &ring, &mut OsRandom)?;
    let stated = draft.finish();
    let request = AppendStatements { statements: stated.statements, boxes: stated.boxes };
    reached.client.call(&request).await.map_err(|error| failed(Kind::Failed, error))?;
    let state = fetch_own_chain(&reached, store, account.user).await?;
    let account = certify(store, account, &state, Some(&ring), &secrets).await?;
    reached.client.close();
    Ok(account)
}

/// Writes down that this device is in the chain.
pub(super) async fn certify(
    store: &Store,
    account: Account,
    state: &State,
    ring: Option<&PukRing>,
    secrets: &DeviceSecrets,
) -> Result<Account, CommandError> {
    let device = state.live_device(secrets.id());
    let added = device.map(|device| device.added).ok_or_else(|| {
        CommandError::new(Kind::Trust, "the server did not take this device into the chain")
    })?;
    let account = Account { stage: AccountStage::Certified, added, ..account };
    let mut unit = store.write().await?;
    if let Some(ring) = ring {
        unit.put_per_user_keys(ring).await?;
    }
    unit.put_value(Name::Account, &account).await?;
    unit.commit().await?;
    Ok(account)
}

/// Makes all that a registration takes, and stores it; or finds what was begun before.
async fn begin_registration(
    store: &Store,
    reached: &Reached,
    name: &UserName,
    recovery_key_file: &std::path::Path,
    device_name: &str,
    made_for: MadeFor,
    now: Timestamp,
) -> Result<Registering, CommandError> {
    let server = reached.record.root.server_id();
    let mut unit = store.write().await?;
    if let Some(begun) = unit.value::<Registering>(Name::Registering).await?
        && begun.name == *name
        && begun.server == server
    {
        return Ok(begun);
    }
    let (secrets, ring, recovery) = (
        DeviceSecrets::generate(&mut OsRandom),
        PukRing::generate(&mut OsRandom),
        RecoveryKey::generate(&mut OsRandom),
    );
    let keys =
        secrets.public(made_for, ring.seal_device_name(secrets.id(), device_name, &mut OsRandom));
    let founder = Founder { device: &secrets, keys: &keys, recovery: &recovery, ring: &ring };
    let founding = found(reached.record.name.clone(), server, founder, now, &mut OsRandom)?;
    let mut prekeys = unit.prekeys().await?;
    prekeys.maintain(None, now, &mut OsRandom);
    let upload = prekeys
        .upload(&secrets)
        .ok_or_else(|| CommandError::new(Kind::Failed, "no prekeys were made"))?;
    write_recovery_key(recovery_key_file, &recovery)?;
    let begun = Registering {
        name: name.clone(),
        server,
        user: founding.user,
        genesis: founding.genesis,
        boxes: founding.boxes,
        prekeys: upload,
    };
    unit.put_value_bytes(Name::Device, &secrets.to_bytes()).await?;
    unit.put_per_user_keys(&ring).await?;
    unit.put_prekeys(&prekeys).await?;
    unit.put_value(Name::Registering, &begun).await?;
    unit.commit().await?;
    Ok(begun)
}

/// Makes a recovery key, writes it to a new file, and gives its text.
pub(crate) fn new_recovery_key(path: &std::path::Path) -> Result<Zeroizing<String>, CommandError> {
    let recovery = RecoveryKey::generate(&mut OsRandom);
    write_recovery_key(path, &recovery)?;
    Ok(recovery.to_text())
}

/// Writes a recovery key to a new file, and never over another.
fn write_recovery_key(path: &std::path::Path, recovery: &RecoveryKey) -> Result<(), CommandError> {
    let text = Zeroizing::new(format!("{}\n", recovery.to_text().as_str()));
    config::write_private(path, text.as_bytes()).map_err(|error| {
        CommandError::new(
            Kind::Failed,
            format!(
                "the recovery key cannot be written to {}: {error}; nothing was changed",
                path.display()
            ),
        )
        .hint("name another file: one that is there is never overwritten")
    })
}

/// The name was taken: nothing of the attempt is kept.
async fn forget_registration(
    store: &Store,
    recovery_key_file: &std::path::Path,
) -> Result<(), CommandError> {
    let mut unit = store.write().await?;
    for name in [Name::Registering, Name::Device, Name::PerUserKeys, Name::Prekeys] {
        unit.erase_value(name).await?;
    }
    unit.commit().await?;
    // The key opens nothing now, and would stand in the way of the next attempt.
    std::fs::remove_file(recovery_key_file).ok();
    Ok(())
}

async fn own_or_new_secrets(store: &Store) -> Result<DeviceSecrets, CommandError> {
    let mut unit = store.write().await?;
    if let Some(secrets) = unit.device().await? {
        return Ok(secrets);
    }
    let secrets = DeviceSecrets::generate(&mut OsRandom);
    unit.put_value_bytes(Name::Device, &secrets.to_bytes()).await?;
    unit.commit().await?;
    Ok(secrets)
}

fn account(
    reached: &Reached,
    user: UserId,
    secrets: &DeviceSecrets,
    name: UserName,
    device_name: String,
) -> Account {
    Account {
        user,
        device: secrets.id(),
        name,
        server: reached.record.name.clone(),
        address: reached.address.to_string(),
        pin: reached.pin,
        stage: AccountStage::Uncertified,
        device_name,
        added: 0,
        archive: true,
        read_receipts: true,
    }
}

fn taken(account: &Account) -> CommandError {
    CommandError::new(
        Kind::Usage,
        format!(
            "this profile belongs to {}@{} already; nothing was changed",
            account.name, account.server
        ),
    )
    .hint("another account takes another profile: --profile NAME, or another ROOKERY_HOME")
}

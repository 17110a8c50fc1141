//! Accounts: opening, the password, settings, the profile, closing.

use std::sync::Arc;

use rookery_protocol::{
    codec::Octets,
    id::{ChainId, UserId},
    key::{Domain, VerifyingKey},
    prekey::PrekeyUpload,
    request::{
        Failure, Refusal,
        account::{
            AccountSettings, ChangePassword, CloseAccount, CloseError, PasswordError, Profile,
            Register, RegisterError, Registered, Writers,
        },
        admin::AccountState,
        contact::Standing,
        server::{Registration, ServerDescription},
    },
    session::{Authenticated, FollowDown},
    time::Timestamp,
    user::{self, Action, PukBox, Statement},
};

use super::{
    Services,
    directory::Resident,
    feed::Live,
    invite,
    limit::{Bucket, Subject},
    password,
    peer::people,
    seat::Seat,
    session, statement,
};
use crate::repository::{
    account::{Account, NewAccount, Opened, StoredProfile},
    chain::{Append, ChainKind, StoredEntry},
    contact::Standings,
};

/// How long an e-mail address may be: RFC 5321 §4.5.3.1.
const MAX_EMAIL: usize = 254;

/// What the server says of itself.
#[must_use]
pub fn describe(services: &Services) -> ServerDescription {
    ServerDescription {
        record: services.identity.record().signed.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        registration: services.config.registration,
        at: services.clock.now(),
    }
}

/// What a registration amounts to, once its keys are checked.
struct NewUser {
    user: UserId,
    device: VerifyingKey,
    entry: StoredEntry,
    state: user::State,
}

/// Opens an account: everything in one unit of work.
pub async fn register(
    services: &Services,
    seat: &Seat,
    request: Register,
) -> Result<Registered, Failure<RegisterError>> {
    if !password::LENGTH.contains(&request.password.len()) {
        return Err(Failure::Error(RegisterError::PasswordUnfit));
    }
    let refused = |reason: String| Failure::Error(RegisterError::KeysRefused { reason });
    let now = services.clock.now();
    let new = check_keys(services, &request, now).map_err(refused)?;
    let proof = (new.device, request.name.as_str());
    if !session::proof_holds(services, seat, proof, request.at, &request.proof) {
        return Err(refused("the device did not prove its key, or its clock is wrong".to_owned()));
    }
    if request
        .email
        .as_ref()
        .is_some_and(|email| email.len() > MAX_EMAIL || email.chars().any(char::is_control))
    {
        return Err(refused("the e-mail address is too long".to_owned()));
    }
    services.limiter.take(Bucket::Registrations, &Subject::Server)?;
    if request.invite.is_none() {
        let class = Bucket::Class(rookery_protocol::request::RateClass::Register);
        services.limiter.take(class, &Subject::address(seat.address()))?;
    }
    let hash = services.passwords.hash(request.password).await?;
    let account = NewAccount {
        user: new.user,
        name: request.name.clone(),
        password: hash,
        created: now,
        email: request.email,
        settings: AccountSettings { writers: Writers::Everyone, presence: true, suggest: false },
    };
    let turn = services.order.lock().await;
    let mut unit = services.storage.begin().await?;
    let opened = unit.open_account(&account).await?;
    match opened {
        Opened::NameTaken => return Err(Failure::Error(RegisterError::NameTaken)),
        Opened::Already => {
            let usable = unit
                .account(new.user)
                .await?
                .is_some_and(|account| account.state == AccountState::Active);
            if !usable {
                return Err(Failure::Error(RegisterError::NameTaken));
            }
        }
        Opened::New => {
            match (services.config.registration, &request.invite) {
                (Registration::Closed, _) => return Err(Failure::Error(RegisterError::Closed)),
                (Registration::Open, None) => {}
                (Registration::Invite, None) => {
                    return Err(Failure::Error(RegisterError::InviteInvalid));
                }
                (_, Some(token)) => {
                    if !unit.take_invite(invite::hash(token), now).await? {
                        return Err(Failure::Error(RegisterError::InviteInvalid));
                    }
                }
            }
            let chain = ChainId::of_user(new.user);
            unit.create_chain(chain, ChainKind::User, new.user, 0, now).await?;
            let appended = unit.append_entries(chain, std::slice::from_ref(&new.entry)).await?;
            if !matches!(appended, Append::Done(_)) {
                return Err(Refusal::Internal.into());
            }
            unit.put_boxes(new.user, &request.boxes).await?;
            unit.put_prekeys(new.user, new.device.device_id(), &request.prekeys, now).await?;
        }
    }
    let tokens = session::begin(services, &mut *unit, new.user, new.device).await?;
    unit.commit().await?;
    if opened == Opened::New {
        let account = Account {
            user: account.user,
            name: account.name,
            password: String::new(),
            state: AccountState::Active,
            created: account.created,
            last_seen: None,
            email: None,
            settings: account.settings,
        };
        services.directory.put(&Arc::new(Resident::new(&account, new.state)));
        metrics::counter!("rookery_registrations_total").increment(1);
        tracing::info!(user = %new.user, "an account was opened");
    }
    drop(turn);
    Ok(Registered { user: new.user, tokens })
}

/// Checks that the genesis is one of a user of this home, and that boxes and prekeys go with it.
fn check_keys(services: &Services, request: &Register, now: Timestamp) -> Result<NewUser, String> {
    let body = request.genesis.body.as_slice();
    let user = Statement::user_id(body);
    let chain = ChainId::of_user(user);
    let item = request.genesis.verify(chain).map_err(|error| error.to_string())?;
    let entry = request.genesis.clone().place(chain, 0, None);
    let state = user::apply(user, None, &entry, &item).map_err(|error| error.to_string())?;
    if state.home != services.identity.name || state.home_key != services.identity.server() {
        return Err("the genesis names another home".to_owned());
    }
    let (device, keys) = state
        .live_devices()
        .first()
        .map(|(id, device)| (*id, device.keys.signing))
        .ok_or_else(|| "the genesis has no device".to_owned())?;
    let puk = state.puk().ok_or_else(|| "the genesis has no per-user key".to_owned())?;
    statement::check_boxes(&state, &request.boxes)?;
    if PukBox::root(&request.boxes) != puk.boxes_root {
        return Err("the boxes are not those that the genesis names".to_owned());
    }
    if request.prekeys.signed.is_none() || request.prekeys.signed_kem.is_none() {
        return Err("the signed prekeys are missing".to_owned());
    }
    check_prekeys(&request.prekeys, keys, now)?;
    let entry = StoredEntry { entry, item: item.item_id, kind: item.kind, author: device, at: now };
    Ok(NewUser { user, device: keys, entry, state })
}

/// Checks what a device wants to publish.
pub fn check_prekeys(
    upload: &PrekeyUpload,
    device: VerifyingKey,
    now: Timestamp,
) -> Result<(), String> {
    if upload.one_time.len() > 100 || upload.one_time_kem.len() > 20 {
        return Err("at most 100 and 20 one-time keys at once".to_owned());
    }
    let forged = |_| "a signature on a prekey does not hold".to_owned();
    let ec = upload.signed.iter().map(|key| (key, Domain::PREKEY_EC));
    for (key, domain) in ec.chain(upload.one_time.iter().map(|key| (key, Domain::ONE_TIME_EC))) {
        key.verify(device, domain).map_err(forged)?;
        check_end(key.expires, now)?;
    }
    let kem = upload.signed_kem.iter().map(|key| (key, Domain::PREKEY_PQ));
    for (key, domain) in kem.chain(upload.one_time_kem.iter().map(|key| (key, Domain::ONE_TIME_PQ)))
    {
        key.verify(device, domain).map_err(forged)?;
        check_end(key.expires, now)?;
    }
    Ok(())
}

fn check_end(expires: Timestamp, now: Timestamp) -> Result<(), String> {
    if expires <= now {
        return Err("a prekey has ended already: is the device's clock right?".to_owned());
    }
    Ok(())
}

/// Changes the password; all other sessions end.
pub async fn change_password(
    services: &Services,
    who: Authenticated,
    request: ChangePassword,
) -> Result<(), Failure<PasswordError>> {
    if !password::LENGTH.contains(&request.new.len()) {
        return Err(Failure::Error(PasswordError::Unfit));
    }
    if !password_is(services, who, request.old).await? {
        return Err(Failure::Error(PasswordError::Wrong));
    }
    let hash = services.passwords.hash(request.new).await?;
    let mut unit = services.storage.begin().await?;
    unit.set_password(who.user, &hash).await?;
    unit.end_sessions_of_user(who.user, Some(who.session), services.clock.now()).await?;
    unit.commit().await?;
    services.seats.cut(who.user, |other| other.session != who.session);
    Ok(())
}

async fn password_is(
    services: &Services,
    who: Authenticated,
    password: String,
) -> Result<bool, Refusal> {
    let storage = |error| super::refusal(&error);
    let mut view = services.storage.read().await.map_err(storage)?;
    let account = view.account(who.user).await.map_err(storage)?;
    drop(view);
    let name = account.as_ref().map(|account| account.name.clone());
    if let Some(name) = name {
        services.limiter.take(Bucket::Password, &Subject::Name(name))?;
    }
    services.passwords.check(password, account.map(|account| account.password)).await
}

/// Closes the account for good.
pub async fn close(
    services: &Services,
    who: Authenticated,
    request: CloseAccount,
) -> Result<(), Failure<CloseError>> {
    if !password_is(services, who, request.password).await? {
        return Err(Failure::Error(CloseError::WrongPassword));
    }
    let denied = |reason: String| Failure::Error(CloseError::Denied { reason });
    let chain = ChainId::of_user(who.user);
    let item = request.statement.verify(chain).map_err(|error| denied(error.to_string()))?;
    let statement: Result<Statement, _> =
        rookery_protocol::codec::decode(request.statement.body.as_slice());
    if !statement.is_ok_and(|statement| matches!(statement.action, Action::Close(_))) {
        return Err(denied("the statement does not close the account".to_owned()));
    }
    let turn = services.order.lock().await;
    let resident = services.resident(who.user).await?.ok_or(Refusal::NotAuthenticated)?;
    let author = request.statement.signed.author().map_or(who.device, |key| key.device_id());
    let entry = request.statement.place(chain, 0, Some(resident.state.head));
    let state = user::apply(who.user, Some(&resident.state), &entry, &item)
        .map_err(|error| denied(error.to_string()))?;
    let now = services.clock.now();
    let stored = StoredEntry { entry, item: item.item_id, kind: item.kind, author, at: now };
    let mut unit = services.storage.begin().await?;
    if !matches!(unit.append_entries(chain, std::slice::from_ref(&stored)).await?, Append::Done(_))
    {
        return Err(Refusal::Unavailable.into());
    }
    unit.erase_account(who.user).await?;
    unit.commit().await?;
    services.feeds.push_chain(chain, &statement::live(&stored.entry));
    let gone = Resident { account: AccountState::Deleted, ..resident.with_state(state) };
    services.directory.put(&Arc::new(gone));
    services.directory.forget_standings();
    drop(turn);
    services.presences.forget(who.user);
    services.seats.cut(who.user, |other| other.session != who.session);
    services.seats.cut_session_later(who.user, who.session, &services.tasks);
    tracing::info!(user = %who.user, "an account was closed");
    Ok(())
}

/// The settings.
pub async fn settings(services: &Services, who: Authenticated) -> Result<AccountSettings, Refusal> {
    let resident = services.resident(who.user).await.map_err(|error| super::refusal(&error))?;
    resident.map(|resident| resident.settings.clone()).ok_or(Refusal::NotAuthenticated)
}

/// Changes the settings.
pub async fn change_settings(
    services: &Services,
    who: Authenticated,
    settings: AccountSettings,
) -> Result<(), Refusal> {
    let storage = |error| super::refusal(&error);
    let turn = services.order.lock().await;
    let resident =
        services.resident(who.user).await.map_err(storage)?.ok_or(Refusal::NotAuthenticated)?;
    let mut unit = services.storage.begin().await.map_err(storage)?;
    unit.set_settings(who.user, &settings).await.map_err(storage)?;
    unit.commit().await.map_err(storage)?;
    services.directory.put(&Arc::new(Resident { settings, ..Resident::clone(&resident) }));
    drop(turn);
    super::presence::announce(services, who.user).await;
    Ok(())
}

/// Stores the sealed profile, and tells contacts that it changed.
pub async fn put_profile(
    services: &Services,
    who: Authenticated,
    sealed: Octets,
) -> Result<(), Refusal> {
    let storage = |error| super::refusal(&error);
    let profile = StoredProfile { sealed: sealed.into_vec(), at: services.clock.now() };
    let mut unit = services.storage.begin().await.map_err(storage)?;
    unit.put_profile(who.user, &profile).await.map_err(storage)?;
    unit.commit().await.map_err(storage)?;
    let mut view = services.storage.read().await.map_err(storage)?;
    let contacts = view.accepted_contacts(who.user).await.map_err(storage)?;
    drop(view);
    let notice = Live::notice(&FollowDown::ProfileChanged { user: who.user });
    for user in contacts.iter().chain([&who.user]) {
        services.feeds.push_user(*user, &notice);
    }
    people::note_profile(services, who.user, &contacts).await.map_err(storage)
}

/// Somebody's sealed profile, for whoever may have it.
pub async fn profile(
    services: &Services,
    who: Authenticated,
    of: UserId,
) -> Result<Profile, Refusal> {
    let storage = |error| super::refusal(&error);
    if let Some(foreigner) = services.foreigner(of).await.map_err(storage)? {
        let standings = services.standings(who.user, of).await.map_err(storage)?;
        if standings.ours == Some(Standing::Accepted) {
            return people::fetch_profile(services, who.user, &foreigner).await;
        }
    }
    profile_for(services, who.user, of).await
}

/// The sealed profile of somebody here, for whoever may have it.
pub async fn profile_for(
    services: &Services,
    asker: UserId,
    of: UserId,
) -> Result<Profile, Refusal> {
    let storage = |error| super::refusal(&error);
    let none = Profile { sealed: None, at: None };
    if of != asker {
        let Standings { ours, theirs } = services.standings(asker, of).await.map_err(storage)?;
        if !super::contact::are_partners(ours, theirs) {
            return Ok(none);
        }
    }
    let profile =
        services.storage.read().await.map_err(storage)?.profile(of).await.map_err(storage)?;
    let Some(profile) = profile else { return Ok(none) };
    Ok(Profile { sealed: Octets::parse(profile.sealed).ok(), at: Some(profile.at) })
}

/// The live device's key, out of the chain.
pub async fn device_key(
    services: &Services,
    who: &Authenticated,
) -> Result<(Arc<Resident>, VerifyingKey), Refusal> {
    let resident = services.resident(who.user).await.map_err(|error| super::refusal(&error))?;
    let resident = resident.ok_or(Refusal::NotAuthenticated)?;
    let key = resident.state.live_device(who.device).map(|device| device.keys.signing);
    key.map(|key| (resident, key)).ok_or(Refusal::NotPermitted)
}

#[cfg(test)]
mod tests;

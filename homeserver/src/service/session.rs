//! Sessions: logging in, refreshing, opening a connection, ending.

use std::sync::Arc;

use rookery_protocol::{
    id::SessionId,
    key::{Signature, VerifyingKey},
    request::{
        Failure, Refusal,
        admin::AccountState,
        session::{
            EndError, LoggedInReply, Login, LoginError, OpenError, OpenSession, Refresh,
            RefreshError, SessionEntry, SessionOpened, Sessions, Tokens,
        },
    },
    session::{Authenticated, LOGIN_TOLERANCE, Principal, check_connection, check_login},
    time::Timestamp,
};

use super::{
    Services,
    limit::{Bucket, Subject},
    seat::{Crowd, Seat},
    token::BadAccess,
};
use crate::repository::{
    Repository,
    session::{StoredSession, TokenHash},
};

/// Logs a device in.
pub async fn login(
    services: &Services,
    seat: &Seat,
    request: Login,
) -> Result<LoggedInReply, Failure<LoginError>> {
    if !proof_holds(
        services,
        seat,
        (request.device, request.name.as_str()),
        request.at,
        &request.proof,
    ) {
        return Err(Failure::Error(LoginError::BadProof));
    }
    services.limiter.take(Bucket::Password, &Subject::Name(request.name.clone()))?;
    let account = services.storage.read().await?.account_by_name(&request.name).await?;
    let hash = account.as_ref().map(|account| account.password.clone());
    let right = services.passwords.check(request.password, hash).await?;
    let wrong = Failure::Error(LoginError::WrongCredentials);
    let (Some(account), true) = (account, right) else {
        metrics::counter!("rookery_auth_failures_total", "reason" => "password").increment(1);
        return Err(wrong);
    };
    match account.state {
        AccountState::Active => {}
        AccountState::Disabled => return Err(Failure::Error(LoginError::Disabled)),
        AccountState::Deleted => return Err(wrong),
    }
    let resident = services.resident(account.user).await?.ok_or(wrong)?;
    let device = request.device.device_id();
    let certified = resident.state.live_device(device).is_some();
    if !certified && resident.state.devices.contains_key(&device) {
        return Err(Failure::Error(LoginError::Revoked));
    }
    let mut unit = services.storage.begin().await?;
    // The account is looked at again in the unit: it may have been disabled since.
    if unit.account(account.user).await?.is_none_or(|account| account.state != AccountState::Active)
    {
        return Err(Failure::Error(LoginError::Disabled));
    }
    let tokens = begin(services, &mut *unit, account.user, request.device).await?;
    unit.commit().await?;
    Ok(LoggedInReply { user: account.user, tokens, certified })
}

/// Begins a session within `unit`, and makes its tokens.
pub async fn begin(
    services: &Services,
    unit: &mut dyn Repository,
    user: rookery_protocol::id::UserId,
    key: VerifyingKey,
) -> Result<Tokens, Refusal> {
    let now = services.clock.now();
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Refusal::Internal)?;
    let session = SessionId::from_bytes(bytes);
    let (refresh, current) = services.mint.refresh(session, 0);
    let stored = StoredSession {
        session,
        user,
        device: key.device_id(),
        key,
        created: now,
        last_seen: now,
        generation: 0,
        current,
        previous: None,
        current_used: false,
        ended: None,
    };
    match unit.create_session(&stored).await {
        Ok(true) => tokens(services, &stored, refresh),
        Ok(false) => Err(Refusal::Internal),
        Err(error) => Err(super::refusal(&error)),
    }
}

fn tokens(
    services: &Services,
    session: &StoredSession,
    refresh: String,
) -> Result<Tokens, Refusal> {
    let who = (session.user, session.session);
    let (access, access_expires) = services
        .mint
        .access(who, session.key, session.generation, services.clock.now())
        .map_err(|error| {
            tracing::error!(%error, "an access token could not be signed");
            Refusal::Internal
        })?;
    Ok(Tokens { session: session.session, access, access_expires, refresh })
}

/// Exchanges a refresh token for the next pair.
pub async fn refresh(
    services: &Services,
    seat: &Seat,
    request: Refresh,
) -> Result<Tokens, Failure<RefreshError>> {
    if !proof_holds(services, seat, (request.device, &request.token), request.at, &request.proof) {
        return Err(Failure::Error(RefreshError::BadProof));
    }
    let ended = || Failure::Error(RefreshError::Ended);
    let shown = services.mint.read_refresh(&request.token).ok_or_else(ended)?;
    let now = services.clock.now();
    let mut unit = services.storage.begin().await?;
    let row =
        unit.session(shown.session).await?.filter(|row| row.ended.is_none()).ok_or_else(ended)?;
    match unit.account(row.user).await?.map(|account| account.state) {
        Some(AccountState::Active) => {}
        Some(AccountState::Disabled) => return Err(Failure::Error(RefreshError::Disabled)),
        Some(AccountState::Deleted) | None => return Err(ended()),
    }
    match judge(&row, shown.generation, shown.hash, request.device) {
        Verdict::Rotate => {
            let generation = row.generation.saturating_add(1);
            let (token, hash) = services.mint.refresh(row.session, generation);
            if !unit.rotate_session(row.session, row.generation, hash, now).await? {
                return Err(ended());
            }
            unit.commit().await?;
            Ok(tokens(services, &StoredSession { generation, ..row }, token)?)
        }
        Verdict::Again => {
            drop(unit);
            let (token, _) = services.mint.refresh(row.session, row.generation);
            Ok(tokens(services, &row, token)?)
        }
        Verdict::Theft => {
            unit.end_session(row.session, now).await?;
            unit.commit().await?;
            services.seats.cut_session(row.user, row.session);
            metrics::counter!("rookery_auth_failures_total", "reason" => "reused").increment(1);
            tracing::warn!(user = %row.user, session = %row.session, "a refresh token was used twice: the session is ended");
            Err(Failure::Error(RefreshError::Reused))
        }
    }
}

/// What a refresh token that this server made is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Rotate,
    Again,
    Theft,
}

fn judge(row: &StoredSession, generation: u64, hash: TokenHash, device: VerifyingKey) -> Verdict {
    if device != row.key {
        return Verdict::Theft;
    }
    if generation == row.generation && hash == row.current {
        return Verdict::Rotate;
    }
    if Some(hash) == row.previous && !row.current_used {
        return Verdict::Again;
    }
    Verdict::Theft
}

/// Raises a connection to its device's principal.
pub async fn open(
    services: &Services,
    seat: &Arc<Seat>,
    request: OpenSession,
) -> Result<SessionOpened, Failure<OpenError>> {
    let now = services.clock.now();
    let refused = |reason: &'static str, error: OpenError| {
        metrics::counter!("rookery_auth_failures_total", "reason" => reason).increment(1);
        Failure::Error(error)
    };
    let access = services.mint.read_access(&request.access, now).map_err(|bad| match bad {
        BadAccess::Expired => refused("expired", OpenError::Expired),
        BadAccess::Invalid => refused("token", OpenError::InvalidToken),
    })?;
    let row = services.storage.read().await?.session(access.session).await?;
    let row = row.filter(|row| row.ended.is_none() && row.user == access.user);
    let row = row.ok_or_else(|| refused("ended", OpenError::Ended))?;
    let proven =
        check_connection(row.key, seat.exporter(), &request.access, &request.proof).is_ok();
    if !proven || !access.is_bound_to(row.key) {
        return Err(refused("device", OpenError::WrongDevice));
    }
    if access.generation == row.generation && !row.current_used {
        let mut unit = services.storage.begin().await?;
        unit.mark_token_used(row.session).await?;
        unit.commit().await?;
    }
    // From here on nothing is awaited but the turn: whoever ends this session meanwhile finds the seat raised, and cuts it.
    let turn = services.order.lock().await;
    let resident = services.resident(access.user).await?.filter(|resident| resident.is_active());
    let resident = resident.ok_or_else(|| refused("ended", OpenError::Ended))?;
    let certified = resident.state.live_device(access.device).is_some();
    if !certified && resident.state.devices.contains_key(&access.device) {
        return Err(refused("revoked", OpenError::Ended));
    }
    let who = Authenticated { user: access.user, device: access.device, session: access.session };
    let principal = if certified { Principal::Device(who) } else { Principal::Uncertified(who) };
    let limits = &services.config.limits;
    let crowd = Crowd { device: limits.connections_per_device, user: limits.connections_per_user };
    services.seats.raise(seat, principal, crowd);
    drop(turn);
    // The session may have ended between the look at it and the raise.
    let still = services.storage.read().await?.session(access.session).await?;
    if still.is_none_or(|row| row.ended.is_some()) {
        services.seats.cut_session(access.user, access.session);
        return Err(refused("ended", OpenError::Ended));
    }
    services.seen.note(&who, now);
    Ok(SessionOpened { user: who.user, device: who.device, certified, at: now })
}

/// The user's sessions.
pub async fn list(services: &Services, who: Authenticated) -> Result<Sessions, Refusal> {
    let mut view = services.storage.read().await.map_err(|error| super::refusal(&error))?;
    let rows = view.sessions(who.user).await.map_err(|error| super::refusal(&error))?;
    let entry = |row: StoredSession| SessionEntry {
        session: row.session,
        device: row.device,
        created: row.created,
        last_seen: row.last_seen,
        current: row.session == who.session,
    };
    Ok(Sessions { sessions: rows.into_iter().map(entry).collect() })
}

/// Ends one of the user's sessions.
pub async fn end(
    services: &Services,
    who: Authenticated,
    which: Option<SessionId>,
) -> Result<(), Failure<EndError>> {
    let session = which.unwrap_or(who.session);
    let mut unit = services.storage.begin().await?;
    let is_theirs = unit.session(session).await?.is_some_and(|row| row.user == who.user);
    if !is_theirs || !unit.end_session(session, services.clock.now()).await? {
        return Err(Failure::Error(EndError::NotFound));
    }
    unit.commit().await?;
    // One's own connection ends by itself once it has the answer.
    if session == who.session {
        services.seats.cut_session_later(who.user, session, &services.tasks);
    } else {
        services.seats.cut_session(who.user, session);
    }
    Ok(())
}

/// Whether the device `key` signed `secret` for this connection, lately.
pub fn proof_holds(
    services: &Services,
    seat: &Seat,
    (key, secret): (VerifyingKey, &str),
    at: Timestamp,
    proof: &Signature,
) -> bool {
    let now = services.clock.now();
    let apart = now.since(at).max(at.since(now));
    apart <= LOGIN_TOLERANCE && check_login(key, seat.exporter(), secret, at, proof).is_ok()
}

#[cfg(test)]
mod tests;

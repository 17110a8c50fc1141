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

/// Exchanges a refresh token for the next pair (`DECISIONS.md` D10).
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
mod tests {
    use std::time::Duration;

    use rookery_protocol::{key::SigningKey, session::prove_login};

    use super::*;
    use crate::service::{
        account,
        testing::{Bench, Device, PASSWORD, bench},
    };

    async fn refresh_as(
        bench: &Bench,
        device: &SigningKey,
        token: &str,
    ) -> Result<Tokens, Failure<RefreshError>> {
        let (seat, at) = (bench.seat(0x22), bench.services.clock.now());
        let proof = prove_login(device, seat.exporter(), token, at);
        let request =
            Refresh { token: token.to_owned(), device: device.verifying_key(), proof, at };
        refresh(&bench.services, &seat, request).await
    }

    #[tokio::test]
    async fn a_refresh_token_gets_one_successor_until_that_is_used_and_then_is_theft() {
        let bench = bench(&[]);
        let (alice, who, seat, first) = bench.person("alice").await;
        let key = &alice.device.key;
        let second = refresh_as(&bench, key, &first.refresh).await.unwrap();
        let again = refresh_as(&bench, key, &first.refresh).await.unwrap();
        assert_eq!(
            (&second.refresh, second.session),
            (&again.refresh, who.session),
            "a retry after a lost answer"
        );
        let third = refresh_as(&bench, key, &second.refresh).await.unwrap();
        assert_eq!(
            refresh_as(&bench, key, &first.refresh).await,
            Err(Failure::Error(RefreshError::Reused))
        );
        assert_eq!(
            refresh_as(&bench, key, &third.refresh).await,
            Err(Failure::Error(RefreshError::Ended))
        );
        assert_eq!(seat.ended().await, Ended::Session);
    }

    use crate::service::seat::Ended;

    #[tokio::test]
    async fn using_what_came_with_the_successor_ends_the_old_token() {
        let bench = bench(&[]);
        let (alice, _, _, first) = bench.person("alice").await;
        let second = refresh_as(&bench, &alice.device.key, &first.refresh).await.unwrap();
        bench.open(&bench.seat(0x33), &alice.device, &second).await;
        assert_eq!(
            refresh_as(&bench, &alice.device.key, &first.refresh).await,
            Err(Failure::Error(RefreshError::Reused))
        );
    }

    #[tokio::test]
    async fn a_refresh_token_in_another_device_s_hands_ends_the_session() {
        let bench = bench(&[]);
        let (alice, _, _, tokens) = bench.person("alice").await;
        let thief = SigningKey::from_seed(&[0x66; 32]);
        assert_eq!(
            refresh_as(&bench, &thief, &tokens.refresh).await,
            Err(Failure::Error(RefreshError::Reused))
        );
        assert_eq!(
            refresh_as(&bench, &alice.device.key, &tokens.refresh).await,
            Err(Failure::Error(RefreshError::Ended))
        );
    }

    #[tokio::test]
    async fn a_wrong_password_and_an_absent_name_are_told_alike() {
        let bench = bench(&[]);
        bench.person("alice").await;
        let (seat, device) = (bench.seat(5), Device::new([5; 32]));
        let at = bench.services.clock.now();
        for (name, password) in [("alice", "incorrect horse"), ("nobody", PASSWORD)] {
            let request =
                Login { password: password.to_owned(), ..device.login(name, seat.exporter(), at) };
            let refused = login(&bench.services, &seat, request).await;
            assert_eq!(refused, Err(Failure::Error(LoginError::WrongCredentials)), "{name}");
        }
        let late = device.login(
            "alice",
            seat.exporter(),
            at.plus(LOGIN_TOLERANCE + Duration::from_secs(1)),
        );
        assert_eq!(
            login(&bench.services, &seat, late).await,
            Err(Failure::Error(LoginError::BadProof))
        );
    }

    #[tokio::test]
    async fn passwords_of_one_account_are_tried_slowly_from_wherever() {
        let bench = bench(&[("limits.login_account", "1/min burst 2")]);
        bench.person("alice").await;
        let device = Device::new([5; 32]);
        let mut answers = vec![];
        for address in 0..3_u8 {
            let seat = bench.services.seats.sit([10, 0, 0, address].into(), [0; 32], None).unwrap();
            let request = device.login("alice", seat.exporter(), bench.services.clock.now());
            answers.push(login(&bench.services, &seat, request).await.is_ok());
        }
        assert_eq!(answers, [true, true, false]);
    }

    #[tokio::test]
    async fn another_password_ends_all_other_sessions() {
        let bench = bench(&[]);
        let (mut alice, who, seat, _) = bench.person("alice").await;
        let (_, _, second) = bench.second(&mut alice, who).await;
        let request = rookery_protocol::request::account::ChangePassword {
            old: PASSWORD.to_owned(),
            new: "battery staple".to_owned(),
        };
        account::change_password(&bench.services, who, request).await.unwrap();
        assert_eq!(second.ended().await, Ended::Session);
        let left = list(&bench.services, who).await.unwrap().sessions;
        assert!(left.len() == 1 && left[0].current);
        assert!(tokio::time::timeout(Duration::from_millis(1), seat.ended()).await.is_err());
    }

    #[tokio::test]
    async fn an_ended_session_opens_nothing() {
        let bench = bench(&[]);
        let (alice, who, _, tokens) = bench.person("alice").await;
        end(&bench.services, who, None).await.unwrap();
        let seat = bench.seat(9);
        let proof = rookery_protocol::session::prove_connection(
            &alice.device.key,
            seat.exporter(),
            &tokens.access,
        );
        let request = OpenSession { access: tokens.access, proof };
        assert_eq!(
            open(&bench.services, &seat, request).await,
            Err(Failure::Error(OpenError::Ended))
        );
    }
}

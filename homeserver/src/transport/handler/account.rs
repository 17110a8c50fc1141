//! Accounts, sessions, devices and their linking.

use std::future::{Ready, ready};

use rookery_protocol::{
    id::UserId,
    request::{
        Anyone, LoggedIn, Outcome, Refusal,
        account::{
            AppendStatements, ChangePassword, ChangeSettings, CloseAccount, FetchBoxes,
            FetchProfile, PutProfile, ReadSettings, Register,
        },
        device::ListDevices,
        link::{ClosePlace, OpenPlace, PutLetter, TakeLetter},
        server::ServerInfo,
        session::{EndSession, ListSessions, Login, OpenSession, Refresh},
    },
    session::{Authenticated, Principal},
};

use crate::{
    service::{account, follow, link, session, statement},
    transport::router::{Context, Router},
};

pub(super) fn add(router: Router) -> Router {
    router
        .on(server_info)
        .on(register)
        .on(change_password)
        .on(close)
        .on(read_settings)
        .on(change_settings)
        .on(put_profile)
        .on(fetch_profile)
        .on(append)
        .on(boxes)
        .on(login)
        .on(refresh)
        .on(open)
        .on(list_sessions)
        .on(end_session)
        .on(list_devices)
        .on(open_place)
        .on(put_letter)
        .on(take_letter)
        .on(close_place)
}

/// Whom the caller may ask about: a device that is not certified, about its own user and nobody else.
pub(super) fn reach(context: &Context, who: LoggedIn, user: UserId) -> Option<UserId> {
    let certified = matches!(context.seat.principal(), Principal::Device(_));
    (certified || user == who.0.user).then_some(user)
}

fn server_info(context: Context, _: Anyone, _: ServerInfo) -> Ready<Outcome<ServerInfo>> {
    ready(Ok(account::describe(&context.services)))
}

async fn register(context: Context, _: Anyone, request: Register) -> Outcome<Register> {
    account::register(&context.services, &context.seat, request).await
}

async fn change_password(
    context: Context,
    who: Authenticated,
    request: ChangePassword,
) -> Outcome<ChangePassword> {
    account::change_password(&context.services, who, request).await
}

async fn close(
    context: Context,
    who: Authenticated,
    request: CloseAccount,
) -> Outcome<CloseAccount> {
    account::close(&context.services, who, request).await
}

async fn read_settings(
    context: Context,
    who: Authenticated,
    _: ReadSettings,
) -> Outcome<ReadSettings> {
    Ok(account::settings(&context.services, who).await?)
}

async fn change_settings(
    context: Context,
    who: Authenticated,
    request: ChangeSettings,
) -> Outcome<ChangeSettings> {
    Ok(account::change_settings(&context.services, who, request.settings).await?)
}

async fn put_profile(
    context: Context,
    who: Authenticated,
    request: PutProfile,
) -> Outcome<PutProfile> {
    Ok(account::put_profile(&context.services, who, request.sealed).await?)
}

async fn fetch_profile(
    context: Context,
    who: LoggedIn,
    request: FetchProfile,
) -> Outcome<FetchProfile> {
    let of = reach(&context, who, request.user).ok_or(Refusal::NotPermitted)?;
    Ok(account::profile(&context.services, who.0, of).await?)
}

async fn append(
    context: Context,
    who: LoggedIn,
    request: AppendStatements,
) -> Outcome<AppendStatements> {
    statement::append(&context.services, who.0, request).await
}

async fn boxes(context: Context, who: LoggedIn, _: FetchBoxes) -> Outcome<FetchBoxes> {
    Ok(statement::boxes(&context.services, who.0).await?)
}

async fn login(context: Context, _: Anyone, request: Login) -> Outcome<Login> {
    session::login(&context.services, &context.seat, request).await
}

async fn refresh(context: Context, _: Anyone, request: Refresh) -> Outcome<Refresh> {
    session::refresh(&context.services, &context.seat, request).await
}

async fn open(context: Context, _: Anyone, request: OpenSession) -> Outcome<OpenSession> {
    session::open(&context.services, &context.seat, request).await
}

async fn list_sessions(
    context: Context,
    who: Authenticated,
    _: ListSessions,
) -> Outcome<ListSessions> {
    Ok(session::list(&context.services, who).await?)
}

async fn end_session(context: Context, who: LoggedIn, request: EndSession) -> Outcome<EndSession> {
    session::end(&context.services, who.0, request.session).await
}

async fn list_devices(
    context: Context,
    who: Authenticated,
    _: ListDevices,
) -> Outcome<ListDevices> {
    Ok(follow::devices(&context.services, who).await?)
}

fn open_place(context: Context, who: Authenticated, _: OpenPlace) -> Ready<Outcome<OpenPlace>> {
    ready(link::open(&context.services, who))
}

fn put_letter(context: Context, who: LoggedIn, request: PutLetter) -> Ready<Outcome<PutLetter>> {
    ready(link::put(&context.services, who.0, request))
}

async fn take_letter(context: Context, who: LoggedIn, request: TakeLetter) -> Outcome<TakeLetter> {
    link::take(&context.services, who.0, request).await
}

fn close_place(context: Context, who: LoggedIn, request: ClosePlace) -> Ready<Outcome<ClosePlace>> {
    link::close(&context.services, who.0, request.place);
    ready(Ok(()))
}

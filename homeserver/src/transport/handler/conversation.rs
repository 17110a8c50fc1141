//! Messages, prekeys, chains, contacts, files and presence.

use rookery_protocol::{
    name::Address,
    request::{
        Failure, LoggedIn, Outcome, Refusal,
        chain::{AppendJournal, NameOfUser, ReadChain, ReadError, ResolveUser},
        contact::{ChangeContact, ListContacts, RequestContact},
        file::{DropFile, GetFile, PutFile},
        message::SendMessage,
        prekey::{ClaimPrekeys, PublishPrekeys},
        presence::{ListPresence, SetPresence},
    },
    session::{Authenticated, Principal},
};

use super::account::reach;
use crate::{
    service::{chain, contact, file, journal, message, peer, prekey, presence},
    transport::router::{Context, Router},
};

pub(super) fn add(router: Router) -> Router {
    router
        .on(send)
        .on(publish)
        .on(claim)
        .on(read_chain)
        .on(append_journal)
        .on(resolve)
        .on(name_of)
        .on(list_contacts)
        .on(request_contact)
        .on(change_contact)
        .on(set_presence)
        .on(list_presence)
        .on(put_file)
        .on(get_file)
        .on(drop_file)
}

async fn send(context: Context, who: Authenticated, request: SendMessage) -> Outcome<SendMessage> {
    message::send(&context.services, who, request).await
}

async fn publish(
    context: Context,
    who: Authenticated,
    request: PublishPrekeys,
) -> Outcome<PublishPrekeys> {
    prekey::publish(&context.services, who, request).await
}

async fn claim(
    context: Context,
    who: Authenticated,
    request: ClaimPrekeys,
) -> Outcome<ClaimPrekeys> {
    let services = &context.services;
    if services.resident(request.user).await?.is_none()
        && let Some(foreigner) = services.foreigner(request.user).await?
    {
        return prekey::claim_abroad(services, who, &foreigner, request).await;
    }
    prekey::claim(services, who.user, request).await
}

async fn read_chain(context: Context, _: LoggedIn, request: ReadChain) -> Outcome<ReadChain> {
    let principal: Principal = context.seat.principal();
    chain::read(&context.services, principal, request).await
}

async fn append_journal(
    context: Context,
    who: Authenticated,
    request: AppendJournal,
) -> Outcome<AppendJournal> {
    journal::append(&context.services, who, request).await
}

async fn resolve(context: Context, who: LoggedIn, request: ResolveUser) -> Outcome<ResolveUser> {
    let abroad = request.server.filter(|server| !context.services.is_here(Some(server)));
    if let Some(server) = abroad {
        // Whoever may have themselves certified and nothing else meets nobody.
        if !matches!(context.seat.principal(), Principal::Device(_)) {
            return Err(Failure::Error(ReadError::NotFound));
        }
        return chain::resolve_abroad(&context.services, who.0, &server, &request.name).await;
    }
    let resolved = chain::resolve(&context.services, who.0.user, &request.name).await?;
    match reach(&context, who, resolved.user) {
        Some(_) => Ok(resolved),
        None => Err(Failure::Error(ReadError::NotFound)),
    }
}

async fn name_of(context: Context, who: LoggedIn, request: NameOfUser) -> Outcome<NameOfUser> {
    let of = reach(&context, who, request.user).ok_or(Refusal::NotPermitted)?;
    Ok(chain::name_of(&context.services, who.0, of).await?)
}

async fn list_contacts(
    context: Context,
    who: Authenticated,
    _: ListContacts,
) -> Outcome<ListContacts> {
    Ok(contact::list(&context.services, who).await?)
}

async fn request_contact(
    context: Context,
    who: Authenticated,
    request: RequestContact,
) -> Outcome<RequestContact> {
    let services = &context.services;
    let RequestContact { name, server } = request;
    if services.is_here(server.as_ref()) {
        return contact::request(services, who, name).await;
    }
    peer::contact::request(services, who, &Address { name, server }).await
}

async fn change_contact(
    context: Context,
    who: Authenticated,
    request: ChangeContact,
) -> Outcome<ChangeContact> {
    let services = &context.services;
    let ChangeContact { name, change, server } = request;
    if services.is_here(server.as_ref()) {
        return contact::change(services, who, name, change).await;
    }
    peer::contact::change(services, who, &Address { name, server }, change).await
}

async fn set_presence(
    context: Context,
    who: Authenticated,
    request: SetPresence,
) -> Outcome<SetPresence> {
    Ok(presence::set(&context.services, who, request.state, request.status).await?)
}

async fn list_presence(
    context: Context,
    who: Authenticated,
    _: ListPresence,
) -> Outcome<ListPresence> {
    Ok(presence::list(&context.services, who).await?)
}

async fn put_file(context: Context, who: Authenticated, request: PutFile) -> Outcome<PutFile> {
    file::put(&context.services, who, request).await
}

async fn get_file(context: Context, _: Authenticated, request: GetFile) -> Outcome<GetFile> {
    peer::file::get(&context.services, request).await
}

async fn drop_file(context: Context, who: Authenticated, request: DropFile) -> Outcome<DropFile> {
    Ok(file::drop_own(&context.services, who, request).await?)
}

//! The administrator's requests.

use std::path::Path;

use rookery_protocol::request::{
    Administrator, Outcome,
    admin::{
        Backup, ChangeHosted, ChangeUser, CreateInvite, ListHosted, ListInvites, ListUsers,
        ResetPassword, RevokeInvite, ShowHosted, ShowUser, Status,
    },
};

use crate::{
    service::{admin, community, invite},
    transport::router::{Context, Router},
};

pub(super) fn add(router: Router) -> Router {
    router
        .on(status)
        .on(create_invite)
        .on(list_invites)
        .on(revoke_invite)
        .on(list_users)
        .on(show_user)
        .on(change_user)
        .on(reset_password)
        .on(list_hosted)
        .on(show_hosted)
        .on(change_hosted)
        .on(backup)
}

async fn status(context: Context, _: Administrator, _: Status) -> Outcome<Status> {
    Ok(admin::status(&context.services, &context.place.listen).await?)
}

async fn create_invite(
    context: Context,
    _: Administrator,
    request: CreateInvite,
) -> Outcome<CreateInvite> {
    invite::create(&context.services, request).await
}

async fn list_invites(context: Context, _: Administrator, _: ListInvites) -> Outcome<ListInvites> {
    Ok(invite::list(&context.services).await?)
}

async fn revoke_invite(
    context: Context,
    _: Administrator,
    request: RevokeInvite,
) -> Outcome<RevokeInvite> {
    invite::revoke(&context.services, &request.id).await
}

async fn list_users(context: Context, _: Administrator, request: ListUsers) -> Outcome<ListUsers> {
    Ok(admin::users(&context.services, request).await?)
}

async fn show_user(context: Context, _: Administrator, request: ShowUser) -> Outcome<ShowUser> {
    admin::user(&context.services, &request.name).await
}

async fn change_user(
    context: Context,
    _: Administrator,
    request: ChangeUser,
) -> Outcome<ChangeUser> {
    admin::change(&context.services, &request.name, request.change).await
}

async fn reset_password(
    context: Context,
    _: Administrator,
    request: ResetPassword,
) -> Outcome<ResetPassword> {
    admin::reset_password(&context.services, &request.name, request.password).await
}

async fn list_hosted(
    context: Context,
    _: Administrator,
    request: ListHosted,
) -> Outcome<ListHosted> {
    Ok(community::admin::list(&context.services, request).await?)
}

async fn show_hosted(
    context: Context,
    _: Administrator,
    request: ShowHosted,
) -> Outcome<ShowHosted> {
    community::admin::show(&context.services, request.community).await
}

async fn change_hosted(
    context: Context,
    _: Administrator,
    request: ChangeHosted,
) -> Outcome<ChangeHosted> {
    community::admin::change(&context.services, request.community, request.change).await
}

async fn backup(context: Context, _: Administrator, request: Backup) -> Outcome<Backup> {
    admin::backup(&context.services, &context.place.data, Path::new(&request.to)).await
}

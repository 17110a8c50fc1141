//! Communities, channels and their blobs.

use rookery_protocol::{
    request::{
        Outcome,
        blob::{GetBlob, PutBlob},
        channel::{ListReads, PostChannel},
        community::{
            AppendLog, FetchHead, ListCommunities, NamesOfUsers, PrepareMove, PreviewLog,
            ReadChains, ReadForks, SuggestContacts,
        },
        look::{LookAtBlob, LookAtPlace, LookAtSnapshot, LookAtUsers},
    },
    session::Authenticated,
};

use crate::{
    service::{
        community::{fork, read, suggest},
        peer::{place_ask, place_look, place_move, place_say},
    },
    transport::router::{Context, Router},
};

pub(super) fn add(router: Router) -> Router {
    router
        .on(append)
        .on(list)
        .on(preview)
        .on(look_at_snapshot)
        .on(look_at_place)
        .on(look_at_users)
        .on(look_at_blob)
        .on(read_many)
        .on(names)
        .on(suggest)
        .on(head)
        .on(forks)
        .on(prepare_move)
        .on(post)
        .on(list_reads)
        .on(put_blob)
        .on(get_blob)
}

async fn append(context: Context, who: Authenticated, request: AppendLog) -> Outcome<AppendLog> {
    place_say::append(&context.services, who, request).await
}

async fn prepare_move(
    context: Context,
    who: Authenticated,
    request: PrepareMove,
) -> Outcome<PrepareMove> {
    place_move::prepare(&context.services, who, request).await
}

async fn list(
    context: Context,
    who: Authenticated,
    _: ListCommunities,
) -> Outcome<ListCommunities> {
    Ok(read::list(&context.services, who).await?)
}

async fn preview(context: Context, who: Authenticated, request: PreviewLog) -> Outcome<PreviewLog> {
    place_ask::preview(&context.services, who, request).await
}

async fn look_at_snapshot(
    context: Context,
    who: Authenticated,
    request: LookAtSnapshot,
) -> Outcome<LookAtSnapshot> {
    place_look::snapshot(&context.services, who, request).await
}

async fn look_at_place(
    context: Context,
    who: Authenticated,
    request: LookAtPlace,
) -> Outcome<LookAtPlace> {
    place_look::place(&context.services, who, request).await
}

async fn look_at_users(
    context: Context,
    who: Authenticated,
    request: LookAtUsers,
) -> Outcome<LookAtUsers> {
    place_look::users(&context.services, who, request).await
}

async fn look_at_blob(
    context: Context,
    who: Authenticated,
    request: LookAtBlob,
) -> Outcome<LookAtBlob> {
    place_look::blob(&context.services, who, request).await
}

async fn read_many(
    context: Context,
    who: Authenticated,
    request: ReadChains,
) -> Outcome<ReadChains> {
    Ok(read::many(&context.services, who, request).await?)
}

async fn names(
    context: Context,
    who: Authenticated,
    request: NamesOfUsers,
) -> Outcome<NamesOfUsers> {
    Ok(read::names(&context.services, who, request.users).await?)
}

async fn suggest(
    context: Context,
    who: Authenticated,
    _: SuggestContacts,
) -> Outcome<SuggestContacts> {
    Ok(suggest::suggest(&context.services, who).await?)
}

async fn head(context: Context, who: Authenticated, request: FetchHead) -> Outcome<FetchHead> {
    read::head(&context.services, who, request.chain).await
}

async fn forks(context: Context, who: Authenticated, request: ReadForks) -> Outcome<ReadForks> {
    fork::read(&context.services, who, request.community).await
}

async fn post(context: Context, who: Authenticated, request: PostChannel) -> Outcome<PostChannel> {
    place_say::post(&context.services, who, request).await
}

async fn list_reads(
    context: Context,
    who: Authenticated,
    request: ListReads,
) -> Outcome<ListReads> {
    place_ask::list_reads(&context.services, who, request).await
}

async fn put_blob(context: Context, who: Authenticated, request: PutBlob) -> Outcome<PutBlob> {
    place_ask::put_blob(&context.services, who, request).await
}

async fn get_blob(context: Context, who: Authenticated, request: GetBlob) -> Outcome<GetBlob> {
    place_ask::get_blob(&context.services, who, request).await
}

//! Files that another homeserver keeps: asked for there part by part, and not kept here.

use rookery_protocol::{
    id::ServerId,
    request::{
        Failure,
        blob::BlobPart,
        file::{GetFile, GetFileError, PeerGetFile},
    },
};

use super::{
    Services,
    answer::peer_of,
    place_ask::{Away, reach},
};
use crate::service::file;

fn away(Away { hub, since }: Away) -> GetFileError {
    GetFileError::ServerAway { server: hub, since }
}

/// A part of a file, from wherever it is kept.
pub async fn get(services: &Services, request: GetFile) -> Result<BlobPart, Failure<GetFileError>> {
    let GetFile { file, server, offset, length } = request;
    let Some(server) = server.filter(|server| !services.is_here(Some(server))) else {
        return file::part(services, file, offset, length).await;
    };
    if services.peer(&server).is_none() {
        return Err(Failure::Error(GetFileError::UnknownServer { server }));
    }
    let keeper = reach(services, &server).await.map_err(|gone| Failure::Error(away(gone)))?;
    keeper.ask(services, &PeerGetFile { file, offset, length }, away).await
}

/// A part of a file that is kept here, for a user of a peer.
pub async fn give(
    services: &Services,
    root: ServerId,
    request: PeerGetFile,
) -> Result<BlobPart, Failure<GetFileError>> {
    peer_of(services, root)?;
    let PeerGetFile { file, offset, length } = request;
    file::part(services, file, offset, length).await
}

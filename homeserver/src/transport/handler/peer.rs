//! Other homeservers: what they ask, and what administrators and users ask about them.

use rookery_protocol::{
    io::CloseReason,
    request::{
        Administrator, Anyone, Failure, Homeserver, Outcome,
        discovery::{AddDomain, FindPeer},
        file::PeerGetFile,
        message::{DismissReturned, ListOutstanding},
        peer::{
            PeerClaim, PeerForward, PeerHeads, PeerHello, PeerProve, PeerReadChain, PeerResolve,
        },
        peer_return::{PeerReturnPlaces, PeerReturnUsers},
        peering::{
            AcceptPeer, AddPeer, ChangePeer, ListKnownServers, ListPeers, PeerTest, PeeringError,
            SetPolicy, ShowPeer, ShowPolicy, TestPeer, Unfence,
        },
    },
    session::Authenticated,
};

use crate::{
    service::{
        fence,
        peer::{admin, answer, file, give_back, handshake, outstanding, policy, receive},
    },
    transport::{
        peer,
        router::{Context, Router},
    },
};

pub(super) fn add(router: Router) -> Router {
    router
        .on(hello)
        .on(prove)
        .on(resolve)
        .on(read_chain)
        .on(heads)
        .on(claim)
        .on(forward)
        .on(list_outstanding)
        .on(dismiss)
        .on(servers)
        .on(list)
        .on(show)
        .on(add_peer)
        .on(change)
        .on(accept)
        .on(test)
        .on(add_domain)
        .on(find)
        .on(return_users)
        .on(return_places)
        .on(give_file)
        .on(show_policy)
        .on(set_policy)
        .on(unfence)
}

async fn hello(context: Context, _: Anyone, request: PeerHello) -> Outcome<PeerHello> {
    handshake::hello(&context.services, &context.seat, &request)
}

async fn prove(context: Context, _: Anyone, request: PeerProve) -> Outcome<PeerProve> {
    handshake::prove(&context.services, &context.seat, &request).await
}

async fn resolve(context: Context, peer: Homeserver, request: PeerResolve) -> Outcome<PeerResolve> {
    answer::resolve(&context.services, &context.seat, peer.0, request).await
}

async fn read_chain(
    context: Context,
    peer: Homeserver,
    request: PeerReadChain,
) -> Outcome<PeerReadChain> {
    answer::read_chain(&context.services, &context.seat, peer.0, request).await
}

async fn heads(context: Context, peer: Homeserver, request: PeerHeads) -> Outcome<PeerHeads> {
    Ok(answer::heads(&context.services, peer.0, request).await?)
}

async fn claim(context: Context, peer: Homeserver, request: PeerClaim) -> Outcome<PeerClaim> {
    answer::claim(&context.services, &context.seat, peer.0, request).await
}

async fn forward(context: Context, peer: Homeserver, request: PeerForward) -> Outcome<PeerForward> {
    Ok(receive::forward(&context.services, &context.seat, peer.0, request).await?)
}

async fn list_outstanding(
    context: Context,
    who: Authenticated,
    request: ListOutstanding,
) -> Outcome<ListOutstanding> {
    Ok(outstanding::list(&context.services, who, request.after.as_ref()).await?)
}

async fn dismiss(
    context: Context,
    who: Authenticated,
    request: DismissReturned,
) -> Outcome<DismissReturned> {
    Ok(outstanding::dismiss(&context.services, who, &request.messages).await?)
}

async fn servers(
    context: Context,
    who: Authenticated,
    _: ListKnownServers,
) -> Outcome<ListKnownServers> {
    Ok(outstanding::servers(&context.services, who).await?)
}

async fn return_users(
    context: Context,
    peer: Homeserver,
    request: PeerReturnUsers,
) -> Outcome<PeerReturnUsers> {
    Ok(give_back::users(&context.services, peer.0, request).await?)
}

async fn return_places(
    context: Context,
    peer: Homeserver,
    request: PeerReturnPlaces,
) -> Outcome<PeerReturnPlaces> {
    Ok(give_back::places(&context.services, peer.0, request).await?)
}

async fn give_file(
    context: Context,
    peer: Homeserver,
    request: PeerGetFile,
) -> Outcome<PeerGetFile> {
    file::give(&context.services, peer.0, request).await
}

async fn show_policy(context: Context, _: Administrator, _: ShowPolicy) -> Outcome<ShowPolicy> {
    Ok(policy::show(&context.services).await?)
}

async fn set_policy(context: Context, _: Administrator, request: SetPolicy) -> Outcome<SetPolicy> {
    Ok(policy::set(&context.services, request.federation).await?)
}

async fn unfence(context: Context, _: Administrator, _: Unfence) -> Outcome<Unfence> {
    fence::force(&context.services).await
}

async fn list(context: Context, _: Administrator, _: ListPeers) -> Outcome<ListPeers> {
    Ok(admin::list(&context.services).await?)
}

async fn show(context: Context, _: Administrator, request: ShowPeer) -> Outcome<ShowPeer> {
    admin::show(&context.services, &request.name).await
}

async fn add_peer(context: Context, _: Administrator, request: AddPeer) -> Outcome<AddPeer> {
    admin::add(&context.services, request).await
}

async fn change(context: Context, _: Administrator, request: ChangePeer) -> Outcome<ChangePeer> {
    admin::change(&context.services, request).await
}

async fn accept(context: Context, _: Administrator, request: AcceptPeer) -> Outcome<AcceptPeer> {
    admin::accept(&context.services, &request.name, request.root).await
}

async fn add_domain(context: Context, _: Administrator, request: AddDomain) -> Outcome<AddDomain> {
    admin::add_domain(&context.services, &request.name).await
}

async fn find(context: Context, _: Administrator, request: FindPeer) -> Outcome<FindPeer> {
    Ok(peer::find::find(&context.services, &request.name).await)
}

/// On a connection of its own, which is closed at once: the one in use goes on.
async fn test(context: Context, _: Administrator, request: TestPeer) -> Outcome<TestPeer> {
    let services = &context.services;
    let peer = services.peers.named(&request.name);
    let peer = peer.ok_or(Failure::Error(PeeringError::NotFound))?;
    let begun = tokio::time::Instant::now();
    let outcome = peer::reach(services, &peer).await;
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(match outcome {
        Ok((client, _)) => {
            client.connection().close(CloseReason::Done);
            PeerTest { is_proven: true, took_ms, reason: None, failed: None }
        }
        Err(error) => PeerTest {
            is_proven: false,
            took_ms,
            reason: Some(peer::explain(&error)),
            failed: Some(error.step()),
        },
    })
}

//! The list of all requests, out of which the reference and the schema are printed.

use std::fmt::Write as _;

use super::{
    Caller, RateClass, Refusal, Request, account, admin, blob, chain, channel, community, contact,
    device, discovery, file, link, look, message, peer, peer_people, peer_place, peer_return,
    peering, prekey, presence, server, session,
};
use crate::{
    schema::{Catalogue, Schema},
    session::{Follow, FollowDown, FollowUp},
};

/// One request as the reference shows it.
#[derive(Clone, Debug)]
pub struct Registered {
    /// Its name on the wire.
    pub method: &'static str,
    /// What it is charged to.
    pub rate: RateClass,
    /// Who may ask.
    pub caller: &'static str,
    /// How many bytes it may take.
    pub max_bytes: usize,
    /// The rule of the request.
    pub request: String,
    /// The rule of the reply.
    pub reply: String,
    /// The rule of the error.
    pub error: String,
}

/// All requests, with the rules of all types that they use.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    /// By method.
    pub requests: Vec<Registered>,
    /// The types.
    pub catalogue: Catalogue,
}

impl Registry {
    fn with<R: Request>(mut self) -> Self {
        R::describe(&mut self.catalogue);
        R::Reply::describe(&mut self.catalogue);
        R::Error::describe(&mut self.catalogue);
        self.requests.push(Registered {
            method: R::METHOD,
            rate: R::RATE,
            caller: R::Caller::NAME,
            max_bytes: R::MAX_BYTES,
            request: R::expression(),
            reply: R::Reply::expression(),
            error: R::Error::expression(),
        });
        self
    }

    /// Every request there is, and the types inside signed bytes, which no request names.
    #[must_use]
    pub fn complete() -> Self {
        let mut registry = Self::default().of_devices().of_homeservers().of_administrators();
        let catalogue = &mut registry.catalogue;
        Refusal::describe(catalogue);
        FollowDown::describe(catalogue);
        FollowUp::describe(catalogue);
        crate::chain::Item::describe(catalogue);
        crate::chain::OwnerHead::describe(catalogue);
        crate::user::Statement::describe(catalogue);
        crate::community::Statement::describe(catalogue);
        crate::community::Snapshot::describe(catalogue);
        crate::community::Announce::describe(catalogue);
        crate::community::AnnounceBody::describe(catalogue);
        crate::community::ChannelMessage::describe(catalogue);
        crate::community::MessageHeader::describe(catalogue);
        crate::community::Redact::describe(catalogue);
        crate::envelope::EnvelopeHeader::describe(catalogue);
        server::ServerRecord::describe(catalogue);
        crate::session::peer::Greeting::describe(catalogue);
        registry.requests.sort_by_key(|request| request.method);
        registry
    }

    /// What devices ask their home.
    fn of_devices(self) -> Self {
        self.with::<server::ServerInfo>()
            .with::<account::Register>()
            .with::<account::ChangePassword>()
            .with::<account::CloseAccount>()
            .with::<account::ReadSettings>()
            .with::<account::ChangeSettings>()
            .with::<account::PutProfile>()
            .with::<account::FetchProfile>()
            .with::<account::AppendStatements>()
            .with::<account::FetchBoxes>()
            .with::<session::Login>()
            .with::<session::Refresh>()
            .with::<session::OpenSession>()
            .with::<session::ListSessions>()
            .with::<session::EndSession>()
            .with::<device::ListDevices>()
            .with::<chain::ReadChain>()
            .with::<chain::AppendJournal>()
            .with::<chain::ResolveUser>()
            .with::<chain::NameOfUser>()
            .with::<prekey::PublishPrekeys>()
            .with::<prekey::ClaimPrekeys>()
            .with::<message::SendMessage>()
            .with::<message::ListOutstanding>()
            .with::<message::DismissReturned>()
            .with::<contact::ListContacts>()
            .with::<contact::RequestContact>()
            .with::<contact::ChangeContact>()
            .with::<presence::SetPresence>()
            .with::<presence::ListPresence>()
            .with::<link::OpenPlace>()
            .with::<link::PutLetter>()
            .with::<link::TakeLetter>()
            .with::<link::ClosePlace>()
            .with::<Follow>()
            .with::<community::AppendLog>()
            .with::<community::ListCommunities>()
            .with::<community::PreviewLog>()
            .with::<look::LookAtSnapshot>()
            .with::<look::LookAtPlace>()
            .with::<look::LookAtUsers>()
            .with::<look::LookAtBlob>()
            .with::<community::ReadChains>()
            .with::<community::NamesOfUsers>()
            .with::<community::SuggestContacts>()
            .with::<community::FetchHead>()
            .with::<community::ReadForks>()
            .with::<community::PrepareMove>()
            .with::<channel::PostChannel>()
            .with::<channel::ListReads>()
            .with::<blob::PutBlob>()
            .with::<blob::GetBlob>()
            .with::<file::PutFile>()
            .with::<file::GetFile>()
            .with::<file::DropFile>()
            .with::<peering::ListKnownServers>()
    }

    /// What homeservers ask one another.
    fn of_homeservers(self) -> Self {
        self.with::<peer::PeerHello>()
            .with::<peer::PeerProve>()
            .with::<peer::PeerResolve>()
            .with::<peer::PeerReadChain>()
            .with::<peer::PeerHeads>()
            .with::<peer::PeerClaim>()
            .with::<peer::PeerForward>()
            .with::<peer_place::PeerListPlaces>()
            .with::<peer_place::PeerReadPlace>()
            .with::<peer_place::PeerReadUsers>()
            .with::<peer_place::PeerTellPlaces>()
            .with::<peer_place::PeerAppendLog>()
            .with::<peer_place::PeerPostChannel>()
            .with::<peer_place::PeerPutBlob>()
            .with::<peer_place::PeerReadSnapshot>()
            .with::<peer_place::PeerGetBlob>()
            .with::<peer_place::PeerListReads>()
            .with::<peer_place::PeerCompareHeads>()
            .with::<peer_place::PeerTellForks>()
            .with::<peer_people::PeerTellPeople>()
            .with::<peer_people::PeerFetchProfile>()
            .with::<file::PeerGetFile>()
            .with::<peer_place::PeerLeavePlace>()
            .with::<peer_place::PeerPrepareMove>()
            .with::<peer_place::PeerOfferPlace>()
            .with::<peer_return::PeerReturnUsers>()
            .with::<peer_return::PeerReturnPlaces>()
    }

    /// What administrators ask.
    fn of_administrators(self) -> Self {
        self.with::<peering::ListPeers>()
            .with::<peering::ShowPeer>()
            .with::<peering::AddPeer>()
            .with::<peering::ChangePeer>()
            .with::<peering::AcceptPeer>()
            .with::<peering::TestPeer>()
            .with::<discovery::AddDomain>()
            .with::<discovery::FindPeer>()
            .with::<peering::ShowPolicy>()
            .with::<peering::SetPolicy>()
            .with::<peering::Unfence>()
            .with::<admin::Status>()
            .with::<admin::CreateInvite>()
            .with::<admin::ListInvites>()
            .with::<admin::RevokeInvite>()
            .with::<admin::ListUsers>()
            .with::<admin::ShowUser>()
            .with::<admin::ChangeUser>()
            .with::<admin::ResetPassword>()
            .with::<admin::ListHosted>()
            .with::<admin::ShowHosted>()
            .with::<admin::ChangeHosted>()
            .with::<admin::Backup>()
    }

    /// The schema in CDDL (RFC 8610).
    #[must_use]
    pub fn cddl(&self) -> String {
        let mut text = String::from(
            "; The types of rookery's protocol, written from the code by `cargo test -p rookery-protocol --test wire`.\n\
             ; All are deterministic CBOR (RFC 8949, 4.2.1). Unknown integer keys are skipped.\n",
        );
        for (name, rule) in &self.catalogue.rules {
            let _ = write!(text, "\n; {}\n{name} = {}\n", rule.doc, rule.definition);
        }
        text
    }

    /// The reference of all requests and types, in Markdown.
    #[must_use]
    pub fn reference(&self) -> String {
        let mut text = String::from(
            "# Requests\n\nWritten from the code by `cargo test -p rookery-protocol --test wire`. One request is one bidirectional stream: a \
             frame with the method's name, a frame with the request, and back a frame with the answer, which is `[0, [reply]]`, `[1, [error]]` or \
             `[2, [refusal]]`. A frame is its length as four bytes, most significant first, and that many bytes. The types stand in \
             `rookery.cddl`.\n\n| method | who may ask | rate class | bytes | request | reply | error |\n|---|---|---|---|---|---|---|\n",
        );
        for Registered { method, rate, caller, max_bytes, request, reply, error } in &self.requests
        {
            let _ = writeln!(
                text,
                "| `{method}` | {caller} | {rate:?} | {max_bytes} | `{request}` | `{reply}` | `{error}` |"
            );
        }
        text.push_str("\n# Types\n");
        for (name, rule) in &self.catalogue.rules {
            let _ = write!(text, "\n## {name}\n\n{}\n", rule.doc);
            if !rule.parts.is_empty() {
                text.push('\n');
            }
            for (part, doc) in &rule.parts {
                let _ = writeln!(text, "- `{part}`: {doc}");
            }
        }
        text
    }

    /// A line for each sample of each type: its name and its bytes in hexadecimal.
    #[must_use]
    pub fn golden(&self) -> String {
        let mut text = String::new();
        for (name, rule) in &self.catalogue.rules {
            for bytes in &rule.golden {
                let _ = writeln!(text, "{name} {}", data_encoding::HEXLOWER.encode(bytes));
            }
        }
        text
    }
}

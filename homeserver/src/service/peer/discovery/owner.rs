//! Whose a name is: of whoever has a certificate for it, and publishes or shows a record.

use std::time::Duration;

use rookery_protocol::{
    id::ServerId,
    name::ServerName,
    request::{discovery::Rank, server::ServerRecord},
};

use super::{
    Asker, Peer, Services, Unfound, addresses, charge, document, hear, keep, looks_up,
    not_looked_up, recall, resolve,
    rule::{self, Candidate},
};

/// How long finding out whose a name is may take. Below the time that a connection between homeservers may prove nothing.
const PATIENCE: Duration = Duration::from_secs(8);
/// Where web servers listen.
const HTTPS: u16 = 443;

/// Whose a name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Their record.
    pub record: ServerRecord,
    /// Who led there.
    pub by: Rank,
}

/// The record that is published under `name`.
pub(super) async fn published(
    services: &Services,
    name: &ServerName,
    asker: Asker,
) -> Result<ServerRecord, Unfound> {
    if !looks_up(services, name) {
        return Err(not_looked_up(name));
    }
    if let Some(kept) = recall(services, &services.discovery.documents, name.as_str()) {
        return kept;
    }
    charge(services, asker)?;
    let (heard, span) = fetch(services, name).await;
    keep(services, &services.discovery.documents, name.as_str(), heard.clone(), span);
    heard
}

/// Fetches it, and says how long what was heard is to be kept.
async fn fetch(
    services: &Services,
    name: &ServerName,
) -> (Result<ServerRecord, Unfound>, Duration) {
    let fetched = async {
        let at = resolve(services, name.as_str(), HTTPS).await?;
        services.discovery.seek.document(name, &at).await
    };
    let fetched = match fetched.await {
        Ok(fetched) => fetched,
        Err(unfound) => {
            let span = span_of(&unfound);
            return (Err(unfound), span);
        }
    };
    let nothing = |why: String| (Err(Unfound::Nothing(why)), rule::ABSENT);
    match fetched.status {
        200 => match document::read(&fetched.body, name, services.clock.now()) {
            Ok(record) => (Ok(record), rule::lifetime(fetched.max_age)),
            Err(error) => nothing(format!("https://{name}{}: {error}", document::PATH)),
        },
        status @ (429 | 500..) => {
            let why = format!("https://{name}{} cannot be had now: {status}", document::PATH);
            (Err(Unfound::Silent(why)), rule::SILENT)
        }
        status => nothing(format!("there is no https://{name}{}: {status}", document::PATH)),
    }
}

fn span_of(unfound: &Unfound) -> Duration {
    match unfound {
        Unfound::Nothing(_) => rule::ABSENT,
        Unfound::Silent(_) | Unfound::Throttled { .. } => rule::SILENT,
    }
}

/// Finds out whose `name` is.
pub async fn owner(services: &Services, name: &ServerName, asker: Asker) -> Result<Owner, Unfound> {
    let found = tokio::time::timeout(PATIENCE, look_for_owner(services, name, asker)).await;
    let found = found.unwrap_or_else(|_| {
        let late = Unfound::Silent(format!("finding out whose {name} is took too long"));
        keep(services, &services.discovery.shown, name.as_str(), Err(late.clone()), rule::SILENT);
        Err(late)
    });
    let outcome = match &found {
        Ok(_) => "found",
        Err(Unfound::Nothing(_)) => "nothing",
        Err(Unfound::Silent(_)) => "silent",
        Err(Unfound::Throttled { .. }) => "throttled",
    };
    metrics::counter!("rookery_discovery_owners_total", "outcome" => outcome).increment(1);
    found
}

async fn look_for_owner(
    services: &Services,
    name: &ServerName,
    asker: Asker,
) -> Result<Owner, Unfound> {
    let unpublished = match published(services, name, asker).await {
        Ok(record) => return Ok(Owner { record, by: Rank::WellKnown }),
        Err(unfound @ Unfound::Throttled { .. }) => return Err(unfound),
        Err(unfound) => unfound,
    };
    if !looks_up(services, name) {
        return Err(unpublished);
    }
    if let Some(kept) = recall(services, &services.discovery.shown, name.as_str()) {
        return kept;
    }
    charge(services, asker)?;
    let mut reasons = vec![unpublished.to_string()];
    let mut span = span_of(&unpublished);
    for rank in [Rank::Srv, Rank::Name] {
        let heard = hear(services, name, None, rank).await;
        reasons.extend(heard.remark);
        for candidate in &heard.candidates {
            match show(services, name, candidate).await {
                Ok(record) => {
                    let owner = Owner { record, by: rank };
                    let kept = (Ok(owner.clone()), rule::lifetime(None));
                    keep(services, &services.discovery.shown, name.as_str(), kept.0, kept.1);
                    return Ok(owner);
                }
                Err(unfound) => {
                    span = span.min(span_of(&unfound));
                    reasons.push(format!("{}: {unfound}", candidate.place));
                }
            }
        }
    }
    reasons.dedup();
    let why = reasons.join("; ");
    let unfound = if span == rule::SILENT { Unfound::Silent(why) } else { Unfound::Nothing(why) };
    keep(services, &services.discovery.shown, name.as_str(), Err(unfound.clone()), span);
    Err(unfound)
}

/// Has the server at a place show its record under a certificate for `name`.
pub async fn show(
    services: &Services,
    name: &ServerName,
    candidate: &Candidate,
) -> Result<ServerRecord, Unfound> {
    let at = addresses(services, candidate).await?;
    let signed = services.discovery.seek.record(name, &at).await?;
    let record = document::check(&signed, name, services.clock.now());
    record.map_err(|error| Unfound::Nothing(error.to_string()))
}

/// The root of whoever owns a peer's name, where that was heard of already and is not the pinned one.
#[must_use]
pub fn other_owner(services: &Services, peer: &Peer) -> Option<ServerId> {
    let kept = recall(services, &services.discovery.documents, peer.name.as_str())?;
    let root = kept.ok()?.root.server_id();
    (peer.stored().root != Some(root)).then_some(root)
}

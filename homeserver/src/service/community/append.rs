//! Statements of a community's log: what its hub lets in.
//!
//! The rules are `community::apply`, the same function that every client runs. The hub adds what only it can see to: that a batch is whole
//! (no epoch is owed, its wraps are there), that invitations end in time, and how much anybody may own.

mod policy;
mod store;

use std::sync::Arc;

use rookery_protocol::{
    chain::{HeadRef, Item, Kind, Seen, Submission},
    codec,
    community::{Action, BASE_WINDOW, EpochStart, Place, Refused, State, Statement, apply},
    id::{BlobId, ChainId, CommunityId, ItemId, UserId},
    request::{
        Failure, Refusal,
        community::{AppendLog, AppendLogError},
    },
    session::Authenticated,
};

pub(super) use self::store::keep;
use self::{policy::Policy, store::store};
use super::{
    Hosted,
    author::{Author, Side},
    chains::Known,
    tell,
};
use crate::{
    repository::{View, abroad::CopiedHead, blob::BlobKey, chain::StoredEntry},
    service::{
        Services,
        limit::{Bucket, Subject},
    },
};

/// How many statements one batch has.
const MAX_STATEMENTS: usize = 256;
/// What one wrap takes: an X-Wing ciphertext (1,120 bytes), a secret of 32 bytes and a tag of 16.
pub(super) const WRAP_BYTES: u64 = 1_168;
type Error = Failure<AppendLogError>;

/// A submission that was read, and whose signatures hold.
struct Draft {
    submission: Submission,
    item: Item,
    statement: Statement,
}

/// What a batch makes of a community.
pub(super) struct Batch {
    pub(super) before: Option<State>,
    /// Each entry with what it says and what the community is after it.
    pub(super) steps: Vec<Step>,
    /// Blobs that are named.
    pub(super) named: Vec<BlobKey>,
    /// The hub's word for where the log stands, of a copy.
    pub(super) copied: Option<CopiedHead>,
    /// Users here who do not want to have to do with it, of a copy.
    pub(super) unwanted: Vec<UserId>,
    /// It was placed by this server before it was restored from a backup: channels come after it.
    pub(super) is_regained: bool,
}

/// One statement of a batch.
pub struct Step {
    /// The entry.
    pub stored: StoredEntry,
    /// What it says.
    pub statement: Statement,
    /// What the community is after it.
    pub after: State,
}

fn denied(reason: impl std::fmt::Display) -> Error {
    Failure::Error(AppendLogError::Denied { reason: format!("{reason}") })
}

fn incomplete(reason: &str) -> Error {
    Failure::Error(AppendLogError::Incomplete { reason: reason.to_owned() })
}

/// Appends statements to the log of a community of this server: all or none.
pub async fn append(
    services: &Services,
    who: Authenticated,
    request: AppendLog,
) -> Result<HeadRef, Error> {
    append_by(services, (who.user, Side::Here), request).await
}

/// The same for a user of either side, who has proven to be that user, or whose home has.
pub async fn append_by(
    services: &Services,
    (user, side): (UserId, Side),
    request: AppendLog,
) -> Result<HeadRef, Error> {
    let AppendLog { community, statements, hub: _ } = request;
    let drafts = read(user, community, statements)?;
    for _ in &drafts {
        services.limiter.take(Bucket::Statements, &Subject::User(user))?;
    }
    let turn = services.order.lock().await;
    let author = services.author(user, side).await?.ok_or(Refusal::NotAuthenticated)?;
    if let Some(head) = already(services, &author, community, &drafts).await? {
        return Ok(head);
    }
    let hosted = find(services, community, &author, &drafts).await?;
    let batch = judge(services, &author, community, hosted.as_deref(), drafts).await?;
    let hosted = store(services, &author, community, hosted.as_deref(), &batch).await?;
    tell::appended(services, &batch, &hosted);
    drop(turn);
    let count = u64::try_from(batch.steps.len()).unwrap_or(u64::MAX);
    metrics::counter!("rookery_statements_total").increment(count);
    Ok(hosted.head())
}

/// Reads the statements, and checks their signatures.
fn read(
    user: UserId,
    community: CommunityId,
    statements: Vec<Submission>,
) -> Result<Vec<Draft>, Error> {
    if !(1..=MAX_STATEMENTS).contains(&statements.len()) {
        return Err(denied(format!("one to {MAX_STATEMENTS} statements at once")));
    }
    let chain = ChainId::of_log(community);
    let read = |submission: Submission| {
        let item = submission.verify(chain).map_err(denied)?;
        if item.kind != Kind::CommunityStatement {
            return Err(denied("another kind of entry"));
        }
        let statement: Statement = codec::decode(submission.body.as_slice()).map_err(denied)?;
        if statement.author != user {
            return Err(denied("everybody hands in their own statements"));
        }
        Ok(Draft { submission, item, statement })
    };
    statements.into_iter().map(read).collect()
}

/// Where the last of the statements stands, if all are in the log: a retry after a lost answer.
async fn already(
    services: &Services,
    author: &Author,
    community: CommunityId,
    drafts: &[Draft],
) -> Result<Option<HeadRef>, Error> {
    let chain = ChainId::of_log(community);
    let items: Vec<(ChainId, ItemId)> =
        drafts.iter().map(|draft| (chain, draft.item.item_id)).collect();
    let mut view = services.storage.read().await?;
    let notes = view.notes_of(&items).await?;
    let are_own = notes.iter().all(|note| author.state().devices.contains_key(&note.author));
    if notes.len() < drafts.len() || !are_own {
        return Ok(None);
    }
    let Some(seq) = notes.iter().map(|note| note.seq).max() else { return Ok(None) };
    Ok(view.entry_hash(chain, seq).await?)
}

/// The community as it stands, or nothing when the statements found it.
async fn find(
    services: &Services,
    community: CommunityId,
    author: &Author,
    drafts: &[Draft],
) -> Result<Option<Arc<Hosted>>, Error> {
    let first = drafts.first().map(|draft| &draft.statement.action);
    let hosted = services.hosted(community).await?;
    if let Some(hosted) = &hosted
        && let Some(hub) = hosted.row.hub.clone()
    {
        // It has been handed over, or is about to be handed to this server: whoever states something comes again.
        let since = services.clock.now();
        let is_known = hosted.row.was_hub || hosted.may_read_log(author.user());
        let away = AppendLogError::HubAway { hub, since };
        return Err(Failure::Error(if is_known { away } else { AppendLogError::NotFound }));
    }
    let Some(hosted) = hosted else {
        let founds = matches!((first, author), (Some(Action::Create(_)), Author::Here(_)));
        if !founds {
            return Err(Failure::Error(AppendLogError::NotFound));
        }
        let owned = services.storage.read().await?.owned_communities(author.user()).await?;
        if owned >= services.config.communities {
            return Err(Failure::Error(AppendLogError::TooMany));
        }
        return Ok(None);
    };
    let comes = matches!(first, Some(Action::Join(_) | Action::Ask(_)));
    if !comes && !hosted.may_read_log(author.user()) {
        return Err(Failure::Error(AppendLogError::NotFound));
    }
    if hosted.row.is_frozen {
        return Err(Failure::Error(AppendLogError::Frozen));
    }
    Ok(Some(hosted))
}

/// Runs the rules, and the hub's own.
async fn judge(
    services: &Services,
    author: &Author,
    community: CommunityId,
    hosted: Option<&Hosted>,
    drafts: Vec<Draft>,
) -> Result<Batch, Error> {
    let at = services.clock.now();
    let mut view = services.storage.read().await?;
    let mut known = Known::default();
    let before = hosted.map(|hosted| hosted.state.clone());
    let head = before.as_ref().map(|state| state.head.into());
    let mut state = before.clone();
    let (mut steps, mut named) = (Vec::with_capacity(drafts.len()), vec![]);
    for Draft { submission, item, statement } in drafts {
        let signer = submission.signed.author().and_then(|key| author.state().signer(key));
        let (signer, _) = signer.ok_or_else(|| denied("a live device of the author's signs"))?;
        check_stands(state.as_ref(), head, &statement)?;
        check_free(services, community, state.as_ref(), &statement)?;
        if let Some(state) = &state {
            let policy = Policy { services, author, state, at };
            policy.check(&mut *view, &statement.action).await?;
        } else if let Action::Create(create) = &statement.action {
            check_hub(services, create)?;
        }
        let place = state.as_ref().map(|state| state.head);
        let owner_epoch = state.as_ref().map_or(0, |state| state.owner_epoch);
        let entry = submission.place(ChainId::of_log(community), owner_epoch, place);
        let after = loop {
            match apply(community, state.as_ref(), &entry, &item, &known) {
                Ok(after) => break after,
                Err(Refused::Denied(error)) => return Err(denied(error)),
                Err(Refused::Hold { user, head }) => {
                    if !services.bring(&mut *view, &mut known, user, head.seq).await? {
                        return Err(Failure::Error(AppendLogError::UnknownUser { user }));
                    }
                }
            }
        };
        if let Action::Epoch(start) = &statement.action {
            named.push(find_wraps(&mut *view, &after, start).await?);
        }
        state = Some(after.clone());
        let stored = StoredEntry { entry, item: item.item_id, kind: item.kind, author: signer, at };
        steps.push(Step { stored, statement, after });
    }
    if state.is_none_or(|state| !state.owed.is_empty()) {
        return Err(incomplete("a new epoch goes with them in one batch"));
    }
    Ok(Batch { before, steps, named, copied: None, unwanted: vec![], is_regained: false })
}

/// Refuses a statement that its author meant for another place than the next one here.
fn check_stands(
    state: Option<&State>,
    head: Option<HeadRef>,
    statement: &Statement,
) -> Result<(), Error> {
    let elsewhere = || Err(Failure::Error(AppendLogError::Stale { head }));
    match (statement.place, state) {
        (Place::Next(prev), Some(state)) if prev != state.head => elsewhere(),
        (Place::Later(base), Some(state)) => {
            let Seen { seq, .. } = base;
            let is_past = seq.saturating_add(BASE_WINDOW) <= state.head.seq;
            if is_past || seq > state.head.seq { elsewhere() } else { Ok(()) }
        }
        _ => Ok(()),
    }
}

/// Refuses what is said after a hand-over, which was for the next hub to place, or while a hand-over is waited for, and a hand-over for which
/// the next hub is not ready.
fn check_free(
    services: &Services,
    community: CommunityId,
    state: Option<&State>,
    statement: &Statement,
) -> Result<(), Error> {
    if state.is_some_and(|state| state.hub_key != services.identity.server()) {
        return Err(denied("nothing is stated after the community was handed over"));
    }
    let Action::Handover(handover) = &statement.action else {
        return Ok(services.hub.moves.check_free(community)?);
    };
    if services.hub.moves.is_prepared(community, handover) {
        return Ok(());
    }
    Err(denied("the next server is not ready for the community: move it again"))
}

fn check_hub(
    services: &Services,
    create: &rookery_protocol::community::Create,
) -> Result<(), Error> {
    let identity = &services.identity;
    if create.hub != identity.name || create.hub_key != identity.server() {
        return Err(denied("the community names another hub"));
    }
    Ok(())
}

/// The blob of an epoch's wraps, if it is there and has one wrap for each user of the audience and each link.
async fn find_wraps(
    view: &mut (impl View + ?Sized),
    after: &State,
    start: &EpochStart,
) -> Result<BlobKey, Error> {
    let links = after.wrapped_links(start.audience).count();
    let wraps = u64::from(start.count).saturating_add(u64::try_from(links).unwrap_or(u64::MAX));
    let blob: BlobId = start.wraps;
    let found = view.whole_blob(after.community, blob).await?;
    let found = found.ok_or_else(|| incomplete("the wraps of an epoch have not been put"))?;
    if found.size != wraps.saturating_mul(WRAP_BYTES) {
        return Err(incomplete("an epoch is wrapped once for each reader and each link"));
    }
    Ok(found.key)
}

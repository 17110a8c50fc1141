//! What a sight is made of: asked of the hub through one's home, and judged here.

use tokio::time::Instant;

use super::{super::histories::named_by, Sight};
use crate::{
    e2ee::{
        KemSecret,
        epoch::{EpochPlace, EpochSecret, Receiver, WRAP_BYTES, wrap_at},
    },
    engine::{
        Engine,
        community::{abroad::hub_away, book::Book, keys::wrap_context},
        refusal::failed_as,
    },
    error::{CommandError, Kind},
};
use futures::future::try_join_all;
use rookery_protocol::{
    chain, codec,
    community::{
        self, Action, MAX_SNAPSHOT, Refused, Snapshot, Statement, check_owners, verify_and_apply,
    },
    id::{AudienceId, UserId},
    io::client::{CallError, Client},
    key::HpkeBox,
    request::{
        Refusal, Request,
        blob::GetBlob,
        chain::Entries,
        community::{NamedUser, PreviewError},
        look::{
            LookAtBlob, LookAtPlace, LookAtSnapshot, LookAtUsers, Looking, SNAPSHOT_PART_BYTES,
            SnapshotPart, Snapshotted,
        },
        peer_place::{UserChains, WantedUser},
    },
};

/// Entries asked for at once.
const PAGE: u32 = 256;
/// Pages after a snapshot that are looked at: an owner who has not been there for longer vouches for too little.
const MAX_PAGES: usize = 4;
/// Users asked for at once.
const USERS: usize = 256;
/// How often one request for chains is repeated for what did not fit.
const MAX_ROUNDS: usize = 64;

impl Engine {
    /// A snapshot that the owner vouches for, and the log after it; nothing where there is none, or none that is new enough.
    pub(super) async fn first_look(
        &self,
        client: &Client,
        at: Looking,
    ) -> Result<Option<Sight>, CommandError> {
        let Some((snapshot, bytes)) = fetch_snapshot(client, &at).await? else { return Ok(None) };
        let Snapshotted { entry, owners, .. } = snapshot;
        let lie = |why: String| {
            CommandError::new(
                Kind::Trust,
                format!(
                    "the community's server shows something else than its owner vouches for: {why}; nothing was sent to it"
                ),
            )
        };
        let broken = |error: Refused| match error {
            Refused::Hold { .. } => not_shown(),
            Refused::Denied(why) => lie(why.to_string()),
        };
        let state = Snapshot::decode(&bytes).map_err(|error| lie(error.to_string()))?;
        let state = state.into_state().ok_or_else(|| lie("nothing".to_owned()))?;
        let named = owners.iter().chain([&entry]).flat_map(named_by).collect();
        self.fetch_on_sight(client, &at, named).await?;
        let known = check_owners(at.community, &owners, self.books.histories()).map_err(broken)?;
        if !state.owners.iter().map(|(since, user)| (*since, *user)).eq(known) {
            return Err(lie("another owner".to_owned()));
        }
        let after = verify_and_apply(at.community, Some(&state), &entry, self.books.histories());
        let after = after.map_err(broken)?;
        if after.vouched != Some(entry.seq) {
            return Err(lie("no snapshot".to_owned()));
        }
        let mut sight = Sight {
            at,
            vouched: entry.seen(),
            states: [state, after].into(),
            admits: vec![],
            began: Instant::now(),
            looked: Instant::now(),
        };
        let is_whole = self.look_on(client, &mut sight).await?;
        Ok(is_whole.then_some(sight))
    }

    /// Takes in what the log says after what is in sight; says whether that is all there is.
    pub(super) async fn look_on(
        &self,
        client: &Client,
        sight: &mut Sight,
    ) -> Result<bool, CommandError> {
        let community = sight.at.community;
        for _ in 0..MAX_PAGES {
            let Some(after) = sight.newest().map(|state| state.head.seq) else { return Ok(false) };
            let at = sight.at.clone();
            let request = LookAtPlace { at, channel: None, after: Some(after), limit: PAGE };
            let Entries { entries, more, .. } = look(client, &request).await?;
            let named = entries.iter().flat_map(named_by).collect();
            self.fetch_on_sight(client, &sight.at, named).await?;
            for (entry, item) in entries.iter().zip(chain::verify_all(&entries)) {
                let histories = self.books.histories();
                let next =
                    community::apply_verified(community, sight.newest(), entry, item, histories);
                let next = next.map_err(|error| match error {
                    Refused::Hold { .. } => not_shown(),
                    Refused::Denied(why) => {
                        let why = format!("entry {} of the community's log: {why}", entry.seq);
                        CommandError::new(Kind::Trust, why)
                    }
                })?;
                sight.push(next);
                let statement = entry.body.as_ref().map(|body| codec::decode(body.as_slice()));
                if let Some(Ok(Statement { action: Action::Admit(admit), .. })) = statement
                    && admit.user == self.user
                {
                    sight.admits.push(admit);
                }
            }
            if !more {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Brings users' chains into memory as far as `wanted`, from the store or else from the hub.
    pub(super) async fn fetch_on_sight(
        &self,
        client: &Client,
        at: &Looking,
        wanted: Vec<(UserId, u64)>,
    ) -> Result<(), CommandError> {
        let missing = self.missing_histories(wanted).await?;
        let asked = missing.chunks(USERS).map(|users| self.fetch_users(client, at, users.to_vec()));
        try_join_all(asked).await?;
        Ok(())
    }

    async fn fetch_users(
        &self,
        client: &Client,
        at: &Looking,
        wanted: Vec<(UserId, u64)>,
    ) -> Result<(), CommandError> {
        let reaches = |user| self.books.histories().reaches(user);
        let mut users: Vec<UserId> = wanted.iter().map(|(user, _)| *user).collect();
        for _ in 0..MAX_ROUNDS {
            let asked = users.iter().map(|user| WantedUser { user: *user, after: reaches(*user) });
            let request = LookAtUsers { at: at.clone(), users: asked.collect() };
            let page = look(client, &request).await?;
            let UserChains { entries, names, more } = page;
            let seen = self.keep_of(&users, entries).await.map_err(CommandError::from)?;
            self.keep_names(at, names).await?;
            let is_short = |user: &UserId| {
                wanted.iter().any(|(of, seq)| of == user && reaches(*user) < Some(*seq))
            };
            users.retain(is_short);
            if !more || seen.is_empty() || users.is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Learns what users are called who are not known yet: one's own home knows its people, and of others their own homes do.
    async fn keep_names(&self, at: &Looking, names: Vec<NamedUser>) -> Result<(), CommandError> {
        let own = self.account().server;
        let mut unit = self.store.write().await?;
        for named in names {
            let home = self.books.histories().home_of(named.user);
            let by = named.server.as_ref().or(at.hub.as_ref()).unwrap_or(&own);
            let is_its = home.as_ref() == Some(by) && (at.hub.is_none() || *by != own);
            if is_its && unit.name_of(named.user).await?.is_none() {
                unit.put_name(named.user, &named.name).await?;
            }
        }
        Ok(unit.commit().await?)
    }

    /// Gets the secrets of the epochs in force in every audience that this user belongs to; says whether that of all members is here.
    pub(super) async fn obtain_on_sight(
        &self,
        client: &Client,
        sight: &Sight,
    ) -> Result<bool, CommandError> {
        let community = sight.at.community;
        let (Some(state), Some(book)) = (sight.newest(), self.book(community).await?) else {
            return Ok(false);
        };
        let shown = sight.book(book.row);
        let mut is_here = false;
        for (id, audience) in &state.audiences {
            let Some(epoch) = &audience.epoch else { continue };
            if !state.is_in_audience(self.user, *id) {
                continue;
            }
            let place = EpochPlace { community, audience: *id, epoch: epoch.number };
            let known = match self.epoch_secret(community, *id, epoch).await? {
                Some(secret) => Some(secret),
                None => self.unwrap_on_sight(client, sight, &shown, place).await?,
            };
            is_here |= *id == AudienceId::MEMBERS && known.is_some();
            if let Some(secret) = known {
                self.walk_back(&shown, place, secret).await?;
            }
        }
        Ok(is_here)
    }

    async fn unwrap_on_sight(
        &self,
        client: &Client,
        sight: &Sight,
        shown: &Book,
        place: EpochPlace,
    ) -> Result<Option<EpochSecret>, CommandError> {
        let Some(state) = &shown.state else { return Ok(None) };
        let audience = state.audiences.get(&place.audience);
        let Some(epoch) = audience.and_then(|audience| audience.epoch.as_ref()) else {
            return Ok(None);
        };
        let mut tries: Vec<(KemSecret, Receiver, HpkeBox)> = vec![];
        let ring = self.store.read().await?.per_user_keys().await?;
        let generation = state.members.get(&self.user).map(|member| member.puk.generation);
        let is_it = |admit: &&community::Admit| {
            (admit.audience, admit.epoch) == (place.audience, place.epoch)
        };
        for admit in sight.admits.iter().filter(is_it) {
            let key = ring.as_ref().zip(generation);
            if let Some(key) = key.and_then(|(ring, generation)| ring.kem(generation)) {
                tries.push((key, Receiver::User(self.user), admit.wrap.clone()));
            }
        }
        if let Some((secret, invite)) = shown.row.link() {
            let links = epoch.links.iter().position(|link| *link == invite);
            let wrap = match links.zip(usize::try_from(epoch.count).ok()) {
                Some((index, count)) => {
                    let offset = index.saturating_add(count).saturating_mul(WRAP_BYTES);
                    let part = GetBlob {
                        community: place.community,
                        blob: epoch.wraps,
                        offset: u64::try_from(offset).unwrap_or(u64::MAX),
                        length: u32::try_from(WRAP_BYTES).unwrap_or(u32::MAX),
                    };
                    let request = LookAtBlob { at: sight.at.clone(), part };
                    wrap_at(look(client, &request).await?.bytes.as_slice(), 0)
                }
                None => state.invites.get(&invite).and_then(|invite| invite.wrap.clone()),
            };
            tries.extend(wrap.map(|wrap| (secret.keys().kem, Receiver::Link(invite), wrap)));
        }
        let context = wrap_context(place, epoch);
        for (key, receiver, wrap) in tries {
            match EpochSecret::unwrap(&key, &context, receiver, &wrap, &epoch.commit) {
                Ok(secret) => {
                    self.keep_secret(place, epoch, &secret).await?;
                    return Ok(Some(secret));
                }
                Err(error) => tracing::warn!(%error, ?place, "a wrap of an epoch gave no secret"),
            }
        }
        Ok(None)
    }
}

/// A chain that is not at hand means to hold, never to refuse.
fn not_shown() -> CommandError {
    CommandError::new(Kind::NoConnection, "the server does not show the devices of a member yet")
}

/// The newest snapshot that there is, all of it.
async fn fetch_snapshot(
    client: &Client,
    at: &Looking,
) -> Result<Option<(Snapshotted, Vec<u8>)>, CommandError> {
    let part = |offset| LookAtSnapshot { at: at.clone(), offset };
    let first = match client.call_watched(&part(0)).await {
        // An older home looks at nothing, and a former hub shows the log alone, which says where the community has gone.
        Err(
            CallError::Refused(Refusal::UnknownMethod) | CallError::Request(PreviewError::NotFound),
        ) => return Ok(None),
        answer => answer.map_err(failed)?,
    };
    let SnapshotPart { snapshot: Some(first), .. } = first else { return Ok(None) };
    let whole = usize::try_from(first.size).ok().filter(|size| *size <= MAX_SNAPSHOT);
    let Some(whole) = whole else { return Ok(None) };
    let mut bytes = first.bytes.as_slice().to_vec();
    let offsets = (bytes.len()..whole).step_by(SNAPSHOT_PART_BYTES);
    let parts = offsets.map(|offset| {
        let request = part(u64::try_from(offset).unwrap_or(u64::MAX));
        async move { look(client, &request).await }
    });
    for part in try_join_all(parts).await? {
        // The owner has vouched for a newer one meanwhile: the log is checked first then, as of a small community.
        let Some(part) = part.snapshot.filter(|part| part.entry == first.entry) else {
            return Ok(None);
        };
        bytes.extend_from_slice(part.bytes.as_slice());
    }
    Ok((bytes.len() == whole).then_some((first, bytes)))
}

/// Asks what is looked at.
pub(super) async fn look<R: Request<Error = PreviewError>>(
    client: &Client,
    request: &R,
) -> Result<R::Reply, CommandError> {
    client.call_watched(request).await.map_err(failed)
}

fn failed(error: CallError<PreviewError>) -> CommandError {
    match error {
        CallError::Request(PreviewError::NotFound) => {
            CommandError::of(Kind::NotFound, &PreviewError::NotFound)
        }
        CallError::Request(PreviewError::HubAway { hub, since }) => hub_away(&hub, since),
        CallError::Request(unknown @ PreviewError::UnknownHub { .. }) => {
            CommandError::of(Kind::NotFound, &unknown)
        }
        error => failed_as(error, |_| Kind::Failed),
    }
}

//! Stating something of a community: a batch of statements that is judged here as it will be judged at the hub, and tried again when the log
//! has gone on meanwhile.

mod submit;

use std::time::Duration;

use rookery_protocol::{
    chain::{Kind, Submission},
    codec,
    community::{
        self, Action, Admit, EpochReason, Place, PukPin, Refused, SealedText, State, Statement,
    },
    id::{AudienceId, ChainId, CommunityId, UserId},
    io::client::{CallError, Client},
    key::{HpkeBox, KemKey},
    name::ServerName,
    request::{
        Refusal,
        community::{AppendLog, AppendLogError},
    },
    user,
    version::SUITE,
};

use tokio::time::Instant;

use super::{
    super::{Engine, new_item},
    book::Book,
    keys::wrap_context,
};
use crate::{
    e2ee::{
        OsRandom,
        epoch::{EpochPlace, EpochPlan, EpochSecret, Receiver, TextOf, build_epoch},
    },
    error::{CommandError, Kind as ErrorKind},
    store::StoreError,
};

pub(super) use submit::append_failed;
use submit::no_wraps;

/// For how long a batch is handed in again that its hub does not place for the moment: while a community is handed over everything waits for
/// its owner's statement, for 20 s at most.
const HELD: Duration = Duration::from_secs(25);
/// The longest pause after which it is, in milliseconds; who is told to wait for longer has asked for too much.
const SOON: u64 = 1_000;

/// A batch in the making.
pub(super) struct Draft<'e> {
    engine: &'e Engine,
    community: CommunityId,
    /// What the log would come to.
    state: Option<State>,
    own: user::State,
    /// The secrets of epochs in force, one an audience.
    secrets: Vec<(EpochPlace, EpochSecret)>,
    /// The epochs that the batch begins.
    begun: Vec<EpochPlace>,
    submissions: Vec<Submission>,
    blobs: Vec<Vec<u8>>,
    /// The hub that the batch goes to, where this user's home need not know it yet.
    hub: Option<ServerName>,
}

impl<'e> Draft<'e> {
    /// An empty batch at the end of the log as it is known here.
    pub(super) async fn begin(engine: &'e Engine, book: &Book) -> Result<Self, CommandError> {
        if book.is_sight {
            return Err(CommandError::new(
                ErrorKind::NoConnection,
                "the community's log is still being checked: nothing is changed before",
            )
            .hint("try again in a moment; `rookery community list` shows how it stands"));
        }
        let mut draft = Self::empty(engine, book.row.community).await?;
        if let Some(state) = &book.state {
            for (id, audience) in &state.audiences {
                let Some(epoch) = &audience.epoch else { continue };
                let place =
                    EpochPlace { community: state.community, audience: *id, epoch: epoch.number };
                if let Some(secret) = engine.epoch_secret(state.community, *id, epoch).await? {
                    draft.secrets.push((place, secret));
                }
            }
        }
        draft.state.clone_from(&book.state);
        Ok(draft)
    }

    /// An empty batch of somebody who leaves, which they may on a sight as well.
    pub(super) async fn to_leave(engine: &'e Engine, book: &Book) -> Result<Self, CommandError> {
        match &book.state {
            Some(state) if book.is_sight => {
                Self::on_sight(engine, state.clone(), book.row.hub.clone()).await
            }
            _ => Self::begin(engine, book).await,
        }
    }

    /// An empty batch of somebody who comes into a community, at the end of its log as it is in sight.
    pub(super) async fn on_sight(
        engine: &'e Engine,
        state: State,
        hub: Option<ServerName>,
    ) -> Result<Self, CommandError> {
        let draft = Self::empty(engine, state.community).await?;
        Ok(Self { state: Some(state), hub, ..draft })
    }

    /// An empty batch of a community that has no log yet.
    pub(super) async fn empty(
        engine: &'e Engine,
        community: CommunityId,
    ) -> Result<Self, CommandError> {
        if engine.books.histories().reaches(engine.user).is_none() {
            engine.recall(engine.user).await?;
        }
        let own = engine.store.read().await?.person(engine.user).await?;
        let own = own.ok_or_else(|| {
            CommandError::new(
                ErrorKind::Locked,
                "this account's own devices are not known here yet",
            )
        })?;
        if engine.books.histories().reaches(engine.user) < Some(own.head.seq) {
            engine.recall(engine.user).await?;
        }
        Ok(Self {
            engine,
            community,
            state: None,
            own,
            secrets: vec![],
            begun: vec![],
            submissions: vec![],
            blobs: vec![],
            hub: None,
        })
    }

    /// What the log would come to.
    pub(super) fn state(&self) -> Result<&State, CommandError> {
        self.state.as_ref().ok_or_else(|| {
            CommandError::new(ErrorKind::NotFound, "the community's log is not here yet")
        })
    }

    /// This user's per-user key, as their own chain has it.
    pub(super) fn own_puk(&self) -> Result<PukPin, CommandError> {
        self.own
            .puk()
            .map(PukPin::of)
            .ok_or_else(|| CommandError::new(ErrorKind::Failed, "the account has no per-user key"))
    }

    /// Adds a statement, and the epochs and wraps that the rules ask for after it.
    pub(super) fn say(&mut self, action: Action) -> Result<(), CommandError> {
        self.say_alone(action)?;
        loop {
            let owed = self.state()?.owed.iter().next().map(|(audience, _)| *audience);
            match owed {
                Some(audience) => self.rotate(audience, EpochReason::Removal)?,
                None => break,
            }
        }
        Ok(())
    }

    /// Adds the statement that begins a community: its first epoch has to be said next.
    pub(super) fn say_first(&mut self, action: Action) -> Result<(), CommandError> {
        self.say_alone(action)
    }

    /// Gives who came into an audience by this batch what they may read: the epoch in force, or a new one where history begins with one's
    /// coming.
    pub(super) fn settle_newcomers(&mut self) -> Result<(), CommandError> {
        let due: Vec<(AudienceId, EpochReason)> = self
            .state()?
            .audiences
            .iter()
            .filter_map(|(id, audience)| Some((*id, audience.must_rotate()?)))
            .collect();
        for (audience, reason) in due {
            if self.state()?.is_in_audience(self.engine.user, audience) {
                self.rotate(audience, reason)?;
            }
        }
        self.admit_newcomers()
    }

    /// The epoch of all members that is in force, wrapped for a link.
    pub(super) fn wrap_for_link(
        &self,
        key: &KemKey,
        receiver: Receiver,
    ) -> Result<Option<HpkeBox>, CommandError> {
        let state = self.state()?;
        let audience = AudienceId::MEMBERS;
        let epoch = state.audiences.get(&audience).and_then(|known| known.epoch.as_ref());
        let Some(epoch) = epoch else { return Ok(None) };
        let place = EpochPlace { community: self.community, audience, epoch: epoch.number };
        let Some((_, secret)) = self.secrets.iter().find(|(known, _)| *known == place) else {
            return Ok(None);
        };
        let context = wrap_context(place, epoch);
        let wrap = secret.wrap(key, &context, receiver, &mut OsRandom);
        wrap.map(Some).map_err(|error| CommandError::of(ErrorKind::Failed, &error))
    }

    /// Wraps epochs for who came into an audience by this batch.
    pub(super) fn admit_newcomers(&mut self) -> Result<(), CommandError> {
        let lacking: Vec<(AudienceId, UserId)> = self
            .state()?
            .audiences
            .iter()
            .flat_map(|(id, audience)| audience.lacking.iter().map(|user| (*id, *user)))
            .collect();
        for (audience, user) in lacking {
            if let Some(admit) = self.wrap_for(audience, user)? {
                self.say_alone(Action::Admit(admit))?;
            }
        }
        Ok(())
    }

    /// The epoch in force, wrapped for one member, if its secret is here and the rules let them have it.
    pub(super) fn wrap_for(
        &self,
        audience: AudienceId,
        user: UserId,
    ) -> Result<Option<Admit>, CommandError> {
        let state = self.state()?;
        let Some(epoch) =
            state.audiences.get(&audience).and_then(|audience| audience.epoch.as_ref())
        else {
            return Ok(None);
        };
        let place = EpochPlace { community: self.community, audience, epoch: epoch.number };
        let Some((_, secret)) = self.secrets.iter().find(|(known, _)| *known == place) else {
            return Ok(None);
        };
        let Some(member) = state.members.get(&user) else { return Ok(None) };
        let Ok(person) =
            community::Chains::user_at(self.engine.books.histories(), user, member.head)
        else {
            return Ok(None);
        };
        let Some(puk) = person.puks.get(&member.puk.generation) else { return Ok(None) };
        let wrap = secret
            .wrap(&puk.public, &wrap_context(place, epoch), Receiver::User(user), &mut OsRandom)
            .map_err(|error| CommandError::of(ErrorKind::Trust, &error))?;
        Ok(Some(Admit { audience, epoch: epoch.number, user, wrap }))
    }

    /// Begins a new epoch of an audience.
    pub(super) fn rotate(
        &mut self,
        audience: AudienceId,
        reason: EpochReason,
    ) -> Result<(), CommandError> {
        let state = self.state()?.clone();
        let last = state.audiences.get(&audience).and_then(|audience| audience.epoch.as_ref());
        let former_place =
            last.map(|last| EpochPlace { community: self.community, audience, epoch: last.number });
        let histories = self.engine.books.histories();
        let keys: Vec<(UserId, user::PukPublic)> = state
            .roster(audience)
            .filter_map(|(user, member)| {
                let person = community::Chains::user_at(histories, user, member.head).ok()?;
                Some((user, person.puks.get(&member.puk.generation)?.clone()))
            })
            .collect();
        let key_of = |user: UserId, _: &community::Member| {
            let place = keys.binary_search_by_key(&user, |(user, _)| *user).ok()?;
            keys.get(place).map(|(_, puk)| &puk.public)
        };
        let former = former_place.and_then(|place| {
            self.secrets.iter().find(|(known, _)| *known == place).map(|(_, secret)| secret)
        });
        let failed =
            |error: crate::e2ee::epoch::BuildError| CommandError::of(ErrorKind::Failed, &error);
        let plan = EpochPlan::of(&state, audience, reason, key_of, former).map_err(failed)?;
        let built = build_epoch(&plan, &mut OsRandom).map_err(failed)?;
        let place = plan.place;
        self.blobs.push(built.wraps);
        self.secrets.retain(|(known, _)| known.audience != audience);
        self.secrets.push((place, built.secret));
        self.begun.push(place);
        self.say_alone(Action::Epoch(built.start))
    }

    /// Seals a name, a topic or a reason for whoever is in the audience now.
    pub(super) fn seal(
        &self,
        audience: AudienceId,
        what: TextOf,
        text: &str,
    ) -> Result<SealedText, CommandError> {
        let found = self.secrets.iter().find(|(place, _)| place.audience == audience);
        let (place, secret) = found.ok_or_else(|| {
            CommandError::new(
                ErrorKind::Failed,
                "this device does not have the community's current key yet",
            )
            .hint("any member who is online gives it; try again in a moment")
        })?;
        secret
            .metadata(self.community, audience)
            .seal_text(*place, what, text, &mut OsRandom)
            .map_err(|error| CommandError::of(ErrorKind::Usage, &error))
    }

    /// Adds a statement and nothing else.
    fn say_alone(&mut self, action: Action) -> Result<(), CommandError> {
        let place = match &self.state {
            None => Place::First,
            Some(state) if action.is_strict() => Place::Next(state.head),
            Some(state) => Place::Later(state.head),
        };
        let statement = Statement {
            suite: SUITE,
            community: self.state.as_ref().map(|_| self.community),
            place,
            author: self.engine.user,
            author_head: self.own.head,
            action,
        };
        let body = codec::encode(&statement);
        if self.state.is_none() {
            self.community = Statement::community_id(&body);
        }
        let chain = ChainId::of_log(self.community);
        let head = self.state.as_ref().map(|state| state.head);
        let (signing, at) = (self.engine.secrets.signing(), self.engine.now());
        let submission =
            Submission::sign(signing, chain, new_item(), Kind::CommunityStatement, body, at, head)
                .map_err(|error| CommandError::of(ErrorKind::Usage, &error))?;
        let owner_epoch = self.state.as_ref().map_or(0, |state| state.owner_epoch);
        let entry = submission.clone().place(chain, owner_epoch, head);
        let judged = community::verify_and_apply(
            self.community,
            self.state.as_ref(),
            &entry,
            self.engine.books.histories(),
        );
        self.state = Some(judged.map_err(refused)?);
        self.submissions.push(submission);
        Ok(())
    }

    /// The community that the batch is of: known once its first statement was made.
    pub(super) fn community(&self) -> CommunityId {
        self.community
    }

    /// Stores the secrets, puts the wraps, and hands the batch in.
    pub(super) async fn submit(self, client: &Client) -> Result<(), CallError<AppendLogError>> {
        let engine = self.engine;
        for wraps in &self.blobs {
            engine.put_blob(client, self.community, wraps).await.map_err(no_wraps)?;
        }
        let (statements, hub) = (self.submissions.clone(), self.hub.clone());
        let request = AppendLog { community: self.community, statements, hub };
        let begun = Instant::now();
        loop {
            match client.call_watched(&request).await {
                Err(CallError::Refused(Refusal::Throttled { retry_after_ms: wait }))
                    if wait <= SOON && begun.elapsed() < HELD =>
                {
                    tokio::time::sleep(Duration::from_millis(wait.max(10))).await;
                }
                answer => return answer.map(|_| ()),
            }
        }
    }

    /// Keeps the secrets that the batch begins epochs with: they have to be here before anybody else can have them.
    pub(super) async fn keep_secrets(&self) -> Result<(), StoreError> {
        let mut unit = self.engine.store.write().await?;
        for (place, secret) in self.secrets.iter().filter(|(place, _)| self.begun.contains(place)) {
            unit.put_epoch_secret(
                self.community,
                place.audience,
                place.epoch,
                secret.commit(place.audience, place.epoch),
                secret.to_bytes().as_ref(),
            )
            .await?;
        }
        unit.commit().await
    }

    /// Whether there is nothing to state.
    pub(super) fn is_empty(&self) -> bool {
        self.submissions.is_empty()
    }
}

/// A statement that the rules forbid, before it was ever handed in.
fn refused(error: Refused) -> CommandError {
    match error {
        Refused::Denied(denied) => CommandError::of(ErrorKind::NotPermitted, &denied),
        Refused::Hold { .. } => {
            CommandError::new(ErrorKind::Failed, "the devices of a member are not known here yet")
                .hint("try again when there is a connection")
        }
    }
}

//! Following chains: one's own, the contacts', the journal; each entry verified before it counts.

mod error;

use std::time::Duration;

use rookery_protocol::{
    chain::{Entry, HeadRef},
    id::{ChainId, UserId},
    io::client::Client,
    request::{account::FetchBoxes, chain::ReadChain},
    session::{Follow, FollowDown, FollowStarted, FollowUp, FollowedChain},
    user::{self, State},
};
use tokio::sync::mpsc;

pub(super) use self::error::ChainError;
use super::{Engine, receive::Waiting, refusal::failed_as};
use crate::{
    e2ee::{
        puk::Holder,
        verify::{How, Pin},
    },
    error::{CommandError, Kind},
    store::{AccountStage, ContactRow, Name, StoreError, Unit},
};

/// Entries asked for at once.
const PAGE: u32 = 256;
/// Pages of one chain that are fetched in one go: a user's chain has tens of entries, and a home that sends more is up to something.
const MAX_PAGES: usize = 64;
/// How long fetching somebody's chain may hold up what waits for it.
const FETCH_PATIENCE: Duration = Duration::from_secs(10);

impl Engine {
    /// What to follow: the mailbox, one's own chain, the journal, the contacts' chains.
    pub(super) async fn prepare_follow(&self, client: &Client) -> Result<Follow, CommandError> {
        if !self.store.read().await?.has_journal().await? {
            self.replay_journal(client).await?;
        }
        let mut unit = self.store.read().await?;
        let mailbox = unit.mailbox().await?;
        let own = unit.person(self.user).await?.map(|state| HeadRef::from(state.head));
        let journal = unit.journal_head().await?;
        let mut chains = vec![
            FollowedChain { chain: ChainId::of_user(self.user), have: own },
            FollowedChain { chain: ChainId::of_journal(self.user), have: journal },
        ];
        for contact in unit.contacts().await? {
            if contact.user != self.user && contact.is_accepted() {
                let have = unit.person(contact.user).await?.map(|state| HeadRef::from(state.head));
                chains.push(FollowedChain { chain: ChainId::of_user(contact.user), have });
            }
        }
        drop(unit);
        chains.extend(self.community_chains().await?);
        chains.truncate(2_000);
        Ok(Follow { mailbox, chains })
    }

    /// Takes in what the server says when the stream opens.
    pub(super) async fn note_start(
        &self,
        started: &FollowStarted,
        follow: &Follow,
    ) -> Result<(), StoreError> {
        let mut unit = self.store.write().await?;
        if follow.mailbox.is_none_or(|cursor| cursor.incarnation != started.incarnation) {
            if follow.mailbox.is_some() {
                // The server was restored: it may hand out one-time keys a second time.
                let mut prekeys = unit.prekeys().await?;
                prekeys.forget_one_time();
                unit.put_prekeys(&prekeys).await?;
            }
            unit.put_value(
                Name::Mailbox,
                &rookery_protocol::session::Cursor {
                    incarnation: started.incarnation,
                    position: 0,
                },
            )
            .await?;
            unit.commit().await?;
        }
        self.owe(|due| due.prekeys_left(started.one_time_left, started.one_time_kem_left));
        Ok(())
    }

    /// Takes in frames of the follow stream in their order; letters that follow one another go into one unit of the store.
    pub(super) async fn take_in(
        &self,
        client: &Client,
        up: &mpsc::Sender<FollowUp>,
        frames: Vec<FollowDown>,
    ) -> Result<(), ChainError> {
        let mut letters: Vec<Waiting> = vec![];
        let mut entries: Vec<Entry> = vec![];
        for frame in frames {
            if let FollowDown::Envelope { position, at, envelope } = frame {
                self.take_in_entries(client, std::mem::take(&mut entries)).await?;
                letters.push(Waiting { position, at, envelope });
                continue;
            }
            self.take_in_letters(client, up, std::mem::take(&mut letters)).await?;
            match frame {
                FollowDown::Entry(entry) => {
                    if entries.last().is_some_and(|last| last.chain != entry.chain) {
                        self.take_in_entries(client, std::mem::take(&mut entries)).await?;
                    }
                    entries.push(entry);
                }
                frame => {
                    self.take_in_entries(client, std::mem::take(&mut entries)).await?;
                    self.take_in_frame(client, frame).await?;
                }
            }
        }
        self.take_in_entries(client, entries).await?;
        self.take_in_letters(client, up, letters).await
    }

    async fn take_in_frame(&self, client: &Client, frame: FollowDown) -> Result<(), ChainError> {
        match frame {
            FollowDown::ChainMoved { chain, .. } if chain == ChainId::of_journal(self.user) => {
                self.fetch_journal(client, super::journal::Arrival::Live).await
            }
            FollowDown::ChainMoved { chain, .. } => match self.books.place_of(chain) {
                Some(place) => self.fetch_community_chain(client, place).await,
                None => match self.owner_of(chain).await? {
                    Some(person) => self.fetch_chain(client, person).await.map(|_| ()),
                    None => Ok(()),
                },
            },
            FollowDown::CommunitiesChanged => {
                self.owe_communities();
                Ok(())
            }
            FollowDown::Unfollowed { chain } => {
                self.followed().remove(&chain);
                self.owe_communities();
                Ok(())
            }
            FollowDown::CaughtUp => {
                self.mark_caught_up();
                self.owe(|due| due.archived = true);
                Ok(())
            }
            FollowDown::ContactsChanged => {
                self.owe(|due| due.contacts = true);
                Ok(())
            }
            FollowDown::OutstandingChanged => {
                self.owe(|due| due.outstanding = true);
                Ok(())
            }
            FollowDown::PrekeysLeft { one_time, one_time_kem } => {
                self.owe(|due| due.prekeys_left(one_time, one_time_kem));
                Ok(())
            }
            FollowDown::ProfileChanged { user } => {
                self.owe(|due| due.profile_of(user));
                Ok(())
            }
            FollowDown::GoingAway { retry_after_ms } => Err(ChainError::GoingAway(
                Duration::from_millis(u64::from(retry_after_ms).min(30_000)),
            )),
            FollowDown::Typing { user } => {
                self.note_typing(None, user);
                Ok(())
            }
            FollowDown::TypingIn { chain, user } => {
                self.note_typing(Some(chain), user);
                Ok(())
            }
            FollowDown::Presence { .. } => {
                self.live.note_presence();
                Ok(())
            }
            FollowDown::ReadIn { chain, user, seq } => {
                self.note_read(chain, user, seq);
                self.timeline_changed();
                Ok(())
            }
            FollowDown::Entry(_) | FollowDown::Envelope { .. } => Ok(()),
        }
    }

    /// Takes in entries of one chain that follow one another.
    async fn take_in_entries(
        &self,
        client: &Client,
        entries: Vec<Entry>,
    ) -> Result<(), ChainError> {
        let Some(chain) = entries.first().map(|first| first.chain) else { return Ok(()) };
        if chain == ChainId::of_journal(self.user) {
            return self.take_in_journal(client, entries, super::journal::Arrival::Live).await;
        }
        match self.books.place_of(chain) {
            Some((community, None)) => self.take_in_log(client, community, entries).await,
            Some((community, Some(channel))) => {
                self.take_in_channel(client, community, channel, entries).await
            }
            None => {
                for entry in entries {
                    self.take_in_statement(client, entry).await?;
                }
                Ok(())
            }
        }
    }

    async fn take_in_statement(&self, client: &Client, entry: Entry) -> Result<(), ChainError> {
        let Some(person) = self.owner_of(entry.chain).await? else { return Ok(()) };
        let mut unit = self.store.write().await?;
        let state = unit.person(person).await?;
        let next = state.as_ref().map_or(0, |state| state.head.seq.saturating_add(1));
        if entry.seq < next {
            return Ok(());
        }
        if entry.seq > next {
            drop(unit);
            return self.fetch_chain(client, person).await.map(|_| ());
        }
        let after = user::verify_and_apply(person, state.as_ref(), &entry)?;
        unit.add_statement(person, &entry).await?;
        self.note_state(&mut unit, &after).await?;
        unit.commit().await?;
        self.heed(client, &after).await
    }

    /// Fetches what is missing of `person`'s chain, verifies it, and says what it amounts to.
    pub(super) async fn fetch_chain(
        &self,
        client: &Client,
        person: UserId,
    ) -> Result<State, ChainError> {
        let fetched = tokio::time::timeout(FETCH_PATIENCE, self.fetch_pages(client, person)).await;
        let state = fetched.unwrap_or_else(|_| {
            Err(ChainError::Call(CommandError::new(
                Kind::NoConnection,
                "the server took too long to show somebody's devices",
            )))
        })?;
        self.heed(client, &state).await?;
        Ok(state)
    }

    async fn fetch_pages(&self, client: &Client, person: UserId) -> Result<State, ChainError> {
        for _ in 0..MAX_PAGES {
            let have = self.store.read().await?.person(person).await?;
            let after = have.as_ref().map(|state| state.head.seq);
            let request = ReadChain { chain: ChainId::of_user(person), after, limit: PAGE };
            let page = client.call_watched(&request).await?;
            let mut unit = self.store.write().await?;
            // Another task may have taken some of them in meanwhile.
            let mut state = unit.person(person).await?;
            for entry in &page.entries {
                if state.as_ref().is_some_and(|state| entry.seq <= state.head.seq) {
                    continue;
                }
                state = Some(user::verify_and_apply(person, state.as_ref(), entry)?);
                unit.add_statement(person, entry).await?;
            }
            let state = state.ok_or(ChainError::NotFound)?;
            self.note_state(&mut unit, &state).await?;
            unit.commit().await?;
            if !page.more || page.entries.is_empty() {
                return Ok(state);
            }
        }
        Err(ChainError::Call(CommandError::new(
            Kind::Trust,
            "the server shows a user's chain without end",
        )))
    }

    /// Pins who is seen for the first time, and moves the pin along.
    async fn note_state(&self, unit: &mut Unit, state: &State) -> Result<(), ChainError> {
        if state.user == self.user {
            return Ok(());
        }
        let mut contact = match unit.contact(state.user).await? {
            Some(contact) => contact,
            None => ContactRow::met(state.user, None, state.home.clone(), self.now()),
        };
        let pin = if let Some(pin) = contact.pin.take() {
            Pin { head: state.head.into(), ..pin }
        } else {
            self.pin_server(unit, state).await?;
            Pin::of(state, How::FirstUse)
        };
        contact.pin = Some(pin);
        contact.server = state.home.clone();
        Ok(unit.put_contact(&contact).await?)
    }

    /// What a new state of one's own chain calls for.
    async fn heed(&self, client: &Client, state: &State) -> Result<(), ChainError> {
        if state.user != self.user {
            // What waits for a newer chain can go now.
            self.outbox_wake.notify_one();
            return Ok(());
        }
        if state.closed || state.live_device(self.device).is_none() {
            self.change_account(|account| account.stage = AccountStage::Ended).await?;
            let what =
                if state.closed { "the account was closed" } else { "this device was revoked" };
            return Err(ChainError::Ended(
                CommandError::new(
                    Kind::Locked,
                    format!("{what}; what is stored here can still be read"),
                )
                .hint("a revoked device needs a new profile"),
            ));
        }
        if state.owes_rotation {
            self.owe(|due| due.rotation = true);
        }
        let ring = self.store.read().await?.per_user_keys().await?;
        if !state.owes_rotation && ring.is_none_or(|ring| !ring.is_current(state)) {
            self.fetch_per_user_keys(client, state).await?;
        }
        self.outbox_wake.notify_one();
        Ok(())
    }

    /// Fetches the newest generation of the per-user key, and opens it.
    pub(super) async fn fetch_per_user_keys(
        &self,
        client: &Client,
        state: &State,
    ) -> Result<(), ChainError> {
        let boxes = client
            .call(&FetchBoxes {})
            .await
            .map_err(|error| ChainError::Call(failed_as(error, |_| Kind::Failed)))?
            .boxes;
        let mut unit = self.store.write().await?;
        let opened = match unit.per_user_keys().await? {
            Some(mut ring) => {
                ring.catch_up(state, Holder::Device(&self.secrets), &boxes).map(|()| ring)
            }
            None => crate::e2ee::puk::PukRing::open(state, Holder::Device(&self.secrets), &boxes),
        };
        match opened {
            Ok(ring) => {
                unit.put_per_user_keys(&ring).await?;
                unit.commit().await?;
            }
            // Whoever rotated left this device out, or lied to it. Messages go on; the journal waits for the next generation.
            Err(error) => tracing::warn!(%error, "the account's common key could not be had"),
        }
        Ok(())
    }

    /// Whose chain it is, among the people who are known here.
    async fn owner_of(&self, chain: ChainId) -> Result<Option<UserId>, StoreError> {
        if chain == ChainId::of_user(self.user) {
            return Ok(Some(self.user));
        }
        let contacts = self.store.read().await?.contacts().await?;
        Ok(contacts
            .into_iter()
            .map(|contact| contact.user)
            .find(|user| ChainId::of_user(*user) == chain))
    }
}

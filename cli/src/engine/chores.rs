//! What can wait: receipts, the journal, prekeys, contacts, profiles, rotations. One task does it, so that nothing is done twice at once.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use rookery_protocol::{
    id::UserId, io::client::Client, request::prekey::PrekeyCount, time::Timestamp,
};

use super::{Engine, Link, draw, journal::HOLD};
use crate::error::CommandError;

/// How long receipts are gathered before they go.
const GATHER: Duration = Duration::from_millis(30);
/// How long a refill of prekeys is put off at most: its moment would tell who has just come online.
const REFILL_JITTER: Duration = Duration::from_mins(30);
/// How often there is a look at everything.
const ROUND: Duration = Duration::from_mins(5);
/// The wait after something failed.
const RETRY: Duration = Duration::from_secs(5);

/// How many profiles are asked for at once.
const PROFILES_AT_ONCE: usize = 8;

/// What is owed, beside what the store knows.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a chore of its own")]
pub(super) struct Due {
    /// The contacts may have changed.
    pub(super) contacts: bool,
    /// What is on its way to other servers may have gone on.
    pub(super) outstanding: bool,
    /// Archived messages may be released.
    pub(super) archived: bool,
    /// A device went, and the per-user key has to follow.
    pub(super) rotation: bool,
    /// Whether the store may know of sessions that are lost.
    pub(super) resets: Resets,
    /// Profiles that have changed.
    pub(super) profiles: BTreeSet<UserId>,
    prekeys_left: Option<PrekeyCount>,
    prekeys_at: Option<Timestamp>,
}

/// Sessions that are to be begun anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Resets {
    /// There may be some that nobody has tried to begin.
    #[default]
    MayBeOwed,
    /// What is still owed could not be done yet.
    Tried,
}

/// At most this many profiles are owed; whoever is beyond is fetched when next shown.
const MAX_PROFILES: usize = 1_000;

impl Due {
    /// What is owed when the engine starts.
    pub(super) fn at_start() -> Self {
        Self { contacts: true, outstanding: true, ..Self::default() }
    }

    /// The server says how many one-time keys it has left.
    pub(super) fn prekeys_left(&mut self, one_time: u32, one_time_kem: u32) {
        self.prekeys_left = Some(PrekeyCount { one_time, one_time_kem });
    }

    /// Somebody's profile has changed.
    pub(super) fn profile_of(&mut self, user: UserId) {
        if self.profiles.len() < MAX_PROFILES {
            self.profiles.insert(user);
        }
    }
}

impl Engine {
    /// Does what is owed, for as long as the engine runs.
    pub(super) async fn run_chores(self: Arc<Self>) {
        let mut wait = ROUND;
        loop {
            tokio::select! {
                () = self.drain.cancelled() => return,
                () = self.chores_wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
            let online = match &*self.link.borrow() {
                Link::Online(online) => Some(online.client.clone()),
                _ => None,
            };
            let Some(client) = online else {
                wait = ROUND;
                continue;
            };
            let round = tokio::select! {
                () = self.drain.cancelled() => return,
                round = self.do_round(&client) => round,
            };
            wait = match round {
                Ok(next) => next,
                Err(error) => {
                    tracing::debug!(%error, "a chore has to wait");
                    RETRY
                }
            };
        }
    }

    /// One look at everything; says when to look again at the latest.
    async fn do_round(&self, client: &Client) -> Result<Duration, CommandError> {
        let mut next = ROUND;
        self.write_journal(client).await?;
        if !self.store.read().await?.receipts_owed(1).await?.is_empty() {
            tokio::time::sleep(GATHER).await;
            self.send_receipts().await?;
        }
        if std::mem::take(&mut self.due().contacts)
            && let Err(error) = self.refresh_contacts(client).await
        {
            self.due().contacts = true;
            return Err(error);
        }
        if std::mem::take(&mut self.due().outstanding)
            && let Err(error) = self.refresh_outstanding(client).await
        {
            self.due().outstanding = true;
            return Err(error);
        }
        if std::mem::take(&mut self.due().rotation) {
            // Every other device has seen the same: whoever comes first does it, and the others find it done.
            let jitter = Duration::from_millis(u64::from(draw() % 500));
            tokio::time::sleep(jitter).await;
            if let Err(error) = self.rotate_owed(client).await {
                self.due().rotation = true;
                return Err(error);
            }
        }
        if self.due().resets == Resets::MayBeOwed {
            let owed = self.store.read().await?.resets_owed().await?;
            for (user, device) in owed {
                if let Err(error) = self.reset_session(client, user, device).await {
                    tracing::debug!(%error, "a session could not be begun anew yet");
                }
            }
            // Whatever is left is tried again with the next letter that does not open, and with the next start.
            self.due().resets = Resets::Tried;
        }
        let profiles = std::mem::take(&mut self.due().profiles);
        // Several at once: a server that takes its time is waited for beside the others.
        let fetched = profiles.into_iter().map(|user| async move {
            if let Err(error) = self.fetch_profile(client, user).await {
                // The home of a contact on another server may be away: with the next round.
                self.due().profile_of(user);
                tracing::debug!(%error, "a profile could not be fetched");
            }
        });
        stream::iter(fetched).buffer_unordered(PROFILES_AT_ONCE).collect::<Vec<()>>().await;
        next = next.min(self.do_prekeys(client).await?);
        let caught_up = matches!(&*self.link.borrow(), Link::Online(online) if online.caught_up && self.now() >= online.since.plus(HOLD));
        if caught_up {
            self.release_archived().await?;
        }
        if self.store.read().await?.has_archived().await? {
            next = next.min(HOLD.saturating_add(Duration::from_millis(100)));
        }
        let mut unit = self.store.write().await?;
        unit.forget_unconfirmed(self.now()).await?;
        unit.commit().await?;
        Ok(next)
    }

    /// Refills at a random time after it was found necessary, at once when a session could not be begun otherwise.
    async fn do_prekeys(&self, client: &Client) -> Result<Duration, CommandError> {
        let now = self.now();
        let left = self.due().prekeys_left.clone();
        let Some(left) = left else { return Ok(ROUND) };
        let is_urgent = left.one_time == 0 && left.one_time_kem == 0;
        let at = if is_urgent {
            now
        } else {
            *self.due().prekeys_at.get_or_insert_with(|| {
                now.plus(REFILL_JITTER.mul_f64(f64::from(draw()) / f64::from(u32::MAX)))
            })
        };
        if at > now {
            return Ok(at.since(now));
        }
        self.publish_prekeys(client, Some(left)).await?;
        let mut due = self.due();
        due.prekeys_left = None;
        due.prekeys_at = None;
        Ok(ROUND)
    }
}

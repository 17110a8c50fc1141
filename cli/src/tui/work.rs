//! What both the screen and the linear mode do for the model: asking the agent, opening the profile, coming in, timers, and the end.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use rookery_protocol::time::{Clock as _, SystemClock};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinHandle},
    time::Instant,
};
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use super::{
    agent::{self, Source},
    effect::{Effect, Enter},
    event::{Coloured, Event, Opened, Timer},
    state::{State, Want},
    text::markdown,
    update::update,
};
use crate::{
    agent::{Need, Shared},
    config::Place,
    e2ee::{OsRandom, recovery::RecoveryKey},
    error::{CommandError, Kind},
    store::Secret,
};

/// How many events may wait while the terminal is lent to an editor. What the agent tells beyond that is lost, and told anew afterwards.
const MAX_EVENTS: usize = 4_096;
/// How long the end waits for what was asked before.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long tasks that were aborted may take to let go.
const GLANCES: Duration = Duration::from_millis(500);

/// Everything that is under way for a model.
pub(super) struct Work {
    place: Place,
    source: Source,
    events: mpsc::Sender<Event>,
    coming: mpsc::Receiver<Event>,
    shared: Option<Arc<Shared>>,
    hand: mpsc::Sender<Arc<Shared>>,
    handed: mpsc::Receiver<Arc<Shared>>,
    /// Questions that are under way.
    asked: HashMap<u64, AbortHandle>,
    watching: Option<AbortHandle>,
    /// A profile that is being let go.
    closing: Option<JoinHandle<()>>,
    timers: HashMap<Timer, Instant>,
    /// What happened in the loop itself.
    own: VecDeque<Event>,
    tasks: TaskTracker,
    passphrase: Option<Zeroizing<String>>,
    is_ending: bool,
    failure: Option<CommandError>,
}

impl std::fmt::Debug for Work {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Work").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Work {
    /// Nothing yet, for the profile at `place`.
    pub(super) fn new(place: Place, source: Source) -> Self {
        let (events, coming) = mpsc::channel(MAX_EVENTS);
        let (hand, handed) = mpsc::channel(1);
        Self {
            place,
            source,
            events,
            coming,
            shared: None,
            hand,
            handed,
            asked: HashMap::new(),
            watching: None,
            closing: None,
            timers: HashMap::new(),
            own: VecDeque::new(),
            tasks: TaskTracker::new(),
            passphrase: None,
            is_ending: false,
            failure: None,
        }
    }

    /// Whether the end was asked for.
    pub(super) const fn is_ending(&self) -> bool {
        self.is_ending
    }

    /// Has something come next that happened in the loop itself.
    pub(super) fn put(&mut self, event: Event) {
        self.own.push_back(event);
    }

    /// What comes next: an event, or the end of a timer. Cancel-safe.
    pub(super) async fn next(&mut self) -> Event {
        if let Some(event) = self.own.pop_front() {
            return event;
        }
        let next = self.timers.iter().min_by_key(|(_, at)| **at).map(|(timer, at)| (*timer, *at));
        let over = async {
            match next {
                Some((timer, at)) => {
                    tokio::time::sleep_until(at).await;
                    timer
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            // This value holds a sender, so the channel never ends.
            Some(event) = self.coming.recv() => event,
            timer = over => {
                self.timers.remove(&timer);
                Event::Timer(timer)
            }
        }
    }

    /// An event that has come already.
    pub(super) fn poll(&mut self) -> Option<Event> {
        self.own.pop_front().or_else(|| self.coming.try_recv().ok())
    }

    /// Takes an event into the model, and says what is to be done.
    pub(super) fn take(&mut self, state: &mut State, event: Event) -> Vec<Effect> {
        if let Event::Answered { ticket, .. } = &event {
            self.asked.remove(ticket);
        }
        if let Event::Opened(opened) = &event {
            self.shared = self.handed.try_recv().ok().or(self.shared.take());
            if let Opened::Failed(error) = opened {
                self.failure = Some(error.clone());
            }
        }
        update(state, SystemClock.now(), event)
    }

    /// Opens the profile.
    pub(super) fn open(&mut self, passphrase: Option<Zeroizing<String>>) {
        if passphrase.is_some() {
            self.passphrase = passphrase;
        }
        let (place, source) = (self.place.clone(), Arc::clone(&self.source));
        let (events, hand) = (self.events.clone(), self.hand.clone());
        let passphrase = self.passphrase.clone();
        self.tasks.spawn(async move {
            let (opened, shared) = agent::open(&place, &source, passphrase).await;
            if let Some(shared) = shared {
                hand.send(shared).await.ok();
            }
            events.send(Event::Opened(opened)).await.ok();
        });
    }

    /// The source of the store's secret: what was typed here, else what the command line names.
    fn source(&self) -> Source {
        match self.passphrase.clone() {
            Some(passphrase) => Arc::new(move |_: Need| Ok(Secret::Passphrase(passphrase.clone()))),
            None => Arc::clone(&self.source),
        }
    }

    /// Does what needs no terminal.
    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Ask { ticket, method, params } => {
                if let Some(shared) = self.shared.clone() {
                    let events = self.events.clone();
                    let asking = agent::ask(shared, ticket, method, params, events);
                    self.asked.insert(ticket, self.tasks.spawn(asking).abort_handle());
                } else {
                    self.refuse(ticket);
                }
            }
            Effect::AskWithText { ticket, method, params, text } => {
                if let Some(shared) = self.shared.clone() {
                    let (place, events) = (self.place.clone(), self.events.clone());
                    let question = (ticket, method, params);
                    let asking = agent::ask_with_text(place, shared, question, text, events);
                    self.asked.insert(ticket, self.tasks.spawn(asking).abort_handle());
                } else {
                    self.refuse(ticket);
                }
            }
            Effect::Cancel(ticket) => {
                if let Some(task) = self.asked.remove(&ticket) {
                    task.abort();
                }
            }
            Effect::Timer(timer, after) => {
                if let Some(at) = Instant::now().checked_add(after) {
                    self.timers.insert(timer, at);
                }
            }
            Effect::Watch => {
                if let Some(former) = self.watching.take() {
                    former.abort();
                }
                if let Some(shared) = self.shared.clone() {
                    let task = self.tasks.spawn(agent::watch(shared, self.events.clone()));
                    self.watching = Some(task.abort_handle());
                }
            }
            Effect::Open(passphrase) => self.open(passphrase),
            Effect::Enter(enter) => {
                if let Enter::Register { passphrase, .. } | Enter::Login { passphrase, .. } = &enter
                {
                    self.passphrase.clone_from(passphrase);
                }
                let (place, source) = (self.place.clone(), self.source());
                let events = self.events.clone();
                self.tasks.spawn(async move {
                    let outcome = Box::pin(agent::enter(&place, &source, enter)).await;
                    events.send(Event::Entered(outcome)).await.ok();
                });
            }
            Effect::MakeRecoveryKey => {
                let key = RecoveryKey::generate(&mut OsRandom).to_text();
                self.put(Event::RecoveryKey(key.into()));
            }
            Effect::Lock => self.lock(),
            Effect::ForgetRecoveryKey(file) => {
                if let Err(error) = std::fs::remove_file(&file) {
                    tracing::warn!(%error, "the file of the recovery key could not be removed");
                }
            }
            Effect::Colour { id, revision, text } => {
                let events = self.events.clone();
                self.tasks.spawn_blocking(move || {
                    let blocks = Arc::new(markdown::colour(&text));
                    let coloured = Coloured { id, revision, blocks };
                    // Who is not listened to any more shows it plain.
                    events.blocking_send(Event::Coloured(coloured)).ok();
                });
            }
            Effect::Reload(binding) => {
                let read = super::reload(&self.place, binding.as_ref());
                self.put(Event::Reloaded(read.map(Box::new).map_err(|error| error.message)));
            }
            Effect::Quit => self.is_ending = true,
            Effect::Mouse(_)
            | Effect::Redraw
            | Effect::Edit(_)
            | Effect::Suspend
            | Effect::Resume
            | Effect::Notify { .. }
            | Effect::Copy(_)
            | Effect::Title(_) => {}
        }
    }

    /// Nobody is there to be asked.
    fn refuse(&mut self, ticket: u64) {
        let error = CommandError::new(Kind::Failed, "the profile is not open");
        self.put(Event::Answered { ticket, outcome: Err(error) });
    }

    /// Lets the profile go and forgets what opens it. What was asked before gets a moment to be done.
    fn lock(&mut self) {
        self.passphrase = None;
        if let Some(watching) = self.watching.take() {
            watching.abort();
        }
        let asked: Vec<AbortHandle> = self.asked.drain().map(|(_, asked)| asked).collect();
        let Some(shared) = self.shared.take() else { return };
        let former = self.closing.take();
        self.closing = Some(self.tasks.spawn(async move {
            if let Some(former) = former {
                former.await.ok();
            }
            let alone = wait_alone(shared, PATIENCE).await;
            for one in asked {
                one.abort();
            }
            wait_alone(alone, PATIENCE).await.close().await;
        }));
    }

    /// Has a text written in an editor.
    pub(super) fn edit(&self, text: &str) -> Result<String, String> {
        let editor = crate::args::editor()
            .ok_or_else(|| "neither $VISUAL nor $EDITOR names one".to_owned())?;
        let socket = self.place.socket().map_err(|error| error.message)?;
        let directory = socket.parent().unwrap_or(self.place.directory());
        let written = crate::args::edit_text(&editor, directory, text);
        let written = written.map_err(|error| error.message)?;
        // Nothing is sent by it, so that what was written is taken even from one that has failed.
        if !written.is_good && written.text == text {
            return Err(format!("{editor} has failed, and left the text as it was"));
        }
        Ok(written.text)
    }

    /// Waits a moment for what was asked before, then ends in order.
    pub(super) async fn close(mut self, state: &mut State) -> Result<(), CommandError> {
        if let Some(watching) = self.watching.take() {
            watching.abort();
        }
        let drafts = async {
            let matters =
                |want: &Want| matches!(want, Want::Kept | Want::Draft(..) | Want::Sent(..));
            while state.pending.values().any(matters) {
                let Some(event) = self.coming.recv().await else { return };
                // Nothing new is begun.
                drop(self.take(state, event));
            }
        };
        tokio::time::timeout(PATIENCE, drafts).await.ok();
        for (_, task) in self.asked.drain() {
            task.abort();
        }
        if let Some(closing) = self.closing.take() {
            closing.await.ok();
        }
        // Tasks that were aborted let go of the agent when they are next looked at.
        if let Some(shared) = self.shared.take() {
            let shared = wait_alone(shared, GLANCES).await;
            shared.close().await;
        }
        self.failure.map_or(Ok(()), Err)
    }
}

/// Waits a moment until nobody else holds the agent.
async fn wait_alone(shared: Arc<Shared>, patience: Duration) -> Arc<Shared> {
    let alone = async {
        while Arc::strong_count(&shared) > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(patience, alone).await.ok();
    shared
}

//! The loop: takes events in, has the model changed and drawn, and does what is to be done.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::StreamExt as _;
use ratatui::crossterm::event::{Event as TerminalEvent, EventStream};
use rookery_protocol::time::{Clock as _, SystemClock};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    task::AbortHandle,
    time::Instant,
};
use zeroize::Zeroizing;

use super::{
    agent::{self, Source},
    effect::{Effect, Enter},
    event::{Event, Opened, Timer},
    state::{Seen, State, Want},
    terminal::{self, Screen, Surroundings, Taken},
    update::update,
    view::{ViewCache, view},
};
use crate::{
    agent::{Need, Shared},
    config::Place,
    error::{CommandError, Kind},
    store::Secret,
};

/// The time between two frames, where nobody pressed a key.
const FRAME: Duration = Duration::from_millis(16);
/// How long the end waits for what was asked before.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is drawn on, and everything that is under way.
pub(super) struct Runner {
    place: Place,
    source: Source,
    surroundings: Surroundings,
    state: State,
    cache: ViewCache,
    events: mpsc::UnboundedSender<Event>,
    coming: mpsc::UnboundedReceiver<Event>,
    shared: Option<Arc<Shared>>,
    hand: mpsc::UnboundedSender<Arc<Shared>>,
    handed: mpsc::UnboundedReceiver<Arc<Shared>>,
    /// Questions that are under way.
    asked: HashMap<u64, AbortHandle>,
    watching: Option<AbortHandle>,
    timers: HashMap<Timer, Instant>,
    passphrase: Option<Zeroizing<String>>,
    is_ending: bool,
    failure: Option<CommandError>,
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Runner").field("place", &self.place).finish_non_exhaustive()
    }
}

/// What woke the loop.
enum Woken {
    Key(TerminalEvent),
    Other(Event),
    Draw,
    Gone,
}

impl Runner {
    /// A runner of `state` for the profile at `place`.
    #[must_use]
    pub(super) fn new(
        place: Place,
        source: Source,
        surroundings: Surroundings,
        state: State,
    ) -> Self {
        // Unbounded, and never long: an answer comes for a question, the agent tells what it tells at its own pace, and all of it is taken in
        // before anything is drawn.
        let (events, coming) = mpsc::unbounded_channel();
        let (hand, handed) = mpsc::unbounded_channel();
        Self {
            place,
            source,
            surroundings,
            state,
            cache: ViewCache::default(),
            events,
            coming,
            shared: None,
            hand,
            handed,
            asked: HashMap::new(),
            watching: None,
            timers: HashMap::new(),
            passphrase: None,
            is_ending: false,
            failure: None,
        }
    }

    /// Runs until the end is asked for.
    pub(super) async fn run(mut self) -> Result<(), CommandError> {
        let mut signals = [
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
            signal(SignalKind::interrupt())?,
        ];
        let mut taken = Taken::take(&self.surroundings)?;
        let mut screen = taken.screen()?;
        let mut input = Some(EventStream::new());
        // The first frame comes before anything else is done.
        self.draw(&mut screen)?;
        let mut drawn = Instant::now();
        self.open(None);
        let mut is_dirty = false;
        while !self.is_ending {
            let woken = self.wait(input.as_mut(), &mut signals, is_dirty, drawn).await;
            let mut is_key = false;
            let mut effects = match woken {
                Woken::Key(event) => {
                    is_key = true;
                    self.take_key(event)
                }
                Woken::Other(event) => self.take(event),
                Woken::Draw => vec![],
                Woken::Gone => self.take(Event::Ending),
            };
            // Everything that waits is taken in before one frame is drawn.
            while let Ok(event) = self.coming.try_recv() {
                effects.extend(self.take(event));
            }
            is_dirty = true;
            for effect in effects {
                self.perform(effect, &mut taken, &mut screen, &mut input)?;
            }
            if is_key || drawn.elapsed() >= FRAME {
                self.draw(&mut screen)?;
                drawn = Instant::now();
                is_dirty = false;
            }
        }
        drop(input);
        drop(taken);
        self.close().await;
        self.failure.map_or(Ok(()), Err)
    }

    async fn wait(
        &mut self,
        input: Option<&mut EventStream>,
        signals: &mut [Signal; 3],
        is_dirty: bool,
        drawn: Instant,
    ) -> Woken {
        let next = self.timers.iter().min_by_key(|(_, at)| **at).map(|(timer, at)| (*timer, *at));
        let frame = is_dirty.then(|| drawn.checked_add(FRAME).unwrap_or(drawn));
        let typed = async {
            match input {
                Some(input) => input.next().await,
                None => std::future::pending().await,
            }
        };
        let [terminate, hang_up, interrupt] = signals;
        tokio::select! {
            biased;
            _ = terminate.recv() => Woken::Gone,
            _ = hang_up.recv() => Woken::Gone,
            _ = interrupt.recv() => Woken::Gone,
            typed = typed => match typed {
                Some(Ok(event)) => Woken::Key(event),
                // Nobody is at the terminal any more.
                Some(Err(_)) | None => Woken::Gone,
            },
            () = sleep_until(frame) => Woken::Draw,
            Some(event) = self.coming.recv() => Woken::Other(event),
            () = sleep_until(next.map(|(_, at)| at)) => match next {
                Some((timer, _)) => {
                    self.timers.remove(&timer);
                    Woken::Other(Event::Timer(timer))
                }
                None => Woken::Draw,
            },
        }
    }

    fn take(&mut self, event: Event) -> Vec<Effect> {
        if let Event::Answered { ticket, .. } = &event {
            self.asked.remove(ticket);
        }
        if let Event::Opened(opened) = &event {
            self.shared = self.handed.try_recv().ok().or(self.shared.take());
            if let Opened::Failed(error) = opened {
                self.failure = Some(error.clone());
            }
        }
        update(&mut self.state, SystemClock.now(), event)
    }

    fn take_key(&mut self, event: TerminalEvent) -> Vec<Effect> {
        let event = match event {
            TerminalEvent::Key(key) => Event::Key(key),
            TerminalEvent::Paste(text) => Event::Paste(text),
            TerminalEvent::Mouse(mouse) => Event::Mouse(mouse),
            TerminalEvent::Resize(columns, rows) => Event::Resized(columns, rows),
            TerminalEvent::FocusGained => Event::Focus(true),
            TerminalEvent::FocusLost => Event::Focus(false),
        };
        self.take(event)
    }

    fn draw(&mut self, screen: &mut Screen) -> std::io::Result<()> {
        let mut seen = Seen::default();
        let (state, cache) = (&self.state, &mut self.cache);
        screen.draw(|frame| seen = view(state, cache, frame))?;
        if seen != self.state.seen {
            // What is to be seen decides what is read next.
            self.events.send(Event::Seen(seen)).ok();
        }
        Ok(())
    }

    fn open(&mut self, passphrase: Option<Zeroizing<String>>) {
        if passphrase.is_some() {
            self.passphrase = passphrase;
        }
        let (place, source) = (self.place.clone(), Arc::clone(&self.source));
        let (events, hand) = (self.events.clone(), self.hand.clone());
        let passphrase = self.passphrase.clone();
        tokio::spawn(async move {
            let (opened, shared) = agent::open(&place, &source, passphrase).await;
            if let Some(shared) = shared {
                hand.send(shared).ok();
            }
            events.send(Event::Opened(opened)).ok();
        });
    }

    /// The source of the store's secret: what was typed here, else what the command line names.
    fn source(&self) -> Source {
        match self.passphrase.clone() {
            Some(passphrase) => Arc::new(move |_: Need| Ok(Secret::Passphrase(passphrase.clone()))),
            None => Arc::clone(&self.source),
        }
    }

    fn perform(
        &mut self,
        effect: Effect,
        taken: &mut Taken,
        screen: &mut Screen,
        input: &mut Option<EventStream>,
    ) -> Result<(), CommandError> {
        match effect {
            Effect::Mouse(mouse) => taken.set_mouse(mouse)?,
            Effect::Redraw => {
                self.cache.clear();
                screen.clear()?;
            }
            Effect::Edit(text) => {
                // The reader of keys stops first: an editor reads its own.
                drop(input.take());
                terminal::restore();
                let outcome = self.edit(&text);
                taken.enter()?;
                *input = Some(EventStream::new());
                screen.clear()?;
                self.cache.clear();
                self.events.send(Event::Edited(outcome)).ok();
            }
            Effect::Suspend => {
                drop(input.take());
                terminal::restore();
                stop_this_process()?;
                taken.enter()?;
                *input = Some(EventStream::new());
                screen.clear()?;
            }
            Effect::Notify { title, body } => terminal::notify(&self.surroundings, &title, &body)?,
            Effect::Copy(text) => terminal::copy(&text)?,
            Effect::Title(title) => terminal::set_title(&title)?,
            other => self.carry_out(other),
        }
        Ok(())
    }

    /// Does what needs no terminal.
    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Ask { ticket, method, params } => match self.shared.clone() {
                Some(shared) => {
                    let events = self.events.clone();
                    let task = tokio::spawn(agent::ask(shared, ticket, method, params, events));
                    self.asked.insert(ticket, task.abort_handle());
                }
                None => {
                    let error = CommandError::new(Kind::Failed, "the profile is not open");
                    self.events.send(Event::Answered { ticket, outcome: Err(error) }).ok();
                }
            },
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
                    let task = tokio::spawn(agent::watch(shared, self.events.clone()));
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
                tokio::spawn(async move {
                    let outcome = Box::pin(agent::enter(&place, &source, enter)).await;
                    events.send(Event::Entered(outcome)).ok();
                });
            }
            Effect::ForgetRecoveryKey(file) => {
                if let Err(error) = std::fs::remove_file(&file) {
                    tracing::warn!(%error, "the file of the recovery key could not be removed");
                }
            }
            Effect::Quit => self.is_ending = true,
            Effect::Mouse(_)
            | Effect::Redraw
            | Effect::Edit(_)
            | Effect::Suspend
            | Effect::Notify { .. }
            | Effect::Copy(_)
            | Effect::Title(_) => {}
        }
    }

    fn edit(&self, text: &str) -> Result<String, String> {
        let editor = crate::args::editor()
            .ok_or_else(|| "neither $VISUAL nor $EDITOR names one".to_owned())?;
        let socket = self.place.socket().map_err(|error| error.message)?;
        let directory = socket.parent().unwrap_or(self.place.directory());
        crate::args::edit_text(&editor, directory, text).map_err(|error| error.message)
    }

    /// Waits a moment for what was asked before, then ends in order.
    async fn close(&mut self) {
        if let Some(watching) = self.watching.take() {
            watching.abort();
        }
        let drafts = async {
            while !self.state.pending.is_empty() {
                let Some(event) = self.coming.recv().await else { return };
                // Nothing new is begun.
                self.take(event);
                let is_kept = |want: &Want| matches!(want, Want::Kept);
                if !self.state.pending.values().any(is_kept) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, drafts).await.ok();
        for (_, task) in self.asked.drain() {
            task.abort();
        }
        // Tasks that were aborted let go of the agent when they are next looked at.
        if let Some(shared) = self.shared.take() {
            let shared = wait_alone(shared).await;
            shared.close().await;
        }
    }
}

/// Waits a moment until nobody else holds the agent.
async fn wait_alone(shared: Arc<Shared>) -> Arc<Shared> {
    for _ in 0..100 {
        if Arc::strong_count(&shared) == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    shared
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Stops this process as Ctrl+Z does elsewhere; it goes on when the shell says so.
fn stop_this_process() -> Result<(), CommandError> {
    use rustix::process::{Signal, getpid, kill_process};
    kill_process(getpid(), Signal::TSTP).map_err(|error| std::io::Error::from(error).into())
}

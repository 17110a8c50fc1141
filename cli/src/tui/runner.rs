//! The loop: takes events in, has the model changed and drawn, and does what is to be done.

use std::time::Duration;

use ratatui::crossterm::event::Event as TerminalEvent;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};

use super::{
    agent::Source,
    effect::Effect,
    event::Event,
    keyboard::Keyboard,
    sieve::Sieve,
    state::{Seen, State},
    terminal::{self, Screen, Surroundings, Taken},
    view::{ViewCache, view},
    work::Work,
};
use crate::{config::Place, error::CommandError};

/// The time between two frames, where nobody pressed a key.
const FRAME: Duration = Duration::from_millis(16);

/// How long the signal of a shell takes at most, on a machine that has much to do.
const NO_SHELL: Duration = Duration::from_secs(1);

/// What is drawn on, and everything that is under way.
#[derive(Debug)]
pub(super) struct Runner {
    surroundings: Surroundings,
    state: State,
    cache: ViewCache,
    sieve: Sieve,
    work: Work,
}

/// The terminal while this program has it. What reads it goes first.
struct Console {
    keyboard: Keyboard,
    screen: Screen,
    taken: Taken,
    /// The shell has it go on.
    resumed: Signal,
}

/// What woke the loop.
enum Woken {
    Key(TerminalEvent),
    Other(Event),
    /// Nothing followed what may have been an answer of the terminal's.
    Held,
    Draw,
    /// Goes on after it was stopped, by itself or by somebody else.
    Resumed,
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
        let (cache, sieve) = (ViewCache::default(), Sieve::default());
        Self { surroundings, state, cache, sieve, work: Work::new(place, source) }
    }

    /// Runs until the end is asked for.
    pub(super) async fn run(mut self) -> Result<(), CommandError> {
        let mut signals = [
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
            signal(SignalKind::interrupt())?,
        ];
        let resumed = signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?;
        let taken = Taken::take(&self.surroundings)?;
        let screen = taken.screen(self.cache.links())?;
        let mut console = Console { keyboard: Keyboard::default(), screen, taken, resumed };
        console.keyboard.start();
        // The first frame comes before anything else is done.
        self.draw(&mut console.screen)?;
        let mut drawn = Instant::now();
        self.work.open(None);
        let mut is_dirty = false;
        while !self.work.is_ending() {
            let woken = tokio::select! {
                biased;
                _ = console.resumed.recv() => Woken::Resumed,
                woken = self.wait(&mut console.keyboard, &mut signals, is_dirty, drawn) => woken,
            };
            let is_key = matches!(woken, Woken::Key(_));
            let mut effects = match woken {
                Woken::Key(event) => {
                    let events = self.sieve.take(event, Instant::now());
                    self.take_keys(events)
                }
                Woken::Held => {
                    let events = self.sieve.release();
                    self.take_keys(events)
                }
                Woken::Other(event) => self.take(event),
                Woken::Draw => vec![],
                Woken::Resumed => vec![Effect::Resume],
                Woken::Gone => self.take(Event::Ending),
            };
            // Everything that waits is taken in before one frame is drawn.
            while let Some(event) = self.work.poll() {
                effects.extend(self.take(event));
            }
            is_dirty = true;
            for effect in effects {
                if self.perform(effect, &mut console).await.is_err() {
                    self.lose_terminal();
                }
            }
            if is_key || drawn.elapsed() >= FRAME {
                let before = console.screen.backend().changes();
                if self.draw(&mut console.screen).is_err() {
                    self.lose_terminal();
                }
                // A frame that shows nothing new does not hold up the next one: what is told first of a message is only that there is one.
                if console.screen.backend().changes() != before {
                    drawn = Instant::now();
                }
                is_dirty = false;
            }
        }
        drop(console);
        self.work.close(&mut self.state).await
    }

    async fn wait(
        &mut self,
        keyboard: &mut Keyboard,
        signals: &mut [Signal; 3],
        is_dirty: bool,
        drawn: Instant,
    ) -> Woken {
        let frame = is_dirty.then(|| drawn.checked_add(FRAME).unwrap_or(drawn));
        let [terminate, hang_up, interrupt] = signals;
        tokio::select! {
            biased;
            _ = terminate.recv() => Woken::Gone,
            _ = hang_up.recv() => Woken::Gone,
            _ = interrupt.recv() => Woken::Gone,
            typed = keyboard.next() => typed.map_or(Woken::Gone, Woken::Key),
            () = sleep_until(self.sieve.until()) => Woken::Held,
            () = sleep_until(frame) => Woken::Draw,
            event = self.work.next() => Woken::Other(event),
        }
    }

    fn take(&mut self, event: Event) -> Vec<Effect> {
        self.work.take(&mut self.state, event)
    }

    fn take_keys(&mut self, events: Vec<TerminalEvent>) -> Vec<Effect> {
        let mut effects = vec![];
        for event in events {
            effects.extend(self.take(match event {
                TerminalEvent::Key(key) => Event::Key(key),
                TerminalEvent::Paste(text) => Event::Paste(text),
                TerminalEvent::Mouse(mouse) => Event::Mouse(mouse),
                TerminalEvent::Resize(columns, rows) => Event::Resized(columns, rows),
                TerminalEvent::FocusGained => Event::Focus(true),
                TerminalEvent::FocusLost => Event::Focus(false),
            }));
        }
        effects
    }

    /// Nobody can be shown anything any more: ends, as when the terminal hangs up. What is written is kept, which needs no terminal.
    fn lose_terminal(&mut self) {
        if self.work.is_ending() {
            return;
        }
        for effect in self.take(Event::Ending) {
            self.work.carry_out(effect);
        }
    }

    /// Takes the terminal again, and draws everything on it.
    fn resume(&mut self, console: &mut Console) -> std::io::Result<()> {
        console.keyboard.stop();
        terminal::restore();
        console.taken.enter()?;
        console.keyboard.start();
        console.screen.clear()?;
        self.work.carry_out(Effect::Watch);
        Ok(())
    }

    fn draw(&mut self, screen: &mut Screen) -> std::io::Result<()> {
        let mut seen = Seen::default();
        let (state, cache) = (&self.state, &mut self.cache);
        screen.draw(|frame| seen = view(state, cache, frame))?;
        if seen != self.state.seen {
            // What is to be seen decides what is read next.
            self.work.put(Event::Seen(seen));
        }
        Ok(())
    }

    async fn perform(&mut self, effect: Effect, console: &mut Console) -> Result<(), CommandError> {
        match effect {
            Effect::Mouse(mouse) => console.taken.set_mouse(mouse)?,
            Effect::Redraw => {
                self.cache.clear();
                console.screen.clear()?;
            }
            Effect::Edit(text) => {
                // The reader of keys stops first: an editor reads its own.
                console.keyboard.stop();
                terminal::restore();
                let outcome = self.work.edit(&text);
                console.taken.enter()?;
                console.keyboard.start();
                console.screen.clear()?;
                self.cache.clear();
                self.work.put(Event::Edited(outcome));
                self.work.carry_out(Effect::Watch);
            }
            Effect::Suspend => {
                console.keyboard.stop();
                terminal::restore();
                stop()?;
                // The shell says by a signal that it goes on, which is not to have the terminal taken twice. Without a shell nothing has stopped,
                // and there is no signal.
                tokio::time::timeout(NO_SHELL, console.resumed.recv()).await.ok();
                self.resume(console)?;
            }
            // Whoever had the terminal meanwhile has left it as they like it.
            Effect::Resume => self.resume(console)?,
            Effect::Notify { title, body } => terminal::notify(&self.surroundings, &title, &body)?,
            Effect::Copy(text) => terminal::copy(&self.surroundings, &text)?,
            Effect::Title(title) => terminal::set_title(&title)?,
            other => self.work.carry_out(other),
        }
        Ok(())
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Stops this process as Ctrl+Z does elsewhere, with whatever was started together with it; it goes on when the shell says so.
fn stop() -> Result<(), CommandError> {
    use rustix::process::{Signal, kill_current_process_group};
    kill_current_process_group(Signal::TSTP).map_err(|error| std::io::Error::from(error).into())
}

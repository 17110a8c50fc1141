//! Lines instead of a screen: what is new is printed below what was there, and what is typed is a line.
//!
//! A screen reader reads what is written once and in order; a screen that is drawn again is read again, frames and all
//! (JFreegman/toxic#421, microsoft/terminal#14583). So nothing here moves the cursor, clears or frames anything, states are words, and what
//! can be chosen has numbers. The model, its commands and its effects are the screen's.

mod print;
mod words;

use std::io::IsTerminal as _;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use self::print::Printer;
use super::{
    agent::Source,
    effect::Effect,
    event::Event,
    state::{Layer, Screen, State, welcome::Step},
    update::is_secret,
    work::Work,
};
use crate::{config::Place, error::CommandError, render};

/// How the next line is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// As it is typed.
    Plain,
    /// Without showing it, at a terminal.
    Hidden,
}

/// Goes on until the end is asked for, or there is nothing more to read.
pub(super) async fn run(
    place: Place,
    source: Source,
    mut state: State,
) -> Result<(), CommandError> {
    let mut ends = [signal(SignalKind::terminate())?, signal(SignalKind::hangup())?];
    let mut work = Work::new(place, source);
    let mut printer = Printer::default();
    let (wanted, mut lines) = reader();
    let mut is_reading = false;
    work.open(None);
    while !work.is_ending() {
        // The next line is read when it is known what it would be an answer to.
        if !is_reading && let Some(reading) = awaited(&state) {
            is_reading = wanted.send(reading).await.is_ok();
        }
        let [terminate, hang_up] = &mut ends;
        let event = tokio::select! {
            biased;
            _ = terminate.recv() => Event::Ending,
            _ = hang_up.recv() => Event::Ending,
            event = work.next() => event,
            line = lines.recv(), if is_reading => {
                is_reading = false;
                printer.answered();
                line.flatten().map_or(Event::Ending, Event::Line)
            }
        };
        let mut effects = work.take(&mut state, event);
        while let Some(event) = work.poll() {
            effects.extend(work.take(&mut state, event));
        }
        for effect in effects {
            perform(&mut work, effect)?;
        }
        for line in printer.news(&state) {
            render::write_line(&render::field(&line))?;
        }
        state.notice = None;
        if let Some(seen) = printer.seen(&state) {
            work.put(Event::Seen(seen));
        }
    }
    work.close(&mut state).await
}

/// Does what an effect says, as far as there is something to do without a screen.
fn perform(work: &mut Work, effect: Effect) -> Result<(), CommandError> {
    match effect {
        Effect::Notify { title, body } => {
            render::write_line(&render::field(&format!("{body} ({title})")))?;
        }
        // There is no clipboard: whoever wants the text has it here.
        Effect::Copy(text) => {
            for line in text.lines() {
                render::write_line(&render::field(line))?;
            }
        }
        Effect::Edit(_) => {
            let why = "there is none without a screen; type the text as a line".to_owned();
            work.put(Event::Edited(Err(why)));
        }
        other => work.carry_out(other),
    }
    Ok(())
}

/// How the next line is to be read, if one can be taken now.
fn awaited(state: &State) -> Option<Reading> {
    match &state.screen {
        Screen::Opening => None,
        Screen::Locked(locked) => (!locked.is_trying).then_some(Reading::Hidden),
        Screen::Welcome(welcome) if welcome.step == Step::Busy => None,
        Screen::Welcome(welcome) if is_secret(&welcome.step) => Some(Reading::Hidden),
        Screen::Welcome(_) => Some(Reading::Plain),
        Screen::Chat => match state.layers.last() {
            Some(Layer::Private(private)) if private.is_busy() => None,
            Some(Layer::Private(private)) if private.hides() => Some(Reading::Hidden),
            _ => state.has_rooms.then_some(Reading::Plain),
        },
    }
}

/// A thread that reads lines, each when it is wanted, since reading cannot be given up. Its end of input is a line that is none.
fn reader() -> (mpsc::Sender<Reading>, mpsc::Receiver<Option<String>>) {
    // One line is wanted at a time.
    let (wanted, mut wants) = mpsc::channel(1);
    let (give, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        let at_terminal = std::io::stdin().is_terminal();
        while let Some(reading) = wants.blocking_recv() {
            let line = if reading == Reading::Hidden && at_terminal {
                rpassword::read_password().ok()
            } else {
                let mut line = String::new();
                let read = std::io::stdin().read_line(&mut line);
                read.ok()
                    .filter(|bytes| *bytes > 0)
                    .map(|_| line.trim_end_matches(['\n', '\r']).to_owned())
            };
            let is_over = line.is_none();
            if give.blocking_send(line).is_err() || is_over {
                return;
            }
        }
    });
    (wanted, lines)
}

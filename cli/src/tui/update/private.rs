//! Another password, another recovery key, how the keys stand, and locking: what is typed for it is never shown, and nothing is changed
//! before everything was answered.

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::{act, ask, draft, say, sheet, trouble, welcome};
use crate::{
    agent::verb::{AccountPassword, LockLine, RecoveryCreate, StoreLock},
    e2ee::recovery::RecoveryKey,
    error::{CommandError, Kind},
    tui::{
        action::Action,
        effect::Effect,
        state::{
            Hidden, Layer, Locked, Private, Screen, SheetKind, State, Want, Weight, private::Step,
        },
    },
};

/// Does what an action about secrets says.
pub(super) fn run(state: &mut State, action: Action) -> Vec<Effect> {
    let step = match action {
        Action::Keys => return sheet::open(state, SheetKind::Keys),
        Action::Lock => return lock(state),
        Action::Recover => Step::OldKey,
        _ => Step::OldPassword,
    };
    state.layers.push(Layer::Private(Box::new(Private::new(step))));
    vec![]
}

/// A key while it lies on top.
pub(super) fn press(state: &mut State, mut private: Box<Private>, key: KeyEvent) -> Vec<Effect> {
    let effects = match key.code {
        _ if private.is_busy() => vec![],
        KeyCode::Esc => return leave(state, private),
        KeyCode::Enter => next(state, &mut private),
        _ if private.step == Step::NewKey => vec![],
        _ => {
            welcome::hide(private.typed.change(), key);
            vec![]
        }
    };
    state.layers.push(Layer::Private(private));
    effects
}

/// Text was pasted.
pub(super) fn paste(private: &mut Private, text: &str) {
    if !private.is_busy() && private.step != Step::NewKey {
        private.typed.change().push_str(text.trim());
    }
}

/// A line was typed, where there are no keys; an empty one leaves it, but goes on from a key that is shown.
pub(super) fn line(state: &mut State, mut private: Box<Private>, line: &str) -> Vec<Effect> {
    if line.is_empty() && private.step != Step::NewKey {
        return leave(state, private);
    }
    *private.typed.change() = line.to_owned().into();
    let effects = next(state, &mut private);
    state.layers.push(Layer::Private(private));
    effects
}

/// Goes back to the key where that is asked for, else leaves everything as it was.
pub(super) fn leave(state: &mut State, mut private: Box<Private>) -> Vec<Effect> {
    if private.is_busy() {
        state.layers.push(Layer::Private(private));
        return vec![];
    }
    if private.step == Step::ConfirmKey {
        go(&mut private, Step::NewKey);
        state.layers.push(Layer::Private(private));
        return vec![];
    }
    say(state, Weight::Done, "Nothing was changed")
}

fn go(private: &mut Private, step: Step) {
    private.step = step;
    private.typed = Hidden::default();
    private.trouble = None;
}

fn refuse(private: &mut Private, why: impl Into<String>) -> Vec<Effect> {
    private.trouble = Some(why.into());
    vec![]
}

/// Takes the answer, and goes on.
fn next(state: &mut State, private: &mut Private) -> Vec<Effect> {
    match private.step {
        Step::OldPassword | Step::NewPassword if private.typed.is_empty() => {
            return refuse(private, "A password is needed");
        }
        Step::OldPassword => {
            private.old = std::mem::take(&mut private.typed);
            go(private, Step::NewPassword);
        }
        Step::NewPassword => {
            private.new = std::mem::take(&mut private.typed);
            go(private, Step::PasswordAgain);
        }
        Step::PasswordAgain if private.typed.show() != private.new.show() => {
            go(private, Step::NewPassword);
            return refuse(private, "The two were not the same: the new one once more");
        }
        Step::PasswordAgain => {
            go(private, Step::ChangingPassword);
            let [old, new] = [&private.old, &private.new].map(|one| one.show().to_owned());
            return vec![ask(state, Want::Password, &AccountPassword { old, new })];
        }
        Step::OldKey => {
            if let Err(error) = RecoveryKey::parse(private.typed.show()) {
                return refuse(private, error.to_string());
            }
            private.old = std::mem::take(&mut private.typed);
            // One that was written down and refused is not made anew.
            if !private.new.is_empty() {
                go(private, Step::ReplacingKey);
                return vec![replace(state, private)];
            }
            go(private, Step::MakingKey);
            return vec![Effect::MakeRecoveryKey];
        }
        Step::NewKey => go(private, Step::ConfirmKey),
        Step::ConfirmKey => {
            if !welcome::is_confirmed(private.new.show(), private.asked, private.typed.show()) {
                private.typed = Hidden::default();
                return refuse(private, "That is not what stands there: look again (Esc)");
            }
            go(private, Step::ReplacingKey);
            return vec![replace(state, private)];
        }
        Step::ChangingPassword | Step::MakingKey | Step::ReplacingKey => {}
    }
    vec![]
}

fn replace(state: &mut State, private: &Private) -> Effect {
    let [old, new] = [&private.old, &private.new].map(|one| one.show().to_owned());
    ask(state, Want::RecoveryKey, &RecoveryCreate { old: Some(old), new })
}

fn under_way(state: &mut State) -> Option<&mut Private> {
    state.layers.iter_mut().find_map(|layer| match layer {
        Layer::Private(private) => Some(&mut **private),
        _ => None,
    })
}

/// A recovery key was made: it is shown, and in force only after it was typed back.
pub(super) fn made(state: &mut State, key: Hidden) -> Vec<Effect> {
    let asked = welcome::asked_back(key.show(), state.now);
    if let Some(private) = under_way(state).filter(|private| private.step == Step::MakingKey) {
        private.asked = asked;
        private.new = key;
        go(private, Step::NewKey);
    }
    vec![]
}

/// It was done.
pub(super) fn done(state: &mut State, want: &Want) -> Vec<Effect> {
    state.layers.retain(|layer| !matches!(layer, Layer::Private(_)));
    let said = match want {
        Want::Password => "The password is changed; all your other sessions have ended",
        _ => "The new recovery key is in force; the one before opens nothing any more",
    };
    let mut effects = say(state, Weight::Done, said);
    effects.extend(sheet::again(state));
    effects
}

/// It was not done: what can be answered better is asked again.
pub(super) fn failed(state: &mut State, want: &Want, error: &CommandError) -> Vec<Effect> {
    let why = crate::render::field(&error.message);
    let Some(private) = under_way(state) else { return trouble(state, error) };
    let step = match (want, error.kind) {
        (Want::Password, Kind::NotPermitted) => Step::OldPassword,
        (Want::Password, Kind::Usage) => Step::NewPassword,
        // What was typed is kept: its end typed again is another attempt.
        (Want::Password, _) => Step::PasswordAgain,
        (_, Kind::NotPermitted | Kind::Usage) => Step::OldKey,
        _ => Step::ConfirmKey,
    };
    go(private, step);
    refuse(private, why)
}

/// Locks the store, once everything that is written is kept.
fn lock(state: &mut State) -> Vec<Effect> {
    draft::rescue(state);
    let mut effects = draft::keep(state);
    state.is_locking = true;
    effects.extend(say(state, Weight::Done, "Locking: what is written is kept first"));
    effects.extend(go_on(state));
    effects
}

/// Goes on with locking, if nothing that was written is on its way any more.
pub(super) fn go_on(state: &mut State) -> Vec<Effect> {
    let matters = |want: &Want| matches!(want, Want::Draft(..) | Want::Sent(_) | Want::Edit(..));
    if !state.is_locking || state.pending.values().any(matters) {
        return vec![];
    }
    state.is_locking = false;
    vec![ask(state, Want::Lock, &StoreLock {})]
}

/// The agent was asked to lock the store.
pub(super) fn asked_to_lock(state: &mut State, line: &LockLine) -> Vec<Effect> {
    match line.refusal() {
        Some(why) => say(state, Weight::Trouble, capital(&why)),
        None => locked(state),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The store is locked: nothing of it is shown or known here any more. What is written and not kept stays, and comes back with it.
pub(super) fn locked(state: &mut State) -> Vec<Effect> {
    if !matches!(state.screen, Screen::Chat) {
        return vec![];
    }
    state.awaited = state.open.as_ref().map(|open| open.target.clone());
    // Whoever could keep it is gone.
    drop(draft::leave(state));
    for layer in std::mem::take(&mut state.layers) {
        if let Layer::Form(form) = layer {
            act::leave_form(state, form);
        }
    }
    // What was to be sent and comes back is still taken in.
    state.pending.retain(|_, want| matches!(want, Want::Sent(_) | Want::Edit(..)));
    state.commands.clear();
    (state.rooms, state.rooms_coming, state.peers, state.typing) = (vec![], vec![], vec![], vec![]);
    state.presence.clear();
    (state.sheet, state.notice, state.standing) = (None, None, None);
    (state.has_rooms, state.is_stale, state.is_locking) = (false, false, false);
    state.strokes.clear();
    state.screen = Screen::Locked(Locked::default());
    vec![Effect::Lock, Effect::Title("rookery".to_owned()), Effect::Redraw]
}

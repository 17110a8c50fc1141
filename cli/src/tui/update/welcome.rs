//! The first run, and a store that is locked: one question at a time.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use rookery_protocol::time::Timestamp;
use zeroize::Zeroizing;

use super::key::is_quit;
use crate::{
    error::CommandError,
    tui::{
        composer::Edit,
        effect::{Effect, Enter},
        event::Entered,
        state::{
            Screen, State, Welcome,
            welcome::{Step, Way},
        },
    },
};

/// A key on one of these screens.
pub(super) fn press(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    if is_quit(key) {
        return super::quit(state);
    }
    let change = state.keymap.edit(key);
    match &mut state.screen {
        Screen::Locked(locked) => {
            match key.code {
                KeyCode::Enter if !locked.is_trying && !locked.passphrase.is_empty() => {
                    locked.is_trying = true;
                    let passphrase = std::mem::take(&mut locked.passphrase);
                    return vec![Effect::Open(Some(passphrase))];
                }
                _ => hide(&mut locked.passphrase, key),
            }
            vec![]
        }
        Screen::Welcome(welcome) => answer(welcome, key, change),
        _ => vec![],
    }
}

/// Text was pasted: an invitation, mostly.
pub(super) fn paste(state: &mut State, text: &str) -> Vec<Effect> {
    let text = text.trim();
    match &mut state.screen {
        Screen::Locked(locked) => locked.passphrase.push_str(text),
        Screen::Welcome(welcome) if is_secret(&welcome.step) => welcome.secret.push_str(text),
        Screen::Welcome(welcome) => {
            if text.starts_with("rookery://") && matches!(welcome.step, Step::Way | Step::Server) {
                welcome.step = Step::Server;
                welcome.way = Way::New;
                welcome.field.set_text("");
            }
            welcome.field.apply(Edit::Insert(text.to_owned()));
        }
        _ => {}
    }
    vec![]
}

/// A line for one of these screens, where there are no keys.
pub(super) fn line(state: &mut State, line: &str) -> Vec<Effect> {
    let text = line.trim();
    match &mut state.screen {
        Screen::Locked(locked) if !locked.is_trying && !line.is_empty() => {
            locked.is_trying = true;
            vec![Effect::Open(Some(Zeroizing::new(line.to_owned())))]
        }
        Screen::Welcome(welcome) if text == "/back" => {
            back(welcome);
            vec![]
        }
        Screen::Welcome(welcome) => {
            welcome.trouble = None;
            if is_choice(&welcome.step) {
                welcome.marked = match text {
                    "1" => 0,
                    "2" => 1,
                    invitation
                        if invitation.starts_with("rookery://") && welcome.step == Step::Way =>
                    {
                        go(welcome, Step::Server);
                        welcome.field.set_text(invitation);
                        return next(welcome);
                    }
                    _ => return refuse(welcome, "Answer 1 or 2"),
                };
            } else if is_secret(&welcome.step) {
                welcome.secret = Zeroizing::new(line.to_owned());
            } else if !text.is_empty() {
                welcome.field.set_text(text);
            }
            next(welcome)
        }
        _ => vec![],
    }
}

/// A key of a text that is not shown.
pub(super) fn hide(secret: &mut Zeroizing<String>, key: KeyEvent) {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('u') if is_control => secret.clear(),
        KeyCode::Char(letter) if !is_control => secret.push(letter),
        KeyCode::Backspace => {
            secret.pop();
        }
        _ => {}
    }
}

/// Whether what is answered is not to be shown.
pub(crate) const fn is_secret(step: &Step) -> bool {
    matches!(step, Step::Password | Step::PasswordAgain | Step::Passphrase)
}

const fn is_choice(step: &Step) -> bool {
    matches!(step, Step::Way | Step::Lock | Step::Certify)
}

/// Whether somebody has answered everything, so that conversations may be shown.
#[must_use]
pub(super) fn is_done(welcome: &Welcome) -> bool {
    welcome.step == Step::Busy
}

fn answer(welcome: &mut Welcome, key: KeyEvent, change: Option<Edit>) -> Vec<Effect> {
    if welcome.step == Step::Busy {
        return vec![];
    }
    if key.code == KeyCode::Esc {
        back(welcome);
        return vec![];
    }
    if is_choice(&welcome.step) {
        match key.code {
            KeyCode::Up | KeyCode::Char('k') => welcome.marked = 0,
            KeyCode::Down | KeyCode::Char('j') | KeyCode::Tab => welcome.marked = 1,
            KeyCode::Char('1') => {
                welcome.marked = 0;
                return next(welcome);
            }
            KeyCode::Char('2') => {
                welcome.marked = 1;
                return next(welcome);
            }
            KeyCode::Enter => return next(welcome),
            _ => {}
        }
        return vec![];
    }
    if key.code == KeyCode::Enter {
        return next(welcome);
    }
    if is_secret(&welcome.step) {
        hide(&mut welcome.secret, key);
    } else if let Some(change) = change {
        welcome.field.apply(change);
    }
    vec![]
}

/// Goes a question back, where nothing was done yet.
fn back(welcome: &mut Welcome) {
    let step = match welcome.step {
        Step::Server => Step::Way,
        Step::Name => Step::Server,
        Step::Password => Step::Name,
        Step::PasswordAgain | Step::Device => Step::Password,
        Step::Lock => Step::Device,
        Step::Passphrase => Step::Lock,
        Step::ConfirmKey => Step::RecoveryKey,
        Step::Code | Step::Recover => Step::Certify,
        _ => return,
    };
    go(welcome, step);
}

/// Goes to a question, with what was answered before filled in.
fn go(welcome: &mut Welcome, step: Step) {
    welcome.trouble = None;
    welcome.secret = Zeroizing::default();
    welcome.marked = 0;
    let known = match step {
        Step::Server => welcome.server.clone(),
        Step::Name => welcome.name.clone(),
        Step::Device => welcome.device.clone(),
        _ => String::new(),
    };
    welcome.field.set_text(&known);
    welcome.step = step;
}

fn refuse(welcome: &mut Welcome, why: impl Into<String>) -> Vec<Effect> {
    welcome.trouble = Some(why.into());
    vec![]
}

/// Takes the answer, and goes on.
fn next(welcome: &mut Welcome) -> Vec<Effect> {
    let text = welcome.field.text().trim().to_owned();
    match welcome.step {
        Step::Way => {
            welcome.way = if welcome.marked == 0 { Way::New } else { Way::Existing };
            go(welcome, Step::Server);
        }
        Step::Server => {
            if welcome.way == Way::New {
                let link = text.parse::<rookery_protocol::name::JoinLink>();
                if let Err(error) = link {
                    return refuse(welcome, format!("This is no invitation: {error}"));
                }
            } else if text.is_empty() {
                return refuse(welcome, "Where is your server? nest.example, or 192.0.2.1:7665");
            }
            welcome.server = text;
            go(welcome, Step::Name);
        }
        Step::Name => match text.parse::<rookery_protocol::name::UserName>() {
            Ok(_) => {
                welcome.name = text;
                go(welcome, Step::Password);
            }
            Err(error) => return refuse(welcome, error.to_string()),
        },
        Step::Password => {
            if welcome.secret.is_empty() {
                return refuse(welcome, "A password is needed");
            }
            welcome.password = std::mem::take(&mut welcome.secret);
            let step = if welcome.way == Way::New { Step::PasswordAgain } else { Step::Device };
            go(welcome, step);
        }
        Step::PasswordAgain => {
            if *welcome.secret != *welcome.password {
                go(welcome, Step::Password);
                return refuse(welcome, "The two were not the same: once more");
            }
            go(welcome, Step::Device);
        }
        Step::Device => {
            if !text.is_empty() {
                welcome.device = text;
            }
            go(welcome, Step::Lock);
        }
        Step::Lock if welcome.marked == 0 => {
            welcome.passphrase = None;
            return enter(welcome);
        }
        Step::Lock => go(welcome, Step::Passphrase),
        Step::Passphrase => {
            if welcome.secret.len() < 8 {
                return refuse(welcome, "At least 8 letters: whoever has this disk may try many");
            }
            welcome.passphrase = Some(std::mem::take(&mut welcome.secret));
            return enter(welcome);
        }
        Step::RecoveryKey => go(welcome, Step::ConfirmKey),
        Step::ConfirmKey => return confirm(welcome, &text),
        Step::Certify => {
            let step = if welcome.marked == 0 { Step::Code } else { Step::Recover };
            go(welcome, step);
        }
        Step::Code => {
            if text.is_empty() {
                return refuse(welcome, "Type the code that the other device shows");
            }
            welcome.step = Step::Busy;
            return vec![Effect::Enter(Enter::Code(Zeroizing::new(text)))];
        }
        Step::Recover => {
            if text.is_empty() {
                return refuse(welcome, "Type or paste the recovery key");
            }
            welcome.step = Step::Busy;
            return vec![Effect::Enter(Enter::Recover(Zeroizing::new(text)))];
        }
        Step::Busy => {}
    }
    vec![]
}

fn enter(welcome: &mut Welcome) -> Vec<Effect> {
    welcome.step = Step::Busy;
    welcome.trouble = None;
    let (name, password) = (welcome.name.clone(), welcome.password.clone());
    let (device, passphrase) = (welcome.device.clone(), welcome.passphrase.clone());
    let link = welcome.server.clone();
    vec![Effect::Enter(match welcome.way {
        Way::New => Enter::Register { link, name, password, device, passphrase },
        Way::Existing => Enter::Login { server: link, name, password, device, passphrase },
    })]
}

/// The groups of a recovery key, as it is written down.
#[must_use]
pub(crate) fn groups(key: &str) -> Vec<&str> {
    key.split(|letter: char| letter == '-' || letter.is_whitespace())
        .filter(|group| !group.is_empty())
        .collect()
}

/// Which two groups of `key` are asked back: it is not known beforehand.
pub(super) fn asked_back(key: &str, now: Timestamp) -> [usize; 2] {
    let now = now.as_millis();
    let count = u64::try_from(groups(key).len()).unwrap_or(2).max(2);
    let one = now.checked_rem(count).unwrap_or(0);
    let others = count.saturating_sub(1).max(1);
    let step = (now / 7).checked_rem(others).unwrap_or(0).saturating_add(1);
    let other = one.saturating_add(step).checked_rem(count).unwrap_or(1);
    let mut asked = [one, other].map(|place| usize::try_from(place).unwrap_or(0));
    asked.sort_unstable();
    asked
}

/// Whether `typed` are the groups of `key` that were asked for.
pub(super) fn is_confirmed(key: &str, asked: [usize; 2], typed: &str) -> bool {
    let groups = groups(key);
    let asked = asked.map(|place| groups.get(place).copied().unwrap_or_default());
    let typed: Vec<&str> = typed.split_whitespace().collect();
    let is_same = |(one, other): (&&str, &&str)| one.eq_ignore_ascii_case(other);
    typed.len() == 2 && typed.iter().zip(&asked).all(is_same)
}

/// Two groups of the key were typed back.
fn confirm(welcome: &mut Welcome, text: &str) -> Vec<Effect> {
    if !is_confirmed(&welcome.recovery_key, welcome.asked, text) {
        return refuse(welcome, "That is not what stands there: look again (Esc shows the key)");
    }
    welcome.recovery_key = Zeroizing::default();
    welcome.step = Step::Busy;
    let mut effects = vec![];
    effects.extend(welcome.recovery_key_file.take().map(Effect::ForgetRecoveryKey));
    effects.push(Effect::Open(welcome.passphrase.clone()));
    effects
}

/// Coming in has gone one way or the other.
pub(super) fn entered(state: &mut State, outcome: Result<Entered, CommandError>) -> Vec<Effect> {
    let now = state.now;
    let Screen::Welcome(welcome) = &mut state.screen else { return vec![] };
    match outcome {
        Ok(entered) => {
            welcome.pinned = entered.pinned.or(welcome.pinned.take());
            welcome.password = Zeroizing::default();
            if let Some(key) = entered.recovery_key {
                welcome.asked = asked_back(&key, now);
                welcome.recovery_key = Zeroizing::new(key);
                welcome.recovery_key_file = entered.recovery_key_file;
                go(welcome, Step::RecoveryKey);
                return vec![];
            }
            if entered.is_uncertified {
                go(welcome, Step::Certify);
                return vec![];
            }
            welcome.step = Step::Busy;
            vec![Effect::Open(welcome.passphrase.clone())]
        }
        Err(error) => {
            let hint = error.hints.first().map_or_else(String::new, |hint| format!(" ({hint})"));
            let why = crate::render::field(&format!("{}{hint}", error.message));
            let step = match (welcome.step.clone(), error.kind) {
                (_, crate::error::Kind::Usage) if why.contains("password") => Step::Password,
                _ if welcome.password.is_empty() => Step::Certify,
                _ if why.contains("name") => Step::Name,
                _ => Step::Server,
            };
            go(welcome, step);
            refuse(welcome, why)
        }
    }
}

//! What the agent tells and answers.

use std::{collections::HashMap, time::Duration};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    ask, compose, draft, key, listed, log, navigate, people, private, question, say, sheet, trouble,
};
use crate::{
    agent::verb::{
        Changed, Connection, FileEvent, LinkEvent, LogLine, MoveEvent, PeerList, PresenceLine,
        PresenceShow, ReadLines, SavedLine, SendLine, SettingLine, Settings, WatchEvent,
    },
    error::{CommandError, Kind},
    render,
    tui::{
        effect::Effect,
        event::{Opened, Timer},
        state::{
            Anchor, Locked, Message, Screen, Sheet, SheetKind, State, Want, Weight, Welcome,
            welcome::Step, window::PAGE,
        },
    },
};

/// How long somebody's typing shows without another sign of it.
const TYPING: Duration = Duration::from_secs(6);
/// How often times that pass are drawn again, while there are any.
pub(super) const CLOCK: Duration = Duration::from_secs(30);

/// The profile was opened, or was not.
pub(super) fn opened(state: &mut State, opened: Opened) -> Vec<Effect> {
    match opened {
        Opened::Ready { me, seed } => {
            state.me = Some(*me);
            state.seed = seed;
            if let Screen::Welcome(welcome) = &state.screen
                && !super::welcome::is_done(welcome)
            {
                return vec![];
            }
            state.screen = Screen::Chat;
            let settings = Settings { of: None, name: None, value: None };
            vec![Effect::Watch, ask(state, Want::Settings, &settings)]
        }
        Opened::Nobody { device } => {
            state.screen = Screen::Welcome(Box::new(Welcome::new(&device)));
            key::press_early(state)
        }
        Opened::Uncertified => {
            let step = Step::Certify;
            state.screen = Screen::Welcome(Box::new(Welcome { step, ..Welcome::new("") }));
            vec![]
        }
        Opened::Locked { wrong } => {
            state.screen = Screen::Locked(Locked { was_wrong: wrong, ..Locked::default() });
            key::press_early(state)
        }
        Opened::Failed(error) => {
            state.is_quitting = true;
            let mut effects = trouble(state, &error);
            effects.push(Effect::Quit);
            effects
        }
    }
}

/// Something has changed.
pub(super) fn watched(state: &mut State, event: WatchEvent) -> Vec<Effect> {
    match event {
        WatchEvent::Standing { standing } => {
            let was_online = state.is_online();
            let is_online = standing.connection == Connection::Online;
            if is_online {
                state.offline_since = None;
            } else if was_online || state.offline_since.is_none() {
                state.offline_since = Some(state.now);
            }
            state.standing = Some(standing);
            let mut effects = vec![];
            if is_online && !was_online {
                effects.push(ask(state, Want::Presence, &PresenceShow {}));
                effects.push(ask(state, Want::Peers, &PeerList {}));
            }
            if !is_online {
                effects.push(Effect::Timer(Timer::Clock, CLOCK));
            }
            effects
        }
        WatchEvent::Rooms { rooms, complete } => {
            state.rooms_coming.extend(rooms.into_iter().map(listed::harmless));
            if !complete {
                return vec![];
            }
            let rooms = std::mem::take(&mut state.rooms_coming);
            listed::took(state, rooms)
        }
        WatchEvent::Messages { .. } => navigate::refresh_all(state),
        WatchEvent::Typing { typing } => {
            state.typing = typing;
            let own = state.own_name().to_owned();
            state.typing.retain(|line| line.name != own);
            if state.typing.is_empty() {
                vec![]
            } else {
                vec![Effect::Timer(Timer::Typing, TYPING)]
            }
        }
        WatchEvent::Presence if state.is_online() => {
            vec![ask(state, Want::Presence, &PresenceShow {})]
        }
        WatchEvent::Presence => vec![],
        WatchEvent::Locked => private::locked(state),
    }
}

/// The agent tells nothing more for now.
pub(super) fn watch_lost(state: &mut State, error: &CommandError) -> Vec<Effect> {
    if !matches!(state.screen, Screen::Chat) {
        return vec![];
    }
    let mut effects = trouble(state, error);
    effects.push(Effect::Watch);
    effects
}

/// Whether something waits for a server that is away.
fn has_peer_trouble(state: &State) -> bool {
    state.peers.iter().any(|peer| !peer.is_up())
}

/// Times that pass have changed.
pub(super) fn clock(state: &mut State) -> Vec<Effect> {
    let waits = state.room().is_some_and(|room| room.waits_since.is_some());
    let mut effects = vec![];
    if !state.is_online() || waits {
        effects.push(Effect::Timer(Timer::Clock, CLOCK));
    }
    if state.is_online() && has_peer_trouble(state) {
        effects.push(ask(state, Want::Peers, &PeerList {}));
    }
    effects
}

/// A question brings something before its answer.
pub(super) fn told(state: &mut State, ticket: u64, event: Value) -> Vec<Effect> {
    match state.pending.get(&ticket) {
        Some(Want::Link) => {
            if let Ok(event) = serde_json::from_value::<LinkEvent>(event) {
                let rows = sheet::link_code(state, &event);
                state.sheet = Some(Sheet::of(SheetKind::Link, rows));
            }
            vec![]
        }
        Some(Want::Sent(outgoing)) => {
            let outgoing = outgoing.clone();
            if let Ok(part) = serde_json::from_value(event) {
                compose::sent_part(state, &outgoing, &part);
            }
            vec![]
        }
        Some(Want::Saved) => match serde_json::from_value::<FileEvent>(event) {
            Ok(part) if part.size_bytes > 0 => {
                let [have, all] = [part.have_bytes, part.size_bytes].map(render::size);
                say(state, Weight::Done, format!("{have} of {all} got"))
            }
            _ => vec![],
        },
        Some(Want::Done(_)) => match serde_json::from_value::<MoveEvent>(event) {
            Ok(event) => say(state, Weight::Done, event.waits_for),
            Err(_) => vec![],
        },
        _ => vec![],
    }
}

/// An answer.
pub(super) fn answered(
    state: &mut State,
    ticket: u64,
    outcome: Result<Value, CommandError>,
) -> Vec<Effect> {
    let command = state.commands.remove(&ticket);
    let Some(want) = state.pending.remove(&ticket) else { return vec![] };
    let mut effects = match outcome {
        Ok(value) => took(state, want, value),
        Err(error) => {
            // What was to be done comes back to be mended; what it only led to, such as a page to read, does not.
            let was_to_do = matches!(
                want,
                Want::Done(_)
                    | Want::Enter
                    | Want::Leave(_)
                    | Want::Invite
                    | Want::Linked
                    | Want::Saved
            );
            if let Some(written) = command.filter(|_| was_to_do) {
                question::mend(state, written);
            }
            failed(state, want, &error)
        }
    };
    effects.extend(private::go_on(state));
    effects
}

fn parse<T: DeserializeOwned>(value: Value) -> Result<T, CommandError> {
    serde_json::from_value(value).map_err(|error| {
        CommandError::new(Kind::Failed, format!("the agent answered something else: {error}"))
    })
}

fn took(state: &mut State, want: Want, value: Value) -> Vec<Effect> {
    let outcome = match want {
        Want::Newest(_)
        | Want::Older(_)
        | Want::Newer(_)
        | Want::Around(..)
        | Want::Again(_)
        | Want::Thread(_) => parse(value).map(|lines| took_page(state, want, lines)),
        Want::Sent(outgoing) => {
            parse(value).map(|line: SendLine| compose::sent(state, &outgoing, &line))
        }
        Want::Presence => parse(value).map(|lines: Vec<PresenceLine>| {
            let harmless = |text: String| render::field(&text);
            state.presence = lines
                .into_iter()
                .map(|line| (line.name, (line.state, line.status.map(harmless))))
                .collect::<HashMap<_, _>>();
            vec![]
        }),
        Want::Peers => parse(value).map(|peers| {
            state.peers = peers;
            // As long as one is away, it is asked again now and then.
            if has_peer_trouble(state) { vec![Effect::Timer(Timer::Clock, CLOCK)] } else { vec![] }
        }),
        Want::Sheet(kind) => sheet::took(state, &kind, value),
        Want::Edit(..) => Ok(sheet::again(state)),
        Want::Done(said) => {
            let mut effects = if said.is_empty() { vec![] } else { say(state, Weight::Done, said) };
            effects.extend(sheet::again(state));
            Ok(effects)
        }
        Want::Enter => parse(value).map(|changed: Changed| {
            let said = match changed.standing.as_deref() {
                Some("asking") => "Asked to be let in: a member has to agree",
                _ => "You are in; reading what there is",
            };
            say(state, Weight::Done, said)
        }),
        Want::Leave(community) => parse(value).map(|changed: Changed| {
            let said = match changed.leaving {
                Some(leaving) => format!(
                    "Leaving {community} waits for its server {}, since {}",
                    render::field(&leaving.hub),
                    state.clock(&leaving.since)
                ),
                None => format!("You have left {community}"),
            };
            let mut effects = say(state, Weight::Done, said);
            effects.extend(sheet::again(state));
            effects
        }),
        Want::Invite => parse(value).map(|changed: Changed| sheet::invitation(state, changed)),
        Want::Settings => {
            parse(value).map(|lines: Vec<SettingLine>| people::took_settings(state, &lines))
        }
        Want::Saved => parse(value).map(|saved: SavedLine| {
            let said = format!("Saved to {}", render::field(&saved.path));
            say(state, Weight::Done, said)
        }),
        Want::Kept => Ok(vec![]),
        Want::Draft(target, thread, text) => {
            Ok(draft::kept(state, &target, thread.as_deref(), text))
        }
        Want::ThreadDraft(target, root) => {
            parse(value).map(|lines| draft::took_thread(state, &target, &root, lines))
        }
        Want::Log(target) => {
            parse(value).map(|lines: Vec<LogLine>| log::took(state, &target, &lines))
        }
        Want::Link => sheet::introduced(state, value),
        Want::Linked => {
            let mut effects = say(state, Weight::Done, "Done");
            state.sheet = None;
            effects.extend(sheet::open(state, SheetKind::Devices));
            Ok(effects)
        }
        Want::Unread(target, message, _) => Ok(navigate::unread(state, &target, message)),
        Want::Password | Want::RecoveryKey => Ok(private::done(state, &want)),
        Want::Lock => parse(value).map(|line| private::asked_to_lock(state, &line)),
        Want::Names(target) => parse(value).map(|lines| people::took_names(state, &target, lines)),
    };
    outcome.unwrap_or_else(|error| trouble(state, &error))
}

fn took_page(state: &mut State, want: Want, lines: ReadLines) -> Vec<Effect> {
    let own = state.own_name().to_owned();
    let page: Vec<Message> = lines
        .messages
        .into_iter()
        .map(|line| Message::of(line, &own))
        .filter(Message::is_shown)
        .collect();
    let target = match &want {
        Want::Newest(target)
        | Want::Older(target)
        | Want::Newer(target)
        | Want::Around(target, _)
        | Want::Again(target)
        | Want::Thread(target) => target.clone(),
        _ => return vec![],
    };
    // Another conversation may have been opened meanwhile.
    let Some(open) = state.shown_mut(&target) else { return vec![] };
    match want {
        Want::Newest(_) => {
            let last = page.last().map(|message| message.from.clone());
            open.window.put_newest(page, PAGE);
            navigate::mark_new(open);
            // Whoever has just written has stopped typing.
            if let Some(last) = last {
                state.typing.retain(|line| line.name != last);
            }
        }
        Want::Older(_) => open.window.put_older(page, PAGE),
        Want::Newer(_) => open.window.put_newer(page, PAGE),
        Want::Again(_) => open.window.refresh(page),
        Want::Around(..) if page.is_empty() => {
            open.window.loading = crate::tui::state::window::Loading::No;
            return say(state, Weight::Trouble, "Nothing was said there");
        }
        Want::Around(_, id) => {
            let there = page.iter().find(|message| message.id == id).or_else(|| page.last());
            let anchor = match there {
                Some(message) => Anchor::At { id: message.id.clone(), skip: 0 },
                None => Anchor::End,
            };
            if let Anchor::At { id, .. } = &anchor {
                open.selecting = Some(crate::tui::state::Selecting { id: id.clone() });
            }
            open.window.put(page, anchor, PAGE);
        }
        Want::Thread(_) => {
            if let Some(thread) = &mut open.thread {
                thread.window.put_newest(page, PAGE);
            }
        }
        _ => {}
    }
    let mut effects = listed::wait_to_open(state);
    if std::mem::take(&mut state.is_stale) {
        effects.extend(navigate::refresh_all(state));
    }
    effects
}

fn failed(state: &mut State, want: Want, error: &CommandError) -> Vec<Effect> {
    match want {
        Want::Sent(outgoing) => compose::not_sent(state, &outgoing, error),
        Want::Password | Want::RecoveryKey => private::failed(state, &want, error),
        Want::Edit(target, message, text, back) => {
            compose::not_changed(state, &target, (message, &text, &back), error)
        }
        // What waits for a connection is asked for again when there is one.
        Want::Presence | Want::Peers | Want::Kept | Want::Names(_) | Want::ThreadDraft(..) => {
            vec![]
        }
        Want::Draft(..) => draft::not_kept(state, error),
        Want::Log(target) => log::failed(state, &target),
        Want::Newest(target)
        | Want::Older(target)
        | Want::Newer(target)
        | Want::Around(target, _)
        | Want::Again(target) => {
            if let Some(open) = state.shown_mut(&target) {
                open.window.loading = crate::tui::state::window::Loading::No;
            }
            trouble(state, error)
        }
        Want::Sheet(kind) => {
            if state.sheet.as_ref().is_some_and(|sheet| sheet.kind == kind) {
                state.sheet = None;
            }
            trouble(state, error)
        }
        Want::Link => {
            state.sheet = None;
            trouble(state, error)
        }
        Want::Unread(target, _, stayed) => {
            if let Some(open) = state.open.as_mut().filter(|open| open.target == target) {
                open.stays_unread = stayed;
            }
            trouble(state, error)
        }
        Want::Enter => {
            state.awaited = None;
            trouble(state, error)
        }
        _ => trouble(state, error),
    }
}

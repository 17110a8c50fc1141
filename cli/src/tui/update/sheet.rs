//! Sheets: opening them, their keys, and taking in what they list.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{act, ask, draft, navigate, question, rows, say};
use crate::{
    agent::verb::{
        Changed, ChannelList, CommunityLog, CommunityShow, CommunityVerify, ContactList,
        ContactSuggest, DeviceLinked, DeviceList, KeysShow, LinkEvent, MemberList, PeerList, Read,
        RoleList, Search, SessionList, Settings, Status, Verify,
    },
    error::{CommandError, Kind},
    tui::{
        action::{Place, TABLE},
        effect::Effect,
        keymap::Stroke,
        state::{Message, Row, Sheet, SheetKind, State, WIDE, Want, Weight},
        theme::Role,
    },
};
use ratatui::crossterm::event::KeyCode;

/// How many messages a search lists at first.
const FOUND: u32 = 50;

/// How many statements of a log are listed: the newest.
const LOGGED: u32 = 500;

/// Opens a sheet and asks for its rows.
pub(super) fn open(state: &mut State, kind: SheetKind) -> Vec<Effect> {
    if state.sheet.as_ref().is_none_or(|sheet| sheet.kind != kind) {
        state.sheet = Some(Sheet::loading(kind.clone()));
    }
    let mut effects = draft::close_thread(state).unwrap_or_default();
    effects.push(request(state, kind));
    effects
}

fn request(state: &mut State, kind: SheetKind) -> Effect {
    let want = Want::Sheet(kind.clone());
    match kind {
        SheetKind::Members(community) => ask(state, want, &MemberList { community }),
        SheetKind::Roles(community) => ask(state, want, &RoleList { community }),
        SheetKind::Channels(community) => ask(state, want, &ChannelList { community }),
        SheetKind::Community(community) => ask(state, want, &CommunityShow { community }),
        SheetKind::Log(community) => {
            let count = Some(LOGGED);
            ask(state, want, &CommunityLog { community, count, ..CommunityLog::default() })
        }
        SheetKind::Checked(community) => ask(state, want, &CommunityVerify { community }),
        SheetKind::Suggestions => ask(state, want, &ContactSuggest {}),
        SheetKind::Sessions => ask(state, want, &SessionList {}),
        SheetKind::Peers => ask(state, want, &PeerList {}),
        SheetKind::Search(query) => ask(state, want, &Search { query, count: FOUND, cursor: None }),
        SheetKind::Pins(target) => {
            let read = Read {
                with: target,
                count: 1_000,
                peek: true,
                local: true,
                before: None,
                after: None,
                around: None,
                from: None,
            };
            ask(state, want, &read)
        }
        SheetKind::Devices => ask(state, want, &DeviceList {}),
        SheetKind::Contacts => ask(state, want, &ContactList {}),
        SheetKind::Verify(who) => ask(state, want, &Verify { who, same: None }),
        SheetKind::Settings(of) => ask(state, want, &Settings { of, name: None, value: None }),
        SheetKind::Keys => ask(state, want, &KeysShow {}),
        SheetKind::Account
        | SheetKind::Why(_)
        | SheetKind::Link
        | SheetKind::Invitation
        | SheetKind::Help => ask(state, want, &Status {}),
    }
}

/// Asks again for what the open sheet lists, after something was changed.
pub(super) fn again(state: &mut State) -> Vec<Effect> {
    let kind = state.sheet.as_ref().map(|sheet| sheet.kind.clone());
    match kind {
        None
        | Some(
            SheetKind::Why(_)
            | SheetKind::Link
            | SheetKind::Invitation
            | SheetKind::Help
            | SheetKind::Search(_),
        ) => vec![],
        Some(kind) => vec![request(state, kind)],
    }
}

fn parse<T: DeserializeOwned>(value: Value) -> Result<T, CommandError> {
    serde_json::from_value(value).map_err(|error| {
        CommandError::new(Kind::Failed, format!("the agent answered something else: {error}"))
    })
}

/// The rows of a sheet are here.
pub(super) fn took(
    state: &mut State,
    kind: &SheetKind,
    value: Value,
) -> Result<Vec<Effect>, CommandError> {
    let mut cursor = None;
    let rows = match kind {
        SheetKind::Members(_) => rows::members(state, parse(value)?),
        SheetKind::Roles(_) => rows::roles(parse(value)?),
        SheetKind::Channels(_) => rows::channels(parse(value)?),
        SheetKind::Community(_) => rows::community(state, &parse(value)?),
        SheetKind::Log(_) => rows::log(state, parse(value)?),
        SheetKind::Search(_) => {
            let found: crate::agent::verb::SearchLines = parse(value)?;
            cursor.clone_from(&found.next);
            rows::found(state, &found.messages, found.complete)
        }
        SheetKind::Pins(_) => {
            let lines: crate::agent::verb::ReadLines = parse(value)?;
            rows::pins(state, &lines.messages)
        }
        SheetKind::Checked(_) => rows::checked(&parse(value)?),
        SheetKind::Suggestions => rows::suggestions(state, parse(value)?),
        SheetKind::Sessions => rows::sessions(state, parse(value)?),
        SheetKind::Peers => {
            state.peers = parse(value)?;
            rows::peers(state)
        }
        SheetKind::Devices => rows::devices(state, parse(value)?),
        SheetKind::Contacts => rows::contacts(state, parse(value)?),
        SheetKind::Verify(_) => rows::verify(&parse(value)?),
        SheetKind::Settings(of) => rows::settings(of.as_deref(), parse(value)?),
        SheetKind::Account => rows::account(state, &parse(value)?),
        SheetKind::Keys => rows::keys(state, &parse(value)?),
        SheetKind::Why(_) | SheetKind::Link | SheetKind::Invitation | SheetKind::Help => vec![],
    };
    if let Some(sheet) = state.sheet.as_mut().filter(|sheet| sheet.kind == *kind) {
        sheet.fill(rows);
        sheet.cursor = cursor;
    }
    Ok(vec![])
}

/// A key for the open sheet; nothing if it does not take that one.
pub(super) fn press(state: &mut State, stroke: Stroke) -> Option<Vec<Effect>> {
    let sheet = state.sheet.as_mut()?;
    match stroke.code {
        KeyCode::Esc => {
            state.sheet = None;
            return Some(vec![]);
        }
        KeyCode::Tab => {
            sheet.has_keys = false;
            return Some(vec![]);
        }
        KeyCode::Up => sheet.step(-1),
        KeyCode::Down => sheet.step(1),
        KeyCode::PageUp => sheet.step(-10),
        KeyCode::PageDown => sheet.step(10),
        KeyCode::Enter => {
            // A row that says something only takes the key all the same: what is written is not sent by it.
            let command = sheet.row().and_then(|row| row.enter.clone());
            return Some(command.map_or_else(Vec::new, |command| enter(state, &command)));
        }
        _ => {
            let letter = stroke.letter()?;
            let key = match &sheet.kind {
                SheetKind::Verify(who) => who.clone(),
                _ => sheet.row().map(|row| row.key.clone()).unwrap_or_default(),
            };
            let found = sheet.kind.keys().iter().find(|one| one.key == letter);
            let Some(found) = found else {
                match letter {
                    'j' => sheet.step(1),
                    'k' => sheet.step(-1),
                    'q' => state.sheet = None,
                    // Letters that mean nothing here are not written anywhere.
                    _ => {}
                }
                return Some(vec![]);
            };
            let command = found.command.replace("{}", &key);
            if found.command.contains("{}") && key.is_empty() {
                return Some(vec![]);
            }
            if command.ends_with(' ') {
                return Some(act::ask_for(state, &capital(found.about), &command));
            }
            return Some(question::chosen(state, &command));
        }
    }
    Some(vec![])
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Does what choosing a row says. Where messages were found, it goes to the message.
pub(super) fn enter(state: &mut State, command: &str) -> Vec<Effect> {
    if let Some(place) = command.strip_prefix("goto ")
        && let Some((target, id)) = place.split_once(' ')
    {
        let (target, id) = (target.to_owned(), id.to_owned());
        let mut effects = navigate::open(state, &target);
        let_see(state);
        effects.extend(navigate::go_to(state, &id));
        return effects;
    }
    question::chosen(state, command)
}

/// Has the open conversation be seen: a sheet that lies over it is closed, one beside it gives up the keys.
pub(super) fn let_see(state: &mut State) {
    if state.size.0 < WIDE {
        state.sheet = None;
    } else if let Some(sheet) = &mut state.sheet {
        sheet.has_keys = false;
    }
}

/// All keys and commands.
pub(super) fn help(state: &mut State) -> Vec<Effect> {
    let mut list = vec![
        Row::words("Enter sends, Alt+Enter begins a line, Tab completes @ # : /", "")
            .looking(Role::Heading),
        Row::words(
            "Up in an empty line selects a message, and letters act on it; Esc goes back",
            "",
        ),
        Row::words("// at the beginning sends a slash", ""),
    ];
    for spec in TABLE {
        let keys: Vec<String> = state
            .keymap
            .keys_of(spec.action)
            .into_iter()
            .take(2)
            .map(|(place, key)| match place {
                Place::Everywhere | Place::Writing => key,
                Place::Vim => format!("{key} in vi's list"),
                Place::Selecting => format!("{key} on a message"),
            })
            .collect();
        let slash = spec.slash.first().copied().unwrap_or_default();
        let end = if spec.args.is_empty() || spec.args.starts_with('[') { "" } else { " " };
        list.push(Row::choice(
            format!("{:26} /{slash} {}", spec.title, spec.args),
            keys.join(", "),
            slash,
            Some(format!("/{slash}{end}")),
        ));
    }
    state.sheet = Some(Sheet::of(SheetKind::Help, list));
    vec![]
}

/// All there is to tell about a message.
pub(super) fn why(state: &mut State, message: &Message) -> Vec<Effect> {
    let rows = rows::why(state, message);
    if let Some(open) = &mut state.open {
        open.selecting = None;
    }
    state.sheet = Some(Sheet::of(SheetKind::Why(message.id.clone()), rows));
    vec![]
}

/// An invitation was made: its link is shown, and put on the clipboard.
pub(super) fn invitation(state: &mut State, changed: Changed) -> Vec<Effect> {
    let Some(link) = changed.link else { return say(state, Weight::Done, "Invited") };
    let rows = vec![
        Row::words("Whoever has this link may come in:", ""),
        Row::words(link.clone(), "").looking(Role::Link),
        Row::words("It is on your clipboard, if your terminal allows it.", ""),
    ];
    state.sheet = Some(Sheet::of(SheetKind::Invitation, rows));
    vec![Effect::Copy(link)]
}

/// The code by which another device is linked.
pub(super) fn link_code(state: &State, event: &LinkEvent) -> Vec<Row> {
    vec![
        Row::words("On the new device, type this code:", ""),
        Row::words(event.code.clone(), "").looking(Role::Strong),
        Row::words("It is asked for there by `rookery`, or by `rookery login --code-file`.", ""),
        Row::words(format!("It holds until {}", state.clock(&event.expires)), ""),
        Row::words("Waiting for the device", "").looking(Role::Dim),
    ]
}

/// Another device has typed the code.
pub(super) fn introduced(state: &mut State, value: Value) -> Result<Vec<Effect>, CommandError> {
    let linked: DeviceLinked = parse(value)?;
    if linked.state == "linked" {
        return Ok(open(state, SheetKind::Devices));
    }
    let name = crate::render::field(&linked.name.unwrap_or_default());
    let platform = crate::render::field(&linked.platform.unwrap_or_default());
    let rows = vec![
        Row::words(format!("\"{name}\" ({platform}) has typed the code."), ""),
        Row::words("y lets it in: it will read everything that you can read.", ""),
        Row::words("n turns it away.", ""),
    ];
    state.sheet = Some(Sheet::of(SheetKind::Link, rows));
    Ok(vec![])
}

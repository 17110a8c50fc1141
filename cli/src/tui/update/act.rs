//! Doing what an action says, however it was reached: by a key, a slash command, the palette or a line without a screen.

use super::{
    about, attach, compose, find, manage, navigate, pane, people, private, question, say, scroll,
    sheet, split, terminal, usage, vim, write,
};
use crate::{
    agent::verb::{Conversation, RoomKind},
    tui::{
        action::{Action, Spec, TABLE},
        composer::Composer,
        effect::Effect,
        state::{Choice, Form, Layer, Picker, SheetKind, State, Weight},
    },
};

/// How many forms that were closed are remembered.
const MAX_UNFINISHED: usize = 32;

/// The slash commands with what they do: the first name of each action.
pub fn commands() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.iter().flat_map(|spec| spec.slash.iter().map(|slash| (*slash, spec.title)))
}

/// Runs a command that something on the screen stands for.
pub fn run_line(state: &mut State, line: &str) -> Vec<Effect> {
    // One that is not complete is put where it can be completed.
    if line.ends_with(' ') {
        return ask_for(state, line.trim_end(), line);
    }
    command(state, line).0
}

/// Runs a slash command; says whether there is such a one.
pub(super) fn command(state: &mut State, line: &str) -> (Vec<Effect>, bool) {
    let line = line.trim();
    let (word, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let word = word.strip_prefix('/').unwrap_or(word);
    if let Some(action) = Action::slashed(word) {
        return (run(state, action, argument.trim()), true);
    }
    let near = commands().find(|(slash, _)| slash.starts_with(word) && !word.is_empty());
    let hint = near.map_or_else(
        || "F1 lists them; // at the beginning sends a slash".to_owned(),
        |(slash, _)| format!("perhaps /{slash}"),
    );
    (usage(state, format!("There is no command /{word}: {hint}")), false)
}

/// Runs what was picked.
pub(super) fn pick(state: &mut State, choice: &Choice) -> Vec<Effect> {
    let count = state.habits.entry(choice.command.clone()).or_default();
    *count = count.saturating_add(1);
    if choice.command.ends_with(' ') {
        return run_line(state, &choice.command);
    }
    question::chosen(state, &choice.command)
}

/// Whether an action cannot be done without being told more, and is not told by what is selected.
pub(super) fn wants_more(spec: &Spec) -> bool {
    !spec.args.is_empty() && !spec.args.starts_with('[')
}

/// Does it.
pub(super) fn run(state: &mut State, action: Action, argument: &str) -> Vec<Effect> {
    if argument.is_empty()
        && let Some(spec) = action.spec()
        && wants_more(spec)
    {
        let slash = spec.slash.first().copied().unwrap_or_default();
        let title = format!("{}: {}", spec.title, spec.args);
        return ask_for(state, &title, &format!("/{slash} "));
    }
    if action.is_writing() {
        return write::asked(state, action);
    }
    match action {
        Action::Command => ask_for(state, "Command", "/"),
        Action::Write => vim::begin(state, argument),
        Action::Mark | Action::ToMark | Action::NextPane | Action::ClosePane | Action::Zoom => {
            pane::run(state, action, argument)
        }
        Action::Split | Action::SplitBeside | Action::Layout => split::run(state, action, argument),
        Action::Reply
        | Action::Edit
        | Action::Delete
        | Action::Report
        | Action::React
        | Action::Unreact
        | Action::Pin
        | Action::Copy
        | Action::CopyLink
        | Action::Quote
        | Action::Forward
        | Action::Why
        | Action::Quoted
        | Action::Retry
        | Action::Unread => about::run(state, action, argument),
        Action::Contacts
        | Action::Contact
        | Action::Suggest
        | Action::Sessions
        | Action::Peers
        | Action::Logout
        | Action::Accept
        | Action::Decline
        | Action::Block
        | Action::Unblock
        | Action::Verify
        | Action::Devices
        | Action::Link
        | Action::Status
        | Action::Away
        | Action::Account
        | Action::Set
        | Action::Mute
        | Action::Expire
        | Action::Notify => people::run(state, action, argument),
        Action::Join
        | Action::Leave
        | Action::Group
        | Action::Topic
        | Action::Rename
        | Action::Invite
        | Action::Kick
        | Action::Ban
        | Action::Unban
        | Action::Approve
        | Action::Refuse
        | Action::Check
        | Action::Archive
        | Action::Community
        | Action::Channel
        | Action::Role
        | Action::Audit
        | Action::Nick => manage::run(state, action, argument),
        Action::Me => {
            let thread = compose::thread_with_keys(state);
            compose::send_text(state, &format!("*{argument}*"), None, thread)
        }
        Action::Password | Action::Keys | Action::Recover | Action::Lock => {
            private::run(state, action)
        }
        Action::Theme
        | Action::Mouse
        | Action::Bind
        | Action::Reload
        | Action::Suspend
        | Action::Redraw
        | Action::Quit => terminal::run(state, action, argument),
        _ => around(state, action, argument),
    }
}

/// Goes somewhere, or shows something.
fn around(state: &mut State, action: Action, argument: &str) -> Vec<Effect> {
    match action {
        Action::Go if argument.is_empty() => pick_from(state, ""),
        Action::Go => go(state, argument),
        Action::Palette => pick_from(state, ">"),
        Action::Search if argument.is_empty() => ask_for(state, "Search", "/search "),
        Action::Search => sheet::open(state, SheetKind::Search(argument.to_owned())),
        Action::File | Action::Files | Action::Save => attach::run(state, action, argument),
        Action::Mentions => sheet::open(state, SheetKind::Search("has:mention".to_owned())),
        Action::Links => match &state.open {
            Some(open) => {
                let query = format!("has:link in:{}", open.target);
                sheet::open(state, SheetKind::Search(query))
            }
            None => usage(state, "Open a conversation first"),
        },
        Action::Here => find::here(state, argument),
        Action::HereOlder => find::step(state, -1),
        Action::HereNewer => find::step(state, 1),
        Action::Unreads => pick_from(state, "*"),
        Action::Help => sheet::help(state),
        Action::NextUnread => match state.next_unread() {
            Some(target) => navigate::open(state, &target),
            None => say(state, Weight::Done, "Nothing is unread"),
        },
        Action::Nth => {
            let place = argument.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            match place.and_then(|place| state.listed().get(place).cloned()) {
                Some(target) => navigate::open(state, &target),
                None => usage(state, format!("The list has no room {argument}")),
            }
        }
        Action::Above => navigate::neighbour(state, -1),
        Action::Below => navigate::neighbour(state, 1),
        Action::Rooms => {
            state.shows_rooms = !state.shows_rooms;
            vec![]
        }
        Action::Fold => fold(state, argument),
        Action::Members => match state.community() {
            Some(community) => toggle(state, SheetKind::Members(community)),
            None => usage(state, "Only rooms have members: a direct conversation is of two people"),
        },
        Action::Thread => navigate::thread(state),
        Action::Bare => {
            state.is_bare = !state.is_bare;
            vec![Effect::Redraw]
        }
        Action::PageUp => scroll::page_up(state),
        Action::PageDown => scroll::page_down(state),
        Action::Oldest => navigate::oldest(state),
        Action::Newest => navigate::newest(state),
        Action::GoTo => navigate::go_to(state, argument),
        Action::Select => navigate::select(state, 0),
        Action::SelectUp => navigate::select(state, -1),
        Action::SelectDown => navigate::select(state, 1),
        Action::Read => navigate::read(state, argument),
        Action::Editor => {
            let text = state.open.as_mut().map(|open| open.writing().text());
            text.map_or_else(Vec::new, |text| vec![Effect::Edit(text)])
        }
        Action::Pins => match &state.open {
            Some(open) if open.is_room() => toggle(state, SheetKind::Pins(open.target.clone())),
            _ => usage(state, "Only rooms have pins"),
        },
        _ => vec![],
    }
}

/// Asks for what completes `command`, beginning with what was filled in before and not done.
pub(super) fn ask_for(state: &mut State, title: &str, command: &str) -> Vec<Effect> {
    let unfinished = state.unfinished.remove(command).unwrap_or_default();
    let (title, command) = (title.to_owned(), command.to_owned());
    state.layers.push(Layer::Form(Form { title, command, field: Composer::new(&unfinished) }));
    vec![]
}

/// A form is closed: what was filled in is there when it is opened again.
pub(super) fn leave_form(state: &mut State, form: Form) {
    leave_unfinished(state, form.command, form.field.text());
}

/// Has what was filled in for `command` be there when it is asked for the next time.
pub(super) fn leave_unfinished(state: &mut State, command: String, text: String) {
    if text.is_empty() {
        return;
    }
    if state.unfinished.len() >= MAX_UNFINISHED {
        state.unfinished.pop_first();
    }
    state.unfinished.insert(command, text);
}

fn toggle(state: &mut State, kind: SheetKind) -> Vec<Effect> {
    if state.sheet.as_ref().is_some_and(|sheet| sheet.kind == kind) {
        state.sheet = None;
        return vec![];
    }
    sheet::open(state, kind)
}

fn fold(state: &mut State, name: &str) -> Vec<Effect> {
    let own = state.room().and_then(|room| room.community.clone());
    let wanted = name.to_lowercase();
    let all = state.rooms.iter().filter_map(|room| room.community.as_ref());
    let found = all.clone().find(|community| community.to_lowercase() == wanted).cloned();
    let community = if name.is_empty() { own } else { found };
    let Some(community) = community else {
        return usage(state, "Which community? /fold NAME");
    };
    if !state.folded.remove(&community) {
        state.folded.insert(community);
    }
    vec![]
}

/// Opens what `name` fits: exactly, or as the only one.
fn go(state: &mut State, name: &str) -> Vec<Effect> {
    sheet::let_see(state);
    match named(state, name) {
        Some(target) => navigate::open(state, &target),
        None if name.starts_with('@') => {
            usage(state, format!("{name} is no name that somebody can have"))
        }
        None => pick_from(state, name),
    }
}

/// What is called `name`: a conversation of the list, or somebody who was never written to.
pub(super) fn named(state: &State, name: &str) -> Option<String> {
    let small = name.to_lowercase();
    let exact = state.rooms.iter().find(|room| {
        let target = room.target.to_lowercase();
        target == small
            || room.title.to_lowercase() == small
            || target == format!("@{small}")
            || state.short_name(&room.title).to_lowercase()
                == small.trim_start_matches(['@', '#', '+'])
    });
    if let Some(room) = exact {
        return Some(room.target.clone());
    }
    let person = name.strip_prefix('@')?;
    person.parse::<rookery_protocol::name::Address>().ok()?;
    Some(format!("@{person}"))
}

/// A list of everything, to pick from.
fn pick_from(state: &mut State, query: &str) -> Vec<Effect> {
    let mut choices = rooms(state, "/go");
    for spec in TABLE {
        let slash = spec.slash.first().copied().unwrap_or_default();
        let keys = state.keymap.keys_of(spec.action);
        let key = keys.first().map_or_else(String::new, |(_, key)| format!("  {key}"));
        let end = if wants_more(spec) { " " } else { "" };
        choices.push(Choice {
            title: spec.title.to_owned(),
            detail: format!("/{slash}{key}"),
            command: format!("/{slash}{end}"),
            sigils: ">",
        });
    }
    offer(state, query, choices)
}

/// A list of conversations, to pick one from for `command`.
pub(super) fn pick_room(state: &mut State, command: &str, query: &str) -> Vec<Effect> {
    let choices = rooms(state, command);
    offer(state, query, choices)
}

/// All conversations, each with `command` for it.
fn rooms(state: &State, command: &str) -> Vec<Choice> {
    let choice = |room: &Conversation| {
        let sigils = match (room.kind, room.unread > 0) {
            (RoomKind::Direct, true) => "@*",
            (RoomKind::Direct, false) => "@",
            (RoomKind::Group, true) => "+#*",
            (RoomKind::Group, false) => "+#",
            (_, true) => "#*",
            (_, false) => "#",
        };
        let unread = if room.unread > 0 { format!("{} new", room.unread) } else { String::new() };
        Choice {
            title: room.target.clone(),
            detail: unread,
            command: format!("{command} {}", room.target),
            sigils,
        }
    };
    state.rooms.iter().map(choice).collect()
}

fn offer(state: &mut State, query: &str, mut choices: Vec<Choice>) -> Vec<Effect> {
    // What is taken often stands first among what fits alike.
    choices.sort_by_key(|choice| {
        std::cmp::Reverse(state.habits.get(&choice.command).copied().unwrap_or_default())
    });
    state.layers.push(Layer::Picker(Picker::new(query, choices)));
    vec![]
}

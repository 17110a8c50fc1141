//! People, this account, and how one is called to.

use super::{ask, say, sheet, terminal, usage};
use crate::{
    agent::verb::{
        ContactAct, ContactChange, Conversation, DeviceLink, DeviceRename, DeviceRevoke, Logout,
        MemberLine, PresenceSet, PresenceWord, ProfileSet, RoomKind, Send, SessionEnd, SettingLine,
        Settings, Until, Verify,
    },
    args::short,
    tui::{
        action::Action,
        effect::Effect,
        glyphs::Glyphs,
        state::{Editing, Layer, Message, Outgoing, Picker, SheetKind, State, Want, Weight},
        text::markdown::EmojiStyle,
        theme::BuiltIn,
    },
};

/// The settings of the account; others are of a conversation.
const ACCOUNT: [&str; 10] = [
    "notifications",
    "theme",
    "keys",
    "typing",
    "glyphs",
    "ambiguous",
    "emoji",
    "links",
    "events",
    "notices",
];

/// Does what an action about people or this account says.
pub(super) fn run(state: &mut State, action: Action, argument: &str) -> Vec<Effect> {
    match action {
        Action::Contacts => sheet::open(state, SheetKind::Contacts),
        Action::Contact => contact(state, argument, ContactAct::Add, "Asked"),
        Action::Accept => contact(state, argument, ContactAct::Accept, "You are contacts now"),
        Action::Decline => contact(state, argument, ContactAct::Decline, "Declined"),
        Action::Block => contact(state, argument, ContactAct::Block, "Blocked"),
        Action::Unblock => contact(state, argument, ContactAct::Unblock, "Unblocked"),
        Action::Verify => verify(state, argument),
        Action::Devices => devices(state, argument),
        Action::Link => link(state, argument),
        Action::Status => {
            let (word, text) = argument.split_once(' ').unwrap_or((argument, ""));
            let word = match word {
                "online" => PresenceWord::Online,
                "away" => PresenceWord::Away,
                "busy" => PresenceWord::Busy,
                "invisible" => PresenceWord::Invisible,
                _ => return usage(state, "/status online, away, busy or invisible, and a text"),
            };
            presence(state, word, text)
        }
        Action::Away => presence(state, PresenceWord::Away, argument),
        Action::Account => match argument.split_once(' ') {
            Some(("name", name)) => {
                let verb =
                    ProfileSet { display_name: Some(name.to_owned()), ..ProfileSet::default() };
                vec![ask(state, Want::Done("Your display name is set".to_owned()), &verb)]
            }
            _ => sheet::open(state, SheetKind::Account),
        },
        Action::Suggest => sheet::open(state, SheetKind::Suggestions),
        Action::Peers => sheet::open(state, SheetKind::Peers),
        Action::Sessions => match argument.split_once(' ') {
            Some(("end", id)) => {
                let verb = SessionEnd { id: id.trim().to_owned() };
                vec![ask(state, Want::Done("That session has ended".to_owned()), &verb)]
            }
            _ => sheet::open(state, SheetKind::Sessions),
        },
        Action::Logout => {
            vec![ask(state, Want::Done("Signed out: Ctrl+Q ends rookery".to_owned()), &Logout {})]
        }
        Action::Set => setting(state, argument),
        Action::Mute => {
            let value = if argument.is_empty() { "on" } else { argument };
            conversation_setting(state, "mute", value)
        }
        Action::Expire => expire(state, argument),
        Action::Notify => conversation_setting(state, "notifications", argument),
        _ => vec![],
    }
}

/// Whom a command is about: who is named, or the other side of the open conversation.
fn whom(state: &State, argument: &str) -> Option<String> {
    if !argument.is_empty() {
        let name = argument.trim_start_matches('@');
        return Some(format!("@{name}"));
    }
    let open = state.open.as_ref()?;
    open.target.starts_with('@').then(|| open.target.clone())
}

fn contact(state: &mut State, argument: &str, act: ContactAct, said: &str) -> Vec<Effect> {
    let Some(who) = whom(state, argument) else { return usage(state, "Who? Write @name") };
    let change = ContactChange { who: who.clone(), act };
    vec![ask(state, Want::Done(format!("{said}: {who}")), &change)]
}

fn verify(state: &mut State, argument: &str) -> Vec<Effect> {
    let (who, word) = argument.split_once(' ').unwrap_or((argument, ""));
    let Some(who) = whom(state, who) else { return usage(state, "Whom? Write /verify @name") };
    let same = match word.trim() {
        "" => return sheet::open(state, SheetKind::Verify(who)),
        "same" => true,
        "different" => false,
        _ => return usage(state, "/verify @name, then same or different"),
    };
    let said = if same {
        format!("{who} is verified: you are warned if that changes")
    } else {
        format!("Noted: what {who} shows is not what you see. Do not trust this conversation")
    };
    vec![ask(state, Want::Done(said), &Verify { who, same: Some(same) })]
}

fn devices(state: &mut State, argument: &str) -> Vec<Effect> {
    let mut words = argument.splitn(3, ' ');
    let (word, device) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let rest = words.next().unwrap_or_default();
    match word {
        "rename" if !device.is_empty() && !rest.is_empty() => {
            let verb = DeviceRename { device: device.to_owned(), name: rest.to_owned() };
            vec![ask(state, Want::Done(format!("It is called {rest} now")), &verb)]
        }
        "revoke" | "remove" if !device.is_empty() => {
            let verb = DeviceRevoke {
                device: device.to_owned(),
                stolen: rest == "stolen",
                recovery_key: None,
            };
            vec![ask(
                state,
                Want::Done("Revoked: nothing is sealed for it any more".to_owned()),
                &verb,
            )]
        }
        _ => sheet::open(state, SheetKind::Devices),
    }
}

fn link(state: &mut State, word: &str) -> Vec<Effect> {
    let answer = match word {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    };
    let verb = DeviceLink { yes: false, no_history: false, answer };
    if answer.is_some() {
        return vec![ask(state, Want::Linked, &verb)];
    }
    if !state.is_online() {
        return usage(state, "There is no connection: a device is linked through the server");
    }
    state.sheet = Some(crate::tui::state::Sheet::loading(SheetKind::Link));
    vec![ask(state, Want::Link, &verb)]
}

fn presence(state: &mut State, word: PresenceWord, text: &str) -> Vec<Effect> {
    let status = Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned);
    let verb = PresenceSet { state: word, status };
    vec![ask(state, Want::Done("Told to your contacts".to_owned()), &verb)]
}

/// Changes a setting of the account or of a conversation.
pub(super) fn set(state: &mut State, of: Option<String>, name: &str, value: &str) -> Vec<Effect> {
    let verb = Settings { of, name: Some(name.to_owned()), value: Some(value.to_owned()) };
    vec![ask(state, Want::Done(format!("{name} is {value}")), &verb)]
}

fn conversation_setting(state: &mut State, name: &str, value: &str) -> Vec<Effect> {
    match state.open.as_ref().map(|open| open.target.clone()) {
        Some(target) => set(state, Some(target), name, value),
        None => usage(state, "Open a conversation first"),
    }
}

/// Has what is written in the conversation forgotten after a time, or says how that stands.
fn expire(state: &mut State, argument: &str) -> Vec<Effect> {
    if !argument.is_empty() {
        return conversation_setting(state, "expire", argument);
    }
    let said = match state.room().map(|room| room.expires_after) {
        None => return usage(state, "Open a conversation first"),
        Some(None) => "What you write here stays: /expire 8h has every device forget it".to_owned(),
        Some(Some(seconds)) => {
            let time = short(seconds.into());
            format!("What you write here expires after {time}: /expire off has it stay")
        }
    };
    say(state, Weight::Done, said)
}

fn setting(state: &mut State, argument: &str) -> Vec<Effect> {
    match argument.split_once(' ') {
        None if argument.is_empty() => sheet::open(state, SheetKind::Settings(None)),
        None => sheet::open(
            state,
            SheetKind::Settings(state.open.as_ref().map(|open| open.target.clone())),
        ),
        Some((name, value)) => {
            let line = SettingLine {
                v: 1,
                name: name.to_owned(),
                value: value.to_owned(),
                of: None,
                values: vec![],
            };
            if ACCOUNT.contains(&name) {
                let mut effects = wear(state, &line);
                effects.extend(set(state, None, name, value));
                return effects;
            }
            conversation_setting(state, name, value)
        }
    }
}

/// Has the screen be as a setting says.
fn wear(state: &mut State, line: &SettingLine) -> Vec<Effect> {
    state.settings.insert(line.name.clone(), line.value.clone());
    let value = line.value.as_str();
    let look = &mut state.look;
    let before = (look.glyphs, look.emoji, look.links);
    match line.name.as_str() {
        "theme" => {
            if let Some(built_in) = BuiltIn::parse(value) {
                terminal::wear(look, built_in);
            }
        }
        "keys" => state.editing = if value == "vim" { Editing::Vim } else { Editing::Plain },
        "emoji" => {
            look.emoji = if value == "names" { EmojiStyle::Names } else { EmojiStyle::Glyphs };
        }
        "links" => {
            look.links = match value {
                "on" => true,
                "off" => false,
                _ => look.fitting_links,
            };
        }
        "events" => look.events = value != "hidden",
        // For a screen that others see.
        "notices" => look.notify_names = value != "bare",
        "glyphs" | "ambiguous" => {
            let chosen = |name: &str| state.settings.get(name).map_or("", String::as_str);
            look.glyphs = match (chosen("glyphs"), chosen("ambiguous")) {
                ("unicode", _) => Glyphs::Unicode,
                // All lines of boxes are of ambiguous width.
                ("ascii", _) | (_, "wide") => Glyphs::Ascii,
                _ => look.fitting_glyphs,
            };
        }
        _ => {}
    }
    // What was laid out before holds no longer.
    if before == (look.glyphs, look.emoji, look.links) { vec![] } else { vec![Effect::Redraw] }
}

/// The settings of the account are here.
pub(super) fn took_settings(state: &mut State, lines: &[SettingLine]) -> Vec<Effect> {
    let mut effects: Vec<Effect> = lines.iter().flat_map(|line| wear(state, line)).collect();
    effects.truncate(1);
    effects
}

/// The members are here, for completion.
pub(super) fn took_names(state: &mut State, target: &str, lines: Vec<MemberLine>) -> Vec<Effect> {
    if let Some(open) = state.shown_mut(target) {
        open.names = lines.into_iter().map(|line| line.name).collect();
    }
    state.count_unverified();
    vec![]
}

/// Sends a message's text to another conversation.
pub(super) fn forward(state: &mut State, target: &str, message: &Message) -> Vec<Effect> {
    if target.is_empty() {
        let choices = state
            .rooms
            .iter()
            .map(|room| crate::tui::state::Choice {
                title: room.target.clone(),
                detail: String::new(),
                command: format!("/forward {}", room.target),
                sigils: "#@+",
            })
            .collect();
        state.layers.push(Layer::Picker(Picker::new("", choices)));
        return vec![];
    }
    if message.text.is_empty() && message.file.is_some() {
        let way = "A file is not forwarded: /save writes it, and /file sends it";
        return say(state, Weight::Trouble, way);
    }
    let author = state.short_name(&message.from).to_owned();
    let quoted: Vec<String> = message.text.lines().map(|line| format!("> {line}")).collect();
    let id = state.new_id();
    let text = format!("{author}:\n{}", quoted.join("\n"));
    let verb = Send {
        to: target.to_owned(),
        text: text.clone(),
        file: None,
        file_name: None,
        id: Some(id.clone()),
        until: Until::Sent,
        timeout_ms: None,
        no_queue: false,
        expires_after: None,
        reply_to: None,
        thread: None,
    };
    let mut effects = say(state, Weight::Done, format!("Forwarded to {target}"));
    let outgoing = Outgoing { target: target.to_owned(), thread: None, reply_to: None, id, text };
    effects.push(ask(state, Want::Sent(outgoing), &verb));
    effects
}

/// Calls for attention where something came that the rules of its conversation ask to be told: mentions and direct messages by themselves,
/// nothing of what is muted, nothing of what is being looked at.
pub(super) fn notify(state: &State, former: &[Conversation]) -> Vec<Effect> {
    let looks_at = |room: &Conversation| {
        state.has_focus && state.open.as_ref().is_some_and(|open| open.target == room.target)
    };
    let mut effects = vec![];
    for room in state.rooms.iter().filter(|room| !room.muted && !looks_at(room)) {
        let before = former.iter().find(|old| old.target == room.target);
        let (unread, mentions) = before.map_or((0, 0), |old| (old.unread, old.mentions));
        let is_wanted = match room.notifications.as_str() {
            "all" => room.unread > unread,
            "none" => false,
            _ => room.mentions > mentions,
        };
        if !is_wanted {
            continue;
        }
        let (title, body) = if state.look.notify_names {
            let what =
                if room.kind == RoomKind::Direct { "wrote to you" } else { "has news for you" };
            (room.target.clone(), format!("{} {what}", state.short_name(&room.title)))
        } else {
            ("rookery".to_owned(), "something new".to_owned())
        };
        effects.push(Effect::Notify { title, body });
    }
    // One call is enough, however much came.
    effects.truncate(1);
    effects
}

//! The first run, and a store that is locked.

use ratatui::{Frame, layout::Rect};

use super::{composer, put, words};
use crate::tui::{
    state::{
        Locked, State, Welcome,
        welcome::{Step, Way},
    },
    text::{self, TextLine},
    theme::Role,
};

/// Where the text stands.
fn middle(area: Rect) -> Rect {
    let width = area.width.saturating_sub(4).min(76);
    Rect {
        x: area.x.saturating_add(area.width.saturating_sub(width) / 2),
        y: area.y.saturating_add(area.height / 8),
        width,
        height: area.height.saturating_sub(area.height / 8),
    }
}

/// Writes lines from the top, and says which row comes next.
fn write(state: &State, frame: &mut Frame<'_>, area: Rect, lines: &[TextLine]) -> u16 {
    let mut row = 0_u16;
    for line in lines {
        let mut wrapped = text::wrap(std::slice::from_ref(line), usize::from(area.width));
        if wrapped.is_empty() {
            wrapped.push(TextLine::default());
        }
        for line in wrapped {
            put(frame.buffer_mut(), area, row, &line, state);
            row = row.saturating_add(1);
        }
    }
    row
}

/// A store that wants a passphrase.
pub(super) fn locked(state: &State, locked: &Locked, frame: &mut Frame<'_>, area: Rect) {
    let area = middle(area);
    let mut lines = vec![
        words("rookery", Role::Heading),
        words("", Role::Text),
        words("The store on this machine is locked.", Role::Text),
    ];
    if locked.was_wrong {
        lines.push(words("That was not its passphrase.", Role::Error));
    }
    lines.push(words("", Role::Text));
    lines.push(words(if locked.is_trying { "Unlocking" } else { "Passphrase:" }, Role::Text));
    let row = write(state, frame, area, &lines);
    hidden(state, locked.passphrase.chars().count(), frame, area, row);
    let hint = words("Enter unlocks, Ctrl+Q leaves", Role::Hint);
    put(frame.buffer_mut(), area, row.saturating_add(2), &hint, state);
}

/// So many letters that are not shown.
fn hidden(state: &State, count: usize, frame: &mut Frame<'_>, area: Rect, row: u16) {
    let stars = "*".repeat(count.min(usize::from(area.width).saturating_sub(4)));
    let mut line = words("> ", Role::Key);
    line.push(&stars, Role::Text, None);
    let columns = u16::try_from(line.width()).unwrap_or(0);
    put(frame.buffer_mut(), area, row, &line, state);
    frame.set_cursor_position((area.x.saturating_add(columns), area.y.saturating_add(row)));
}

/// The question, what is said about it, and how far along it is.
pub(in crate::tui) fn question(welcome: &Welcome) -> (&'static str, Vec<String>) {
    let (title, said): (_, Vec<&str>) = match (&welcome.step, welcome.way) {
        (Step::Way, _) => (
            "Welcome to rookery",
            vec![
                "Chat whose servers cannot read it. How do you come in?",
                "An invitation (a link that begins with rookery://) can be pasted right here.",
            ],
        ),
        (Step::Server, Way::New) => {
            ("Your invitation", vec!["Paste the link that you were given."])
        }
        (Step::Server, Way::Existing) => {
            ("Your server", vec!["Its name or address, such as nest.example or 192.0.2.1:7665."])
        }
        (Step::Name, Way::New) => (
            "Your name",
            vec!["How others call you: 2 to 32 of a-z, 0-9, dot, hyphen and underscore."],
        ),
        (Step::Name, Way::Existing) => ("Your name", vec!["The name of your account."]),
        (Step::Password, Way::New) => (
            "A password",
            vec![
                "It is for the server, which never sees your messages. It reads nothing by itself.",
            ],
        ),
        (Step::Password, Way::Existing) => ("Your password", vec![]),
        (Step::PasswordAgain, _) => ("The same password again", vec![]),
        (Step::Device, _) => {
            ("This device", vec!["What is it called? Only your own devices see that."])
        }
        (Step::Lock, _) => (
            "How is the store on this disk locked?",
            vec!["Your keys and messages are sealed here."],
        ),
        (Step::Passphrase, _) => (
            "A passphrase",
            vec!["It is asked for whenever rookery starts. Nobody can bring it back."],
        ),
        (Step::Busy, _) => ("One moment", vec!["Keys are being made and the server is asked."]),
        (Step::RecoveryKey, _) => (
            "Your recovery key",
            vec![
                "It brings back your account and your history when every device is gone. Nothing else does. Write it down now; whoever has it has your account.",
            ],
        ),
        (Step::ConfirmKey, _) => ("Did you write it down?", vec![]),
        (Step::Certify, _) => (
            "Let this device in",
            vec!["Your password was right, and reads nothing. Who lets this device in?"],
        ),
        (Step::Code, _) => (
            "The code",
            vec![
                "On your other device, choose Link a device (/link, or rookery device link), and type its code here.",
            ],
        ),
        (Step::Recover, _) => ("Your recovery key", vec!["Type or paste it."]),
    };
    (title, said.into_iter().map(str::to_owned).collect())
}

/// What can be chosen from at a step.
pub(in crate::tui) const fn choices(step: &Step) -> &'static [&'static str] {
    match step {
        Step::Way => {
            &["I have an invitation: make an account", "I have an account: add this device"]
        }
        Step::Lock => &[
            "By a key file beside it: nothing to type (good for a server of your own)",
            "By a passphrase: typed at each start (good for a shared machine or a laptop)",
        ],
        Step::Certify => &["Another device of mine, by a code", "My recovery key"],
        _ => &[],
    }
}

/// The first run.
pub(super) fn draw(state: &State, welcome: &Welcome, frame: &mut Frame<'_>, area: Rect) {
    let area = middle(area);
    let (title, said) = question(welcome);
    let mut lines = vec![words(title, Role::Heading), words("", Role::Text)];
    // The key comes first: on a screen without room for everything, it is what must be seen.
    if welcome.step == Step::RecoveryKey {
        let groups = crate::tui::update::recovery_groups(&welcome.recovery_key);
        for (place, four) in groups.chunks(4).enumerate() {
            let first = place.saturating_mul(4).saturating_add(1);
            lines.push(words(format!("{first:3}  {}", four.join("  ")), Role::Strong));
        }
        lines.push(words("Enter: it is written down", Role::Hint));
        lines.push(words("", Role::Text));
    }
    lines.extend(said.into_iter().map(|line| words(line, Role::Text)));
    if let Some(pinned) = &welcome.pinned {
        lines.push(words(format!("The server's fingerprint is {pinned}"), Role::Dim));
    }
    if welcome.step == Step::ConfirmKey {
        let [one, other] = welcome.asked.map(|place| place.saturating_add(1));
        let said = format!("Type groups {one} and {other} of it, with a space between them.");
        lines.push(words(said, Role::Text));
    }
    if let Some(trouble) = &welcome.trouble {
        lines.push(words("", Role::Text));
        lines.push(words(trouble.clone(), Role::Error));
    }
    lines.push(words("", Role::Text));
    let row = write(state, frame, area, &lines);
    let choices = choices(&welcome.step);
    for (at, choice) in choices.iter().enumerate() {
        let is_marked = at == welcome.marked;
        let sign = if is_marked { ">" } else { " " };
        let role = if is_marked { Role::Selected } else { Role::Text };
        let line = words(format!("{sign} {} {choice}", at.saturating_add(1)), role);
        let place = row.saturating_add(u16::try_from(at).unwrap_or(0));
        put(frame.buffer_mut(), area, place, &line, state);
    }
    let is_secret = matches!(welcome.step, Step::Password | Step::PasswordAgain | Step::Passphrase);
    let is_text = matches!(
        welcome.step,
        Step::Server | Step::Name | Step::Device | Step::ConfirmKey | Step::Code | Step::Recover
    );
    if is_secret {
        hidden(state, welcome.secret.chars().count(), frame, area, row);
    } else if is_text {
        let field = Rect {
            x: area.x.saturating_add(2),
            y: area.y.saturating_add(row),
            width: area.width.saturating_sub(2),
            height: area.height.saturating_sub(row).min(4),
        };
        put(frame.buffer_mut(), area, row, &words("> ", Role::Key), state);
        composer::line(state, &welcome.field, frame, field);
    }
    let hint = words("Enter goes on, Esc goes back, Ctrl+Q leaves", Role::Hint);
    put(frame.buffer_mut(), area, area.height.saturating_sub(2), &hint, state);
}

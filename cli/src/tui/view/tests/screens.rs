//! Every screen, sheet and layer.

use serde_json::{Value, json};

use crate::tui::{
    event::{Event, Opened},
    fixture::{Desk, line, page},
    glyphs::Glyphs,
    state::{Screen, Welcome, welcome::Step},
};

/// Every screen, sheet and layer that there is.
pub(super) fn screens(columns: u16, rows: u16, glyphs: Glyphs) -> Vec<Desk> {
    let filled = || Desk::filled(columns, rows, glyphs);
    let fresh = || Desk::new(columns, rows, glyphs);
    let mut all = vec![fresh(), Desk::opened(columns, rows, glyphs), filled()];
    for wrong in [false, true] {
        let mut desk = fresh();
        desk.tell(Event::Opened(Opened::Locked { wrong }));
        desk.write("secret");
        all.push(desk);
    }
    for step in [
        Step::Way,
        Step::Server,
        Step::Name,
        Step::Password,
        Step::PasswordAgain,
        Step::Device,
        Step::Lock,
        Step::Passphrase,
        Step::Busy,
        Step::RecoveryKey,
        Step::ConfirmKey,
        Step::Certify,
        Step::Code,
        Step::Recover,
    ] {
        let mut desk = fresh();
        let mut welcome = Welcome::new("laptop");
        welcome.recovery_key = zeroize::Zeroizing::new(["AAAA-BBBB"; 7].join("-"));
        welcome.step = step;
        welcome.trouble = Some("that went wrong".to_owned());
        desk.state.screen = Screen::Welcome(Box::new(welcome));
        desk.tell(Event::Paste("漢字".to_owned()));
        all.push(desk);
    }
    for keys in
        ["f1", "up", "up i", "ctrl-p", "ctrl-k", "ctrl-f", "alt-t", "alt-l", "alt-s", "up d"]
    {
        let mut desk = filled();
        desk.keys(keys);
        all.push(desk);
    }
    for (command, method, answer) in sheets("a text") {
        let mut desk = filled();
        desk.state.open.as_mut().unwrap().draft.composer.set_text(command);
        desk.keys("enter");
        // Once before its rows are there, and once with them.
        let mut early = filled();
        early.state.open.as_mut().unwrap().draft.composer.set_text(command);
        early.keys("enter");
        all.push(early);
        desk.answer(method, answer);
        all.push(desk);
    }
    let mut desk = filled();
    desk.tell(Event::Paste("x\n".repeat(5_000)));
    desk.draw();
    all.push(desk);
    let mut desk = filled();
    desk.tell(Event::Paste("x\n".repeat(5_000)));
    desk.keys("enter");
    all.push(desk);
    let mut desk = filled();
    desk.write(":ta");
    all.push(desk);
    all
}

/// The sheets that ask for rows, with rows in which every text is `text`.
pub(super) fn sheets(text: &str) -> Vec<(&'static str, &'static str, Value)> {
    let role = json!({ "v": 1, "name": text, "rank": 1, "permissions": [text] });
    let channel = json!({
        "v": 1, "name": "rookery-devs#x", "kind": "text", "topic": text, "position": 1,
        "slow_mode_s": 5, "archived": true, "private": true, "history": text, "unread": 0,
        "mentions": 0, "refused": 0, "exceptions": [text],
    });
    let found =
        line(3, text, "2026-05-12T10:03:00.000Z", text, json!({ "seq": 3, "pinned": true }));
    vec![
        (
            "/members",
            "member.list",
            json!([{ "v": 1, "name": text, "user": "u", "nickname": text, "roles": [text], "owner": true, "permissions": [text] }]),
        ),
        ("/role", "role.list", json!([role])),
        ("/channel", "channel.list", json!([channel])),
        (
            "/community",
            "community.show",
            json!({
                "v": 1, "id": "i", "name": text, "kind": "community", "standing": "member",
                "members": 3, "channels": [channel], "unread": 0, "mentions": 0, "alarm": text,
                "topic": text, "owner": text, "hub": text, "policy": text, "history": text,
                "epoch": 1, "log": 3, "roles": [role], "asking": [text],
                "invites": [{ "invite": 1, "by": text, "user": text, "roles": [text] }],
            }),
        ),
        (
            "/audit",
            "community.log",
            json!([{ "v": 1, "seq": 1, "at": text, "by": text, "what": text, "whom": text, "text": text, "hash": "h" }]),
        ),
        ("/search x", "search", json!({ "messages": [found], "synced": true, "complete": false })),
        ("/pins", "read", page(std::slice::from_ref(&found))),
        (
            "/devices",
            "device.list",
            json!([{ "v": 1, "id": "d", "name": text, "this": true, "bot": true, "added": 1, "last_seen": text, "waiting": 4 }]),
        ),
        (
            "/contacts",
            "contact.list",
            json!([{ "v": 1, "name": text, "state": text, "trust": text, "display_name": text }]),
        ),
        (
            "/verify @bo@nest.example",
            "verify",
            json!({ "v": 1, "name": text, "safety_number": text, "trust": "changed" }),
        ),
        ("/set", "settings", json!([{ "v": 1, "name": text, "value": text, "values": [text] }])),
        (
            "/account",
            "status",
            json!({
                "v": 1, "connection": "offline", "reason": text, "caught_up": false, "queued": 1,
                "journal_owed": 0, "unread": 0, "failed": 1, "resets": 0, "name": text,
                "refused": { "misdirected": 0, "replayed": 0, "unopenable": 0, "forked": 0 },
                "server": text, "address": text, "fingerprint": text, "state": "certified",
                "device": text, "devices": 2, "software": text,
            }),
        ),
    ]
}

//! Another password, another recovery key, how the keys stand, and locking.

use rookery_protocol::time::Timestamp;
use serde_json::json;

use super::{asks, desk, open};
use crate::{
    agent::verb::WatchEvent,
    e2ee::{SeededRandom, recovery::RecoveryKey},
    error::{CommandError, Kind},
    tui::{
        effect::Effect,
        event::{Event, Opened},
        fixture::{Desk, NOW, rooms},
        state::{Layer, Private, Screen, private::Step},
        update::update,
    },
};

fn private(desk: &Desk) -> &Private {
    match desk.state.layers.last() {
        Some(Layer::Private(private)) => private,
        other => panic!("nothing secret but {other:?}"),
    }
}

fn key(seed: u64) -> String {
    RecoveryKey::generate(&mut SeededRandom::new(seed)).to_text().to_string()
}

/// Types what is never to be seen.
fn answer(desk: &mut Desk, text: &str) -> Vec<Effect> {
    desk.write(text);
    assert!(!desk.screen().contains(text), "it is shown:\n{}", desk.screen());
    desk.keys("enter")
}

fn refused(kind: Kind) -> CommandError {
    CommandError::new(kind, "this is why")
}

#[test]
fn a_password_is_changed_unseen_the_new_one_typed_twice() {
    let mut desk = desk();
    desk.write("/password");
    desk.keys("enter");
    assert!(answer(&mut desk, "the old horse").is_empty());
    assert!(answer(&mut desk, "a new horse").is_empty());
    assert!(answer(&mut desk, "another horse").is_empty());
    assert_eq!(private(&desk).step, Step::NewPassword);
    assert!(desk.screen().contains("not the same"), "{}", desk.screen());
    answer(&mut desk, "a new horse");
    let effects = answer(&mut desk, "a new horse");
    let asked = asks(&effects, "account.password");
    assert_eq!(asked, [&json!({ "old": "the old horse", "new": "a new horse" })]);
    assert!(desk.keys("enter esc x").is_empty(), "nothing is done twice");
    desk.answer("account.password", json!({}));
    assert!(desk.state.layers.is_empty());
    assert!(desk.said().contains("is changed"), "{}", desk.said());
}

#[test]
fn a_wrong_password_is_asked_for_again_and_one_that_was_not_taken_is_kept() {
    for (kind, step) in [
        (Kind::NotPermitted, Step::OldPassword),
        (Kind::Usage, Step::NewPassword),
        (Kind::NoConnection, Step::PasswordAgain),
    ] {
        let mut desk = desk();
        desk.keys("ctrl-x w");
        for typed in ["xyzzy-old", "xyzzy-new", "xyzzy-new"] {
            answer(&mut desk, typed);
        }
        desk.refuse("account.password", refused(kind));
        assert_eq!(private(&desk).step, step);
        assert!(desk.screen().contains("this is why"));
        if step == Step::PasswordAgain {
            let effects = answer(&mut desk, "xyzzy-new");
            assert_eq!(asks(&effects, "account.password").len(), 1);
        }
    }
}

#[test]
fn leaving_changes_nothing_and_what_is_written_stays() {
    let mut desk = desk();
    desk.write("half a thought");
    for keys in ["ctrl-x w", "ctrl-x X"] {
        desk.keys(keys);
        desk.tell(Event::Paste("pasted secret".to_owned()));
        assert!(!desk.screen().contains("pasted"));
        let effects = desk.keys("esc");
        assert!(desk.state.layers.is_empty());
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Ask { .. })), "{effects:?}");
        assert_eq!(desk.written(), "half a thought");
    }
}

/// Goes as far as a new key on the screen.
fn shown() -> (Desk, String) {
    let mut desk = desk();
    desk.write("/recover");
    desk.keys("enter");
    assert!(desk.screen().contains("opens nothing"), "{}", desk.screen());
    assert!(answer(&mut desk, "xyzzy").is_empty());
    assert_eq!(private(&desk).step, Step::OldKey);
    desk.keys("ctrl-u");
    desk.tell(Event::Paste(key(1)));
    assert_eq!(desk.keys("enter"), [Effect::MakeRecoveryKey]);
    let new = key(2);
    desk.tell(Event::RecoveryKey(zeroize::Zeroizing::new(new.clone()).into()));
    (desk, new)
}

#[test]
fn a_new_recovery_key_is_in_force_only_when_it_was_typed_back() {
    let (mut desk, new) = shown();
    let groups: Vec<&str> = new.split('-').collect();
    let screen = desk.screen();
    assert!(groups.iter().all(|group| screen.contains(group)), "{screen}");
    desk.keys("enter");
    let asked = private(&desk).asked;
    assert!(!desk.screen().contains(groups[3]), "the key is not shown while it is asked for");
    for wrong in ["", "aaaa", "aaaa bbbb"] {
        desk.keys("ctrl-u");
        desk.write(wrong);
        assert!(desk.keys("enter").is_empty(), "{wrong:?}");
    }
    desk.keys("esc");
    assert!(desk.screen().contains(groups[3]), "it can be looked at again");
    desk.keys("enter");
    desk.write(&format!("{} {}", groups[asked[0]].to_uppercase(), groups[asked[1]]));
    let effects = desk.keys("enter");
    assert_eq!(asks(&effects, "recovery.create"), [&json!({ "old": key(1), "new": new })]);
    desk.answer("recovery.create", json!({ "v": 1, "state": "replaced" }));
    assert!(desk.state.layers.is_empty());
    assert!(desk.said().contains("in force"), "{}", desk.said());
}

#[test]
fn a_key_that_was_written_down_is_not_made_anew_when_the_old_one_was_wrong() {
    let (mut desk, new) = shown();
    let groups: Vec<&str> = new.split('-').collect();
    desk.keys("enter");
    let asked = private(&desk).asked;
    desk.write(&format!("{} {}", groups[asked[0]], groups[asked[1]]));
    desk.keys("enter");
    desk.refuse("recovery.create", refused(Kind::NotPermitted));
    assert_eq!(private(&desk).step, Step::OldKey);
    desk.tell(Event::Paste(key(3)));
    let effects = desk.keys("enter");
    assert_eq!(asks(&effects, "recovery.create"), [&json!({ "old": key(3), "new": new })]);
}

#[test]
fn the_keys_are_told_in_words_with_what_to_do_next() {
    let mut desk = desk();
    desk.write("/keys");
    desk.keys("enter");
    desk.answer(
        "keys.show",
        json!({
            "v": 1, "recovery_since": "2026-03-01T08:00:00.000Z", "recovery_key_file": "/home/ada/recovery-key",
            "device": "d", "device_name": "laptop", "device_since": "2026-03-01T08:00:00.000Z", "is_oldest": true,
            "devices": 1, "generation": 3, "owes_rotation": false, "people": 4, "verified": 1, "changed": 1,
        }),
    );
    let rows = &desk.state.sheet.as_ref().unwrap().rows;
    let text: Vec<&str> = rows.iter().map(|row| row.title.as_str()).collect();
    let text = text.join("\n");
    for part in [
        "there is one, since 1 Mar 08:00",
        "laptop",
        "generation 3",
        "1 of 4 verified",
        "one of 1, the oldest",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for command in ["/contacts", "/link", "/recover"] {
        assert!(rows.iter().any(|row| row.enter.as_deref() == Some(command)), "{command}: {text}");
    }
    assert!(text.contains("/home/ada/recovery-key"), "{text}");
}

#[test]
fn locking_waits_for_what_is_written_then_shows_nothing_and_brings_it_back() {
    let mut desk = desk();
    desk.write("half a thought");
    let effects = desk.keys("ctrl-x ctrl-l");
    assert_eq!(asks(&effects, "settings").len(), 1, "the draft is kept first");
    assert!(asks(&effects, "lock").is_empty(), "{effects:?}");
    let effects = desk.answer("settings", json!([]));
    assert_eq!(asks(&effects, "lock").len(), 1, "{effects:?}");
    let effects = desk.answer("lock", json!({ "v": 1, "state": "locked" }));
    assert!(effects.contains(&Effect::Lock), "{effects:?}");
    assert!(matches!(desk.state.screen, Screen::Locked(_)));
    let screen = desk.screen();
    for secret in ["half", "deploy", "alice", "ops"] {
        assert!(!screen.contains(secret), "{secret}: {screen}");
    }
    // The agent that ended has nothing more to say.
    assert!(desk.tell(Event::WatchLost(refused(Kind::Failed))).is_empty());
    desk.write("open sesame");
    let effects = desk.keys("enter");
    assert!(matches!(&effects[..], [Effect::Open(Some(_))]), "{effects:?}");
    desk.open_profile();
    desk.list(rooms());
    assert_eq!(desk.state.open.as_ref().unwrap().target, "rookery-devs#ops");
    assert_eq!(desk.written(), "half a thought");
}

#[test]
fn a_store_that_opens_by_itself_is_not_locked_and_says_so() {
    let mut desk = desk();
    desk.keys("ctrl-x ctrl-l");
    let effects = desk.answer("lock", json!({ "v": 1, "state": "open", "opener": "a key file" }));
    assert!(!effects.contains(&Effect::Lock));
    assert!(matches!(desk.state.screen, Screen::Chat));
    assert!(desk.said().starts_with("A key file opens this store"), "{}", desk.said());
}

/// As when `rookery lock` is typed elsewhere.
#[test]
fn a_lock_from_elsewhere_takes_everything_away_but_what_is_written() {
    let mut desk = desk();
    open(&mut desk, "@bo@nest.example");
    desk.write("to be kept");
    desk.keys("ctrl-k");
    let effects = desk.tell(Event::Watched(WatchEvent::Locked));
    assert!(effects.contains(&Effect::Lock), "{effects:?}");
    assert!(
        desk.state.open.is_none() && desk.state.layers.is_empty() && desk.state.rooms.is_empty()
    );
    let opened = Opened::Locked { wrong: true };
    update(&mut desk.state, Timestamp::from_millis(NOW), Event::Opened(opened));
    desk.open_profile();
    desk.list(rooms());
    assert_eq!(desk.state.open.as_ref().unwrap().target, "@bo@nest.example");
    assert_eq!(desk.written(), "to be kept");
}

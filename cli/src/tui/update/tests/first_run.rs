//! Coming in.

use crate::tui::{
    effect::{Effect, Enter},
    event::{Entered, Event, Opened},
    fixture::{Desk, rooms},
    glyphs::Glyphs,
    state::{Screen, welcome::Step},
};

const LINK: &str = "rookery://127.0.0.1:7665/join#server=nest&key=KEY&invite=TOKEN";

/// A link that can be parsed, made of whatever a server's would be.
fn link() -> String {
    use rookery_protocol::name::JoinLink;
    let key = "a".repeat(52);
    for token in ["a".repeat(52), "a".repeat(26), "a".repeat(43), "a".repeat(32), "a".repeat(20)] {
        let link = LINK.replace("KEY", &key).replace("TOKEN", &token);
        if link.parse::<JoinLink>().is_ok() {
            return link;
        }
    }
    LINK.split("&invite").next().unwrap().replace("KEY", &key)
}

fn newcomer() -> Desk {
    let mut desk = Desk::new(80, 24, Glyphs::Unicode);
    desk.tell(Event::Opened(Opened::Nobody { device: "laptop".to_owned() }));
    desk
}

fn step(desk: &Desk) -> Step {
    match &desk.state.screen {
        Screen::Welcome(welcome) => welcome.step.clone(),
        other => panic!("no welcome but {other:?}"),
    }
}

/// Goes as far as the recovery key.
fn registered() -> (Desk, [usize; 2]) {
    let mut desk = newcomer();
    desk.tell(Event::Paste(link()));
    desk.keys("enter");
    assert_eq!(step(&desk), Step::Name, "{}", desk.screen());
    desk.write("ada");
    desk.keys("enter");
    desk.write("correct horse");
    desk.keys("enter");
    desk.write("wrong horse");
    desk.keys("enter");
    assert_eq!(step(&desk), Step::Password, "two that differ are asked for again");
    for _ in 0..2 {
        desk.write("correct horse");
        desk.keys("enter");
    }
    assert!(!desk.screen().contains("horse"), "passwords are not shown");
    assert_eq!(step(&desk), Step::Device);
    desk.keys("enter");
    desk.keys("2");
    assert_eq!(step(&desk), Step::Passphrase);
    desk.write("short");
    desk.keys("enter");
    assert_eq!(step(&desk), Step::Passphrase);
    desk.write(" and longer");
    let effects = desk.keys("enter");
    let [Effect::Enter(Enter::Register { name, device, passphrase, .. })] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!((name.as_str(), device.as_str()), ("ada", "laptop"));
    assert_eq!(passphrase.as_ref().map(|one| one.as_str()), Some("short and longer"));
    assert!(desk.keys("enter esc x").is_empty(), "nothing is done twice");
    let entered = Entered {
        recovery_key: Some("AAAA-BBBB-CCCC-DDDD-EEEE-FFFF-GGGG-HHHH".to_owned()),
        recovery_key_file: Some("/somewhere/recovery-key".to_owned()),
        pinned: None,
        is_uncertified: false,
    };
    assert!(desk.tell(Event::Entered(Ok(entered))).is_empty());
    assert_eq!(step(&desk), Step::RecoveryKey);
    assert!(desk.screen().contains("CCCC"));
    let Screen::Welcome(welcome) = &desk.state.screen else { panic!() };
    let asked = welcome.asked;
    (desk, asked)
}

#[test]
fn a_first_run_goes_from_a_pasted_link_to_a_conversation() {
    let (mut desk, asked) = registered();
    desk.keys("enter");
    assert_eq!(step(&desk), Step::ConfirmKey);
    assert!(!desk.screen().contains("CCCC"), "the key is not shown while it is asked for");
    let groups = ["AAAA", "BBBB", "CCCC", "DDDD", "EEEE", "FFFF", "GGGG", "HHHH"];
    desk.write(&format!("{} {}", groups[asked[0]].to_lowercase(), groups[asked[1]]));
    let effects = desk.keys("enter");
    let forgotten = "/somewhere/recovery-key".to_owned();
    assert!(effects.contains(&Effect::ForgetRecoveryKey(forgotten)), "{effects:?}");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Open(Some(_)))), "{effects:?}");
    let me = Desk::opened(80, 24, Glyphs::Ascii).state.me.unwrap();
    let effects = desk.tell(Event::Opened(Opened::Ready { me: Box::new(me), seed: [1; 16] }));
    assert!(effects.contains(&Effect::Watch));
    desk.list(rooms());
    assert!(matches!(desk.state.screen, Screen::Chat));
    assert!(desk.state.open.is_some(), "a conversation is open");
}

#[test]
fn wrong_groups_of_the_recovery_key_are_refused() {
    let (mut desk, asked) = registered();
    desk.keys("enter");
    let groups = ["AAAA", "BBBB", "CCCC", "DDDD", "EEEE", "FFFF", "GGGG", "HHHH"];
    let one = groups[asked[0]];
    for wrong in ["", one, "nonsense words", &format!("{one} {one} {one}")] {
        desk.keys("ctrl-u");
        desk.write(wrong);
        let effects = desk.keys("enter");
        assert!(effects.is_empty(), "{wrong:?}: {effects:?}");
        assert_eq!(step(&desk), Step::ConfirmKey);
    }
    let swapped = format!("{} {one}", groups[asked[1]]);
    desk.keys("ctrl-u");
    desk.write(&swapped);
    assert!(desk.keys("enter").is_empty());
    desk.keys("esc");
    assert_eq!(step(&desk), Step::RecoveryKey, "the key can be looked at again");
}

#[test]
fn what_is_no_invitation_is_refused_in_words() {
    let mut desk = newcomer();
    desk.keys("enter");
    desk.write("https://example.com");
    desk.keys("enter");
    assert_eq!(step(&desk), Step::Server);
    assert!(desk.screen().contains("This is no invitation"));
}

#[test]
fn a_store_that_is_locked_takes_its_passphrase_unseen() {
    let mut desk = Desk::new(80, 24, Glyphs::Unicode);
    desk.tell(Event::Opened(Opened::Locked { wrong: false }));
    desk.write("open sesame");
    assert!(!desk.screen().contains("sesame"));
    let effects = desk.keys("enter");
    let [Effect::Open(Some(passphrase))] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(passphrase.as_str(), "open sesame");
    desk.tell(Event::Opened(Opened::Locked { wrong: true }));
    assert!(desk.screen().contains("That was not its passphrase"));
}

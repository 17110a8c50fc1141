use super::*;

#[test]
fn a_row_more_counts_and_a_wrong_one_is_refused() {
    let one = with_row("# mine", "ctrl-x t", "theme light").unwrap();
    let two = with_row(&one, "ctrl-x t", "topic \"a\\b\"").unwrap();
    assert!(two.starts_with("# mine\n[[key]]"), "{two}");
    let map = Keymap::parse(&two).unwrap();
    let chord: Chord = "ctrl-x t".parse().unwrap();
    let found = map.find(Place::Everywhere, &chord.0);
    assert_eq!(found, Found::Action(Action::Topic, "\"a\\b\"".to_owned()));
    assert!(with_row(&two, "ctrl-x t", "no-such-action").is_err());
    assert!(with_row(&two, "no such key", "topic").is_err());
    let none = Keymap::parse(&with_row(&two, "ctrl-x t", "").unwrap()).unwrap();
    assert_eq!(none.find(Place::Everywhere, &chord.0), Found::Nothing);
}

#[test]
fn keys_are_read_and_written() {
    for (text, shown) in [
        ("ctrl-k", "Ctrl+K"),
        ("alt-up", "Alt+Up"),
        ("f1", "F1"),
        ("+", "+"),
        ("G", "G"),
        ("ctrl-x ctrl-e", "Ctrl+X Ctrl+E"),
        ("ctrl-home", "Ctrl+Home"),
        ("-", "-"),
        ("alt--", "Alt+-"),
    ] {
        assert_eq!(text.parse::<Chord>().unwrap().to_string(), shown, "{text}");
    }
    for text in ["", "ctrl-", "hyper-x", "f99", "ab"] {
        assert!(text.parse::<Chord>().is_err(), "{text}");
    }
}

#[test]
fn a_users_map_goes_over_the_defaults() {
    let map = Keymap::parse(
        "[[key]]\non = \"ctrl-g\"\nrun = \"go @bob\"\n[[key]]\non = \"ctrl-k\"\nrun = \"\"\n",
    )
    .unwrap();
    let stroke = |text: &str| [text.parse::<Stroke>().unwrap()];
    let found = map.find(Place::Everywhere, &stroke("ctrl-g"));
    assert_eq!(found, Found::Action(Action::Go, "@bob".to_owned()));
    assert_eq!(map.find(Place::Everywhere, &stroke("ctrl-k")), Found::Nothing);
    assert_eq!(map.find(Place::Selecting, &stroke("ctrl-x")), Found::Prefix);
}

#[test]
fn every_key_of_the_text_can_be_bound_anew() {
    let map = Keymap::parse(
        "[[key]]\non = \"ctrl-t\"\nrun = \"kill-line\"\nin = \"writing\"\n[[key]]\non = \"ctrl-u\"\nrun = \"\"\n[[key]]\non = \"x\"\nrun = \"undo\"\nin = \"writing\"\n",
    )
    .unwrap();
    let key = |text: &str| {
        let stroke: Stroke = text.parse().unwrap();
        KeyEvent::new(stroke.code, stroke.modifiers)
    };
    assert_eq!(map.edit(key("ctrl-t")), Some(Edit::KillLine));
    assert_eq!(map.edit(key("ctrl-u")), None);
    assert_eq!(map.edit(key("x")), Some(Edit::Undo));
    assert_eq!(map.edit(key("y")), Some(Edit::Insert("y".to_owned())));
    let keys = Keymap::default();
    for (text, edit) in [
        ("ctrl-a", Edit::LineStart),
        ("ctrl-w", Edit::DeleteWordLeft),
        ("alt-d", Edit::DeleteWordRight),
        ("alt-k", Edit::KillToEnd),
        ("ctrl-_", Edit::Undo),
        ("shift-left", Edit::Left),
        ("shift-backspace", Edit::Backspace),
        ("ctrl-h", Edit::Backspace),
    ] {
        assert_eq!(keys.edit(key(text)), Some(edit), "{text}");
    }
    assert_eq!(keys.edit(key("ctrl-k")), None);
}

#[test]
fn what_is_wrong_in_a_users_map_is_told_with_its_line() {
    let wrong = Keymap::parse("\n[[key]]\non = \"ctrl-g\"\nrun = \"fly\"\n").unwrap_err();
    assert!(wrong.to_string().starts_with("line 2:"), "{wrong}");
    assert!(wrong.to_string().contains("fly"), "{wrong}");
    let wrong = Keymap::parse("[[key]]\non = \"hyper-g\"\nrun = \"go\"\n").unwrap_err();
    assert!(wrong.to_string().starts_with("line 1:"), "{wrong}");
    assert!(Keymap::parse("[[kee]]\n").is_err());
}

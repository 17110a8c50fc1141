use std::collections::HashSet;

use super::*;
use crate::tui::keymap::Chord;

#[test]
fn every_action_has_a_key_a_slash_command_and_a_title_and_each_name_stands_once() {
    let mut words = HashSet::new();
    let mut names = HashSet::new();
    for spec in TABLE {
        assert!(!spec.slash.is_empty() && !spec.title.is_empty(), "{}", spec.name);
        assert!(!spec.keys.is_empty(), "{} has no key", spec.name);
        assert!(names.insert(spec.name), "{} twice", spec.name);
        for word in spec.slash {
            assert!(words.insert(*word), "/{word} twice");
            assert_eq!(Action::slashed(word), Some(spec.action));
        }
        assert_eq!(Action::named(spec.name), Some(spec.action));
    }
}

#[test]
fn no_default_key_stands_twice_or_is_one_that_terminals_confuse() {
    let mut keys = HashSet::new();
    for spec in TABLE {
        for (place, key, _) in spec.keys {
            let chord: Chord = key.parse().unwrap();
            assert!(keys.insert((*place, chord.clone())), "{key} twice");
            for forbidden in ["ctrl-i", "ctrl-h", "ctrl-m", "ctrl-b", "ctrl-["] {
                assert_ne!(chord, forbidden.parse().unwrap(), "{}", spec.name);
            }
        }
    }
}

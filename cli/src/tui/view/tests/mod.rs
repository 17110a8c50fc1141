//! The view: what holds for every screen.

mod hostile;
mod pictures;
mod screens;

use std::cell::RefCell;

use proptest::prelude::*;

use self::screens::screens;
use crate::tui::{event::Event, fixture::Desk, glyphs::Glyphs};

#[test]
fn no_frame_has_anything_beyond_ascii_of_its_own_in_the_ascii_set() {
    // Where emoji are to be chosen from, they are shown.
    let completes =
        |desk: &Desk| desk.state.open.as_ref().is_some_and(|open| open.completion.is_some());
    for mut desk in screens(80, 24, Glyphs::Ascii).into_iter().filter(|desk| !completes(desk)) {
        let screen = desk.screen();
        let own = |letter: char| !letter.is_ascii() && !"👨\u{200d}👩👧漢字👍👀🎉".contains(letter);
        assert!(!screen.chars().any(own), "{screen}");
    }
}

#[test]
fn a_cell_is_the_same_whether_the_cache_remembers_or_not() {
    for mut desk in screens(100, 30, Glyphs::Unicode) {
        desk.draw();
        let with = desk.draw();
        desk.cache.clear();
        assert_eq!(desk.draw(), with);
    }
}

#[test]
fn no_size_is_too_small_or_too_large() {
    let desks = RefCell::new(screens(80, 24, Glyphs::Unicode));
    let count = desks.borrow().len();
    let config = ProptestConfig { cases: 600, ..ProptestConfig::default() };
    proptest!(config, |(columns in 1_u16..200, rows in 1_u16..70, which in 0..count)| {
        let mut desks = desks.borrow_mut();
        desks[which].tell(Event::Resized(columns, rows));
        desks[which].draw();
    });
    let mut desks = desks.into_inner();
    for desk in &mut desks {
        for (columns, rows) in [(1, 1), (30, 8), (29, 8), (30, 7), (199, 69), (48, 17), (1, 69)] {
            desk.tell(Event::Resized(columns, rows));
            desk.draw();
        }
    }
}

#[test]
fn a_screen_that_is_too_small_says_so() {
    let mut desk = Desk::filled(29, 7, Glyphs::Ascii);
    assert_eq!(desk.screen().lines().next(), Some("rookery needs 30 columns and"));
}

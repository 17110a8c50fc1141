use proptest::prelude::*;

use super::*;

/// A composer with `text`, whose cursor is at the `|`.
fn at(text: &str) -> Composer {
    let mut composer = Composer::new(&text.replace('|', ""));
    composer.set_cursor(text.find('|').unwrap());
    composer
}

/// The text with a `|` at the cursor.
fn shown(composer: &Composer) -> String {
    let mut text = composer.text();
    text.insert(composer.cursor(), '|');
    text
}

fn typed(composer: &mut Composer, text: &str) {
    for character in text.chars() {
        composer.apply(Edit::Insert(character.to_string()));
    }
}

#[test]
fn each_edit_does_what_it_says() {
    let cases = [
        ("ab|c", Edit::Insert("x".into()), "abx|c"),
        ("ab|c", Edit::NewLine, "ab\n|c"),
        ("ab|c", Edit::Backspace, "a|c"),
        ("|abc", Edit::Backspace, "|abc"),
        ("ab|c", Edit::Delete, "ab|"),
        ("a\n|b", Edit::Backspace, "a|b"),
        ("ab|c", Edit::Left, "a|bc"),
        ("ab|c", Edit::Right, "abc|"),
        ("abc|", Edit::Right, "abc|"),
        ("one two|", Edit::WordLeft, "one |two"),
        ("one, |two", Edit::WordLeft, "|one, two"),
        ("one| two x", Edit::WordRight, "one two| x"),
        ("one\ntw|o", Edit::LineStart, "one\n|two"),
        ("o|ne\ntwo", Edit::LineEnd, "one|\ntwo"),
        ("one two|!", Edit::DeleteWordLeft, "one |!"),
        ("|one two", Edit::DeleteWordRight, "| two"),
        ("on|e\ntwo", Edit::KillToEnd, "on|\ntwo"),
        ("one|\ntwo", Edit::KillToEnd, "one|two"),
        ("a\none| two", Edit::KillLine, "a\n| two"),
        ("one\ntw|o", Edit::Up, "on|e\ntwo"),
        ("o|ne", Edit::Up, "|one"),
        ("one\n\nt|wo", Edit::Up, "one\n|\ntwo"),
        ("o|ne\ntwo", Edit::Down, "one\nt|wo"),
        ("o|ne", Edit::Down, "one|"),
        ("on|e", Edit::Clear, "|"),
    ];
    for (before, edit, after) in cases {
        let mut composer = at(before);
        composer.apply(edit.clone());
        assert_eq!(shown(&composer), after, "{edit:?}");
    }
}

#[test]
fn a_cluster_is_one_step_and_one_backspace() {
    let family = "👩\u{200d}👩\u{200d}👧";
    let mut composer = Composer::new(&format!("a{family}e\u{301}"));
    composer.apply(Edit::Left);
    composer.apply(Edit::Left);
    assert_eq!(composer.cursor(), 1);
    composer.apply(Edit::Delete);
    assert_eq!(composer.text(), "ae\u{301}");
    composer.apply(Edit::LineEnd);
    composer.apply(Edit::Backspace);
    assert_eq!(composer.text(), "a");
}

#[test]
fn up_and_down_keep_their_column_over_short_lines() {
    let mut composer = at("abcdef\nab\nabcd|ef");
    composer.apply(Edit::Up);
    assert_eq!(shown(&composer), "abcdef\nab|\nabcdef");
    composer.apply(Edit::Up);
    assert_eq!(shown(&composer), "abcd|ef\nab\nabcdef");
}

#[test]
fn up_and_down_go_by_the_rows_that_are_seen() {
    let mut composer = at("one two thr|ee");
    composer.set_columns(9);
    composer.apply(Edit::Up);
    assert_eq!(shown(&composer), "one| two three");
    composer.apply(Edit::Down);
    assert_eq!(shown(&composer), "one two thr|ee");
}

#[test]
fn what_was_killed_can_be_yanked() {
    let mut composer = at("one |two");
    composer.apply(Edit::KillToEnd);
    composer.apply(Edit::LineStart);
    composer.apply(Edit::Yank);
    assert_eq!(shown(&composer), "two|one ");
}

#[test]
fn undo_takes_back_a_word_at_a_time_and_redo_brings_it_again() {
    let mut composer = Composer::default();
    typed(&mut composer, "one two");
    composer.apply(Edit::Undo);
    assert_eq!(composer.text(), "one ");
    composer.apply(Edit::Undo);
    assert_eq!(composer.text(), "");
    assert!(!composer.apply(Edit::Undo));
    composer.apply(Edit::Redo);
    composer.apply(Edit::Redo);
    assert_eq!(shown(&composer), "one two|");
    composer.apply(Edit::Backspace);
    composer.apply(Edit::Backspace);
    composer.apply(Edit::Undo);
    assert_eq!(shown(&composer), "one two|");
}

#[test]
fn clearing_and_replacing_are_one_step_of_undo() {
    let mut composer = at("never l|ost");
    composer.clear();
    assert!(composer.is_empty());
    composer.apply(Edit::Undo);
    assert_eq!(shown(&composer), "never l|ost");
    composer.set_text("other");
    assert_eq!(shown(&composer), "other|");
    composer.apply(Edit::Undo);
    assert_eq!(shown(&composer), "never l|ost");
}

#[test]
fn what_is_held_is_one_step_of_undo() {
    let mut composer = at("one |two");
    composer.hold();
    composer.apply(Edit::KillToEnd);
    typed(&mut composer, "six nine");
    composer.apply(Edit::WordLeft);
    typed(&mut composer, "x ");
    composer.release();
    assert_eq!(composer.text(), "one six x nine");
    composer.apply(Edit::Undo);
    assert_eq!(shown(&composer), "one |two");
    composer.apply(Edit::Redo);
    assert_eq!(composer.text(), "one six x nine");
}

#[test]
fn what_comes_in_is_made_harmless() {
    let mut composer = Composer::default();
    composer.apply(Edit::Insert("a\u{1b}[2J\u{9b}b\u{202e}\tc\r\nd\re".into()));
    assert_eq!(composer.text(), "a[2Jb    c\nd\ne");
    composer.set_text("\u{7}x");
    assert_eq!(composer.text(), "x");
    assert_eq!(Composer::new("\u{1b}y").text(), "y");
}

#[test]
fn a_long_paste_is_quick() {
    let paste = "a line with words in it, and 日本語 too\r\n".repeat(2_400);
    assert!(paste.len() > 100 * 1_024);
    let mut composer = Composer::default();
    composer.apply(Edit::Insert(paste));
    assert_eq!(composer.rows(80).len(), 2_401);
    composer.apply(Edit::Undo);
    assert!(composer.is_empty());
}

#[test]
fn a_token_is_what_stands_between_its_sigil_and_the_cursor() {
    let cases = [
        ("hi @ad|", Some(('@', "ad", 3))),
        ("hi @|", Some(('@', "", 3))),
        ("hi @ad|a x", Some(('@', "ad", 3))),
        ("@bo@nest.exa|", Some(('@', "bo@nest.exa", 0))),
        ("mail bo@nest|", None),
        ("see (#op|", Some(('#', "op", 5))),
        (":thumbs|", Some((':', "thumbs", 0))),
        ("at 10:30|", None),
        (":ok: x|", None),
        (":ok:|", None),
        ("/joi|", Some(('/', "joi", 0))),
        ("/join #op|", Some(('#', "op", 6))),
        ("//x|", None),
        (" /joi|", None),
        ("a/b|", None),
        ("plain|", None),
        ("|", None),
    ];
    for (text, token) in cases {
        let expected =
            token.map(|(sigil, text, start)| Token { sigil, text: text.to_owned(), start });
        assert_eq!(at(text).token(), expected, "{text}");
    }
}

#[test]
fn a_token_is_replaced_whole_in_one_step() {
    let mut composer = at("hi @ad| there");
    composer.replace_token("@ada@nest.example");
    assert_eq!(shown(&composer), "hi @ada@nest.example| there");
    composer.apply(Edit::Undo);
    assert_eq!(shown(&composer), "hi @ad| there");
    let mut plain = at("hi| there");
    plain.replace_token("x");
    assert_eq!(shown(&plain), "hi| there");
}

/// What is drawn at `width` and `height`, and where the cursor is.
fn drawn(composer: &Composer, width: u16, height: u16) -> (Vec<String>, (u16, u16)) {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    let cursor = composer.render(area, &mut buffer, Style::new());
    let rows = (0..height)
        .map(|y| {
            let row: String = (0..width).map(|x| buffer.cell((x, y)).unwrap().symbol()).collect();
            row.trim_end().to_owned()
        })
        .collect();
    (rows, (cursor.x, cursor.y))
}

#[test]
fn rows_break_between_words_and_the_cursor_always_has_room() {
    assert_eq!(
        drawn(&at("one two three|"), 9, 2),
        (vec!["one two".into(), "three".into()], (5, 1))
    );
    assert_eq!(drawn(&at("hello |"), 6, 2), (vec!["hello".into(), String::new()], (0, 1)));
    assert_eq!(drawn(&at("hello| x"), 6, 2), (vec!["hello".into(), "x".into()], (5, 0)));
    assert_eq!(drawn(&at("abcdefgh|"), 5, 2), (vec!["abcd".into(), "efgh".into()], (4, 1)));
    assert_eq!(drawn(&at("a abcdefgh|"), 5, 3).0, ["a", "abcd", "efgh"]);
    assert_eq!(drawn(&at("|"), 5, 1), (vec![String::new()], (0, 0)));
}

#[test]
fn the_row_of_the_cursor_is_always_drawn() {
    let text = (0..20).map(|line| format!("line {line}")).collect::<Vec<_>>().join("\n");
    let mut composer = Composer::new(&text);
    assert_eq!(drawn(&composer, 20, 3).0, ["line 17", "line 18", "line 19"]);
    composer.set_cursor(0);
    assert_eq!(
        drawn(&composer, 20, 3),
        (vec!["line 0".into(), "line 1".into(), "line 2".into()], (0, 0))
    );
}

fn any_edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => any::<String>().prop_map(Edit::Insert),
        4 => "[a-z @:\n]{1,3}".prop_map(Edit::Insert),
        1 => Just(Edit::NewLine),
        1 => Just(Edit::Backspace),
        1 => Just(Edit::Delete),
        2 => Just(Edit::Left),
        1 => Just(Edit::Right),
        1 => Just(Edit::Up),
        1 => Just(Edit::Down),
        1 => Just(Edit::WordLeft),
        1 => Just(Edit::WordRight),
        1 => Just(Edit::DeleteWordLeft),
        1 => Just(Edit::DeleteWordRight),
        1 => Just(Edit::KillLine),
        1 => Just(Edit::KillToEnd),
        1 => Just(Edit::Yank),
        1 => Just(Edit::Undo),
        1 => Just(Edit::Redo),
        1 => Just(Edit::Clear),
    ]
}

proptest! {
    #[test]
    fn the_cursor_is_always_between_clusters_and_nothing_unsafe_is_held(
        edits in proptest::collection::vec(any_edit(), 0..40),
        columns in 0_u16..30,
    ) {
        let mut composer = Composer::default();
        composer.set_columns(columns);
        for edit in edits {
            composer.apply(edit);
            let text = composer.text();
            prop_assert_eq!(motion::boundary(&text, composer.cursor()), composer.cursor());
            prop_assert!(text.chars().all(|character| character == '\n' || !is_unsafe(character)));
            prop_assert!(composer.token().is_none_or(|token| token.start < composer.cursor()));
            let rows = layout::rows(&text, columns);
            let joined: usize = rows.iter().map(ExactSizeIterator::len).sum();
            prop_assert_eq!(joined, text.replace('\n', "").len());
            drawn(&composer, columns, 3);
        }
    }

    #[test]
    fn undoing_everything_brings_back_the_start(
        start in "[a-zé日\n ]{0,20}",
        edits in proptest::collection::vec(any_edit(), 0..20),
    ) {
        let mut composer = Composer::new(&start);
        for edit in edits {
            composer.apply(edit);
        }
        let end = composer.text();
        let steps = std::iter::repeat_with(|| composer.apply(Edit::Undo)).take_while(|done| *done);
        let steps = steps.count();
        prop_assert_eq!(composer.text(), start);
        for _ in 0..steps {
            composer.apply(Edit::Redo);
        }
        prop_assert_eq!(composer.text(), end);
    }
}

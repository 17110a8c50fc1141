use std::sync::Arc;

use ratatui::{Terminal, TerminalOptions, Viewport, layout::Rect, style::Style};

use super::*;
use crate::tui::text::width;

#[derive(Clone, Default)]
struct Tape(Rc<RefCell<Vec<u8>>>);

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A terminal of one row that keeps what is written to it.
struct Row {
    tape: Tape,
    terminal: Terminal<Painter<Tape>>,
    links: Rc<RefCell<Links>>,
    read: usize,
}

impl Row {
    fn new() -> Self {
        let links = Rc::new(RefCell::new(Links::default()));
        let tape = Tape::default();
        let painter = Painter::new(tape.clone(), Rc::clone(&links));
        let viewport = Viewport::Fixed(Rect::new(0, 0, 20, 1));
        let terminal = Terminal::with_options(painter, TerminalOptions { viewport }).unwrap();
        Self { tape, terminal, links, read: 0 }
    }

    /// What is written for a frame with `text` in it, of which the first columns lead to `link`.
    fn draw(&mut self, text: &str, link: Option<(&str, u16)>) -> String {
        let number = link.and_then(|(target, columns)| {
            Some((self.links.borrow_mut().number(&Arc::from(target))?, columns))
        });
        self.terminal
            .draw(|frame| {
                let area = frame.area();
                let buffer = frame.buffer_mut();
                width::put(buffer, area.as_position(), area.right(), text, Style::new());
                let columns = number.map_or(0, |(_, columns)| columns);
                for x in 0..columns {
                    let number = number.map_or(0, |(number, _)| number);
                    buffer[(x, 0)].underline_color = Links::colour(number);
                }
            })
            .unwrap();
        let all = self.tape.0.borrow();
        let new = String::from_utf8(all[self.read..].to_vec()).unwrap();
        self.read = all.len();
        new
    }
}

/// The text that stands in `columns` of a row on a terminal that takes `odd` for `taken` columns.
fn shown(written: &str, odd: &str, taken: usize) -> String {
    use unicode_segmentation::UnicodeSegmentation as _;
    let mut row = vec![" ".to_owned(); 40];
    let mut x = 0_usize;
    let mut rest = written;
    while !rest.is_empty() {
        if let Some(sequence) = rest.strip_prefix("\u{1b}[") {
            let end = sequence.find(|letter: char| letter.is_ascii_alphabetic()).unwrap();
            if &sequence[end..=end] == "H" {
                let column = sequence[..end].split(';').nth(1).unwrap();
                x = column.parse::<usize>().unwrap().saturating_sub(1);
            }
            rest = &sequence[end..][1..];
            continue;
        }
        let cluster = rest.graphemes(true).next().unwrap();
        let columns = if cluster == odd { taken } else { cluster_width(cluster) };
        row[x] = cluster.to_owned();
        for hidden in row.iter_mut().skip(x).take(columns).skip(1) {
            hidden.clear();
        }
        x = x.saturating_add(columns);
        rest = &rest[cluster.len()..];
    }
    row.concat().trim_end().to_owned()
}

#[test]
fn pain_18_cells_after_an_odd_cluster_stand_in_their_columns_on_any_terminal() {
    let odd: [(&str, &[usize]); 5] = [
        ("❤\u{fe0f}", &[1, 2]),
        ("👩\u{200d}👩\u{200d}👧", &[2, 4, 6]),
        ("🇩🇪", &[2, 4]),
        ("🫨", &[1, 2]),
        ("👍🏽", &[2, 4]),
    ];
    for (odd, widths) in odd {
        for taken in widths.iter().copied() {
            let mut row = Row::new();
            let mut written = row.draw("before the frame", None);
            written.push_str(&row.draw(&format!("a{odd}b c d e f"), None));
            let after = shown(&written, odd, taken);
            let narrow = if taken == 1 { " " } else { "" };
            assert_eq!(after, format!("a{odd}{narrow}b c d e f"), "{odd} as {taken}: {written:?}");
        }
    }
}

#[test]
fn what_has_not_changed_is_not_written_again() {
    let mut row = Row::new();
    row.draw("ab 👍 cd", None);
    let written = row.draw("ab 👍 ce", None);
    assert!(written.contains('e') && !written.contains("👍"), "{written:?}");
    assert!(written.len() <= 64, "{written:?}");
}

#[test]
fn a_link_is_told_around_its_cells_and_nothing_in_it_ends_the_sequence() {
    let mut row = Row::new();
    let target = "https://nest.example/\u{1b}\\\u{7}\u{9c}é";
    let written = row.draw("see it now", Some((target, 3)));
    let told = "\u{1b}]8;id=1;https://nest.example/%1B\\%07%C2%9C%C3%A9\u{1b}\\";
    let (before, after) = written.split_once(told).expect(&written);
    let (linked, rest) = after.split_once("\u{1b}]8;;\u{1b}\\").expect(&written);
    assert!(!before.contains("see") && linked.contains("see") && rest.contains("now"));
    assert!(!written.contains("58;2"), "no underline has a colour: {written:?}");
    assert!(!row.draw("see it then", Some((target, 3))).contains("]8;"), "it has not changed");
}

#[test]
fn a_frame_that_changes_nothing_writes_nothing() {
    let mut row = Row::new();
    row.draw("text", None);
    assert_eq!(row.draw("text", None), "");
    assert!(!row.draw("texts", None).contains("?25"), "the cursor is hidden already");
}

#[test]
fn the_terminal_is_never_asked_where_its_cursor_is() {
    let mut row = Row::new();
    row.draw("text", None);
    row.terminal.clear().unwrap();
    assert!(!row.draw("text", None).contains("\u{1b}[6n"));
}

use super::*;

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn start(script: &str) -> Terminal {
    Setup::default().start(&sh(script)).unwrap()
}

/// Ends when the terminal is gone, so that no test leaves one behind.
const WAIT: &str = "cat >/dev/null";

#[test]
fn what_is_printed_stands_where_it_was_put() {
    let mut terminal = start(&format!("printf 'one\\ntwo\\033[5;3Hfive'; {WAIT}"));
    terminal.wait_text("five").unwrap();
    assert_eq!((terminal.row(0).as_str(), terminal.row(1).as_str()), ("one", "two"));
    assert_eq!(terminal.row(4), "  five");
    assert_eq!(terminal.row(-1), "");
    assert_eq!(terminal.cursor(), (6, 4, true));
    assert_eq!(terminal.bytes_written(), u64::try_from(terminal.raw().len()).unwrap());
    assert!(terminal.raw().starts_with(b"one\r\ntwo"));
}

#[test]
fn what_is_typed_arrives_and_the_end_is_told() {
    let mut terminal = start("read line; echo \"<$line>\"; exit 3");
    terminal.type_text("hello").unwrap();
    terminal.press(Key::Enter).unwrap();
    let status = terminal.wait_exit().unwrap();
    assert_eq!((status.exit_code(), status.signal()), (3, None));
    assert!(terminal.screen().contains("<hello>"), "{terminal:?}");
    assert_eq!(terminal.left_behind(), Vec::<String>::new());
}

#[test]
fn a_wait_ends_with_the_whole_screen_when_it_was_in_vain() {
    let mut terminal = start("echo something else; exit 7");
    let error = terminal.wait_text("what never comes").unwrap_err().to_string();
    assert!(error.contains("what never comes") && error.contains("|something else"), "{error}");
    assert!(error.contains("ended") && error.contains('7'), "{error}");
    let mut terminal = start(WAIT);
    let limit = Duration::from_millis(50);
    let error = terminal.wait_within(limit, "a miracle", |_| false).unwrap_err().to_string();
    assert!(error.contains("a miracle"), "{error}");
}

#[test]
fn keys_are_the_bytes_of_an_xterm() {
    let keys = [
        (Key::Control('x'), "^X"),
        (Key::Alt('a'), "^[a"),
        (Key::AltEnter, "^[^M"),
        (Key::Function(1), "^[OP"),
        (Key::Function(5), "^[[15~"),
        (Key::Function(12), "^[[24~"),
        (Key::Up, "^[[A"),
        (Key::PageUp, "^[[5~"),
        (Key::Control('_'), "^_"),
        (Key::Escape, "^["),
    ];
    let mut terminal = start("stty raw -echo; printf 'ready '; cat -v");
    terminal.wait_text("ready").unwrap();
    let mut wanted = String::from("ready ");
    for (key, bytes) in keys {
        terminal.press(key).unwrap();
        wanted.push_str(bytes);
    }
    terminal.wait_text(&wanted).unwrap();
}

#[test]
fn a_paste_is_marked_only_for_who_asked() {
    for (mode, wanted) in [("h", "^[[200~a^Mb^[[201~!"), ("l", "a^Mb!")] {
        let mut terminal = start(&format!("stty raw -echo; printf '\\033[?2004{mode}:'; cat -v"));
        terminal.wait_text(":").unwrap();
        terminal.paste("a\nb").unwrap();
        terminal.type_text("!").unwrap();
        terminal.wait_text("!").unwrap();
        assert_eq!(terminal.row(0), format!(":{wanted}"));
    }
}

#[test]
fn a_large_paste_gets_through_while_the_program_writes() {
    let count = 100 * 1024;
    let mut terminal = start(&format!(
        "stty raw -echo; printf 'ready\\r\\n'; head -c {count} | tee /dev/tty | wc -c | tr '\\n' '.'"
    ));
    terminal.wait_text("ready").unwrap();
    terminal.paste(&"x".repeat(count)).unwrap();
    terminal.wait_text(&format!("{count}.")).unwrap();
}

#[test]
fn a_program_that_does_not_read_stops_nobody_who_looks() {
    let mut terminal = start("stty raw -echo; echo deaf; exec sleep 600");
    terminal.wait_text("deaf").unwrap();
    let bytes = vec![b'x'; 1 << 20];
    terminal.orders.send(Order { bytes, done: None }).unwrap();
    assert!(terminal.screen().contains("deaf"));
    terminal.signal("TERM").unwrap();
    assert!(terminal.wait_exit().unwrap().signal().is_some());
}

#[test]
fn a_new_size_is_told_to_the_program() {
    // A shell tells its traps of a signal when the command that it waits for is done.
    let script = sh("trap 'stty size' WINCH; stty size; while read line; do :; done");
    let mut terminal = Setup::default().size(64, 20).start(&script).unwrap();
    terminal.wait_text("20 64").unwrap();
    terminal.resize(120, 40).unwrap();
    terminal.press(Key::Enter).unwrap();
    terminal.wait_text("40 120").unwrap();
    assert_eq!(terminal.look(|screen, _| screen.size().1.get()), 120);
}

#[test]
fn every_mode_that_is_left_on_is_named() {
    let left = |script: &str| {
        let mut terminal = start(script);
        terminal.wait_exit().unwrap();
        terminal.left_behind()
    };
    for (on, off, name) in [
        ("\\033[?1049h", "\\033[?1049l", "the alternate screen"),
        ("\\033[?25l", "\\033[?25h", "a hidden cursor"),
        ("\\033[?2004h", "\\033[?2004l", "bracketed paste"),
        ("\\033[?1000h\\033[?1006h", "\\033[?1006l\\033[?1000l", "mouse reports"),
        ("\\033[?1003h", "\\033[?1003l", "mouse reports"),
        ("\\033[?1004h", "\\033[?1004l", "focus reports"),
        ("\\033[?2026h", "\\033[?2026l", "synchronized output"),
        ("\\033[?7l", "\\033[?7h", "lines that do not wrap"),
        ("\\033[>1u", "\\033[<1u", "the keyboard protocol"),
        ("\\033[>4;2m", "\\033[>4;0m", "modified keys"),
        ("\\033[31m", "\\033[0m", "a colour"),
        ("\\033[1m", "\\033[m", "an attribute"),
    ] {
        assert_eq!(left(&format!("printf '{on}'")), [name]);
        assert_eq!(left(&format!("printf '{on}{off}'")), Vec::<String>::new(), "{name}");
    }
    let raw = left("stty raw -echo");
    assert!(raw.len() == 1 && raw[0].starts_with("the line's modes"), "{raw:?}");
    assert_eq!(left("old=$(stty -g); stty raw -echo; stty $old"), Vec::<String>::new());
    // Whether it ended by itself or not.
    let mut killed = start(&format!("printf '\\033[?1049hon'; {WAIT}"));
    killed.wait_text("on").unwrap();
    killed.signal("KILL").unwrap();
    assert!(killed.wait_exit().unwrap().signal().is_some());
    assert!(killed.ensure_restored().unwrap_err().to_string().contains("the alternate screen"));
}

#[test]
fn a_terminal_answers_at_once_or_late_or_never() {
    let script = "stty raw -echo; printf '\\033[6n\\033[c?'; cat -v";
    let asking = |answers| Setup::default().answers(answers).start(&sh(script)).unwrap();
    let both = "?^[[1;1R^[[?62;22c";

    asking(Answers::AtOnce).wait_text(both).unwrap();

    let mut late = asking(Answers::Held);
    late.wait_text("?").unwrap();
    late.type_text("first").unwrap();
    late.wait_text("?first").unwrap();
    late.release_answers().unwrap();
    late.wait_text("?first^[[1;1R^[[?62;22c").unwrap();

    let mut never = asking(Answers::Never);
    never.wait_text("?").unwrap();
    never.type_text("alone").unwrap();
    never.wait_text("?alone").unwrap();
    assert_eq!(never.look(|_, emulator| emulator.questions.clone()), ["CPR", "DA1"]);
    assert!(!never.screen().contains('^'), "{never:?}");
}

#[test]
fn what_does_not_show_is_kept_too() {
    let mut terminal = start(
        "printf '\\033]0;a title\\007\\007\\033]52;c;aGk=\\033\\\\\\033]9;hello\\007\\033[5y\\001.'",
    );
    terminal.wait_exit().unwrap();
    terminal.look(|_, emulator| {
        assert_eq!((&*emulator.titles, emulator.bells), (&["a title".to_owned()][..], 1));
        assert_eq!(
            (&*emulator.copied, &*emulator.commands),
            (&["aGk=".to_owned()][..], &["9;hello".to_owned()][..])
        );
        assert_eq!(emulator.unknown, ["CSI [[5]]y", "control 0x01"]);
    });
}

#[test]
fn colours_and_foreign_letters_are_found_in_the_bytes() {
    assert_eq!(raw::colours(b"\x1b[1;7m\x1b[0m\x1b[m\x1b[4m\x1b[39m\x1b[22;49m"), [""; 0]);
    let coloured = b"\x1b[31ma\x1b[1;94mb\x1b[48;5;3mc\x1b[38:2::1:2:3md\x1b[58;5;1m";
    assert_eq!(raw::colours(coloured).len(), 5);
    assert_eq!(raw::beyond_ascii("a ✓ b…".as_bytes()), "✓…");
    assert_eq!(raw::sequences(b"\x1b[2J\x1b[3;4H\x1b[H", b'H'), ["3;4", ""]);
}

#[test]
fn the_time_until_something_shows_is_measured() {
    let ready = |screen: &Screen| text_of(screen).contains("ready");
    let script = sh("stty raw -echo; printf ready; cat");
    let mut terminal = Setup::default().start_watching(&script, ready).unwrap();
    let at = terminal.watched(PATIENCE, "ready").unwrap();
    assert!(at > terminal.begun());
    let time = terminal.time(b"x", "an x", |screen| text_of(screen).contains("readyx")).unwrap();
    assert!(time > Duration::ZERO && time < PATIENCE);
    let bytes = terminal.wait_quiet(Duration::from_millis(20)).unwrap();
    assert_eq!(bytes, 6);
}

#[test]
fn a_program_runs_in_tmux_and_in_screen() {
    for (multiplexer, name) in [(Multiplexer::Tmux, "tmux"), (Multiplexer::Screen, "screen")] {
        let script = "stty raw -echo; printf \"$TERM $FRUIT ✓ %s \" $$; cat -v";
        let mut terminal = Setup::default()
            .within(multiplexer)
            .environment("FRUIT", "a pear")
            .start(&sh(script))
            .unwrap();
        terminal.wait_text("a pear ✓").unwrap();
        assert!(terminal.row(0).starts_with(name), "{terminal:?}");
        terminal.press_all(&[Key::Alt('a'), Key::Up, Key::Character('.')]).unwrap();
        terminal.wait_for("the keys", |screen| text_of(screen).contains("[A.")).unwrap();
        let row = terminal.row(0);
        let id = row.split(' ').find_map(|word| word.parse::<u32>().ok()).unwrap();
        assert!(std::fs::exists(format!("/proc/{id}")).unwrap());
        drop(terminal);
        let deadline = later(PATIENCE).unwrap();
        while std::fs::exists(format!("/proc/{id}")).unwrap() {
            assert!(now() < deadline, "the program outlives {name}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

use proptest::prelude::*;

use super::*;

/// `<Esc>`, `<CR>`, `<BS>` and `<C-r>` among plain keys.
fn keys(script: &str) -> Vec<KeyEvent> {
    let mut keys = Vec::new();
    let mut rest = script;
    while let Some(next) = rest.chars().next() {
        let named = [
            ("<Esc>", KeyCode::Esc, KeyModifiers::NONE),
            ("<CR>", KeyCode::Enter, KeyModifiers::NONE),
            ("<BS>", KeyCode::Backspace, KeyModifiers::NONE),
            ("<Up>", KeyCode::Up, KeyModifiers::NONE),
            ("<C-r>", KeyCode::Char('r'), KeyModifiers::CONTROL),
            ("<C-w>", KeyCode::Char('w'), KeyModifiers::CONTROL),
        ];
        let found = named.into_iter().find(|(name, ..)| rest.starts_with(name));
        let (name, code, modifiers) =
            found.unwrap_or(("", KeyCode::Char(next), KeyModifiers::NONE));
        keys.push(KeyEvent::new(code, modifiers));
        rest = &rest[name.len().max(if name.is_empty() { next.len_utf8() } else { 0 })..];
    }
    keys
}

fn run(vim: &mut Vim, composer: &mut Composer, script: &str) -> Outcome {
    keys(script).into_iter().map(|key| vim.key(key, composer)).last().unwrap_or(Outcome::Pass)
}

/// What `script` makes of `text`, in which `|` is the cursor.
fn after_keys(text: &str, script: &str) -> String {
    let mut composer = Composer::new(&text.replacen('|', "", 1));
    composer.set_cursor(text.find('|').unwrap());
    let mut vim = Vim::new(Mode::Normal);
    run(&mut vim, &mut composer, script);
    let mut shown = composer.text();
    shown.insert(composer.cursor(), '|');
    shown
}

fn table(cases: &[(&str, &str, &str)]) {
    for (before, script, after) in cases {
        assert_eq!(after_keys(before, script), *after, "{before:?} {script}");
    }
}

#[test]
fn motions_go_where_vim_goes() {
    table(&[
        ("ab|c", "h", "a|bc"),
        ("|abc", "h", "|abc"),
        ("|abc", "5l", "ab|c"),
        ("a|bc\nde", "j", "abc\nd|e"),
        ("abcd|e\nx\nabcde", "jj", "abcde\nx\nabcd|e"),
        ("abc\nd|e", "k", "a|bc\nde"),
        ("|one two.three", "w", "one |two.three"),
        ("one |two.three", "w", "one two|.three"),
        ("|one two.three x", "2W", "one two.three |x"),
        ("one two.thr|ee", "b", "one two.|three"),
        ("one two.thr|ee", "B", "one |two.three"),
        ("|one two", "e", "on|e two"),
        ("on|e two", "e", "one tw|o"),
        ("|one\n\ntwo", "w", "one\n|\ntwo"),
        ("  on|e", "0", "|  one"),
        ("  on|e", "^", "  |one"),
        ("|one\ntwo", "$", "on|e\ntwo"),
        ("|one\ntwo", "2$", "one\ntw|o"),
        ("one\n  t|wo", "gg", "|one\n  two"),
        ("o|ne\n  two", "G", "one\n  |two"),
        ("a\nb\n|c", "2G", "a\n|b\nc"),
        ("|a.b.c", "f.", "a|.b.c"),
        ("|a.b.c", "2f.", "a.b|.c"),
        ("|a.b.c", "f.;", "a.b|.c"),
        ("|a.b.c", "f.;,", "a|.b.c"),
        ("|ax.bx.c", "t.", "a|x.bx.c"),
        ("|ax.bx.c", "t.;", "ax.b|x.c"),
        ("a.b.|c", "F.", "a.b|.c"),
        ("a.b.x|c", "T.", "a.b.|xc"),
        ("|abc", "fz", "|abc"),
        ("|a👩\u{200d}🚀b", "ll", "a👩\u{200d}🚀|b"),
    ]);
}

#[test]
fn operators_take_motions_counts_and_lines() {
    table(&[
        ("|one two three", "dw", "|two three"),
        ("|one two three", "2dw", "|three"),
        ("|one two three four", "d2w", "|three four"),
        ("one |two\nthree", "dw", "one| \nthree"),
        ("one |two", "db", "|two"),
        ("|one two", "de", "| two"),
        ("one |two", "d$", "one| "),
        ("one t|wo", "d0", "|wo"),
        ("|a(b)c", "df)", "|c"),
        ("|a(b)c", "dt)", "|)c"),
        ("a(b)|c", "dF(", "a|c"),
        ("a\n|b\nc", "dd", "a\n|c"),
        ("a\nb\n|c", "dd", "a\n|b"),
        ("|a", "dd", "|"),
        ("|a\nb\nc", "2dd", "|c"),
        ("|a\nb\nc", "dj", "|c"),
        ("a\nb\n|c", "dk", "|a"),
        ("a\n|b\nc", "dG", "|a"),
        ("a\n|b\nc", "dgg", "|c"),
        ("|a b", "cwx<Esc>", "|x b"),
        ("|one two", "cwsix<Esc>", "si|x two"),
        ("|one two three", "c2wx<Esc>", "|x three"),
        ("a\n  |b\nc", "ccx<Esc>", "a\n|x\nc"),
        ("one |two", "Cx<Esc>", "one |x"),
        ("|abc", "x", "|bc"),
        ("|abc", "2x", "|c"),
        ("ab|c", "x", "a|b"),
        ("ab|c", "X", "a|c"),
        ("a|bc", "D", "|a"),
        ("|abc", "sx<Esc>", "|xbc"),
        ("|one\ntwo", "3dk", "|one\ntwo"),
    ]);
}

#[test]
fn text_objects_cover_what_they_name() {
    table(&[
        ("one t|wo three", "diw", "one | three"),
        ("one t|wo three", "daw", "one |three"),
        ("one t|wo", "daw", "on|e"),
        ("a.b|c.d e", "diW", "| e"),
        ("say \"he|llo\" x", "di\"", "say \"|\" x"),
        ("s|ay \"hello\" x", "ci\"no<Esc>", "say \"n|o\" x"),
        ("say \"he|llo\" x", "da\"", "say | x"),
        ("f(a, g(b|), c)", "di(", "f(a, g(|), c)"),
        ("f(a, g(b), |c)", "dib", "f(|)"),
        ("f|(a, (b))", "da(", "|f"),
        ("{\n x|\n}", "di{", "{|}"),
        ("[a |b]", "ci]x<Esc>", "[|x]"),
        ("a|b", "di(", "a|b"),
        ("`co|de`", "di`", "`|`"),
    ]);
}

#[test]
fn what_is_yanked_is_put_beside_or_below() {
    table(&[
        ("|one two", "yww:", "one |two"),
        ("|one two", "yw$p", "one twoone| "),
        ("|one two", "ywP", "one| one two"),
        ("one |two", "yiwP", "one tw|otwo"),
        ("|a\nb", "yyp", "a\n|a\nb"),
        ("|a\nb", "yyjp", "a\nb\n|a"),
        ("a\n|b", "YP", "a\n|b\nb"),
        ("|ab", "xp", "b|a"),
        ("|a\nb", "ddp", "b\n|a"),
        ("|a", "yy2p", "a\n|a\na"),
        ("|ab", "x3p", "baa|a"),
        ("|ab cd", "\"ayiww\"byiw\"aP", "ab a|bcd"),
        ("|a\nb", "\"ayyj\"Ayy\"ap", "a\nb\n|a\nb"),
        ("|one two", "\"_dwp", "|two"),
        ("a\n|b", "ykp", "a\n|a\nb\nb"),
    ]);
}

#[test]
fn the_small_commands_do_what_they_say() {
    table(&[
        ("|abc", "rx", "|xbc"),
        ("|abc", "2rx", "x|xc"),
        ("|ab", "3rx", "|ab"),
        ("|aBc", "~", "A|Bc"),
        ("|aBc", "9~", "Ab|C"),
        ("|one\n  two", "J", "one| two"),
        ("|a\nb\nc", "3J", "a b| c"),
        ("|a", "J", "|a"),
        ("a|b", "ix<Esc>", "a|xb"),
        ("a|b", "ax<Esc>", "ab|x"),
        ("  a|b", "Ix<Esc>", "  |xab"),
        ("|ab", "Ax<Esc>", "ab|x"),
        ("|a\nb", "ox<Esc>", "a\n|x\nb"),
        ("a\n|b", "Ox<Esc>", "a\n|x\nb"),
        ("|ab", "3ix<Esc>", "xx|xab"),
        ("|a", "2ox<Esc>", "a\nx\n|x"),
        ("|ab", "ixy<BS><Esc>", "|xab"),
    ]);
}

#[test]
fn a_dot_repeats_the_last_change() {
    table(&[
        ("|abcd", "x.", "|cd"),
        ("|abcdef", "x2.", "|def"),
        ("|one two", "cwsix<Esc>w.", "six si|x"),
        ("|a b c", "dw.", "|c"),
        ("|a\nb", "A!<Esc>j.", "a!\nb|!"),
        ("|a.b.c", "df..", "|c"),
        ("|ab", "ywP.", "aa|bbab"),
        ("|ab", ".", "|ab"),
    ]);
}

#[test]
fn a_command_is_one_step_of_undo() {
    table(&[
        ("|one two", "dwu", "|one two"),
        ("|one two", "cwsix nine<Esc>u", "|one two"),
        ("|abc", "xxuu", "|abc"),
        ("|abc", "xx2u", "|abc"),
        ("|abc", "xu<C-r>", "|bc"),
        ("|a\nb\nc", "3Ju", "|a\nb\nc"),
        ("|ab", "3ix<Esc>u", "|ab"),
    ]);
}

#[test]
fn keys_that_are_not_the_composers_go_on() {
    let mut composer = Composer::new("text");
    let mut vim = Vim::new(Mode::Normal);
    let cases = [
        (":", Outcome::CommandLine),
        ("<Esc>", Outcome::List),
        ("<CR>", Outcome::Send),
        ("<C-w>", Outcome::Pass),
        ("d<Esc>", Outcome::Consumed),
        ("gt", Outcome::Unbound("gt".into())),
        ("q", Outcome::Pass),
        ("\"+yy", Outcome::CopyToClipboard("text".into())),
        ("2", Outcome::Consumed),
    ];
    for (script, outcome) in cases {
        assert_eq!(run(&mut vim, &mut composer, script), outcome, "{script}");
    }
    assert_eq!(vim.pending(), "2");
    assert_eq!(composer.text(), "text");
    assert_eq!(run(&mut vim, &mut Composer::default(), "<Esc><Up>"), Outcome::Pass);
}

#[test]
fn insert_mode_takes_text_and_leaves_the_rest() {
    let mut composer = Composer::default();
    let mut vim = Vim::default();
    assert_eq!(run(&mut vim, &mut composer, "hi:<CR>"), Outcome::Pass);
    assert_eq!(composer.text(), "hi:");
    run(&mut vim, &mut composer, "<Esc>");
    assert_eq!((vim.mode(), composer.cursor()), (Mode::Normal, 2));
    run(&mut vim, &mut composer, "a");
    vim.begin_insert(&mut composer);
    assert_eq!(vim.mode(), Mode::Insert);
}

proptest! {
    #[test]
    fn no_keys_break_it(
        text in "[a-c \n(\"é👩]{0,30}",
        script in "[hjklwbeWBE0^$gGfFtT;,dcyxXDCYpPr~JuiIaAoO.\"a1-9()]{0,40}",
    ) {
        let mut composer = Composer::new(&text);
        composer.set_cursor(0);
        let mut vim = Vim::new(Mode::Normal);
        for key in keys(&script) {
            vim.key(key, &mut composer);
            if composer.as_str().len() > 10_000 {
                break;
            }
            prop_assert_eq!(place::boundary(composer.as_str(), composer.cursor()), composer.cursor());
        }
        run(&mut vim, &mut composer, "<Esc><Esc>");
        let (text, at) = (composer.as_str(), composer.cursor());
        prop_assert!(at < place::line_end(text, at) || at == place::line_start(text, at));
    }
}

#[test]
fn what_is_selected_is_taken_by_an_operator() {
    table(&[
        ("one |two three", "ved", "one | three"),
        ("one two t|hree", "vbbd", "one |ree"),
        ("|abc", "vlld", "|"),
        ("one |two three", "vecx<Esc>", "one |x three"),
        ("one |two three", "vey$p", "one two threetw|o"),
        ("a\n|b\nc\nd", "Vjd", "a\n|d"),
        ("a\nb|b\nc", "Vcx<Esc>", "a\n|x\nc"),
        ("|a\nb\nc", "VjyGp", "a\nb\nc\n|a\nb"),
        ("on|e two", "v<Esc>x", "on| two"),
        ("on|e two", "vvx", "on| two"),
        ("a\nb|b\nc", "vVd", "a\n|c"),
        ("one |two three", "veoohd", "one |o three"),
        ("|one two", "vlu", "o|ne two"),
        ("|a👩\u{200d}🚀b", "vld", "|b"),
        ("one |two three", "ve\"ayw\"aP", "one two tw|othree"),
    ]);
    let (mut vim, mut composer) = (Vim::new(Mode::Normal), Composer::new("copy me"));
    composer.set_cursor(5);
    let outcome = run(&mut vim, &mut composer, "v$\"+y");
    assert_eq!(outcome, Outcome::CopyToClipboard("me".to_owned()));
    assert_eq!(vim.mode(), Mode::Normal);
    run(&mut vim, &mut composer, "0vl");
    assert_eq!(vim.selected(&composer), Some(0..2));
    run(&mut vim, &mut composer, "V");
    assert_eq!(vim.selected(&composer), Some(0..7));
}

#[test]
fn marks_are_gone_back_to() {
    table(&[
        ("one |two\nthree", "maG`a", "one |two\nthree"),
        ("  one |two\nthree", "maG'a", "  |one two\nthree"),
        ("one |two three", "ma$d`a", "one |e"),
        ("a\n|b\nc", "maggd'a", "|c"),
        ("one |two", "`z", "one |two"),
        ("one tw|o", "ma0D`a", "|"),
    ]);
}

use proptest::prelude::*;

use super::*;
use crate::render::is_unsafe;

fn reading() -> Reading {
    Reading { me: vec!["ada".into(), "ada@nest.example".into()], ..Reading::default() }
}

/// The lines as text, with roles in front of pieces that are not plain: `one <Strong:two>`.
fn shown(source: &str) -> String {
    shown_as(source, &reading())
}

fn shown_as(source: &str, reading: &Reading) -> String {
    let line = |line: &TextLine| -> String {
        line.pieces
            .iter()
            .map(|piece| match (piece.role, &piece.link) {
                (Role::Text | Role::ListMark | Role::QuoteMark, None) => piece.text.clone(),
                (role, None) => format!("<{role:?}:{}>", piece.text),
                (role, Some(link)) => format!("<{role:?}:{}={link}>", piece.text),
            })
            .collect()
    };
    render(source, reading).iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The same with the colours of its code.
fn coloured(source: &str) -> String {
    let blocks = Some(Arc::new(colour(source)));
    shown_as(source, &Reading { blocks, ..reading() })
}

#[test]
fn styles_are_roles() {
    let cases = [
        ("plain", "plain"),
        ("a **b** c", "a <Strong:b> c"),
        ("*a* _b_", "<Emphasis:a> <Emphasis:b>"),
        ("***a***", "<StrongEmphasis:a>"),
        ("~~a~~", "<Struck:a>"),
        ("`a_b *c*`", "<Code:a_b *c*>"),
        ("# Head", "<Heading:Head>"),
        ("snake_case_name", "snake_case_name"),
        ("a\\*b", "a*b"),
        ("***", "<Rule:--->"),
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("", ""),
    ];
    for (source, expected) in cases {
        assert_eq!(shown(source), expected, "{source}");
    }
}

#[test]
fn a_line_end_is_a_line_end_and_an_empty_line_stays_once() {
    assert_eq!(shown("one\ntwo\n\n\n\nthree"), "one\ntwo\n\nthree");
    assert_eq!(shown("one\r\ntwo"), "one\ntwo");
    assert_eq!(shown("look:\n```\nx\n```\nthere"), "look:\n  <Code:x>\nthere");
    assert_eq!(shown("look:\n\n```\nx\n\ny\n```"), "look:\n\n  <Code:x>\n  \n  <Code:y>");
}

#[test]
fn quotes_and_lists_keep_their_marks_on_every_line() {
    assert_eq!(shown("> a\n> b"), "> <Quote:a>\n> <Quote:b>");
    assert_eq!(shown("> a\n> > b"), "> <Quote:a>\n> > <Quote:b>");
    assert_eq!(shown("> a\n>\n> b\n\nc"), "> <Quote:a>\n> \n> <Quote:b>\n\nc");
    assert_eq!(shown("- a\n- b\n  - c"), "- a\n- b\n  - c");
    assert_eq!(shown("3. a\n   more\n4. b"), "3. a\n   more\n4. b");
    assert_eq!(shown("- \n- b"), "- \n- b");
    assert_eq!(shown("intro\n\n- a\n- b\n\nend"), "intro\n\n- a\n- b\n\nend");
}

#[test]
fn code_is_coloured_by_its_language_and_nothing_in_it_is_read() {
    assert_eq!(
        coloured("```rust\nlet x = 1; // @ada\n```"),
        "  <CodeKeyword:let><Code: x = ><CodeNumber:1><Code:; ><CodeComment:// @ada>"
    );
    assert_eq!(shown("```\n**a** :rocket:\n\tb\n```"), "  <Code:**a** :rocket:>\n  <Code:    b>");
    assert_eq!(coloured("```nosuch\nx\n```"), "  <Code:x>");
    assert_eq!(
        coloured("```\nplain\n```\n> ```rust\n> fn\n> ```\n- ~~~py\n  if\n  ~~~"),
        "  <Code:plain>\n>   <CodeKeyword:fn>\n-   <CodeKeyword:if>"
    );
}

#[test]
fn code_is_plain_until_its_colours_are_here_and_says_the_same() {
    let source = "see\n```rust\nlet x = 1;\n\tf()\n```\nthere";
    assert_eq!(shown("```rust\nlet x\n```"), "  <Code:let x>");
    let text =
        |reading: &Reading| render(source, reading).iter().map(TextLine::text).collect::<Vec<_>>();
    let with = Reading { blocks: Some(Arc::new(colour(source))), ..reading() };
    assert_eq!(text(&reading()), text(&with));
}

#[test]
fn drawing_a_text_never_loads_the_grammars() {
    use super::super::highlight::tests::ASKED;
    ASKED.with(|asked| asked.set(false));
    shown("**a** `b` > c\n\n```\nplain\n```\n- https://nest.example @ada");
    shown("```rust\nfn\n```");
    assert!(!ASKED.with(std::cell::Cell::get));
    drop(colour("```rust\nfn\n```"));
    assert!(ASKED.with(std::cell::Cell::get));
}

#[test]
fn links_show_where_they_lead_when_their_text_says_otherwise() {
    let cases = [
        ("[log](https://nest.example/a)", "<Link:log=https://nest.example/a>"),
        (
            "[https://bank.example](https://evil.example)",
            "<Link:https://bank.example (https://evil.example)=https://evil.example>",
        ),
        (
            "[go to bank.example.](https://evil.example/x)",
            "<Link:go to bank.example. (https://evil.example/x)=https://evil.example/x>",
        ),
        (
            "[**bank.example**](https://evil.example)",
            "<Link:bank.example (https://evil.example)=https://evil.example>",
        ),
        ("[nest.example](https://nest.example/)", "<Link:nest.example=https://nest.example/>"),
        ("[x](javascript:alert(1))", "x<Link: (javascript:alert(1))>"),
        ("[](https://evil.example)", "<Link: (https://evil.example)=https://evil.example>"),
        ("![cat](https://nest.example/c.png)", "<Link:cat=https://nest.example/c.png>"),
        ("<https://nest.example>", "<Link:https://nest.example=https://nest.example>"),
    ];
    for (source, expected) in cases {
        assert_eq!(shown(source), expected, "{source}");
    }
}

#[test]
fn bare_links_end_where_the_sentence_goes_on() {
    let cases = [
        ("see https://a.example/x.", "see <Link:https://a.example/x=https://a.example/x>."),
        ("(https://a.example/b_(c))", "(<Link:https://a.example/b_(c)=https://a.example/b_(c)>)"),
        (
            "https://a.example/?q=1&r=2, ok",
            "<Link:https://a.example/?q=1&r=2=https://a.example/?q=1&r=2>, ok",
        ),
        ("https:// xhttp://a", "https:// xhttp://a"),
        ("javascript:alert(1)", "javascript:alert(1)"),
    ];
    for (source, expected) in cases {
        assert_eq!(shown(source), expected, "{source}");
    }
}

#[test]
fn mentions_and_channels_are_found_and_mail_is_none() {
    let cases = [
        ("@bo hi", "<Mention:@bo> hi"),
        ("hi @Ada, @ada@nest.example.", "hi <MentionOfMe:@Ada>, <MentionOfMe:@ada@nest.example>."),
        ("@ada@other.example", "<Mention:@ada@other.example>"),
        ("@snake_case_name", "<Mention:@snake_case_name>"),
        ("bo@nest.example", "bo@nest.example"),
        ("in #ops, #ops-2@nest.example", "in <Channel:#ops>, <Channel:#ops-2@nest.example>"),
        ("issue #12", "issue #12"),
        ("@ # @@", "@ # @@"),
        ("**@ada** x", "<MentionOfMe:@ada> x"),
    ];
    for (source, expected) in cases {
        assert_eq!(shown(source), expected, "{source}");
    }
}

#[test]
fn spoilers_are_covered_until_they_are_opened() {
    assert_eq!(shown("it is ||the butler|| ok"), "it is <Spoiler:(spoiler)> ok");
    let open = Reading { spoilers: Spoilers::Open, ..reading() };
    assert_eq!(shown_as("it is ||the butler||", &open), "it is <Spoiler:the butler>");
    assert_eq!(shown("if a || b || c"), "if a || b || c");
    assert_eq!(shown("||||"), "||||");
}

#[test]
fn emoji_are_glyphs_or_names_as_the_reader_likes() {
    assert_eq!(shown("go :rocket: 🎉"), "go 🚀 🎉");
    let names = Reading { emoji: EmojiStyle::Names, ..reading() };
    assert_eq!(shown_as("go :rocket: 🎉", &names), "go :rocket: :tada:");
}

#[test]
fn html_is_text() {
    assert_eq!(shown("<b>x</b> & &amp;"), "<b>x</b> & &");
    assert_eq!(shown("<div>\n<script>x</script>\n</div>"), "<div>\n<script>x</script>\n</div>");
}

#[test]
fn what_the_parser_makes_of_entities_is_harmless_too() {
    assert_eq!(shown("a&#27;[31m&#x9b;b&#x202e;c"), "a[31mbc");
    assert_eq!(shown("[a](https://a.example/&#27;x)"), "<Link:a=https://a.example/x>");
    assert_eq!(shown("`a\u{1b}b`"), "<Code:ab>");
    assert_eq!(shown("```\u{1b}\na\u{9b}b\n```"), "  <Code:ab>");
}

#[test]
fn a_message_is_never_hidden_by_saying_nothing() {
    assert_eq!(shown("[x]: https://evil.example"), "[x]: https://evil.example");
}

#[test]
fn hostile_nesting_is_shown_as_typed_and_costs_little() {
    let size = 48 * 1024;
    let deep = ">".repeat(size);
    assert_eq!(shown(&deep), deep);
    let patterns = [
        "*",
        "_",
        "[",
        "![",
        "`",
        "`a``b",
        "~~",
        "<",
        "<!--",
        "&",
        "\\",
        "||",
        "@",
        "@a",
        "#a",
        ":a",
        "- ",
        "1. ",
        "> ",
        ">a\n",
        "- a\n",
        "[a](",
        "[a](b)",
        "*a_b",
        "**a*",
        "http://",
        "https://a(",
        "\n",
        "a\n",
        "](",
        "[a]: b\n",
        "# ",
        "||a",
        "|| |",
        "a**b",
        "<a ",
        "<?",
        "``` \n",
        "    a\n",
        "\u{200d}",
        "😀",
    ];
    for pattern in patterns {
        let source = pattern.repeat(size / pattern.len());
        let lines = render(&source, &reading());
        let out: usize =
            lines.iter().flat_map(|line| &line.pieces).map(|piece| piece.text.len()).sum();
        assert!(out <= size * 40, "{pattern:?}: {out}");
    }
}

fn any_source() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<String>(),
        "[a-z @#:|*_`~<>()!\\[\\]\n-]{0,20}",
        Just("&#27;".to_owned()),
        Just("&#x202e;".to_owned()),
        Just("\u{1b}[2J".to_owned()),
        Just("\u{9b}\u{202e}\u{e0041}".to_owned()),
        Just("\n```sh\n".to_owned()),
        Just("](https://a.example/\u{7}&#7;)".to_owned()),
        Just("||".to_owned()),
        Just("> - 1. ".to_owned()),
    ];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn nothing_unsafe_ever_comes_out(source in any_source(), names in any::<bool>()) {
        let emoji = if names { EmojiStyle::Names } else { EmojiStyle::Glyphs };
        let reading = Reading { emoji, spoilers: Spoilers::Open, ..reading() };
        for line in render(&source, &reading) {
            for piece in line.pieces {
                prop_assert!(!piece.text.chars().any(is_unsafe), "{piece:?}");
                prop_assert!(!piece.text.is_empty());
                prop_assert!(piece.link.is_none_or(|link| !link.chars().any(is_unsafe)));
            }
        }
    }

    #[test]
    fn the_words_of_plain_text_all_come_through(source in "[a-z0-9]{1,8}([ \n][a-z0-9]{1,8}){0,10}") {
        let said: Vec<_> = render(&source, &reading()).iter().map(TextLine::text).collect();
        prop_assert_eq!(said.join("\n"), source);
    }
}

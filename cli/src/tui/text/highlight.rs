//! Colours for code: what a word is in its language, as a [`Role`].
//!
//! The grammars are unpacked when the first block with a language is shown, and never before. A block of more than 16 KiB or with a line
//! of more than 512 bytes stays plain: grammars are regular expressions that go back on themselves, and a line made for that costs time.

use std::sync::{LazyLock, OnceLock};

use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

use super::TextLine;
use crate::tui::theme::Role;

/// The longest block that is coloured, in bytes.
pub const LONGEST_BLOCK: usize = 16 * 1024;

/// The longest line in such a block, in bytes.
pub const LONGEST_LINE: usize = 512;

/// The lines of `code`, coloured as `language`; none if the language is not known or the code is too long.
#[must_use]
pub fn highlight(code: &str, language: &str) -> Option<Vec<TextLine>> {
    let long = code.len() > LONGEST_BLOCK || code.lines().any(|line| line.len() > LONGEST_LINE);
    if long || language.is_empty() {
        return None;
    }
    let syntaxes = syntaxes();
    let syntax = find(syntaxes, language)?;
    let mut state = ParseState::new(syntax);
    let mut scopes = ScopeStack::new();
    let mut lines = Vec::new();
    for line in code.lines() {
        // The grammars expect the line end.
        let ended = format!("{line}\n");
        let changes = state.parse_line(&ended, syntaxes).ok()?;
        let mut coloured = TextLine::default();
        let mut from = 0_usize;
        for (at, change) in changes {
            let at = at.min(line.len());
            coloured.push(line.get(from..at).unwrap_or_default(), role_of(&scopes), None);
            from = at.max(from);
            scopes.apply(&change).ok()?;
        }
        coloured.push(line.get(from..).unwrap_or_default(), role_of(&scopes), None);
        lines.push(coloured);
    }
    Some(lines)
}

fn syntaxes() -> &'static SyntaxSet {
    static SYNTAXES: OnceLock<SyntaxSet> = OnceLock::new();
    #[cfg(test)]
    tests::ASKED.with(|asked| asked.set(true));
    SYNTAXES.get_or_init(SyntaxSet::load_defaults_newlines)
}

/// The grammar of what people write behind a fence: a name, an extension, or a habit.
fn find<'a>(syntaxes: &'a SyntaxSet, language: &str) -> Option<&'a SyntaxReference> {
    let known = match language.to_ascii_lowercase().as_str() {
        "shell" | "console" | "zsh" => "bash",
        "ts" | "typescript" | "jsx" | "tsx" => "js",
        "golang" => "go",
        "c++" => "cpp",
        "text" | "txt" | "plain" | "plaintext" => return None,
        _ => language,
    };
    syntaxes.find_syntax_by_token(known)
}

/// What the innermost scope that means something to us says.
fn role_of(scopes: &ScopeStack) -> Role {
    /// The first that fits counts.
    static ROLES: LazyLock<Vec<(Scope, Role)>> = LazyLock::new(|| {
        let table = [
            ("comment", Role::CodeComment),
            ("string", Role::CodeString),
            ("constant", Role::CodeNumber),
            ("entity.name.function", Role::CodeFunction),
            ("support.function", Role::CodeFunction),
            ("variable.function", Role::CodeFunction),
            ("entity.name.tag", Role::CodeKeyword),
            ("entity.name", Role::CodeType),
            ("entity.other.inherited-class", Role::CodeType),
            ("support.type", Role::CodeType),
            ("support.class", Role::CodeType),
            ("keyword.operator", Role::Code),
            ("keyword", Role::CodeKeyword),
            ("storage", Role::CodeKeyword),
        ];
        table.into_iter().filter_map(|(name, role)| Some((Scope::new(name).ok()?, role))).collect()
    });
    let roles = &*ROLES;
    let meaning = |scope: &Scope| {
        roles.iter().find(|(prefix, _)| prefix.is_prefix_of(*scope)).map(|(_, role)| *role)
    };
    scopes.as_slice().iter().rev().find_map(meaning).unwrap_or(Role::Code)
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    thread_local! {
        /// Whether this test has asked for the grammars.
        pub(in super::super) static ASKED: Cell<bool> = const { Cell::new(false) };
    }

    fn role(lines: &[TextLine], text: &str) -> Option<Role> {
        let mut pieces = lines.iter().flat_map(|line| &line.pieces);
        pieces.find(|piece| piece.text.trim() == text).map(|piece| piece.role)
    }

    #[test]
    fn words_have_the_role_that_they_have_in_their_language() {
        let rust = "// why\nfn ship(count: u32) -> &str {\n    let x = 42;\n    \"done\"\n}";
        let lines = highlight(rust, "rust").unwrap();
        assert_eq!(role(&lines, "// why"), Some(Role::CodeComment));
        assert_eq!(role(&lines, "fn"), Some(Role::CodeKeyword));
        assert_eq!(role(&lines, "ship"), Some(Role::CodeFunction));
        assert_eq!(role(&lines, "42"), Some(Role::CodeNumber));
        assert_eq!(role(&lines, "\"done\""), Some(Role::CodeString));
        let said: Vec<_> = lines.iter().map(TextLine::text).collect();
        assert_eq!(said.join("\n"), rust);
        assert_eq!(role(&highlight("if True:", "py").unwrap(), "if"), Some(Role::CodeKeyword));
    }

    #[test]
    fn what_is_unknown_or_too_long_stays_plain() {
        assert_eq!(highlight("x", "nosuchlanguage"), None);
        assert_eq!(highlight(&"x = 1\n".repeat(LONGEST_BLOCK / 6 + 1), "py"), None);
        assert_eq!(highlight(&"x".repeat(LONGEST_LINE + 1), "py"), None);
        ASKED.with(|asked| asked.set(false));
        assert_eq!(highlight("x", ""), None);
        assert!(!ASKED.with(Cell::get));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn no_code_is_lost_whatever_it_is(code in "[ -~\n日]{0,80}", language in "(rust|py|js|sh|html|c)") {
            let lines = highlight(&code, &language).unwrap();
            let said: Vec<_> = lines.iter().map(TextLine::text).collect();
            prop_assert_eq!(said, code.lines().map(str::to_owned).collect::<Vec<_>>());
        }
    }
}

//! The code of a message: found, and coloured beside everything else.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::{is_too_much, normal};
use crate::{
    render::field,
    tui::text::{TextLine, highlight::highlight},
};

/// Blocks of code in their colours, in the order of the message; none for one that stays plain.
pub type Blocks = Vec<Option<Vec<TextLine>>>;

/// Whether a text may have code in it that can be coloured.
#[must_use]
pub fn may_have_code(source: &str) -> bool {
    source.contains("```") || source.contains("~~~")
}

/// The blocks of code of `source` in their colours. This may take as long as some frames.
#[must_use]
pub fn colour(source: &str) -> Blocks {
    let source = normal(source);
    if is_too_much(&source) {
        return vec![];
    }
    let mut blocks = vec![];
    let mut block: Option<(String, String)> = None;
    for event in Parser::new_ext(&source, Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => block = Some((language(&kind), String::new())),
            Event::Text(text) => {
                if let Some((_, code)) = &mut block {
                    code.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => {
                let coloured = block.take().and_then(|(language, code)| {
                    highlight(&code_lines(&code).join("\n"), &language)
                });
                blocks.push(coloured);
            }
            _ => {}
        }
    }
    blocks
}

/// What stands behind a fence.
fn language(kind: &CodeBlockKind<'_>) -> String {
    match kind {
        CodeBlockKind::Fenced(info) => {
            info.split([' ', ',', '{']).next().unwrap_or_default().to_owned()
        }
        CodeBlockKind::Indented => String::new(),
    }
}

/// The lines of a block, harmless. The parser makes no characters in code, so what is harmless line by line stays so in parts.
pub(super) fn code_lines(code: &str) -> Vec<String> {
    code.lines().map(field).collect()
}

//! Messages as lines: the Markdown that people write in chat, and none of the HTML.
//!
//! A line end is a line end, as everybody in a chat expects. Marks stand in ASCII (`> `, `- `), so that they survive copying and need no
//! glyph set. What somebody else wrote is made harmless *behind* the parser, piece by piece, since the parser itself makes characters out
//! of entities: `&#27;` is an escape. No text makes this slow: what nests deeper than any person writes is shown as it was typed.

mod code;
mod inline;
mod link;

use std::{ops::Range, sync::Arc};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

pub use self::code::{Blocks, colour, may_have_code};
use self::{code::code_lines, link::Destination};
use super::{Piece, TextLine};
use crate::{render::field, tui::theme::Role};

/// The longest text that is read as Markdown, in bytes; four times what a message may hold.
pub const LONGEST: usize = 256 * 1024;

/// How deep quotes and lists may nest on one line before the text is shown as it was typed.
pub const DEEPEST: usize = 16;

/// How many levels of nesting are drawn; what is deeper stands at the last.
const DRAWN: usize = 6;

/// How a message is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The names by which one is mentioned oneself, without `@`, such as `ada` and `ada@nest.example`.
    pub me: Vec<String>,
    /// Whether emoji are drawn.
    pub emoji: EmojiStyle,
    /// Whether spoilers are covered.
    pub spoilers: Spoilers,
    /// The colours of its code, if they were worked out.
    pub blocks: Option<Arc<Blocks>>,
}

/// How emoji are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmojiStyle {
    /// As the glyphs they are; `:name:` becomes one too.
    #[default]
    Glyphs,
    /// As `:name:`.
    Names,
}

/// How spoilers are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spoilers {
    /// As a word that says there is one.
    #[default]
    Covered,
    /// As what they say.
    Open,
}

/// `source` as lines, not yet wrapped: none if there is nothing to show.
#[must_use]
pub fn render(source: &str, reading: &Reading) -> Vec<TextLine> {
    let source = normal(source);
    if is_too_much(&source) {
        return plain(&source);
    }
    let mut writer = Writer::new(&source, reading);
    let events = Parser::new_ext(&source, Options::ENABLE_STRIKETHROUGH).into_offset_iter();
    for (event, range) in events {
        writer.take(event, &range);
    }
    let lines = writer.finish();
    // Markdown can say nothing at all (a link's definition, say), a person cannot.
    if lines.is_empty() { plain(&source) } else { lines }
}

fn normal(source: &str) -> String {
    source.replace('\t', "    ").replace("\r\n", "\n")
}

fn is_too_much(source: &str) -> bool {
    source.len() > LONGEST || source.lines().any(|line| nesting(line) > DEEPEST)
}

/// `source` as it was typed.
fn plain(source: &str) -> Vec<TextLine> {
    source.trim_end().lines().map(|line| TextLine::new(field(line), Role::Text)).collect()
}

/// How many marks of quotes and lists may stand before the text of a line.
fn nesting(line: &str) -> usize {
    let head = line.trim_start_matches(|mark: char| {
        matches!(mark, ' ' | '>' | '-' | '*' | '+' | '.' | ')') || mark.is_ascii_digit()
    });
    let marks = line.get(..line.len().saturating_sub(head.len())).unwrap_or(line).as_bytes();
    let is_mark =
        |mark: &&[u8]| matches!(mark, [b'>', _] | [b'-' | b'*' | b'+' | b'.' | b')', b' ']);
    marks.windows(2).filter(is_mark).count()
}

/// What the text stands in.
#[derive(Clone, Debug)]
enum Container {
    Quote,
    Item { mark: String, drawn: bool },
}

/// How deep the text is in each style.
#[derive(Default)]
struct Styles {
    strong: usize,
    emphasis: usize,
    struck: usize,
    heading: bool,
}

/// Takes what the parser finds and makes lines of it.
struct Writer<'a> {
    source: &'a str,
    reading: &'a Reading,
    lines: Vec<TextLine>,
    line: Option<TextLine>,
    containers: Vec<Container>,
    /// The next number of each list, if it has numbers.
    numbers: Vec<Option<u64>>,
    styles: Styles,
    link: Option<Destination>,
    /// Text whose parts the parser gave one by one.
    run: String,
    code: Option<String>,
    /// How many blocks of code are done.
    blocks: usize,
}

impl<'a> Writer<'a> {
    const fn new(source: &'a str, reading: &'a Reading) -> Self {
        Self {
            source,
            reading,
            lines: Vec::new(),
            line: None,
            containers: Vec::new(),
            numbers: Vec::new(),
            styles: Styles { strong: 0, emphasis: 0, struck: 0, heading: false },
            link: None,
            run: String::new(),
            code: None,
            blocks: 0,
        }
    }

    fn take(&mut self, event: Event<'_>, range: &Range<usize>) {
        if let Event::Text(text) | Event::InlineHtml(text) = &event {
            match &mut self.code {
                Some(code) => code.push_str(text),
                None => self.run.push_str(text),
            }
            return;
        }
        self.flush();
        match event {
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => self.end(tag),
            Event::Code(code) => {
                if let Some(link) = &mut self.link {
                    link.note(&code);
                }
                let link = self.link.as_ref().and_then(Destination::target);
                self.push(&code, Role::Code, link.as_ref());
            }
            Event::Html(html) => {
                self.run.push_str(html.trim_end_matches('\n'));
                self.flush();
                self.end_line();
            }
            Event::SoftBreak | Event::HardBreak => {
                self.open_line();
                self.end_line();
            }
            Event::Rule => {
                self.blank_before(range);
                self.push("---", Role::Rule, None);
                self.end_line();
            }
            // Nothing else comes without an option that is not set.
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>, range: &Range<usize>) {
        match tag {
            Tag::Strong => self.styles.strong = self.styles.strong.saturating_add(1),
            Tag::Emphasis => self.styles.emphasis = self.styles.emphasis.saturating_add(1),
            Tag::Strikethrough => self.styles.struck = self.styles.struck.saturating_add(1),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                // An image in a link leads where the link does.
                self.link.get_or_insert_with(|| Destination::new(&dest_url)).enter();
            }
            block => {
                self.end_line();
                self.blank_before(range);
                self.start_block(&block);
            }
        }
    }

    fn start_block(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Heading { .. } => self.styles.heading = true,
            Tag::BlockQuote(_) => self.containers.push(Container::Quote),
            Tag::List(first) => self.numbers.push(*first),
            Tag::Item => {
                let mark = match self.numbers.last_mut() {
                    Some(Some(number)) => {
                        let mark = format!("{number}. ");
                        *number = number.saturating_add(1);
                        mark
                    }
                    _ => "- ".to_owned(),
                };
                self.containers.push(Container::Item { mark, drawn: false });
            }
            Tag::CodeBlock(_) => self.code = Some(String::new()),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Strong => self.styles.strong = self.styles.strong.saturating_sub(1),
            TagEnd::Emphasis => self.styles.emphasis = self.styles.emphasis.saturating_sub(1),
            TagEnd::Strikethrough => self.styles.struck = self.styles.struck.saturating_sub(1),
            TagEnd::Link | TagEnd::Image => {
                if let Some(link) = self.link.take_if(Destination::leave)
                    && let Some(shown) = link.to_show()
                {
                    self.push(&format!(" ({shown})"), Role::Link, link.target().as_ref());
                }
            }
            TagEnd::Item => {
                if let Some(Container::Item { drawn: false, .. }) = self.containers.last() {
                    self.open_line();
                }
                self.end_line();
                self.containers.pop();
            }
            TagEnd::BlockQuote(_) => {
                self.end_line();
                self.containers.pop();
            }
            TagEnd::List(_) => {
                self.end_line();
                self.numbers.pop();
            }
            TagEnd::CodeBlock => self.end_code(),
            TagEnd::Heading(_) => {
                self.end_line();
                self.styles.heading = false;
            }
            _ => self.end_line(),
        }
    }

    fn end_code(&mut self) {
        let Some(code) = self.code.take() else { return };
        let coloured = self.reading.blocks.as_ref().and_then(|blocks| blocks.get(self.blocks));
        self.blocks = self.blocks.saturating_add(1);
        let lines = coloured.cloned().flatten().unwrap_or_else(|| {
            let plain = |line| TextLine::new(line, Role::Code);
            code_lines(&code).into_iter().map(plain).collect()
        });
        for line in lines {
            self.push("  ", Role::ListMark, None);
            for Piece { text, role, .. } in line.pieces {
                self.push(&text, role, None);
            }
            self.end_line();
        }
    }

    /// Leaves a line empty where the author did, once.
    fn blank_before(&mut self, range: &Range<usize>) {
        let before = self.source.get(..range.start).unwrap_or_default();
        let line = before.rsplit('\n').nth(1).filter(|_| !self.lines.is_empty());
        let blank = line.is_some_and(|line| line.trim_matches([' ', '>']).is_empty());
        let last_is_blank = self.lines.last().is_none_or(|last| {
            last.pieces.iter().all(|piece| matches!(piece.role, Role::QuoteMark))
        });
        let on_a_mark =
            matches!(self.containers.last(), Some(Container::Item { drawn: false, .. }));
        if blank && !last_is_blank && !on_a_mark {
            self.open_line();
            self.end_line();
        }
    }

    /// Shows the text that has come together.
    fn flush(&mut self) {
        if self.run.is_empty() {
            return;
        }
        let run = std::mem::take(&mut self.run);
        let role = self.role();
        if let Some(link) = &mut self.link {
            link.note(&run);
            let target = link.target();
            let text = inline::emoji(&run, self.reading.emoji);
            self.push(&text, role, target.as_ref());
            return;
        }
        for (index, line) in run.split('\n').enumerate() {
            if index > 0 {
                self.open_line();
                self.end_line();
            }
            for part in inline::parts(line, role, self.reading) {
                self.push(&part.text, part.role, part.link.as_ref());
            }
        }
    }

    fn role(&self) -> Role {
        let quoted = self.containers.iter().any(|container| matches!(container, Container::Quote));
        let styles = &self.styles;
        match (styles.strong > 0, styles.emphasis > 0) {
            _ if self.link.as_ref().is_some_and(|link| link.target().is_some()) => Role::Link,
            _ if styles.struck > 0 => Role::Struck,
            _ if styles.heading => Role::Heading,
            (true, true) => Role::StrongEmphasis,
            (true, false) => Role::Strong,
            (false, true) => Role::Emphasis,
            (false, false) if quoted => Role::Quote,
            (false, false) => Role::Text,
        }
    }

    /// Adds `text` to the line, harmless.
    fn push(&mut self, text: &str, role: Role, link: Option<&Arc<str>>) {
        self.open_line().push(&field(text), role, link);
    }

    /// The line in hand, begun with the marks of what it stands in.
    fn open_line(&mut self) -> &mut TextLine {
        let containers = &mut self.containers;
        self.line.get_or_insert_with(|| {
            let mut line = TextLine::default();
            for container in containers.iter_mut().take(DRAWN) {
                match container {
                    Container::Quote => line.push("> ", Role::QuoteMark, None),
                    Container::Item { mark, drawn: false } => {
                        line.push(mark, Role::ListMark, None);
                    }
                    Container::Item { mark, .. } => {
                        line.push(&" ".repeat(mark.len()), Role::ListMark, None);
                    }
                }
            }
            for container in containers {
                if let Container::Item { drawn, .. } = container {
                    *drawn = true;
                }
            }
            line
        })
    }

    fn end_line(&mut self) {
        self.lines.extend(self.line.take());
    }

    fn finish(mut self) -> Vec<TextLine> {
        self.flush();
        self.end_line();
        self.lines
    }
}

#[cfg(test)]
mod tests;

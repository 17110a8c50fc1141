//! A theme out of TOML. What is not understood is an error with its line: a misspelt role that is passed over looks like a broken theme.

use std::ops::Range;

use ratatui::style::{Color, Modifier, Style};
use thiserror::Error;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{BuiltIn, Role, Theme};

/// What is wrong with a theme, and where.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: {problem}")]
pub struct ThemeError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What can be wrong with a theme.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Problem {
    /// It is no TOML.
    #[error("{0}")]
    Syntax(String),
    /// A key that a theme does not have.
    #[error("no key `{0}`; a theme has `base` and `[roles]`")]
    UnknownKey(String),
    /// A role that does not exist.
    #[error("no role `{0}`")]
    UnknownRole(String),
    /// A property that a style does not have.
    #[error("no property `{0}`; a style has fg, bg, bold, italic, underline, dim and reverse")]
    UnknownProperty(String),
    /// A base that is not built in.
    #[error("no theme `{0}`; built in are dark, light, high-contrast and none")]
    UnknownBase(String),
    /// No colour.
    #[error("no colour `{0}`; a colour is a name, \"#rrggbb\" or 0 to 255")]
    NotAColour(String),
    /// A value of the wrong kind.
    #[error("`{key}` is a {expected}")]
    WrongKind {
        /// Whose value it is.
        key: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// Reads a whole theme.
pub(super) fn theme(source: &str) -> Result<Theme, ThemeError> {
    let reader = Reader { source };
    let table = DeTable::parse(source).map_err(|error| {
        reader.at(&error.span().unwrap_or(0..0), Problem::Syntax(error.message().to_owned()))
    })?;
    reader.theme(table.get_ref())
}

struct Reader<'a> {
    source: &'a str,
}

impl Reader<'_> {
    fn at(&self, span: &Range<usize>, problem: Problem) -> ThemeError {
        let before = self.source.get(..span.start).unwrap_or(self.source);
        let line = before.matches('\n').count().saturating_add(1);
        ThemeError { line, problem }
    }

    fn theme(&self, table: &DeTable<'_>) -> Result<Theme, ThemeError> {
        let mut theme = match table.get("base") {
            None => Theme::default(),
            Some(base) => Theme::built_in(self.base(base)?),
        };
        for (key, value) in table {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("base", _) => {}
                ("roles", DeValue::Table(roles)) => self.roles(roles, &mut theme)?,
                ("roles", _) => return Err(self.wrong("roles", "table", &value.span())),
                (other, _) => {
                    return Err(self.at(&key.span(), Problem::UnknownKey(other.to_owned())));
                }
            }
        }
        Ok(theme)
    }

    fn base(&self, value: &Spanned<DeValue<'_>>) -> Result<BuiltIn, ThemeError> {
        let name = value
            .get_ref()
            .as_str()
            .ok_or_else(|| self.wrong("base", "theme's name", &value.span()))?;
        BuiltIn::parse(name)
            .ok_or_else(|| self.at(&value.span(), Problem::UnknownBase(name.to_owned())))
    }

    fn roles(&self, roles: &DeTable<'_>, theme: &mut Theme) -> Result<(), ThemeError> {
        for (key, value) in roles {
            let name = key.get_ref().as_ref();
            let role = Role::parse(name)
                .ok_or_else(|| self.at(&key.span(), Problem::UnknownRole(name.to_owned())))?;
            let DeValue::Table(properties) = value.get_ref() else {
                return Err(self.wrong(name, "table such as { fg = \"red\" }", &value.span()));
            };
            theme.set(role, self.style(properties)?);
        }
        Ok(())
    }

    fn style(&self, properties: &DeTable<'_>) -> Result<Style, ThemeError> {
        let mut style = Style::new();
        for (key, value) in properties {
            let name = key.get_ref().as_ref();
            style = match name {
                "fg" => style.fg(self.colour(value)?),
                "bg" => style.bg(self.colour(value)?),
                _ => {
                    let modifier = modifier(name).ok_or_else(|| {
                        self.at(&key.span(), Problem::UnknownProperty(name.to_owned()))
                    })?;
                    match value.get_ref() {
                        DeValue::Boolean(true) => style.add_modifier(modifier),
                        DeValue::Boolean(false) => style.remove_modifier(modifier),
                        _ => return Err(self.wrong(name, "boolean", &value.span())),
                    }
                }
            };
        }
        Ok(style)
    }

    fn colour(&self, value: &Spanned<DeValue<'_>>) -> Result<Color, ThemeError> {
        let (text, colour) = match value.get_ref() {
            DeValue::String(name) if name == "default" => return Ok(Color::Reset),
            DeValue::String(name) => (name.as_ref(), name.parse().ok()),
            DeValue::Integer(index) => {
                let index_text = index.as_str();
                let index = u8::from_str_radix(index_text, index.radix());
                (index_text, index.ok().map(Color::Indexed))
            }
            other => (other.type_str(), None),
        };
        colour.ok_or_else(|| self.at(&value.span(), Problem::NotAColour(text.to_owned())))
    }

    fn wrong(&self, key: &str, expected: &'static str, span: &Range<usize>) -> ThemeError {
        self.at(span, Problem::WrongKind { key: key.to_owned(), expected })
    }
}

fn modifier(name: &str) -> Option<Modifier> {
    Some(match name {
        "bold" => Modifier::BOLD,
        "italic" => Modifier::ITALIC,
        "underline" => Modifier::UNDERLINED,
        "dim" => Modifier::DIM,
        "reverse" => Modifier::REVERSED,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_theme_changes_what_it_names_and_keeps_the_rest_of_its_base() {
        let source = "base = \"light\"\n[roles]\nmention = { fg = \"#ff8000\", bold = true }\n\
             author-3 = { fg = 208, bg = \"bright-blue\" }\n[roles.unread]\nreverse = true\n";
        let theme = Theme::parse(source).unwrap();
        assert_eq!(theme.style(Role::Mention), Style::new().fg(Color::Rgb(255, 128, 0)).bold());
        assert_eq!(
            theme.style(Role::Author(15)),
            Style::new().fg(Color::Indexed(208)).bg(Color::LightBlue)
        );
        assert_eq!(theme.style(Role::Unread), Style::new().reversed());
        assert_eq!(theme.style(Role::Link), Theme::built_in(BuiltIn::Light).style(Role::Link));
        assert_eq!(Theme::parse("").unwrap(), Theme::default());
    }

    #[test]
    fn what_is_not_understood_is_named_with_its_line() {
        let cases = [
            ("base = \"dusk\"", "line 1: no theme `dusk`; built in are"),
            ("\ncolour = 1", "line 2: no key `colour`; a theme has"),
            ("[roles]\n\nmentoin = { bold = true }", "line 3: no role `mentoin`"),
            ("[roles]\nlink = { blink = true }", "line 2: no property `blink`; a style has"),
            ("[roles]\nlink = { bold = 1 }", "line 2: `bold` is a boolean"),
            ("[roles]\nlink = { fg = \"mauvish\" }", "line 2: no colour `mauvish`; a colour is"),
            ("[roles]\nlink = { fg = 256 }", "line 2: no colour `256`; a colour is"),
            ("[roles]\nlink = \"red\"", "line 2: `link` is a table"),
            ("roles = 1", "line 1: `roles` is a table"),
            ("base = 1", "line 1: `base` is a theme's name"),
            ("[roles]\nlink = {", "line 2: "),
        ];
        for (source, message) in cases {
            let error = Theme::parse(source).unwrap_err().to_string();
            assert!(error.starts_with(message), "{source:?}: {error}");
        }
    }
}

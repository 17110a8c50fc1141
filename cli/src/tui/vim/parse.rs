//! What keys mean together: `["x][count]verb`, where an operator takes a motion, a text object, or itself.

/// How Ctrl+R is written among keys.
pub(super) const CONTROL_R: char = '\u{12}';

/// The highest count. More can only be a slip, and would be felt.
const MOST: usize = 999;

/// Why there is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// More keys are needed.
    More,
    /// No keys make a command of these.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) register: Option<char>,
    pub(super) count: Option<usize>,
    pub(super) verb: Verb,
}

impl Command {
    /// Whether `.` repeats it.
    pub(super) const fn changes(&self) -> bool {
        !matches!(
            self.verb,
            Verb::Move(_)
                | Verb::Operate(Operator::Yank, _)
                // The same places hold something else the next time.
                | Verb::Operate(_, Target::Selected(..))
                | Verb::Select(_)
                | Verb::Mark(_)
                | Verb::Undo
                | Verb::Redo
                | Verb::Repeat
        )
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Move(Motion),
    Operate(Operator, Target),
    Put(Side),
    Replace(char),
    Case,
    Join,
    Insert(Start),
    /// Begins to select.
    Select(Shape),
    /// Remembers the place of the cursor.
    Mark(char),
    Undo,
    Redo,
    Repeat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Delete,
    Change,
    Yank,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Motion(Motion),
    Object(Extent, Object),
    Lines,
    /// What is selected: its first cluster and its last one.
    Selected(usize, usize, Shape),
}

/// Whether clusters or whole lines are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shape {
    #[default]
    Text,
    /// Without the last line end.
    Lines,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Motion {
    Left,
    Right,
    Up,
    Down,
    WordStart(Size),
    WordBack(Size),
    WordEnd(Size),
    LineStart,
    FirstText,
    LineEnd,
    FirstLine,
    LastLine,
    Find(Find),
    Again(Again),
    /// To a mark, or to the first text of its line.
    ToMark(char, Shape),
    /// To a place of the text, or to the first text of its line.
    Place(usize, Shape),
}

/// Whether punctuation parts words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Small,
    Big,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    Same,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Find {
    pub(super) target: char,
    pub(super) way: Way,
    pub(super) stop: At,
    /// Whether `;` or `,` asked: then the cursor already stands short of one target.
    pub(super) again: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Forward,
    Back,
}

impl Way {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Forward => Self::Back,
            Self::Back => Self::Forward,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Target,
    Short,
}

/// Whether a text object has what surrounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Inner,
    Around,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Object {
    Word(Size),
    Quoted(char),
    Bracketed(char, char),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Before,
    After,
}

/// Where typing begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Cursor,
    After,
    FirstText,
    LineEnd,
    Below,
    Above,
}

/// The command that `keys` are.
pub(super) fn command(keys: &str) -> Result<Command, Stop> {
    let mut keys = Keys { rest: keys };
    let mut register = keys.register()?;
    let count = keys.count();
    if register.is_none() {
        register = keys.register()?;
    }
    let key = keys.next()?;
    let (verb, inner) = keys.verb(key)?;
    let count = match (count, inner) {
        (Some(outer), Some(inner)) => Some(outer.saturating_mul(inner).min(MOST)),
        (outer, inner) => outer.or(inner),
    };
    Ok(Command { register, count, verb })
}

struct Keys<'a> {
    rest: &'a str,
}

impl Keys<'_> {
    fn next(&mut self) -> Result<char, Stop> {
        let mut rest = self.rest.chars();
        let next = rest.next().ok_or(Stop::More)?;
        self.rest = rest.as_str();
        Ok(next)
    }

    fn register(&mut self) -> Result<Option<char>, Stop> {
        let Some(rest) = self.rest.strip_prefix('"') else { return Ok(None) };
        self.rest = rest;
        match self.next()? {
            name @ ('a'..='z' | 'A'..='Z' | '"' | '+' | '*' | '_') => Ok(Some(name)),
            _ => Err(Stop::Unknown),
        }
    }

    fn count(&mut self) -> Option<usize> {
        if self.rest.starts_with('0') {
            return None;
        }
        let rest = self.rest.trim_start_matches(|key: char| key.is_ascii_digit());
        let digits = self.rest.get(..self.rest.len().saturating_sub(rest.len()))?;
        self.rest = rest;
        if digits.is_empty() {
            return None;
        }
        Some(digits.parse().map_or(MOST, |count: usize| count.min(MOST)))
    }

    /// The verb that begins with `key`, and the count inside of it.
    fn verb(&mut self, key: char) -> Result<(Verb, Option<usize>), Stop> {
        let line_end = Target::Motion(Motion::LineEnd);
        let verb = match key {
            'd' => return self.operator(key, Operator::Delete),
            'c' => return self.operator(key, Operator::Change),
            'y' => return self.operator(key, Operator::Yank),
            'x' => Verb::Operate(Operator::Delete, Target::Motion(Motion::Right)),
            'X' => Verb::Operate(Operator::Delete, Target::Motion(Motion::Left)),
            's' => Verb::Operate(Operator::Change, Target::Motion(Motion::Right)),
            'S' => Verb::Operate(Operator::Change, Target::Lines),
            'D' => Verb::Operate(Operator::Delete, line_end),
            'C' => Verb::Operate(Operator::Change, line_end),
            'Y' => Verb::Operate(Operator::Yank, Target::Lines),
            'p' => Verb::Put(Side::After),
            'P' => Verb::Put(Side::Before),
            'r' => Verb::Replace(self.next()?),
            '~' => Verb::Case,
            'J' => Verb::Join,
            'i' => Verb::Insert(Start::Cursor),
            'a' => Verb::Insert(Start::After),
            'I' => Verb::Insert(Start::FirstText),
            'A' => Verb::Insert(Start::LineEnd),
            'o' => Verb::Insert(Start::Below),
            'O' => Verb::Insert(Start::Above),
            'u' => Verb::Undo,
            CONTROL_R => Verb::Redo,
            '.' => Verb::Repeat,
            'v' => Verb::Select(Shape::Text),
            'V' => Verb::Select(Shape::Lines),
            'm' => Verb::Mark(self.mark()?),
            _ => Verb::Move(self.motion(key)?),
        };
        Ok((verb, None))
    }

    fn operator(&mut self, own: char, operator: Operator) -> Result<(Verb, Option<usize>), Stop> {
        let count = self.count();
        let target = match self.next()? {
            key if key == own => Target::Lines,
            'i' => Target::Object(Extent::Inner, self.object()?),
            'a' => Target::Object(Extent::Around, self.object()?),
            key => Target::Motion(self.motion(key)?),
        };
        Ok((Verb::Operate(operator, target), count))
    }

    fn motion(&mut self, key: char) -> Result<Motion, Stop> {
        Ok(match key {
            'h' => Motion::Left,
            'l' | ' ' => Motion::Right,
            'k' => Motion::Up,
            'j' => Motion::Down,
            'w' => Motion::WordStart(Size::Small),
            'W' => Motion::WordStart(Size::Big),
            'b' => Motion::WordBack(Size::Small),
            'B' => Motion::WordBack(Size::Big),
            'e' => Motion::WordEnd(Size::Small),
            'E' => Motion::WordEnd(Size::Big),
            '0' => Motion::LineStart,
            '^' => Motion::FirstText,
            '$' => Motion::LineEnd,
            'G' => Motion::LastLine,
            'g' => match self.next()? {
                'g' => Motion::FirstLine,
                _ => return Err(Stop::Unknown),
            },
            'f' => self.find(Way::Forward, At::Target)?,
            'F' => self.find(Way::Back, At::Target)?,
            't' => self.find(Way::Forward, At::Short)?,
            'T' => self.find(Way::Back, At::Short)?,
            ';' => Motion::Again(Again::Same),
            ',' => Motion::Again(Again::Other),
            '`' => Motion::ToMark(self.mark()?, Shape::Text),
            '\'' => Motion::ToMark(self.mark()?, Shape::Lines),
            _ => return Err(Stop::Unknown),
        })
    }

    fn mark(&mut self) -> Result<char, Stop> {
        self.next()
            .and_then(|name| if name.is_ascii_lowercase() { Ok(name) } else { Err(Stop::Unknown) })
    }

    fn find(&mut self, way: Way, stop: At) -> Result<Motion, Stop> {
        Ok(Motion::Find(Find { target: self.next()?, way, stop, again: false }))
    }

    fn object(&mut self) -> Result<Object, Stop> {
        Ok(match self.next()? {
            'w' => Object::Word(Size::Small),
            'W' => Object::Word(Size::Big),
            quote @ ('"' | '\'' | '`') => Object::Quoted(quote),
            '(' | ')' | 'b' => Object::Bracketed('(', ')'),
            '[' | ']' => Object::Bracketed('[', ']'),
            '{' | '}' | 'B' => Object::Bracketed('{', '}'),
            '<' | '>' => Object::Bracketed('<', '>'),
            _ => return Err(Stop::Unknown),
        })
    }
}

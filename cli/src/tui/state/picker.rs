//! The palette: one line to type, and what fits it.

use nucleo_matcher::{
    Config, Matcher, Utf32Str,
    pattern::{CaseMatching, Normalization, Pattern},
};

use crate::tui::composer::Composer;

/// How many choices are listed at most.
const MOST: usize = 200;

/// Something to pick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What it is called: what is matched.
    pub title: String,
    /// What stands beside it: a key, a slash command, what is unread.
    pub detail: String,
    /// The command that picking it runs.
    pub command: String,
    /// The sign that narrows to its kind: `#` rooms, `@` people, `>` actions, `*` unread.
    pub sigils: &'static str,
}

/// A list to pick from.
#[derive(Clone, Debug)]
pub struct Picker {
    /// What is typed.
    pub query: Composer,
    /// All there is.
    pub choices: Vec<Choice>,
    /// What fits, best first: places in `choices`.
    pub fitting: Vec<usize>,
    /// Which one is marked: a place in `fitting`.
    pub marked: usize,
}

impl Picker {
    /// A list of `choices`, with `query` typed already.
    #[must_use]
    pub fn new(query: &str, choices: Vec<Choice>) -> Self {
        let mut typed = Composer::default();
        typed.set_text(query);
        let mut picker = Self { query: typed, choices, fitting: vec![], marked: 0 };
        picker.narrow();
        picker
    }

    /// Finds what fits what is typed.
    pub fn narrow(&mut self) {
        self.marked = 0;
        let typed = self.query.text();
        let typed = typed.trim();
        let (sigil, words) = match typed.chars().next() {
            Some(sigil @ ('#' | '@' | '>' | '/' | '*' | '+')) => {
                (Some(sigil), typed.get(sigil.len_utf8()..).unwrap_or_default())
            }
            _ => (None, typed),
        };
        let sigil = sigil.map(|sigil| if sigil == '/' { '>' } else { sigil });
        let fits = |choice: &Choice| sigil.is_none_or(|sigil| choice.sigils.contains(sigil));
        let pattern = Pattern::parse(words, CaseMatching::Ignore, Normalization::Smart);
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut buffer = vec![];
        let mut scored: Vec<(u32, usize)> = self
            .choices
            .iter()
            .enumerate()
            .filter(|(_, choice)| fits(choice))
            .filter_map(|(place, choice)| {
                let text = format!("{} {}", choice.title, choice.detail);
                let score = pattern.score(Utf32Str::new(&text, &mut buffer), &mut matcher)?;
                // What stands in the name counts for more than what stands beside it.
                let own = pattern.score(Utf32Str::new(&choice.title, &mut buffer), &mut matcher);
                // A command by its very name is what is meant.
                let is_named = choice.command.trim().strip_prefix('/') == Some(words);
                let named = if is_named { u32::from(u16::MAX) } else { 0 };
                Some((score.saturating_add(own.unwrap_or(0)).saturating_add(named), place))
            })
            .collect();
        scored.sort_by_key(|(score, place)| (std::cmp::Reverse(*score), *place));
        self.fitting = scored.into_iter().take(MOST).map(|(_, place)| place).collect();
    }

    /// The marked choice.
    #[must_use]
    pub fn choice(&self) -> Option<&Choice> {
        self.choices.get(*self.fitting.get(self.marked)?)
    }

    /// Marks the choice that is `steps` further down, or up.
    pub fn step(&mut self, steps: isize) {
        let last = self.fitting.len().saturating_sub(1);
        self.marked = self.marked.saturating_add_signed(steps).min(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(title: &str, sigils: &'static str) -> Choice {
        Choice { title: title.to_owned(), detail: String::new(), command: String::new(), sigils }
    }

    #[test]
    fn what_fits_best_stands_first_and_a_sign_narrows() {
        let all = vec![choice("general", "#"), choice("gene", "@"), choice("Go to", ">")];
        let titles = |query: &str| {
            let picker = Picker::new(query, all.clone());
            picker.fitting.iter().map(|at| all[*at].title.clone()).collect::<Vec<_>>()
        };
        assert_eq!(titles("gene").len(), 2);
        assert_eq!(titles("@"), ["gene"]);
        assert_eq!(titles("/go"), ["Go to"]);
        assert_eq!(titles("#gnrl"), ["general"]);
        assert!(titles("zzz").is_empty());
    }

    #[test]
    fn a_command_by_its_very_name_stands_first() {
        let named = |title: &str, command: &str| Choice {
            command: command.to_owned(),
            detail: command.to_owned(),
            ..choice(title, ">")
        };
        let all = vec![named("Set the topic", "/topic"), named("Settings", "/set")];
        assert_eq!(Picker::new(">set", all.clone()).fitting, [1, 0]);
        assert_eq!(Picker::new("/topic", all).fitting, [0]);
    }
}

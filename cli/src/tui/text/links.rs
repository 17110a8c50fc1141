//! Where links on the screen lead, by number, for terminals that open them (OSC 8).

use std::{collections::HashMap, fmt::Write as _, sync::Arc};

use ratatui::style::Color;

/// How many links are known at once.
const MOST: usize = 4_096;
/// The longest link that a terminal is told, in bytes: what browsers and terminals take.
const LONGEST: usize = 2_048;
/// The numbers that a colour can carry.
const LAST: u32 = 0x00ff_ffff;

/// Links by number. A number is never given twice, so a cell that carries one leads where it always did, or nowhere.
#[derive(Debug, Default)]
pub struct Links {
    numbers: HashMap<Arc<str>, u32>,
    targets: HashMap<u32, Arc<str>>,
    last: u32,
}

impl Links {
    /// The number of a link; none where it is too long, or all numbers are used up.
    pub fn number(&mut self, target: &Arc<str>) -> Option<u32> {
        if let Some(number) = self.numbers.get(target) {
            return Some(*number);
        }
        if target.len() > LONGEST || self.last >= LAST {
            return None;
        }
        if self.numbers.len() >= MOST {
            self.numbers.clear();
            self.targets.clear();
        }
        self.last = self.last.saturating_add(1);
        self.numbers.insert(Arc::clone(target), self.last);
        self.targets.insert(self.last, Arc::clone(target));
        Some(self.last)
    }

    /// Where a number leads, as a terminal may be told it.
    #[must_use]
    pub fn target(&self, number: u32) -> Option<String> {
        self.targets.get(&number).map(|target| harmless(target))
    }

    /// The colour that carries a number.
    #[must_use]
    pub const fn colour(number: u32) -> Color {
        let [_, red, green, blue] = number.to_be_bytes();
        Color::Rgb(red, green, blue)
    }

    /// The number that a colour carries, if any.
    #[must_use]
    pub const fn number_in(colour: Color) -> Option<u32> {
        match colour {
            Color::Rgb(red, green, blue) => Some(u32::from_be_bytes([0, red, green, blue])),
            _ => None,
        }
    }
}

/// `target` in printable ASCII: everything else is written as its bytes, so that nothing in it ends the sequence or drives the terminal.
fn harmless(target: &str) -> String {
    let mut shown = String::with_capacity(target.len());
    for byte in target.bytes() {
        if matches!(byte, b'!'..=b'~') {
            shown.push(char::from(byte));
        } else {
            // A string takes whatever is written to it.
            write!(shown, "%{byte:02X}").ok();
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_link_keeps_its_number_and_no_number_is_given_twice() {
        let mut links = Links::default();
        let one: Arc<str> = "https://nest.example/".into();
        let first = links.number(&one).unwrap();
        assert_eq!(links.number(&one), Some(first));
        let mut last = first;
        for number in 0..10_000 {
            let given = links.number(&format!("https://nest.example/{number}").into()).unwrap();
            assert!(given > last);
            last = given;
        }
        assert!(links.targets.len() <= MOST);
        assert_ne!(links.number(&one), Some(first), "it was forgotten meanwhile");
        assert_eq!(links.target(first), None);
        assert_eq!(links.number(&"x".repeat(LONGEST + 1).into()), None);
    }

    proptest! {
        #[test]
        fn a_terminal_is_told_nothing_but_printable_ascii(target in any::<String>()) {
            let mut links = Links::default();
            if let Some(number) = links.number(&target.into()) {
                let told = links.target(number).unwrap();
                prop_assert!(told.bytes().all(|byte| byte.is_ascii_graphic()), "{told:?}");
            }
        }

        #[test]
        fn a_colour_carries_any_number(number in 0..=LAST) {
            prop_assert_eq!(Links::number_in(Links::colour(number)), Some(number));
        }
    }
}

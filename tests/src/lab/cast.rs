//! Who takes part: what homes and people are called, who has which devices, and what becomes of whom.

use std::collections::BTreeMap;

/// What homes are called.
pub(super) const HOMES: [&str; 8] =
    ["nest", "garden", "shore", "cliff", "marsh", "reef", "dune", "fjord"];
/// What people are called, before the number of their home.
pub(super) const PEOPLE: [&str; 8] = ["ann", "ben", "cleo", "dan", "eve", "finn", "gwen", "hal"];

/// Somebody.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) home: usize,
    pub(super) part: Part,
}

/// What somebody does in the community.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// They belong to it all the time.
    Stays,
    /// They come when others have talked.
    ComesLate,
    /// They go by themselves.
    Leaves,
    /// They are sent away.
    IsSentAway,
}

/// Whose each device is: at each home two people with a laptop each, a phone of the first of them, two more people, and so on.
pub(super) fn seats(homes: usize, devices: usize) -> Vec<usize> {
    let mut seats = vec![];
    let mut firsts: BTreeMap<usize, usize> = BTreeMap::new();
    let mut people = 0_usize;
    for device in 0..devices {
        let (round, home) =
            (device.checked_div(homes).unwrap_or(0), device.checked_rem(homes).unwrap_or(0));
        let first = firsts.get(&home).filter(|_| round % 3 == 2);
        let person = first.copied().unwrap_or(people);
        people = people.max(person.saturating_add(1));
        if round % 3 == 0 {
            firsts.insert(home, person);
        }
        seats.push(person);
    }
    seats
}

/// The people, as [`seats`] numbers them.
pub(super) fn people(homes: usize, devices: usize) -> Vec<Person> {
    let mut people: Vec<Person> = vec![];
    for (device, number) in seats(homes, devices).into_iter().enumerate() {
        if number < people.len() {
            continue;
        }
        let home = device.checked_rem(homes).unwrap_or(0);
        let place = people.iter().filter(|person| person.home == home).count();
        let part = match (place, home) {
            (1, 0 | 3) => Part::ComesLate,
            (1, 1) => Part::IsSentAway,
            (1, 2) => Part::Leaves,
            _ => Part::Stays,
        };
        let name = PEOPLE.get(place).copied().unwrap_or("somebody");
        people.push(Person { name: format!("{name}{home}"), home, part });
    }
    people
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_devices_of_three_homes_are_of_six_people() {
        assert_eq!(seats(3, 8), [0, 1, 2, 3, 4, 5, 0, 1]);
        let parts: Vec<_> = people(3, 8).iter().map(|person| (person.home, person.part)).collect();
        let stays = |home| (home, Part::Stays);
        let wanted = [stays(0), stays(1), stays(2)];
        assert_eq!(parts[..3], wanted);
        assert_eq!(parts[3..], [(0, Part::ComesLate), (1, Part::IsSentAway), (2, Part::Leaves)]);
    }

    #[test]
    fn twenty_devices_of_five_homes_are_of_fifteen_people_with_names_of_their_own() {
        let people = people(5, 20);
        let names: std::collections::BTreeSet<_> = people.iter().map(|who| &who.name).collect();
        assert_eq!((people.len(), names.len()), (15, 15));
    }
}

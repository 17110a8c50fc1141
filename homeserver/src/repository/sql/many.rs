//! Queries over many rows at once: `VALUES ($1, $2), ($3, $4), …` between a beginning and an end.
//!
//! The text is built once for each of a few numbers of rows, so that the database finds it among its prepared statements; any other number
//! is taken apart into those.

use std::{
    fmt::Write as _,
    sync::{Arc, OnceLock},
};

use super::NUMBERED;

/// Rows in one query, at most: with 8 columns a sixteenth of what SQLite can bind. More gained nothing when it was measured.
const MOST: usize = 256;
/// From here on a query takes a multiple of this; below, a power of two.
const STEP: usize = 16;
/// 1, 2, 4, 8, 16, 32, … 256.
const SIZES: usize = 4 + MOST / STEP;

/// A query over as many rows as there are.
pub(super) struct Many {
    before: &'static str,
    columns: usize,
    after: &'static str,
    texts: [OnceLock<Arc<str>>; SIZES],
}

impl Many {
    /// The query `before VALUES (…), (…) after`, whose rows have `columns` values each.
    pub(super) const fn new(before: &'static str, columns: usize, after: &'static str) -> Self {
        Self { before, columns, after, texts: [const { OnceLock::new() }; SIZES] }
    }

    /// How many of `rows` to take next, at least one, and the query for so many.
    pub(super) fn text(&self, rows: usize) -> (usize, Arc<str>) {
        let (count, place) = size(rows.max(1));
        let text = self.texts.get(place).map(|text| text.get_or_init(|| self.build(count)));
        (count, text.map_or_else(|| self.build(count), Arc::clone))
    }

    fn build(&self, rows: usize) -> Arc<str> {
        let mut text = format!("{} VALUES ", self.before);
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ", (" });
            for column in 0..self.columns {
                text.push_str(if column == 0 { "" } else { ", " });
                let number = row.saturating_mul(self.columns).saturating_add(column);
                // Writing to a string cannot fail.
                let _infallible = if NUMBERED {
                    write!(text, "${}", number.saturating_add(1))
                } else {
                    write!(text, "?")
                };
            }
            text.push(')');
        }
        text.push_str(self.after);
        text.into()
    }
}

/// How many of `rows` one query takes, and which of the sizes that is.
fn size(rows: usize) -> (usize, usize) {
    let steps = (rows / STEP).min(MOST / STEP);
    if steps == 0 {
        let power = rows.checked_ilog2().unwrap_or(0);
        return (1 << power, usize::try_from(power).unwrap_or(0));
    }
    (steps.saturating_mul(STEP), steps.saturating_add(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_rows_is_taken_apart_into_a_few_sizes() {
        let sizes = |mut rows| {
            std::iter::from_fn(move || {
                let count = (rows > 0).then(|| size(rows).0)?;
                rows = usize::saturating_sub(rows, count);
                Some(count)
            })
            .collect::<Vec<_>>()
        };
        assert_eq!(sizes(1000), [256, 256, 256, 224, 8]);
        assert_eq!(sizes(31), [16, 8, 4, 2, 1]);
        assert_eq!((size(1), size(8), size(16), size(9999)), ((1, 0), (8, 3), (16, 4), (256, 19)));
        assert_eq!(SIZES, 20);
    }

    #[test]
    fn a_query_has_a_place_for_every_value() {
        let many = Many::new("INSERT INTO t", 2, " ON CONFLICT DO NOTHING");
        let expected = if NUMBERED { "($1, $2), ($3, $4)" } else { "(?, ?), (?, ?)" };
        assert_eq!(
            *many.text(3).1,
            format!("INSERT INTO t VALUES {expected} ON CONFLICT DO NOTHING")
        );
    }
}

//! Queries over many rows at once: `VALUES ($1, $2), ($3, $4), …` between a beginning and an end.
//!
//! The text is built once for each power of two, so that both databases find it among their prepared statements; a number of rows is
//! taken apart into powers of two.

use std::{
    fmt::Write as _,
    sync::{Arc, OnceLock},
};

/// Rows in one query are at most 2^8: with 9 columns a fifteenth of what SQLite can bind. More gained nothing when it was measured.
const SIZES: usize = 9;

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
        let largest = SIZES.saturating_sub(1);
        let power = usize::try_from(rows.max(1).ilog2()).unwrap_or(largest).min(largest);
        let count = 1_usize << power;
        let text = self.texts.get(power).map(|text| text.get_or_init(|| self.build(count)));
        (count, text.map_or_else(|| self.build(count), Arc::clone))
    }

    fn build(&self, rows: usize) -> Arc<str> {
        let mut text = format!("{} VALUES ", self.before);
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ", (" });
            for column in 0..self.columns {
                let number =
                    row.saturating_mul(self.columns).saturating_add(column).saturating_add(1);
                let comma = if column == 0 { "" } else { ", " };
                // Writing to a string cannot fail.
                let _infallible = write!(text, "{comma}${number}");
            }
            text.push(')');
        }
        text.push_str(self.after);
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_rows_is_taken_apart_into_powers_of_two() {
        let many = Many::new("INSERT INTO t", 2, " ON CONFLICT DO NOTHING");
        let (count, text) = many.text(3);
        assert_eq!(count, 2);
        assert_eq!(&*text, "INSERT INTO t VALUES ($1, $2), ($3, $4) ON CONFLICT DO NOTHING");
        assert_eq!(many.text(1).0, 1);
        assert_eq!(many.text(100_000).0, 256);
    }
}

//! The chains as homes have them on disk, and whether one can be the beginning of the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context, Result};
use sqlx::{Row, SqlitePool, sqlite::SqliteConnectOptions};

/// One entry: what is hashed and signed, and the body unless it was erased.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    seq: i64,
    encoded: Vec<u8>,
    body: Option<Vec<u8>>,
}

/// What one home has.
#[derive(Debug, Default)]
pub(super) struct Copy {
    /// Chains of users, logs and channels, by id.
    chains: BTreeMap<Vec<u8>, Vec<Entry>>,
    /// Of each community's log, how far it goes and who is a member by it.
    members: BTreeMap<Vec<u8>, (i64, BTreeSet<Vec<u8>>)>,
}

impl Copy {
    /// Reads that of the home with the data directory `data`, which must not run.
    pub(super) async fn read(data: &Path) -> Result<Self> {
        let file = data.join("rookery.db");
        let options = SqliteConnectOptions::new().filename(&file);
        let pool = SqlitePool::connect_with(options).await;
        let pool = pool.with_context(|| file.display().to_string())?;
        let mut copy = Self::default();
        // Journals are private to their home; everything else can be in several.
        let rows = sqlx::query(
            "SELECT entry.chain, entry.seq, entry.encoded, entry.body FROM entry JOIN chain ON chain.chain = entry.chain
             WHERE chain.kind <> 2 ORDER BY entry.chain, entry.seq",
        );
        for row in rows.fetch_all(&pool).await? {
            let entry =
                Entry { seq: row.try_get(1)?, encoded: row.try_get(2)?, body: row.try_get(3)? };
            copy.chains.entry(row.try_get(0)?).or_default().push(entry);
        }
        let rows = sqlx::query(
            "SELECT log.community, chain.head_seq, membership.user_id FROM community_chain AS log
             JOIN chain ON chain.chain = log.chain JOIN membership ON membership.community = log.community
             WHERE log.channel IS NULL AND chain.head_seq IS NOT NULL AND membership.standing = 1",
        );
        for row in rows.fetch_all(&pool).await? {
            let (head, user) = (row.try_get(1)?, row.try_get(2)?);
            let known = copy.members.entry(row.try_get(0)?).or_insert((head, BTreeSet::new()));
            known.1.insert(user);
        }
        pool.close().await;
        Ok(copy)
    }

    /// How many chains there are.
    pub(super) fn len(&self) -> usize {
        self.chains.len()
    }
}

/// What differs between copies that should be beginnings of each other (I3), and between members at equal heads (I6).
pub(super) fn differences(copies: &[(String, Copy)]) -> Vec<String> {
    let mut found = vec![];
    for (name, copy) in copies {
        for (chain, entries) in &copy.chains {
            let numbers = entries.iter().map(|entry| entry.seq);
            if !numbers.eq((0..).take(entries.len())) {
                found.push(format!("I3: {} at {name} has gaps", short(chain)));
            }
        }
    }
    for (place, (one_name, one)) in copies.iter().enumerate() {
        for (other_name, other) in copies.iter().skip(place.saturating_add(1)) {
            for (chain, entries) in &one.chains {
                let others = other.chains.get(chain).map(Vec::as_slice).unwrap_or_default();
                if let Some((seq, what)) = entries.iter().zip(others).find_map(differs) {
                    let chain = short(chain);
                    found.push(format!(
                        "I3: {what} {seq} of {chain} differs between {one_name} and {other_name}"
                    ));
                }
            }
            for (community, (head, members)) in &one.members {
                let Some((other_head, others)) = other.members.get(community) else { continue };
                if head == other_head && members != others {
                    let community = short(community);
                    found.push(format!("I6: members of {community} differ between {one_name} and {other_name} at {head}"));
                }
            }
        }
    }
    found
}

fn differs((one, other): (&Entry, &Entry)) -> Option<(i64, &'static str)> {
    let bodies = one.body.as_ref().zip(other.body.as_ref());
    if one.seq != other.seq || one.encoded != other.encoded {
        return Some((one.seq, "entry"));
    }
    bodies.filter(|(one, other)| one != other).map(|_| (one.seq, "body"))
}

fn short(id: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(id.get(..4).unwrap_or(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(entries: &[(i64, &str, Option<&str>)]) -> Copy {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let entry = |(seq, encoded, body): &(i64, &str, Option<&str>)| Entry {
            seq: *seq,
            encoded: bytes(encoded),
            body: body.map(bytes),
        };
        let chains = BTreeMap::from([(vec![7; 32], entries.iter().map(entry).collect())]);
        let members = BTreeMap::from([(vec![8; 32], (3, BTreeSet::from([vec![9]])))]);
        Copy { chains, members }
    }

    fn between(one: Copy, other: Copy) -> Vec<String> {
        differences(&[("nest".to_owned(), one), ("garden".to_owned(), other)])
    }

    const WHOLE: [(i64, &str, Option<&str>); 2] = [(0, "a", Some("x")), (1, "b", Some("y"))];

    #[test]
    fn a_beginning_and_an_erased_body_are_no_difference() {
        assert!(between(copy(&WHOLE), copy(&WHOLE[..1])).is_empty());
        assert!(between(copy(&WHOLE), copy(&[(0, "a", None), (1, "b", Some("y"))])).is_empty());
    }

    #[test]
    fn another_entry_another_body_and_a_gap_are() {
        let found = between(copy(&WHOLE), copy(&[(0, "a", Some("x")), (1, "c", Some("y"))]));
        assert!(found.len() == 1 && found[0].contains("entry 1"), "{found:?}");
        let found = between(copy(&WHOLE), copy(&[(0, "a", Some("z"))]));
        assert!(found.len() == 1 && found[0].contains("body 0"), "{found:?}");
        let found = between(copy(&[]), copy(&[(1, "b", Some("y"))]));
        assert!(found.len() == 1 && found[0].contains("garden has gaps"), "{found:?}");
    }

    #[test]
    fn members_have_to_be_the_same_where_the_log_is() {
        let (mut other, mut behind) = (copy(&WHOLE), copy(&WHOLE));
        other.members.insert(vec![8; 32], (3, BTreeSet::new()));
        behind.members.insert(vec![8; 32], (2, BTreeSet::new()));
        assert!(between(copy(&WHOLE), behind).is_empty());
        assert_eq!(between(copy(&WHOLE), other).len(), 1);
    }
}

//! Code of messages in its colours, which is worked out beside the screen and comes when it is ready.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::tui::text::markdown::Blocks;

/// How many messages' colours are remembered: more than any screen shows.
const MOST: usize = 128;

/// Colours by message, for one revision each.
#[derive(Debug, Default)]
pub struct Colours {
    known: HashMap<String, Known>,
    /// The oldest first.
    order: VecDeque<String>,
}

#[derive(Debug)]
struct Known {
    revision: u64,
    /// None while they are worked out.
    blocks: Option<Arc<Blocks>>,
}

impl Colours {
    /// The colours of a message's code, if they are here.
    #[must_use]
    pub fn of(&self, id: &str, revision: u64) -> Option<&Arc<Blocks>> {
        self.known.get(id).filter(|known| known.revision == revision)?.blocks.as_ref()
    }

    /// Notes that a message's colours are worked out now; says whether they were not before.
    pub fn begin(&mut self, id: &str, revision: u64) -> bool {
        if self.known.get(id).is_some_and(|known| known.revision == revision) {
            return false;
        }
        if self.known.insert(id.to_owned(), Known { revision, blocks: None }).is_none() {
            self.order.push_back(id.to_owned());
        }
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    /// Takes in what was worked out, if it is of the revision that was asked for last.
    pub fn end(&mut self, id: &str, revision: u64, blocks: Arc<Blocks>) {
        if let Some(known) = self.known.get_mut(id).filter(|known| known.revision == revision) {
            known.blocks = Some(blocks);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_worked_out_once_and_another_one_anew() {
        let mut colours = Colours::default();
        assert!(colours.begin("one", 1));
        assert!(!colours.begin("one", 1));
        assert!(colours.begin("one", 2));
        colours.end("one", 1, Arc::default());
        assert!(colours.of("one", 2).is_none() && colours.of("one", 1).is_none());
        colours.end("one", 2, Arc::default());
        assert!(colours.of("one", 2).is_some() && colours.of("one", 1).is_none());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut colours = Colours::default();
        for number in 0..10 * MOST {
            colours.begin(&number.to_string(), 1);
            colours.end(&number.to_string(), 1, Arc::default());
        }
        assert_eq!((colours.known.len(), colours.order.len()), (MOST, MOST));
        assert!(colours.of("0", 1).is_none());
    }
}

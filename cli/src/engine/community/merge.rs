//! What a message looks like, out of all that was said about it: the same in whatever order it arrived.
//!
//! Edits, reactions and pins are registers in which what stands last in the channel wins; a reaction is a register of its user and emoji. An
//! erased message stays erased. What the hub has refused counts for nothing, so that what was shown too early goes back by itself.

use std::collections::{BTreeMap, BTreeSet};

use rookery_protocol::id::{ItemId, UserId};

use crate::{
    e2ee::content::Content,
    store::{Erased, MessageState, Place, PlacedPost},
};

/// A message as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Its text; empty once erased.
    pub(crate) text: String,
    /// Whether it says something else than at first.
    pub(crate) is_edited: bool,
    /// Who has put which emoji on it.
    pub(crate) reactions: BTreeMap<String, BTreeSet<UserId>>,
    /// Whether it stands out.
    pub(crate) is_pinned: bool,
    /// Who has erased it.
    pub(crate) erased: Option<Erased>,
}

/// Where something stands among all that is about one message: by the hub's place, and by id while there is none.
type Rank = (Place, ItemId);

/// Merges `message` with what is about it.
pub(crate) fn merge(message: &PlacedPost, about: &[PlacedPost]) -> Shown {
    let base = &message.post;
    if base.erased.is_some() {
        return Shown { erased: base.erased.clone(), ..Shown::default() };
    }
    let mut text: (Option<Rank>, String) = match base.said() {
        Content::Text(text) => (None, text.text),
        _ => (None, String::new()),
    };
    let mut pinned: Option<(Rank, bool)> = None;
    let mut reactions: BTreeMap<(String, UserId), (Rank, bool)> = BTreeMap::new();
    for placed in about {
        let post = &placed.post;
        if post.state == MessageState::Failed || post.erased.is_some() {
            continue;
        }
        let said = post.said();
        if said.target() != Some(base.reference()) {
            continue;
        }
        let rank = (placed.place, post.item);
        match said {
            Content::Edit(edit) if post.author == base.author => {
                if text.0.is_none_or(|known| known < rank) {
                    text = (Some(rank), edit.text);
                }
            }
            Content::Pin(pin) => {
                if pinned.is_none_or(|(known, _)| known < rank) {
                    pinned = Some((rank, pin.on));
                }
            }
            Content::React(react) => {
                let register =
                    reactions.entry((react.emoji, post.author)).or_insert((rank, react.on));
                if register.0 < rank {
                    *register = (rank, react.on);
                }
            }
            Content::Text(_) | Content::Edit(_) | Content::Unknown(_) => {}
        }
    }
    let mut shown = Shown {
        is_edited: text.0.is_some(),
        text: text.1,
        is_pinned: pinned.is_some_and(|(_, on)| on),
        ..Shown::default()
    };
    for ((emoji, user), (_, on)) in reactions {
        if on {
            shown.reactions.entry(emoji).or_default().insert(user);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rookery_protocol::{
        id::{ChainId, DeviceId},
        time::Timestamp,
    };

    use super::*;
    use crate::{
        e2ee::content::{Edit, MessageRef, Pin, React, Text},
        store::Post,
    };

    fn user(number: u8) -> UserId {
        UserId::from_bytes([number; 32])
    }

    fn placed(author: u8, item: u8, place: Option<u64>, content: &Content) -> PlacedPost {
        let post = Post {
            chain: ChainId::from_bytes([1; 32]),
            item: ItemId::from_bytes([item; 16]),
            author: user(author),
            device: DeviceId::from_bytes([author; 32]),
            at: Timestamp::from_millis(0),
            seq: place,
            kind: content.kind(),
            content: content.encode(),
            state: MessageState::Posted,
            reason: None,
            erased: None,
            hash: None,
            doubt: None,
        };
        let position = u64::from(item);
        let place = place.map_or(Place::Pending(position), Place::At);
        PlacedPost { position, place, post }
    }

    fn base() -> PlacedPost {
        let text = Text {
            text: "first".to_owned(),
            reply_to: None,
            thread: None,
            mentions: vec![],
            mentions_all: false,
            stays: None,
            file: None,
        };
        placed(1, 0, Some(0), &Content::Text(text))
    }

    fn target() -> MessageRef {
        MessageRef { author: user(1), item: ItemId::from_bytes([0; 16]) }
    }

    fn edit(text: &str) -> Content {
        Content::Edit(Edit { target: target(), text: text.to_owned(), mentions: vec![] })
    }

    fn react(emoji: &str, on: bool) -> Content {
        Content::React(React { target: target(), emoji: emoji.to_owned(), on })
    }

    #[test]
    fn the_last_edit_of_its_author_counts_and_nobody_else_s() {
        let about = [
            placed(1, 2, Some(5), &edit("second")),
            placed(1, 1, Some(9), &edit("third")),
            placed(2, 3, Some(11), &edit("mine")),
        ];
        let shown = merge(&base(), &about);
        assert_eq!((shown.text.as_str(), shown.is_edited), ("third", true));
    }

    #[test]
    fn a_reaction_that_was_refused_goes_back_and_one_on_its_way_shows() {
        let mut refused = placed(2, 1, None, &react("👍", true));
        refused.post.state = MessageState::Failed;
        assert!(merge(&base(), &[refused]).reactions.is_empty());
        let taken_off = placed(2, 3, None, &react("👍", false));
        let put_on = placed(2, 2, Some(4), &react("👍", true));
        assert!(merge(&base(), &[taken_off, put_on.clone()]).reactions.is_empty());
        assert_eq!(merge(&base(), &[put_on]).reactions["👍"], BTreeSet::from([user(2)]));
    }

    #[test]
    fn what_is_erased_shows_nothing() {
        let mut message = base();
        message.post.erased = Some(Erased { by: user(3), reason: Some("spam".to_owned()) });
        let shown = merge(&message, &[placed(1, 1, Some(2), &edit("back"))]);
        assert_eq!((shown.text.as_str(), shown.erased.unwrap().by), ("", user(3)));
    }

    fn contents() -> impl Strategy<Value = Content> {
        prop_oneof![
            "[a-c]{1,2}".prop_map(|text| edit(&text)),
            (prop::sample::select(vec!["👍", "🎉"]), any::<bool>())
                .prop_map(|(emoji, on)| react(emoji, on)),
            any::<bool>().prop_map(|on| Content::Pin(Pin { target: target(), on })),
        ]
    }

    proptest! {
        #[test]
        fn any_order_of_arrival_shows_the_same(
            said in prop::collection::vec((1_u8..4, any::<bool>(), contents()), 0..24),
            seed in any::<u64>(),
        ) {
            let about: Vec<PlacedPost> = (1_u8..)
                .zip(&said)
                .map(|(number, (author, is_placed, content))| {
                    let place = is_placed.then_some(u64::from(number));
                    placed(*author, number, place, content)
                })
                .collect();
            let mut other = about.clone();
            // A shuffle by a linear congruential generator: the order has to differ, not to be random.
            let mut state = seed | 1;
            for index in (1..other.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let place = usize::try_from(state >> 33).unwrap();
                other.swap(index, place.checked_rem(index.saturating_add(1)).unwrap());
            }
            prop_assert_eq!(merge(&base(), &about), merge(&base(), &other));
            // And twice is once.
            let twice = [about.clone(), other].concat();
            prop_assert_eq!(merge(&base(), &about), merge(&base(), &twice));
        }
    }
}

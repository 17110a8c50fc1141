//! Pages of the messages of a channel in sight, as the store gives them of others.

use super::super::view::Spot;
use crate::store::PlacedPost;

/// A page of the messages of a channel in sight, of which there are few.
pub(in super::super) fn page_of(posts: &[PlacedPost], spot: &Spot, count: u32) -> Vec<PlacedPost> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let number = |text: &str| text.parse::<u64>().ok();
    let at = |text: &str| {
        let named = posts.iter().find(|placed| placed.post.item.to_string() == text);
        number(text).or_else(|| named.and_then(|placed| placed.post.seq))
    };
    let before = |seq| posts.partition_point(|placed| placed.post.seq < seq);
    let last = |end: usize| posts.get(end.saturating_sub(count)..end).unwrap_or_default();
    let first = |from: usize| {
        let end = from.saturating_add(count).min(posts.len());
        posts.get(from..end).unwrap_or_default()
    };
    match spot {
        Spot::Last => last(posts.len()),
        Spot::Before(text) => last(before(at(text))),
        Spot::After(text) => first(before(at(text).map(|seq| seq.saturating_add(1)))),
        Spot::Around(text) => {
            let middle = before(at(text));
            first(middle.saturating_sub(count / 2))
        }
        Spot::From(from) => first(posts.partition_point(|placed| placed.post.at < *from)),
    }
    .to_vec()
}

#[cfg(test)]
mod tests {
    use rookery_protocol::{
        id::{ChainId, CommunityId, DeviceId, ItemId, UserId},
        time::Timestamp,
    };

    use super::*;
    use crate::{
        e2ee::content::Content,
        store::{MessageState, Place, Post},
    };

    /// Messages at the places 10 to 19, of which each was written a second after the one before.
    fn posts() -> Vec<PlacedPost> {
        let post = |seq: u64| Post {
            chain: ChainId::of_log(CommunityId::from_bytes([1; 32])),
            item: ItemId::from_bytes([u8::try_from(seq).unwrap(); 16]),
            author: UserId::from_bytes([2; 32]),
            device: DeviceId::from_bytes([3; 32]),
            at: Timestamp::from_millis(seq.saturating_mul(1_000)),
            seq: Some(seq),
            kind: Content::TEXT,
            content: vec![],
            state: MessageState::Received,
            reason: None,
            erased: None,
            hash: None,
            doubt: None,
        };
        let placed = |seq| PlacedPost { position: seq, place: Place::At(seq), post: post(seq) };
        (10..20).map(placed).collect()
    }

    #[test]
    fn messages_in_sight_are_paged_as_those_of_the_store_are() {
        let all = posts();
        let page = |spot, count| -> Vec<u64> {
            let page = page_of(&all, &spot, count);
            page.iter().filter_map(|placed| placed.post.seq).collect()
        };
        assert_eq!(page(Spot::Last, 3), [17, 18, 19]);
        assert_eq!(page(Spot::Last, 99).len(), 10);
        assert_eq!(page(Spot::Before("12".to_owned()), 5), [10, 11]);
        assert_eq!(page(Spot::After("12".to_owned()), 2), [13, 14]);
        let named = all.get(5).unwrap().post.item.to_string();
        assert_eq!(page(Spot::Around(named.clone()), 4), [13, 14, 15, 16]);
        assert_eq!(page(Spot::After(named), 2), [16, 17]);
        assert_eq!(page(Spot::From(Timestamp::from_millis(17_500)), 9), [18, 19]);
        assert_eq!(page(Spot::Before("3".to_owned()), 5), [0; 0]);
        assert_eq!(page(Spot::After("30".to_owned()), 5), [0; 0]);
    }
}

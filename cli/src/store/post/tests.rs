//! What is done to many posts at once is what is done to them one by one.

use proptest::prelude::*;

use super::{
    super::{Secret, Store, create},
    *,
};
use crate::{
    config::Place as Profile,
    e2ee::content::{React, Text},
};

const CHAIN: ChainId = ChainId::from_bytes([1; 32]);

async fn store() -> (tempfile::TempDir, Store) {
    let home = tempfile::tempdir().unwrap();
    let place = Profile::find(Some(home.path().to_owned()), None).unwrap();
    let store = create(&place, Secret::Found).await.unwrap();
    (home, store)
}

fn reference(number: u8) -> MessageRef {
    MessageRef { author: UserId::from_bytes([3; 32]), item: ItemId::from_bytes([number; 16]) }
}

/// One of 8 posts: those from 4 on are about the others, in turn as reactions and as replies in a thread.
fn post(number: u8, seq: Option<u64>) -> Post {
    let root = reference(number % 4);
    let said = |text: String, thread| {
        let (reply_to, mentions) = (None, vec![]);
        Content::Text(Text {
            text,
            reply_to,
            thread,
            mentions,
            mentions_all: false,
            stays: None,
            file: None,
        })
    };
    let content = match number {
        0..4 => said(format!("message {number}"), None),
        4..6 => Content::React(React { target: root, emoji: "👍".to_owned(), on: true }),
        _ => said(format!("reply {number}"), Some(root)),
    };
    Post {
        chain: CHAIN,
        item: reference(number).item,
        author: reference(number).author,
        device: DeviceId::from_bytes([4; 32]),
        at: Timestamp::from_millis(u64::from(number)),
        seq,
        kind: content.kind(),
        content: content.encode(),
        state: if seq.is_some() { MessageState::Posted } else { MessageState::Queued },
        reason: None,
        erased: None,
        hash: None,
        doubt: None,
    }
}

/// A post that may come several times, with a place or before it has one.
fn posts() -> impl Strategy<Value = Vec<Post>> {
    let one = (0_u8..8, prop::option::of(0_u64..1_000));
    prop::collection::vec(one.prop_map(|(number, seq)| post(number, seq)), 0..24)
}

async fn everything(store: &Store) -> Vec<PlacedPost> {
    let told = store.read().await.unwrap().told_after(0, 1_000).await.unwrap();
    let post = |told| match told {
        Told::Channel(placed) => placed,
        Told::Direct(_) => unreachable!("nothing but posts was added"),
    };
    told.into_iter().map(post).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn adding_posts_together_is_adding_them_one_by_one(before in posts(), added in posts()) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let ((_one_home, one), (_all_home, all)) = (store().await, store().await);
            let mut unit = one.write().await.unwrap();
            let mut changed = vec![];
            for post in &before {
                unit.add_post(post).await.unwrap();
            }
            for post in &added {
                changed.push(unit.add_post(post).await.unwrap());
            }
            unit.commit().await.unwrap();
            let mut unit = all.write().await.unwrap();
            unit.add_posts(&before).await.unwrap();
            prop_assert_eq!(unit.add_posts(&added).await.unwrap(), changed);
            unit.commit().await.unwrap();
            prop_assert_eq!(everything(&all).await, everything(&one).await);
            Ok(())
        })?;
    }

    #[test]
    fn what_is_about_messages_is_found_together_as_for_each(posts in posts()) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let (_home, store) = store().await;
            let mut unit = store.write().await.unwrap();
            unit.add_posts(&posts).await.unwrap();
            let wanted: Vec<_> = (0..8).map(|number| (CHAIN, reference(number))).collect();
            let abouts = unit.about_each(&wanted).await.unwrap();
            let counts = unit.thread_counts(&wanted).await.unwrap();
            for (chain, message) in wanted {
                let about = unit.about(chain, message).await.unwrap();
                prop_assert_eq!(abouts.get(&(chain, message)).cloned().unwrap_or_default(), about);
                let thread = unit.thread(chain, message, 100).await.unwrap();
                let count = counts.get(&(chain, message)).copied().unwrap_or(0);
                prop_assert_eq!(count, u64::try_from(thread.len()).unwrap());
            }
            Ok(())
        })?;
    }
}

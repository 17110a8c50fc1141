//! No reader costs another, and none is left.

use std::time::Duration;

use super::{rounds::LONGEST_REST, *};

fn envelope(position: u64, bytes: usize) -> Live {
    Live::Envelope { position, frame: vec![0; bytes].into() }
}

#[test]
fn a_slow_reader_falls_back_to_its_cursor_and_never_grows() {
    let (feeds, _waker) = Feeds::new();
    let feed = feeds.open(UserId::from_bytes([1; 32]), DeviceId::from_bytes([1; 32]));
    for position in 0..2_000 {
        feed.push(envelope(position, 1_000));
        assert!(feed.queue().bytes <= FEED_BYTES);
    }
    let taken = feed.take().unwrap();
    assert!(taken.behind && taken.items.is_empty());
    feed.push(envelope(2_000, 1_000));
    let taken = feed.take().unwrap();
    assert!(!taken.behind && taken.items.len() == 1);
}

#[test]
fn a_stream_is_woken_once_for_all_that_it_has_not_taken() {
    let (feeds, _waker) = Feeds::new();
    let feed = feeds.open(UserId::from_bytes([1; 32]), DeviceId::from_bytes([1; 32]));
    assert!(feed.put(envelope(1, 10)) && !feed.put(envelope(2, 10)));
    assert_eq!(feed.take().unwrap().items.len(), 2);
    assert!(feed.put(envelope(3, 10)));
}

#[tokio::test(start_paused = true)]
async fn readers_of_a_channel_that_is_busy_are_woken_together_and_never_left() {
    const READERS: u16 = 1_000;
    let (feeds, waker) = Feeds::new();
    let chain = ChainId::of_user(UserId::from_bytes([9; 32]));
    let readers: Vec<_> = (0..READERS)
        .map(|number| {
            let mut id = [0; 32];
            id[..2].copy_from_slice(&number.to_be_bytes());
            let feed = feeds.open(UserId::from_bytes(id), DeviceId::from_bytes(id));
            feeds.follow(&feed, chain);
            feed
        })
        .collect();
    let post = |seq| Live::Entry { chain, seq, frame: Bytes::new() };
    let mut waking = tokio::task::JoinSet::new();
    waking.spawn(waker.run());
    let begin = tokio::time::Instant::now();
    // The first post finds everybody at rest, and waits for nothing.
    feeds.put_in_chain(chain, &[post(0)]);
    for reader in &readers {
        reader.filled.notified().await;
        assert_eq!(reader.take().unwrap().items.len(), 1);
    }
    assert_eq!(begin.elapsed(), Duration::ZERO);
    // The next two come while readers rest, and go out together.
    feeds.put_in_chain(chain, &[post(1)]);
    feeds.put_in_chain(chain, &[post(2)]);
    for reader in &readers {
        reader.filled.notified().await;
        assert_eq!(reader.take().unwrap().items.len(), 2);
    }
    let rested = begin.elapsed();
    assert!(rested > Duration::ZERO && rested <= LONGEST_REST, "{rested:?}");
    // The waker ends with the feeds.
    drop(feeds);
    waking.join_all().await;
}

#[test]
fn a_second_stream_of_a_device_takes_over() {
    let (feeds, _waker) = Feeds::new();
    let (user, device) = (UserId::from_bytes([1; 32]), DeviceId::from_bytes([1; 32]));
    let first = feeds.open(user, device);
    feeds.follow(&first, ChainId::of_user(user));
    let second = feeds.open(user, device);
    assert!(first.take().unwrap().replaced);
    assert!(!feeds.close(&first));
    assert!(Arc::ptr_eq(&feeds.of_device(device).unwrap(), &second));
    assert!(feeds.close(&second));
    assert!(feeds.chains.read().unwrap().is_empty());
}

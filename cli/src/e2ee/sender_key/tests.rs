mod forgery;

use proptest::prelude::*;
use rookery_protocol::{
    chain::Seen,
    codec,
    community::{Announce, AnnounceBody, ChannelMessage, History, MessageHeader},
    id::{DeviceId, ItemId, SenderKeyId, UserId},
    time::Timestamp,
};

use super::*;
use crate::e2ee::{
    SeededRandom, Unopenable,
    content::{CONTENT_BYTES, Content, MENTIONS, MessageRef, Pin, Text, Unknown},
    epoch::{EpochKeys, EpochSecret},
};

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

fn place() -> ChannelPlace {
    let epoch = EpochPlace {
        community: CommunityId::from_bytes([1; 32]),
        audience: AudienceId::from_number(2),
        epoch: 3,
    };
    ChannelPlace { epoch, channel: ChannelId::from_number(4) }
}

fn keys_of(place: EpochPlace, secret: u8) -> EpochKeys {
    let root = Digest::from_bytes([5; 32]);
    EpochSecret::from_bytes(&[secret; 32]).unwrap().keys(place, &root, &root)
}

fn keys() -> EpochKeys {
    keys_of(place().epoch, 1)
}

fn announce_facts(history: History) -> AnnounceFacts {
    AnnounceFacts {
        user: UserId::from_bytes([6; 32]),
        device: DeviceId::from_bytes([7; 32]),
        head: Seen { seq: 8, hash: Digest::from_bytes([8; 32]) },
        history,
    }
}

fn facts(item: u8) -> MessageFacts {
    let AnnounceFacts { user, device, .. } = announce_facts(History::Full);
    MessageFacts {
        user,
        device,
        log: Seen { seq: 9, hash: Digest::from_bytes([9; 32]) },
        item: ItemId::from_bytes([item; 16]),
        own_prev: Some(Digest::from_bytes([10; 32])),
        seen: None,
    }
}

fn text(text: &str) -> Content {
    Content::Text(Text {
        text: text.to_owned(),
        reply_to: None,
        thread: None,
        mentions: vec![],
        mentions_all: false,
        stays: None,
        file: None,
    })
}

/// A sender, what it announced, and the receiver that came of that.
fn ends(history: History, random: &mut SeededRandom) -> (OutboundSenderKey, InboundSenderKey) {
    let sender = OutboundSenderKey::generate(place(), NOW, random);
    let announce = sender.announce(&keys(), &announce_facts(history), random).unwrap();
    let receiver = InboundSenderKey::from_announce(&keys(), &announce).unwrap();
    (sender, receiver)
}

fn send(
    sender: OutboundSenderKey,
    number: u8,
    random: &mut SeededRandom,
) -> (OutboundSenderKey, ChannelMessage) {
    let content = text(&format!("words {number}"));
    let sealed = sender.seal(&keys(), &facts(number), &content, random).unwrap();
    (*sealed.key, sealed.message)
}

fn open(receiver: &InboundSenderKey, message: &ChannelMessage) -> Result<Opened, OpenError> {
    receiver.open(&keys(), message.header.as_slice(), message.sealed.as_slice())
}

fn refused(receiver: &InboundSenderKey, message: &ChannelMessage) -> OpenError {
    let before = receiver.to_bytes();
    let error = open(receiver, message).unwrap_err();
    assert_eq!(receiver.to_bytes(), before);
    error
}

const UNOPENABLE: OpenError = OpenError::Unopenable(Unopenable);

#[test]
fn messages_are_opened_in_order_and_with_gaps() {
    let mut random = SeededRandom::new(1);
    let (mut sender, mut receiver) = ends(History::SinceJoin, &mut random);
    for number in 0..5 {
        let message;
        (sender, message) = send(sender, number, &mut random);
        if number == 2 {
            continue;
        }
        let opened = open(&receiver, &message).unwrap();
        assert_eq!(opened.message.content, text(&format!("words {number}")));
        assert_eq!(opened.message.own_prev, facts(number).own_prev);
        assert_eq!(opened.message.seen, None);
        assert_eq!(opened.message.header.index, u32::from(number));
        receiver = *opened.key;
        assert_eq!(receiver.next_index(), u32::from(number) + 1);
    }
}

#[test]
fn what_was_opened_or_passed_over_does_not_open_again() {
    let mut random = SeededRandom::new(2);
    for history in [History::Full, History::SinceJoin] {
        let (sender, receiver) = ends(history, &mut random);
        let (sender, first) = send(sender, 0, &mut random);
        let (_, second) = send(sender, 1, &mut random);
        let receiver = *open(&receiver, &second).unwrap().key;
        assert_eq!(refused(&receiver, &second), OpenError::UsedIndex);
        assert_eq!(refused(&receiver, &first), OpenError::UsedIndex);
    }
}

#[test]
fn a_page_further_back_opens_where_history_is_full_and_is_forgotten_where_it_is_not() {
    let mut random = SeededRandom::new(3);
    for history in [History::Full, History::SinceJoin] {
        let (sender, receiver) = ends(history, &mut random);
        let (sender, first) = send(sender, 0, &mut random);
        let (_, second) = send(sender, 1, &mut random);
        let receiver = *open(&receiver, &second).unwrap().key;
        let receiver = InboundSenderKey::from_bytes(&receiver.to_bytes()).unwrap();
        for message in [&first, &second, &first] {
            let (header, sealed) = (message.header.as_slice(), message.sealed.as_slice());
            let opened = receiver.open_past(&keys(), header, sealed);
            match history {
                History::Full => assert!(matches!(opened.unwrap().content, Content::Text(_))),
                History::SinceJoin => assert_eq!(opened, Err(OpenError::UsedIndex)),
            }
        }
    }
}

#[test]
fn where_history_begins_with_coming_the_stored_key_has_no_earlier_state() {
    let mut random = SeededRandom::new(4);
    let (sender, receiver) = ends(History::SinceJoin, &mut random);
    let first_state = receiver.latest.duplicate();
    let (_, message) = send(sender, 0, &mut random);
    let later = *open(&receiver, &message).unwrap().key;
    assert_eq!((first_state.first_index(), later.latest.first_index()), (0, 1));
    assert!(later.earliest.is_none());
}

#[test]
fn a_key_announced_late_opens_what_comes_after_only() {
    let mut random = SeededRandom::new(5);
    let (sender, _) = ends(History::Full, &mut random);
    let (sender, first) = send(sender, 0, &mut random);
    let announce = sender.announce(&keys(), &announce_facts(History::Full), &mut random).unwrap();
    let header: AnnounceBody = codec::decode(announce.header.as_slice()).unwrap();
    assert_eq!(header.start_index, 1);
    let late = InboundSenderKey::from_announce(&keys(), &announce).unwrap();
    assert_eq!(refused(&late, &first), OpenError::UsedIndex);
    let (header, sealed) = (first.header.as_slice(), first.sealed.as_slice());
    assert_eq!(late.open_past(&keys(), header, sealed), Err(UNOPENABLE));
    assert!(open(&late, &send(sender, 1, &mut random).1).is_ok());
}

#[test]
fn keys_of_another_epoch_are_the_caller_s_mistake_and_the_key_comes_back() {
    let mut random = SeededRandom::new(14);
    let (sender, receiver) = ends(History::Full, &mut random);
    let other = keys_of(EpochPlace { epoch: 4, ..place().epoch }, 1);
    let announced = sender.announce(&other, &announce_facts(History::Full), &mut random);
    assert_eq!(announced.err(), Some(SealError::OtherEpoch));
    let unsealed = sender.seal(&other, &facts(0), &text("words"), &mut random).unwrap_err();
    assert_eq!((unsealed.reason, unsealed.key.index()), (SealError::OtherEpoch, 0));
    let (_, message) = send(*unsealed.key, 0, &mut random);
    let (header, sealed) = (message.header.as_slice(), message.sealed.as_slice());
    assert_eq!(receiver.open(&other, header, sealed).err(), Some(OpenError::OtherEpoch));
}

#[test]
fn the_longest_content_fits_and_a_longer_one_does_not() {
    let mut random = SeededRandom::new(15);
    let (mut sender, receiver) = ends(History::Full, &mut random);
    let unknown = |length| Content::Unknown(Unknown { kind: 99, bytes: vec![7; length] });
    let many = Content::Text(Text {
        text: String::new(),
        reply_to: None,
        thread: None,
        mentions: vec![UserId::from_bytes([1; 32]); MENTIONS + 1],
        mentions_all: false,
        stays: None,
        file: None,
    });
    for content in [unknown(CONTENT_BYTES + 1), many] {
        let unsealed = sender.seal(&keys(), &facts(0), &content, &mut random).unwrap_err();
        assert_eq!(unsealed.reason, SealError::TooLong { limit: CONTENT_BYTES });
        sender = *unsealed.key;
    }
    let sealed = sender.seal(&keys(), &facts(0), &unknown(CONTENT_BYTES), &mut random).unwrap();
    let body = codec::encode(&sealed.message);
    assert!(body.len() <= codec::MAX_BODY);
    assert_eq!(open(&receiver, &sealed.message).unwrap().message.content, unknown(CONTENT_BYTES));
}

#[test]
fn short_contents_of_all_kinds_have_one_length() {
    let mut random = SeededRandom::new(16);
    let (sender, _) = ends(History::Full, &mut random);
    let target = MessageRef { author: facts(0).user, item: facts(0).item };
    let mut lengths = vec![];
    let mut sender = sender;
    for content in [text(""), text(&"x".repeat(80)), Content::Pin(Pin { target, on: true })] {
        let sealed = sender.seal(&keys(), &facts(0), &content, &mut random).unwrap();
        lengths.push(sealed.message.sealed.len());
        sender = *sealed.key;
    }
    assert!(lengths.iter().all(|length| *length == lengths[0]), "{lengths:?}");
}

#[test]
fn a_key_is_replaced_after_its_time_and_after_its_messages() {
    let mut random = SeededRandom::new(17);
    let (mut sender, _) = ends(History::Full, &mut random);
    assert!(!sender.must_replace(NOW));
    assert!(!sender.must_replace(NOW.plus(Duration::from_hours(167))));
    assert!(sender.must_replace(NOW.plus(MAX_AGE)));
    for _ in 0..MAX_MESSAGES {
        assert!(!sender.must_replace(NOW));
        (sender, _) = send(sender, 0, &mut random);
    }
    assert!(sender.must_replace(NOW));
    let unsealed = sender.seal(&keys(), &facts(0), &text("one more"), &mut random).unwrap_err();
    assert_eq!(unsealed.reason, SealError::Exhausted);
}

#[test]
fn keys_go_on_after_they_were_stored() {
    let mut random = SeededRandom::new(18);
    let (sender, receiver) = ends(History::Full, &mut random);
    let (sender, first) = send(sender, 0, &mut random);
    let receiver = *open(&receiver, &first).unwrap().key;
    let sender = OutboundSenderKey::from_bytes(&sender.to_bytes()).unwrap();
    let receiver = InboundSenderKey::from_bytes(&receiver.to_bytes()).unwrap();
    assert_eq!((sender.index(), sender.count(), sender.place()), (1, 1, place()));
    assert_eq!((receiver.next_index(), receiver.place()), (1, place()));
    let (_, second) = send(sender, 1, &mut random);
    assert_eq!(open(&receiver, &second).unwrap().message.content, text("words 1"));
    assert_eq!(refused(&receiver, &first), OpenError::UsedIndex);
}

#[test]
fn a_seed_draws_the_same_key_and_another_seed_another() {
    let draw =
        |seed| OutboundSenderKey::generate(place(), NOW, &mut SeededRandom::new(seed)).to_bytes();
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

#[test]
fn nothing_secret_is_printed() {
    let (sender, receiver) = ends(History::Full, &mut SeededRandom::new(19));
    let printed = format!("{sender:?} {receiver:?}");
    assert!(printed.contains("secret") && printed.len() < 160, "{printed}");
}

proptest! {
    #[test]
    fn no_bytes_make_opening_panic(
        header in prop::collection::vec(any::<u8>(), 0..300),
        sealed in prop::collection::vec(any::<u8>(), 0..600),
        index in any::<u32>(),
    ) {
        let (_, receiver) = ends(History::Full, &mut SeededRandom::new(20));
        prop_assert!(receiver.open(&keys(), &header, &sealed).is_err());
        let announce = Announce {
            header: header.clone().try_into().unwrap(),
            sealed: sealed[..sealed.len().min(512)].to_vec().try_into().unwrap(),
        };
        prop_assert!(InboundSenderKey::from_announce(&keys(), &announce).is_err());
        prop_assert!(InboundSenderKey::from_bytes(&sealed).is_err());
        prop_assert!(OutboundSenderKey::from_bytes(&sealed).is_err());
        // Under the outer seal, with a good header, anything a member likes.
        let facts = facts(1);
        let header = codec::encode(&MessageHeader {
            suite: 1,
            community: place().epoch.community,
            channel: place().channel,
            audience: place().epoch.audience,
            epoch: place().epoch.epoch,
            log: facts.log,
            user: facts.user,
            device: facts.device,
            sender_key: receiver.id(),
            index,
            item: facts.item,
        });
        let key = keys().message_key(place().channel);
        let sealed = key.seal(&header, &sealed, &mut SeededRandom::new(21));
        prop_assert_eq!(receiver.open(&keys(), &header, &sealed).err(), Some(UNOPENABLE));
    }
}

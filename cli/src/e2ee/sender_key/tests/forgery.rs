//! What the hub, a member, or a key's own author might try.

use super::*;
use crate::e2ee::sender_key::outbound::plaintext_of;

/// Every header that differs from `header` in one field.
fn other_headers(header: &MessageHeader) -> Vec<MessageHeader> {
    let with = |change: &dyn Fn(&mut MessageHeader)| {
        let mut other = header.clone();
        change(&mut other);
        other
    };
    vec![
        with(&|header| header.suite = 2),
        with(&|header| header.community = CommunityId::from_bytes([99; 32])),
        with(&|header| header.channel = ChannelId::from_number(99)),
        with(&|header| header.audience = AudienceId::from_number(99)),
        with(&|header| header.epoch = 99),
        with(&|header| header.epoch = 2),
        with(&|header| header.log.seq = 10),
        with(&|header| header.log.hash = Digest::ZERO),
        with(&|header| header.user = UserId::from_bytes([99; 32])),
        with(&|header| header.device = DeviceId::from_bytes([99; 32])),
        with(&|header| header.sender_key = SenderKeyId::from_bytes([99; 16])),
        with(&|header| header.index = 2),
        with(&|header| header.index = 0),
        with(&|header| header.index = u32::MAX),
        with(&|header| header.item = ItemId::from_bytes([99; 16])),
    ]
}

#[test]
fn no_header_can_be_exchanged_by_the_hub_or_by_a_member() {
    let mut random = SeededRandom::new(6);
    for history in [History::Full, History::SinceJoin] {
        let (sender, receiver) = ends(history, &mut random);
        let (sender, _) = send(sender, 0, &mut random);
        let (_, message) = send(sender, 1, &mut random);
        let header: MessageHeader = codec::decode(message.header.as_slice()).unwrap();
        // A member has the epoch's keys, takes the outer seal off and puts it on again around another header.
        let key = keys().message_key(place().channel);
        let inner = key.open(message.header.as_slice(), message.sealed.as_slice()).unwrap();
        for other in other_headers(&header) {
            let bytes = codec::encode(&other);
            let moved = ChannelMessage {
                header: bytes.clone().try_into().unwrap(),
                sealed: message.sealed.clone(),
            };
            let by_hub = refused(&receiver, &moved);
            let key = keys().message_key(other.channel);
            let resealed = key.seal(&bytes, &inner, &mut random).try_into().unwrap();
            let by_member =
                refused(&receiver, &ChannelMessage { sealed: resealed, ..moved.clone() });
            assert_eq!(by_hub, by_member, "{other:?}");
            let expected = if other.sender_key == header.sender_key {
                UNOPENABLE
            } else {
                OpenError::OtherKey
            };
            assert_eq!(by_hub, expected, "{other:?}");
            let past = receiver.open_past(&keys(), &bytes, moved.sealed.as_slice());
            assert!(past.is_err(), "{other:?}");
        }
        assert!(open(&receiver, &message).is_ok(), "the message itself");
    }
}

#[test]
fn a_header_in_another_encoding_is_refused() {
    let mut random = SeededRandom::new(7);
    let (sender, receiver) = ends(History::Full, &mut random);
    let (_, message) = send(sender, 0, &mut random);
    let mut header = message.header.as_slice().to_vec();
    header.push(0);
    let longer = ChannelMessage { header: header.try_into().unwrap(), ..message };
    assert_eq!(refused(&receiver, &longer), UNOPENABLE);
}

#[test]
fn every_changed_byte_is_refused_and_changes_nothing() {
    let mut random = SeededRandom::new(8);
    let (sender, receiver) = ends(History::Full, &mut random);
    let (_, message) = send(sender, 0, &mut random);
    for at in 0..message.sealed.len() {
        let mut bytes = message.sealed.as_slice().to_vec();
        bytes[at] ^= 0x40;
        let changed = ChannelMessage { sealed: bytes.try_into().unwrap(), ..message.clone() };
        assert_eq!(refused(&receiver, &changed), UNOPENABLE, "{at}");
    }
}

/// What a member makes who has the epoch's keys, and changes what is under the outer seal.
fn resealed(
    message: &ChannelMessage,
    change: impl FnOnce(&mut Vec<u8>),
    random: &mut SeededRandom,
) -> ChannelMessage {
    let (key, header) = (keys().message_key(place().channel), message.header.as_slice());
    let mut inner = key.open(header, message.sealed.as_slice()).unwrap().to_vec();
    change(&mut inner);
    let sealed = key.seal(header, &inner, random).try_into().unwrap();
    ChannelMessage { sealed, ..message.clone() }
}

#[test]
fn a_member_cannot_change_another_s_message() {
    let mut random = SeededRandom::new(9);
    let (sender, receiver) = ends(History::Full, &mut random);
    let (_, message) = send(sender, 0, &mut random);
    assert!(open(&receiver, &resealed(&message, |_| {}, &mut random)).is_ok());
    let length = resealed(&message, |_| {}, &mut random).sealed.len() - 40;
    for at in 0..length {
        let changed = resealed(&message, |inner| inner[at] ^= 1, &mut random);
        assert_eq!(refused(&receiver, &changed), UNOPENABLE, "{at}");
    }
    let longer = resealed(&message, |inner| inner.push(0), &mut random);
    assert_eq!(refused(&receiver, &longer), UNOPENABLE);
}

#[test]
fn a_message_of_megolm_s_first_version_with_its_short_mac_is_refused() {
    let mut random = SeededRandom::new(10);
    let (sender, receiver) = ends(History::Full, &mut random);
    let (_, message) = send(sender, 0, &mut random);
    let shortened = resealed(
        &message,
        |inner| {
            let mac = inner.len() - 96;
            inner.drain(mac + 8..mac + 32);
            inner[0] = 3;
        },
        &mut random,
    );
    assert_eq!(refused(&receiver, &shortened), UNOPENABLE);
}

#[test]
fn whoever_can_open_cannot_sign() {
    let mut random = SeededRandom::new(11);
    let (sender, receiver) = ends(History::Full, &mut random);
    let forger = sender.ratchet.with_another_signing_key();
    let header = sender.header_of(&facts(0));
    let plaintext = plaintext_of(&header, &facts(0), &text("forged"));
    for (mut ratchet, opens) in [(forger, false), (sender.ratchet.duplicate(), true)] {
        let inner = ratchet.seal(&plaintext);
        let key = keys().message_key(place().channel);
        let sealed = key.seal(&header, &inner, &mut random);
        assert_eq!(receiver.open(&keys(), &header, &sealed).is_ok(), opens);
    }
}

#[test]
fn an_announcement_opens_as_it_was_made_only() {
    let mut random = SeededRandom::new(12);
    let sender = OutboundSenderKey::generate(place(), NOW, &mut random);
    let announce = sender.announce(&keys(), &announce_facts(History::Full), &mut random).unwrap();
    let header: AnnounceBody = codec::decode(announce.header.as_slice()).unwrap();
    let changes: [fn(&mut AnnounceBody); 12] = [
        |header| header.suite = 2,
        |header| header.community = CommunityId::from_bytes([99; 32]),
        |header| header.channel = ChannelId::from_number(99),
        |header| header.audience = AudienceId::from_number(99),
        |header| header.epoch = 99,
        |header| header.user = UserId::from_bytes([99; 32]),
        |header| header.device = DeviceId::from_bytes([99; 32]),
        |header| header.head.seq = 99,
        |header| header.head.hash = Digest::ZERO,
        |header| header.sender_key = SenderKeyId::from_bytes([99; 16]),
        |header| header.start_index = 1,
        |header| header.history = History::SinceJoin,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut other = header.clone();
        change(&mut other);
        let place =
            EpochPlace { community: other.community, audience: other.audience, epoch: other.epoch };
        let moved = Announce {
            header: codec::encode(&other).try_into().unwrap(),
            sealed: announce.sealed.clone(),
        };
        let opened = InboundSenderKey::from_announce(&keys_of(place, 1), &moved);
        assert_eq!(opened.err(), Some(UNOPENABLE), "{number}");
    }
    let other = keys_of(EpochPlace { epoch: 4, ..place().epoch }, 1);
    let opened = InboundSenderKey::from_announce(&other, &announce);
    assert_eq!(opened.err(), Some(OpenError::OtherEpoch));
    let opened = InboundSenderKey::from_announce(&keys_of(place().epoch, 2), &announce);
    assert_eq!(opened.err(), Some(UNOPENABLE));
    assert!(InboundSenderKey::from_announce(&keys(), &announce).is_ok());
}

#[test]
fn an_announcement_whose_header_and_key_disagree_is_refused() {
    let mut random = SeededRandom::new(13);
    let sender = OutboundSenderKey::generate(place(), NOW, &mut random);
    let announce = sender.announce(&keys(), &announce_facts(History::Full), &mut random).unwrap();
    let key = keys().announce_key(place().channel);
    let session_key = key.open(announce.header.as_slice(), announce.sealed.as_slice()).unwrap();
    let header: AnnounceBody = codec::decode(announce.header.as_slice()).unwrap();
    // Its author seals the same key under headers of their own making.
    let mut make = |header: &AnnounceBody, session_key: &[u8]| {
        let header = codec::encode(header);
        let sealed = key.seal(&header, session_key, &mut random).try_into().unwrap();
        let announce = Announce { header: header.try_into().unwrap(), sealed };
        InboundSenderKey::from_announce(&keys(), &announce).err()
    };
    assert_eq!(make(&header, &session_key), None);
    let later = AnnounceBody { start_index: 1, ..header.clone() };
    assert_eq!(make(&later, &session_key), Some(UNOPENABLE));
    let newer = AnnounceBody { suite: 2, ..header.clone() };
    assert_eq!(make(&newer, &session_key), Some(UNOPENABLE));
    for length in [0, 164, 228] {
        assert_eq!(make(&header, &session_key[..length]), Some(UNOPENABLE));
    }
    let longer = [&session_key[..], &[0]].concat();
    assert_eq!(make(&header, &longer), Some(UNOPENABLE));
    let mut unsigned = session_key.to_vec();
    unsigned[10] ^= 1;
    assert_eq!(make(&header, &unsigned), Some(UNOPENABLE));
}

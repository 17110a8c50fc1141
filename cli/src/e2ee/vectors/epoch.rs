//! Known answers of how communities are sealed: `tests/vectors/epoch.json`, which `tests/interop/epoch.py` makes again.

use rookery_protocol::{
    chain::Seen,
    community::{Announce, ChannelMessage, History},
    id::{AudienceId, ChannelId, CommunityId, Digest, InviteId, RoleId},
};
use serde_json::json;

use super::*;
use crate::e2ee::{
    content::{Content, Edit, MessageRef, Pin, React, Text, Unknown},
    epoch::{
        EpochKeys, EpochPlace, EpochSecret, LinkSecret, MetadataKey, Receiver, TextOf, WrapContext,
    },
    padding::padme,
    sender_key::{AnnounceFacts, ChannelPlace, InboundSenderKey, MessageFacts, OutboundSenderKey},
};

const PLACE: EpochPlace = EpochPlace {
    community: CommunityId::from_bytes([1; 32]),
    audience: AudienceId::from_number(2),
    epoch: 3,
};
const ROSTER_ROOT: Digest = Digest::from_bytes([4; 32]);
const LOG_ROOT: Digest = Digest::from_bytes([5; 32]);
const USER: UserId = UserId::from_bytes([6; 32]);
const INVITE: InviteId = InviteId::from_number(7);
const CHANNEL: ChannelId = ChannelId::from_number(8);
/// Which messages are kept: Megolm turns its second-fastest wheel at 256.
const INDICES: [u32; 4] = [0, 1, 255, 260];

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn secret() -> EpochSecret {
    EpochSecret::from_bytes(&[9; 32]).unwrap()
}

fn keys() -> EpochKeys {
    secret().keys(PLACE, &ROSTER_ROOT, &LOG_ROOT)
}

/// The wraps, the links to the epoch before, and what comes of a link's secret.
fn secrets(random: &mut SeededRandom) -> Value {
    let (secret, former) = (secret(), EpochSecret::from_bytes(&[10; 32]).unwrap());
    let context = WrapContext { place: PLACE, roster_root: ROSTER_ROOT };
    let puk_seed = [11; 32];
    let user_kem = KemSecret::from_seed(derive(&puk_seed, "puk/kem", &[]));
    let link_secret = LinkSecret::from_bytes(&[12; 32]).unwrap();
    let link = link_secret.keys();
    let mut wrap = |key: &KemSecret, receiver| {
        let wrap = secret.wrap(&key.public(), &context, receiver, random).unwrap();
        hex(wrap.as_slice())
    };
    let wraps = [wrap(&user_kem, Receiver::User(USER)), wrap(&link.kem, Receiver::Link(INVITE))];
    let [metadata, former_metadata] =
        [&secret, &former].map(|secret| secret.metadata(PLACE.community, PLACE.audience));
    json!({
        "community": hex(PLACE.community.as_bytes()),
        "audience": PLACE.audience.number(),
        "epoch": PLACE.epoch,
        "roster root": hex(ROSTER_ROOT.as_bytes()),
        "log root": hex(LOG_ROOT.as_bytes()),
        "user": hex(USER.as_bytes()),
        "invite": INVITE.number(),
        "secret": hex(&*secret.to_bytes()),
        "former secret": hex(&*former.to_bytes()),
        "commit": hex(secret.commit(PLACE.audience, PLACE.epoch).as_bytes()),
        "wrap info": hex(&context.to_info()),
        "user aad": hex(&Receiver::User(USER).to_aad()),
        "link aad": hex(&Receiver::Link(INVITE).to_aad()),
        "puk seed": hex(&puk_seed),
        "puk kem seed": hex(user_kem.seed()),
        "user kem seed": hex(user_kem.seed()),
        "user wrap": wraps[0],
        "link secret": hex(&*link_secret.to_bytes()),
        "link signing seed": hex(&*link.signing.to_seed()),
        "link kem seed": hex(link.kem.seed()),
        "link proof": hex(link.prove(PLACE.community, INVITE, USER).as_bytes()),
        "link wrap": wraps[1],
        "previous context": hex(&crate::e2ee::epoch::previous_context("link", PLACE)),
        "previous": hex(secret.seal_previous(PLACE, &former, random).as_slice()),
        "metadata key": hex(&*metadata.to_bytes()),
        "previous metadata": hex(metadata.seal_previous(PLACE, &former_metadata, random).as_slice()),
        "epoch keys": hex(keys().as_bytes()),
    })
}

fn texts(random: &mut SeededRandom) -> Vec<Value> {
    let metadata: MetadataKey = secret().metadata(PLACE.community, PLACE.audience);
    [
        (TextOf::CommunityName, "Garden"),
        (TextOf::CommunityTopic, ""),
        (TextOf::RoleName(RoleId::from_number(1)), "gardener"),
        (TextOf::ChannelName(CHANNEL), "beds"),
        (TextOf::ChannelTopic(CHANNEL), "all that grows, and what eats it; in the second bed from the left"),
        (TextOf::Nickname(USER), "Grüße 🌱"),
        (TextOf::Reason(USER), "spam"),
        (TextOf::Redaction(CHANNEL), "off topic"),
    ]
    .map(|(what, text)| {
        let sealed = metadata.seal_text(PLACE, what, text, random).unwrap();
        let (number, of) = what.parts();
        json!({"what": number, "of": hex(&of), "sealed": hex(sealed.sealed.as_slice()), "text": text})
    })
    .to_vec()
}

/// One content of each kind, in turn.
fn content(index: u32) -> Content {
    let target = MessageRef { author: USER, item: ItemId::from_bytes([13; 16]) };
    let mentions = vec![USER];
    match index {
        0 => Content::Text(Text {
            text: "Grüße".to_owned(),
            reply_to: Some(target),
            thread: None,
            mentions,
            mentions_all: true,
            stays: None,
            file: None,
        }),
        1 => Content::Edit(Edit { target, text: "other".to_owned(), mentions }),
        255 => Content::React(React { target, emoji: "🎉".to_owned(), on: true }),
        _ => Content::Pin(Pin { target, on: false }),
    }
}

fn facts(index: u32) -> MessageFacts {
    MessageFacts {
        user: USER,
        device: DeviceId::from_bytes([14; 32]),
        log: Seen { seq: 15, hash: Digest::from_bytes([16; 32]) },
        item: ItemId::from_bytes([17; 16]),
        own_prev: (index > 0).then_some(Digest::from_bytes([18; 32])),
        seen: (index > 1).then_some(Digest::from_bytes([19; 32])),
    }
}

fn sender_key(random: &mut SeededRandom) -> (Announce, Vec<ChannelMessage>) {
    let place = ChannelPlace { epoch: PLACE, channel: CHANNEL };
    let mut key = OutboundSenderKey::generate(place, NOW, random);
    let MessageFacts { user, device, log: head, .. } = facts(0);
    let announced = AnnounceFacts { user, device, head, history: History::Full };
    let announce = key.announce(&keys(), &announced, random).unwrap();
    let mut messages = vec![];
    for index in 0..=INDICES[3] {
        let sealed = key.seal(&keys(), &facts(index), &content(index), random).unwrap();
        if INDICES.contains(&index) {
            messages.push(sealed.message);
        }
        key = *sealed.key;
    }
    (announce, messages)
}

fn vectors() -> Value {
    let mut random = SeededRandom::new(20);
    let mut value = secrets(&mut random);
    value["texts"] = json!(texts(&mut random));
    let (announce, messages) = sender_key(&mut random);
    value["announce"] = json!(hex(&codec::encode(&announce)));
    let messages: Vec<String> =
        messages.iter().map(|message| hex(&codec::encode(message))).collect();
    value["messages"] = json!(messages);
    let lengths = [0, 1, 2, 9, 65, 100, 255, 256, 257, 1_000, 40_000, 1_000_000];
    value["padme"] = json!(lengths.map(|length| [length, padme(length)]));
    let unknown = Content::Unknown(Unknown { kind: 99, bytes: vec![1, 2, 3] });
    let contents: Vec<Value> = INDICES
        .map(content)
        .into_iter()
        .chain([unknown])
        .map(|content| json!({"kind": content.kind(), "bytes": hex(&content.encode())}))
        .collect();
    value["contents"] = json!(contents);
    value
}

#[test]
fn communities_are_sealed_as_they_were() {
    let value = vectors();
    if std::env::var_os("ROOKERY_BLESS").is_some() {
        std::fs::write(path("epoch.json"), format!("{value:#}\n")).unwrap();
    }
    let expected = read("epoch.json");
    for (name, value) in value.as_object().unwrap() {
        assert_eq!(Some(value), expected.get(name), "{name}");
    }
    assert_eq!(value, expected, "a vector is missing");
}

#[test]
fn a_channel_that_was_sealed_when_the_formats_were_frozen_still_opens() {
    let frozen = read("epoch.json");
    let announce: Announce = codec::decode(&bytes(&frozen, "announce")).unwrap();
    let mut key = InboundSenderKey::from_announce(&keys(), &announce).unwrap();
    for (index, message) in INDICES.into_iter().zip(cases(&frozen, "messages")) {
        let message = HEXLOWER.decode(message.as_str().unwrap().as_bytes()).unwrap();
        let message: ChannelMessage = codec::decode(&message).unwrap();
        let (header, sealed) = (message.header.as_slice(), message.sealed.as_slice());
        let opened = key.open(&keys(), header, sealed).unwrap();
        assert_eq!((opened.message.content, opened.message.header.index), (content(index), index));
        assert_eq!(opened.message.own_prev, facts(index).own_prev);
        key = *opened.key;
    }
    for case in cases(&frozen, "contents") {
        let content = Content::decode(number(&case, "kind"), &bytes(&case, "bytes"));
        assert_eq!(content.encode(), bytes(&case, "bytes"));
        assert_eq!(matches!(content, Content::Unknown(_)), content.kind() == 99);
    }
}

//! A small community, made with the protocol's own rules and our own sealing, is read by an independent implementation.

mod world;

use rookery_protocol::{
    codec,
    community::{Announce, ChannelMessage},
    id::RoleId,
};

use super::*;
use crate::e2ee::{
    epoch::{EpochSecret, Receiver, TextOf, WrapContext, wrap_at, wrap_index},
    sender_key::InboundSenderKey,
};
use world::{MEMBERS, World, text, told};

/// The lines about messages: kind and text of each.
fn said(lines: &[Value]) -> Vec<(Value, Value)> {
    let messages = lines.iter().filter(|line| line.get("channel").is_some());
    messages.map(|line| (line["kind"].clone(), line["text"].clone())).collect()
}

fn names(lines: &[Value]) -> Vec<Value> {
    let texts = lines.iter().filter(|line| line.get("log").is_some());
    texts.map(|line| line["text"].clone()).collect()
}

#[test]
fn a_community_is_read_by_an_independent_implementation() {
    let mut world = told();
    world.channel[3].body = None;
    let lines = lines("epoch.py", &world.dump(1));
    assert_eq!(
        names(&lines),
        ["Garden", "all that grows", "beds", "vegetables", "gardener", "spam", "Beetroot"]
    );
    let expected = [
        (json!(1), json!("before anybody came")),
        (json!(1), json!("Grüße 🌱")),
        (Value::Null, Value::Null),
        (json!(1), json!("spam")),
        (json!(1), json!("they are gone")),
        (json!(2), json!("they have gone")),
        (json!(3), json!("🎉")),
    ];
    assert_eq!(said(&lines), expected);
    let erased = lines.iter().filter(|line| line["erased"] == json!(true)).count();
    assert_eq!(erased, 1);
}

#[test]
fn whoever_was_sent_away_reads_nothing_of_what_came_after() {
    let lines = lines("epoch.py", &told().dump(2));
    let messages: Vec<_> = said(&lines).into_iter().map(|(_, text)| text).collect();
    let read = ["before anybody came", "Grüße 🌱", "to be erased", "spam"].map(Value::from);
    assert_eq!(messages[..4], read);
    assert_eq!(messages[4..], [Value::Null, Value::Null, Value::Null]);
    assert_eq!(names(&lines)[4..], [json!("gardener"), json!("spam"), Value::Null]);
}

/// Gives the second member another secret in the last epoch than its statement commits to.
fn lie_to_the_second_member(world: &mut World) {
    let epoch = world.state().audiences.get(&MEMBERS).unwrap().epoch.clone().unwrap();
    let context = WrapContext { place: world.place(), roster_root: epoch.roster_root };
    let receiver = Receiver::User(world.people.0[1].user);
    let index = wrap_index(world.state(), MEMBERS, receiver).unwrap();
    let other = EpochSecret::generate(&mut world.random);
    let key = &world.people.0[1].key;
    let wrap = other.wrap(key, &context, receiver, &mut world.random).unwrap();
    let start = index * wrap.len();
    world.blobs[2].1[start..start + wrap.len()].copy_from_slice(wrap.as_slice());
}

#[test]
fn an_independent_implementation_refuses_a_dump_that_was_changed() {
    type Change = fn(&mut World);
    let changes: [(Change, &str); 4] = [
        (|world| world.log.swap(2, 3), "an entry out of place"),
        (|world| world.channel[1].log_pos = Some(0), "an entry out of place"),
        (
            |world| world.channel[1].body = world.channel[2].body.clone(),
            "another body than was signed",
        ),
        (lie_to_the_second_member, "another secret than was committed to"),
    ];
    for (change, expected) in changes {
        let mut world = told();
        change(&mut world);
        let (_, error) = run("epoch.py", &world.dump(1));
        assert_eq!(error, Some(format!("ValueError: {expected}")));
    }
}

#[test]
fn the_second_member_reads_the_same_by_our_own_code() {
    let world = told();
    let person = &world.people.0[1];
    // The blob of the last epoch has their wrap where the state says it is.
    let state = world.state();
    let epoch = state.audiences.get(&MEMBERS).unwrap().epoch.as_ref().unwrap();
    let receiver = Receiver::User(person.user);
    let index = wrap_index(state, MEMBERS, receiver).unwrap();
    let wrap = wrap_at(&world.blobs[2].1, index).unwrap();
    let context = WrapContext { place: world.place(), roster_root: epoch.roster_root };
    let secret =
        EpochSecret::unwrap(&person.ring.kem(1).unwrap(), &context, receiver, &wrap, &epoch.commit)
            .unwrap();
    let former = world.secrets[1].commit(MEMBERS, 1);
    let previous = epoch.previous.as_ref().unwrap();
    let opened = secret.open_previous(world.place(), previous.as_slice(), &former).unwrap();
    assert_eq!(opened.to_bytes(), world.secrets[1].to_bytes());
    let metadata = secret.metadata(world.community, MEMBERS);
    let previous = epoch.previous_meta.as_ref().unwrap();
    let before = metadata.open_previous(world.place(), previous.as_slice()).unwrap();
    let role = state.roles.get(&RoleId::from_number(1)).unwrap().name.as_ref().unwrap();
    let name = before.open_text(world.community, TextOf::RoleName(RoleId::from_number(1)), role);
    assert_eq!(name.unwrap(), "gardener");
    let keys = secret.keys(world.place(), &epoch.roster_root, &epoch.log_root);
    let body = |place: usize| world.channel[place].body.as_ref().unwrap().as_slice();
    let announce: Announce = codec::decode(body(6)).unwrap();
    let key = InboundSenderKey::from_announce(&keys, &announce).unwrap();
    let message: ChannelMessage = codec::decode(body(7)).unwrap();
    let (header, sealed) = (message.header.as_slice(), message.sealed.as_slice());
    assert_eq!(key.open(&keys, header, sealed).unwrap().message.content, text("they are gone"));
}

#[test]
fn the_frozen_vectors_are_made_again_by_an_independent_implementation() {
    let path = format!("{}/../tests/vectors/epoch.json", env!("CARGO_MANIFEST_DIR"));
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let lines = lines("epoch.py", &json!({ "vectors": vectors }));
    let own = hex(&[18; 32]);
    let line = |index: u32, kind: u32, text: Value, own_prev: Value, seen: Value| json!({"index": index, "kind": kind, "text": text, "own_prev": own_prev, "seen": seen});
    let seen = json!(hex(&[19; 32]));
    let expected = [
        line(0, 1, json!("Grüße"), Value::Null, Value::Null),
        line(1, 2, json!("other"), json!(own), Value::Null),
        line(255, 3, json!("🎉"), json!(own), seen.clone()),
        line(260, 4, Value::Null, json!(own), seen),
    ];
    assert_eq!(lines, expected);
    let mut changed = vectors;
    changed["commit"] = json!(hex(&[0; 32]));
    let (_, error) = run("epoch.py", &json!({ "vectors": changed }));
    assert!(error.is_some_and(|error| error.starts_with("ValueError: commit: ")));
}

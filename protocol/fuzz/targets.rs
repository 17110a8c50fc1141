//! What each fuzz target does with its input. The fuzzers (`fuzz_targets/`) and the replay on stable (`tests/fuzz.rs`) share it.

use std::sync::LazyLock;

use rookery_protocol::{
    chain::{Entry, Item, ItemSignature, Kind, SignedItem},
    codec::{self, Octets},
    community::{
        self, Announce, AnnounceBody, ChannelMessage, History, MessageHeader, Permissions, Place,
        Post, SenderKeyUse, announce_item, judge_announce, judge_message, judge_redact,
    },
    hash,
    id::{ChainId, ItemId},
    key::Signature,
    request::registry::Registry,
    schema::Rule,
    time::Timestamp,
    user::{Statement, verify_and_apply},
};

#[expect(dead_code, reason = "tests use the rest")]
#[path = "../tests/town/mod.rs"]
pub(crate) mod town;

use town::{MEMBERS, Town, channel};

/// Every wire type there is.
pub(crate) static RULES: LazyLock<Vec<Rule>> =
    LazyLock::new(|| Registry::complete().catalogue.rules.into_values().collect());

/// Every decoder: the first two bytes choose the type, the rest is what it reads.
pub(crate) fn wire(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first_chunk::<2>() else { return };
    let rule = &RULES[usize::from(u16::from_be_bytes(*choice)) % RULES.len()];
    if let Ok(again) = (rule.round_trip)(bytes) {
        assert_eq!(
            (rule.round_trip)(&again).as_ref(),
            Ok(&again),
            "what is encoded is a fixed point"
        );
    }
}

/// A user's chain as a stranger might send it: entries, one after the other, into the fold.
pub(crate) fn user(data: &[u8]) {
    let Ok(entries) = codec::decode::<Vec<Entry>>(data) else { return };
    let genesis = entries.first().and_then(|entry| entry.body.as_ref());
    let user = Statement::user_id(genesis.map_or(&[][..], |body| body.as_slice()));
    let mut state = None;
    for entry in &entries {
        match verify_and_apply(user, state.as_ref(), entry) {
            Ok(next) => state = Some(next),
            Err(_) => return,
        }
    }
}

/// Four people, of whom the last is a stranger; a role, a private audience, a channel of each, an invitation.
pub(crate) static TOWN: LazyLock<Town> = LazyLock::new(|| {
    let mut town = Town::found(4);
    town.fill(2);
    let role = town.new_role(5, Permissions::KICK, &[1]);
    let private = town.new_audience(&[role], &[2], History::Full);
    town.new_channel(MEMBERS);
    town.new_channel(private);
    let link = town.invite(None, &[]);
    town.say(0, community::Action::InviteCreate(link)).unwrap();
    town
});

fn item(chain: ChainId, item_id: ItemId, kind: Kind, body: &[u8]) -> Item {
    let (body_hash, at) = (hash::plain(body), Timestamp::from_millis(0));
    Item { chain, item_id, kind, body_hash, at, seen: None }
}

/// Signed, as far as the rules can see: whether signatures hold is settled before them.
fn signed(who: usize) -> SignedItem {
    let key = TOWN.people[who].key(0).verifying_key();
    let signature = Signature::from_bytes([0; 64]);
    SignedItem { payload: Octets::default(), signatures: vec![ItemSignature { key, signature }] }
}

/// Statements of a community, one after the other, into the fold: each at a right place and by a device of its author's, if it has one.
pub(crate) fn community(data: &[u8]) {
    let Ok(statements) = codec::decode::<Vec<community::Statement>>(data) else { return };
    let town = &*TOWN;
    let chain = ChainId::of_log(town.community);
    let mut state = town.state.clone();
    for (number, mut statement) in statements.into_iter().enumerate() {
        let who = town.people.iter().position(|person| person.user == statement.author);
        let who = who.unwrap_or_default();
        statement.author_head = town.people[who].head();
        statement.place = if statement.action.is_strict() {
            Place::Next(state.head)
        } else {
            Place::Later(state.head)
        };
        let Ok(body) = Octets::parse(codec::encode(&statement)) else { return };
        let mut id = [255; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        let item = item(chain, ItemId::from_bytes(id), Kind::CommunityStatement, body.as_slice());
        let entry = Entry {
            chain,
            owner_epoch: 0,
            seq: state.head.seq + 1,
            prev: state.head.hash,
            log_pos: None,
            signed: signed(who),
            body: Some(body),
        };
        let next = community::apply(town.community, Some(&state), &entry, &item, town);
        let again = community::apply(town.community, Some(&state), &entry, &item, town);
        assert_eq!(next, again, "the fold is a function");
        if let Ok(next) = next {
            assert!(next.members.contains_key(&next.owner), "the owner is a member");
            assert!(next.banned.iter().all(|user| !next.members.contains_key(user)));
            state = next;
        }
    }
}

/// What a log is said to come to, for a newcomer who reads on it: into a state, which answers what is asked of it and makes the same again.
pub(crate) fn snapshot(data: &[u8]) {
    let Ok(snapshot) = community::Snapshot::decode(data) else { return };
    let Some(state) = snapshot.into_state() else { return };
    for channel in state.channels.keys() {
        for person in &TOWN.people {
            let _may = state.may_read(person.user, *channel);
        }
    }
    let again = state.snapshot().encode();
    let read = community::Snapshot::decode(&again).unwrap().into_state().unwrap();
    assert_eq!(read.snapshot().encode(), again, "what is made of a state is a fixed point");
}

/// What might stand in a channel: the first byte chooses the kind and the signer, the rest is the body.
pub(crate) fn posts(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let town = &*TOWN;
    let who = usize::from(*choice >> 2) % town.people.len();
    let signed = signed(who);
    let home = |number| ChainId::of_channel(town.community, number);
    let (kind, chain, id) = match choice & 3 {
        0 => {
            let header = codec::decode::<Announce>(body)
                .and_then(|body| codec::decode::<AnnounceBody>(body.header.as_slice()));
            let Ok(header) = header else { return };
            (Kind::Announce, home(header.channel), announce_item(header.sender_key))
        }
        1 => {
            let header = codec::decode::<ChannelMessage>(body)
                .and_then(|body| codec::decode::<MessageHeader>(body.header.as_slice()));
            let Ok(header) = header else { return };
            (Kind::Message, home(header.channel), header.item)
        }
        _ => (Kind::Redact, home(channel(1)), ItemId::from_bytes([1; 16])),
    };
    let item = item(chain, id, kind, body);
    let post = Post { signed: &signed, item: &item, body };
    let user = town.people[who].user;
    let device = town.people[who].device(0);
    match choice & 3 {
        0 => {
            if let Ok((header, known)) = judge_announce(&town.state, town, post, |_| None) {
                assert_eq!((known.user, known.device), (user, device), "for nobody but the signer");
                assert!(town.state.may_read(user, header.channel));
            }
        }
        1 => {
            let known = SenderKeyUse {
                user,
                device,
                channel: channel(1),
                epoch: town.epoch_of(MEMBERS),
                head: town.people[who].head(),
                next_index: 3,
            };
            if let Ok((header, next)) = judge_message(&town.state, town, post, |_| Some(known)) {
                assert!(header.index >= 3 && next.next_index > header.index);
                assert_eq!((header.user, header.channel), (user, channel(1)));
            }
        }
        _ => {
            let author = town.people[1].user;
            if let Ok(redact) = judge_redact(&town.state, town, post, |_| Some(author)) {
                assert!(
                    redact.user == user && (who == 0 || who == 1),
                    "of one's own, or by the owner"
                );
            }
        }
    }
}

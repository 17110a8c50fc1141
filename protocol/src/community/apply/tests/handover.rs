//! Another server becomes the hub, and the former one orders no more.

use super::*;
use crate::{
    chain::{Head, OwnerHead},
    community::{BeyondTerm, ChannelEnd, Handover, VouchedHead},
    id::{ChannelId, ServerId},
    request::server::ServerRecord,
};

/// The root of the hub that towns are founded at.
fn first_hub() -> SigningKey {
    SigningKey::from_seed(&[41; 32])
}

fn next_hub() -> SigningKey {
    SigningKey::from_seed(&[42; 32])
}

fn root(key: &SigningKey) -> ServerId {
    key.verifying_key().server_id()
}

fn seen(seq: u64, hash: u8) -> Seen {
    Seen { seq, hash: Digest::from_bytes([hash; 32]) }
}

/// The next hand-over of the town, with the ends of its channels.
fn handover(town: &Town, key: &SigningKey, ends: &[Option<Seen>]) -> Handover {
    let ends = town.state.channels.keys().zip(ends);
    Handover {
        hub: "garden.example".parse().unwrap(),
        hub_key: root(key),
        owner_epoch: town.state.owner_epoch.saturating_add(1),
        ends: ends.map(|(channel, last)| ChannelEnd { channel: *channel, last: *last }).collect(),
    }
}

/// A town of two members with two channels, of which one ended with entry 5 and the other has none.
fn handed_over() -> (Town, [ChannelId; 2]) {
    let mut town = Town::found(2);
    town.state.hub_key = root(&first_hub());
    town.fill(1);
    let channels = [town.new_channel(MEMBERS), town.new_channel(MEMBERS)];
    let next = handover(&town, &next_hub(), &[Some(seen(5, 7)), None]);
    town.say(0, Action::Handover(next)).unwrap();
    (town, channels)
}

#[test]
fn from_a_hand_over_on_the_next_hub_places_and_no_other() {
    let (mut town, _) = handed_over();
    assert_eq!((town.state.owner_epoch, town.state.hub_key), (1, root(&next_hub())));
    assert_eq!(town.state.hub.as_str(), "garden.example");
    let hubs: Vec<_> = town.state.hubs().map(|(epoch, _, key)| (epoch, key)).collect();
    assert_eq!(hubs, [(0, root(&first_hub())), (1, root(&next_hub()))]);
    let term = town.state.terms.get(&0).unwrap();
    assert_eq!((term.last, term.ends.size()), (town.state.head, 2));
    let manner = town.manner(0, &edit());
    let good = town.entry(0, edit(), &manner);
    for owner_epoch in [0, 2] {
        let other = Entry { owner_epoch, ..good.clone() };
        assert_eq!(denied(town.take(other)), Denied::OtherTerm);
    }
    town.take(good).unwrap();
    // It can go on to a third server, and back.
    let ends = [Some(seen(9, 1)), Some(seen(2, 3))];
    let back = handover(&town, &first_hub(), &ends);
    town.say(0, Action::Handover(back)).unwrap();
    assert_eq!((town.state.owner_epoch, town.state.hub_key), (2, root(&first_hub())));
    assert_eq!(town.state.terms.size(), 2);
}

#[test]
fn a_log_begins_in_the_first_period() {
    let town = Town::found(1);
    let first = Entry { owner_epoch: 1, ..town.entries[0].clone() };
    let refused = verify_and_apply(town.community, None, &first, &town);
    assert_eq!(refused, Err(Denied::OtherTerm.into()));
}

#[test]
fn only_the_owner_hands_over_and_with_the_ends_of_all_channels() {
    let mut town = Town::found(2);
    town.state.hub_key = root(&first_hub());
    town.fill(1);
    town.new_channel(MEMBERS);
    town.new_channel(MEMBERS);
    let good = handover(&town, &next_hub(), &[Some(seen(5, 7)), None]);
    let said = |town: &mut Town, who, change: &dyn Fn(&mut Handover)| {
        let mut changed = good.clone();
        change(&mut changed);
        denied(town.say(who, Action::Handover(changed)))
    };
    assert_eq!(said(&mut town, 1, &|_| {}), Denied::NotTheOwner);
    let same = Denied::Already("that server is the hub already");
    assert_eq!(said(&mut town, 0, &|next| next.hub_key = root(&first_hub())), same);
    let follows = Denied::Not("one period of ownership follows the other");
    for owner_epoch in [0, 2, u64::MAX] {
        assert_eq!(said(&mut town, 0, &|next| next.owner_epoch = owner_epoch), follows);
    }
    let ends = Denied::Not("a hand-over names where each channel ends, in their order");
    assert_eq!(said(&mut town, 0, &|next| next.ends.truncate(1)), ends);
    assert_eq!(said(&mut town, 0, &|next| next.ends.reverse()), ends);
    let more = ChannelEnd { channel: ChannelId::from_number(9), last: None };
    assert_eq!(said(&mut town, 0, &|next| next.ends.push(more.clone())), ends);
    town.say(0, Action::Handover(good)).unwrap();
}

#[test]
fn a_community_is_handed_over_a_bounded_number_of_times() {
    let mut town = Town::found(1);
    for number in 0..crate::community::MAX_HANDOVERS {
        let key = if number % 2 == 0 { next_hub() } else { first_hub() };
        let next = handover(&town, &key, &[]);
        town.say(0, Action::Handover(next)).unwrap();
    }
    let next = handover(&town, &next_hub(), &[]);
    assert_eq!(denied(town.say(0, Action::Handover(next))), Denied::TooMany("hand-overs"));
}

/// An entry of a channel in a period, placed while the log stood at `log_pos`, after an entry of that hash.
fn post(
    town: &Town,
    channel: ChannelId,
    (owner_epoch, log_pos): (u64, u64),
    seq: u64,
    prev: Digest,
) -> Entry {
    let chain = ChainId::of_channel(town.community, channel);
    Entry { chain, owner_epoch, seq, prev, log_pos: Some(log_pos), ..town.entries[0].clone() }
}

#[test]
fn a_channel_goes_on_after_its_end_and_in_the_period_of_its_place_in_the_log() {
    let mut town = Town::found(2);
    town.state.hub_key = root(&first_hub());
    town.fill(1);
    let [spoken, silent] = [town.new_channel(MEMBERS), town.new_channel(MEMBERS)];
    let any = Digest::from_bytes([3; 32]);
    let before = town.state.head.seq;
    let last = post(&town, spoken, (0, before), 5, any);
    let next = handover(&town, &next_hub(), &[Some(last.seen()), None]);
    town.say(0, Action::Handover(next)).unwrap();
    let after = town.state.head.seq;
    let check = |entry: &Entry| town.state.check_term(spoken, entry);
    let placed = |period, seq, prev| check(&post(&town, spoken, period, seq, prev));
    // What the former hub placed in time stays; what it placed later never was, wherever in the log it says to be.
    assert_eq!(placed((0, before), 4, any), Ok(()));
    assert_eq!(check(&last), Ok(()));
    let other = Digest::from_bytes([4; 32]);
    assert_eq!(placed((0, before), 5, other), Err(BeyondTerm::OtherEnd));
    for period in [(0, before), (0, after), (1, before)] {
        assert_eq!(placed(period, 6, last.hash()), Err(BeyondTerm::OtherTerm), "{period:?}");
    }
    assert_eq!(placed((0, after), 4, any), Err(BeyondTerm::OtherTerm));
    assert_eq!(placed((1, after), 4, any), Err(BeyondTerm::OtherTerm));
    // The next one goes on where it ended, and nowhere else.
    assert_eq!(placed((1, after), 6, last.hash()), Ok(()));
    assert_eq!(placed((1, after), 7, any), Ok(()));
    assert_eq!(placed((1, after), 6, other), Err(BeyondTerm::OtherEnd));
    // A channel that had nothing begins with the next hub, and so does a new one.
    let first = |town: &Town, channel, period| {
        town.state.check_term(channel, &post(town, channel, period, 0, Digest::ZERO))
    };
    assert_eq!(first(&town, silent, (1, after)), Ok(()));
    assert_eq!(first(&town, silent, (0, before)), Err(BeyondTerm::OtherTerm));
    let new = town.new_channel(MEMBERS);
    let now = town.state.head.seq;
    assert_eq!(first(&town, new, (1, now)), Ok(()));
    assert_eq!(town.state.owner_epoch_at(new, 0), 1);
}

#[test]
fn a_former_hub_has_said_what_it_placed_and_nothing_after() {
    let (town, [spoken, silent]) = handed_over();
    let end_by = |key: &SigningKey, channel| town.state.end_by(root(key), channel);
    assert_eq!(end_by(&first_hub(), None), Some((0, town.state.head)));
    assert_eq!(end_by(&first_hub(), Some(spoken)), Some((0, seen(5, 7))));
    assert_eq!(end_by(&first_hub(), Some(silent)), None);
    assert_eq!(end_by(&next_hub(), None), None);
    assert_eq!(end_by(&SigningKey::from_seed(&[9; 32]), None), None);
}

/// What the server with that root has signed of a chain.
fn said(key: &SigningKey, chain: ChainId, owner_epoch: u64, last: Seen) -> VouchedHead {
    let (at, online) = (Timestamp::from_millis(1), SigningKey::from_seed(&[43; 32]));
    let record = ServerRecord {
        name: "nest.example".parse().unwrap(),
        root: key.verifying_key(),
        online: online.verifying_key(),
        number: 1,
        since: at,
        until: at,
        endpoint: None,
    };
    let head = Head { chain, owner_epoch, seq: last.seq, hash: last.hash, at };
    let head = OwnerHead { heads: vec![head] }.sign(&online).unwrap();
    VouchedHead { head, record: record.sign(key).unwrap() }
}

#[test]
fn a_hub_s_word_counts_for_its_own_period() {
    let (town, _) = handed_over();
    let log = ChainId::of_log(town.community);
    let word = |key: &SigningKey, epoch| town.state.word(&said(key, log, epoch, seen(3, 3)), log);
    assert_eq!(word(&first_hub(), 0).map(|head| head.seq), Some(3));
    assert_eq!(word(&next_hub(), 1).map(|head| head.seq), Some(3));
    for (key, epoch) in [(first_hub(), 1), (next_hub(), 0), (next_hub(), 2)] {
        assert_eq!(word(&key, epoch), None);
    }
}

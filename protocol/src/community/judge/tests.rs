//! What may stand in a channel, and what may not.

use super::*;
use crate::{
    chain::Submission,
    codec::Octets,
    community::{Action, History, Subject},
    id::Digest,
    time::Timestamp,
    town::{EVERYBODY, MEMBERS, Town},
};

const CHANNEL: ChannelId = ChannelId::from_number(1);
const KEY: SenderKeyId = SenderKeyId::from_bytes([4; 16]);

/// Three members and one channel of all.
fn town() -> Town {
    let mut town = Town::found(4);
    town.fill(2);
    town.new_channel(MEMBERS);
    town
}

/// What was signed, with its body.
struct Posted(Submission, Item);

fn sign(
    town: &Town,
    who: usize,
    device: usize,
    chain: ChainId,
    id: ItemId,
    kind: Kind,
    body: Vec<u8>,
) -> Posted {
    let key = town.people[who].key(device);
    let at = Timestamp::from_millis(0);
    let submission = Submission::sign(key, chain, id, kind, body, at, None).unwrap();
    let item = submission.verify(chain).unwrap();
    Posted(submission, item)
}

impl Posted {
    fn post(&self) -> Post<'_> {
        Post { signed: &self.0.signed, item: &self.1, body: self.0.body.as_slice() }
    }
}

fn announcement(town: &Town, who: usize, device: usize) -> AnnounceBody {
    AnnounceBody {
        suite: SUITE,
        community: town.community,
        channel: CHANNEL,
        audience: MEMBERS,
        epoch: town.epoch_of(MEMBERS),
        user: town.user(who),
        device: town.people[who].device(device),
        head: town.people[who].head(),
        sender_key: KEY,
        start_index: 0,
        history: History::Full,
    }
}

/// Announces by a device of `who`, in the chain of the channel that is named.
fn announce(
    town: &Town,
    who: usize,
    device: usize,
    header: &AnnounceBody,
) -> Result<SenderKeyUse, Unposted> {
    let chain = ChainId::of_channel(header.community, header.channel);
    let body = Announce {
        header: Octets::parse(codec::encode(header)).unwrap(),
        sealed: Octets::default(),
    };
    let id = announce_item(header.sender_key);
    let posted = sign(town, who, device, chain, id, Kind::Announce, codec::encode(&body));
    judge_announce(&town.state, town, posted.post(), |_| None).map(|(_, known)| known)
}

fn message(town: &Town, who: usize, device: usize) -> MessageHeader {
    MessageHeader {
        suite: SUITE,
        community: town.community,
        channel: CHANNEL,
        audience: MEMBERS,
        epoch: town.epoch_of(MEMBERS),
        log: town.state.head,
        user: town.user(who),
        device: town.people[who].device(device),
        sender_key: KEY,
        index: 0,
        item: ItemId::from_bytes([8; 16]),
    }
}

fn signed_message(town: &Town, who: usize, device: usize, header: &MessageHeader) -> Posted {
    let chain = ChainId::of_channel(header.community, header.channel);
    let body = ChannelMessage {
        header: Octets::parse(codec::encode(header)).unwrap(),
        sealed: Octets::default(),
    };
    sign(town, who, device, chain, header.item, Kind::Message, codec::encode(&body))
}

/// Says a message by a device of `who` under a key of which `known` is known.
fn say(
    town: &Town,
    who: usize,
    device: usize,
    header: &MessageHeader,
    known: SenderKeyUse,
) -> Result<SenderKeyUse, Unposted> {
    let posted = signed_message(town, who, device, header);
    judge_message(&town.state, town, posted.post(), |id| (id == KEY).then_some(known))
        .map(|(_, known)| known)
}

fn redaction(town: &Town, who: usize) -> Redact {
    Redact {
        suite: SUITE,
        community: town.community,
        channel: CHANNEL,
        log: town.state.head,
        user: town.user(who),
        head: town.people[who].head(),
        targets: vec![3],
        reason: None,
    }
}

/// Redacts by the first device of `who` where every message is person 1's.
fn redact(town: &Town, who: usize, body: &Redact) -> Result<Redact, Unposted> {
    let chain = ChainId::of_channel(body.community, body.channel);
    let id = ItemId::from_bytes([6; 16]);
    let posted = sign(town, who, 0, chain, id, Kind::Redact, codec::encode(body));
    let author = town.user(1);
    judge_redact(&town.state, town, posted.post(), |_| Some(author))
}

fn misposted<T: std::fmt::Debug>(result: Result<T, Unposted>) -> Misposted {
    match result {
        Err(Unposted::Misposted(why)) => why,
        other => panic!("not refused but {other:?}"),
    }
}

/// Changes the header of a good message of person 1's, and says why it is refused.
fn refused(change: impl FnOnce(&mut MessageHeader)) -> Misposted {
    let town = town();
    let known = announce(&town, 1, 0, &announcement(&town, 1, 0)).unwrap();
    let mut header = message(&town, 1, 0);
    say(&town, 1, 0, &header, known).unwrap();
    change(&mut header);
    misposted(say(&town, 1, 0, &header, known))
}

#[test]
fn a_member_announces_a_key_and_says_something_under_it() {
    let town = town();
    let known = announce(&town, 1, 0, &announcement(&town, 1, 0)).unwrap();
    assert_eq!(known.next_index, 0);
    let mut header = message(&town, 1, 0);
    header.index = 5;
    let known = say(&town, 1, 0, &header, known).unwrap();
    assert_eq!(known.next_index, 6);
    for used in [0, 5] {
        header.index = used;
        assert_eq!(misposted(say(&town, 1, 0, &header, known)), Misposted::UsedIndex);
    }
    header.index = u32::MAX;
    assert_eq!(misposted(say(&town, 1, 0, &header, known)), Misposted::UsedIndex);
}

#[test]
fn a_message_for_another_place_is_refused() {
    let suite = Misposted::Misplaced("another suite or id");
    assert_eq!(refused(|header| header.suite = 2), suite);
    let elsewhere = CommunityId::from_bytes([1; 32]);
    let community = Misposted::Misplaced("another community");
    assert_eq!(refused(|header| header.community = elsewhere), community);
    let gone = ChannelId::from_number(9);
    assert_eq!(refused(|header| header.channel = gone), Misposted::NoChannel);
    let audience = AudienceId::from_number(1);
    assert_eq!(refused(|header| header.audience = audience), Misposted::NoChannel);
    assert_eq!(refused(|header| header.epoch = 7), Misposted::OldEpoch);
    let key = SenderKeyId::from_bytes([9; 16]);
    assert_eq!(refused(|header| header.sender_key = key), Misposted::UnknownKey);
    let device = DeviceId::from_bytes([9; 32]);
    assert_eq!(refused(|header| header.device = device), Misposted::NotADevice);
    assert_eq!(refused(|header| header.log.hash = Digest::ZERO), Misposted::Forked);
    assert_eq!(refused(|header| header.log.seq = 1_000), Misposted::Forked);
}

#[test]
fn what_is_signed_for_one_channel_stands_in_no_other() {
    let mut town = town();
    let other = town.new_channel(MEMBERS);
    let deny = Town::overwrite(
        other,
        Subject::Role(EVERYBODY),
        Permissions::NONE,
        Permissions::POST.with(Permissions::REACT),
    );
    town.say(0, deny).unwrap();
    let known = announce(&town, 1, 0, &announcement(&town, 1, 0)).unwrap();
    let header = message(&town, 1, 0);
    let body = signed_message(&town, 1, 0, &header).0.body.as_slice().to_vec();
    // Signed for the chain of a channel where they may not post, with the header of one where they may.
    let chain = ChainId::of_channel(town.community, other);
    let posted = sign(&town, 1, 0, chain, header.item, Kind::Message, body.clone());
    let judged = judge_message(&town.state, &town, posted.post(), |_| Some(known));
    assert_eq!(misposted(judged), Misposted::Misplaced("another channel"));
    let id = ItemId::from_bytes([1; 16]);
    let chain = ChainId::of_channel(town.community, CHANNEL);
    let posted = sign(&town, 1, 0, chain, id, Kind::Message, body.clone());
    let judged = judge_message(&town.state, &town, posted.post(), |_| Some(known));
    assert_eq!(misposted(judged), Misposted::Misplaced("another suite or id"));
    let posted = sign(&town, 1, 0, chain, header.item, Kind::Announce, body);
    let judged = judge_message(&town.state, &town, posted.post(), |_| Some(known));
    assert_eq!(misposted(judged), Misposted::Misplaced("another kind of entry"));
    let posted = sign(&town, 1, 0, chain, header.item, Kind::Message, vec![0xff]);
    let judged = judge_message(&town.state, &town, posted.post(), |_| Some(known));
    assert_eq!(misposted(judged), Misposted::Malformed);
    // Nor is a key of one channel used in another.
    let mut header = message(&town, 0, 0);
    header.channel = other;
    let known = announce(&town, 0, 0, &announcement(&town, 0, 0)).unwrap();
    assert_eq!(misposted(say(&town, 0, 0, &header, known)), Misposted::UnknownKey);
    // But by its owner, with a key of its own.
    say(&town, 0, 0, &header, SenderKeyUse { channel: other, ..known }).unwrap();
}

#[test]
fn nobody_posts_for_another() {
    let town = town();
    let known = announce(&town, 1, 0, &announcement(&town, 1, 0)).unwrap();
    let stolen = message(&town, 1, 0);
    assert_eq!(misposted(say(&town, 2, 0, &stolen, known)), Misposted::NotADevice);
    // With one's own device, for another's name.
    let mut mine = message(&town, 2, 0);
    mine.user = town.user(1);
    let claimed = SenderKeyUse { device: mine.device, ..known };
    assert_eq!(misposted(say(&town, 2, 0, &mine, claimed)), Misposted::NotADevice);
    // With another's key.
    let mine = message(&town, 2, 0);
    assert_eq!(misposted(say(&town, 2, 0, &mine, known)), Misposted::UnknownKey);
    let header = announcement(&town, 1, 0);
    assert_eq!(misposted(announce(&town, 2, 0, &header)), Misposted::NotADevice);
    let mut posted = signed_message(&town, 1, 0, &stolen);
    posted.0.signed = posted.0.signed.cosign(town.people[2].key(0));
    let judged = judge_message(&town.state, &town, posted.post(), |_| Some(known));
    assert_eq!(misposted(judged), Misposted::NotADevice);
}

#[test]
fn nothing_is_sealed_under_an_epoch_that_has_to_end_or_by_who_has_gone() {
    let mut town = town();
    let known = announce(&town, 1, 0, &announcement(&town, 1, 0)).unwrap();
    let old = message(&town, 1, 0);
    town.say(2, Action::Leave).unwrap();
    assert_eq!(misposted(say(&town, 1, 0, &old, known)), Misposted::OldEpoch);
    town.renew(0, MEMBERS).unwrap();
    assert_eq!(misposted(say(&town, 1, 0, &old, known)), Misposted::OldEpoch);
    let current = message(&town, 1, 0);
    assert_eq!(misposted(say(&town, 1, 0, &current, known)), Misposted::UnknownKey);
    let known = announce(&town, 1, 0, &announcement(&town, 1, 0)).unwrap();
    say(&town, 1, 0, &current, known).unwrap();
    let gone = message(&town, 2, 0);
    assert_eq!(misposted(say(&town, 2, 0, &gone, known)), Misposted::NoChannel);
    let gone = announcement(&town, 2, 0);
    assert_eq!(misposted(announce(&town, 2, 0, &gone)), Misposted::NoChannel);
    town.say(0, town.kick(1)).unwrap();
    let founder = announcement(&town, 0, 0);
    assert_eq!(misposted(announce(&town, 0, 0, &founder)), Misposted::OldEpoch);
    town.settle();
    let founder = announcement(&town, 0, 0);
    announce(&town, 0, 0, &founder).unwrap();
    town.say(0, Action::Delete).unwrap();
    assert_eq!(misposted(announce(&town, 0, 0, &founder)), Misposted::NoChannel);
}

#[test]
fn a_sender_key_ends_with_its_device_as_soon_as_the_log_knows() {
    let mut town = town();
    town.people[1].add_device();
    let header = announcement(&town, 1, 1);
    // The log has not named the head at which the device was added: its announcement does.
    let known = announce(&town, 1, 1, &header).unwrap();
    say(&town, 1, 1, &message(&town, 1, 1), known).unwrap();
    town.people[1].revoke_device(1);
    // In the log's one order, it has not been revoked.
    say(&town, 1, 1, &message(&town, 1, 1), known).unwrap();
    town.say(1, Action::Head(town.people[1].puk())).unwrap();
    town.renew(0, MEMBERS).unwrap();
    let known = SenderKeyUse { epoch: town.epoch_of(MEMBERS), ..known };
    let header = AnnounceBody { epoch: known.epoch, ..header };
    assert_eq!(misposted(say(&town, 1, 1, &message(&town, 1, 1), known)), Misposted::NotADevice);
    assert_eq!(misposted(announce(&town, 1, 1, &header)), Misposted::NotADevice);
    let late = AnnounceBody { head: town.people[1].head(), ..header.clone() };
    assert_eq!(misposted(announce(&town, 1, 1, &late)), Misposted::NotADevice);
    // Another device of theirs that names an old head is live all the same.
    let first = AnnounceBody { device: town.people[1].device(0), ..header };
    announce(&town, 1, 0, &first).unwrap();
    // Neither does any statement but a head hide it: every one names one.
    let mut redaction = redaction(&town, 1);
    redaction.head = known.head;
    let chain = ChainId::of_channel(town.community, CHANNEL);
    let id = ItemId::from_bytes([6; 16]);
    let posted = sign(&town, 1, 1, chain, id, Kind::Redact, codec::encode(&redaction));
    let author = town.user(1);
    let judged = judge_redact(&town.state, &town, posted.post(), |_| Some(author));
    assert_eq!(misposted(judged), Misposted::NotADevice);
}

#[test]
fn an_announcement_is_new_and_names_a_head_of_its_author_s_chain() {
    let mut town = town();
    let header = announcement(&town, 1, 0);
    let known = announce(&town, 1, 0, &header).unwrap();
    let chain = ChainId::of_channel(town.community, CHANNEL);
    let encoded = Octets::parse(codec::encode(&header)).unwrap();
    let body = codec::encode(&Announce { header: encoded, sealed: Octets::default() });
    let posted = sign(&town, 1, 0, chain, announce_item(KEY), Kind::Announce, body.clone());
    let again = judge_announce(&town.state, &town, posted.post(), |_| Some(known));
    assert_eq!(misposted(again), Misposted::UsedIndex);
    let other = sign(&town, 1, 0, chain, ItemId::from_bytes([1; 16]), Kind::Announce, body);
    let judged = judge_announce(&town.state, &town, other.post(), |_| None);
    assert_eq!(misposted(judged), Misposted::Misplaced("another suite or id"));
    let since = AnnounceBody { history: History::SinceJoin, ..header.clone() };
    let setting = Misposted::Misplaced("another history setting");
    assert_eq!(misposted(announce(&town, 1, 0, &since)), setting);
    let forked =
        AnnounceBody { head: Seen { hash: Digest::ZERO, ..header.head }, ..header.clone() };
    assert_eq!(misposted(announce(&town, 1, 0, &forked)), Misposted::Forked);
    let ahead = Seen { seq: 9, ..header.head };
    let hold = Unposted::Hold { user: town.user(1), head: ahead };
    assert_eq!(announce(&town, 1, 0, &AnnounceBody { head: ahead, ..header.clone() }), Err(hold));
    let deny = Permissions::POST.with(Permissions::REACT);
    let mute = Town::overwrite(CHANNEL, Subject::User(town.user(1)), Permissions::NONE, deny);
    town.say(0, mute).unwrap();
    assert_eq!(misposted(announce(&town, 1, 0, &header)), Misposted::NotPermitted);
}

#[test]
fn one_s_own_messages_are_erased_by_oneself_and_others_by_who_moderates() {
    let mut town = town();
    redact(&town, 1, &redaction(&town, 1)).unwrap();
    redact(&town, 0, &redaction(&town, 0)).unwrap();
    assert_eq!(misposted(redact(&town, 2, &redaction(&town, 2))), Misposted::NotPermitted);
    // Signed by person 2 in the name of who may.
    for name in [0, 1] {
        let borrowed = redaction(&town, name);
        assert_eq!(misposted(redact(&town, 2, &borrowed)), Misposted::NotADevice);
    }
    town.new_role(3, Permissions::MODERATE, &[2]);
    redact(&town, 2, &redaction(&town, 2)).unwrap();
    let stranger = misposted(redact(&town, 3, &redaction(&town, 3)));
    assert_eq!(stranger, Misposted::NoChannel);
    let good = redaction(&town, 1);
    for targets in [vec![], vec![3; 65]] {
        let bad = Redact { targets, ..good.clone() };
        assert_eq!(misposted(redact(&town, 1, &bad)), Misposted::Malformed);
    }
    let bad = Redact { suite: 2, ..good.clone() };
    assert_eq!(misposted(redact(&town, 1, &bad)), Misposted::Misplaced("another suite or id"));
    let bad = Redact { community: CommunityId::from_bytes([1; 32]), ..good.clone() };
    assert_eq!(misposted(redact(&town, 1, &bad)), Misposted::Misplaced("another community"));
    let bad = Redact { log: Seen { hash: Digest::ZERO, ..good.log }, ..good.clone() };
    assert_eq!(misposted(redact(&town, 1, &bad)), Misposted::Forked);
    let bad = Redact { channel: ChannelId::from_number(9), ..good };
    assert_eq!(misposted(redact(&town, 1, &bad)), Misposted::NoChannel);
}

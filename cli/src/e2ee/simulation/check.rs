//! What must hold in the end.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rookery_protocol::{
    chain::{Entry, Kind},
    codec,
    community::{Action, Announce, ChannelMessage, Epoch, History, MessageHeader, State},
    id::{AudienceId, ChannelId, SenderKeyId, UserId},
    key::HpkeBox,
};

use super::{
    device::{Client, copy},
    hub::action_of,
    run::{COMMON, PRIVATE, World},
};
use crate::e2ee::{
    KemSecret,
    epoch::{EpochPlace, EpochSecret, Receiver, WRAP_BYTES, WrapContext, wrap_at},
    sender_key::InboundSenderKey,
};

/// A message by its channel and place.
type Spot = (ChannelId, u64);
type Secrets = BTreeMap<(AudienceId, u32), EpochSecret>;

/// Checks everything; says how many messages there were.
pub(super) fn all(world: &mut World) -> usize {
    let begun = epochs(world);
    members_agree(world);
    for which in 0..world.clients.len() {
        let user = world.clients[which].user;
        let (is_live, may) = {
            let client = &world.clients[which];
            (client.is_live(&world.people), world.hub.state().members.contains_key(&user))
        };
        if is_live && may {
            reads_what_is_theirs(world, &begun, &world.clients[which]);
        }
    }
    nobody_reads_more(world, &begun);
    those_who_come_later_read_the_same(world, &begun);
    messages(world).len()
}

/// Every epoch with the state that began it.
fn epochs(world: &World) -> BTreeMap<(AudienceId, u32), (Epoch, State)> {
    let mut all = BTreeMap::new();
    for state in &world.hub.states {
        for (id, audience) in &state.audiences {
            if let Some(epoch) = audience.epoch.as_ref().filter(|epoch| epoch.seq == state.head.seq)
            {
                all.insert((*id, epoch.number), (epoch.clone(), state.clone()));
            }
        }
    }
    all
}

fn messages(world: &World) -> Vec<(Spot, &Entry)> {
    let of = |channel: ChannelId| {
        let entries = world.hub.channels.get(&channel).into_iter().flatten();
        entries
            .filter(|entry| kind_of(entry) == Kind::Message)
            .map(move |entry| ((channel, entry.seq), entry))
    };
    of(COMMON).chain(of(PRIVATE)).collect()
}

fn kind_of(entry: &Entry) -> Kind {
    codec::decode::<rookery_protocol::chain::Item>(entry.signed.payload.as_slice()).unwrap().kind
}

/// The audience and epoch that a message was sealed for, and the state that it was judged by.
fn sealed_for<'w>(
    world: &'w World,
    channel: ChannelId,
    entry: &Entry,
) -> (AudienceId, u32, &'w State) {
    let state = &world.hub.states[usize::try_from(entry.log_pos.unwrap()).unwrap()];
    let audience = state.channels[&channel].audience;
    (audience, state.audiences[&audience].epoch.as_ref().unwrap().number, state)
}

type Begun = BTreeMap<(AudienceId, u32), (Epoch, State)>;

/// Whether the history setting lets `user` read a message: they belonged to its audience when it was said, or, where history is full, were
/// given its epoch later, or one that opens it. Who was sent away before is not let by having had the epoch.
fn may_have(
    world: &World,
    begun: &Begun,
    user: UserId,
    (audience, mut number): (AudienceId, u32),
    said: u64,
) -> bool {
    let mut from = said;
    loop {
        let Some((epoch, began)) = begun.get(&(audience, number)) else { return false };
        let end = begun.get(&(audience, number + 1)).map(|(next, _)| next.seq);
        let mut since =
            world.hub.states.iter().filter(|state| {
                state.head.seq >= from && end.is_none_or(|end| state.head.seq < end)
            });
        let was_there = match epoch.history {
            History::SinceJoin => {
                began.is_in_audience(user, audience)
                    && since.next().is_some_and(|state| state.is_in_audience(user, audience))
            }
            History::Full => since.any(|state| state.is_in_audience(user, audience)),
        };
        if was_there {
            return true;
        }
        number += 1;
        match begun.get(&(audience, number)) {
            Some((next, _)) if next.previous.is_some() => from = next.seq,
            _ => return false,
        }
    }
}

/// A current member's device reads exactly what the setting lets it read.
fn reads_what_is_theirs(world: &World, begun: &Begun, client: &Client) {
    for ((channel, seq), entry) in messages(world) {
        let (audience, number, then) = sealed_for(world, channel, entry);
        let said = then.head.seq;
        let reads = client.channels.get(&channel).is_some_and(|view| view.read.contains_key(&seq));
        let may = may_have(world, begun, client.user, (audience, number), said);
        assert!(may || !reads, "{}/{} reads {channel} {seq}", client.who, client.device);
        // Where no epoch opens the one before, nobody can repair a wrap that was lost once the epoch is over.
        let is_lost = world.hub.lost.contains(&(client.user, begun[&(audience, number)].0.wraps))
            && begun[&(audience, number)].0.history == History::SinceJoin;
        let is_reader = world.hub.state().may_read(client.user, channel);
        assert!(
            reads || !may || is_lost || !is_reader,
            "{}/{} does not read {channel} {seq} of epoch {number}",
            client.who,
            client.device
        );
    }
}

/// Whoever has a log has the hub's, and what it comes to.
fn members_agree(world: &World) {
    for client in &world.clients {
        for (own, hubs) in client.states.iter().zip(&world.hub.states) {
            assert!(own == hubs, "{}/{} has another state", client.who, client.device);
        }
    }
    for which in 0..world.clients.len() {
        let client = &world.clients[which];
        let is_member = world.hub.state().members.contains_key(&client.user);
        if is_member && client.is_live(&world.people) {
            assert_eq!(client.states.last(), world.hub.states.last(), "a member is behind");
        }
    }
}

/// With the hub's help and every secret that they ever had, users and revoked devices open nothing that they may not read.
fn nobody_reads_more(world: &World, begun: &Begun) {
    for (who, person) in world.people.0.iter().enumerate() {
        for (number, device) in person.devices.iter().enumerate() {
            // What one live device has been given, all have; those that were revoked stopped somewhere.
            if number > 0 && device.is_live {
                continue;
            }
            let keys: Vec<KemSecret> = (1..=device.generation)
                .filter_map(|generation| person.ring.kem(generation))
                .collect();
            let mut known = Secrets::new();
            let has = |client: &&Client| {
                client.who == who
                    && (client.device == number
                        || number == 0 && person.devices[client.device].is_live)
            };
            for client in world.clients.iter().filter(has) {
                known.extend(client.secrets.iter().map(|(place, secret)| (*place, copy(secret))));
            }
            let opened = open_all(world, begun, &keys, known);
            for ((channel, seq), entry) in messages(world) {
                let (audience, epoch, then) = sealed_for(world, channel, entry);
                if !opened.contains(&(channel, seq)) {
                    continue;
                }
                let may = may_have(world, begun, person.user, (audience, epoch), then.head.seq);
                assert!(may, "{who}/{number} opens {channel} {seq} of epoch {epoch}");
                let pinned =
                    then.members.get(&person.user).map_or(0, |member| member.puk.generation);
                assert!(
                    device.is_live || pinned <= device.generation,
                    "{who}/{number}, which was revoked, opens {channel} {seq} of epoch {epoch}"
                );
            }
        }
    }
}

/// Every message that opens with these keys and secrets.
fn open_all(
    world: &World,
    begun: &Begun,
    keys: &[KemSecret],
    mut known: Secrets,
) -> BTreeSet<Spot> {
    let community = world.community;
    let at = |(audience, epoch): (AudienceId, u32)| EpochPlace { community, audience, epoch };
    let unwrap = |place, epoch: &Epoch, user, wrap: &HpkeBox| {
        let context = WrapContext { place: at(place), roster_root: epoch.roster_root };
        keys.iter().find_map(|key| {
            EpochSecret::unwrap(key, &context, Receiver::User(user), wrap, &epoch.commit).ok()
        })
    };
    for (place, (epoch, began)) in begun {
        let blob = &world.hub.blobs[&epoch.wraps];
        assert_eq!(blob.len() / WRAP_BYTES, began.roster(place.0).count(), "a wrap for nobody");
        for (index, (user, _)) in began.roster(place.0).enumerate() {
            if let Some(secret) = unwrap(*place, epoch, user, &wrap_at(blob, index).unwrap()) {
                known.insert(*place, secret);
            }
        }
    }
    for entry in &world.hub.log {
        if let Action::Admit(admit) = action_of(entry) {
            let place = (admit.audience, admit.epoch);
            if let Some(secret) = unwrap(place, &begun[&place].0, admit.user, &admit.wrap) {
                known.insert(place, secret);
            }
        }
    }
    for ((audience, number), (epoch, _)) in begun.iter().rev() {
        let Some(former) = number.checked_sub(1).map(|former| (*audience, former)) else {
            continue;
        };
        if let (Some(secret), Some(sealed)) = (known.get(&(*audience, *number)), &epoch.previous) {
            let commit = begun[&former].0.commit;
            let opened =
                secret.open_previous(at((*audience, *number)), sealed.as_slice(), &commit).unwrap();
            known.insert(former, opened);
        }
    }
    let mut opened = BTreeSet::new();
    for (channel, entries) in &world.hub.channels {
        let mut senders: HashMap<SenderKeyId, InboundSenderKey> = HashMap::new();
        for entry in entries {
            let (audience, number, _) = sealed_for(world, *channel, entry);
            let Some(secret) = known.get(&(audience, number)) else { continue };
            let epoch = &begun[&(audience, number)].0;
            let keys = secret.keys(at((audience, number)), &epoch.roster_root, &epoch.log_root);
            let body = entry.body.as_ref().unwrap().as_slice();
            if kind_of(entry) == Kind::Announce {
                let announce: Announce = codec::decode(body).unwrap();
                let key = InboundSenderKey::from_announce(&keys, &announce).unwrap();
                senders.insert(key.id(), key);
                continue;
            }
            let message: ChannelMessage = codec::decode(body).unwrap();
            let header: MessageHeader = codec::decode(message.header.as_slice()).unwrap();
            let (header_bytes, sealed) = (message.header.as_slice(), message.sealed.as_slice());
            let key = &senders[&header.sender_key];
            let next = key.open(&keys, header_bytes, sealed).unwrap();
            senders.insert(header.sender_key, *next.key);
            opened.insert((*channel, entry.seq));
        }
    }
    opened
}

/// A device that is linked now reads all of it, out of what the hub has and nobody's help.
fn those_who_come_later_read_the_same(world: &mut World, begun: &Begun) {
    for who in 0..world.people.0.len() {
        let user = world.people.0[who].user;
        if !world.hub.state().members.contains_key(&user) {
            continue;
        }
        let Some(device) = world.people.0[who].link(&mut world.random) else { continue };
        let client = Client::new(&world.people, who, device, world.community);
        world.clients.push(client);
        let which = world.clients.len() - 1;
        // Nobody else is there, but to repair what the hub has lost.
        world.sync(which);
        if world.hub.lost.iter().any(|(unlucky, _)| *unlucky == user) {
            world.finish();
        }
        reads_what_is_theirs(world, begun, &world.clients[which]);
    }
}

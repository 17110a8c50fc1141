//! Two homeservers, real processes both, whose people write to each other.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rookery_protocol::{
    codec::{self, Octets},
    envelope::{Envelope, EnvelopeHeader, EnvelopeKind},
    id::{ItemId, RatchetId, ServerId},
    io::client::CallError,
    request::{
        message::Purpose,
        peer::{
            ContactAct, ForwardOutcome, Forwarded, ForwardedContact, ForwardedContent,
            ForwardedMessage, PeerForward, PeerHelloError, PeerProve, PeerProveError,
        },
    },
};
use rookery_tests::{
    chaos::{Toll, kill_homeserver, talk},
    homeserver::{Homeserver, new_postgresql_database},
    impostor::{Impostor, Invented},
    process::PATIENCE,
    profile::Profile,
    random::Random,
    world::{World, eventually},
};
use serde_json::Value;

/// For everything to arrive after the last kill, on a machine that does much else.
const SETTLING: Duration = Duration::from_mins(2);

/// Alice on one server and Bob on another.
struct Pair {
    alice: Profile,
    bob: Profile,
    nest: Homeserver,
    garden: Homeserver,
    world: World,
}

impl Pair {
    /// Two servers that know each other, with a person each, who have nothing to do with one another yet.
    async fn of_strangers() -> Result<Self> {
        let world = World::new()?;
        let nest = world.homeserver("nest.example").start().await?;
        let garden = world.homeserver("garden.example").start().await?;
        Self::between(world, nest, garden).await
    }

    async fn between(world: World, nest: Homeserver, garden: Homeserver) -> Result<Self> {
        nest.know(&garden).await?;
        garden.know(&nest).await?;
        let (alice, bob) = (world.profile("alice", "laptop")?, world.profile("bob", "laptop")?);
        alice.register(&nest.invite(1).await?).await?;
        bob.register(&garden.invite(1).await?).await?;
        nest.wait_for_peer("garden.example", "up").await?;
        garden.wait_for_peer("nest.example", "up").await?;
        Ok(Self { alice, bob, nest, garden, world })
    }

    /// The same, and the two are contacts.
    async fn of_friends() -> Result<Self> {
        let pair = Self::of_strangers().await?;
        befriend(&pair.alice, &pair.bob).await?;
        Ok(pair)
    }
}

/// Makes Alice and Bob contacts: she asks, he accepts, and she hears of it.
async fn befriend(alice: &Profile, bob: &Profile) -> Result<()> {
    alice.ask(&["contact", "add", BOB]).await?;
    eventually(PATIENCE, async || bob.ask(&["contact", "accept", ALICE]).await).await?;
    for (who, whom) in [(alice, BOB), (bob, ALICE)] {
        eventually(PATIENCE, async || {
            let listed = who.run(&["contact", "list", "--json"]).await?.success()?.json_lines()?;
            let state =
                listed.iter().find(|line| text(line, "name") == whom.trim_start_matches('@'));
            ensure!(state.is_some_and(|line| text(line, "state") == "accepted"), "{listed:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

const ALICE: &str = "@alice@nest.example";
const BOB: &str = "@bob@garden.example";

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// What `who` has of the message `id` with `whom`.
async fn state_of(who: &Profile, whom: &str, id: &str) -> Result<Value> {
    let shown = who.run(&["read", whom, "--peek", "--json"]).await?.success()?.json_lines()?;
    let found = shown.into_iter().find(|line| text(line, "id") == id);
    found.with_context(|| format!("{} has no message {id}", who.label()))
}

/// Waits until the message `id` is in `state` for `who`.
async fn wait_for_state(who: &Profile, whom: &str, id: &str, state: &str) -> Result<Value> {
    eventually(PATIENCE, async || {
        let line = state_of(who, whom, id).await?;
        ensure!(text(&line, "state") == state, "not {state}: {line}");
        Ok(line)
    })
    .await
}

#[tokio::test]
async fn requests_messages_and_receipts_go_between_two_servers() -> Result<()> {
    go_between(Pair::of_friends().await?).await
}

#[tokio::test]
async fn two_servers_on_postgresql_do_the_same() -> Result<()> {
    let world = World::new()?;
    let setup = world.homeserver("nest.example").database(&new_postgresql_database().await?);
    let nest = setup.start().await?;
    let setup = world.homeserver("garden.example").database(&new_postgresql_database().await?);
    let garden = setup.start().await?;
    let pair = Pair::between(world, nest, garden).await?;
    befriend(&pair.alice, &pair.bob).await?;
    go_between(pair).await
}

async fn go_between(pair: Pair) -> Result<()> {
    let Pair { alice, bob, nest, garden, world: _world } = &pair;
    let agents = [alice.start_agent()?, bob.start_agent()?];
    for (from, to, whom, back) in [(alice, bob, BOB, ALICE), (bob, alice, ALICE, BOB)] {
        let words = ["send", whom, "over the wall", "--until", "delivered", "--timeout", "60s"];
        let sent = from.ask(&words).await?;
        ensure!(text(&sent, "state") == "delivered", "{sent}");
        let id = text(&sent, "id");
        let got = state_of(to, back, id).await?;
        ensure!(text(&got, "text") == "over the wall", "{got}");
        ensure!(format!("@{}", text(&got, "from")) == back, "{got}");
        // Read, and told so.
        to.run(&["read", back]).await?.success()?;
        wait_for_state(from, whom, id, "read").await?;
    }
    // Both see the same number, made of chains that each has checked for itself.
    let numbers = [alice.ask(&["verify", BOB]).await?, bob.ask(&["verify", ALICE]).await?];
    let [one, two] = numbers.each_ref().map(|line| text(line, "safety_number"));
    ensure!(!one.is_empty() && one == two, "{numbers:?}");
    let peers = alice.run(&["peers", "--json"]).await?.success()?.json()?;
    ensure!(text(&peers, "server") == "garden.example" && text(&peers, "state") == "up", "{peers}");
    for (server, other) in [(nest, "garden.example"), (garden, "nest.example")] {
        let shown = server.peer(other).await?;
        ensure!(shown.get("waiting").and_then(Value::as_u64) == Some(0), "{shown}");
        server.admin(&["peer", "test", other]).await?.success()?;
    }
    drop(agents);
    Ok(())
}

#[tokio::test]
async fn a_stranger_on_another_server_may_write_and_is_shown_apart() -> Result<()> {
    let pair = Pair::of_strangers().await?;
    let sent = pair.alice.ask(&["send", BOB, "hello from afar"]).await?;
    let got =
        eventually(PATIENCE, async || state_of(&pair.bob, ALICE, text(&sent, "id")).await).await?;
    ensure!(got.get("request").and_then(Value::as_bool) == Some(true), "{got}");
    // Bob takes her on, which is a request of his to her; and blocks end it.
    pair.bob.ask(&["contact", "block", ALICE]).await?;
    let refused = pair.alice.run(&["send", BOB, "again", "--json"]).await?;
    ensure!(refused.code() != 0, "a blocked person's message was taken: {refused}");
    Ok(())
}

#[tokio::test]
async fn what_waits_for_a_server_that_was_killed_arrives_once_and_in_order() -> Result<()> {
    let mut pair = Pair::of_friends().await?;
    let mut random = Random::from_seed(11)?;
    let toll = Toll::default();
    let before = talk(&pair.alice, BOB, 5, random.split(), &toll).await?;
    pair.garden.kill().await?;
    pair.nest.wait_for_peer("garden.example", "down").await.ok();

    let mut agent = pair.alice.start_agent()?;
    pair.alice.wait_until_connected().await?;
    let waiting = talk(&pair.alice, BOB, 20, random.split(), &toll).await?;
    let last = pair.alice.ask(&["send", BOB, "the last"]).await?;
    let line = wait_for_state(&pair.alice, BOB, text(&last, "id"), "waiting").await?;
    ensure!(
        text(&line, "server") == "garden.example" && !text(&line, "since").is_empty(),
        "{line}"
    );
    let shown = pair.alice.run(&["read", BOB, "--peek"]).await?.success()?;
    ensure!(shown.stdout.contains("waiting for garden.example since "), "{}", shown.stdout);
    let peers = pair.alice.run(&["peers", "--json"]).await?.success()?.json()?;
    ensure!(text(&peers, "state") == "down", "{peers}");
    ensure!(
        peers.get("waiting").and_then(Value::as_u64).is_some_and(|count| count >= 21),
        "{peers}"
    );

    // The sender's server is killed as well: what it has acknowledged is on its disk.
    pair.nest.kill().await?;
    pair.nest.start().await?;
    pair.garden.start().await?;
    let shown = pair.bob.read_all(ALICE, 26, SETTLING).await?;
    let (first, rest) = shown.split_at(5);
    before.judge(first).ensure_clean("bob/laptop, before")?;
    let (rest, end) = rest.split_at(20);
    waiting.judge(rest).ensure_clean("bob/laptop, after")?;
    ensure!(end.len() == 1 && end.iter().all(|one| one.id == text(&last, "id")), "{end:?}");
    wait_for_state(&pair.alice, BOB, text(&last, "id"), "read").await?;
    agent.stop().await?;
    Ok(())
}

/// Sends `signal` to the process of `server`.
async fn send_signal(server: &Homeserver, signal: &str) -> Result<()> {
    let order = format!("kill -{signal} {}", server.id()?);
    let done = tokio::process::Command::new("sh").args(["-c", &order]).status().await?;
    ensure!(done.success(), "{order}: {done}");
    Ok(())
}

#[tokio::test]
async fn what_waits_for_a_server_that_fell_silent_arrives_when_it_speaks_again() -> Result<()> {
    let pair = Pair::of_friends().await?;
    let mut random = Random::from_seed(12)?;
    let toll = Toll::default();
    let mut agent = pair.alice.start_agent()?;
    pair.alice.wait_until_connected().await?;
    // Its sessions are begun, and nothing answers any more: as a network in between that drops everything.
    let before = talk(&pair.alice, BOB, 3, random.split(), &toll).await?;
    send_signal(&pair.garden, "STOP").await?;
    let waiting = talk(&pair.alice, BOB, 10, random.split(), &toll).await?;
    pair.nest.wait_for_peer("garden.example", "down").await?;
    let shown = pair.nest.peer("garden.example").await?;
    let count = shown.get("waiting").and_then(Value::as_u64).unwrap_or_default();
    ensure!(count >= 10, "{shown}");
    send_signal(&pair.garden, "CONT").await?;
    let shown = pair.bob.read_all(ALICE, 13, SETTLING).await?;
    let (first, rest) = shown.split_at(3);
    before.judge(first).ensure_clean("bob/laptop, before")?;
    waiting.judge(rest).ensure_clean("bob/laptop, after")?;
    pair.nest.wait_for_peer("garden.example", "up").await?;
    agent.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_arrives_once_and_in_order_though_both_servers_are_killed() -> Result<()> {
    let each_way = match std::env::var("ROOKERY_TEST_MESSAGES") {
        Ok(given) => given.parse().context("ROOKERY_TEST_MESSAGES is not a number")?,
        Err(_) => 60,
    };
    let Pair { alice, bob, mut nest, mut garden, world: _world } = Pair::of_friends().await?;
    let mut random = Random::from_seed(7665)?;
    let (mut talkers, mut killers) = (random.split(), random.split());
    let toll = Toll::default();
    let mut agents = [alice.start_agent()?, bob.start_agent()?];
    let talking = async {
        tokio::try_join!(
            talk(&alice, BOB, each_way, talkers.split(), &toll),
            talk(&bob, ALICE, each_way, talkers.split(), &toll),
        )
    };
    let killing = async {
        tokio::try_join!(
            kill_homeserver(&mut nest, killers.split(), &toll),
            kill_homeserver(&mut garden, killers.split(), &toll),
        )
    };
    let ledgers = tokio::select! {
        ledgers = talking => ledgers?,
        ended = killing => match ended?.0 {},
    };
    println!("killed: {toll:?}");
    ensure!(toll.homeservers.load(std::sync::atomic::Ordering::Relaxed) >= 4, "{toll:?}");
    for server in [&mut nest, &mut garden] {
        if !server.runs()? {
            server.start().await?;
        }
    }
    let mut all = ledgers.0;
    all.merge(ledgers.1);
    for (who, whom) in [(&alice, BOB), (&bob, ALICE)] {
        let shown = who.read_all(whom, all.acknowledged(), SETTLING).await?;
        all.judge(&shown).ensure_clean(&who.label())?;
    }
    for agent in &mut agents {
        agent.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_waits_is_sealed_again_when_the_receiver_has_a_new_device() -> Result<()> {
    let pair = Pair::of_friends().await?;
    let mut agent = pair.alice.start_agent()?;
    pair.alice.wait_until_connected().await?;
    pair.nest.admin(&["peer", "pause", "garden.example"]).await?.success()?;
    let mut random = Random::from_seed(5)?;
    let toll = Toll::default();
    let ledger = talk(&pair.alice, BOB, 5, random.split(), &toll).await?;
    // Bob has another device now, which none of them was sealed for.
    let phone = pair.world.profile("bob", "phone")?;
    phone.link_to(&pair.bob, &pair.garden.invite(1).await?).await?;
    pair.nest.admin(&["peer", "resume", "garden.example"]).await?.success()?;
    for device in [&pair.bob, &phone] {
        let shown = device.read_all(ALICE, 5, SETTLING).await?;
        ledger.judge(&shown).ensure_clean(&device.label())?;
    }
    agent.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_nobody_named_is_turned_away() -> Result<()> {
    let world = World::new()?;
    let nest = world.homeserver("nest.example").start().await?;
    let garden = world.homeserver("garden.example").start().await?;
    let alice = world.profile("alice", "laptop")?;
    alice.register(&nest.invite(1).await?).await?;
    let unknown = alice.run(&["send", BOB, "hello", "--json"]).await?;
    unknown.exit(7)?;
    let impostor = Impostor::new("garden.example")?;
    turned_away(&impostor, &nest, PeerProveError::Unknown).await?;
    // One side alone is not enough.
    nest.know(&garden).await?;
    nest.wait_for_peer("garden.example", "down").await?;
    let shown = nest.peer("garden.example").await?;
    ensure!(text(&shown, "reason").contains("not on the other's list"), "{shown}");
    let tested = nest.admin(&["peer", "test", "garden.example"]).await?.exit(6)?.json()?;
    let steps = tested.pointer("/data/steps").context("no steps")?.to_string();
    ensure!(steps.contains(r#"{"state":"ok","step":"record"}"#), "{steps}");
    ensure!(steps.contains(r#"{"state":"failed","step":"proof"}"#), "{steps}");
    // A name that is known with another root is nobody else's.
    turned_away(&impostor, &nest, PeerProveError::OtherRoot).await?;
    ensure!(text(&nest.peer("garden.example").await?, "state") == "down", "nobody's word did that");
    nest.admin(&["peer", "block", "garden.example"]).await?.success()?;
    turned_away(&impostor, &nest, PeerProveError::Blocked).await
}

/// Has somebody prove who they are to `server`, which turns them away for `reason`.
async fn turned_away(
    impostor: &Impostor,
    server: &Homeserver,
    reason: PeerProveError,
) -> Result<()> {
    let greeted = impostor.greet(&server.ready().address, &server.ready().name).await?;
    let refused = greeted.client.call(&greeted.proof).await.err().context("it was let in")?;
    ensure!(refused.to_string() == CallError::Request(reason).to_string(), "{refused:#}");
    let forward = PeerForward { items: vec![] };
    ensure!(greeted.client.call(&forward).await.is_err(), "it is served all the same");
    Ok(())
}

#[tokio::test]
async fn an_open_server_takes_whoever_comes_and_the_first_root_keeps_its_name() -> Result<()> {
    let world = World::new()?;
    let nest = world.homeserver("nest.example").federation("open").start().await?;
    let address = nest.ready().address.clone();
    let first = Impostor::new("garden.example")?;
    let client = first.connect(&address, "nest.example").await?;
    client.call(&PeerForward { items: vec![] }).await?;
    let shown = nest.peer("garden.example").await?;
    ensure!(text(&shown, "root") == first.root().to_string(), "{shown}");
    turned_away(&Impostor::new("garden.example")?, &nest, PeerProveError::OtherRoot).await?;
    // Nothing that somebody else says changes what is pinned.
    let shown = nest.peer("garden.example").await?;
    ensure!(text(&shown, "root") == first.root().to_string(), "{shown}");

    let aviary = world.homeserver("aviary.example").federation("off").start().await?;
    let refused = first.greet(&aviary.ready().address, "aviary.example").await;
    let refused = refused.err().context("it was answered")?.to_string();
    ensure!(refused == CallError::Request(PeerHelloError::Off).to_string(), "{refused}");
    let add = ["peer", "add", "garden.example", "127.0.0.1:9", &first.root().to_string()];
    aviary.admin(&add).await?.exit(4)?;
    Ok(())
}

#[tokio::test]
async fn a_server_with_another_root_is_in_quarantine_until_it_is_accepted() -> Result<()> {
    let mut pair = Pair::of_friends().await?;
    let words = ["send", BOB, "good day", "--until", "delivered", "--timeout", "60s"];
    let mut agent = pair.bob.start_agent()?;
    pair.alice.ask(&words).await?;
    agent.stop().await?;
    let first = pair.garden.ready().fingerprint.clone();
    pair.garden.kill().await?;
    // Somebody else has the name and the address now.
    fs::rename(pair.garden.data(), pair.garden.data().with_extension("former"))?;
    pair.garden.start().await?;
    let second = pair.garden.ready().fingerprint.clone();
    ensure!(first != second, "the same root");
    pair.nest.wait_for_peer("garden.example", "quarantined").await?;
    let shown = pair.nest.peer("garden.example").await?;
    ensure!(text(&shown, "root") == first && text(&shown, "offered_root") == second, "{shown}");
    let sent = pair.alice.ask(&["send", BOB, "is it you?"]).await?;
    ensure!(text(&sent, "state") == "waiting", "{sent}");
    let peers = pair.alice.run(&["peers", "--json"]).await?.success()?.json()?;
    ensure!(text(&peers, "state") == "quarantined", "{peers}");
    // Another root than the one that it shows is not what was meant.
    let other = ServerId::from_bytes([7; 32]).to_string();
    pair.nest.admin(&["peer", "accept", "garden.example", "--root", &other]).await?.exit(4)?;
    let accept = ["peer", "accept", "garden.example", "--root", &second];
    pair.nest.admin(&accept).await?.success()?;
    pair.garden.know(&pair.nest).await?;
    pair.nest.wait_for_peer("garden.example", "up").await?;
    // Whoever Bob was lived on the server that was: the new one has nobody of that id.
    wait_for_state(&pair.alice, BOB, text(&sent, "id"), "failed").await?;
    Ok(())
}

#[tokio::test]
async fn people_of_a_server_that_was_set_up_anew_are_strangers_until_its_key_is_trusted()
-> Result<()> {
    let mut pair = Pair::of_friends().await?;
    let known = pair.world.profile("dora", "laptop")?;
    known.register(&pair.garden.invite(1).await?).await?;
    pair.alice.ask(&["send", "@dora@garden.example", "of the same server"]).await?;
    pair.garden.kill().await?;
    fs::rename(pair.garden.data(), pair.garden.data().with_extension("former"))?;
    pair.garden.start().await?;
    let second = pair.garden.ready().fingerprint.clone();
    pair.nest.wait_for_peer("garden.example", "quarantined").await?;
    let accept = ["peer", "accept", "garden.example", "--root", &second];
    pair.nest.admin(&accept).await?.success()?;
    pair.garden.know(&pair.nest).await?;
    pair.nest.wait_for_peer("garden.example", "up").await?;
    let eve = pair.world.profile("eve", "laptop")?;
    eve.register(&pair.garden.invite(1).await?).await?;
    // What the administrator of Alice's home has accepted, her home could have made up.
    let words = ["send", "@eve@garden.example", "who are you?", "--json"];
    let refused = pair.alice.run(&words).await?;
    ensure!(refused.code() == 4, "{refused}");
    ensure!(refused.to_string().contains("another root key"), "{refused}");
    pair.alice.run(&["peers", "--trust", "garden.example", "--root", &second]).await?.success()?;
    pair.alice.run(&words).await?.success()?;
    Ok(())
}

#[tokio::test]
async fn what_waits_for_a_server_that_is_removed_has_failed() -> Result<()> {
    let mut pair = Pair::of_friends().await?;
    let mut agent = pair.alice.start_agent()?;
    pair.alice.wait_until_connected().await?;
    // A session is begun, so that the next can be sealed though nobody answers.
    pair.alice.ask(&["send", BOB, "good day"]).await?;
    pair.garden.kill().await?;
    let sent = pair.alice.ask(&["send", BOB, "are you there?"]).await?;
    let id = text(&sent, "id");
    wait_for_state(&pair.alice, BOB, id, "waiting").await?;
    pair.nest.admin(&["peer", "remove", "garden.example", "--yes"]).await?.success()?;
    let line = wait_for_state(&pair.alice, BOB, id, "failed").await?;
    ensure!(line.to_string().contains("nothing to do with garden.example"), "{line}");
    agent.stop().await?;
    Ok(())
}

#[tokio::test]
async fn whoever_is_blocked_stays_so_whatever_their_server_calls_them() -> Result<()> {
    let world = World::new()?;
    let nest = world.homeserver("nest.example").start().await?;
    let bob = world.profile("bob", "laptop")?;
    bob.register(&nest.invite(1).await?).await?;
    let impostor = Impostor::new("garden.example")?;
    let root = impostor.root().to_string();
    nest.admin(&["peer", "add", "garden.example", "127.0.0.1:9", &root]).await?.success()?;
    let client = impostor.connect(&nest.ready().address, "nest.example").await?;
    let theirs = Invented::new("garden.example", impostor.root())?;
    let forward = PeerForward { items: vec![request_to_bob(&theirs, "carol")?] };
    let (answer, shown) =
        tokio::join!(client.call(&forward), theirs.show_chain(client.connection()));
    shown?;
    ensure!(matches!(answer?.outcomes.as_slice(), [ForwardOutcome::Taken { .. }]));
    bob.ask(&["contact", "block", "@carol@garden.example"]).await?;
    let again = Forwarded { id: ItemId::from_bytes([9; 16]), ..request_to_bob(&theirs, "dave")? };
    client.call(&PeerForward { items: vec![again] }).await?;
    let listed = bob.run(&["contact", "list", "--json"]).await?.success()?.json_lines()?;
    let states: Vec<_> =
        listed.iter().map(|line| (text(line, "name"), text(line, "state"))).collect();
    ensure!(states == [("carol@garden.example", "blocked")], "{states:?}");
    Ok(())
}

#[tokio::test]
async fn forged_reflected_and_replayed_proofs_are_refused() -> Result<()> {
    let world = World::new()?;
    let nest = world.homeserver("nest.example").start().await?;
    let (address, name) = (nest.ready().address.clone(), "nest.example");
    let known = Impostor::new("garden.example")?;
    let root = known.root().to_string();
    nest.admin(&["peer", "add", "garden.example", "127.0.0.1:9", &root]).await?.success()?;
    let unproven = CallError::Request(PeerProveError::Unproven).to_string();

    let reflected = known.greet(&address, name).await?;
    let sent_back = PeerProve { proof: reflected.reply.proof };
    let refused = reflected.client.call(&sent_back).await.err().context("reflected")?;
    ensure!(refused.to_string() == unproven, "{refused}");
    // A proof is tried once: the right one comes too late.
    let refused = reflected.client.call(&reflected.proof).await.err().context("tried twice")?;
    ensure!(refused.to_string() == unproven, "{refused}");

    let (first, second) = (known.greet(&address, name).await?, known.greet(&address, name).await?);
    let refused = second.client.call(&first.proof).await.err().context("replayed")?;
    ensure!(refused.to_string() == unproven, "{refused}");
    // What was said on the way is not part of a peer's rights.
    let items = PeerForward { items: vec![] };
    ensure!(second.client.call(&items).await.is_err(), "it speaks without having proven anything");

    // The record of a known server, and another's key.
    let thief = Impostor::new("garden.example")?;
    let stolen = thief.with_record_of(&known);
    ensure!(stolen.connect(&address, name).await.is_err(), "a forged proof was taken");
    // And the right one is right, so that the others were wrong by what they were.
    first.client.call(&first.proof).await?;
    ensure!(first.client.call(&items).await.is_ok(), "a proven peer is not served");
    Ok(())
}

#[tokio::test]
async fn a_server_speaks_for_its_own_users_only() -> Result<()> {
    let world = World::new()?;
    let nest = world.homeserver("nest.example").start().await?;
    let bob = world.profile("bob", "laptop")?;
    bob.register(&nest.invite(1).await?).await?;
    let impostor = Impostor::new("garden.example")?;
    let root = impostor.root().to_string();
    nest.admin(&["peer", "add", "garden.example", "127.0.0.1:9", &root]).await?.success()?;
    let client = impostor.connect(&nest.ready().address, "nest.example").await?;

    // A user of a third server, and one of the very server that is spoken to.
    let aviary = Invented::new("aviary.example", ServerId::from_bytes([3; 32]))?;
    let own = Invented::new("nest.example", nest.ready().fingerprint.parse()?)?;
    // One with this server's name and another root.
    let renamed = Invented::new("garden.example", ServerId::from_bytes([4; 32]))?;
    for somebody in [&aviary, &own, &renamed] {
        let forward = PeerForward { items: vec![letter(somebody)?] };
        let (answer, shown) =
            tokio::join!(client.call(&forward), somebody.show_chain(client.connection()));
        shown?;
        let outcomes = answer?.outcomes;
        ensure!(matches!(outcomes.as_slice(), [ForwardOutcome::Refused { .. }]), "{outcomes:?}");
    }
    // Its own users it does speak for.
    let theirs = Invented::new("garden.example", impostor.root())?;
    let forward = PeerForward { items: vec![request_to_bob(&theirs, "carol")?] };
    let (answer, shown) =
        tokio::join!(client.call(&forward), theirs.show_chain(client.connection()));
    shown?;
    let outcomes = answer?.outcomes;
    ensure!(matches!(outcomes.as_slice(), [ForwardOutcome::Taken { .. }]), "{outcomes:?}");
    let again = client.call(&forward).await?.outcomes;
    ensure!(again == outcomes, "the same again is answered as the first time: {again:?}");
    let listed = bob.run(&["contact", "list", "--json"]).await?.success()?.json_lines()?;
    ensure!(listed.len() == 1, "{listed:?}");
    ensure!(listed.iter().all(|line| text(line, "name") == "carol@garden.example"), "{listed:?}");
    Ok(())
}

fn request_to_bob(from: &Invented, name: &str) -> Result<Forwarded> {
    let contact = ForwardedContact { to: "bob".parse()?, act: ContactAct::Ask };
    Ok(Forwarded {
        id: ItemId::from_bytes([1; 16]),
        from: from.user,
        name: name.parse()?,
        content: ForwardedContent::Contact(contact),
    })
}

/// A message that nobody can open, from somebody to nobody.
fn letter(from: &Invented) -> Result<Forwarded> {
    let message = ItemId::from_bytes([2; 16]);
    let header = EnvelopeHeader {
        suite: 1,
        kind: EnvelopeKind::Message,
        dst_user: from.user,
        dst_device: from.device.id(),
        src_user: from.user,
        src_device: from.device.id(),
        session: RatchetId::from_bytes([0x5e; 16]),
        message,
    };
    let envelope = Envelope {
        header: Octets::parse(codec::encode(&header))?,
        sealed: Octets::parse(vec![0x5e; 100])?,
        initiation: None,
    };
    Ok(Forwarded {
        id: message,
        from: from.user,
        name: "carol".parse()?,
        content: ForwardedContent::Message(ForwardedMessage {
            device: from.device.id(),
            own_head: from.head,
            to: from.user,
            to_head: from.head,
            envelopes: vec![envelope],
            purpose: Purpose::Message,
        }),
    })
}

//! Who a server and its people are: proofs, roots, blocks, and what nobody may say for others.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use rookery_protocol::{
    codec::{self, Octets},
    envelope::{Envelope, EnvelopeHeader, EnvelopeKind},
    id::{ItemId, RatchetId, ServerId},
    io::client::{CallError, Client},
    request::{
        message::Purpose,
        peer::{
            ContactAct, ForwardOutcome, Forwarded, ForwardedContact, ForwardedContent,
            ForwardedMessage, PeerForward, PeerHelloError, PeerProve, PeerProveError,
        },
    },
};
use rookery_tests::{
    homeserver::Homeserver,
    impostor::{Impostor, Invented, attended},
    internet::Internet,
    pair::{BOB, Pair, text, wait_for_state},
    process::PATIENCE,
    profile::Profile,
    world::{World, eventually},
};

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
    eventually(PATIENCE, async || {
        let shown = nest.peer("garden.example").await?;
        ensure!(text(&shown, "reason").contains("not on the other's list"), "{shown}");
        Ok(())
    })
    .await?;
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
pub(crate) async fn turned_away(
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
async fn an_open_server_takes_whoever_owns_their_name_and_the_first_root_keeps_it() -> Result<()> {
    let world = World::new()?;
    let internet = Internet::new(&world).await?;
    let setup = internet.homeserver(&world, "nest.example").federation("open");
    let nest = setup.start().await?;
    let address = nest.ready().address.clone();
    let first = Impostor::new("garden.example")?;
    internet.publish_of(&first);
    let client = first.connect(&address, "nest.example").await?;
    client.call(&PeerForward { items: vec![] }).await?;
    let shown = nest.peer("garden.example").await?;
    ensure!(text(&shown, "root") == first.root().to_string(), "{shown}");
    // Who owns the name later is not who was pinned.
    let second = Impostor::new("garden.example")?;
    internet.publish_of(&second);
    turned_away(&second, &nest, PeerProveError::OtherRoot).await?;
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

/// A server with Bob on it, and another one that it knows, which is played here.
struct Known {
    nest: Homeserver,
    bob: Profile,
    impostor: Impostor,
    client: Client,
    _world: World,
}

impl Known {
    async fn new() -> Result<Self> {
        let world = World::new()?;
        let nest = world.homeserver("nest.example").start().await?;
        let bob = world.profile("bob", "laptop")?;
        bob.register(&nest.invite(1).await?).await?;
        let impostor = Impostor::new("garden.example")?;
        let root = impostor.root().to_string();
        nest.admin(&["peer", "add", "garden.example", "127.0.0.1:9", &root]).await?.success()?;
        let client = impostor.connect(&nest.ready().address, "nest.example").await?;
        Ok(Self { nest, bob, impostor, client, _world: world })
    }
}

#[tokio::test]
async fn whoever_is_blocked_stays_so_whatever_their_server_calls_them() -> Result<()> {
    let known = Known::new().await?;
    let Known { bob, impostor, client, .. } = &known;
    let theirs = Invented::new("garden.example", impostor.root())?;
    let forward = PeerForward { items: vec![request_to_bob(&theirs, "carol")?] };
    let again = Forwarded { id: ItemId::from_bytes([9; 16]), ..request_to_bob(&theirs, "dave")? };
    let renamed = async {
        let outcomes = client.call(&forward).await?.outcomes;
        ensure!(matches!(outcomes.as_slice(), [ForwardOutcome::Taken { .. }]), "{outcomes:?}");
        bob.ask(&["contact", "block", "@carol@garden.example"]).await?;
        client.call(&PeerForward { items: vec![again] }).await?;
        bob.run(&["contact", "list", "--json"]).await?.success()?.json_lines()
    };
    let answer = async |method: &str, body: &[u8]| theirs.answer(method, body);
    let listed = attended(client.connection(), answer, renamed).await?;
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
    let known = Known::new().await?;
    let Known { nest, bob, impostor, client, .. } = &known;

    // A user of a third server, and one of the very server that is spoken to.
    let aviary = Invented::new("aviary.example", ServerId::from_bytes([3; 32]))?;
    let own = Invented::new("nest.example", nest.ready().fingerprint.parse()?)?;
    // One with this server's name and another root.
    let renamed = Invented::new("garden.example", ServerId::from_bytes([4; 32]))?;
    // Its own users it does speak for.
    let theirs = Invented::new("garden.example", impostor.root())?;
    let everybody = [&aviary, &own, &renamed, &theirs];
    let answer = async |method: &str, body: &[u8]| {
        let answers = everybody.iter().map(|somebody| somebody.answer(method, body));
        Ok(answers.collect::<Result<Vec<_>>>()?.into_iter().flatten().next())
    };
    let speaking = async {
        for somebody in [&aviary, &own, &renamed] {
            let forward = PeerForward { items: vec![letter(somebody)?] };
            let outcomes = client.call(&forward).await?.outcomes;
            ensure!(
                matches!(outcomes.as_slice(), [ForwardOutcome::Refused { .. }]),
                "{outcomes:?}"
            );
        }
        let forward = PeerForward { items: vec![request_to_bob(&theirs, "carol")?] };
        let outcomes = client.call(&forward).await?.outcomes;
        ensure!(matches!(outcomes.as_slice(), [ForwardOutcome::Taken { .. }]), "{outcomes:?}");
        let again = client.call(&forward).await?.outcomes;
        ensure!(again == outcomes, "the same again is answered as the first time: {again:?}");
        bob.run(&["contact", "list", "--json"]).await?.success()?.json_lines()
    };
    let listed = attended(client.connection(), answer, speaking).await?;
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

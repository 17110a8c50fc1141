//! Every message once, in order, on every device, whatever is killed or away meanwhile.

use std::{collections::BTreeSet, env, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use rookery_tests::{
    chaos::{Toll, kill_agents, kill_homeserver, kill_tails, printed, talk},
    homeserver::{Setup, new_postgresql_database},
    oracle::Ledger,
    profile::{Message, Profile, messages},
    random::Random,
    world::{Person, World},
};
use tokio::time::timeout;

/// For everything to arrive after the last kill, on a machine that does much else.
const SETTLING: Duration = Duration::from_mins(2);

/// How far back a reader may begin that died between printing lines and noting that it had.
const REPEATED: usize = 16;

/// The subject of subjects. `ROOKERY_TEST_MESSAGES` makes it longer or shorter, `ROOKERY_TEST_SEED` another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_arrives_once_and_in_order_though_everything_is_killed() -> Result<()> {
    let each_way = messages_each_way()?;
    let mut random = Random::from_seed(7665)?;
    let world = World::new()?;
    let mut server = world.homeserver("nest").start().await?;
    let (alice, bob) = world.alice_and_bob(&server).await?;
    let (first, second) = (each_way.div_ceil(2), each_way / 2);
    let (mut talkers, mut killers) = (random.split(), random.split());
    let toll = Toll::default();

    let talking = async {
        tokio::try_join!(
            talk(&alice.laptop, "@bob", first, talkers.split(), &toll),
            talk(&alice.phone, "@bob", second, talkers.split(), &toll),
            talk(&bob.laptop, "@alice", first, talkers.split(), &toll),
            talk(&bob.phone, "@alice", second, talkers.split(), &toll),
        )
    };
    let killing = async {
        tokio::try_join!(
            kill_homeserver(&mut server, killers.split(), &toll),
            kill_agents(&alice.laptop, killers.split(), &toll),
            kill_agents(&alice.phone, killers.split(), &toll),
            kill_agents(&bob.laptop, killers.split(), &toll),
            kill_agents(&bob.phone, killers.split(), &toll),
            kill_tails(&alice.laptop, killers.split(), &toll),
            kill_tails(&alice.phone, killers.split(), &toll),
            kill_tails(&bob.laptop, killers.split(), &toll),
            kill_tails(&bob.phone, killers.split(), &toll),
        )
    };
    let ledgers = tokio::select! {
        ledgers = talking => ledgers?,
        ended = killing => match ended?.0 {},
    };

    let ledger = merged([ledgers.0, ledgers.1, ledgers.2, ledgers.3]);
    toll.ensure_at_least(u32::try_from(each_way / 50)?)?;
    if !server.runs()? {
        server.start().await?;
    }
    // Everybody is back: what was taken without a connection is still to be sent.
    let mut agents = Vec::new();
    for device in devices(&alice, &bob) {
        agents.push(device.start_agent()?);
    }
    for device in devices(&alice, &bob) {
        device.wait_until_connected().await?;
        shows_everything(device, &ledger).await?;
        let mut prints = printed(device)?;
        prints.push(print_the_rest(device, &ledger, &prints).await?);
        ledger.judge(&joined(&prints)?).ensure_clean(&format!("{}'s tail", device.label()))?;
    }
    for agent in &mut agents {
        agent.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_sent_to_people_who_are_away_is_there_when_they_come() -> Result<()> {
    let world = World::new()?;
    reaches_people_who_are_away(&world, world.homeserver("nest")).await
}

#[tokio::test]
async fn a_homeserver_on_postgresql_does_the_same() -> Result<()> {
    let world = World::new()?;
    let setup = world.homeserver("nest").database(&new_postgresql_database().await?);
    reaches_people_who_are_away(&world, setup).await
}

async fn reaches_people_who_are_away(world: &World, setup: Setup) -> Result<()> {
    let mut random = Random::from_seed(2)?;
    let mut server = setup.start().await?;
    let toll = Toll::default();
    let (alice, bob) = world.alice_and_bob(&server).await?;

    // Of Bob nothing runs, of Alice only the device that sends.
    let mut agent = alice.laptop.start_agent()?;
    let from_alice = talk(&alice.laptop, "@bob", 100, random.split(), &toll).await?;
    agent.kill().await?;
    server.kill().await?;
    server.start().await?;

    // Alice is gone for good. Bob comes, one device after the other, and answers.
    shows_everything(&bob.phone, &from_alice).await?;
    let from_bob = talk(&bob.phone, "@alice", 50, random.split(), &toll).await?;
    let all = merged([from_alice, from_bob]);
    shows_everything(&bob.laptop, &all).await?;
    for device in alice.devices() {
        shows_everything(device, &all).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_same_id_is_the_same_message_however_often_it_is_sent() -> Result<()> {
    let world = World::new()?;
    let mut server = world.homeserver("nest").start().await?;
    let (alice, bob) = world.alice_and_bob(&server).await?;
    for id in ["b7f5a7f0-6d0c-4d0e-9d60-0f4f0d1c2a3b", "nightly-build-17"] {
        for _ in 0..3 {
            alice.laptop.ask(&["send", "@bob", "once", "--id", id]).await?;
        }
        server.kill().await?;
        server.start().await?;
        alice.laptop.ask(&["send", "@bob", "once", "--id", id]).await?;
    }
    for device in devices(&alice, &bob) {
        let target = if device.user() == "alice" { "@bob" } else { "@alice" };
        let shown = device.read_all(target, 2, SETTLING).await?;
        ensure!(shown.len() == 2, "{} shows {} messages", device.label(), shown.len());
    }
    Ok(())
}

fn messages_each_way() -> Result<usize> {
    match env::var("ROOKERY_TEST_MESSAGES") {
        Ok(given) => given.parse().context("ROOKERY_TEST_MESSAGES is not a number"),
        Err(_) => Ok(1000),
    }
}

fn devices<'a>(alice: &'a Person, bob: &'a Person) -> [&'a Profile; 4] {
    [&alice.laptop, &alice.phone, &bob.laptop, &bob.phone]
}

fn merged(ledgers: impl IntoIterator<Item = Ledger>) -> Ledger {
    ledgers.into_iter().fold(Ledger::default(), |mut all, one| {
        all.merge(one);
        all
    })
}

/// Waits until `device` shows as many messages as were acknowledged, and judges them.
async fn shows_everything(device: &Profile, ledger: &Ledger) -> Result<()> {
    let target = if device.user() == "alice" { "@bob" } else { "@alice" };
    let shown = device.read_all(target, ledger.acknowledged(), SETTLING).await?;
    ledger.judge(&shown).ensure_clean(&device.label())?;
    for message in shown {
        let author = message.from.split('@').next().unwrap_or_default();
        ensure!(message.text.starts_with(&format!("{author}/")), "not theirs: {message:?}");
    }
    Ok(())
}

/// What the last reader of `device` prints, until nothing is missing in what all of them printed.
async fn print_the_rest(
    device: &Profile,
    ledger: &Ledger,
    before: &[Vec<Message>],
) -> Result<Vec<Message>> {
    let mut seen: BTreeSet<_> = before.iter().flatten().map(|message| message.id.clone()).collect();
    let mut rest = Vec::new();
    let mut tail = device.start_tail()?;
    let reading = async {
        while seen.len() < ledger.acknowledged() {
            let object = tail.next().await?.context("tail ended by itself")?;
            rest.extend(messages(vec![object])?);
            seen.extend(rest.last().map(|message| message.id.clone()));
        }
        anyhow::Ok(())
    };
    match timeout(SETTLING, reading).await {
        Ok(read) => read?,
        Err(_) => bail!(
            "tail on {} printed {} of {} messages",
            device.label(),
            seen.len(),
            ledger.acknowledged()
        ),
    }
    Ok(rest)
}

/// What several readers printed, one after the other. Each may begin with the last few lines of those before; later
/// than that, a line that was printed before is one too many, and is left in for the ledger to find.
fn joined(prints: &[Vec<Message>]) -> Result<Vec<Message>> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for print in prints {
        let repeated = print.iter().take_while(|message| seen.contains(&message.id)).count();
        ensure!(repeated <= REPEATED, "a reader began {repeated} lines too early");
        let new = print.iter().skip(repeated);
        seen.extend(new.clone().map(|message| message.id.clone()));
        all.extend(new.cloned());
    }
    Ok(all)
}

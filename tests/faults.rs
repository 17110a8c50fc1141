//! Power cuts and full disks beneath the homeserver, and beneath a client: nothing acknowledged is lost, and what
//! cannot be done is refused in a way that can be told from a fault.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rookery_tests::{
    faults::{Fault, Unsynced},
    homeserver::Homeserver,
    oracle::Ledger,
    process::PATIENCE,
    profile::{Attempt, Profile},
    random::Random,
    world::{World, befriend, eventually},
};
use serde_json::Value;
use tokio::time::sleep;

#[tokio::test]
async fn a_power_cut_during_the_first_start_leaves_a_server_that_starts() -> Result<()> {
    let world = World::new()?;
    let mut survived = 0;
    for acts in (0..160).step_by(10) {
        let name = format!("nest{acts}");
        let mut server = world.homeserver(&name).faults(Unsynced::IsLost).prepare().await?;
        server.faults()?.set(Fault::KilledAfter(acts))?;
        if server.start().await.is_ok() {
            survived += 1;
            server.kill().await?;
        }
        server.faults()?.clear()?;
        server.start().await.with_context(|| format!("after a cut at act {acts}"))?;
        let fingerprint = server.ready().fingerprint.clone();
        server.kill().await?;
        server.start().await?;
        ensure!(server.ready().fingerprint == fingerprint, "another identity, act {acts}");
    }
    ensure!(survived < 16, "no cut came before it was ready");
    Ok(())
}

#[tokio::test]
async fn what_the_admin_was_answered_survives_a_power_cut() -> Result<()> {
    let world = World::new()?;
    let mut server = world.homeserver("nest").faults(Unsynced::IsLost).start().await?;
    let mut links = Vec::new();
    for _ in 0..10 {
        links.push(server.invite(3).await?);
        server.kill().await?;
        server.start().await?;
    }
    let listed = server.admin(&["invite", "list"]).await?.success()?.json()?;
    let listed = listed.pointer("/data/invites").and_then(Value::as_array);
    let of_three = listed.into_iter().flatten().filter(|one| one["uses_left"] == 3).count();
    ensure!(of_three == links.len(), "{of_three} of {} invites are left", links.len());
    Ok(())
}

/// While messages flow, the power is cut again and again in the midst of the server's writes and syncs. Bob's device
/// is away until the end: what it then gets is what the server's disk had.
#[tokio::test]
async fn a_power_cut_at_the_server_loses_nothing_it_acknowledged() -> Result<()> {
    const CUTS: u64 = 12;
    let mut random = Random::from_seed(31)?;
    let mut scene = Scene::new(Beneath::Server(Unsynced::IsLost)).await?;
    let mut agent = scene.alice.start_agent()?;
    let mut ledger = Ledger::default();
    for cut in 0..CUTS {
        scene.alice.wait_until_connected().await?;
        // A message takes a few writes and a sync, so the power goes during any part of the first dozen.
        scene.server.faults()?.set(Fault::KilledAfter(random.below(40)))?;
        for _ in 0..50 {
            if !scene.server.runs()? {
                break;
            }
            let text = format!("before cut {cut}: {}", random.word());
            scene.send_and_note(&mut ledger, &text, &mut random).await?;
        }
        scene.server.kill().await?;
        scene.server.faults()?.clear()?;
        scene.server.start().await?;
    }
    ensure!(ledger.acknowledged() > 12, "only {} acknowledged at all", ledger.acknowledged());
    // Alice's agent goes on, for it may still hold what it was to send when the power went last.
    scene.bob_has_all(&ledger).await?;
    agent.kill().await
}

/// What a client has taken, even without a connection, is as good as sent: it is on its disk.
#[tokio::test]
async fn a_power_cut_at_the_client_loses_nothing_it_took() -> Result<()> {
    const CUTS: u64 = 12;
    let mut random = Random::from_seed(32)?;
    let mut scene = Scene::new(Beneath::Alice(Unsynced::IsLostAtAnyEnd)).await?;
    let mut ledger = Ledger::default();
    let (mut killed, mut queued, mut sent) = (0, 0, 0);
    for cut in 0..CUTS {
        // Every other time there is nobody to send to, so that the outbox is all there is.
        if cut % 2 == 0 && scene.server.runs()? {
            scene.server.stop().await?;
        } else if cut % 2 == 1 && !scene.server.runs()? {
            scene.server.start().await?;
        }
        // Every third time it is an agent whose power goes, and the command that was waiting for it takes the profile over.
        let mut agent = (cut % 3 == 2).then(|| scene.alice.start_agent()).transpose()?;
        for _ in 0..4 {
            // Some are cut off in the midst of opening the store, some come to their end.
            let acts = if cut % 2 == 0 { 90 } else { 250 };
            scene.alice.faults()?.set(Fault::KilledAfter(random.below(acts)))?;
            let text = format!("before cut {cut}: {}", random.word());
            match scene.send_and_note(&mut ledger, &text, &mut random).await? {
                Attempt::Taken { state } if state == "queued" => queued += 1,
                Attempt::Taken { .. } => sent += 1,
                Attempt::Failed(finished) => {
                    ensure!(finished.code() == -1, "it was no power cut: {finished}");
                    killed += 1;
                }
            }
        }
        scene.alice.faults()?.clear()?;
        if let Some(agent) = &mut agent {
            agent.kill().await?;
        }
        // What was taken is in the sender's own store, whatever becomes of it.
        let shown = scene.alice.read("@bob", 1000).await?;
        ledger.judge(&shown).ensure_clean(&scene.alice.label()).context(cut)?;
    }
    if !scene.server.runs()? {
        scene.server.start().await?;
    }
    println!("{sent} sent, {queued} queued, {killed} killed");
    ensure!(sent > 0 && queued > 0 && killed > 0, "nothing was shown");
    let mut agent = scene.alice.start_agent()?;
    scene.bob_has_all(&ledger).await?;
    agent.kill().await?;
    let status = scene.alice.ask(&["status"]).await?;
    ensure!(status.get("queued") == Some(&Value::from(0)), "something still waits: {status}");
    Ok(())
}

#[tokio::test]
async fn a_full_disk_refuses_what_it_cannot_keep_and_recovers_without_a_restart() -> Result<()> {
    refuses_and_recovers(Fault::DiskFull).await
}

#[tokio::test]
async fn a_broken_disk_refuses_what_it_cannot_keep_and_recovers_without_a_restart() -> Result<()> {
    refuses_and_recovers(Fault::WriteError).await
}

#[tokio::test]
async fn a_failed_sync_is_never_taken_for_a_kept_message() -> Result<()> {
    let mut random = Random::from_seed(33)?;
    let mut scene = Scene::new(Beneath::Server(Unsynced::IsLost)).await?;
    let mut ledger = Ledger::default();
    let mut agent = scene.alice.start_agent()?;
    scene.alice.wait_until_connected().await?;
    for _ in 0..5 {
        scene.send_and_note(&mut ledger, "before", &mut random).await?;
        scene.server.faults()?.set(Fault::SyncError)?;
        scene.send_and_note(&mut ledger, "meanwhile", &mut random).await?;
        scene.server.faults()?.clear()?;
        scene.send_and_note(&mut ledger, "after", &mut random).await?;
        // Whatever it does about a failed sync, going on or stopping, the power is cut now.
        scene.server.kill().await?;
        scene.server.start().await?;
        scene.alice.wait_until_connected().await?;
    }
    ensure!(ledger.acknowledged() >= 5, "only {} acknowledged at all", ledger.acknowledged());
    // Alice's agent goes on, for it may still hold what it was to send when the power went last.
    scene.bob_has_all(&ledger).await?;
    agent.kill().await
}

async fn refuses_and_recovers(fault: Fault) -> Result<()> {
    let mut random = Random::from_seed(34)?;
    let mut scene = Scene::new(Beneath::Server(Unsynced::Stands)).await?;
    let mut ledger = Ledger::default();
    let before = scene.server.id()?;
    let mut agent = scene.alice.start_agent()?;
    scene.alice.wait_until_connected().await?;
    scene.send_and_note(&mut ledger, "before", &mut random).await?;

    scene.server.faults()?.set(fault)?;
    let id = random.id().to_string();
    ledger.attempt(&scene.alice.label(), &id, "meanwhile");
    let attempt = scene.alice.try_send("@bob", "meanwhile", &id, Some("5s")).await?;
    ensure!(!matches!(&attempt, Attempt::Taken { state } if state != "queued"), "{attempt:?}");
    // Reading goes on: from the server's disk too, for Bob has not been here since the message was sent.
    scene.bob_has_all(&ledger).await?;
    ensure!(scene.server.runs()?, "the server gave up\n{}", scene.server_log());

    // The client has kept the message, and the server takes it as soon as it can.
    scene.server.faults()?.clear()?;
    ledger.acknowledge(&id);
    scene.send_and_note(&mut ledger, "after", &mut random).await?;
    scene.bob_has_all(&ledger).await?;
    ensure!(scene.server.runs()? && scene.server.id()? == before, "it needed a restart");
    agent.kill().await
}

/// Whose disk fails, and what becomes of writes that were not synced.
enum Beneath {
    Server(Unsynced),
    Alice(Unsynced),
}

/// Alice and Bob with a device each.
struct Scene {
    server: Homeserver,
    alice: Profile,
    bob: Profile,
    // Last, since values are dropped in this order, and the others live in it.
    _world: World,
}

impl Scene {
    async fn new(beneath: Beneath) -> Result<Self> {
        let world = World::new()?;
        let mut setup = world.homeserver("nest");
        let (mut alice, bob) = (world.profile("alice", "laptop")?, world.profile("bob", "laptop")?);
        match beneath {
            Beneath::Server(unsynced) => setup = setup.faults(unsynced),
            Beneath::Alice(unsynced) => alice = alice.with_faults(unsynced).await?,
        }
        let server = setup.start().await?;
        alice.register(&server.ready().invite).await?;
        bob.register(&server.invite(1).await?).await?;
        befriend(&alice, &bob).await?;
        Ok(Self { server, alice, bob, _world: world })
    }

    /// Sends `text` once, and notes whether it was acknowledged; an attempt that failed is left to the outbox.
    async fn send_and_note(
        &self,
        ledger: &mut Ledger,
        text: &str,
        random: &mut Random,
    ) -> Result<Attempt> {
        let id = random.id().to_string();
        ledger.attempt(&self.alice.label(), &id, text);
        // Where there is no server, there is nothing to wait for.
        let timeout = self.server.id().is_ok().then_some("2s");
        let attempt = self.alice.try_send("@bob", text, &id, timeout).await?;
        if let Attempt::Taken { .. } = attempt {
            ledger.acknowledge(&id);
        }
        Ok(attempt)
    }

    async fn bob_has_all(&self, ledger: &Ledger) -> Result<()> {
        eventually(PATIENCE, async || {
            let shown = self.bob.read("@alice", ledger.acknowledged().saturating_add(1000)).await?;
            ledger.judge(&shown).ensure_clean(&self.bob.label())
        })
        .await
        .context("what Bob has of Alice's")?;
        // Nothing comes twice a little later either.
        sleep(Duration::from_secs(1)).await;
        let shown = self.bob.read("@alice", ledger.acknowledged().saturating_add(1000)).await?;
        ledger.judge(&shown).ensure_clean(&self.bob.label())
    }

    fn server_log(&self) -> String {
        rookery_tests::process::log_tail(&self.server.log_file())
    }
}

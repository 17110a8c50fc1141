//! The fault library does what it says: shown on programs that know nothing of it.

use std::{
    collections::BTreeMap,
    env, fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use rookery_tests::{
    faults::{Fault, Faults, Unsynced},
    process::{Finished, PATIENCE, run},
    world::{World, eventually},
};
use tokio::process::{Child, Command};

const SIGKILL: &str = "ended by signal 9";

#[tokio::test]
async fn what_was_committed_with_a_sync_survives_a_power_cut() -> Result<()> {
    let scene = Scene::new(Unsynced::IsLost).await?;
    let printed = scene.commit_until_killed("FULL", Duration::from_secs(2)).await?;
    let committed = printed.iter().filter(|line| line.starts_with("committed")).count();
    ensure!(committed > 50, "only {committed} rows were committed at all");
    let kept = scene.rows().await?;
    // The last commit may have been cut off after its sync and before it could say so.
    ensure!(kept == committed || kept == committed + 1, "{committed} committed, {kept} kept");
    Ok(())
}

#[tokio::test]
async fn what_was_committed_without_a_sync_is_lost_in_a_power_cut() -> Result<()> {
    let scene = Scene::new(Unsynced::IsLost).await?;
    let printed = scene.commit_until_killed("OFF", Duration::from_secs(2)).await?;
    ensure!(printed.len() > 50, "only {} rows were committed at all", printed.len());
    let database = fs::metadata(scene.file("database"))?.len();
    // The change to write-ahead logging is synced whatever is asked for: one page.
    ensure!(database <= 4096, "{database} bytes of the database were kept");
    Ok(())
}

#[tokio::test]
async fn what_was_committed_without_a_sync_survives_a_mere_crash() -> Result<()> {
    let scene = Scene::new(Unsynced::Stands).await?;
    let printed = scene.commit_until_killed("OFF", Duration::from_secs(1)).await?;
    ensure!(scene.rows().await? >= printed.len(), "{} committed", printed.len());
    Ok(())
}

#[tokio::test]
async fn a_power_cut_at_any_act_keeps_what_was_committed() -> Result<()> {
    let scene = Scene::new(Unsynced::IsLost).await?;
    let mut committed = 0;
    for acts in (0..60).step_by(3) {
        scene.faults.set(Fault::KilledAfter(acts))?;
        let ended = scene.probe(&["commit", &scene.file("database"), "FULL"]).await?;
        ensure!(ended.to_string().contains(SIGKILL), "not killed: {ended}");
        let line = ended.stdout.lines().last().unwrap_or_default();
        committed = line.strip_prefix("committed ").map_or(Ok(committed), str::parse)?;
        if committed > 0 {
            let kept = scene.rows().await?;
            ensure!(kept >= committed, "at act {acts}: {committed} committed, {kept} kept");
            committed = kept;
        }
    }
    ensure!(committed > 10, "only {committed} rows were committed at all");
    Ok(())
}

#[tokio::test]
async fn a_program_sees_its_own_writes_however_it_looks() -> Result<()> {
    for (unsynced, end) in [
        (Unsynced::IsLost, "exit"),
        (Unsynced::IsLost, "_exit"),
        (Unsynced::IsLost, "kill"),
        (Unsynced::IsLostAtAnyEnd, "exit"),
    ] {
        let scene = Scene::new(unsynced).await?;
        let answer = scene.world.path().join("answer");
        let answer = answer.to_str().context("path")?;
        for seed in ["1", "2", "3", "4"] {
            let file = scene.file(seed);
            let ended = scene.probe(&["walk", &file, seed, end, answer]).await?;
            ensure!(end == "kill" || ended.code() == 0, "{ended}");
            ensure!(end != "kill" || ended.to_string().contains(SIGKILL), "{ended}");
            let same = fs::read(&file)? == fs::read(answer)?;
            ensure!(same, "{unsynced:?}, seed {seed}, ended by {end}: not as the model says");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_full_disk_refuses_writes_until_it_has_room_again() -> Result<()> {
    refuses_until_cleared(Fault::DiskFull, "database_or_disk_is_full").await
}

#[tokio::test]
async fn a_broken_disk_refuses_writes_until_it_is_mended() -> Result<()> {
    refuses_until_cleared(Fault::WriteError, "disk_I/O_error").await
}

#[tokio::test]
async fn what_a_failed_sync_gave_up_is_lost_though_the_next_one_succeeds() -> Result<()> {
    let scene = Scene::new(Unsynced::IsLost).await?;
    scene.faults.set(Fault::SyncError)?;
    let ended = scene.probe(&["sync", &scene.file("file")]).await?;
    let said: BTreeMap<String, String> = serde_json::from_value(ended.json()?)?;
    let wanted = [("first", "EIO"), ("second", "done"), ("seen", "kept?")];
    let wanted = wanted.map(|(key, value)| (key.to_owned(), value.to_owned()));
    ensure!(said == BTreeMap::from(wanted), "{said:?}");
    ensure!(!fs::read(scene.file("file"))?.starts_with(b"kept?"), "it was written after all");
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "it is the machine's clock that is compared")]
#[tokio::test]
async fn the_time_of_day_is_shifted_and_what_passes_is_not() -> Result<()> {
    let scene = Scene::new(Unsynced::Stands).await?;
    for shift in [86_400_i32, 0, -3_600] {
        scene.faults.shift_clock(shift.into())?;
        let ended = scene.probe(&["clock"]).await?.success()?;
        let seen: BTreeMap<String, f64> = serde_json::from_value(ended.json()?)?;
        let of =
            |name: &str| seen.get(name).copied().with_context(|| format!("no {name}: {ended}"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
        for name in ["time", "realtime"] {
            let by = of(name)? - now - f64::from(shift);
            ensure!(by.abs() < 30.0, "{name} is {by} s from where it should be: {ended}");
        }
        let uptime = fs::read_to_string("/proc/uptime")?;
        let uptime: f64 = uptime.split(' ').next().context("uptime")?.parse()?;
        ensure!((of("boottime")? - uptime).abs() < 30.0, "{ended}");
    }
    Ok(())
}

async fn refuses_until_cleared(fault: Fault, complaint: &str) -> Result<()> {
    let scene = Scene::new(Unsynced::Stands).await?;
    let mut committing = scene.start_commit("FULL")?;
    eventually(PATIENCE, async || {
        ensure!(scene.printed()?.len() > 20);
        Ok(())
    })
    .await?;
    scene.faults.set(fault)?;
    eventually(PATIENCE, async || {
        let refused = scene.printed()?;
        let last = refused.last().context("nothing printed")?;
        ensure!(last.starts_with(&format!("refused {complaint}")), "{last}");
        // Reading went on: each refusal carries the number of rows.
        ensure!(!last.ends_with(" 0"), "{last}");
        Ok(())
    })
    .await?;
    scene.faults.clear()?;
    eventually(PATIENCE, async || {
        let last = scene.printed()?.pop().context("nothing printed")?;
        ensure!(last.starts_with("committed"), "{last}");
        Ok(())
    })
    .await?;
    committing.kill().await?;
    let committed = scene.printed()?.iter().filter(|line| line.starts_with("committed")).count();
    ensure!(scene.rows().await? >= committed, "{committed} committed");
    Ok(())
}

/// A directory under the fault library, and programs that write into it.
struct Scene {
    world: World,
    faults: Faults,
}

impl Scene {
    async fn new(unsynced: Unsynced) -> Result<Self> {
        let world = World::new()?;
        let disk = world.path().join("disk");
        fs::create_dir_all(&disk)?;
        let faults = Faults::aim(&world.path().join("faults"), &disk, unsynced).await?;
        Ok(Self { world, faults })
    }

    fn file(&self, name: &str) -> String {
        self.world.path().join("disk").join(name).to_string_lossy().into_owned()
    }

    async fn probe(&self, arguments: &[&str]) -> Result<Finished> {
        let mut command = probe(arguments);
        self.faults.apply(&mut command);
        run(command, b"", PATIENCE).await
    }

    /// Its lines go to a file that no fault touches.
    fn start_commit(&self, synchronous: &str) -> Result<Child> {
        let mut command = probe(&["commit", &self.file("database"), synchronous]);
        self.faults.apply(&mut command);
        command.stdout(fs::File::create(self.world.path().join("printed"))?).kill_on_drop(true);
        Ok(command.spawn()?)
    }

    fn printed(&self) -> Result<Vec<String>> {
        let text = fs::read_to_string(self.world.path().join("printed"))?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        Ok(whole.lines().map(ToOwned::to_owned).collect())
    }

    async fn commit_until_killed(&self, synchronous: &str, time: Duration) -> Result<Vec<String>> {
        let mut committing = self.start_commit(synchronous)?;
        eventually(PATIENCE, async || {
            ensure!(!self.printed()?.is_empty());
            Ok(())
        })
        .await?;
        tokio::time::sleep(time).await;
        committing.kill().await?;
        self.printed()
    }

    /// How many rows the database has for somebody who comes after the fault.
    async fn rows(&self) -> Result<usize> {
        let mut command = Command::new(python());
        command.arg("-c").arg(
            "import sqlite3, sys; database = sqlite3.connect(sys.argv[1]); \
             assert database.execute('PRAGMA integrity_check').fetchone() == ('ok',); \
             print(database.execute('SELECT count(*) FROM number').fetchone()[0])",
        );
        command.arg(self.file("database"));
        Ok(run(command, b"", PATIENCE).await?.success()?.stdout.trim().parse()?)
    }
}

fn probe(arguments: &[&str]) -> Command {
    let mut command = Command::new(python());
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("faults/probe.py")).args(arguments);
    command
}

fn python() -> String {
    env::var("ROOKERY_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

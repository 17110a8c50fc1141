//! A server whose administrator meddles with what waits for a person who is away: the person's device refuses it, and says how often.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use rookery_tests::{
    homeserver::Homeserver,
    process::{PATIENCE, run},
    profile::Profile,
    world::{World, befriend},
};
use serde_json::Value;
use tokio::process::Command;

/// Runs SQL on the database of a server that does not run, by Python's own SQLite.
async fn meddle(server: &Homeserver, statements: &str) -> Result<()> {
    const PROGRAM: &str = "
import pathlib, sqlite3, sys
for path in pathlib.Path(sys.argv[1]).rglob('*'):
    if path.is_file() and path.read_bytes()[:15] == b'SQLite format 3':
        with sqlite3.connect(path) as database:
            database.executescript(sys.argv[2])
            print(database.total_changes)
        sys.exit(0)
sys.exit('no database was found')
";
    let mut python = Command::new("python3");
    python.args(["-c", PROGRAM]).arg(server.data()).arg(statements).stdin(Stdio::null());
    run(python, b"", PATIENCE).await?.success()?;
    Ok(())
}

/// How often `profile` has refused a letter for `reason`.
async fn refused(profile: &Profile, reason: &str) -> Result<u64> {
    let status = profile.run(&["status", "--json"]).await?.success()?.json()?;
    let count = status.pointer(&format!("/refused/{reason}")).and_then(Value::as_u64);
    count.with_context(|| format!("no count of {reason} in {status}"))
}

#[tokio::test]
async fn what_a_server_repeats_or_changes_is_refused_and_counted() -> Result<()> {
    let world = World::new()?;
    let mut server = world.homeserver("nest").start().await?;
    let (alice, bob) = (world.profile("alice", "laptop")?, world.profile("bob", "laptop")?);
    alice.register(&server.ready().invite).await?;
    bob.register(&server.invite(1).await?).await?;
    befriend(&alice, &bob).await?;
    alice.send("@bob", "before").await?;
    ensure!(bob.read_all("@alice", 1, PATIENCE).await?.len() == 1);

    // Bob is away; what waits for him is repeated in another place.
    alice.send("@bob", "repeated").await?;
    server.stop().await?;
    meddle(
        &server,
        "INSERT INTO mailbox (device, position, at, size, envelope)
             SELECT device, position + 1, at, size, envelope FROM mailbox;
         UPDATE mailbox_head SET last = last + 1, waiting = waiting + 1 WHERE waiting > 0;",
    )
    .await?;
    server.start().await?;
    let shown = bob.read_all("@alice", 2, PATIENCE).await?;
    let repeats = shown.iter().filter(|message| message.text == "repeated").count();
    ensure!(repeats == 1, "{shown:?}");
    ensure!(refused(&bob, "replayed").await? == 1);

    // A bit of what waits is flipped: the last of the ciphertext.
    alice.send("@bob", "changed").await?;
    server.stop().await?;
    meddle(
        &server,
        "UPDATE mailbox SET envelope = CAST(
             substr(envelope, 1, length(envelope) - 1)
             || CASE WHEN substr(envelope, -1) = x'00' THEN x'01' ELSE x'00' END AS BLOB);",
    )
    .await?;
    server.start().await?;
    let unopenable_before = refused(&bob, "unopenable").await?;
    ensure!(unopenable_before == 1, "{unopenable_before} letters did not open");
    let shown = bob.read_all("@alice", 2, PATIENCE).await?;
    ensure!(shown.iter().all(|message| message.text != "changed"), "{shown:?}");

    // Nothing else is lost by it.
    alice.send("@bob", "after").await?;
    let shown = bob.read_all("@alice", 3, PATIENCE).await?;
    ensure!(shown.iter().any(|message| message.text == "after"), "{shown:?}");
    Ok(())
}

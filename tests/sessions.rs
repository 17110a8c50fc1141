//! What becomes of secure sessions and of an account when something is lost, put back, used up, or ended on purpose.

use std::{fs, net::SocketAddr, path::Path};

use anyhow::{Context, Result, ensure};
use rookery_protocol::{
    id::{DeviceId, ItemId},
    io::client::Dialer,
    name::JoinLink,
    request::{chain::ResolveUser, contact::RequestContact, prekey::ClaimPrekeys},
};
use rookery_tests::{
    bare::{Bare, random},
    process::{PATIENCE, run},
    profile::Message,
    world::{Couple, eventually},
};
use serde_json::Value;
use tokio::process::Command;

const NOT_PERMITTED: i32 = 6;
const LOCKED: i32 = 8;

/// Bob's disk is put back to an earlier day. Neither side loses what is said from then on, nothing comes twice, and both are told.
#[tokio::test]
async fn a_store_that_was_put_back_begins_its_sessions_anew() -> Result<()> {
    let scene = Couple::of_friends().await?;
    let Couple { alice, bob, .. } = &scene;
    exchange(&scene, "before", 3).await?;
    let copy = scene.world.path().join("copy");
    copy_directory(&bob.home(), &copy).await?;
    // Enough that neither the ratchet nor the numbers of the copy are still in use.
    exchange(&scene, "between", 4).await?;
    fs::remove_dir_all(bob.home())?;
    copy_directory(&copy, &bob.home()).await?;

    // Said out of the old state, under numbers that Alice has seen.
    for number in 0..2 {
        bob.send("@alice", &format!("bob after {number}")).await?;
    }
    for number in 0..5 {
        alice.send("@bob", &format!("alice after {number}")).await?;
    }
    let wanted = |who: &str, count: usize| -> Vec<_> {
        (0..count).map(|number| format!("{who} after {number}")).collect()
    };
    // Nobody stays: each of these commands takes in what there is, does what is owed, and ends.
    eventually(PATIENCE, async || {
        let (at_bob, at_alice) = (bob.read("@alice", 100).await?, alice.read("@bob", 100).await?);
        let (from_alice, from_bob) = (after(&at_bob, "alice"), after(&at_alice, "bob"));
        ensure!(from_alice == wanted("alice", 5), "at Bob's: {from_alice:?}");
        ensure!(from_bob == wanted("bob", 2), "at Alice's: {from_bob:?}");
        Ok(())
    })
    .await?;
    for profile in [alice, bob] {
        let status = profile.ask(&["status"]).await?;
        let resets = status.get("resets").and_then(Value::as_u64);
        ensure!(
            resets.is_some_and(|count| count > 0),
            "{} was not told: {status}",
            profile.label()
        );
    }
    // From here on it is as if nothing had been.
    exchange(&scene, "afterwards", 2).await?;
    let delivered = ["send", "@bob", "the end", "--until", "delivered", "--timeout", "30s"];
    let mut agent = bob.start_agent()?;
    alice.ask(&delivered).await?;
    agent.stop().await?;
    for (reader, other) in [(bob, "@alice"), (alice, "@bob")] {
        let shown = reader.read(other, 100).await?;
        let mut texts: Vec<_> = shown.iter().map(|message| &message.text).collect();
        let all = texts.len();
        texts.sort();
        texts.dedup();
        ensure!(texts.len() == all, "something came twice on {}: {shown:#?}", reader.label());
    }
    Ok(())
}

/// Fifty sessions take all one-time keys; the device makes more as soon as there are none.
#[tokio::test]
async fn one_time_keys_that_were_used_up_are_made_anew() -> Result<()> {
    let scene = Couple::of_friends().await?;
    let mut agent = scene.bob.start_agent()?;
    scene.bob.wait_until_connected().await?;
    let link: JoinLink = scene.server.invite(1).await?.parse()?;
    let address: SocketAddr = scene.server.ready().address.parse()?;
    let carol = Bare::register(&Dialer::towards(address)?, &link, "carol".to_owned()).await?;
    carol.client.call(&RequestContact { name: "bob".parse()?, server: None }).await?;
    eventually(PATIENCE, async || scene.bob.ask(&["contact", "accept", "@carol"]).await).await?;

    let bob = carol.client.call(&ResolveUser { name: "bob".parse()?, server: None }).await?.user;
    let whoami = scene.bob.ask(&["whoami"]).await?;
    let device = whoami.get("device").and_then(Value::as_str).context("no device")?;
    let device: DeviceId = device.parse()?;
    let claim = async || -> Result<bool> {
        let claim = ItemId::from_bytes(random()?);
        let claim = ClaimPrekeys { claim, user: bob, devices: vec![device] };
        let bundles = carol.client.call(&claim).await?.bundles;
        Ok(bundles.first().context("no bundle")?.one_time.is_some())
    };
    ensure!(claim().await?, "there was no one-time key to begin with");
    let mut ended = false;
    for _ in 0..200 {
        if !claim().await? {
            ended = true;
            break;
        }
    }
    ensure!(ended, "they do not end");
    eventually(PATIENCE, async || {
        ensure!(claim().await?, "none was made");
        Ok(())
    })
    .await?;
    // And a real client begins a session with one of them.
    scene.alice.send("@bob", "hello").await?;
    scene.bob.read_all("@alice", 1, PATIENCE).await?;
    agent.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_new_recovery_key_takes_the_place_of_the_old_one() -> Result<()> {
    let scene = Couple::of_friends().await?;
    exchange(&scene, "hello", 1).await?;
    let (old, new) = (scene.world.path().join("old"), scene.world.path().join("new"));
    fs::rename(scene.bob.recovery_key_file(), &old)?;
    let create = ["recovery", "create", "--recovery-key-file", text(&new)?];
    scene.bob.ask(&[&create[..], &["--old-recovery-key-file", text(&old)?]].concat()).await?;
    ensure!(fs::read(&old)? != fs::read(&new)?, "it is the same key");
    fs::remove_dir_all(scene.bob.home())?;

    let found = scene.world.profile("bob", "found")?;
    let link = &scene.server.ready().invite;
    found.log_in(link).await?;
    let refused = found.run(&["recovery", "use", "--recovery-key-file", text(&old)?]).await?;
    ensure!(refused.code() > 0 && !refused.stderr.is_empty(), "the old one is taken: {refused}");
    let read = found.run(&["read", "@alice", "--json"]).await?;
    ensure!(read.code() != 0 && read.stdout.is_empty(), "it reads all the same: {read}");
    found.ask(&["recovery", "use", "--recovery-key-file", text(&new)?]).await?;
    found.read_all("@alice", 2, PATIENCE).await?;
    Ok(())
}

#[tokio::test]
async fn a_closed_account_is_closed_for_everybody() -> Result<()> {
    let scene = Couple::of_friends().await?;
    exchange(&scene, "hello", 1).await?;
    let (password, wrong) = (scene.world.path().join("password"), scene.world.path().join("wrong"));
    fs::write(&password, "the password of bob\n")?;
    fs::write(&wrong, "not the password of bob\n")?;
    let delete = |file| -> Result<_> {
        Ok(["account", "delete", "--json", "--yes", "--password-file", text(file)?])
    };
    scene.bob.run(&delete(&wrong)?).await?.exit(NOT_PERMITTED)?;
    scene.bob.send("@alice", "still here").await?;
    let closed = scene.bob.run(&delete(&password)?).await?.success()?.json()?;
    ensure!(closed.get("state") == Some(&Value::from("closed")), "{closed}");

    scene.bob.run(&["send", "@alice", "and now?"]).await?.exit(LOCKED)?;
    // What is stored here stays readable.
    let shown = scene.bob.read("@alice", 10).await?;
    ensure!(shown.iter().any(|message| message.text == "still here"), "{shown:?}");
    let again = scene.world.profile("bob", "again")?;
    ensure!(again.log_in(&scene.server.ready().invite).await.is_err(), "it was let log in");
    let successor = scene.world.profile("bob", "successor")?;
    let link = scene.server.invite(1).await?;
    ensure!(successor.register(&link).await.is_err(), "the name was given to somebody else");
    eventually(PATIENCE, async || {
        let sent = scene.alice.run(&["send", "@bob", "bob?", "--timeout", "5s"]).await?;
        ensure!(sent.code() != 0, "a closed account was sent to: {sent}");
        ensure!(!sent.stderr.contains("queued"), "it is tried for ever: {sent}");
        Ok(())
    })
    .await
}

/// Both write in turn, and read what the other wrote.
async fn exchange(couple: &Couple, when: &str, times: usize) -> Result<()> {
    for number in 0..times {
        for (from, to) in [(&couple.alice, &couple.bob), (&couple.bob, &couple.alice)] {
            let text = format!("{} {when} {number}", from.user());
            from.send(&format!("@{}", to.user()), &text).await?;
            eventually(PATIENCE, async || {
                let shown = to.read(&format!("@{}", from.user()), 100).await?;
                ensure!(shown.iter().any(|message| message.text == text), "no {text:?}");
                Ok(())
            })
            .await?;
        }
    }
    Ok(())
}

/// What `writer` said after the store was put back.
fn after(shown: &[Message], writer: &str) -> Vec<String> {
    let prefix = format!("{writer} after ");
    let texts = shown.iter().map(|message| message.text.clone());
    texts.filter(|text| text.starts_with(&prefix)).collect()
}

async fn copy_directory(from: &Path, to: &Path) -> Result<()> {
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(from).arg(to);
    run(copy, b"", PATIENCE).await?.success()?;
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

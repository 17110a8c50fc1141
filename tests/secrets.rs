//! Where a store's passphrase comes from: a file, a descriptor, a command, what systemd hands over; and what a wrong one comes to.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use rookery_tests::{
    process::{Finished, PATIENCE, binary, run},
    profile::Profile,
    world::World,
};
use tokio::process::Command;

const LOCKED: i32 = 8;

#[tokio::test]
async fn a_passphrase_comes_by_file_descriptor_command_or_credential() -> Result<()> {
    let world = World::new()?;
    let server = world.homeserver("nest").start().await?;
    let alice = world.profile("alice", "laptop")?;
    let secrets = Secrets::new(&world)?;
    let (right, wrong) = (text(&secrets.right)?, text(&secrets.wrong)?);
    let password = world.path().join("password");
    fs::write(&password, "the password of alice\n")?;
    let link = &server.ready().invite;
    let register = ["register", link, "alice", "--password-file", text(&password)?];
    alice.run(&[&register[..], &["--passphrase-file", right]].concat()).await?.success()?;
    ensure!(!alice.home().join("store.key").exists(), "a key file opens it as well");

    for (secret, code) in [(&secrets.right, 0), (&secrets.wrong, LOCKED)] {
        let file = text(secret)?;
        by(&alice, &["--passphrase-file", file], code).await?;
        by(&alice, &["--passphrase-command", &format!("cat '{file}'")], code).await?;
        by_descriptor(&alice, file).await?.exit(code)?;
    }
    by(&alice, &["--passphrase-command", "exit 3"], LOCKED).await?;
    by(&alice, &[], LOCKED).await?;

    with_credential(&alice, &secrets.passphrase).await?.success()?;
    with_credential(&alice, &secrets.wrong_passphrase).await?.exit(LOCKED)?;
    with_credential(&alice, &secrets.empty).await?.exit(LOCKED)?;

    // Whoever asks a running agent needs none, and cannot be asked for a wrong one.
    let mut agent = alice.start(&["daemon", "--passphrase-file", right])?;
    alice.wait_until_connected().await?;
    by(&alice, &[], 0).await?;
    by(&alice, &["--passphrase-file", wrong], 0).await?;
    agent.stop().await?;
    by(&alice, &[], LOCKED).await
}

#[tokio::test]
async fn a_key_that_systemd_keeps_opens_the_store_and_no_other_does() -> Result<()> {
    let world = World::new()?;
    let server = world.homeserver("nest").start().await?;
    let alice = world.profile("alice", "laptop")?;
    let secrets = Secrets::new(&world)?;
    let password = world.path().join("password");
    fs::write(&password, "the password of alice\n")?;
    let link = &server.ready().invite;
    let mut register =
        alice.command(&["register", link, "alice", "--password-file", text(&password)?])?;
    register.env("CREDENTIALS_DIRECTORY", &secrets.key);
    run(register, b"", PATIENCE).await?.success()?;
    ensure!(!alice.home().join("store.key").exists(), "a key file opens it as well");
    with_credential(&alice, &secrets.key).await?.success()?;
    with_credential(&alice, &secrets.wrong_key).await?.exit(LOCKED)?;
    by(&alice, &[], LOCKED).await
}

/// Files and systemd's directories.
struct Secrets {
    right: std::path::PathBuf,
    wrong: std::path::PathBuf,
    passphrase: std::path::PathBuf,
    wrong_passphrase: std::path::PathBuf,
    key: std::path::PathBuf,
    wrong_key: std::path::PathBuf,
    empty: std::path::PathBuf,
}

impl Secrets {
    fn new(world: &World) -> Result<Self> {
        let file = |name: &str, content: &[u8]| -> Result<_> {
            let path = world.path().join("secrets").join(name);
            fs::create_dir_all(path.parent().context("parent")?)?;
            fs::write(&path, content)?;
            Ok(path)
        };
        let credential = |directory: &str, name: &str, content: &[u8]| -> Result<_> {
            let path = file(&format!("{directory}/{name}"), content)?;
            Ok(path.parent().context("parent")?.to_owned())
        };
        let empty = world.path().join("secrets/empty");
        fs::create_dir_all(&empty)?;
        Ok(Self {
            right: file("right", b"correct horse\n")?,
            wrong: file("wrong", b"correct horsf\n")?,
            passphrase: credential("1", "rookery-passphrase", b"correct horse\n")?,
            wrong_passphrase: credential("2", "rookery-passphrase", b"wrong horse\n")?,
            key: credential("3", "rookery-key", &[7; 32])?,
            wrong_key: credential("4", "rookery-key", &[8; 32])?,
            empty,
        })
    }
}

/// `whoami` with `flags` ends with `code`, and says who it is only if it was let in.
async fn by(profile: &Profile, flags: &[&str], code: i32) -> Result<()> {
    let answer = profile.run(&[&["whoami"], flags].concat()).await?.exit(code)?;
    ensure!(answer.stdout.contains("alice@nest") == (code == 0), "{answer}");
    ensure!(answer.stderr.is_empty() == (code == 0), "no word on standard error: {answer}");
    Ok(())
}

async fn by_descriptor(profile: &Profile, file: &str) -> Result<Finished> {
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(r#""$0" whoami --passphrase-fd 7 7< <(cat "$1")"#);
    shell.arg(binary("rookery")?).arg(file);
    shell.env("ROOKERY_HOME", profile.home()).env_remove("XDG_RUNTIME_DIR");
    run(shell, b"", PATIENCE).await
}

async fn with_credential(profile: &Profile, directory: &Path) -> Result<Finished> {
    let mut command = profile.command(&["whoami"])?;
    command.env("CREDENTIALS_DIRECTORY", directory);
    run(command, b"", PATIENCE).await
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

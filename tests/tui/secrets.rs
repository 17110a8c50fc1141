//! What is secret: the password, the recovery key, the keys' state, and the lock.

use anyhow::{Context as _, Result, ensure};
use rookery_tests::{
    process::{PATIENCE, run},
    screen::{Key, Setup, Terminal, text_of},
    world::eventually,
};

use crate::scene::{Scene, quit, start, write};

#[tokio::test]
async fn the_password_is_changed_on_the_screen_and_never_shown() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    terminal.type_text("/password\r")?;
    terminal.wait_text("password until now")?;
    terminal.type_text("the password of alice\r")?;
    terminal.wait_text("All your other sessions")?;
    terminal.type_text("correct horse battery\r")?;
    terminal.wait_text("The new one again")?;
    terminal.type_text("correct horse battery\r")?;
    terminal.wait_text("The password is changed")?;
    quit(&mut terminal)?;
    let raw = terminal.raw();
    ensure!(!raw.windows(7).any(|part| part == b"battery"), "the password was written");
    // The new one lets another device in, the old one none.
    let phone = scene.world.profile("alice", "phone")?;
    ensure!(phone.log_in(&scene.server.ready().invite).await.is_err(), "the old one still counts");
    let file = scene.world.path().join("new-password");
    std::fs::write(&file, "correct horse battery\n")?;
    let file = file.to_str().context("path")?;
    let login = ["login", &scene.server.ready().invite, "alice", "--password-file", file];
    phone.run(&login).await?.success()?;
    Ok(())
}

/// The groups of the key that a screen shows.
fn groups(terminal: &Terminal) -> Vec<String> {
    let screen = terminal.screen();
    let is_group = |word: &&str| {
        word.len() == 4 && word.chars().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit())
    };
    let rows = screen.lines().filter(|row| row.split_whitespace().filter(is_group).count() >= 2);
    let key = rows.skip_while(|row| row.split_whitespace().filter(is_group).count() < 4);
    key.take(4).flat_map(str::split_whitespace).filter(is_group).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_new_recovery_key_is_made_on_the_screen() -> Result<()> {
    let scene = Scene::talking().await?;
    let old = std::fs::read_to_string(scene.alice.recovery_key_file())?;
    let mut terminal = scene.alice_at_her_screen().await?;
    terminal.type_text("/keys\r")?;
    terminal.wait_text("there is one, since")?;
    terminal.wait_text("generation 1")?;
    terminal.press(Key::Character('r'))?;
    terminal.wait_text("takes the place of the recovery key")?;
    terminal.paste(old.trim())?;
    terminal.press(Key::Enter)?;
    terminal.wait_text("Write it down now")?;
    let new = groups(&terminal);
    ensure!(new.len() == 14, "{new:?}\n{}", terminal.dump());
    terminal.press(Key::Enter)?;
    terminal.wait_text("Type groups")?;
    let asked: Vec<usize> = terminal
        .screen()
        .lines()
        .find(|row| row.contains("Type groups"))
        .context("no question")?
        .split(|one: char| !one.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    let [one, other] = asked[..] else { anyhow::bail!("{asked:?}\n{}", terminal.dump()) };
    terminal.type_text(&format!("{} {}\r", new[one - 1], new[other - 1]))?;
    terminal.wait_text("The new recovery key is in force")?;
    quit(&mut terminal)?;
    // The new one brings a device back, the old one none.
    let key = scene.world.path().join("paper");
    let found = scene.world.profile("alice", "found")?;
    std::fs::write(&key, &old)?;
    ensure!(found.recover(&scene.server.ready().invite, &key).await.is_err(), "the old one counts");
    std::fs::write(&key, new.join("-"))?;
    let path = key.to_str().context("path")?;
    found.ask(&["recovery", "use", "--recovery-key-file", path]).await?;
    let keys = found.ask(&["recovery", "show"]).await?;
    ensure!(keys["devices"] == 2 && keys["generation"] == 2, "{keys}");
    Ok(())
}

#[tokio::test]
async fn a_store_under_a_passphrase_is_locked_and_opened_again() -> Result<()> {
    let scene = Scene::new().await?;
    let carol = scene.world.profile("carol", "laptop")?;
    let phrase = scene.world.path().join("phrase");
    std::fs::write(&phrase, "correct horse battery\n")?;
    let phrase = phrase.to_str().context("path")?;
    let password = scene.world.path().join("carols");
    std::fs::write(&password, "the password of carol\n")?;
    let invite = scene.server.invite(1).await?;
    let register =
        ["register", &invite, "carol", "--password-file", password.to_str().context("path")?];
    carol.run(&[&register[..], &["--passphrase-file", phrase]].concat()).await?.success()?;
    let mut terminal = start(&carol, &Setup::default())?;
    terminal.wait_text("Passphrase")?;
    terminal.type_text("correct horse battery\r")?;
    terminal.wait_text("Ctrl+K goes to")?;
    terminal.press(Key::Control('p'))?;
    terminal.type_text("lock the store\r")?;
    terminal.wait_text("The store on this machine is locked")?;
    // Nobody answers for it any more, and nobody gets in without the passphrase.
    eventually(PATIENCE, async || {
        let status = run(carol.command(&["whoami"])?, b"", PATIENCE).await?;
        ensure!(status.code() == 8, "{status}");
        Ok(())
    })
    .await?;
    terminal.type_text("correct horse battery\r")?;
    terminal.wait_no_text("is locked")?;
    terminal.wait_text("Ctrl+K goes to")?;
    carol.run(&["whoami"]).await?.success()?;
    // From elsewhere as well.
    carol.run(&["lock"]).await?.success()?;
    terminal.wait_text("The store on this machine is locked")?;
    quit(&mut terminal)
}

#[tokio::test]
async fn a_store_with_a_key_file_says_that_locking_it_would_be_no_use() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    write(&mut terminal, "/lock")?;
    terminal.press(Key::Enter)?;
    terminal.wait_text("key file opens this store")?;
    ensure!(text_shows(&terminal, "the second word"), "{}", terminal.dump());
    quit(&mut terminal)?;
    let lock = scene.alice.run(&["lock"]).await?;
    ensure!(lock.code() == 1, "{lock}");
    Ok(())
}

fn text_shows(terminal: &Terminal, text: &str) -> bool {
    terminal.look(|screen, _| text_of(screen).contains(text))
}

//! What others send and are: trust, unread marks, notifications, hostile words, wide letters; and the first run.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use rookery_tests::{
    process::{PATIENCE, run},
    screen::{Key, Screen, Setup, text_of},
    world::{World, eventually},
};

use crate::scene::{QUIET, Scene, escape, open, quit, say, start, start_with, wait_written, write};

#[tokio::test]
async fn pain_05_a_person_is_verified_on_one_screen_in_both_directions() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut alice = scene.alice_at_her_screen().await?;
    let mut bob = start(&scene.bob, &Setup::default())?;
    bob.wait_text("the second word")?;
    alice.type_text("/verify @bob \r")?;
    bob.type_text("/verify @alice \r")?;
    let numbers = |text: &str| {
        let mut groups: Vec<String> = text
            .split(|character: char| !character.is_ascii_digit())
            .filter(|group| group.len() >= 4)
            .map(str::to_owned)
            .collect();
        groups.sort();
        groups
    };
    let shows = move |screen: &Screen| numbers(&text_of(screen)).len() >= 3;
    alice.wait_for("the numbers", shows)?;
    bob.wait_for("the numbers", shows)?;
    ensure!(numbers(&alice.screen()) == numbers(&bob.screen()), "{}\n{}", alice.dump(), bob.dump());
    alice.press(Key::Character('y'))?;
    alice.wait_text("is verified")?;
    eventually(PATIENCE, async || {
        let listed = scene.alice.run(&["contact", "list", "--json"]).await?;
        ensure!(listed.stdout.contains("\"verified\""), "{listed}");
        Ok(())
    })
    .await?;
    quit(&mut alice)?;
    quit(&mut bob)
}

#[tokio::test]
async fn pain_06_a_new_device_of_somebody_stops_nothing() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    let phone = scene.world.profile("bob", "phone")?;
    phone.link_to(&scene.bob, &scene.server.ready().invite).await?;
    say(&mut terminal, "to both devices")?;
    phone.read_all("@alice", 1, PATIENCE).await?;
    phone.send("@alice", "from the new device").await?;
    terminal.wait_text("from the new device")?;
    quit(&mut terminal)
}

#[tokio::test]
async fn pain_09_unread_marks_are_right_after_a_restart() -> Result<()> {
    let scene = Scene::talking().await?;
    scene.alice.ask(&["community", "create", "club"]).await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    // Another room is open while Bob writes.
    terminal.press(Key::AltDown)?;
    terminal.wait_for("the club", |screen| {
        text_of(screen).starts_with(' ') || !text_of(screen).is_empty()
    })?;
    terminal.wait_no_text("the second word")?;
    scene.bob.send("@alice", "unread one").await?;
    scene.bob.send("@alice", "unread two").await?;
    // The list of rooms is at the left.
    let marked =
        |screen: &Screen| screen.rows(0, 19).any(|row| row.contains("bob") && row.contains('2'));
    terminal.wait_for("two unread", marked)?;
    quit(&mut terminal)?;
    // Reading them takes the mark away, on the screen and for scripts.
    let mut terminal = open(&scene.alice, &Setup::default())?;
    terminal.wait_text("unread two")?;
    eventually(PATIENCE, async || {
        let rooms = scene.alice.run(&["rooms", "--unread", "--json"]).await?.success()?;
        ensure!(!rooms.stdout.contains("bob"), "{rooms}");
        Ok(())
    })
    .await?;
    quit(&mut terminal)?;
    let mut terminal = open(&scene.alice, &Setup::default())?;
    terminal.wait_text("unread two")?;
    ensure!(!terminal.look(|screen, _| marked(screen)), "{}", terminal.dump());
    quit(&mut terminal)
}

#[tokio::test]
async fn pain_10_a_message_rings_only_when_nobody_looks() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    let rung = |terminal: &rookery_tests::screen::Terminal| {
        terminal.look(|_, emulator| {
            emulator.bells
                + emulator
                    .commands
                    .iter()
                    .filter(|command| command.starts_with("9;") || command.starts_with("777;"))
                    .count()
        })
    };
    ensure!(terminal.look(|_, emulator| emulator.has_mode(1004)), "the focus is not asked for");
    scene.bob.send("@alice", "seen as it comes").await?;
    terminal.wait_text("seen as it comes")?;
    terminal.wait_quiet(QUIET)?;
    ensure!(rung(&terminal) == 0, "it rang before her eyes");
    terminal.write(b"\x1b[O")?;
    terminal.wait_quiet(QUIET)?;
    scene.bob.send("@alice", "while she is away").await?;
    terminal.wait_text("while she is away")?;
    eventually(PATIENCE, async || {
        ensure!(rung(&terminal) > 0, "{}", terminal.dump());
        Ok(())
    })
    .await?;
    // Another message's words cannot name a command of the terminal.
    let before = rung(&terminal);
    terminal.write(b"\x1b[I")?;
    terminal.type_text("/mute on\r")?;
    terminal.wait_quiet(QUIET)?;
    terminal.write(b"\x1b[O")?;
    scene.bob.send("@alice", "into a muted room").await?;
    terminal.wait_text("into a muted room")?;
    terminal.wait_quiet(QUIET)?;
    ensure!(rung(&terminal) == before, "a muted room rang\n{}", terminal.dump());
    quit(&mut terminal)
}

#[tokio::test]
async fn pain_18_wide_and_joined_characters_shift_nothing() -> Result<()> {
    let scene = Scene::talking().await?;
    for text in [
        "日本語の行",
        "family 👨‍👩‍👧‍👦 here",
        "heart ❤️ and flag 🇩🇪",
        "e\u{301}a\u{308} combined",
        "ﷺ long",
    ] {
        let sending = scene.bob.command(&["send", "@alice", "-"])?;
        run(sending, text.as_bytes(), PATIENCE).await?.success()?;
    }
    let mut terminal = open(&scene.alice, &Setup::default())?;
    terminal.wait_text("combined")?;
    terminal.wait_text("long")?;
    // The line between the list and the conversation stands in one column.
    let columns = terminal.look(|screen, _| {
        let (rows, columns) = screen.size();
        let is_line = |row: u16, column: u16| {
            screen.cell(row, column).is_some_and(|cell| ["│", "|"].contains(&cell.contents()))
        };
        let found =
            (2..rows.get() - 5).map(|row| (0..columns.get()).find(|column| is_line(row, *column)));
        found.collect::<Vec<_>>()
    });
    ensure!(columns.first().is_some_and(Option::is_some), "no line\n{}", terminal.dump());
    ensure!(columns.windows(2).all(|pair| pair[0] == pair[1]), "{columns:?}\n{}", terminal.dump());
    quit(&mut terminal)
}

#[tokio::test]
async fn pain_19_a_locked_store_asks_and_needs_no_keyring() -> Result<()> {
    let world = World::new()?;
    let server = world.homeserver("nest").start().await?;
    let alice = world.profile("alice", "laptop")?;
    let phrase = world.path().join("phrase");
    let password = world.path().join("password");
    fs::write(&phrase, "correct horse battery\n")?;
    fs::write(&password, "the password of alice\n")?;
    let (phrase, password) = (phrase.to_str().context("path")?, password.to_str().context("path")?);
    let link = &server.ready().invite;
    let register = ["register", link, "alice", "--password-file", password];
    alice.run(&[&register[..], &["--passphrase-file", phrase]].concat()).await?.success()?;
    let mut terminal = start(&alice, &Setup::default())?;
    terminal
        .wait_for("a question", |screen| text_of(screen).to_lowercase().contains("passphrase"))?;
    terminal.type_text("wrong entirely\r")?;
    terminal.wait_for("a refusal", |screen| text_of(screen).contains("not its passphrase"))?;
    ensure!(!terminal.screen().contains("wrong entirely"), "it is shown\n{}", terminal.dump());
    terminal.type_text("correct horse battery\r")?;
    terminal.wait_text("online")?;
    let raw = terminal.raw();
    ensure!(!raw.windows(7).any(|part| part == b"battery"), "the passphrase was written");
    quit(&mut terminal)?;
    // Or from a file, with no question.
    let mut terminal = start_with(&alice, &["--passphrase-file", phrase], &Setup::default())?;
    terminal.wait_text("online")?;
    quit(&mut terminal)
}

/// Nothing is configured: an invite link, a name, a recovery key, and a first conversation.
#[tokio::test]
async fn pain_20_the_first_run_needs_nothing_but_a_terminal() -> Result<()> {
    let world = World::new()?;
    let server = world.homeserver("nest").start().await?;
    let link = server.invite(2).await?;
    let bob = world.profile("bob", "laptop")?;
    bob.register(&link).await?;
    let alice = world.profile("alice", "laptop")?;
    let mut terminal = start(&alice, &Setup::default())?;
    terminal.wait_text("invitation")?;
    terminal.paste(&link)?;
    terminal.wait_text("rookery://")?;
    terminal.press(Key::Enter)?;
    terminal.wait_text("Your name")?;
    terminal.type_text("alice\r")?;
    terminal.wait_text("A password")?;
    terminal.type_text("the password of alice\r")?;
    terminal.wait_text("again")?;
    terminal.type_text("the password of alice\r")?;
    terminal.wait_text("This device")?;
    terminal.press(Key::Enter)?;
    terminal.wait_text("locked")?;
    terminal.press(Key::Enter)?;
    // The key is shown once, and two of its groups are typed back.
    terminal.wait_text("Your recovery key")?;
    let groups = groups_of(&terminal.screen());
    ensure!(groups.len() == 14, "{groups:?}\n{}", terminal.dump());
    terminal.press(Key::Enter)?;
    terminal.wait_text("Type groups")?;
    ensure!(!terminal.screen().contains(&groups[3]), "the key is still shown");
    let asked = numbers_in(&terminal.screen(), groups.len());
    ensure!(asked.len() == 2, "which groups are asked for?\n{}", terminal.dump());
    let answer: Vec<&str> = asked.iter().map(|number| groups[number - 1].as_str()).collect();
    terminal.type_text(&answer.join(" "))?;
    terminal.press(Key::Enter)?;
    terminal.wait_text("online")?;
    terminal.type_text("/contact @bob \r")?;
    terminal.wait_text("Asked: @bob")?;
    eventually(PATIENCE, async || bob.ask(&["contact", "accept", "@alice"]).await).await?;
    bob.send("@alice", "welcome").await?;
    terminal.wait_text("welcome")?;
    quit(&mut terminal)
}

/// The groups of four of a key that stands in numbered rows.
fn groups_of(text: &str) -> Vec<String> {
    let rows = text.split('\n').filter_map(|row| {
        let (number, groups) = row.trim().split_once(' ')?;
        number.parse::<usize>().ok().map(|_| groups)
    });
    let is_group = |word: &&str| word.len() == 4 && word.chars().all(|c| c.is_ascii_alphanumeric());
    rows.flat_map(str::split_whitespace).filter(is_group).map(str::to_owned).collect()
}

/// The numbers up to `most` in a text that asks for some.
fn numbers_in(text: &str, most: usize) -> Vec<usize> {
    let row = text.split('\n').find(|row| row.contains("group")).unwrap_or_default();
    row.split(|character: char| !character.is_ascii_digit())
        .filter_map(|word| word.parse().ok())
        .filter(|number| (1..=most).contains(number))
        .collect()
}

#[tokio::test]
async fn pain_11_and_21_a_terminal_gets_text_that_can_be_copied_and_no_pictures() -> Result<()> {
    let scene = Scene::talking().await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    ensure!(
        terminal.look(|screen, _| screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None),
        "the mouse is taken from the terminal"
    );
    terminal.press(Key::Alt('l'))?;
    terminal.wait_for("the bare view", |screen| !text_of(screen).contains('│'))?;
    terminal.wait_text("the first word")?;
    escape(&mut terminal)?;
    terminal.wait_text("│")?;
    terminal.press(Key::Up)?;
    terminal.wait_quiet(QUIET)?;
    terminal.press(Key::Character('y'))?;
    eventually(PATIENCE, async || {
        let copied = terminal.look(|_, emulator| emulator.copied.clone());
        // "the second word" in base64.
        ensure!(copied == ["dGhlIHNlY29uZCB3b3Jk"], "{copied:?}");
        Ok(())
    })
    .await?;
    ensure!(terminal.look(|_, emulator| emulator.pasted) == 0, "the clipboard was asked for");
    quit(&mut terminal)?;
    let raw = terminal.raw();
    for picture in [&b"\x1b_G"[..], b"\x1bPq", b"\x1b]1337;File"] {
        ensure!(!raw.windows(picture.len()).any(|part| part == picture), "a picture was written");
    }
    Ok(())
}

/// Who comes is told among the messages, and makes nothing unread.
#[tokio::test]
async fn who_joins_a_community_is_told_in_its_rooms() -> Result<()> {
    let scene = Scene::talking().await?;
    scene.alice.ask(&["community", "create", "club"]).await?;
    let made = scene.alice.ask(&["community", "invite", "club"]).await?;
    let link = made["link"].as_str().context("link")?.to_owned();
    let mut terminal = scene.alice_at_her_screen().await?;
    terminal.wait_text("general")?;
    terminal.type_text("/go club#general\r")?;
    terminal.wait_text("founded this community")?;
    say(&mut terminal, "before he came")?;
    scene.bob.ask(&["community", "join", &link]).await?;
    terminal.wait_text("bob joined")?;
    let rooms = scene.alice.run(&["rooms", "--unread", "--json"]).await?.success()?;
    ensure!(!rooms.stdout.contains("club"), "{rooms}");
    terminal.type_text("/set events hidden\r")?;
    terminal.wait_no_text("bob joined")?;
    quit(&mut terminal)
}

#[tokio::test]
async fn code_gets_its_colours() -> Result<()> {
    let scene = Scene::talking().await?;
    let sending = scene.bob.command(&["send", "@alice", "-"])?;
    run(sending, b"```rust\nlet answer = 42;\n```", PATIENCE).await?.success()?;
    let mut terminal = open(&scene.alice, &Setup::default())?;
    terminal.wait_for("code in colours", |screen| {
        let (rows, columns) = screen.size();
        let colours = |row: u16| {
            let cells = (20..columns.get()).filter_map(|column| screen.cell(row, column));
            let cells = cells.filter(|cell| !cell.contents().trim().is_empty());
            cells
                .map(|cell| format!("{:?}", cell.fgcolor()))
                .collect::<std::collections::BTreeSet<_>>()
        };
        let is_it = |row: &u16| {
            let text = screen.rows(0, columns.get()).nth((*row).into());
            text.is_some_and(|text| text.contains("let answer"))
        };
        (0..rows.get()).find(is_it).is_some_and(|row| colours(row).len() > 1)
    })?;
    quit(&mut terminal)
}

/// Names, topics and texts that would set the title, fill the clipboard, clear the screen or turn the text around.
#[tokio::test]
async fn pain_23_the_words_of_others_cannot_drive_the_terminal() -> Result<()> {
    let scene = Scene::talking().await?;
    let hostile = "evil\u{1b}]0;owned\u{7}\u{1b}]52;c;b3duZWQ=\u{7}\u{1b}[2J\u{1b}[?1049l\u{9b}31m\u{8}\u{7f}\u{202e}txt\u{2066}\u{200f}\u{0}\u{1b}Pq#0\u{1b}\\end";
    let name = "bob\u{202e}obb\u{1b}[31m";
    scene.bob.ask(&["profile", "set", "--display-name", name]).await?;
    let mut terminal = scene.alice_at_her_screen().await?;
    eventually(PATIENCE, async || {
        let listed = scene.alice.run(&["contact", "list", "--json"]).await?.success()?;
        ensure!(listed.stdout.contains("obb"), "her list does not have his name: {listed}");
        Ok(())
    })
    .await?;
    let sending = scene.bob.command(&["send", "@alice", "-"])?;
    run(sending, hostile.as_bytes(), PATIENCE).await?.success()?;
    terminal.wait_text("end")?;
    terminal.wait_text("evil")?;
    terminal.wait_text("the second word")?;
    // In a notification and in a title as well.
    terminal.write(b"\x1b[O")?;
    let sending = scene.bob.command(&["send", "@alice", "-"])?;
    run(sending, format!("again {hostile}").as_bytes(), PATIENCE).await?.success()?;
    terminal.wait_text("again")?;
    terminal.wait_quiet(QUIET)?;
    write(&mut terminal, "still mine")?;
    wait_written(&mut terminal, "still mine")?;
    terminal.look(|screen, emulator| {
        ensure!(screen.alternate_screen(), "it left the screen");
        ensure!(emulator.copied.is_empty(), "the clipboard was filled: {:?}", emulator.copied);
        let owned = emulator.titles.iter().any(|title| title == "owned");
        ensure!(!owned, "the title was set: {:?}", emulator.titles);
        ensure!(emulator.unknown.is_empty(), "{:?}", emulator.unknown);
        Ok(())
    })?;
    let raw = String::from_utf8_lossy(&terminal.raw()).into_owned();
    let turned = raw.chars().find(|character| {
        matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{80}'..='\u{9f}')
    });
    ensure!(turned.is_none(), "{turned:?} was written");
    quit(&mut terminal)
}

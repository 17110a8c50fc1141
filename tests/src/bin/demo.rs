//! `cargo demo`: two people, three devices and a homeserver, on this machine and gone afterwards.
//!
//! With `--headless` it shows a sealed conversation from its first word to its last reader, and that the server has
//! none of it. Without, it opens the screen as Alice, among people who answer.

use std::{
    collections::BTreeSet,
    env, fs,
    path::Path,
    process::{ExitCode, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use rookery_tests::{
    homeserver::Homeserver,
    process::{PATIENCE, Running, binary},
    profile::{Message, Profile},
    search::{Search, files_below},
    world::{World, befriend, eventually},
};
use tokio::process::Command;

/// A homeserver, two people, and a sealed conversation between them.
#[derive(Debug, Parser)]
#[command(name = "cargo demo")]
struct Arguments {
    /// Only shows the conversation, and opens no screen.
    #[arg(long)]
    headless: bool,
}

/// What is said in the community's channel, in turn by Alice and Bob.
const GATHERING: [&str; 4] = [
    "Welcome to the ledge, everybody. Rule one: no gulls.",
    "Rule two: herring is shared equally.",
    "Rule three: whoever snores sleeps downwind.",
    "I move that rule three be pinned.",
];

/// Who says what. The name is a device; the device's person is who it comes from.
const CONVERSATION: [(&str, &str); 6] = [
    ("alice/laptop", "Morning, Bob. Three chicks hatched under the north ledge overnight."),
    ("bob/laptop", "Splendid! Shall I bring herring?"),
    ("alice/laptop", "Bring plenty. And tell no one which ledge, the gulls have ears."),
    ("bob/phone", "On my way; sent from the boat."),
    ("alice/laptop", "You own more gadgets than I have flippers."),
    ("bob/laptop", "And each of them heard you. The nest just saw wax."),
];

#[tokio::main]
async fn main() -> ExitCode {
    match show(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn show(arguments: &Arguments) -> Result<()> {
    let world = World::new()?;
    let stage = tokio::select! {
        stage = perform(&world) => stage?,
        // Returning, rather than being killed, is what takes the world away.
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    };
    if !arguments.headless {
        stage.open_screen(&world).await?;
    }
    Ok(())
}

async fn perform(world: &World) -> Result<Stage> {
    build().await?;
    let stage = Stage::set(world).await?;
    stage.converse().await?;
    stage.gather().await?;
    stage.search_the_server()?;
    Ok(stage)
}

/// Builds the two binaries as this program was built: of all three packages together, since what they need is then built with the same
/// features, and not once more.
async fn build() -> Result<()> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--locked", "--bin", "rookery", "--bin", "rookeryd"]);
    cargo.args(["-p", "rookery-homeserver", "-p", "rookery-cli", "-p", "rookery-tests"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let built = cargo.current_dir(root).status().await.context("cannot run cargo")?;
    ensure!(built.success(), "the build failed");
    Ok(())
}

/// The homeserver, and everybody on it.
struct Stage {
    server: Homeserver,
    devices: Vec<Profile>,
}

impl Stage {
    async fn set(world: &World) -> Result<Self> {
        let server = world.homeserver("nest").start().await?;
        let ready = server.ready();
        println!("homeserver    {} at {}", ready.name, ready.address);
        println!("              {}", ready.fingerprint);

        let alice = world.profile("alice", "laptop")?;
        alice.register(&ready.invite).await?;
        println!("alice/laptop  registered as alice@{}", ready.name);
        let link = server.invite(1).await?;
        let bob = world.profile("bob", "laptop")?;
        bob.register(&link).await?;
        println!("bob/laptop    registered as bob@{}", ready.name);
        let phone = world.profile("bob", "phone")?;
        phone.link_to(&bob, &link).await?;
        println!("bob/phone     linked to bob/laptop by a short code");
        befriend(&alice, &bob).await?;
        println!("              alice and bob are contacts\n");
        Ok(Self { server, devices: vec![alice, bob, phone] })
    }

    /// Has everything said, each line when the one before has been heard by everybody else.
    async fn converse(&self) -> Result<()> {
        let mut agents = Vec::new();
        let mut listeners = Vec::new();
        for device in &self.devices {
            agents.push(device.start_agent()?);
            device.wait_until_connected().await?;
            listeners.push((device, device.start_tail()?));
        }
        for (label, text) in CONVERSATION {
            let speaker = self.devices.iter().find(|device| device.label() == label);
            let speaker = speaker.context("nobody of that name")?;
            let id = speaker.send(other(speaker), text).await?;
            println!("{label:13} > {text}");
            for (listener, tail) in &mut listeners {
                if listener.label() != label {
                    let message = hear(tail, &id).await?;
                    ensure!(message.text == text, "{} heard {message:?}", listener.label());
                    println!("{:13} < {}: {}", listener.label(), message.from, message.text);
                }
            }
            println!();
        }
        for (_, tail) in &mut listeners {
            tail.stop().await?;
        }
        for agent in &mut agents {
            agent.stop().await?;
        }
        Ok(())
    }

    /// Has Alice found a community, and both talk in its channel.
    async fn gather(&self) -> Result<()> {
        let [alice, bob, ..] = self.devices.as_slice() else { bail!("alice and bob are missing") };
        let mut agents = [alice.start_agent()?, bob.start_agent()?];
        for device in [alice, bob] {
            device.wait_until_connected().await?;
        }
        alice.ask(&["community", "create", "Rookery", "--topic", "Everything but gulls"]).await?;
        let invited = alice.ask(&["community", "invite", "rookery"]).await?;
        let link = invited.get("link").and_then(serde_json::Value::as_str).context("no link")?;
        bob.ask(&["community", "join", link]).await?;
        println!("              alice founds the community Rookery, and bob joins by its link\n");
        let mut last = String::new();
        for (device, text) in [alice, bob].into_iter().cycle().zip(GATHERING) {
            last = device.send("rookery#general", text).await?;
            println!("{:13} # {text}", device.label());
        }
        bob.ask(&["react", "rookery#general", &last, "👍"]).await?;
        alice.ask(&["pin", "rookery#general", &last]).await?;
        let shown = eventually(PATIENCE, async || {
            let shown = bob.read("rookery#general", 20).await?;
            let texts: Vec<&str> = shown.iter().map(|message| message.text.as_str()).collect();
            ensure!(texts == GATHERING, "bob sees {texts:?}");
            Ok(shown)
        })
        .await?;
        println!("\n              bob reads all {} of them in the same order\n", shown.len());
        for agent in &mut agents {
            agent.stop().await?;
        }
        Ok(())
    }

    /// Shows that no word of it is in the server's files or its log.
    fn search_the_server(&self) -> Result<()> {
        let texts = CONVERSATION.iter().map(|(_, text)| *text).chain(GATHERING);
        let words: BTreeSet<_> = texts
            .flat_map(|text| text.split(|letter: char| !letter.is_alphanumeric()))
            // Shorter ones stand by chance in any megabyte of random bytes.
            .filter(|word| word.len() >= 7)
            .collect();
        let search = Search::for_words(words.iter().copied());
        let files = files_below(self.server.data())?;
        let mut bytes = 0_usize;
        for file in files.iter().chain([&self.server.log_file()]) {
            let content = fs::read(file)?;
            bytes = bytes.saturating_add(content.len());
            let found = search.first_in(&content).map(|needle| &needle.word);
            ensure!(found.is_none(), "{found:?} stands in {}", file.display());
        }
        println!(
            "The server's {} files and its log, {bytes} bytes, hold none of {} words: {}.",
            files.len(),
            words.len(),
            words.into_iter().collect::<Vec<_>>().join(" ")
        );
        Ok(())
    }

    /// Lets whoever sits at the terminal be Alice, among people who answer, until they have had enough.
    async fn open_screen(&self, world: &World) -> Result<()> {
        let alice = self.devices.first().context("no alice")?;
        let cy = world.profile("cy", "raft")?;
        cy.register(&self.server.invite(1).await?).await?;
        let mut agents = vec![cy.start_agent()?];
        for device in self.devices.iter().skip(1) {
            agents.push(device.start_agent()?);
        }
        self.populate(alice, &cy).await?;
        let bob = self.devices.get(1).context("no bob")?;
        println!("\nYou are alice. F1 helps, Ctrl+Q leaves; then everything is removed.");
        let mut screen = Command::new(binary("rookery")?);
        screen
            .env("ROOKERY_HOME", alice.home())
            .env_remove("XDG_RUNTIME_DIR")
            .stdin(Stdio::inherit());
        let status = tokio::select! {
            status = screen.status() => status.context("cannot open the screen")?,
            ended = answer(bob, &BOB) => return ended,
            ended = answer(&cy, &CY) => return ended,
        };
        for agent in &mut agents {
            agent.stop().await?;
        }
        ensure!(status.success(), "the screen ended with {status}");
        Ok(())
    }

    /// More places, and more people in them.
    async fn populate(&self, alice: &Profile, cy: &Profile) -> Result<()> {
        let mut agent = alice.start_agent()?;
        alice.wait_until_connected().await?;
        alice
            .ask(&["channel", "create", "rookery", "herring", "--topic", "Where, when, how many"])
            .await?;
        alice.ask(&["channel", "create", "rookery", "ledge", "--kind", "voice"]).await?;
        let invited = alice.ask(&["community", "invite", "rookery"]).await?;
        let link = invited.get("link").and_then(serde_json::Value::as_str).context("no link")?;
        cy.ask(&["community", "join", link]).await?;
        cy.ask(&["contact", "add", "@alice"]).await?;
        eventually(PATIENCE, async || alice.ask(&["contact", "accept", "@cy"]).await).await?;
        alice.ask(&["group", "create", "night watch", "@bob", "@cy"]).await?;
        cy.send("rookery#general", "Cy here, from the raft. Is there **herring** left?").await?;
        cy.send("@alice", "Psst. The gulls paid for `rule three`.").await?;
        agent.stop().await?;
        Ok(())
    }
}

/// What Bob answers, in turn.
const BOB: [&str; 4] = [
    "Noted. I told the chicks, they voted yes.",
    "Say that again, a wave was in my ear :ear:",
    "I will bring it up at the next gathering.",
    "Herring first, then we talk.",
];

/// What Cy answers, in turn.
const CY: [&str; 3] =
    ["Ha! Wait until the gulls hear.", "The raft agrees.", "From here it looks different."];

/// Has a person answer what Alice says, wherever she says it.
async fn answer(person: &Profile, lines: &[&str]) -> Result<()> {
    let mut tail = person.start_tail()?;
    let mut lines = lines.iter().cycle();
    while let Some(line) = tail.next().await? {
        let name =
            |key: &str| line.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
        if name("from") != "alice@nest" || line.get("about").is_some() {
            continue;
        }
        let place = match name("with") {
            room if room.contains('#') || room.starts_with('+') => room.to_owned(),
            _ => "@alice".to_owned(),
        };
        person.ask(&["typing", &place]).await.ok();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        if let Some(text) = lines.next() {
            person.send(&place, text).await?;
        }
    }
    bail!("{} stopped listening", person.label())
}

/// Whom `speaker` speaks to.
fn other(speaker: &Profile) -> &'static str {
    if speaker.user() == "alice" { "@bob" } else { "@alice" }
}

/// Reads on until the message `id` is heard.
async fn hear(tail: &mut Running, id: &str) -> Result<Message> {
    loop {
        let message: Message = serde_json::from_value(tail.expect(PATIENCE).await?)?;
        if message.id == id {
            return Ok(message);
        }
    }
}

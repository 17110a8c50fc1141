//! The README's commands, each run for real: as it stands where that is quick and harms nothing, in a quick form where it is not.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, ensure};
use rookery_tests::{
    homeserver::Homeserver,
    process::{PATIENCE, binary, run},
    world::World,
};
use tokio::process::Command;

const README: &str = include_str!("../README.md");

/// A command as it stands in the README, and what is run for it; `=` is the same. They are run in this order, each by a shell of its own.
const COMMANDS: &[(&str, &str)] = &[
    (
        "target/release/rookeryd --data-dir /var/lib/rookery serve --listen 0.0.0.0:7665 --name nest.example",
        "rookeryd --data-dir ~/nest serve --listen 127.0.0.1:0 --name nest.example --ready-file ~/ready & \
         until [ -s ~/ready ]; do kill -0 $!; sleep 0.1; done; kill -TERM $!; wait $!",
    ),
    ("rookeryd --help", "="),
    ("rookeryd invite create", "rookeryd invite create --json >~/invite"),
    ("rookeryd doctor", "="),
    (
        "rookeryd backup",
        "rookeryd backup --to ~/copy; rookeryd --data-dir ~/restored restore --from ~/copy; [ -n \"$(ls ~/restored)\" ]",
    ),
    ("rookeryd community", "rookeryd community list"),
    (
        "rookery register 'rookery://nest.example/join#server=nest.example&key=…&invite=…' alice",
        "rookery register \"$LINK\" alice --password-file ~/password",
    ),
    (
        "rookery register LINK NAME",
        "LINK=$(grep -o 'rookery://[^\"]*' ~/invite); \
         ROOKERY_HOME=~/bob rookery register \"$LINK\" bob --password-file ~/password",
    ),
    ("rookery contact add @bob", "="),
    ("rookery send @bob 'the deploy is done'", "="),
    ("rookery send", "echo 'and so is the rest' | rookery send @bob"),
    (
        "rookery tail --json --cursor-file ~/.cursor",
        "timeout 3 rookery tail --json --cursor-file ~/.cursor >~/told || [ $? = 124 ]; grep -q 'the deploy is done' ~/told; [ -s ~/.cursor ]",
    ),
    ("rookery community create 'Night Owls'", "="),
    ("rookery community invite night-owls", "="),
    ("rookery send night-owls#general 'who is up?'", "="),
    (
        "rookery read night-owls#general",
        "rookery read night-owls#general | grep 'who is up?' >/dev/null",
    ),
    (
        "rookery community verify night-owls",
        "rookery community verify night-owls | grep holds >/dev/null",
    ),
    ("rookery community show night-owls", "="),
    // Nobody reports themselves, which is told.
    (
        "rookery report",
        "ID=$(rookery read night-owls#general --json | grep 'who is up' | grep -o '\"id\":\"[^\"]*' | cut -d'\"' -f4); \
         rookery report night-owls#general \"$ID\" 2>~/why || [ $? = 2 ]; grep -q 'your own' ~/why",
    ),
    ("rookery group create weekend @bob", "="),
    (
        "rookery search 'from:me deploy'",
        "rookery search 'from:me deploy' | grep 'the deploy is done' >/dev/null",
    ),
    ("rookery send @bob 'the door code is 4711' --expire 1h", "="),
    (
        "rookery send @bob 'as of today' --file notes.txt",
        "cd ~; echo 'a note' >notes.txt; rookery send @bob 'as of today' --file notes.txt --json | grep -o '\"id\":\"[^\"]*' | cut -d'\"' -f4 >id; [ -s id ]",
    ),
    (
        "rookery file get @bob 01a209df-8a23-725e-97ef-36182329679f -o .",
        "mkdir ~/got; cd ~/got; rookery file get @bob $(cat ~/id) -o .; cmp notes.txt ~/notes.txt",
    ),
    (
        "rookery send --file -",
        "echo 'a stream' | rookery send @bob --file - --json | grep -o '\"id\":\"[^\"]*' | cut -d'\"' -f4 >~/id",
    ),
    (
        "rookery file get -o -",
        "rookery file get @bob $(cat ~/id) -o - | grep 'a stream' >/dev/null",
    ),
    (
        "rookery daemon",
        "rookery daemon & until [ -S $ROOKERY_HOME/run/*.sock ]; do kill -0 $!; sleep 0.1; done; \
         rookery status; kill -TERM $!; wait $!",
    ),
    (
        "rookery login",
        "ROOKERY_HOME=~/second rookery login \"$LINK\" alice --password-file ~/password",
    ),
    (
        "rookery device link",
        "rookery device link --yes --json >~/code & until [ -s ~/code ]; do kill -0 $!; sleep 0.1; done; \
         head -n 1 ~/code >~/code.1; ROOKERY_HOME=~/second rookery login \"$LINK\" alice --code-file ~/code.1; wait $!",
    ),
    (
        "rookery login --recovery-key-file",
        "ROOKERY_HOME=~/third rookery login \"$LINK\" alice --password-file ~/password --recovery-key-file $ROOKERY_HOME/recovery-key",
    ),
    ("rookery rooms", "="),
    // Nobody has answered yet, and a store with a key file is not locked.
    ("rookery mark-unread", "rookery mark-unread night-owls#general || [ $? = 7 ]"),
    ("rookery lock", "rookery lock || [ $? = 1 ]"),
    ("rookery recovery show", "="),
    (
        "rookery --linear",
        "echo 'told by lines' | rookery --linear >~/lines; grep -q 'told by lines' ~/lines",
    ),
    // Keys are pressed at a terminal, and here is none.
    (
        "rookery keys test",
        "rookery keys test </dev/null 2>~/why || [ $? = 2 ]; grep -q terminal ~/why",
    ),
    ("rookery peers", "="),
    (
        "rookery community list",
        "rookery community list | grep night-owls >/dev/null || rookery community list | grep 'Night Owls' >/dev/null",
    ),
    ("rookery status", "="),
    // She belongs to it, and goes on to.
    ("rookery community join", "rookery community join night-owls"),
    (
        "rookeryd peer add garden.example garden.example:7665 FINGERPRINT",
        "rookeryd peer add garden.example 127.0.0.1:9 aebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6d4qa",
    ),
    // Nobody answers there, which is told.
    (
        "rookery community move night-owls --to garden.example",
        "rookery community move night-owls --to garden.example 2>~/why || [ $? = 3 ]; grep -q 'no connection with garden.example' ~/why",
    ),
    // Nothing is looked up outside of this machine, which is told.
    (
        "rookeryd peer add garden.example",
        "rookeryd peer add garden.example 2>~/why || [ $? = 4 ]; grep -q 'cannot be found out' ~/why",
    ),
    ("rookeryd status", "="),
    (
        "rookeryd peer accept",
        "rookeryd peer accept garden.example --root aebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6d4qa",
    ),
    (
        "rookery peers --trust",
        "rookery peers --trust garden.example --root aebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6d4qa",
    ),
    ("rookeryd peer test NAME", "rookeryd peer test garden.example || [ $? = 6 ]"),
    ("rookeryd peer list", "rookeryd peer list | grep garden.example >/dev/null"),
    // Nobody answers at that peer's address, which is told.
    (
        "rookeryd doctor federation",
        "rookeryd doctor federation 2>~/looked || [ $? = 1 ]; grep -q garden.example ~/looked",
    ),
    (
        "rookeryd doctor federation NAME",
        "rookeryd doctor federation garden.example 2>~/looked || [ $? = 1 ]; grep -q 'garden.example by well-known' ~/looked",
    ),
    ("rookeryd key well-known", "rookeryd key well-known | grep '\"record\"' >/dev/null"),
    (
        "rookeryd policy federation off",
        "rookeryd policy federation off; rookeryd policy federation configured | grep allowlist >/dev/null",
    ),
    ("rookeryd key list", "rookeryd key list | grep 'in the data directory' >/dev/null"),
    ("rookeryd key rotate", "rookeryd --data-dir ~/restored key rotate"),
    (
        "rookeryd key export-root --to FILE",
        "rookeryd --data-dir ~/restored key export-root --to ~/root.key; \
         rookeryd --data-dir ~/restored key rotate --root-key ~/root.key",
    ),
    // What it would build is there already.
    ("cargo demo --headless", "CARGO=true demo --headless"),
    // It is what runs this.
    ("tests/run", "bash -n tests/run"),
    // Only root makes network namespaces.
    (
        "target/release/lab --homes 5 --devices 20 --seed 7 --minutes 5",
        "if [ $UID = 0 ]; then lab --homes 3 --devices 6 --seed 7 --seconds 5; else lab --help; fi",
    ),
    ("target/release/simulation --seed 1 --seeds 5000", "simulation --seed 1 --seeds 8"),
    ("target/release/simulation --seed 46 --trace", "simulation --seed 46 --trace"),
    // Minutes of an optimising compiler: here only that nothing would be resolved anew. `.ci/run` builds the same unoptimised.
    ("cargo build --release --locked", "cargo metadata --locked --format-version 1 >/dev/null"),
    (
        "cargo build --release --locked --workspace",
        "cargo metadata --locked --format-version 1 >/dev/null",
    ),
    ("cargo build --release --locked --workspace && target/release/load all", "load all --help"),
    ("target/release/load messages", "load messages --pairs 2 --in-flight 2 --seconds 1"),
    ("target/release/load connections --count 3000", "load connections --count 10"),
    ("target/release/load idle --count 4000", "load idle --count 10"),
    ("target/release/load fanout", "load fanout --members 8 --senders 1 --in-flight 1 --seconds 1"),
    ("target/release/load send --times 20", "load send --times 1"),
    ("target/release/load fallback", "load fallback --times 1"),
    ("target/release/load healing", "load healing --pairs 2 --rate 20 --seconds 2"),
    ("target/release/load dead-peer", "load dead-peer --pairs 2 --rate 20 --seconds 2"),
    ("target/release/load join", "load join --members 260 --times 1 --round-trip 10"),
    (
        "target/release/load federation",
        "load federation --pairs 2 --rate 20 --members 2 --seconds 1",
    ),
    (
        "target/release/load stopped",
        "load stopped --members 8 --senders 1 --in-flight 1 --seconds 1",
    ),
    ("target/release/load catch-up", "load catch-up --messages 10 --statements 10"),
    (
        "target/release/load tui",
        "load tui --messages 6000 --starts 1 --keys 5 --flood 10 --idle 1 --paged 400",
    ),
    // Once through each, by a step of its own.
    ("cargo bench -p rookery-protocol", "grep -q -- \"--bench '\\*'\" tests/run"),
    ("cargo bench -p rookery-homeserver", "grep -q -- \"--bench '\\*'\" tests/run"),
    ("cargo bench -p rookery-cli", "grep -q -- \"--bench '\\*'\" tests/run"),
];

#[test]
fn no_command_of_the_readme_is_left_out_and_none_is_run_for_nothing() -> Result<()> {
    let written = commands();
    let known: BTreeSet<_> = COMMANDS.iter().map(|(command, _)| (*command).to_owned()).collect();
    let unknown: Vec<_> = written.difference(&known).collect();
    ensure!(unknown.is_empty(), "never run: {unknown:#?}");
    let gone: Vec<_> = known.difference(&written).collect();
    ensure!(gone.is_empty(), "not in the README any more: {gone:#?}");
    Ok(())
}

#[tokio::test]
async fn every_command_of_the_readme_runs() -> Result<()> {
    let world = World::new()?;
    let server = world.homeserver("nest.example").start().await?;
    fs::write(world.path().join("password"), "correct horse battery\n")?;
    for (command, form) in COMMANDS {
        let form = if *form == "=" { command } else { form };
        let shell = shell(&world, &server, form)?;
        run(shell, b"", PATIENCE * 4).await?.success().with_context(|| format!("for {command}"))?;
    }
    Ok(())
}

fn shell(world: &World, server: &Homeserver, form: &str) -> Result<Command> {
    let programs = binary("rookery")?.parent().context("no directory")?.to_owned();
    let path = std::env::var("PATH")?;
    let mut shell = Command::new("bash");
    shell
        .args(["-euo", "pipefail", "-c", form])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("CARGO_HOME", cargo_home()?)
        .env("RUSTUP_HOME", rustup_home()?)
        .env("HOME", world.path())
        .env("ROOKERY_HOME", world.path().join("alice"))
        .env("ROOKERYD_DATA_DIR", server.data())
        .env("LINK", &server.ready().invite)
        .env_remove("XDG_RUNTIME_DIR");
    Ok(shell)
}

/// Where cargo keeps its things, though the home is another one.
fn cargo_home() -> Result<String> {
    std::env::var("CARGO_HOME").or_else(|_| Ok(format!("{}/.cargo", std::env::var("HOME")?)))
}

fn rustup_home() -> Result<String> {
    std::env::var("RUSTUP_HOME").or_else(|_| Ok(format!("{}/.rustup", std::env::var("HOME")?)))
}

/// Every line of a shell block, and every piece of code in the text that begins with one of our programs or cargo.
fn commands() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (number, part) in README.split("```").enumerate() {
        if number % 2 == 1 {
            let lines = part.lines().map(|line| line.strip_prefix("$ ").unwrap_or(line));
            let lines = lines.map(|line| line.split("   #").next().unwrap_or_default().trim());
            found.extend(lines.filter(|line| !line.is_empty()).map(str::to_owned));
        } else {
            let spans = part.split('`').skip(1).step_by(2);
            let spans = spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "));
            found.extend(spans.filter(|span| is_command(span)));
        }
    }
    found
}

fn is_command(span: &str) -> bool {
    let begins = ["rookery ", "rookeryd ", "cargo ", "target/", "tests/run"];
    begins.iter().any(|begin| span.starts_with(begin))
}

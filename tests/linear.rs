//! `rookery --linear` as a whole: lines in, lines out, through pipes and on a terminal that can do nothing.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use rookery_tests::{
    process::PATIENCE,
    profile::Profile,
    world::{World, befriend, eventually},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
    time::timeout,
};

/// Somebody who reads and writes lines.
struct Linear {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    heard: Vec<String>,
}

impl Linear {
    fn start(profile: &Profile, arguments: &[&str]) -> Result<Self> {
        let mut command = profile.command(arguments)?;
        command.env("TERM", "dumb").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::inherit()).kill_on_drop(true).spawn()?;
        let input = child.stdin.take().context("no stdin")?;
        let output = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        Ok(Self { child, input, output, heard: vec![] })
    }

    async fn type_line(&mut self, line: &str) -> Result<()> {
        self.input.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(self.input.flush().await?)
    }

    /// Reads on until a line has `words` in it.
    async fn hear(&mut self, words: &str) -> Result<()> {
        let heard = async {
            while let Some(line) = self.output.next_line().await? {
                let is_it = line.contains(words);
                self.heard.push(line);
                if is_it {
                    return Ok(());
                }
            }
            anyhow::bail!("it ended")
        };
        let outcome = timeout(PATIENCE, heard).await.context("nothing of it came");
        outcome.and_then(|outcome| outcome).with_context(|| {
            format!("{words:?} was not heard, but this:\n{}", self.heard.join("\n"))
        })
    }
}

#[tokio::test]
async fn two_people_talk_and_one_of_them_has_only_lines() -> Result<()> {
    let world = World::new()?;
    let server = world.homeserver("nest").start().await?;
    let alice = world.profile("alice", "laptop")?;
    let bob = world.profile("bob", "laptop")?;
    alice.register(&server.ready().invite).await?;
    bob.register(&server.invite(1).await?).await?;
    befriend(&alice, &bob).await?;

    // A terminal that is dumb needs no flag.
    let mut lines = Linear::start(&alice, &[])?;
    lines.hear("Now in @bob").await?;
    lines.type_line("hello from lines").await?;
    lines.hear("you: hello from lines").await?;
    lines.hear("sent: hello from lines").await?;
    eventually(PATIENCE, async || {
        let read = bob.read("@alice", 10).await?;
        ensure!(read.iter().any(|message| message.text == "hello from lines"), "{read:?}");
        Ok(())
    })
    .await?;

    bob.run(&["send", "@alice", "hello\u{1b}[2J from bob"]).await?.success()?;
    lines.hear("bob: hello[2J from bob").await?;
    lines.type_line("/frobnicate").await?;
    lines.hear("There is no command /frobnicate").await?;
    lines.type_line("/contacts").await?;
    lines.hear("1. bob").await?;
    lines.type_line("b 1").await?;
    lines.hear("y or n").await?;
    lines.type_line("n").await?;
    lines.hear("Not done").await?;
    lines.type_line("/quit").await?;
    let status = timeout(PATIENCE, lines.child.wait()).await??;
    ensure!(status.success(), "{status}");
    let said = lines.heard.join("\n");
    ensure!(
        !said.chars().any(|one| one == '\u{1b}' || one == '\r'),
        "it moved the cursor: {said:?}"
    );
    ensure!(!said.contains('\u{2500}') && !said.contains("---"), "it drew a box: {said}");
    Ok(())
}

#[tokio::test]
async fn what_is_piped_in_is_sent_before_the_end() -> Result<()> {
    let world = World::new()?;
    let server = world.homeserver("nest").start().await?;
    let alice = world.profile("alice", "laptop")?;
    let bob = world.profile("bob", "laptop")?;
    alice.register(&server.ready().invite).await?;
    bob.register(&server.invite(1).await?).await?;
    befriend(&alice, &bob).await?;
    let mut lines = Linear::start(&alice, &["--linear"])?;
    lines.type_line("/go @bob").await?;
    lines.type_line("the last words").await?;
    lines.input.shutdown().await?;
    drop(lines.input);
    let status = timeout(PATIENCE, lines.child.wait()).await??;
    ensure!(status.success(), "{status}");
    // Sent, or kept to be sent by whoever opens the profile next.
    alice.run(&["status", "--json"]).await?;
    let limit = PATIENCE.saturating_add(Duration::from_secs(1));
    eventually(limit, async || {
        let mine = alice.read("@bob", 10).await?;
        ensure!(mine.iter().any(|message| message.text == "the last words"), "{mine:?}");
        let read = bob.read("@alice", 10).await?;
        ensure!(read.iter().any(|message| message.text == "the last words"), "{read:?}");
        Ok(())
    })
    .await
}

//! Wall time of `rookery send`, as a script sees it.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::ensure;

use crate::server::{Server, binary, now};

/// A `rookery` command of the profile in `home`.
pub(crate) fn rookery(home: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(binary("rookery")?);
    command
        .env("ROOKERY_HOME", home)
        .env_remove("XDG_RUNTIME_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    Ok(command)
}

pub(crate) fn run(command: &mut Command) -> anyhow::Result<Duration> {
    let begin = now();
    let status = command.status()?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(begin.elapsed())
}

fn median_and_worst(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    (median.as_secs_f64() * 1e3, times.last().copied().unwrap_or_default().as_secs_f64() * 1e3)
}

pub(crate) fn measure(times: usize) -> anyhow::Result<()> {
    let server = Server::start()?;
    let directory = &server.directory;
    let password = directory.join("password");
    std::fs::write(&password, "a password for the load\n")?;
    let link = server.invite.to_string();
    for name in ["alice", "bob"] {
        let home = directory.join(name);
        run(rookery(&home)?.args(["register", &link, name, "--password-file"]).arg(&password))?;
    }
    let (alice, bob) = (directory.join("alice"), directory.join("bob"));
    run(rookery(&alice)?.args(["contact", "add", "@bob"]))?;
    run(rookery(&bob)?.args(["contact", "accept", "@alice"]))?;
    let send = || -> anyhow::Result<Duration> {
        run(rookery(&alice)?.args(["send", "@bob", "how long does this take"]))
    };
    send()?;
    let alone = (0..times).map(|_| send()).collect::<Result<Vec<_>, _>>()?;
    let mut agent = rookery(&alice)?.arg("daemon").spawn()?;
    std::thread::sleep(Duration::from_secs(2));
    send()?;
    let through = (0..times).map(|_| send()).collect::<Result<Vec<_>, _>>();
    agent.kill()?;
    agent.wait()?;
    let ((alone, alone_worst), (through, through_worst)) =
        (median_and_worst(alone), median_and_worst(through?));
    println!("rookery send, wall time over {times} runs, key-file slot, loopback");
    println!("  without an agent, median / worst{alone:>10.1} / {alone_worst:.1} ms");
    println!("  through one, median / worst     {through:>10.1} / {through_worst:.1} ms");
    Ok(())
}

//! The lab: several homeservers in network namespaces, many devices, and a schedule of faults made of a seed; and an oracle of what must hold.
//!
//! Real programs, as everywhere in this crate. Each home has a network namespace, and so have the devices of each home; between any two there is
//! a link of ours ([`link`]), which is slow, loses, or is cut as the schedule says ([`schedule`], [`trouble`]). Homes, hubs among them, and agents are
//! killed, a home's disk fills, and clocks jump ([`crate::faults`]). All the while people write to each other, in a community and in a group, come,
//! go and are sent away. When all is healed nobody helps, and within a bounded time this must hold:
//!
//! | | what is checked |
//! |---|---|
//! | I1 | whoever may read it has every message that was acknowledged, a power cut of a home or not |
//! | I2 | nobody has one twice |
//! | I3 | the chains on all homes' disks are beginnings of each other, byte for byte |
//! | I4 | an author's device's messages are in its own order |
//! | I5 | who was sent away or has left shows nothing that was begun after that was acknowledged; who never had a part cannot read |
//! | I6 | equal heads are equal state, on every client and every home |
//! | I7 | every member's client finds that the logs hold, and warns of nothing |
//! | I8 | no home's queue for a peer passes its bound |
//! | I9 | nothing waits any more, anywhere |
//! | I10 | nothing panicked, nothing ended by itself, and homes end in order |
//!
//! One seed is one schedule, and one order of what everybody tries. What happens in between is up to the machine: a seed that showed a fault shows it
//! often, and not always.

mod cast;
mod copies;
mod judge;
pub mod link;
pub mod namespace;
pub mod schedule;
mod stage;
mod strike;
mod talk;
pub mod trouble;

use std::fmt::Write as _;

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use tokio::time::{Duration, Instant, timeout};

use self::{
    schedule::{Schedule, Size},
    stage::{BUILDING, Stage},
    strike::{Struck, settle_agent, strike_agent, strike_home, strike_links},
    talk::{Guests, Said, Scene, Targets},
};
use crate::random::Random;

/// What is to be played.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Homes, 3 to 8.
    pub homes: usize,
    /// Devices: at least two a home.
    pub devices: usize,
    /// Of what everything is made.
    pub seed: u64,
    /// For how long people talk and things go wrong.
    pub time: Duration,
    /// How long everything may take after that until it is well.
    pub patience: Duration,
}

/// How a play went in which nothing was violated.
#[derive(Debug)]
pub struct Report {
    /// Faults that struck.
    pub faults: usize,
    /// Messages that were acknowledged.
    pub acknowledged: usize,
    /// Attempts to send that failed, and said so.
    pub failed: usize,
    /// The longest queue for a peer that was seen.
    pub longest_queue: u64,
    /// How long it took to build everything.
    pub building: Duration,
    /// How long it took, from the last fault's end, until everybody had everything.
    pub converging: Duration,
}

/// Plays `plan`. A violation is an error that shows the seed, the schedule and what differs.
pub async fn play(plan: Plan) -> Result<Report> {
    let size = Size { homes: plan.homes, devices: plan.devices, time: plan.time };
    let schedule = Schedule::of(plan.seed, size);
    let told = || format!("seed {}, {size:?}:\n{schedule}", plan.seed);
    Box::pin(perform(plan, &schedule)).await.with_context(told)
}

async fn perform(plan: Plan, schedule: &Schedule) -> Result<Report> {
    let building = Instant::now();
    let built = Box::pin(timeout(BUILDING, Stage::build(&plan, schedule))).await;
    let mut stage = built.context("the lab was not built in time")??;
    let building = building.elapsed();
    let (struck, said, end) = Box::pin(strike_and_talk(&mut stage, &plan, schedule)).await?;
    let deadline = end.checked_add(plan.patience).context("time")?.max(
        // People may have needed longer to change what they wanted to.
        Instant::now().checked_add(Duration::from_secs(30)).context("time")?,
    );
    let mut wrong = [struck.violations, said.violations.clone()].concat();
    wrong.extend(stage.judge(&said, deadline).await);
    let converging = end.elapsed();
    wrong.extend(stage.compare(deadline).await);
    wrong.extend(stage.autopsy().await?);
    for (which, relays) in &stage.links {
        let carried: u64 = relays.iter().map(link::Link::carried).sum();
        ensure!(carried > 0, "{which:?} has carried nothing: somebody talked past it");
    }
    let report = Report {
        faults: struck.count,
        acknowledged: said.acknowledged(),
        failed: said.failed,
        longest_queue: struck.longest_queue,
        building,
        converging,
    };
    if !wrong.is_empty() {
        let mut text = format!("{} violations; {report:?}\n", wrong.len());
        for one in wrong {
            writeln!(text, "- {one}")?;
        }
        bail!("{text}");
    }
    ensure!(report.faults > 0 && report.acknowledged > 0, "nothing was shown: {report:?}");
    Ok(report)
}

/// Lets everything happen at once, and sees to it that every process runs when it is over. Gives when the last fault had ended.
async fn strike_and_talk(
    stage: &mut Stage,
    plan: &Plan,
    schedule: &Schedule,
) -> Result<(Struck, Said, Instant)> {
    let (guests, targets) = (Guests::of(stage), Targets::of(stage)?);
    let begun = Instant::now();
    let end = begun.checked_add(plan.time).context("time")?;
    let Stage { homes, links, devices, agents, .. } = stage;
    let scene = Scene { devices, targets: &targets, guests: &guests, begun, end };
    let homes = homes.iter_mut().enumerate();
    let homes = homes.map(|(number, home)| strike_home(home, number, schedule, begun));
    let agents =
        agents.iter_mut().zip(&*devices).enumerate().map(async |(number, (agent, device))| {
            let struck = strike_agent(device, agent, number, schedule, begun).await?;
            settle_agent(device, agent).await?;
            Ok(struck)
        });
    let (links, homes, agents, said) = tokio::try_join!(
        strike_links(links, schedule, begun),
        try_join_all(homes),
        try_join_all(agents),
        scene.play(Random::of(plan.seed.wrapping_mul(31))),
    )?;
    let struck = homes.into_iter().chain(agents).fold(links, Struck::and);
    Ok((struck, said, end))
}

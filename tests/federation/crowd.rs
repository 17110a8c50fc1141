//! A peer that has more users than there are people.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use futures::{StreamExt as _, stream};
use rookery_protocol::{
    codec,
    io::client::{CallError, Client},
    request::{
        Refusal, Request as _,
        chain::ReadChain,
        peer::PeerReadChain,
        peer_place::{OnBehalf, PeerAppendLog},
    },
};
use rookery_tests::{
    bare::{Bare, community::Commons, populate},
    homeserver::free_port,
    impostor::{Impostor, Invented, attended},
    world::World,
};

use crate::discovery::http;

/// How many users the peer invents.
const CROWD: usize = 1_000;
/// How many of a peer's may come in a minute, which is also how many may come at once: `limits.peer_joins`.
const A_MINUTE: usize = 50;
/// How long somebody of the community waits for their turn at most, while the crowd comes.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of the crowd.
#[derive(Debug, Default)]
struct Came {
    joined: usize,
    throttled: usize,
}

/// Has all of the crowd join, a few at once, as fast as the hub answers.
async fn storm(client: &Client, commons: &Commons, crowd: &[Invented]) -> Result<Came> {
    let joins = crowd.iter().map(|invented| async {
        let from = OnBehalf { user: invented.user, name: "ghost".parse()?, head: invented.head };
        let request = commons.join_of(invented)?;
        let said = PeerAppendLog { from, request, chains: vec![] };
        match client.call(&said).await {
            Ok(_) => Ok(true),
            Err(CallError::Refused(Refusal::Throttled { retry_after_ms })) => {
                ensure!(retry_after_ms > 0, "it is not told when to come again");
                Ok(false)
            }
            Err(error) => bail!("neither taken nor told to wait: {error}"),
        }
    });
    let mut came = Came::default();
    let mut joins = stream::iter(joins).buffer_unordered(16);
    while let Some(joined) = joins.next().await {
        let count = if joined? { &mut came.joined } else { &mut came.throttled };
        *count = count.saturating_add(1);
    }
    Ok(came)
}

/// States something in the community again and again until it is dropped; nothing of it takes long, or is refused.
async fn go_on(mut commons: Commons, alice: &Bare, said: &std::cell::Cell<usize>) -> Result<()> {
    loop {
        let renamed = tokio::time::timeout(PATIENCE, commons.rename(alice, 1)).await;
        renamed.context("a member waits for the crowd")??;
        said.set(said.get().saturating_add(1));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn length_of_log(reader: &Bare, commons: &Commons) -> Result<usize> {
    let (mut length, mut after) = (0_usize, None);
    loop {
        let read = ReadChain { chain: commons.log(), after, limit: 256 };
        let page = reader.client.call(&read).await?;
        length = length.saturating_add(page.entries.len());
        after = page.entries.last().map(|last| last.seq).or(after);
        if !page.more {
            return Ok(length);
        }
    }
}

#[tokio::test]
async fn a_thousand_invented_users_who_join_are_held_off_and_cost_nobody_anything() -> Result<()> {
    let world = World::new()?;
    let metrics = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let limits = format!("peer_joins = \"{A_MINUTE}/min\"\n");
    let nest = world.homeserver("nest.example").limits(&limits);
    let nest = nest.setting("ROOKERYD_METRICS_LISTEN", &metrics.to_string()).start().await?;
    let (address, link) = (nest.ready().address.clone(), nest.invite(1).await?.parse()?);
    let people = populate(address.parse()?, &link, 1).await?;
    let alice = people.first().context("alice")?;
    let commons = Commons::found(alice, &link).await?;
    let garden = Impostor::new("garden.example")?;
    nest.know_impostor(&garden).await?;
    let invented = || Invented::new("garden.example", garden.root());
    let crowd = (0..CROWD).map(|_| invented()).collect::<Result<Vec<_>>>()?;
    let client = garden.connect(&address, "nest.example").await?;

    // Whose chains are asked for is shown them: each is as good as a person's.
    let fetched = std::cell::Cell::new(0_usize);
    let answer = async |method: &str, body: &[u8]| {
        if method != PeerReadChain::METHOD {
            return Ok(None);
        }
        fetched.set(fetched.get().saturating_add(1));
        let user = codec::decode::<PeerReadChain>(body)?.user;
        let asked = crowd.iter().find(|invented| invented.user == user);
        asked.context("somebody else")?.answer(method, body)
    };
    let (said, begun) = (std::cell::Cell::new(0_usize), tokio::time::Instant::now());
    let coming = async {
        tokio::select! {
            came = storm(&client, &commons, &crowd) => came,
            Err(error) = go_on(commons.clone(), alice, &said) => Err(error),
        }
    };
    let came = attended(client.connection(), answer, coming).await?;
    let minutes = usize::try_from(begun.elapsed().as_secs())?.div_ceil(60);
    let most = A_MINUTE.saturating_add(minutes.saturating_mul(A_MINUTE));
    ensure!(came.joined >= A_MINUTE && came.joined <= most, "{came:?} within {minutes} min");
    ensure!(came.joined.saturating_add(came.throttled) == CROWD, "{came:?}");
    ensure!(said.get() > 0, "nobody else said anything meanwhile");
    // Of who was held off nothing was fetched, and nothing is in the log.
    ensure!(fetched.get() <= came.joined.saturating_mul(2), "{} of {came:?}", fetched.get());
    let length = length_of_log(alice, &commons).await?;
    let founding = 3;
    let taken = came.joined.saturating_add(said.get()).saturating_add(founding);
    ensure!(length == taken || length == taken.saturating_add(1), "{length}, not {taken}");
    // It is counted.
    let counted = http(metrics, "/metrics").await?;
    let is_it = |line: &&str| line.contains("ratelimit_hits") && line.contains("PeerJoins");
    let hits = counted.lines().find(is_it).context("it is not counted")?;
    let count: usize = hits.rsplit(' ').next().context("a count")?.parse()?;
    ensure!(count == came.throttled, "{hits}: {came:?}");
    Ok(())
}

//! Homeservers that find each other by their names, and those that are not to be found.

use anyhow::{Context as _, Result, ensure};
use rookery_protocol::request::{Refusal, peer::PeerProveError};
use rookery_tests::{
    homeserver::{Homeserver, Setup},
    impostor::Impostor,
    internet::{Internet, Trap},
    pair::text,
    process::{PATIENCE, Place},
    world::{World, eventually},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::identity::turned_away;

const GARDEN: &str = "garden.example";
const NEST: &str = "nest.example";

/// With a certificate for `name`.
fn certified(setup: Setup, internet: &Internet, name: &str) -> Result<Setup> {
    let [chain, key] = internet.certificate(name)?;
    let setup = setup.setting("ROOKERYD_TLS_CERTIFICATE", &chain.to_string_lossy());
    Ok(setup.setting("ROOKERYD_TLS_CERTIFICATE_KEY", &key.to_string_lossy()))
}

/// Has `server` know somebody of that name and root whom it cannot reach.
async fn know_unreachable(server: &Homeserver, other: &Homeserver) -> Result<()> {
    server.know_at(other, "127.0.0.1:9").await
}

/// Adds the garden to `nest` by its name alone; gives what that says.
async fn add_garden(nest: &Homeserver) -> Result<Value> {
    let added = nest.admin(&["peer", "add", GARDEN]).await?.success()?.json()?;
    Ok(added.get("data").context("no data")?.clone())
}

/// What `doctor federation garden.example` finds of the place of `rank`.
async fn place_of(nest: &Homeserver, rank: &str) -> Result<Value> {
    let found = nest.admin(&["doctor", "federation", GARDEN]).await?.json()?;
    let checks = found.pointer("/data/checks").and_then(Value::as_array).context("no checks")?;
    let place = checks.iter().find(|check| text(check, "rank") == rank);
    place.cloned().with_context(|| format!("no place by {rank} in {found}"))
}

fn port_of(server: &Homeserver) -> Result<u16> {
    let (_, port) = server.ready().address.rsplit_once(':').context("no port")?;
    Ok(port.parse()?)
}

/// A homeserver of that name at an address of its own, which its record names.
fn advertised(internet: &Internet, world: &World, name: &str, number: u8) -> Setup {
    let address = (internet.host(number), 7665).into();
    let setup = internet.homeserver(world, name).at(Place::default(), address);
    setup.setting("ROOKERYD_SERVER_ADVERTISE", &address.to_string())
}

#[tokio::test]
async fn two_servers_find_each_other_by_what_they_publish() -> Result<()> {
    let world = World::new()?;
    let internet = Internet::new(&world).await?;
    let nest = advertised(&internet, &world, NEST, 2).start().await?;
    let garden = advertised(&internet, &world, GARDEN, 3).start().await?;
    // What is not published yet is not found, and that is told.
    let missing = nest.admin(&["peer", "add", GARDEN]).await?.exit(4)?.stdout;
    ensure!(missing.contains("there is no address of garden.example"), "{missing}");
    for server in [&nest, &garden] {
        internet.publish_for(server).await?;
    }
    let added = add_garden(&nest).await?;
    ensure!(text(&added, "root") == garden.ready().fingerprint, "{added}");
    ensure!(text(&added, "found_by") == "well-known", "{added}");
    garden.admin(&["peer", "add", NEST]).await?.success()?;
    nest.wait_for_peer(GARDEN, "up").await?;
    garden.wait_for_peer(NEST, "up").await?;
    let looked = nest.admin(&["doctor", "federation", GARDEN]).await?.success()?.json()?;
    let checks = looked.pointer("/data/checks").context("no checks")?.to_string();
    ensure!(checks.contains(&garden.ready().fingerprint), "{checks}");
    let place = place_of(&nest, "well-known").await?;
    ensure!(place.get("reached") == Some(&Value::Bool(true)), "{place}");
    ensure!(text(&place, "place") == garden.ready().address, "{place}");
    let place = place_of(&nest, "override").await?;
    ensure!(place.get("place") == Some(&Value::Null), "{place}");
    // As text, a line for each place with its rank.
    let text_of = ["doctor", "federation", GARDEN];
    let shown = nest.admin_text(&text_of).await?.success()?.stdout;
    for rank in ["override", "record", "well-known", "srv", "name"] {
        ensure!(shown.contains(&format!("{GARDEN} by {rank}")), "{rank}: {shown}");
    }
    ensure!(shown.contains("garden.example owner: has the root key"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn a_pointer_lends_its_target_no_name() -> Result<()> {
    let world = World::new()?;
    let internet = Internet::new(&world).await?;
    let nest = internet.homeserver(&world, NEST).start().await?;
    let setup = certified(internet.homeserver(&world, GARDEN), &internet, GARDEN)?;
    let garden = setup.start().await?;
    // Whoever runs the target has a certificate for the target, and says to be the garden.
    let setup = world.homeserver("elsewhere");
    let thief = certified(setup.named(GARDEN), &internet, "burrow.example")?.start().await?;
    internet.name("burrow.example", std::net::Ipv4Addr::LOCALHOST);
    internet.point(GARDEN, "burrow.example", port_of(&thief)?);
    let refused = nest.admin(&["peer", "add", GARDEN]).await?.exit(4)?.stdout;
    ensure!(refused.contains("certificate is not trusted"), "{refused}");
    internet.point(GARDEN, "burrow.example", port_of(&garden)?);
    let added = add_garden(&nest).await?;
    ensure!(text(&added, "root") == garden.ready().fingerprint, "{added}");
    ensure!(text(&added, "found_by") == "srv", "{added}");
    know_unreachable(&garden, &nest).await?;
    nest.wait_for_peer(GARDEN, "up").await
}

#[tokio::test]
async fn a_server_is_found_at_its_name_alone() -> Result<()> {
    let world = World::new()?;
    let internet = Internet::new(&world).await?;
    let nest = internet.homeserver(&world, NEST).start().await?;
    let address = (internet.host(2), 443).into();
    let setup = certified(internet.homeserver(&world, GARDEN), &internet, GARDEN)?;
    let garden = setup.at(Place::default(), address).start().await?;
    internet.name(GARDEN, internet.host(2));
    let added = add_garden(&nest).await?;
    ensure!(text(&added, "root") == garden.ready().fingerprint, "{added}");
    ensure!(text(&added, "found_by") == "name", "{added}");
    know_unreachable(&garden, &nest).await?;
    nest.wait_for_peer(GARDEN, "up").await
}

#[tokio::test]
async fn a_stale_pointer_does_not_beat_what_is_published() -> Result<()> {
    let world = World::new()?;
    let internet = Internet::new(&world).await?;
    let nest = internet.homeserver(&world, NEST).start().await?;
    let garden = advertised(&internet, &world, GARDEN, 3).start().await?;
    let trap = Trap::set(internet.host(4), &[7665]).await?;
    internet.name("old.example", internet.host(4));
    internet.point(GARDEN, "old.example", 7665);
    internet.publish_for(&garden).await?;
    know_unreachable(&garden, &nest).await?;
    add_garden(&nest).await?;
    nest.wait_for_peer(GARDEN, "up").await?;
    ensure!(trap.sprung() == 0, "the old place was tried {} times", trap.sprung());
    // It is known, and of a lower rank.
    let place = place_of(&nest, "srv").await?;
    ensure!(text(&place, "place") == "old.example:7665", "{place}");
    ensure!(trap.sprung() > 0, "the trap is none");
    Ok(())
}

#[tokio::test]
async fn without_name_servers_a_peer_is_reached_where_it_was() -> Result<()> {
    let world = World::new()?;
    let mut internet = Internet::new(&world).await?;
    let mut nest = internet.homeserver(&world, NEST).start().await?;
    // Its record names no place: where it was reached is all that is known.
    let setup = certified(internet.homeserver(&world, GARDEN), &internet, GARDEN)?;
    let garden = setup.start().await?;
    internet.name("burrow.example", std::net::Ipv4Addr::LOCALHOST);
    internet.point(GARDEN, "burrow.example", port_of(&garden)?);
    know_unreachable(&garden, &nest).await?;
    add_garden(&nest).await?;
    nest.wait_for_peer(GARDEN, "up").await?;
    internet.end_names().await;
    // Nothing that was only in memory is left.
    nest.kill().await?;
    garden.wait_for_peer(NEST, "down").await?;
    nest.start().await?;
    nest.wait_for_peer(GARDEN, "up").await?;
    let place = place_of(&nest, "srv").await?;
    ensure!(place.get("reached") == Some(&Value::Bool(true)), "{place}");
    Ok(())
}

#[tokio::test]
async fn without_name_servers_a_peer_is_reached_where_its_record_says() -> Result<()> {
    let world = World::new()?;
    let mut internet = Internet::new(&world).await?;
    let mut nest = internet.homeserver(&world, NEST).start().await?;
    let garden = advertised(&internet, &world, GARDEN, 3).start().await?;
    internet.publish_for(&garden).await?;
    know_unreachable(&garden, &nest).await?;
    add_garden(&nest).await?;
    nest.wait_for_peer(GARDEN, "up").await?;
    internet.end_names().await;
    nest.kill().await?;
    garden.wait_for_peer(NEST, "down").await?;
    nest.start().await?;
    nest.wait_for_peer(GARDEN, "up").await?;
    let place = place_of(&nest, "record").await?;
    ensure!(text(&place, "place") == garden.ready().address, "{place}");
    ensure!(place.get("reached") == Some(&Value::Bool(true)), "{place}");
    Ok(())
}

#[tokio::test]
async fn whoever_publishes_another_root_is_in_quarantine_where_the_pinned_one_is_gone() -> Result<()>
{
    let world = World::new()?;
    let internet = Internet::new(&world).await?;
    let nest = internet.homeserver(&world, NEST).start().await?;
    let mut garden = advertised(&internet, &world, GARDEN, 3).start().await?;
    internet.publish_for(&garden).await?;
    know_unreachable(&garden, &nest).await?;
    add_garden(&nest).await?;
    nest.wait_for_peer(GARDEN, "up").await?;
    let stranger = Impostor::new(GARDEN)?;
    internet.publish_of(&stranger);
    nest.admin(&["peer", "retry", GARDEN]).await?.success()?;
    // While the pinned root answers, nothing else counts.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    ensure!(text(&nest.peer(GARDEN).await?, "state") == "up", "it was up");
    garden.kill().await?;
    nest.wait_for_peer(GARDEN, "quarantined").await?;
    let shown = nest.peer(GARDEN).await?;
    ensure!(text(&shown, "offered_root") == stranger.root().to_string(), "{shown}");
    ensure!(text(&shown, "root") == garden.ready().fingerprint, "{shown}");
    Ok(())
}

#[tokio::test]
async fn an_open_server_takes_nobody_by_another_s_name() -> Result<()> {
    let world = World::new()?;
    let internet = Internet::new(&world).await?;
    let metrics = (internet.host(5), 9665).into();
    let setup = internet.homeserver(&world, NEST).federation("open");
    let nest = setup.setting("ROOKERYD_METRICS_LISTEN", &std::net::SocketAddr::to_string(&metrics));
    let nest = nest.start().await?;
    let (owner, thief) = (Impostor::new(GARDEN)?, Impostor::new(GARDEN)?);
    internet.publish_of(&owner);
    turned_away(&thief, &nest, PeerProveError::NotItsName).await?;
    nest.admin(&["peer", "show", GARDEN]).await?.exit(3)?;
    ensure!(internet.fetched() == ["garden.example/.well-known/rookery/server"], "not looked up");
    owner.connect(&nest.ready().address, NEST).await?;
    turned_away(&thief, &nest, PeerProveError::OtherRoot).await?;
    // A name that nobody owns is nobody's, and so is one of a local network.
    for name in ["nowhere.example", "burrow"] {
        let refused = Impostor::new(name)?.connect(&nest.ready().address, NEST).await;
        let refused = format!("{:#}", refused.err().context("it was let in")?);
        ensure!(refused.contains("cannot be found out there"), "{refused}");
    }
    let counted = http(metrics, "/metrics").await?;
    for reason in ["another's name", "unverified name"] {
        let line = counted.lines().find(|line| line.contains(reason) && line.contains("refused"));
        let count = line.and_then(|line| line.rsplit(' ').next()).context("not counted")?;
        ensure!(count.parse::<u32>()? > 0, "{line:?}");
    }
    // What a web server in front may pass on.
    let served = http(metrics, "/.well-known/rookery/server").await?;
    let printed = nest.admin(&["key", "well-known"]).await?.success()?.json()?;
    let printed = printed.pointer("/data/record").and_then(Value::as_str).context("no record")?;
    ensure!(served.contains("200 OK") && served.contains(printed), "{served}");
    Ok(())
}

/// What the server at `address` answers to a request for `path`, head and all.
pub(crate) async fn http(address: std::net::SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn nobody_has_a_server_connect_into_its_own_network() -> Result<()> {
    let world = World::new()?;
    let internet = Internet::new(&world).await?;
    let nest = internet.wary_homeserver(&world, NEST).federation("open").start().await?;
    let trap = Trap::set(internet.host(4), &[443, 7665]).await?;
    for name in [GARDEN, "burrow.example"] {
        internet.name(name, internet.host(4));
        internet.point(name, "target.example", 7665);
    }
    internet.name("target.example", internet.host(4));
    let refused = nest.admin(&["peer", "add", GARDEN]).await?.exit(4)?.stdout;
    ensure!(refused.contains("which is a loopback address"), "{refused}");
    let stranger = Impostor::new("burrow.example")?;
    let refused = stranger.connect(&nest.ready().address, NEST).await;
    let refused = format!("{:#}", refused.err().context("it was let in")?);
    // What is looked at on its word it does not learn: the administrator does.
    ensure!(refused.contains("cannot be found out there"), "{refused}");
    let told = ["loopback", "target.example", &internet.host(4).to_string()];
    ensure!(!told.iter().any(|told| refused.contains(told)), "{refused}");
    // A known peer whose record leads there.
    let known = Impostor::new(GARDEN)?.at(&format!("{}:7665", internet.host(4)))?;
    nest.know_impostor(&known).await?;
    let client = known.connect(&nest.ready().address, NEST).await?;
    client.close();
    eventually(PATIENCE, async || {
        let place = place_of(&nest, "record").await?;
        ensure!(text(&place, "detail").contains("which is a loopback address"), "{place}");
        Ok(())
    })
    .await?;
    ensure!(trap.sprung() == 0, "{} packets and connections", trap.sprung());
    let asked = internet.asked();
    ensure!(asked.contains(&"SRV _rookery._udp.burrow.example".to_owned()), "{asked:?}");
    // What an administrator gives is dialled: the trap is one.
    let address = format!("{}:7665", internet.host(4));
    let root = known.root().to_string();
    nest.admin(&["peer", "add", GARDEN, &address, &root]).await?.success()?;
    eventually(PATIENCE, async || {
        ensure!(trap.sprung() > 0, "nobody came");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn strangers_have_a_server_look_five_times_a_minute() -> Result<()> {
    let world = World::new()?;
    let internet = Internet::new(&world).await?;
    let setup = internet.homeserver(&world, NEST).federation("open");
    let nest = setup.limits("fetch_address = '5/min'\n").start().await?;
    let mut outcomes = vec![];
    for number in 0..8 {
        let stranger = Impostor::new(&format!("garden{number}.example"))?;
        internet.publish_of(&stranger);
        outcomes.push(stranger.connect(&nest.ready().address, NEST).await.map(|_| ()));
    }
    let taken = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    ensure!(taken == 5, "{outcomes:?}");
    let throttled = Refusal::Throttled { retry_after_ms: 1 }.to_string();
    let throttled = throttled.split_whitespace().next().unwrap_or_default();
    for outcome in outcomes.iter().skip(5) {
        let why = format!("{:#}", outcome.as_ref().err().context("it was let in")?);
        ensure!(why.contains(throttled), "{why}");
    }
    ensure!(internet.fetched().len() == 5, "{:?}", internet.fetched());
    Ok(())
}

#[tokio::test]
async fn a_name_of_a_local_network_needs_address_and_fingerprint() -> Result<()> {
    let world = World::new()?;
    let internet = Internet::new(&world).await?;
    let nest = internet.homeserver(&world, NEST).start().await?;
    let refused = nest.admin(&["peer", "add", "burrow"]).await?.exit(4)?.stdout;
    ensure!(refused.contains("is a name of a local network"), "{refused}");
    nest.admin(&["peer", "add", "burrow", "127.0.0.1:9"]).await?.exit(2)?;
    ensure!(internet.asked().is_empty(), "{:?}", internet.asked());
    Ok(())
}

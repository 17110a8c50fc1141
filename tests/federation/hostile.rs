//! A peer that is one, and up to something: what it has another server store, and how its connections come and go.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rookery_homeserver::{database, repository::Limit};
use rookery_protocol::{
    chain::{Entry, Head, OwnerHead},
    codec::{self, MAX_BATCH},
    community::{Action, Statement},
    id::{ChainId, CommunityId},
    request::{
        Answer, Never, Request as _,
        chain::{Entries, ReadError},
        community::NamedUser,
        peer_place::{PeerListPlaces, PeerReadPlace, PeerReadUsers, PlaceHead, Places, UserChains},
        server::{Registration, ServerDescription, ServerInfo},
    },
    time::{Clock as _, SystemClock},
};
use rookery_tests::{
    homeserver::Homeserver,
    impostor::{Impostor, serve},
    pair::{BOB, Pair, text},
    process::PATIENCE,
    world::{World, eventually},
};
use serde_json::Value;

const ALL: Limit = Limit { rows: 10_000, bytes: usize::MAX };

/// A chain as the server whose data directory that is has it, which must not run.
async fn stored(home: &Homeserver, chain: ChainId) -> Result<Vec<Entry>> {
    let storage = database::open(None, home.data()).await?;
    let page = storage.read().await?.entries(chain, None, ALL).await?;
    storage.close().await;
    Ok(page.rows.into_iter().map(|stored| stored.entry).collect())
}

/// A hub that is played: it shows one community.
struct Hub {
    played: Impostor,
    community: CommunityId,
    log: Vec<Entry>,
    users: Vec<Entry>,
    /// How often its log was read.
    reads: AtomicUsize,
}

impl Hub {
    /// In place of `home`, with a community of one of its users.
    async fn in_place_of(home: &Homeserver, community: CommunityId) -> Result<Self> {
        let log = stored(home, ChainId::of_log(community)).await?;
        let first = log.first().and_then(|entry| entry.body.as_ref()).context("a log")?;
        let founder = codec::decode::<Statement>(first.as_slice())?.author;
        let users = stored(home, ChainId::of_user(founder)).await?;
        let played = Impostor::in_place_of(home.data())?;
        Ok(Self { played, community, log, users, reads: AtomicUsize::new(0) })
    }

    fn head(&self) -> Result<PlaceHead> {
        let head = self.log.last().context("a log")?.seen().into();
        Ok(PlaceHead { community: self.community, channel: None, head })
    }

    fn answer(&self, method: &str, body: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(Some(match method {
            PeerListPlaces::METHOD => {
                let places = Places { places: vec![self.head()?], next: None };
                codec::encode(&Answer::<_, Never>::Reply(places))
            }
            PeerReadPlace::METHOD => {
                self.reads.fetch_add(1, Ordering::Relaxed);
                let request: PeerReadPlace = codec::decode(body)?;
                let PlaceHead { head, .. } = self.head()?;
                let chain = ChainId::of_log(self.community);
                let at = SystemClock.now();
                let head = Head { chain, owner_epoch: 0, seq: head.seq, hash: head.hash, at };
                let head = Some(OwnerHead { heads: vec![head] }.sign(self.played.online())?);
                let mut entries = self.log.clone();
                entries.retain(|entry| request.after < Some(entry.seq));
                let page = Entries { entries, head, more: false };
                codec::encode(&Answer::<_, ReadError>::Reply(page))
            }
            PeerReadUsers::METHOD => {
                let PeerReadUsers { users, .. } = codec::decode_within(body, MAX_BATCH)?;
                let name = "alice".parse()?;
                let names = users.iter().map(|wanted| wanted.user);
                let names =
                    names.map(|user| NamedUser { user, name: Clone::clone(&name), server: None });
                let names = names.collect();
                let chains = UserChains { entries: self.users.clone(), names, more: false };
                codec::encode(&Answer::<_, ReadError>::Reply(chains))
            }
            ServerInfo::METHOD => {
                let description = ServerDescription {
                    record: self.played.signed.clone(),
                    version: "0".to_owned(),
                    registration: Registration::Closed,
                    at: SystemClock.now(),
                };
                codec::encode(&Answer::<_, Never>::Reply(description))
            }
            _ => return Ok(None),
        }))
    }
}

/// Which community the profile is in, by id.
async fn community_of(who: &rookery_tests::profile::Profile) -> Result<CommunityId> {
    let listed = who.run(&["community", "list", "--json"]).await?.success()?.json_lines()?;
    let id = listed.first().and_then(|line| line.get("id")).and_then(Value::as_str);
    Ok(id.context("an id")?.parse()?)
}

#[tokio::test]
async fn a_log_is_not_stored_that_nobody_here_has_to_do_with() -> Result<()> {
    let mut pair = Pair::of_strangers().await?;
    pair.alice.ask(&["community", "create", "club"]).await?;
    let community = community_of(&pair.alice).await?;
    pair.nest.kill().await?;
    let hub = Hub::in_place_of(&pair.nest, community).await?;
    let address = pair.garden.ready().address.clone();
    let client = hub.played.connect(&address, "garden.example").await?;
    // It tells of its community again and again, and answers whatever is asked.
    let serving =
        async { serve(client.connection(), async |method, body| hub.answer(method, body)).await };
    let looking = async {
        eventually(PATIENCE, async || {
            ensure!(hub.reads.load(Ordering::Relaxed) > 0, "the log was never looked at");
            Ok(())
        })
        .await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        pair.garden.admin(&["community", "show", &community.to_string()]).await
    };
    let shown = tokio::select! {
        shown = looking => shown?,
        ended = serving => return ended,
    };
    ensure!(shown.code() == 3, "it was stored: {shown}");
    drop(client);
    pair.garden.kill().await?;
    ensure!(
        stored(&pair.garden, ChainId::of_log(community)).await?.is_empty(),
        "its entries are here"
    );
    let founder = hub.users.first().context("a founder")?.chain;
    ensure!(stored(&pair.garden, founder).await?.is_empty(), "the founder's chain is here");
    Ok(())
}

#[tokio::test]
async fn what_a_hub_has_stored_is_kept_in_its_own_name() -> Result<()> {
    let mut pair = Pair::of_strangers().await?;
    // Somebody has to give newcomers the keys.
    let _agents = [pair.alice.start_agent()?, pair.bob.start_agent()?];
    pair.alice.wait_until_connected().await?;
    // Its first epoch is wrapped for both.
    pair.alice.ask(&["group", "create", "weekend", BOB]).await?;
    let community = community_of(&pair.alice).await?;
    pair.alice.send("+weekend", "where to?").await?;
    pair.bob.read_until("+weekend", &["where to?"]).await?;
    pair.garden.kill().await?;
    let log = stored(&pair.garden, ChainId::of_log(community)).await?;
    let storage = database::open(None, pair.garden.data()).await?;
    let mut view = storage.read().await?;
    let mut found = 0;
    for body in log.iter().filter_map(|entry| entry.body.as_ref()) {
        let Action::Epoch(epoch) = codec::decode::<Statement>(body.as_slice())?.action else {
            continue;
        };
        let Some(blob) = view.whole_blob(community, epoch.wraps).await? else { continue };
        let root = pair.nest.ready().fingerprint.parse::<rookery_protocol::id::ServerId>()?;
        ensure!(blob.key.user.as_bytes() == root.as_bytes(), "in whose name? {blob:?}");
        found += 1;
    }
    ensure!(found > 0, "no wraps were copied");
    drop(view);
    storage.close().await;
    Ok(())
}

#[tokio::test]
async fn of_two_connections_with_a_peer_the_other_one_is_used_when_one_ends() -> Result<()> {
    let world = World::new()?;
    let nest = world.homeserver("nest.example").start().await?;
    let garden = Impostor::new("garden.example")?;
    nest.know_impostor(&garden).await?;
    let address = nest.ready().address.clone();
    let first = garden.connect(&address, "nest.example").await?;
    nest.wait_for_peer("garden.example", "up").await?;
    // As when both dial at once: another connection is there, and its dialler drops it.
    let second = garden.connect(&address, "nest.example").await?;
    let asked = Mutex::new(vec![]);
    let note = async |on: usize, method: &str| {
        asked.lock().unwrap_or_else(PoisonError::into_inner).push((on, method.to_owned()));
        Ok(None)
    };
    let count = |on: usize| {
        let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().filter(|(one, _)| *one == on).count()
    };
    let on_first = serve(first.connection(), async |method, _| note(1, method).await);
    let on_second = async {
        serve(second.connection(), async |method, _| note(2, method).await).await.ok();
        std::future::pending::<()>().await;
    };
    let looking = async {
        eventually(PATIENCE, async || {
            ensure!(count(2) > 0, "the newer one is not used");
            Ok(())
        })
        .await?;
        let before = count(1);
        second.close();
        eventually(PATIENCE, async || {
            ensure!(count(1) > before, "the older one is not used again");
            Ok(())
        })
        .await?;
        for _ in 0..10 {
            let shown = nest.peer("garden.example").await?;
            ensure!(text(&shown, "state") == "up", "{shown}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Nothing comes and goes by itself.
        let settled = count(1);
        tokio::time::sleep(Duration::from_secs(2)).await;
        ensure!(count(1) <= settled + 2, "it is asked again and again: {}", count(1));
        Ok::<(), anyhow::Error>(())
    };
    tokio::select! {
        looked = looking => looked,
        ended = on_first => ended.context("the first connection has ended"),
        () = on_second => Ok(()),
    }
}

#[tokio::test]
async fn who_has_proven_nothing_asks_one_thing_at_a_time() -> Result<()> {
    let world = World::new()?;
    let nest = world.homeserver("nest.example").start().await?;
    let garden = Impostor::new("garden.example")?;
    nest.know_impostor(&garden).await?;
    let greeted = garden.greet(&nest.ready().address, "nest.example").await?;
    // A request that never ends has the only place.
    let (mut send, recv) = greeted.client.connection().open().await?;
    send.write(&[0, 0]).await?;
    let early = tokio::time::timeout(Duration::from_secs(2), greeted.client.call(&greeted.proof));
    ensure!(early.await.is_err(), "two requests were served at once");
    // Where it does not stand in the way, the same is answered at once.
    drop((send, recv));
    let client = garden.connect(&nest.ready().address, "nest.example").await?;
    let streams = [client.connection().open().await?, client.connection().open().await?];
    let listed = client.call(&PeerListPlaces { after: None, only: None }).await?;
    ensure!(listed.places.is_empty() && streams.len() == 2, "{listed:?}");
    Ok(())
}

//! A community of real processes is opened by a second implementation, out of what the server stores and one member's secrets alone.

use std::{collections::BTreeMap, env, process::Stdio};

use anyhow::{Context, Result, ensure};
use data_encoding::HEXLOWER;
use rookery_cli::{
    config::Place,
    store::{self, Secret},
};
use rookery_homeserver::{database, repository::Limit};
use rookery_protocol::{
    chain::Entry,
    codec,
    community::{Action, Statement},
    id::{ChainId, ChannelId, CommunityId, UserId},
};
use rookery_tests::{
    homeserver::Homeserver,
    process::{PATIENCE, run},
    profile::Profile,
    world::{World, eventually},
};
use serde_json::{Value, json};
use tokio::process::Command;

/// All of a chain or a blob at once: what this subject makes is small.
const ALL: Limit = Limit { rows: 1_000, bytes: 8 << 20 };

#[tokio::test]
async fn a_second_implementation_opens_a_real_community() -> Result<()> {
    let world = World::new()?;
    let mut server = world.homeserver("nest").start().await?;
    let (alice, bob) = (world.profile("alice", "laptop")?, world.profile("bob", "laptop")?);
    let carol = world.profile("carol", "laptop")?;
    for person in [&alice, &bob, &carol] {
        person.register(&server.invite(1).await?).await?;
    }
    let mut agent = alice.start_agent()?;
    alice.wait_until_connected().await?;
    let made = alice.ask(&["community", "create", "Night Owls", "--topic", "late talk"]).await?;
    let community: CommunityId = field(&made, "id")?.parse()?;
    let link = alice.ask(&["community", "invite", "night-owls"]).await?;
    for guest in [&bob, &carol] {
        guest.ask(&["community", "join", field(&link, "link")?]).await?;
    }
    let room = "night-owls#general";
    let first = alice.send(room, "hoot, said the first").await?;
    carol.send(room, "and the second").await?;
    alice.ask(&["member", "kick", "night-owls", "@carol", "--reason", "too loud"]).await?;
    alice.ask(&["edit", room, &first, "hoot, said the eldest"]).await?;
    bob.send(room, "gone are the loud").await?;
    eventually(PATIENCE, async || {
        let count = alice.read(room, 10).await?.len();
        ensure!(count == 3, "{count} messages");
        Ok(())
    })
    .await?;
    agent.stop().await?;
    server.stop().await?;

    let (bobs, user) = secrets(&bob).await?;
    let dump = dump(&server, community, user, bobs).await?;
    let lines = read_by_python(&dump).await?;
    let texts = |key: &str| -> Vec<String> {
        let wanted = lines.iter().filter(|line| line.get(key).is_some());
        wanted.filter_map(|line| Some(line.get("text")?.as_str()?.to_owned())).collect()
    };
    ensure!(
        texts("channel")
            == [
                "hoot, said the first",
                "and the second",
                "hoot, said the eldest",
                "gone are the loud"
            ],
        "{lines:?}"
    );
    for name in ["Night Owls", "late talk", "general", "too loud"] {
        ensure!(texts("log").iter().any(|text| text == name), "{name}: {lines:?}");
    }

    // The one who was sent away has secrets as well, and they open nothing that came after.
    let (carols, user) = secrets(&carol).await?;
    let lines = read_by_python(&self::dump(&server, community, user, carols).await?).await?;
    let all = format!("{lines:?}");
    ensure!(all.contains("and the second"), "{all}");
    ensure!(!all.contains("gone are the loud") && !all.contains("eldest"), "{all}");
    Ok(())
}

fn field<'v>(value: &'v Value, name: &str) -> Result<&'v str> {
    value.get(name).and_then(Value::as_str).with_context(|| format!("no {name} in {value}"))
}

/// The seeds of a user's per-user key, by generation, out of the store of their device.
async fn secrets(profile: &Profile) -> Result<(BTreeMap<String, String>, UserId)> {
    let place = Place::find(Some(profile.home()), None)?;
    let store = store::unlock(&place, Secret::Found).await?;
    let mut unit = store.read().await?;
    let account = unit.account().await?.context("nobody")?;
    let ring = unit.per_user_keys().await?.context("no per-user key")?;
    let seed = |generation: u32| {
        let kem = ring.kem(generation)?;
        Some((generation.to_string(), HEXLOWER.encode(kem.seed())))
    };
    let seeds = (1..=ring.generation()).filter_map(seed).collect();
    drop(unit);
    store.close().await;
    Ok((seeds, account.user))
}

/// What the server stores of a community, as the second implementation reads it.
async fn dump(
    server: &Homeserver,
    community: CommunityId,
    user: UserId,
    puks: BTreeMap<String, String>,
) -> Result<Value> {
    let storage = database::open(None, server.data()).await?;
    let mut view = storage.read().await?;
    let log = view.entries(ChainId::of_log(community), None, ALL).await?;
    let log: Vec<Entry> = log.rows.into_iter().map(|stored| stored.entry).collect();
    let chain = ChainId::of_channel(community, ChannelId::from_number(1));
    let channel = view.entries(chain, None, ALL).await?;
    let channel: Vec<String> =
        channel.rows.iter().map(|stored| HEXLOWER.encode(&codec::encode(&stored.entry))).collect();
    let mut blobs = BTreeMap::new();
    for entry in &log {
        let Some(body) = &entry.body else { continue };
        let statement: Statement = codec::decode(body.as_slice())?;
        if let Action::Epoch(epoch) = statement.action {
            let stored = view.whole_blob(community, epoch.wraps).await?;
            let key = stored.context("the wraps of an epoch")?.key;
            let bytes = view.blob_bytes(key, 0, 8 << 20).await?;
            blobs.insert(HEXLOWER.encode(epoch.wraps.as_bytes()), HEXLOWER.encode(&bytes));
        }
    }
    drop(view);
    storage.close().await;
    let log: Vec<String> = log.iter().map(|entry| HEXLOWER.encode(&codec::encode(entry))).collect();
    Ok(json!({
        "community": HEXLOWER.encode(community.as_bytes()),
        "log": log,
        "channels": { "1": channel },
        "blobs": blobs,
        "member": { "user": HEXLOWER.encode(user.as_bytes()), "puks": puks },
    }))
}

async fn read_by_python(dump: &Value) -> Result<Vec<Value>> {
    let python = env::var_os("ROOKERY_TEST_PYTHON")
        .context("ROOKERY_TEST_PYTHON names no Python: `tests/run` makes one")?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/epoch.py");
    let mut command = Command::new(python);
    command.arg(script).stdin(Stdio::piped());
    run(command, dump.to_string().as_bytes(), PATIENCE).await?.success()?.json_lines()
}

//! What the runner asks for: opening the profile, the agent's verbs, and coming in for the first time.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rookery_protocol::time::{Clock as _, SystemClock};
use serde_json::Value;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::{
    effect::Enter,
    event::{Entered, Event, Opened},
};
use crate::{
    agent::{
        Access, Lock, Need, Owner, SecretSource, Shared,
        verb::{Verb as _, Watch, Whoami, WhoamiLine},
    },
    config::Place,
    e2ee::{OsRandom, Random as _, identity::MadeFor},
    engine::{self, LoginOrder, RegisterOrder, Stream},
    error::{CommandError, Kind},
    store::{self, AccountStage, Secret, Store},
};

/// Where the secret of the store comes from, by the command line.
pub type Source = Arc<dyn Fn(Need) -> Result<Secret, CommandError> + Send + Sync>;

/// How long a device that was just let in may take to read what there is.
const SETTLE: std::time::Duration = std::time::Duration::from_mins(1);

/// Opens the profile: finds its agent or becomes it.
pub(super) async fn open(
    place: &Place,
    source: &Source,
    passphrase: Option<Zeroizing<String>>,
) -> (Opened, Option<Arc<Shared>>) {
    if !place.store().exists() {
        return (Opened::Nobody { device: machine_name() }, None);
    }
    let wants_passphrase = Arc::new(AtomicBool::new(false));
    let tried = passphrase.is_some();
    let asked = Arc::clone(&wants_passphrase);
    let named = Arc::clone(source);
    let source: SecretSource = Box::new(move |need| match (need, &passphrase) {
        (_, Some(passphrase)) => Ok(Secret::Passphrase(passphrase.clone())),
        (Need::First, None) => named(Need::First),
        (Need::Passphrase, None) => {
            asked.store(true, Ordering::Relaxed);
            Err(CommandError::new(Kind::Locked, "the store wants a passphrase"))
        }
    });
    let access = match Access::open(place.clone(), source).await {
        Ok(access) => access,
        Err(_) if wants_passphrase.load(Ordering::Relaxed) => {
            return (Opened::Locked { wrong: false }, None);
        }
        Err(error) if tried && error.kind == Kind::Locked => {
            return (Opened::Locked { wrong: true }, None);
        }
        // A store without an account: a first run that did not come to its end.
        Err(error) if error.kind == Kind::Locked => {
            return (Opened::Nobody { device: machine_name() }, None);
        }
        Err(error) => return (Opened::Failed(error), None),
    };
    let shared = Shared::new(access);
    let who = serde_json::to_value(Whoami {}).unwrap_or_default();
    let who = shared.call(Whoami::METHOD, who, |_| {}).await.and_then(|value| {
        serde_json::from_value::<WhoamiLine>(value)
            .map_err(|error| CommandError::new(Kind::Failed, error.to_string()))
    });
    match who {
        Ok(me) if me.state == "uncertified" => {
            // Letting it in needs the store to itself.
            shared.close().await;
            (Opened::Uncertified, None)
        }
        Ok(me) => {
            let mut seed = [0; 16];
            OsRandom.fill(&mut seed);
            (Opened::Ready { me: Box::new(me), seed }, Some(shared))
        }
        Err(error) => {
            shared.close().await;
            (Opened::Failed(error), None)
        }
    }
}

/// Asks one verb; what it brings goes to `events`.
pub(super) async fn ask(
    shared: Arc<Shared>,
    ticket: u64,
    method: &'static str,
    params: Value,
    events: mpsc::Sender<Event>,
) {
    let tell = |event| {
        // The loop that takes them has ended, or somebody has been in an editor for very long.
        events.try_send(Event::Told { ticket, event }).ok();
    };
    let outcome = shared.call(method, params, tell).await;
    events.send(Event::Answered { ticket, outcome }).await.ok();
}

/// Asks one verb that takes a file, with a text as the file; that is there until the answer comes, when the agent has its own copy.
pub(super) async fn ask_with_text(
    place: Place,
    shared: Arc<Shared>,
    (ticket, method, mut params): (u64, &'static str, Value),
    text: String,
    events: mpsc::Sender<Event>,
) {
    let written = tokio::task::spawn_blocking(move || Stream::of(&place, &mut text.as_bytes()));
    let written = written.await.map_err(std::io::Error::other).flatten();
    let stream = match written {
        Ok(stream) => stream,
        Err(error) => {
            let outcome = Err(error.into());
            events.send(Event::Answered { ticket, outcome }).await.ok();
            return;
        }
    };
    if let Some(params) = params.as_object_mut() {
        params.insert("file".to_owned(), stream.path().to_string_lossy().into());
    }
    ask(shared, ticket, method, params, events).await;
    drop(stream);
}

/// Follows what the agent tells, until it no longer does.
pub(super) async fn watch(shared: Arc<Shared>, events: mpsc::Sender<Event>) {
    let params = serde_json::to_value(Watch {}).unwrap_or_default();
    let tell = |event| {
        if let Ok(event) = serde_json::from_value(event) {
            events.try_send(Event::Watched(event)).ok();
        }
    };
    let outcome = shared.call(Watch::METHOD, params, tell).await;
    let error = match outcome {
        Ok(_) => CommandError::new(Kind::Failed, "the agent has ended; looking for the next one"),
        Err(error) => error,
    };
    // Whoever is asked in vain is not asked again at once.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    events.send(Event::WatchLost(error)).await.ok();
}

/// Comes in: with a new account, into one that there is, or by another device or the recovery key.
pub(super) async fn enter(
    place: &Place,
    source: &Source,
    enter: Enter,
) -> Result<Entered, CommandError> {
    let lock = Lock::take(place).await?;
    match enter {
        Enter::Register { link, name, password, device, passphrase } => {
            let store = store::create(place, secret(source, passphrase)?).await?;
            let order = RegisterOrder {
                link: link.parse()?,
                name: name.parse()?,
                password,
                recovery_key_file: place.recovery_key(),
                device_name: device,
                made_for: MadeFor::Person,
            };
            let outcome = Box::pin(engine::register(place, &store, order)).await;
            store.close().await;
            let entered = outcome?;
            let file = place.recovery_key();
            Ok(Entered {
                recovery_key: Some(std::fs::read_to_string(&file)?.trim().to_owned()),
                recovery_key_file: Some(file.display().to_string()),
                pinned: entered.pinned.map(|host| host.key.to_string()),
                is_uncertified: false,
            })
        }
        Enter::Login { server, name, password, device, passphrase } => {
            let store = store::create(place, secret(source, passphrase)?).await?;
            let order = LoginOrder { server, name: name.parse()?, password, device_name: device };
            let outcome = Box::pin(engine::login(place, &store, order)).await;
            store.close().await;
            let entered = outcome?;
            Ok(Entered {
                recovery_key: None,
                recovery_key_file: None,
                pinned: entered.pinned.map(|host| host.key.to_string()),
                is_uncertified: entered.account.stage == AccountStage::Uncertified,
            })
        }
        Enter::Code(code) => {
            let store = store::unlock(place, source(Need::First)?).await?;
            let outcome = engine::link_new_device(&store, &code, || SystemClock.now()).await;
            settle(place, lock, store, outcome.map(drop)).await
        }
        Enter::Recover(key) => {
            let key = crate::agent::verb::parse_recovery_key(&key)?;
            let store = store::unlock(place, source(Need::First)?).await?;
            let outcome = engine::recover(&store, &key).await;
            settle(place, lock, store, outcome.map(drop)).await
        }
    }
}

/// A device that was let in publishes its keys and reads what there is.
async fn settle(
    place: &Place,
    lock: Lock,
    store: Store,
    outcome: Result<(), CommandError>,
) -> Result<Entered, CommandError> {
    if let Err(error) = outcome {
        store.close().await;
        return Err(error);
    }
    let owner = Owner::start(place, lock, store).await?;
    let settled = owner.engine().settle_in(SETTLE).await;
    owner.stop().await;
    match settled {
        // It goes on by itself the next time that there is a connection.
        Ok(()) | Err(CommandError { kind: Kind::Timeout | Kind::NoConnection, .. }) => {
            Ok(Entered {
                recovery_key: None,
                recovery_key_file: None,
                pinned: None,
                is_uncertified: false,
            })
        }
        Err(error) => Err(error),
    }
}

fn secret(source: &Source, passphrase: Option<Zeroizing<String>>) -> Result<Secret, CommandError> {
    match passphrase {
        Some(passphrase) => Ok(Secret::Passphrase(passphrase)),
        None => source(Need::First),
    }
}

/// What this machine is called.
#[must_use]
pub(super) fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "device".to_owned() } else { name.chars().take(60).collect() }
}

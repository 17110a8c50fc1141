//! Reaching a home before there is an engine: who answers there, whether it is the one that was meant, and what it has of this user.

use rookery_protocol::{
    id::{ChainId, ServerId, UserId},
    io::{
        ConnectError,
        client::{Client, Trust},
    },
    key::VerifyingKey,
    name::{HostPort, JoinLink},
    request::{
        chain::ReadChain,
        server::{ServerInfo, ServerRecord},
    },
    time::{Clock as _, SystemClock},
    user::{self, State},
};

use super::{
    link::{self, Attempt},
    refusal::failed,
};
use crate::{
    config::{KnownHost, Place},
    e2ee::identity::DeviceSecrets,
    error::{CommandError, Kind},
    store::{Account, AccountStage, Session, Store},
};

/// A server that was reached, and is who it should be.
pub(super) struct Reached {
    pub(super) client: Client,
    pub(super) record: ServerRecord,
    pub(super) pin: Option<ServerId>,
    pub(super) address: HostPort,
    pub(super) pinned: Option<KnownHost>,
}

/// The home, as an uncertified device reaches it: logged in, and no more.
pub(super) struct Uncertified {
    pub(super) client: Client,
    pin: Option<ServerId>,
}

pub(super) async fn reach_uncertified(
    store: &Store,
) -> Result<(Uncertified, Account, DeviceSecrets), CommandError> {
    let account = store
        .read()
        .await?
        .account()
        .await?
        .ok_or_else(|| CommandError::new(Kind::Locked, "nobody is logged in here"))?;
    match account.stage {
        AccountStage::Uncertified => {}
        AccountStage::Certified => {
            return Err(CommandError::new(Kind::Usage, "this device is certified already"));
        }
        AccountStage::Ended => {
            return Err(CommandError::new(
                Kind::NotPermitted,
                "this device was signed out or revoked",
            ));
        }
    }
    let secrets = device_secrets(store).await?;
    let client = link::reach(&account).await?;
    let session = link::usable_session(&client, store, &account, &secrets, SystemClock.now())
        .await
        .map_err(|attempt| match attempt {
            Attempt::Again(error) | Attempt::Never(error) => error,
        })?;
    open_session(&client, &secrets, &session).await?;
    Ok((Uncertified { client, pin: account.pin }, account, secrets))
}

pub(super) async fn open_session(
    client: &Client,
    secrets: &DeviceSecrets,
    session: &Session,
) -> Result<(), CommandError> {
    client
        .open_session(secrets.signing(), &session.access)
        .await
        .map_err(|error| failed(Kind::Locked, error))?;
    Ok(())
}

/// Somebody through whom one's own chain can be read.
pub(super) trait Home {
    fn client(&self) -> &Client;
    fn pin(&self) -> Option<ServerId>;
}

impl Home for Reached {
    fn client(&self) -> &Client {
        &self.client
    }
    fn pin(&self) -> Option<ServerId> {
        self.pin
    }
}

impl Home for Uncertified {
    fn client(&self) -> &Client {
        &self.client
    }
    fn pin(&self) -> Option<ServerId> {
        self.pin
    }
}

/// Fetches this user's chain and verifies it from its genesis; stores what is new.
pub(super) async fn fetch_own_chain(
    home: &impl Home,
    store: &Store,
    user: UserId,
) -> Result<State, CommandError> {
    let denied = |error: user::Denied| {
        CommandError::new(
            Kind::Trust,
            format!("the server shows an account that does not hold: {error}"),
        )
    };
    loop {
        let have = store.read().await?.person(user).await?;
        let request = ReadChain {
            chain: ChainId::of_user(user),
            after: have.as_ref().map(|state| state.head.seq),
            limit: 256,
        };
        let page =
            home.client().call(&request).await.map_err(|error| failed(Kind::NotFound, error))?;
        let mut unit = store.write().await?;
        let mut state = unit.person(user).await?;
        for entry in &page.entries {
            if state.as_ref().is_some_and(|state| entry.seq <= state.head.seq) {
                continue;
            }
            state = Some(user::verify_and_apply(user, state.as_ref(), entry).map_err(denied)?);
            unit.add_statement(user, entry).await?;
        }
        let state = state.ok_or_else(|| {
            CommandError::new(Kind::Failed, "the server shows no chain for this account")
        })?;
        if home.pin().is_some_and(|pin| pin != state.home_key) {
            return Err(CommandError::new(
                Kind::Trust,
                "the account was founded on another server than this one",
            ));
        }
        unit.commit().await?;
        if !page.more || page.entries.is_empty() {
            return Ok(state);
        }
    }
}

/// Connects to a server that a person named: by link, or by where it listens.
pub(super) async fn find_server(place: &Place, text: &str) -> Result<Reached, CommandError> {
    if text.starts_with("rookery://") {
        let link: JoinLink = text.parse()?;
        return reach(place, link.address, Some(link.key)).await;
    }
    // An account's whole address names its server, too.
    let host = text.rsplit_once('@').map_or(text, |(_, host)| host);
    reach(place, host.parse()?, None).await
}

/// Connects to the server at `address`, whose root key has to be `key` if that is known; pins it.
pub(super) async fn reach(
    place: &Place,
    address: HostPort,
    key: Option<ServerId>,
) -> Result<Reached, CommandError> {
    let hosts = place.known_hosts();
    let known = hosts.find(&address)?;
    if let (Some(known), Some(key)) = (&known, key)
        && known.key != key
    {
        // The refusal, with what to do about it.
        hosts.pin(&KnownHost { key, ..known.clone() })?;
    }
    let pin = key.or(known.as_ref().map(|known| known.key));
    let client = match pin {
        Some(pin) => Client::connect(&address, Trust::Pinned(pin)).await?,
        None => first_contact(&address).await?,
    };
    let description =
        client.call(&ServerInfo {}).await.map_err(|error| failed(Kind::Failed, error))?;
    let unproven = || {
        CommandError::new(
            Kind::Trust,
            "the server's root key does not vouch for what the server says of itself",
        )
    };
    let server = match pin.or(client.server_id()) {
        Some(server) => server,
        None => {
            claimed_root(description.record.payload.as_slice()).ok_or_else(unproven)?.server_id()
        }
    };
    let record = description.record.verify(server).map_err(|_| unproven())?;
    let pin = pin.or(client.server_id());
    let mut pinned = None;
    if let Some(key) = pin {
        let host = KnownHost { address: address.clone(), server: record.name.clone(), key };
        hosts.pin(&host)?;
        pinned = known.is_none().then_some(host);
    }
    Ok(Reached { client, record, pin, address, pinned })
}

/// A domain is trusted by the public authorities, anything else at first sight.
async fn first_contact(address: &HostPort) -> Result<Client, CommandError> {
    let is_domain = address.host.contains('.') && address.host.parse::<std::net::IpAddr>().is_err();
    if is_domain {
        match Client::connect(address, Trust::WebPki).await {
            Err(ConnectError::Untrusted(_)) => {}
            connected => return Ok(connected?),
        }
    }
    Ok(Client::connect(address, Trust::FirstContact).await?)
}

fn claimed_root(payload: &[u8]) -> Option<VerifyingKey> {
    rookery_protocol::codec::decode::<ServerRecord>(payload).ok().map(|record| record.root)
}

pub(super) async fn device_secrets(store: &Store) -> Result<DeviceSecrets, CommandError> {
    store
        .read()
        .await?
        .device()
        .await?
        .ok_or_else(|| CommandError::new(Kind::Failed, "this device has no keys"))
}

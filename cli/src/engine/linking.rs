//! Linking: two devices of one user and a code that a person carries from one to the other.

use rookery_protocol::{
    chain::HeadRef,
    id::DeviceId,
    io::client::{CallError, Client},
    request::link::{ClosePlace, OpenPlace, PlaceError, PutLetter, Side, TakeLetter},
    time::Timestamp,
    user::PukBox,
};

use super::{
    Engine,
    enter::certify,
    home::{fetch_own_chain, reach_uncertified},
    refusal::failed_as,
};
use crate::{
    e2ee::{
        OsRandom,
        identity::MadeFor,
        link::{
            Answer, Introduction, Letter, LinkCode, LinkError, NewDevice, OldDevice,
            OldDeviceAgreed, OldDeviceAsked, Portrait,
        },
        statement::{Draft, Signer},
    },
    error::{CommandError, Kind},
    store::{Account, Store},
};

/// How long the new device waits for the old one's person.
const NEW_SIDE_PATIENCE: std::time::Duration = std::time::Duration::from_mins(5);

/// A link that waits for its person's word.
pub(super) struct Asked {
    place: Place,
    asked: OldDeviceAsked,
}

/// A meeting place at the home, from one side.
#[derive(Clone)]
struct Place {
    client: Client,
    number: u32,
    side: Side,
    until: Timestamp,
}

impl From<LinkError> for CommandError {
    fn from(error: LinkError) -> Self {
        let kind = if error == LinkError::WrongCode { Kind::Trust } else { Kind::Failed };
        Self::of(kind, &error).hint("the code is used up: `rookery device link` gives another")
    }
}

fn kind_of(error: &PlaceError) -> Kind {
    match error {
        PlaceError::NotFound => Kind::NotFound,
        PlaceError::TooMany => Kind::RateLimited,
        PlaceError::Taken => Kind::Failed,
    }
}

impl Place {
    async fn put(&self, number: u32, letter: Letter) -> Result<(), CommandError> {
        let request = PutLetter { place: self.number, side: self.side, number, letter };
        self.client.call(&request).await.map_err(|error| failed_as(error, kind_of))
    }

    async fn take(
        &self,
        number: u32,
        now: impl Fn() -> Timestamp,
    ) -> Result<(Letter, DeviceId), CommandError> {
        let side = match self.side {
            Side::Old => Side::New,
            Side::New => Side::Old,
        };
        loop {
            match self.client.call(&TakeLetter { place: self.number, side, number }).await {
                Ok(reply) => {
                    if let (Some(letter), Some(from)) = (reply.letter, reply.from) {
                        return Ok((letter, from));
                    }
                }
                // The home waits less long than it takes a person to type.
                Err(CallError::TimedOut) => {}
                Err(error) => return Err(failed_as(error, kind_of)),
            }
            if now() >= self.until {
                return Err(CommandError::new(
                    Kind::Timeout,
                    "nobody used the code in time; nothing was changed",
                )
                .hint("`rookery device link` gives another"));
            }
        }
    }

    async fn close(&self) {
        self.client.call(&ClosePlace { place: self.number }).await.ok();
    }
}

impl Engine {
    /// The old side, up to the moment when the new device has proven that it knows the code. `show` is given the code at once.
    pub(crate) async fn open_link<F: Future<Output = Result<(), CommandError>>>(
        &self,
        show: impl FnOnce(String, Timestamp) -> F,
    ) -> Result<Introduction, CommandError> {
        let client = self.online().await?;
        let opened = client.call(&OpenPlace {}).await.map_err(|error| failed_as(error, kind_of))?;
        let place = Place { client, number: opened.number, side: Side::Old, until: opened.expires };
        let code = LinkCode::generate(opened.number, &mut OsRandom);
        show(code.to_text(), opened.expires).await?;
        let outcome = self.meet(&place, code).await;
        match outcome {
            Ok(asked) => {
                let introduction = asked.introduction().clone();
                *self.linking.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                    Some(Asked { place, asked });
                Ok(introduction)
            }
            Err(error) => {
                // One guess a place.
                place.close().await;
                Err(error)
            }
        }
    }

    async fn meet(&self, place: &Place, code: LinkCode) -> Result<OldDeviceAsked, CommandError> {
        let old = OldDevice::begin(self.user, code);
        let (letter, from) = place.take(0, || self.now()).await?;
        let (exchanged, answer) = old.handle_exchange(&letter, from, &mut OsRandom)?;
        place.put(0, answer).await?;
        let (letter, _) = place.take(1, || self.now()).await?;
        Ok(exchanged.handle_introduction(&letter)?)
    }

    /// The old side, once its person has said yes: states the new device, and gives it the per-user key.
    pub(crate) async fn accept_link(&self, with_history: bool) -> Result<DeviceId, CommandError> {
        let Asked { place, asked } = self.take_link()?;
        let device = asked.introduction().device;
        let outcome = self.welcome(&place, asked, with_history).await;
        if outcome.is_err() {
            place.close().await;
        }
        outcome.map(|()| device)
    }

    /// The person said no.
    pub(crate) async fn refuse_link(&self) -> Result<(), CommandError> {
        self.take_link()?.place.close().await;
        Ok(())
    }

    fn take_link(&self) -> Result<Asked, CommandError> {
        let pending = self.linking.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        pending.ok_or_else(|| CommandError::new(Kind::NotFound, "no device waits to be linked"))
    }

    async fn welcome(
        &self,
        place: &Place,
        asked: OldDeviceAsked,
        with_history: bool,
    ) -> Result<(), CommandError> {
        let (state, ring) = self.own_keys().await?;
        let (offered, letter) = asked.accept(&state, &ring, &mut OsRandom);
        place.put(1, letter).await?;
        let (letter, _) = place.take(2, || self.now()).await?;
        let agreed = offered.handle_consent(&letter)?;
        if let Some((head, puk)) = self.state_device(place, &agreed, with_history).await? {
            place.put(2, agreed.welcome(head, puk, &mut OsRandom)).await?;
        } else {
            let state = self.fetch_chain(&place.client, self.user).await?;
            let (offered, letter) = agreed.offer_again(&state, &mut OsRandom);
            place.put(2, letter).await?;
            let (letter, _) = place.take(3, || self.now()).await?;
            let agreed = offered.handle_consent(&letter)?;
            let stated = self.state_device(place, &agreed, with_history).await?;
            let (head, puk) = stated.ok_or_else(|| {
                CommandError::new(
                    Kind::Failed,
                    "the account keeps changing on another device; the new device was not added",
                )
            })?;
            place.put(3, agreed.welcome(head, puk, &mut OsRandom)).await?;
        }
        self.fetch_chain(&place.client, self.user).await?;
        Ok(())
    }

    async fn own_keys(
        &self,
    ) -> Result<(rookery_protocol::user::State, crate::e2ee::puk::PukRing), CommandError> {
        let mut unit = self.store.read().await?;
        let missing = || {
            CommandError::new(Kind::Failed, "the account's keys are not here yet")
                .hint("wait until this device has caught up")
        };
        let state = unit.person(self.user).await?.ok_or_else(missing)?;
        let ring = unit.per_user_keys().await?.ok_or_else(missing)?;
        Ok((state, ring))
    }

    /// Adds the device to the chain, and gives the box of the per-user key for it; nothing when the chain went on meanwhile.
    async fn state_device(
        &self,
        place: &Place,
        agreed: &OldDeviceAgreed,
        with_history: bool,
    ) -> Result<Option<(HeadRef, Option<PukBox>)>, CommandError> {
        let (state, ring) = self.own_keys().await?;
        let mut draft = Draft::after(&state);
        let device = agreed.keys.device_id();
        draft.add_device(
            Signer::Device(&self.secrets),
            agreed.keys.clone(),
            agreed.consent,
            self.now(),
            &mut OsRandom,
        )?;
        if with_history {
            draft.box_for(device, &ring, &mut OsRandom)?;
        }
        let stated = draft.finish();
        let puk = stated.boxes.iter().find(|sealed| sealed.device == Some(device)).cloned();
        Ok(self.hand_in(&place.client, &stated).await?.map(|head| (head, puk)))
    }
}

/// The new side: takes the code that the old device shows, and is certified by it.
pub async fn link_new_device(
    store: &Store,
    code: &str,
    now: impl Fn() -> Timestamp,
) -> Result<Account, CommandError> {
    let code = LinkCode::parse(code).map_err(|error| CommandError::of(Kind::Usage, &error))?;
    let (home, account, secrets) = reach_uncertified(store).await?;
    let place = Place {
        client: home.client.clone(),
        number: code.place(),
        side: Side::New,
        until: now().plus(NEW_SIDE_PATIENCE),
    };
    let (new, letter) = NewDevice::begin(&secrets, account.user, &code, &mut OsRandom);
    place.put(0, letter).await?;
    let (letter, _) = place.take(0, &now).await?;
    let portrait = Portrait {
        made_for: MadeFor::Person,
        name: &account.device_name,
        platform: std::env::consts::OS,
    };
    let (waiting, letter) = new.handle_exchange(&letter, &secrets, portrait, &mut OsRandom)?;
    place.put(1, letter).await?;
    let (letter, _) = place.take(1, &now).await?;
    let (mut consented, letter) = waiting.handle_offer(&letter, &secrets, &mut OsRandom)?;
    place.put(2, letter).await?;
    let mut number = 2;
    let welcome = loop {
        let (letter, _) = place.take(number, &now).await?;
        match consented.handle_answer(&letter, &secrets, &mut OsRandom)? {
            Answer::Welcome(welcome) => break welcome,
            Answer::OfferedAgain(again, letter) if number == 2 => {
                number = 3;
                place.put(number, letter).await?;
                consented = again;
            }
            Answer::OfferedAgain(..) => return Err(LinkError::Unexpected.into()),
        }
    };
    let state = fetch_own_chain(&home, store, account.user).await?;
    if state.head.seq < welcome.head.seq {
        return Err(CommandError::new(
            Kind::Trust,
            "the server shows an older chain than the other device saw",
        ));
    }
    let ring = if welcome.shares_history() {
        Some(
            welcome
                .ring(&state, &secrets)
                .map_err(|error| CommandError::of(Kind::Trust, &error))?,
        )
    } else {
        None
    };
    let account = certify(store, account, &state, ring.as_ref(), &secrets).await?;
    home.client.close();
    Ok(account)
}

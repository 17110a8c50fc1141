//! Meeting places: where two devices of one user exchange the letters by which one certifies the other.
//!
//! In memory, because a place lasts five minutes and what lies in it is of no use to anybody else. A side belongs to the device that first
//! wrote on it, so that a place takes one guess at its code: a second device finds the side taken.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rookery_protocol::{
    codec::Octets,
    id::{DeviceId, UserId},
    request::{
        Failure, Refusal,
        link::{Letter, Place, PlaceError, PutLetter, Side, TakeLetter},
    },
    session::Authenticated,
    time::Timestamp,
};
use tokio::sync::Notify;

use super::{
    Services,
    limit::{Bucket, Subject},
};

/// How long a place is open.
const LIFETIME: Duration = Duration::from_mins(5);
/// How long one question waits for a letter; below the deadline of calls.
const PATIENCE: Duration = Duration::from_secs(25);
/// Letters of one side.
const LETTERS: usize = 4;
/// The largest number of a place: what a person reads out.
const MAX_NUMBER: u32 = 999;
/// Places open at the whole server, whatever the limits say: 64 MiB if all are full.
const MAX_PLACES: usize = 1_000;

/// One side of a place.
#[derive(Debug, Default)]
struct Half {
    device: Option<DeviceId>,
    letters: [Option<Octets<8192>>; LETTERS],
}

#[derive(Debug)]
struct Meeting {
    expires: Timestamp,
    old: Half,
    new: Half,
    arrived: Arc<Notify>,
}

impl Meeting {
    fn half(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Old => &mut self.old,
            Side::New => &mut self.new,
        }
    }
}

/// All places that are open.
#[derive(Debug, Default)]
pub struct Places(Mutex<HashMap<(UserId, u32), Meeting>>);

impl Places {
    fn lock(&self, now: Timestamp) -> MutexGuard<'_, HashMap<(UserId, u32), Meeting>> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|_, meeting| meeting.expires > now);
        places
    }
}

/// Opens a place.
pub fn open(services: &Services, who: Authenticated) -> Result<Place, Failure<PlaceError>> {
    let now = services.clock.now();
    let subject = Subject::User(who.user);
    services
        .limiter
        .take(Bucket::Places, &subject)
        .map_err(|_| Failure::Error(PlaceError::TooMany))?;
    let mut places = services.places.lock(now);
    if places.len() >= MAX_PLACES {
        return Err(Refusal::Unavailable.into());
    }
    let mut draw = [0; 4];
    getrandom::fill(&mut draw).map_err(|_| Refusal::Internal)?;
    let first = u32::from_be_bytes(draw) % MAX_NUMBER;
    let mut numbers =
        (0..MAX_NUMBER).map(|step| (first.wrapping_add(step) % MAX_NUMBER).saturating_add(1));
    let number = numbers.find(|number| !places.contains_key(&(who.user, *number)));
    let number = number.ok_or(Failure::Error(PlaceError::TooMany))?;
    let expires = now.plus(LIFETIME);
    let old = Half { device: Some(who.device), ..Half::default() };
    let meeting = Meeting { expires, old, new: Half::default(), arrived: Arc::new(Notify::new()) };
    places.insert((who.user, number), meeting);
    Ok(Place { number, expires })
}

/// Puts one side's letter down.
pub fn put(
    services: &Services,
    who: Authenticated,
    request: PutLetter,
) -> Result<(), Failure<PlaceError>> {
    let mut places = services.places.lock(services.clock.now());
    let meeting =
        places.get_mut(&(who.user, request.place)).ok_or(Failure::Error(PlaceError::NotFound))?;
    let taken = || Failure::Error(PlaceError::Taken);
    if request.side == Side::New && meeting.old.device == Some(who.device) {
        return Err(taken());
    }
    let half = meeting.half(request.side);
    if *half.device.get_or_insert(who.device) != who.device {
        return Err(taken());
    }
    let number = usize::try_from(request.number).unwrap_or(usize::MAX);
    let slot = half.letters.get_mut(number).ok_or(Failure::Refused(Refusal::Malformed))?;
    match slot {
        // A retry after a lost answer.
        Some(letter) if *letter == request.letter => {}
        Some(_) => return Err(taken()),
        None => *slot = Some(request.letter),
    }
    meeting.arrived.notify_waiters();
    Ok(())
}

/// Waits for the other side's letter.
pub async fn take(
    services: &Services,
    who: Authenticated,
    request: TakeLetter,
) -> Result<Letter, Failure<PlaceError>> {
    let look = || {
        let mut places = services.places.lock(services.clock.now());
        let meeting = places
            .get_mut(&(who.user, request.place))
            .ok_or(Failure::Error(PlaceError::NotFound))?;
        let arrived = Arc::clone(&meeting.arrived);
        let half = meeting.half(request.side);
        let number = usize::try_from(request.number).unwrap_or(usize::MAX);
        let letter = half.letters.get(number).ok_or(Failure::Refused(Refusal::Malformed))?.clone();
        Ok::<_, Failure<PlaceError>>((
            Letter { from: letter.as_ref().and(half.device), letter },
            arrived,
        ))
    };
    let wait = async {
        loop {
            let (_, arrived) = look()?;
            let mut notified = std::pin::pin!(arrived.notified());
            // Enlisted before the second look, so that a letter in between is not missed.
            notified.as_mut().enable();
            let (found, _) = look()?;
            if found.letter.is_some() {
                return Ok(found);
            }
            notified.await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or(Ok(Letter { letter: None, from: None }))
}

/// Closes a place. Only the devices that meet there can.
pub fn close(services: &Services, who: Authenticated, place: u32) {
    let mut places = services.places.lock(services.clock.now());
    let key = (who.user, place);
    let meets =
        |meeting: &Meeting| [meeting.old.device, meeting.new.device].contains(&Some(who.device));
    if places.get(&key).is_some_and(meets)
        && let Some(meeting) = places.remove(&key)
    {
        meeting.arrived.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{Bench, bench};

    fn letter(byte: u8) -> Octets<8192> {
        Octets::parse(vec![byte; 9]).unwrap()
    }

    fn put_as(
        bench: &Bench,
        device: u8,
        who: Authenticated,
        place: u32,
        side: Side,
    ) -> Result<(), Failure<PlaceError>> {
        let who = Authenticated { device: DeviceId::from_bytes([device; 32]), ..who };
        put(&bench.services, who, PutLetter { place, side, number: 0, letter: letter(device) })
    }

    #[tokio::test]
    async fn a_place_takes_one_guess() {
        let bench = bench(&[]);
        let (_, alice, ..) = bench.person("alice").await;
        let place = open(&bench.services, alice).unwrap().number;
        put_as(&bench, 1, alice, place, Side::New).unwrap();
        put_as(&bench, 1, alice, place, Side::New).unwrap();
        assert_eq!(
            put_as(&bench, 2, alice, place, Side::New),
            Err(Failure::Error(PlaceError::Taken))
        );
        assert_eq!(
            put_as(&bench, 2, alice, place, Side::Old),
            Err(Failure::Error(PlaceError::Taken))
        );
        let found = take(&bench.services, alice, TakeLetter { place, side: Side::New, number: 0 })
            .await
            .unwrap();
        assert_eq!(
            (found.letter, found.from),
            (Some(letter(1)), Some(DeviceId::from_bytes([1; 32])))
        );
        close(&bench.services, alice, place);
        assert_eq!(
            put_as(&bench, 1, alice, place, Side::New),
            Err(Failure::Error(PlaceError::NotFound))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_woken_by_the_letter_or_told_to_ask_again() {
        let bench = bench(&[]);
        let (_, alice, ..) = bench.person("alice").await;
        let place = open(&bench.services, alice).unwrap().number;
        let wait =
            || take(&bench.services, alice, TakeLetter { place, side: Side::New, number: 0 });
        assert_eq!(wait().await.unwrap().letter, None);
        let (taken, ()) = tokio::join!(wait(), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            put_as(&bench, 1, alice, place, Side::New).unwrap();
        });
        assert_eq!(taken.unwrap().letter, Some(letter(1)));
    }

    #[tokio::test]
    async fn places_are_few_and_end_by_themselves() {
        let bench = bench(&[("limits.link_places", "3/h")]);
        let (_, alice, ..) = bench.person("alice").await;
        let (_, bob, ..) = bench.person("bob").await;
        let place = open(&bench.services, alice).unwrap().number;
        assert_eq!(
            put_as(&bench, 1, bob, place, Side::New),
            Err(Failure::Error(PlaceError::NotFound)),
            "another user's"
        );
        assert!(open(&bench.services, alice).is_ok() && open(&bench.services, alice).is_ok());
        assert_eq!(open(&bench.services, alice), Err(Failure::Error(PlaceError::TooMany)));
        bench.clock.advance(LIFETIME);
        assert_eq!(
            put_as(&bench, 1, alice, place, Side::New),
            Err(Failure::Error(PlaceError::NotFound))
        );
    }
}

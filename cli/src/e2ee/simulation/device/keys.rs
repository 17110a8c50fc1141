//! The secrets of epochs, as a device comes by them.

use rookery_protocol::{
    community::{Action, State},
    id::AudienceId,
};

use super::super::{
    hub::{Hub, action_of},
    people::People,
};
use super::{Client, copy};
use crate::e2ee::epoch::{
    EpochKeys, EpochPlace, EpochSecret, Receiver, WrapContext, wrap_at, wrap_index,
};

impl Client {
    pub(super) fn place(&self, audience: AudienceId, epoch: u32) -> EpochPlace {
        EpochPlace { community: self.community, audience, epoch }
    }

    /// Every epoch of an audience that this log has begun.
    fn begun(
        &self,
        audience: AudienceId,
        number: u32,
    ) -> Option<(&State, &rookery_protocol::community::Epoch)> {
        self.states.iter().find_map(|state| {
            let epoch = state.audiences.get(&audience)?.epoch.as_ref()?;
            (epoch.number == number && epoch.seq == state.head.seq).then_some((state, epoch))
        })
    }

    pub(super) fn keys(
        &mut self,
        people: &People,
        hub: &Hub,
        audience: AudienceId,
        number: u32,
    ) -> Option<EpochKeys> {
        let secret = self.secret(people, hub, audience, number)?;
        let (_, epoch) = self.begun(audience, number)?;
        Some(secret.keys(self.place(audience, number), &epoch.roster_root, &epoch.log_root))
    }

    /// The secret of an epoch: here already, opened by a later one, or out of a wrap.
    pub(in super::super) fn secret(
        &mut self,
        people: &People,
        hub: &Hub,
        audience: AudienceId,
        number: u32,
    ) -> Option<EpochSecret> {
        if let Some(secret) = self.secrets.get(&(audience, number)) {
            return Some(copy(secret));
        }
        let opened = self.from_later(people, hub, audience, number);
        let secret = opened.or_else(|| self.from_wrap(people, hub, audience, number))?;
        self.secrets.insert((audience, number), copy(&secret));
        Some(secret)
    }

    fn from_later(
        &mut self,
        people: &People,
        hub: &Hub,
        audience: AudienceId,
        number: u32,
    ) -> Option<EpochSecret> {
        let (_, next) = self.begun(audience, number + 1)?;
        let sealed = next.previous.clone()?;
        let commit = self.begun(audience, number)?.1.commit;
        let later = self.secret(people, hub, audience, number + 1)?;
        let opened =
            later.open_previous(self.place(audience, number + 1), sealed.as_slice(), &commit);
        Some(opened.expect("an epoch does not open the one before"))
    }

    fn from_wrap(
        &self,
        people: &People,
        hub: &Hub,
        audience: AudienceId,
        number: u32,
    ) -> Option<EpochSecret> {
        let (then, epoch) = self.begun(audience, number)?;
        let me = Receiver::User(self.user);
        let context =
            WrapContext { place: self.place(audience, number), roster_root: epoch.roster_root };
        let mut wraps = vec![];
        if !hub.lost.contains(&(self.user, epoch.wraps))
            && let Some(index) =
                wrap_index(then, audience, me).filter(|_| then.is_in_audience(self.user, audience))
        {
            wraps.extend(wrap_at(&hub.blobs[&epoch.wraps], index));
        }
        wraps.extend(self.log.iter().filter_map(|entry| match action_of(entry) {
            Action::Admit(admit)
                if (admit.audience, admit.epoch, admit.user) == (audience, number, self.user) =>
            {
                Some(admit.wrap)
            }
            _ => None,
        }));
        let person = &people.0[self.who];
        let newest = person.devices[self.device].generation;
        wraps.iter().find_map(|wrap| {
            (1..=newest).rev().find_map(|generation| {
                let key = person.ring.kem(generation)?;
                EpochSecret::unwrap(&key, &context, me, wrap, &epoch.commit).ok()
            })
        })
    }

    /// The epoch in force of an audience, and its secret.
    pub(in super::super) fn in_force(
        &mut self,
        people: &People,
        hub: &Hub,
        audience: AudienceId,
    ) -> Option<(u32, EpochSecret)> {
        let number = self.state()?.audiences.get(&audience)?.epoch.as_ref()?.number;
        Some((number, self.secret(people, hub, audience, number)?))
    }
}

//! What happens in a run, drawn step by step.

use rookery_protocol::{
    community::{Action, Ban, EpochReason, Join, JoinBy, PukPin},
    id::AudienceId,
};

use super::super::{
    device::{Batch, Client},
    hub::Answer,
    people::{DEVICES, USERS},
};
use super::{COMMON, CREW, PRIVATE, World, random_bit};

impl World {
    pub(super) fn step(&mut self) {
        match self.draw(20) {
            0..=4 => {
                let which = self.some_member();
                let channel = if self.draw(3) == 0 { PRIVATE } else { COMMON };
                let client = &mut self.clients[which];
                let may = client.state().is_some_and(|state| state.may_read(client.user, channel));
                if may && client.outbox.len() < 3 {
                    client.say(channel, &mut self.random);
                }
                self.post(which);
            }
            5..=6 => {
                let which = self.some_member();
                self.post(which);
            }
            7..=12 => {
                for _ in 0..=self.draw(12) {
                    self.deliver();
                }
            }
            13 => self.come_or_go(),
            14 => self.send_away(),
            15 => self.change_role(),
            16 => self.change_devices(),
            17 => self.two_at_once(),
            _ => {
                let which = self.some_member();
                self.keep(which);
            }
        }
    }

    pub(super) fn post(&mut self, which: usize) {
        let is_cut_off = self.draw(6) == 0;
        let Self { random, people, hub, clients, .. } = self;
        clients[which].post(people, hub, random, is_cut_off);
        self.tell();
        if !self.clients[which].outbox.is_empty() && self.draw(3) > 0 {
            self.sync(which);
            self.rotate_if_due(which);
        }
    }

    pub(super) fn rotate_if_due(&mut self, which: usize) {
        let Some(state) = self.clients[which].state().cloned() else { return };
        let user = self.clients[which].user;
        for (id, audience) in &state.audiences {
            if let Some(reason) = audience.must_rotate()
                && state.is_in_audience(user, *id)
            {
                self.commit(which, |batch, people, client, random| {
                    batch.state().audiences[id].must_rotate().is_some()
                        && batch.rotate(people, client, *id, reason, random)
                });
            }
        }
    }

    fn come_or_go(&mut self) {
        let who = 1 + self.pick(USERS - 1);
        let user = self.people.0[who].user;
        if self.hub.state().members.contains_key(&user) {
            let devices: Vec<_> =
                self.members().into_iter().filter(|one| self.clients[*one].who == who).collect();
            let which = devices[self.pick(devices.len())];
            if self.draw(2) == 0 {
                self.commit(which, |batch, people, client, random| {
                    batch.say(people, client, Action::Leave, random)
                });
            }
            return;
        }
        if self.clients.iter().all(|client| client.who != who) {
            self.clients.push(Client::new(&self.people, who, 0, self.community));
        }
        let devices: Vec<_> =
            self.live_clients().into_iter().filter(|one| self.clients[*one].who == who).collect();
        let which = devices[self.pick(devices.len())];
        self.sync(which);
        let join = Action::Join(Join { puk: self.people.0[who].pin(), by: JoinBy::Open });
        self.commit(which, |batch, people, client, random| batch.say(people, client, join, random));
    }

    fn send_away(&mut self) {
        let who = 1 + self.pick(USERS - 1);
        let user = self.people.0[who].user;
        let is_banned = self.hub.state().banned.contains(&user);
        let ban = Ban { user, reason: None };
        let action = match self.draw(3) {
            _ if is_banned => Action::Unban { user },
            0 => Action::Ban(ban),
            _ => Action::Kick(ban),
        };
        let which = self.owner();
        self.commit(which, |batch, people, client, random| {
            batch.say(people, client, action, random) && batch.settle(people, client, random)
        });
    }

    fn change_role(&mut self) {
        let who = 1 + self.pick(USERS - 1);
        let user = self.people.0[who].user;
        let bears =
            self.hub.state().members.get(&user).is_some_and(|member| member.roles.contains(&CREW));
        let role = CREW;
        let action = if bears {
            Action::RoleRevoke { user, role }
        } else {
            Action::RoleGrant { user, role }
        };
        let which = self.owner();
        self.commit(which, |batch, people, client, random| {
            let is_done =
                batch.say(people, client, action, random) && batch.settle(people, client, random);
            if is_done {
                batch.admit_all(people, client, random);
            }
            is_done
        });
    }

    fn change_devices(&mut self) {
        let who = self.pick(USERS);
        let Self { random, people, clients, .. } = self;
        let person = &mut people.0[who];
        if clients.iter().all(|client| client.who != who) {
            return;
        }
        // One is left for whoever comes after the end.
        if person.devices.len() < DEVICES - 1 && (person.devices.len() == 1 || random_bit(random)) {
            let device = person.link(random).unwrap();
            clients.push(Client::new(people, who, device, self.community));
        } else {
            let gone = person.devices.len() - 1;
            person.revoke(gone, random);
        }
    }

    /// Two devices begin an epoch at the same place: one of them is told to look again.
    fn two_at_once(&mut self) {
        let members = self.members();
        let (one, other) = (members[self.pick(members.len())], members[self.pick(members.len())]);
        if one == other {
            return;
        }
        self.sync(one);
        self.sync(other);
        let Self { random, people, hub, clients, .. } = self;
        let mut batches = vec![];
        for which in [one, other] {
            let client = &mut clients[which];
            let mut batch = Batch::of(client, people, hub);
            if batch.rotate(people, client, AudienceId::MEMBERS, EpochReason::Age, random) {
                batches.push((which, batch));
            }
        }
        let mut answers = vec![];
        for (which, batch) in batches {
            answers.push(batch.submit(people, hub, &mut clients[which]));
        }
        if let [first, second] = answers[..] {
            assert_eq!((first, second), (Answer::Done, Answer::Stale), "both began the same epoch");
        }
        self.tell();
    }

    /// What a member's device does without being asked.
    pub(super) fn keep(&mut self, which: usize) {
        let Some(state) = self.clients[which].state().cloned() else { return };
        let (who, user) = (self.clients[which].who, self.clients[which].user);
        let Some(member) = state.members.get(&user) else { return };
        let puk = self.people.0[who].pin();
        if member.puk != puk {
            self.name_head(which, puk);
        }
        self.rotate_if_due(which);
        let Self { people, hub, clients, .. } = self;
        let mut missing = vec![];
        let Some(state) = clients[which].state().cloned() else { return };
        for (id, audience) in
            state.audiences.iter().filter(|(id, _)| state.is_in_audience(user, **id))
        {
            if clients[which].in_force(people, hub, *id).is_none()
                && audience.must_rotate().is_none()
            {
                // In the middle of a batch an audience may have none yet.
                let Some(epoch) = audience.epoch.as_ref() else { continue };
                missing.push(Action::Lacking { audience: *id, epoch: epoch.number });
            }
        }
        self.commit(which, |batch, people, client, random| {
            for lacking in missing {
                batch.say(people, client, lacking, random);
            }
            batch.admit_all(people, client, random);
            true
        });
    }

    pub(super) fn name_head(&mut self, which: usize, puk: PukPin) {
        self.commit(which, |batch, people, client, random| {
            batch.say(people, client, Action::Head(puk), random)
        });
    }
}

//! What a member states, as one batch at the end of the log.

use std::collections::BTreeMap;

use rookery_protocol::{
    chain::{Kind, Submission},
    codec,
    community::{
        Action, Admit, EpochReason, Member, Place, SealedText, State, Statement, verify_and_apply,
    },
    id::{AudienceId, ChainId, CommunityId, ItemId, UserId},
};

use super::super::{
    hub::{Answer, Hub},
    people::{NOW, People},
};
use super::{Client, copy};
use crate::e2ee::{
    SeededRandom,
    epoch::{EpochPlace, EpochPlan, EpochSecret, Receiver, TextOf, WrapContext, build_epoch},
    random::Random as _,
};

/// A batch of statements in the making.
pub(in super::super) struct Batch {
    pub(in super::super) community: CommunityId,
    state: Option<State>,
    statements: Vec<Submission>,
    secrets: BTreeMap<AudienceId, (u32, EpochSecret)>,
    pub(in super::super) begun: Vec<(AudienceId, u32, EpochSecret)>,
    blobs: Vec<(rookery_protocol::id::BlobId, Vec<u8>)>,
}

impl Batch {
    /// An empty one at the end of the log as `client` has it.
    pub(in super::super) fn of(client: &mut Client, people: &People, hub: &Hub) -> Self {
        let state = client.state().cloned();
        let audiences: Vec<AudienceId> =
            state.iter().flat_map(|state| state.audiences.keys().copied()).collect();
        let secrets = audiences
            .into_iter()
            .filter_map(|audience| Some((audience, client.in_force(people, hub, audience)?)))
            .collect();
        Self {
            community: client.community,
            secrets,
            state,
            statements: vec![],
            begun: vec![],
            blobs: vec![],
        }
    }

    pub(in super::super) fn state(&self) -> &State {
        self.state.as_ref().unwrap()
    }

    /// Adds a statement; says whether the rules allow it, as far as this device knows.
    pub(in super::super) fn say(
        &mut self,
        people: &People,
        client: &Client,
        action: Action,
        random: &mut SeededRandom,
    ) -> bool {
        let person = &people.0[client.who];
        let head = self.state.as_ref().map(|state| state.head);
        let place = match head {
            None => Place::First,
            Some(head) if action.is_strict() => Place::Next(head),
            Some(head) => Place::Later(head),
        };
        let statement = Statement {
            suite: 1,
            community: head.map(|_| self.community),
            place,
            author: person.user,
            author_head: person.state().head,
            action,
        };
        let body = codec::encode(&statement);
        if head.is_none() {
            self.community = Statement::community_id(&body);
        }
        let mut id = [0; 16];
        random.fill(&mut id);
        let chain = ChainId::of_log(self.community);
        let (signing, item) =
            (person.devices[client.device].secrets.signing(), ItemId::from_bytes(id));
        let signed =
            Submission::sign(signing, chain, item, Kind::CommunityStatement, body, NOW, head)
                .unwrap();
        let entry = signed.clone().place(chain, 0, head);
        match verify_and_apply(self.community, self.state.as_ref(), &entry, people) {
            Ok(next) => {
                self.state = Some(next);
                self.statements.push(signed);
                true
            }
            Err(_) => false,
        }
    }

    /// Begins an epoch; says whether this device could.
    pub(in super::super) fn rotate(
        &mut self,
        people: &People,
        client: &Client,
        audience: AudienceId,
        reason: EpochReason,
        random: &mut SeededRandom,
    ) -> bool {
        let state = self.state().clone();
        let keys: Vec<_> = state
            .roster(audience)
            .map(|(user, member)| {
                let person = people.of(user).chain.at(member.head).unwrap();
                (user, person.puks[&member.puk.generation].public.clone())
            })
            .collect();
        let key_of = |user: UserId, _: &Member| {
            keys.iter().find(|(known, _)| *known == user).map(|(_, key)| key)
        };
        let former = self.secrets.get(&audience).map(|(_, secret)| secret);
        let Ok(plan) = EpochPlan::of(&state, audience, reason, key_of, former) else {
            return false;
        };
        let Ok(built) = build_epoch(&plan, random) else { return false };
        let number = plan.place.epoch;
        self.blobs.push((built.start.wraps, built.wraps));
        self.secrets.insert(audience, (number, copy(&built.secret)));
        self.begun.push((audience, number, built.secret));
        self.say(people, client, Action::Epoch(built.start), random)
    }

    /// Begins every epoch that the statements so far owe.
    pub(in super::super) fn settle(
        &mut self,
        people: &People,
        client: &Client,
        random: &mut SeededRandom,
    ) -> bool {
        loop {
            let owed = self.state().owed.keys().next().copied();
            let Some(audience) = owed else { return true };
            if !self.rotate(people, client, audience, EpochReason::Removal, random) {
                return false;
            }
        }
    }

    /// Wraps the epochs in force for whoever lacks them.
    pub(in super::super) fn admit_all(
        &mut self,
        people: &People,
        client: &Client,
        random: &mut SeededRandom,
    ) {
        let state = self.state().clone();
        for (id, audience) in
            state.audiences.iter().filter(|(id, _)| state.is_in_audience(client.user, **id))
        {
            for user in &audience.lacking {
                let (Some(epoch), Some((number, secret))) = (&audience.epoch, self.secrets.get(id))
                else {
                    continue;
                };
                if epoch.number != *number || audience.must_rotate().is_some() {
                    continue;
                }
                let member = &state.members[user];
                let person = people.of(*user).chain.at(member.head).unwrap();
                let place = EpochPlace { community: self.community, audience: *id, epoch: *number };
                let context = WrapContext { place, roster_root: epoch.roster_root };
                let key = &person.puks[&member.puk.generation].public;
                let wrap = secret.wrap(key, &context, Receiver::User(*user), random).unwrap();
                let admit = Admit { audience: *id, epoch: *number, user: *user, wrap };
                self.say(people, client, Action::Admit(admit), random);
            }
        }
    }

    pub(in super::super) fn text(
        &self,
        audience: AudienceId,
        what: TextOf,
        text: &str,
        random: &mut SeededRandom,
    ) -> SealedText {
        let (number, secret) = &self.secrets[&audience];
        let place = EpochPlace { community: self.community, audience, epoch: *number };
        secret.metadata(self.community, audience).seal_text(place, what, text, random).unwrap()
    }

    /// Hands it in.
    pub(in super::super) fn submit(
        self,
        people: &People,
        hub: &mut Hub,
        client: &mut Client,
    ) -> Answer {
        if self.statements.is_empty() {
            return Answer::Done;
        }
        hub.blobs.extend(self.blobs);
        let answer = hub.append(people, self.community, &self.statements);
        if answer == Answer::Done {
            for (audience, number, secret) in self.begun {
                client.secrets.insert((audience, number), secret);
            }
        }
        answer
    }
}

//! What holds however people go on: statements at random, most of them wrong, and what is true after each.

#![expect(clippy::arithmetic_side_effects, reason = "small numbers of a test's own")]

use proptest::prelude::*;

use crate::{
    codec::Octets,
    community::{
        Action, Admit, Approve, Ask, Edit, History, JoinBy, JoinPolicy, Nickname, Permissions,
        Place, Snapshot, State, Subject, apply::Refused, check_log, roster_root,
    },
    id::{AudienceId, InviteId, RoleId, UserId},
    town::{MEMBERS, Manner, Town, audience, channel, kem, role, text},
};

const PEOPLE: u16 = 6;

/// What somebody says, as numbers; what they mean depends on how far the community has come.
#[derive(Clone, Copy, Debug)]
struct Word {
    who: u8,
    what: u8,
    one: u8,
    two: u8,
    bits: u32,
    /// Below 24: something is wrong with it.
    care: u8,
}

fn words() -> impl Strategy<Value = Vec<Word>> {
    let word = any::<(u8, u8, u8, u8, u32, u8)>();
    let word =
        word.prop_map(|(who, what, one, two, bits, care)| Word { who, what, one, two, bits, care });
    proptest::collection::vec(word, 1..500)
}

impl Word {
    /// The owner rather often: who else could do much?
    fn person(self, town: &Town) -> usize {
        if self.who < 90 {
            return town.who(town.state.owner);
        }
        usize::from(self.who) % usize::from(PEOPLE)
    }

    /// A number that is among the first of its kind, or the next one.
    fn number(self, next: u32) -> u32 {
        u32::from(self.one) % next.min(6).saturating_add(1)
    }

    fn action(self, town: &Town) -> Action {
        let user = town.user(usize::from(self.two) % usize::from(PEOPLE));
        let state = &town.state;
        let some_role = role(self.number(state.next_role));
        let some_channel = channel(self.number(state.next_channel.saturating_sub(1)).max(1));
        let some_audience = audience(self.number(state.next_audience).min(3));
        let invite = InviteId::from_number(self.number(state.next_invite));
        let history = if self.bits & 1 == 0 { History::Full } else { History::SinceJoin };
        // Managing, and a handful of other things, rather than all bits alike.
        let powers = Permissions::from_bits(u64::from(self.bits) & Permissions::ALL.bits());
        let by = match self.bits % 4 {
            0 | 1 => JoinBy::Open,
            2 => JoinBy::Invited { invite },
            _ => town.by_link(self.person(town), invite),
        };
        let is_outsider = !state.members.contains_key(&town.user(self.person(town)));
        let what = match self.what % 32 {
            // Outsiders mostly come, and members do not do so again.
            _ if is_outsider && self.care >= 64 => 18 + self.bits % 4,
            18..=21 if !is_outsider && self.care >= 64 => 3,
            26 if !self.bits.is_multiple_of(4) => 24,
            what => u32::from(what),
        };
        match what {
            0 | 1 => Town::role_set(some_role.number(), u32::from(self.two) % 8, powers),
            2 => Action::RoleDelete { role: some_role },
            3..=6 => Action::RoleGrant { user, role: some_role },
            7 => Action::RoleRevoke { user, role: some_role },
            8 => {
                let id = self.number(state.next_channel);
                let mut set = Town::channel_set(id.max(1), some_audience);
                if let Some(former) = state.channels.get(&channel(id)) {
                    (set.audience, set.name) = (former.audience, text(former.audience));
                    set.is_archived = self.bits & 2 == 0;
                } else {
                    set.audience = audience(u32::from(self.two) % state.next_audience);
                    set.name = text(set.audience);
                }
                Action::ChannelSet(set)
            }
            9 if self.bits.is_multiple_of(4) => Action::ChannelDelete { channel: some_channel },
            10 if self.bits.is_multiple_of(4) => Action::AudienceDelete { audience: some_audience },
            9..=12 => {
                let subject = if self.bits & 4 == 0 {
                    Subject::Role(role(self.bits % 5))
                } else {
                    Subject::User(user)
                };
                let deny = Permissions::from_bits(powers.bits().rotate_left(7));
                Town::overwrite(some_channel, subject, powers, deny.without(powers))
            }
            13 | 14 => {
                let roles: Vec<_> =
                    (1..state.next_role).filter(|at| self.bits >> at & 1 == 1).map(role).collect();
                let mut users = vec![town.user(self.person(town)), user];
                users.dedup();
                Town::audience_set(some_audience, &roles, &users, history)
            }
            15 | 16 => {
                let personal = (self.bits & 8 == 0).then_some(user);
                let mut create = town.invite(personal, &[some_role][..usize::from(self.two % 2)]);
                if self.bits & 16 == 0 && personal.is_none() {
                    create.wrap_key = Some(kem(3));
                    create.wrap = Some(Octets::default());
                }
                create.uses = (self.bits & 32 == 0).then_some(1);
                Action::InviteCreate(create)
            }
            17 => Action::InviteRevoke { invite },
            18..=20 => town.join_by(self.person(town), by),
            21 => Action::Ask(Ask { puk: town.people[self.person(town)].puk(), by }),
            22 => {
                let user = state.asking.keys().next().copied().unwrap_or(user);
                Action::Approve(Approve { user, is_approved: self.bits & 1 == 0 })
            }
            23 => Action::Leave,
            24 => Action::Head(town.people[self.person(town)].puk()),
            25 => Action::Nickname(Nickname { user, name: Some(text(MEMBERS)) }),
            26 if self.bits & 4 == 0 => town.kick(usize::from(self.two) % usize::from(PEOPLE)),
            26 => town.ban(usize::from(self.two) % usize::from(PEOPLE)),
            27 => Action::Unban { user: state.banned.first().copied().unwrap_or(user) },
            28 => Action::Epoch(town.epoch_start(some_audience)),
            29 => Action::Admit(Admit {
                audience: some_audience,
                epoch: u32::from(self.two % 4),
                user,
                wrap: Octets::default(),
            }),
            30 => {
                let policy = match self.bits % 3 {
                    0 => JoinPolicy::Open,
                    1 => JoinPolicy::Invited,
                    _ => JoinPolicy::Approved,
                };
                Action::Edit(Edit { name: None, topic: Some(text(MEMBERS)), policy: Some(policy) })
            }
            _ if self.bits.is_multiple_of(16) => Action::OwnerSet { user },
            _ if self.bits % 16 == 1 => Action::Snapshot { digest: town.state.snapshot().digest() },
            _ => town.add(self.person(town)),
        }
    }

    fn manner(self, town: &Town, action: &Action) -> Manner {
        let mut manner = town.manner(self.person(town), action);
        match self.care {
            0..8 => {
                manner.place =
                    Place::Later(town.entries[usize::from(self.two) % town.entries.len()].seen());
            }
            8..16 => {
                manner.place =
                    Place::Next(town.entries[usize::from(self.two) % town.entries.len()].seen());
            }
            16..24 => manner.head.hash = crate::id::Digest::ZERO,
            _ => {}
        }
        manner
    }
}

/// Everything that is true of any community.
fn check(town: &Town) {
    if town.state.owed.is_empty() && !town.state.is_deleted {
        check_snapshot(&town.state);
    }
    let state = &town.state;
    assert!(state.members.contains_key(&state.owner), "the owner is a member");
    let has_role = |role: &RoleId| state.roles.contains_key(role);
    let is_member = |user: &UserId| state.members.contains_key(user);
    for (user, member) in &state.members {
        assert!(!state.banned.contains(user), "nobody banned belongs to it");
        assert!(!state.asking.contains_key(user), "no member asks to be let in");
        assert!(
            member.roles.is_sorted_by(|one, two| one < two) && member.roles.iter().all(has_role)
        );
        let head = state.heads.get(user).unwrap();
        assert!(head.seq >= member.head.seq, "no head goes back");
    }
    for asking in state.asking.keys() {
        assert!(!state.banned.contains(asking));
    }
    for (id, audience) in &state.audiences {
        assert_eq!(audience.rule.is_none(), *id == MEMBERS);
        if let Some(rule) = &audience.rule {
            assert!(rule.roles.iter().all(has_role) && rule.users.iter().all(is_member));
        }
        assert!(audience.epoch.is_some() || state.owed.contains_key(id));
        check_roster(state, *id);
    }
    for channel in state.channels.values() {
        assert!(state.audiences.contains_key(&channel.audience));
        for subject in channel.overwrites.keys() {
            assert!(match subject {
                Subject::Role(role) => has_role(role),
                Subject::User(user) => is_member(user),
            });
        }
    }
    for invite in state.invites.values() {
        assert!(invite.roles.iter().all(has_role));
        assert_ne!(invite.uses_left, Some(0));
    }
    for (id, debtor) in &state.owed {
        assert!(state.is_in_audience(*debtor, *id), "who owes an epoch can make it");
    }
    let is_open = state.policy == JoinPolicy::Open
        && state.audiences.get(&MEMBERS).unwrap().history == History::Full;
    assert!(is_open || state.invites.values().all(|invite| invite.wrap_key.is_none()));
}

/// What is made of a state as bytes is all of it.
fn check_snapshot(state: &State) {
    let bytes = state.snapshot().encode();
    let again = Snapshot::decode(&bytes).unwrap();
    assert_eq!(again.digest(), Snapshot::digest_of(&bytes));
    assert_eq!(again.into_state().as_ref(), Some(state));
}

/// Who is in an audience, said once more: the owner, and who its rule names.
fn check_roster(state: &State, id: AudienceId) {
    let rule = &state.audiences.get(&id).unwrap().rule;
    let readers: Vec<_> = state
        .members
        .iter()
        .filter(|(user, member)| {
            let Some(rule) = rule else { return true };
            **user == state.owner
                || rule.users.contains(user)
                || rule.roles.iter().any(|role| member.roles.contains(role))
        })
        .map(|(user, member)| (*user, member))
        .collect();
    let roster: Vec<_> = state.roster(id).map(|(user, _)| user).collect();
    assert_eq!(roster, readers.iter().map(|(user, _)| *user).collect::<Vec<_>>());
    assert_eq!(state.roster_root(id), roster_root(readers.into_iter()));
}

/// What `user` can do in a channel, archived or not: that it can be read only is no one's lack of power.
fn powers(state: &State, user: UserId, id: crate::id::ChannelId) -> Permissions {
    let mut open = state.clone();
    if let Some(channel) = state.channels.get(&id) {
        let channel = crate::community::Channel { is_archived: false, ..channel.clone() };
        open.channels = open.channels.insert(id, channel);
    }
    open.permissions_of(user, Some(id))
}

/// Nobody gains by their own word, and what one gives to others one has oneself.
fn check_no_escalation(before: &State, after: &State, author: UserId) {
    let own = before.permissions_of(author, None);
    assert!(own.contain(after.permissions_of(author, None)), "no permission is one's own gift");
    assert!(before.rank_of(author) >= after.rank_of(author), "nor is rank");
    for (id, channel) in &after.channels {
        let known = own.with(powers(before, author, *id));
        assert!(known.contain(powers(after, author, *id)), "nor in a channel");
        let could = before.is_in_audience(author, channel.audience);
        assert!(could || !after.may_read(author, *id), "nor is reading");
    }
    for (user, member) in &after.members {
        let Some(former) = before.members.get(user) else { continue };
        let gained = after.permissions_of(*user, None).without(before.permissions_of(*user, None));
        let was_handed_over = after.owner == *user && before.owner != *user;
        assert!(was_handed_over || own.contain(gained), "what is given is the giver's");
        let is_given = member.roles.iter().any(|role| !former.roles.contains(role));
        for id in after.audiences.keys().filter(|id| before.audiences.contains_key(id)) {
            let opened = after.is_in_audience(*user, *id) && !before.is_in_audience(*user, *id);
            let may_open = before.is_in_audience(author, *id) || was_handed_over;
            assert!(!opened || may_open, "no reader comes but by a reader");
        }
        assert!(!is_given || own.contain(Permissions::MANAGE_ROLES));
    }
}

fn check_epochs(before: &State, after: &State, action: &Action) {
    let is_epoch = matches!(action, Action::Epoch(_));
    for id in before.owed.keys() {
        assert!(is_epoch || after.owed.contains_key(id), "a debt is paid by its epoch");
    }
    for (id, audience) in &after.audiences {
        let former = before.audiences.get(id);
        let is_new = former.is_none_or(|former| former.epoch != audience.epoch);
        if is_new && let Some(epoch) = &audience.epoch {
            assert!(is_epoch);
            assert_eq!((epoch.roster_root, epoch.count), after.roster_root(*id));
        }
        // Whoever could read and cannot any more is followed by an epoch before anything is sealed.
        let lost = before.roster(*id).any(|(user, _)| !after.is_in_audience(user, *id));
        let came = after.roster(*id).any(|(user, _)| !before.is_in_audience(user, *id));
        let must = audience.must_rotate().is_some() || after.owed.contains_key(id);
        assert!(must || !lost, "what was lost is followed by an epoch");
        let begins_now = audience.history == History::SinceJoin;
        assert!(must || former.is_none() || !(came && begins_now), "and so is who came");
    }
}

fn run(words: &[Word]) -> (Town, usize) {
    let mut town = Town::found(PEOPLE);
    let mut taken = 0;
    for word in words {
        if word.care >= 64 {
            town.settle();
        }
        let (who, action) = (word.person(&town), word.action(&town));
        let manner = word.manner(&town, &action);
        if matches!(action, Action::Head(_)) && town.people[who].chain.len() < 20 {
            town.people[who].add_device();
            if let Some(device) =
                town.people[who].chain.len().checked_sub(2).filter(|at| at % 3 == 0)
            {
                town.people[who].revoke_device(device / 3 + 1);
            }
        }
        let before = town.state.clone();
        let entry = town.entry(who, action.clone(), &manner);
        let once = town.take(entry.clone());
        if let Err(refused) = once {
            assert!(!matches!(refused, Refused::Hold { .. }), "all chains are at hand");
            assert_eq!(town.state.head, before.head);
            assert_eq!(town.state, before, "what is refused changes nothing");
            continue;
        }
        taken += 1;
        let author = town.user(who);
        check(&town);
        check_epochs(&before, &town.state, &action);
        if before.members.contains_key(&author) {
            check_no_escalation(&before, &town.state, author);
        }
        if word.care % 8 != 7 {
            town.settle();
            check(&town);
        }
    }
    (town, taken)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_said_the_laws_hold(words in words()) {
        let (town, _) = run(&words);
        // The same entries come to the same again, all at once and by any other hand.
        let again = check_log(town.community, None, &town.entries, &town).unwrap();
        prop_assert_eq!(again.as_ref(), Some(&town.state));
    }
}

/// The words above are not all refused: without that, the laws would say nothing.
#[test]
fn random_words_come_through_often_enough() {
    let mut seed = 0x726f_6f6b_u64;
    let mut next = || {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        u32::try_from(seed >> 32).unwrap()
    };
    let words: Vec<_> = (0..2_000)
        .map(|_| {
            let [who, what, one, two] = next().to_be_bytes();
            let care = next().to_be_bytes()[0];
            Word { who, what, one, two, bits: next(), care }
        })
        .collect();
    let (town, taken) = run(&words);
    assert!(taken > 200, "{taken} of 2,000");
    let founder = town.people[0].key(0).verifying_key();
    let others = town.entries.iter().filter(|entry| entry.signed.author() != Some(founder)).count();
    assert!(others > 60, "{others} by others");
    assert!(
        town.state.next_role > 3 && town.state.next_audience > 1 && town.state.next_channel > 2
    );
}

//! A community under construction: users with chains of their own, and statements that are signed for real. Unit tests, benches and the
//! replay of the fuzz targets share it.

mod person;

use rookery_protocol::{
    chain::{Entry, Kind, Seen, Submission},
    codec::{self, Octets},
    community::{
        Action, Add, Audience, AudienceRule, AudienceSet, Ban, Chains, ChannelKind, ChannelSet,
        CommunityKind, Create, EpochReason, EpochStart, History, InviteCreate, Join, JoinBy,
        JoinPolicy, Missing, OverwriteSet, Permissions, Place, Refused, RoleSet, SealedText, State,
        Statement, Subject, invite_message, verify_and_apply,
    },
    id::{
        AudienceId, BlobId, ChainId, ChannelId, CommunityId, Digest, InviteId, ItemId, RoleId,
        UserId,
    },
    key::{Domain, KEM_KEY_BYTES, KemKey, SigningKey},
    time::Timestamp,
    user,
};

pub(crate) use person::Person;
use person::{RECOVERY, secret};

pub(crate) const EVERYBODY: RoleId = RoleId::EVERYBODY;
pub(crate) const MEMBERS: AudienceId = AudienceId::MEMBERS;

pub(crate) fn role(number: u32) -> RoleId {
    RoleId::from_number(number)
}

pub(crate) fn channel(number: u32) -> ChannelId {
    ChannelId::from_number(number)
}

pub(crate) fn audience(number: u32) -> AudienceId {
    AudienceId::from_number(number)
}

pub(crate) fn kem(seed: u8) -> KemKey {
    KemKey::from_slice(&[seed; KEM_KEY_BYTES]).unwrap()
}

/// Some text that nobody reads.
pub(crate) fn text(audience: AudienceId) -> SealedText {
    SealedText { audience, epoch: 0, sealed: Octets::parse(vec![7; 32]).unwrap() }
}

/// The people, the log, and what it comes to.
pub(crate) struct Town {
    pub(crate) people: Vec<Person>,
    pub(crate) community: CommunityId,
    pub(crate) state: State,
    pub(crate) entries: Vec<Entry>,
    items: u64,
}

impl Chains for Town {
    fn user_at(&self, user: UserId, head: Seen) -> Result<user::State, Missing> {
        user_at(&self.people, user, head)
    }
}

fn user_at(people: &[Person], user: UserId, head: Seen) -> Result<user::State, Missing> {
    let person = people.iter().find(|person| person.user == user).ok_or(Missing::NotAtHand)?;
    person.history.at(head).cloned()
}

struct People<'a>(&'a [Person]);

impl Chains for People<'_> {
    fn user_at(&self, user: UserId, head: Seen) -> Result<user::State, Missing> {
        user_at(self.0, user, head)
    }
}

/// How a statement goes out, where it differs from what is right.
pub(crate) struct Manner {
    pub(crate) device: usize,
    pub(crate) place: Place,
    pub(crate) head: Seen,
}

impl Town {
    /// An open community with full history, founded by person 0, of `people`.
    pub(crate) fn found(people: u16) -> Self {
        Self::found_as(people, CommunityKind::Community, JoinPolicy::Open, History::Full)
    }

    /// A group of the first `members` people.
    pub(crate) fn group(people: u16, members: usize) -> Self {
        let mut town =
            Self::found_as(people, CommunityKind::Group, JoinPolicy::Invited, History::Full);
        for who in 1..members {
            town.say(0, town.add(who)).unwrap();
        }
        town
    }

    pub(crate) fn found_as(
        people: u16,
        kind: CommunityKind,
        policy: JoinPolicy,
        history: History,
    ) -> Self {
        let people: Vec<_> = (0..people).map(Person::new).collect();
        let founder = &people[0];
        let create = Action::Create(Create {
            kind,
            hub: "nest.example".parse().unwrap(),
            hub_key: secret(0, RECOVERY).verifying_key().server_id(),
            nonce: Octets::default(),
            policy,
            history,
            permissions: Permissions::DEFAULT.bits(),
            puk: founder.puk(),
        });
        let statement = Statement {
            suite: 1,
            community: None,
            place: Place::First,
            author: founder.user,
            author_head: founder.head(),
            action: create,
        };
        let community = Statement::community_id(&codec::encode(&statement));
        let entry = sign(community, founder.key(0), &statement, 0).place(
            ChainId::of_log(community),
            0,
            None,
        );
        let state = verify_and_apply(community, None, &entry, &People(&people)).unwrap();
        let mut town = Self { people, community, state, entries: vec![entry], items: 0 };
        town.renew(0, MEMBERS).unwrap();
        town
    }

    pub(crate) fn user(&self, who: usize) -> UserId {
        self.people[who].user
    }

    pub(crate) fn who(&self, user: UserId) -> usize {
        self.people.iter().position(|person| person.user == user).unwrap()
    }

    /// How `who` says `action` as it should be said.
    pub(crate) fn manner(&self, who: usize, action: &Action) -> Manner {
        let place = if action.is_strict() {
            Place::Next(self.state.head)
        } else {
            Place::Later(self.state.head)
        };
        Manner { device: 0, place, head: self.people[who].head() }
    }

    /// Has `who` say `action`.
    pub(crate) fn say(&mut self, who: usize, action: Action) -> Result<(), Refused> {
        let manner = self.manner(who, &action);
        self.say_so(who, action, &manner)
    }

    /// Has `who` say `action`, and pay what epochs are owed for it.
    pub(crate) fn do_it(&mut self, who: usize, action: Action) -> Result<(), Refused> {
        self.say(who, action)?;
        self.settle();
        Ok(())
    }

    /// Has all owed epochs begun by those who owe them.
    pub(crate) fn settle(&mut self) {
        while let Some((owed, debtor)) = self.state.owed.first().map(|(id, user)| (*id, *user)) {
            self.renew(self.who(debtor), owed).unwrap();
        }
    }

    pub(crate) fn say_so(
        &mut self,
        who: usize,
        action: Action,
        manner: &Manner,
    ) -> Result<(), Refused> {
        let entry = self.entry(who, action, manner);
        self.take(entry)
    }

    /// The entry that a statement would be, next in the log.
    pub(crate) fn entry(&mut self, who: usize, action: Action, manner: &Manner) -> Entry {
        let person = &self.people[who];
        let statement = Statement {
            suite: 1,
            community: Some(self.community),
            place: manner.place,
            author: person.user,
            author_head: manner.head,
            action,
        };
        self.items = self.items.saturating_add(1);
        sign(self.community, person.key(manner.device), &statement, self.items).place(
            ChainId::of_log(self.community),
            self.state.owner_epoch,
            Some(self.state.head),
        )
    }

    pub(crate) fn take(&mut self, entry: Entry) -> Result<(), Refused> {
        self.state = verify_and_apply(self.community, Some(&self.state), &entry, self)?;
        self.entries.push(entry);
        Ok(())
    }

    pub(crate) fn join(&mut self, who: usize) -> Result<(), Refused> {
        self.say(who, self.join_by(who, JoinBy::Open))
    }

    pub(crate) fn join_by(&self, who: usize, by: JoinBy) -> Action {
        Action::Join(Join { puk: self.people[who].puk(), by })
    }

    /// Person 1 and on up to `last` join.
    pub(crate) fn fill(&mut self, last: usize) {
        for who in 1..=last {
            self.join(who).unwrap();
        }
    }

    /// Has `who` begin the audience's next epoch.
    pub(crate) fn renew(&mut self, who: usize, audience: AudienceId) -> Result<(), Refused> {
        self.say(who, Action::Epoch(self.epoch_start(audience)))
    }

    /// The next epoch of an audience as it should be.
    pub(crate) fn epoch_start(&self, id: AudienceId) -> EpochStart {
        let audience = self.state.audiences.get(&id);
        let history = audience.map_or(History::Full, |audience| audience.history);
        let former = audience.and_then(|audience| audience.epoch.as_ref());
        let (roster_root, count) = self.state.roster_root(id);
        let continues = history == History::Full
            && former.is_some_and(|former| former.history == History::Full);
        EpochStart {
            audience: id,
            epoch: former.map_or(0, |former| former.number.saturating_add(1)),
            reason: audience.and_then(Audience::should_rotate).unwrap_or(EpochReason::Begin),
            roster_root,
            count,
            commit: Digest::ZERO,
            wraps: BlobId::from_bytes([1; 32]),
            previous: continues.then(Octets::default),
            previous_meta: former.map(|_| Octets::default()),
        }
    }

    pub(crate) fn epoch_of(&self, id: AudienceId) -> u32 {
        self.state.audiences.get(&id).unwrap().epoch.as_ref().unwrap().number
    }

    /// A role as it would be set, new if it has the next number.
    pub(crate) fn role_set(number: u32, rank: u32, permissions: Permissions) -> Action {
        let name = (number != 0).then(|| text(MEMBERS));
        let permissions = permissions.bits();
        Action::RoleSet(RoleSet { role: role(number), rank, permissions, colour: None, name })
    }

    /// Has the founder make a role and give it to `bearers`.
    pub(crate) fn new_role(
        &mut self,
        rank: u32,
        permissions: Permissions,
        bearers: &[usize],
    ) -> RoleId {
        let number = self.state.next_role;
        self.say(0, Self::role_set(number, rank, permissions)).unwrap();
        for who in bearers {
            self.do_it(0, self.grant(*who, role(number))).unwrap();
        }
        role(number)
    }

    pub(crate) fn grant(&self, who: usize, role: RoleId) -> Action {
        Action::RoleGrant { user: self.user(who), role }
    }

    pub(crate) fn revoke(&self, who: usize, role: RoleId) -> Action {
        Action::RoleRevoke { user: self.user(who), role }
    }

    pub(crate) fn channel_set(number: u32, audience: AudienceId) -> ChannelSet {
        ChannelSet {
            channel: channel(number),
            kind: ChannelKind::Text,
            audience,
            position: 0,
            slow_mode_s: 0,
            is_archived: false,
            name: text(audience),
            topic: None,
        }
    }

    /// Has the founder make a channel of the audience.
    pub(crate) fn new_channel(&mut self, audience: AudienceId) -> ChannelId {
        let number = self.state.next_channel;
        self.say(0, Action::ChannelSet(Self::channel_set(number, audience))).unwrap();
        channel(number)
    }

    pub(crate) fn audience_set(
        id: AudienceId,
        roles: &[RoleId],
        users: &[UserId],
        history: History,
    ) -> Action {
        let mut users = users.to_vec();
        users.sort();
        let rule = (id != MEMBERS).then(|| AudienceRule { roles: roles.to_vec(), users });
        Action::AudienceSet(AudienceSet { audience: id, rule, history })
    }

    /// Has the founder make a private audience, and its first epoch.
    pub(crate) fn new_audience(
        &mut self,
        roles: &[RoleId],
        users: &[usize],
        history: History,
    ) -> AudienceId {
        let id = audience(self.state.next_audience);
        let users: Vec<_> = users.iter().map(|who| self.user(*who)).collect();
        self.do_it(0, Self::audience_set(id, roles, &users, history)).unwrap();
        id
    }

    pub(crate) fn overwrite(
        channel: ChannelId,
        subject: Subject,
        allow: Permissions,
        deny: Permissions,
    ) -> Action {
        let (allow, deny) = (allow.bits(), deny.bits());
        Action::OverwriteSet(OverwriteSet { channel, subject, allow, deny })
    }

    pub(crate) fn kick(&self, who: usize) -> Action {
        Action::Kick(Ban { user: self.user(who), reason: None })
    }

    pub(crate) fn ban(&self, who: usize) -> Action {
        Action::Ban(Ban { user: self.user(who), reason: Some(text(MEMBERS)) })
    }

    pub(crate) fn add(&self, who: usize) -> Action {
        let person = &self.people[who];
        Action::Add(Add { user: person.user, head: person.head(), puk: person.puk() })
    }

    /// An invitation for `user`, or a link when there is none.
    pub(crate) fn invite(&self, user: Option<UserId>, roles: &[RoleId]) -> InviteCreate {
        InviteCreate {
            invite: InviteId::from_number(self.state.next_invite),
            user,
            key: user.is_none().then(|| link_key().verifying_key()),
            wrap_key: None,
            wrap: None,
            roles: roles.to_vec(),
            uses: None,
            expires: None,
        }
    }

    /// What somebody who has the link comes with.
    pub(crate) fn by_link(&self, who: usize, invite: InviteId) -> JoinBy {
        let message = invite_message(self.community, invite, self.user(who));
        JoinBy::Link { invite, proof: link_key().sign(Domain::INVITE, &message) }
    }
}

fn link_key() -> SigningKey {
    SigningKey::from_seed(&[200; 32])
}

fn sign(
    community: CommunityId,
    key: &SigningKey,
    statement: &Statement,
    number: u64,
) -> Submission {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    Submission::sign(
        key,
        ChainId::of_log(community),
        ItemId::from_bytes(id),
        Kind::CommunityStatement,
        codec::encode(statement),
        Timestamp::from_millis(0),
        None,
    )
    .unwrap()
}

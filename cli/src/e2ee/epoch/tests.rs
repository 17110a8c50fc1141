use rookery_protocol::{
    community::{EpochReason, PukPin},
    hash::plain,
    id::{BlobId, RoleId},
    key::Domain,
};

use super::*;
use crate::e2ee::SeededRandom;

fn place() -> EpochPlace {
    EpochPlace {
        community: CommunityId::from_bytes([1; 32]),
        audience: AudienceId::from_number(2),
        epoch: 3,
    }
}

/// `place` with one thing changed at a time.
fn other_places(place: EpochPlace) -> [EpochPlace; 3] {
    [
        EpochPlace { community: CommunityId::from_bytes([9; 32]), ..place },
        EpochPlace { audience: AudienceId::from_number(9), ..place },
        EpochPlace { epoch: 9, ..place },
    ]
}

fn context() -> WrapContext {
    WrapContext { place: place(), roster_root: Digest::from_bytes([4; 32]) }
}

fn user(number: u8) -> UserId {
    UserId::from_bytes([number; 32])
}

/// So many members' keys.
fn keys(count: u8, random: &mut dyn Random) -> Vec<KemSecret> {
    (0..count).map(|_| KemSecret::generate(random)).collect()
}

fn plan<'a>(public: &'a [KemKey], former: Option<&'a EpochSecret>) -> EpochPlan<'a> {
    let members = (0_u8..).zip(public).map(|(number, key)| {
        let pin = PukPin { generation: 1, public: plain(key.as_bytes()) };
        MemberKey { user: user(number), key, pin }
    });
    EpochPlan {
        place: place(),
        reason: EpochReason::Removal,
        roster_root: context().roster_root,
        members: members.collect(),
        links: vec![],
        former,
        continues: former.is_some(),
    }
}

#[test]
fn a_wrap_opens_for_its_receiver_in_its_place_only() {
    let mut random = SeededRandom::new(1);
    let (secret, key) = (EpochSecret::generate(&mut random), KemSecret::generate(&mut random));
    let (context, receiver) = (context(), Receiver::User(user(1)));
    let wrap = secret.wrap(&key.public(), &context, receiver, &mut random).unwrap();
    assert_eq!(wrap.len(), WRAP_BYTES);
    let commit = secret.commit(place().audience, place().epoch);
    let open = |key: &KemSecret, context: &WrapContext, receiver| {
        EpochSecret::unwrap(key, context, receiver, &wrap, &commit).map(|secret| secret.to_bytes())
    };
    assert_eq!(open(&key, &context, receiver), Ok(secret.to_bytes()));
    let refused = Err(UnwrapError::Unopenable(Unopenable));
    assert_eq!(open(&KemSecret::generate(&mut random), &context, receiver), refused);
    assert_eq!(open(&key, &context, Receiver::User(user(2))), refused);
    assert_eq!(open(&key, &context, Receiver::Link(InviteId::from_number(1))), refused);
    for place in other_places(place()) {
        assert_eq!(open(&key, &WrapContext { place, ..context }, receiver), refused);
    }
    let roster_root = Digest::from_bytes([5; 32]);
    assert_eq!(open(&key, &WrapContext { roster_root, ..context }, receiver), refused);
}

#[test]
fn a_changed_wrap_does_not_open() {
    let mut random = SeededRandom::new(2);
    let (secret, key) = (EpochSecret::generate(&mut random), KemSecret::generate(&mut random));
    let receiver = Receiver::User(user(1));
    let wrap = secret.wrap(&key.public(), &context(), receiver, &mut random).unwrap();
    let commit = secret.commit(place().audience, place().epoch);
    let open = |bytes: Vec<u8>| {
        let wrap = HpkeBox::parse(bytes).unwrap();
        EpochSecret::unwrap(&key, &context(), receiver, &wrap, &commit).err()
    };
    assert_eq!(open(wrap.as_slice().to_vec()), None);
    for at in (0..WRAP_BYTES).step_by(13) {
        let mut bytes = wrap.as_slice().to_vec();
        bytes[at] ^= 1;
        assert_eq!(open(bytes), Some(UnwrapError::Unopenable(Unopenable)), "{at}");
    }
    for length in [0, 1_119, 1_120, WRAP_BYTES - 1] {
        let cut = wrap.as_slice()[..length].to_vec();
        assert_eq!(open(cut), Some(UnwrapError::Unopenable(Unopenable)));
    }
}

#[test]
fn a_wrap_of_another_secret_than_the_log_commits_to_is_told_apart() {
    let mut random = SeededRandom::new(3);
    let (secret, other) = (EpochSecret::generate(&mut random), EpochSecret::generate(&mut random));
    let (key, receiver) = (KemSecret::generate(&mut random), Receiver::User(user(1)));
    let wrap = other.wrap(&key.public(), &context(), receiver, &mut random).unwrap();
    let commit = secret.commit(place().audience, place().epoch);
    let opened = EpochSecret::unwrap(&key, &context(), receiver, &wrap, &commit);
    assert_eq!(opened.err(), Some(UnwrapError::OtherSecret));
}

#[test]
fn a_commitment_is_to_secret_audience_and_epoch() {
    let secret = EpochSecret::from_bytes(&[1; 32]).unwrap();
    let (audience, other) = (AudienceId::from_number(1), AudienceId::from_number(2));
    let commit = secret.commit(audience, 1);
    assert_ne!(commit, secret.commit(other, 1));
    assert_ne!(commit, secret.commit(audience, 2));
    assert_ne!(commit, EpochSecret::from_bytes(&[2; 32]).unwrap().commit(audience, 1));
}

#[test]
fn the_secret_before_opens_under_the_next_and_is_checked() {
    let mut random = SeededRandom::new(4);
    let (former, next) = (EpochSecret::generate(&mut random), EpochSecret::generate(&mut random));
    let sealed = next.seal_previous(place(), &former, &mut random);
    let commit = former.commit(place().audience, place().epoch - 1);
    let open = |secret: &EpochSecret, place, commit| {
        secret
            .open_previous(place, sealed.as_slice(), commit)
            .map(|former: EpochSecret| former.to_bytes())
    };
    assert_eq!(open(&next, place(), &commit), Ok(former.to_bytes()));
    let refused = Err(UnwrapError::Unopenable(Unopenable));
    assert_eq!(open(&former, place(), &commit), refused);
    for other in other_places(place()) {
        assert_eq!(open(&next, other, &commit), refused);
    }
    assert_eq!(open(&next, EpochPlace { epoch: 0, ..place() }, &commit), refused);
    let other = next.commit(place().audience, place().epoch - 1);
    assert_eq!(open(&next, place(), &other), Err(UnwrapError::OtherSecret));
}

#[test]
fn the_metadata_key_before_opens_under_the_next_and_nowhere_else() {
    let mut random = SeededRandom::new(5);
    let [former, next] = [(); 2].map(|()| EpochSecret::generate(&mut random));
    let [former_meta, next_meta] =
        [&former, &next].map(|secret| secret.metadata(place().community, place().audience));
    let sealed = next_meta.seal_previous(place(), &former_meta, &mut random);
    let opened = next_meta.open_previous(place(), sealed.as_slice()).unwrap();
    assert_eq!(opened.to_bytes(), former_meta.to_bytes());
    for other in other_places(place()) {
        assert!(next_meta.open_previous(other, sealed.as_slice()).is_err());
    }
    assert!(former_meta.open_previous(place(), sealed.as_slice()).is_err());
    // The secret's own link is of another kind, though its key were the same.
    let link = next.seal_previous(place(), &former, &mut random);
    assert!(next_meta.open_previous(place(), link.as_slice()).is_err());
}

#[test]
fn keys_depend_on_all_that_they_are_of() {
    let secret = EpochSecret::from_bytes(&[1; 32]).unwrap();
    let (roster, log) = (Digest::from_bytes([2; 32]), Digest::from_bytes([3; 32]));
    let mut seen = vec![
        *secret.keys(place(), &roster, &log).as_bytes(),
        *secret.keys(place(), &log, &roster).as_bytes(),
        *secret.keys(place(), &roster, &roster).as_bytes(),
        *EpochSecret::from_bytes(&[2; 32]).unwrap().keys(place(), &roster, &log).as_bytes(),
    ];
    seen.extend(other_places(place()).map(|place| *secret.keys(place, &roster, &log).as_bytes()));
    let channels = [1, 2].map(ChannelId::from_number);
    let keys = secret.keys(place(), &roster, &log);
    seen.extend(channels.map(|channel| *keys.announce_key(channel).as_bytes()));
    seen.extend(channels.map(|channel| *keys.message_key(channel).as_bytes()));
    for (index, key) in seen.iter().enumerate() {
        assert!(!seen[..index].contains(key), "{index}");
    }
}

#[test]
fn a_text_opens_as_what_it_is_in_its_place_only() {
    let (one, two) = (ChannelId::from_number(1), ChannelId::from_number(2));
    let kinds = [
        TextOf::CommunityName,
        TextOf::CommunityTopic,
        TextOf::RoleName(RoleId::from_number(1)),
        TextOf::RoleName(RoleId::from_number(2)),
        TextOf::ChannelName(one),
        TextOf::ChannelName(two),
        TextOf::ChannelTopic(one),
        TextOf::Nickname(user(1)),
        TextOf::Nickname(user(2)),
        TextOf::Reason(user(1)),
        TextOf::Redaction(one),
    ];
    let mut random = SeededRandom::new(6);
    let key = EpochSecret::generate(&mut random).metadata(place().community, place().audience);
    for sealed_as in kinds {
        let sealed = key.seal_text(place(), sealed_as, "garden", &mut random).unwrap();
        for opened_as in kinds {
            let opened = key.open_text(place().community, opened_as, &sealed);
            if opened_as == sealed_as {
                assert_eq!(opened.as_deref(), Ok("garden"));
            } else {
                assert_eq!(opened, Err(TextError::Unopenable(Unopenable)), "{opened_as:?}");
            }
        }
        for EpochPlace { community, audience, epoch } in other_places(place()) {
            let moved = rookery_protocol::community::SealedText {
                audience,
                epoch,
                sealed: sealed.sealed.clone(),
            };
            assert!(key.open_text(community, sealed_as, &moved).is_err());
        }
    }
}

#[test]
fn texts_are_padded_and_bounded() {
    let mut random = SeededRandom::new(7);
    let key = EpochSecret::generate(&mut random).metadata(place().community, place().audience);
    let mut seal = |length: usize| {
        key.seal_text(place(), TextOf::CommunityName, &"x".repeat(length), &mut random)
    };
    assert_eq!(seal(0).unwrap().sealed.len(), seal(63).unwrap().sealed.len());
    assert!(seal(TEXT_BYTES).is_ok());
    assert_eq!(seal(TEXT_BYTES + 1), Err(TextError::TooLong));
}

#[test]
fn an_epoch_is_wrapped_for_each_member_and_link_in_order() {
    let mut random = SeededRandom::new(8);
    let (secrets, link) = (keys(70, &mut random), LinkSecret::generate(&mut random).keys());
    let public: Vec<KemKey> = secrets.iter().map(KemSecret::public).collect();
    let (former, link_key) = (EpochSecret::generate(&mut random), link.kem.public());
    let mut plan = plan(&public, Some(&former));
    let invite = InviteId::from_number(5);
    plan.links.push((invite, &link_key));
    let built = build_epoch(&plan, &mut random).unwrap();
    assert_eq!(built.start.count, 70);
    assert_eq!(built.start.wraps, BlobId::of(&built.wraps));
    assert_eq!(built.wraps.len(), 71 * WRAP_BYTES);
    let open = |index: usize, key: &KemSecret, receiver| {
        let wrap = wrap_at(&built.wraps, index).unwrap();
        EpochSecret::unwrap(key, &context(), receiver, &wrap, &built.start.commit)
            .map(|secret| secret.to_bytes())
    };
    for (index, (number, key)) in (0_u8..).zip(&secrets).enumerate() {
        assert_eq!(open(index, key, Receiver::User(user(number))), Ok(built.secret.to_bytes()));
    }
    assert_eq!(open(70, &link.kem, Receiver::Link(invite)), Ok(built.secret.to_bytes()));
    assert!(wrap_at(&built.wraps, 71).is_none());
    assert!(wrap_at(&built.wraps[1..], 0).is_none(), "a blob of another length");
    let (previous, commit) =
        (built.start.previous.unwrap(), former.commit(place().audience, place().epoch - 1));
    assert!(built.secret.open_previous(place(), previous.as_slice(), &commit).is_ok());
    assert!(built.start.previous_meta.is_some());
}

#[test]
fn no_two_wraps_are_made_of_the_same_randomness() {
    let mut random = SeededRandom::new(9);
    let key = KemSecret::generate(&mut random).public();
    let public = vec![key; 40];
    let built = build_epoch(&plan(&public, Some(&EpochSecret::generate(&mut random))), &mut random)
        .unwrap();
    let mut seen = std::collections::HashSet::new();
    for index in 0..40 {
        let wrap = wrap_at(&built.wraps, index).unwrap();
        // The last 32 bytes of the encapsulation are an X25519 key.
        assert!(seen.insert(wrap.as_slice()[1_088..1_120].to_vec()));
    }
}

#[test]
fn an_epoch_is_not_made_of_wrong_or_missing_keys() {
    let mut random = SeededRandom::new(10);
    let former = EpochSecret::generate(&mut random);
    let public: Vec<KemKey> = keys(2, &mut random).iter().map(KemSecret::public).collect();
    let mut swapped = plan(&public, Some(&former));
    swapped.members[1].key = &public[0];
    assert_eq!(build_epoch(&swapped, &mut random).err(), Some(BuildError::OtherKey(user(1))));
    let orphan = plan(&public, None);
    assert_eq!(build_epoch(&orphan, &mut random).err(), Some(BuildError::NoFormerSecret));
    let broken = [KemKey::from_slice(&[0xff; 1_216]).unwrap()];
    let bad = plan(&broken, Some(&former));
    assert_eq!(build_epoch(&bad, &mut random).err(), Some(BuildError::BadKey(user(0))));
    let mut bad = plan(&public, Some(&former));
    bad.links.push((InviteId::from_number(3), &broken[0]));
    let expected = Some(BuildError::BadLinkKey(InviteId::from_number(3)));
    assert_eq!(build_epoch(&bad, &mut random).err(), expected);
}

#[test]
fn where_history_begins_with_coming_the_secret_before_stays_behind() {
    let mut random = SeededRandom::new(11);
    let former = EpochSecret::generate(&mut random);
    let public: Vec<KemKey> = keys(1, &mut random).iter().map(KemSecret::public).collect();
    let mut plan = plan(&public, Some(&former));
    plan.continues = false;
    let start = build_epoch(&plan, &mut random).unwrap().start;
    assert!(start.previous.is_none() && start.previous_meta.is_some());
}

#[test]
fn a_link_proves_for_one_user_community_and_invitation() {
    let link = LinkSecret::from_bytes(&[7; 32]).unwrap().keys();
    let (community, invite) = (place().community, InviteId::from_number(1));
    let proof = link.prove(community, invite, user(1));
    let verify = |community, invite, user| {
        let message = rookery_protocol::community::invite_message(community, invite, user);
        link.signing.verifying_key().verify(Domain::INVITE, &message, &proof).is_ok()
    };
    assert!(verify(community, invite, user(1)));
    assert!(!verify(community, invite, user(2)));
    assert!(!verify(community, InviteId::from_number(2), user(1)));
    assert!(!verify(CommunityId::from_bytes([9; 32]), invite, user(1)));
    assert_ne!(&*link.signing.to_seed(), link.kem.seed());
}

#[test]
fn secrets_are_stored_and_not_printed() {
    let secret = EpochSecret::from_bytes(&[65; 32]).unwrap();
    let meta = secret.metadata(place().community, place().audience);
    assert_eq!(*EpochSecret::from_bytes(&*secret.to_bytes()).unwrap().to_bytes(), [65; 32]);
    assert_eq!(MetadataKey::from_bytes(&*meta.to_bytes()).unwrap().to_bytes(), meta.to_bytes());
    assert!(EpochSecret::from_bytes(&[65; 31]).is_none());
    assert_eq!(format!("{secret:?} {meta:?}"), "EpochSecret(secret) MetadataKey(secret)");
}

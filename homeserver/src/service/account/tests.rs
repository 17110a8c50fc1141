use rookery_protocol::request::admin::{AccountChange, CreateInvite};

use super::*;
use crate::service::{
    admin,
    testing::{PASSWORD, Person, bench},
};

#[tokio::test]
async fn the_same_registration_again_takes_no_second_invite() {
    let bench = bench(&[("server.registration", "invite")]);
    let services = &bench.services;
    let made = CreateInvite { uses: 1, expires: None, note: None };
    let token = invite::create(services, made).await.unwrap().token;
    let (alice, seat) = (Person::new("alice", &services.identity), bench.seat(1));
    let request = alice.register(seat.exporter(), token, services.clock.now());
    let first = register(services, &seat, request.clone()).await.unwrap();
    let again = register(services, &seat, request).await.unwrap();
    assert_eq!(first.user, again.user);
    assert_ne!(first.tokens.session, again.tokens.session);
    let bob = Person::new("bob", &services.identity).register(
        seat.exporter(),
        token,
        services.clock.now(),
    );
    assert_eq!(
        register(services, &seat, bob).await,
        Err(Failure::Error(RegisterError::InviteInvalid))
    );
}

#[tokio::test]
async fn a_name_is_one_user_s_for_ever() {
    let bench = bench(&[]);
    let services = &bench.services;
    bench.person("alice").await;
    admin::change(services, &"alice".parse().unwrap(), AccountChange::Delete).await.unwrap();
    let seat = bench.seat(2);
    let mut other = Person::new("other", &services.identity);
    other.name = "alice".to_owned();
    let request = other.register(seat.exporter(), None, services.clock.now());
    assert_eq!(
        register(services, &seat, request).await,
        Err(Failure::Error(RegisterError::NameTaken))
    );
}

#[tokio::test]
async fn keys_that_do_not_fit_are_refused_and_nothing_is_kept() {
    let bench = bench(&[]);
    let (services, seat) = (&bench.services, bench.seat(1));
    let alice = Person::new("alice", &services.identity);
    let good = alice.register(seat.exporter(), None, services.clock.now());
    let mut boxes = good.clone();
    boxes.boxes.pop();
    let mut prekeys = good.clone();
    prekeys.prekeys.signed = None;
    let mut swapped = good.clone();
    swapped.prekeys.signed = good.prekeys.one_time.first().cloned();
    let mut proof = good.clone();
    proof.name = "alicia".parse().unwrap();
    let elsewhere = Person::new("alice", &crate::service::testing::identity(2));
    let elsewhere = elsewhere.register(seat.exporter(), None, services.clock.now());
    for (what, request) in [
        ("boxes", boxes),
        ("prekeys", prekeys),
        ("swapped", swapped),
        ("proof", proof),
        ("home", elsewhere),
    ] {
        let refused = register(services, &seat, request).await;
        assert!(
            matches!(refused, Err(Failure::Error(RegisterError::KeysRefused { .. }))),
            "{what}: {refused:?}"
        );
    }
    assert_eq!(services.storage.read().await.unwrap().census().await.unwrap().accounts, 0);
    let mut short = good.clone();
    short.password = "short".to_owned();
    assert_eq!(
        register(services, &seat, short).await,
        Err(Failure::Error(RegisterError::PasswordUnfit))
    );
    register(services, &seat, good).await.unwrap();
}

#[tokio::test]
async fn a_disabled_account_is_cut_off_and_a_closed_server_takes_nobody() {
    let bench = bench(&[("server.registration", "closed")]);
    let (services, seat) = (&bench.services, bench.seat(1));
    let alice = Person::new("alice", &services.identity);
    let request = alice.register(seat.exporter(), None, services.clock.now());
    assert_eq!(
        register(services, &seat, request).await,
        Err(Failure::Error(RegisterError::Closed))
    );

    let bench = crate::service::testing::bench(&[]);
    let (alice, _, seat, _) = bench.person("alice").await;
    admin::change(&bench.services, &"alice".parse().unwrap(), AccountChange::Disable)
        .await
        .unwrap();
    assert_eq!(seat.ended().await, crate::service::seat::Ended::Session);
    let seat = bench.seat(3);
    let login = alice.device.login("alice", seat.exporter(), bench.services.clock.now());
    let refused = session::login(&bench.services, &seat, login).await;
    assert_eq!(
        refused,
        Err(Failure::Error(rookery_protocol::request::session::LoginError::Disabled))
    );
}

#[tokio::test]
async fn a_closed_account_leaves_its_chain_and_its_name() {
    let bench = bench(&[]);
    let (mut alice, who, seat, _) = bench.person("alice").await;
    let recovery = rookery_protocol::key::SigningKey::from_seed(&alice.recovery.to_seed());
    let statement = alice.state(&recovery, Action::Close(user::Close { successor: None }));
    let request = CloseAccount { password: PASSWORD.to_owned(), statement };
    close(&bench.services, who, request).await.unwrap();
    assert_eq!(seat.ended().await, crate::service::seat::Ended::Session);
    let resident = bench.services.resident(who.user).await.unwrap().unwrap();
    assert!(resident.state.closed && !resident.can_receive());
    assert_eq!(resident.head, alice.head());
}

use std::time::Duration;

use rookery_protocol::{key::SigningKey, session::prove_login};

use super::*;
use crate::service::{
    account,
    seat::Ended,
    testing::{Bench, Device, PASSWORD, bench},
};

async fn refresh_as(
    bench: &Bench,
    device: &SigningKey,
    token: &str,
) -> Result<Tokens, Failure<RefreshError>> {
    let (seat, at) = (bench.seat(0x22), bench.services.clock.now());
    let proof = prove_login(device, seat.exporter(), token, at);
    let request = Refresh { token: token.to_owned(), device: device.verifying_key(), proof, at };
    refresh(&bench.services, &seat, request).await
}

#[tokio::test]
async fn a_refresh_token_gets_one_successor_until_that_is_used_and_then_is_theft() {
    let bench = bench(&[]);
    let (alice, who, seat, first) = bench.person("alice").await;
    let key = &alice.device.key;
    let second = refresh_as(&bench, key, &first.refresh).await.unwrap();
    let again = refresh_as(&bench, key, &first.refresh).await.unwrap();
    assert_eq!(
        (&second.refresh, second.session),
        (&again.refresh, who.session),
        "a retry after a lost answer"
    );
    let third = refresh_as(&bench, key, &second.refresh).await.unwrap();
    assert_eq!(
        refresh_as(&bench, key, &first.refresh).await,
        Err(Failure::Error(RefreshError::Reused))
    );
    assert_eq!(
        refresh_as(&bench, key, &third.refresh).await,
        Err(Failure::Error(RefreshError::Ended))
    );
    assert_eq!(seat.ended().await, Ended::Session);
}

#[tokio::test]
async fn using_what_came_with_the_successor_ends_the_old_token() {
    let bench = bench(&[]);
    let (alice, _, _, first) = bench.person("alice").await;
    let second = refresh_as(&bench, &alice.device.key, &first.refresh).await.unwrap();
    bench.open(&bench.seat(0x33), &alice.device, &second).await;
    assert_eq!(
        refresh_as(&bench, &alice.device.key, &first.refresh).await,
        Err(Failure::Error(RefreshError::Reused))
    );
}

#[tokio::test]
async fn a_refresh_token_in_another_device_s_hands_ends_the_session() {
    let bench = bench(&[]);
    let (alice, _, _, tokens) = bench.person("alice").await;
    let thief = SigningKey::from_seed(&[0x66; 32]);
    assert_eq!(
        refresh_as(&bench, &thief, &tokens.refresh).await,
        Err(Failure::Error(RefreshError::Reused))
    );
    assert_eq!(
        refresh_as(&bench, &alice.device.key, &tokens.refresh).await,
        Err(Failure::Error(RefreshError::Ended))
    );
}

#[tokio::test]
async fn a_wrong_password_and_an_absent_name_are_told_alike() {
    let bench = bench(&[]);
    bench.person("alice").await;
    let (seat, device) = (bench.seat(5), Device::new([5; 32]));
    let at = bench.services.clock.now();
    for (name, password) in [("alice", "incorrect horse"), ("nobody", PASSWORD)] {
        let request =
            Login { password: password.to_owned(), ..device.login(name, seat.exporter(), at) };
        let refused = login(&bench.services, &seat, request).await;
        assert_eq!(refused, Err(Failure::Error(LoginError::WrongCredentials)), "{name}");
    }
    let late =
        device.login("alice", seat.exporter(), at.plus(LOGIN_TOLERANCE + Duration::from_secs(1)));
    assert_eq!(
        login(&bench.services, &seat, late).await,
        Err(Failure::Error(LoginError::BadProof))
    );
}

#[tokio::test]
async fn passwords_of_one_account_are_tried_slowly_from_wherever() {
    let bench = bench(&[("limits.login_account", "1/min burst 2")]);
    bench.person("alice").await;
    let device = Device::new([5; 32]);
    let mut answers = vec![];
    for address in 0..3_u8 {
        let seat = bench.services.seats.sit([10, 0, 0, address].into(), [0; 32], None).unwrap();
        let request = device.login("alice", seat.exporter(), bench.services.clock.now());
        answers.push(login(&bench.services, &seat, request).await.is_ok());
    }
    assert_eq!(answers, [true, true, false]);
}

#[tokio::test]
async fn another_password_ends_all_other_sessions() {
    let bench = bench(&[]);
    let (mut alice, who, seat, _) = bench.person("alice").await;
    let (_, _, second) = bench.second(&mut alice, who).await;
    let request = rookery_protocol::request::account::ChangePassword {
        old: PASSWORD.to_owned(),
        new: "battery staple".to_owned(),
    };
    account::change_password(&bench.services, who, request).await.unwrap();
    assert_eq!(second.ended().await, Ended::Session);
    let left = list(&bench.services, who).await.unwrap().sessions;
    assert!(left.len() == 1 && left[0].current);
    assert!(tokio::time::timeout(Duration::from_millis(1), seat.ended()).await.is_err());
}

#[tokio::test]
async fn an_ended_session_opens_nothing() {
    let bench = bench(&[]);
    let (alice, who, _, tokens) = bench.person("alice").await;
    end(&bench.services, who, None).await.unwrap();
    let seat = bench.seat(9);
    let proof = rookery_protocol::session::prove_connection(
        &alice.device.key,
        seat.exporter(),
        &tokens.access,
    );
    let request = OpenSession { access: tokens.access, proof };
    assert_eq!(open(&bench.services, &seat, request).await, Err(Failure::Error(OpenError::Ended)));
}

//! Who stays, who goes, and who never sits.

use super::*;

const CROWD: Crowd = Crowd { device: Some(2), user: Some(3) };

fn who(device: u8, session: u8) -> Authenticated {
    Authenticated {
        user: UserId::from_bytes([1; 32]),
        device: DeviceId::from_bytes([device; 32]),
        session: SessionId::from_bytes([session; 16]),
    }
}

fn sit(seats: &Seats, device: u8, session: u8) -> Arc<Seat> {
    let seat = seats.sit(IpAddr::from([127, 0, 0, 1]), [0; 32], None).unwrap();
    seats.raise(&seat, Principal::Device(who(device, session)), CROWD);
    seat
}

#[test]
fn the_newest_connections_of_a_device_stay() {
    let seats = Seats::default();
    let placed: Vec<_> = (0..3).map(|session| sit(&seats, 1, session)).collect();
    let ended: Vec<_> = placed.iter().map(|seat| seat.end.is_cancelled()).collect();
    assert_eq!(ended, [true, false, false]);
}

#[test]
fn what_is_cut_is_what_was_meant() {
    let seats = Seats::default();
    let (one, two) = (sit(&seats, 1, 1), sit(&seats, 2, 2));
    assert_eq!(seats.cut_device(who(1, 1).user, who(1, 1).device), 1);
    assert!(one.end.is_cancelled() && !two.end.is_cancelled());
    seats.leave(&one);
    seats.leave(&two);
    assert_eq!(seats.count(), (0, 0));
    assert!(seats.rows().by_user.is_empty() && seats.rows().by_address.is_empty());
}

#[test]
fn a_connection_that_is_gone_is_not_raised() {
    let seats = Seats::default();
    let seat = seats.sit(IpAddr::from([127, 0, 0, 1]), [0; 32], None).unwrap();
    let other = seats.sit(IpAddr::from([127, 0, 0, 1]), [0; 32], None).unwrap();
    seats.leave(&seat);
    // Its proof was under way, and is done only now.
    seats.raise_peer(&seat, ServerId::from_bytes([1; 32]));
    seats.raise(&seat, Principal::Device(who(1, 1)), CROWD);
    assert_eq!(seats.count(), (1, 1), "the other one's place was given away");
    assert!(seats.rows().by_peer.is_empty() && seats.rows().by_user.is_empty());
    seats.leave(&other);
    assert_eq!(seats.count(), (0, 0));
}

#[test]
fn a_connection_is_one_server_s_for_ever() {
    let seats = Seats::default();
    let seat = seats.sit(IpAddr::from([127, 0, 0, 1]), [0; 32], None).unwrap();
    let [one, two] = [1, 2].map(|root| ServerId::from_bytes([root; 32]));
    for root in [one, two, one] {
        seats.raise_peer(&seat, root);
    }
    assert_eq!(seat.principal(), Principal::Peer(one));
    assert_eq!((seats.cut_peer(one), seats.cut_peer(two)), (1, 0));
    seats.leave(&seat);
    assert!(seats.rows().by_peer.is_empty() && seats.count() == (0, 0));
}

#[test]
fn an_address_has_its_bound() {
    let seats = Seats::default();
    let address = IpAddr::from([10, 0, 0, 1]);
    let first = seats.sit(address, [0; 32], Some(1)).unwrap();
    assert!(seats.sit(address, [0; 32], Some(1)).is_none());
    seats.leave(&first);
    assert!(seats.sit(address, [0; 32], Some(1)).is_some());
}

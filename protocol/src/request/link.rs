//! The meeting place for linking a device: two devices of one user exchange four letters that the server cannot use.
//!
//! The old device opens a place and shows its number with two words; the new one types both. What goes through is SPAKE2 (RFC 9382) and
//! then sealed letters. A place takes one guess: after a failed confirmation the old device closes it.

use crate::{
    codec::Octets,
    id::DeviceId,
    request,
    request::{LoggedIn, Never},
    session::Authenticated,
    time::Timestamp,
    wire_enum, wire_index, wire_struct,
};

wire_struct! {
    /// Opens a meeting place, good for five minutes.
    pub struct OpenPlace {}
}

wire_struct! {
    /// The place.
    pub struct Place {
        /// Its number, 1 to 999: unique among the user's own open places.
        #[n(0)] pub number: u32,
        /// When it closes.
        #[n(1)] pub expires: Timestamp,
    }
}

wire_enum! {
    /// Why there is no place.
    #[derive(thiserror::Error)]
    pub enum PlaceError {
        /// Not open: never was, is over, or has been used.
        #[n(1)]
        #[error("no device waits under that code: it is wrong, over, or was used")]
        NotFound,
        /// Three places an hour.
        #[n(2)]
        #[error("too many codes were asked for: wait an hour")]
        TooMany,
        /// The letter's place is taken.
        #[n(3)]
        #[error("another device is using that code")]
        Taken,
    }
}

request!(OpenPlace: "link/open/1", Link, Authenticated => Place, PlaceError);

wire_index! {
    /// Which side of a place.
    pub enum Side {
        /// The device that opened it.
        #[n(1)] Old,
        /// The device that wants in.
        #[n(2)] New,
    }
}

wire_struct! {
    /// Puts one side's next letter down. A side is bound to the device that first wrote on it.
    pub struct PutLetter {
        /// Where.
        #[n(0)] pub place: u32,
        /// On which side.
        #[n(1)] pub side: Side,
        /// Which letter of that side, from 0 to 3.
        #[n(2)] pub number: u32,
        /// The letter.
        #[n(3)] pub letter: Octets<8192>,
    }
}

request!(PutLetter: "link/put/1", Link, LoggedIn => (), PlaceError);

wire_struct! {
    /// Waits for the other side's letter, at most 25 seconds.
    pub struct TakeLetter {
        /// Where.
        #[n(0)] pub place: u32,
        /// From which side.
        #[n(1)] pub side: Side,
        /// Which letter.
        #[n(2)] pub number: u32,
    }
}

wire_struct! {
    /// A letter, if it has come.
    pub struct Letter {
        /// The letter; ask again when absent.
        #[n(0)] pub letter: Option<Octets<8192>>,
        /// The device that wrote it.
        #[n(1)] pub from: Option<DeviceId>,
    }
}

request!(TakeLetter: "link/take/1", Read, LoggedIn => Letter, PlaceError);

wire_struct! {
    /// Closes a place.
    pub struct ClosePlace {
        /// Which.
        #[n(0)] pub place: u32,
    }
}

request!(ClosePlace: "link/close/1", Read, LoggedIn => (), Never);

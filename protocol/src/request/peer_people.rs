//! Signs of life between people of two homeservers who have accepted each other. Nothing of it is stored for whoever is away.

use crate::{
    id::UserId,
    request,
    request::{Homeserver, Never, presence::PresenceEntry},
    wire_enum, wire_struct,
};

wire_enum! {
    /// One sign. The home of who is told decides whether they want to be.
    pub enum PersonSign {
        /// How a user of the server that tells it is.
        #[n(1)] Presence {
            /// How.
            #[n(0)] presence: PresenceEntry,
            /// Whom it is told.
            #[n(1)] to: UserId
        },
        /// A user of the server that tells it writes to somebody.
        #[n(2)] Typing {
            /// Who writes.
            #[n(0)] user: UserId,
            /// To whom.
            #[n(1)] to: UserId
        },
        /// A user of the server that tells it wants to know how somebody is.
        #[n(3)] Wanted {
            /// Who wants to know.
            #[n(0)] user: UserId,
            /// Of whom.
            #[n(1)] of: UserId
        },
    }
}

wire_struct! {
    /// Tells of signs of life.
    pub struct PeerTellPeople {
        /// At most 64.
        #[n(0)] pub signs: Vec<PersonSign>,
    }
}

request!(PeerTellPeople: "peer/people/tell/1", PeerForward, Homeserver => (), Never, 128 * 1024);

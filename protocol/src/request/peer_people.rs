//! Signs of life between people of two homeservers who have accepted each other, and their profiles. Nothing of it is stored for whoever is away.

use crate::{
    id::UserId,
    request,
    request::{Homeserver, Never, account::Profile, presence::PresenceEntry},
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
        /// A user of the server that tells it has changed their profile.
        #[n(4)] Profile {
            /// Who.
            #[n(0)] user: UserId,
            /// Whom it is told.
            #[n(1)] to: UserId
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

wire_struct! {
    /// Fetches the sealed profile of a user of the asked server, for a contact of theirs who lives at the asking one. There is none for others.
    pub struct PeerFetchProfile {
        /// Whose.
        #[n(0)] pub user: UserId,
        /// For whom.
        #[n(1)] pub asker: UserId,
    }
}

request!(PeerFetchProfile: "peer/people/profile/1", PeerRead, Homeserver => Profile, Never);

//! Contacts. The home keeps the graph, because it decides by it who may write, see presence, and read chains.

use crate::{
    chain::HeadRef,
    id::UserId,
    name::{ServerName, UserName},
    request,
    request::Never,
    session::Authenticated,
    time::Timestamp,
    wire_enum, wire_index, wire_struct,
};

wire_index! {
    /// How one user stands to another.
    pub enum Standing {
        /// The user has asked, and waits.
        #[n(1)] Asked,
        /// The other has asked, and waits.
        #[n(2)] Asking,
        /// Both agree.
        #[n(3)] Accepted,
        /// The user has blocked the other.
        #[n(4)] Blocked,
        /// The other wrote as a stranger, and was neither accepted nor blocked.
        #[n(5)] Stranger,
    }
}

wire_struct! {
    /// One contact.
    pub struct Contact {
        /// By which name.
        #[n(0)] pub name: UserName,
        /// Who; absent while a request of one's own waits, so that absent, blocking and existing names look alike.
        #[n(1)] pub user: Option<UserId>,
        /// How they stand.
        #[n(2)] pub standing: Standing,
        /// Since when.
        #[n(3)] pub since: Timestamp,
        /// Where their chain stands, if the caller may read it.
        #[n(4)] pub head: Option<HeadRef>,
        /// Their home, when it is another one.
        #[n(5)] pub server: Option<ServerName>,
    }
}

wire_struct! {
    /// Asks for the contacts.
    pub struct ListContacts {}
}

wire_struct! {
    /// The contacts.
    pub struct Contacts {
        /// By name.
        #[n(0)] pub contacts: Vec<Contact>,
    }
}

request!(ListContacts: "contact/list/1", Read, Authenticated => Contacts, Never);

wire_struct! {
    /// Asks somebody to be a contact. The answer is the same whether the name exists, blocks the asker, or is free. When the other has
    /// asked already, both are contacts at once.
    pub struct RequestContact {
        /// Whom.
        #[n(0)] pub name: UserName,
        /// Their home, when it is another one.
        #[n(1)] pub server: Option<ServerName>,
    }
}

wire_index! {
    /// What came of a request.
    pub enum RequestedContact {
        /// The other side has to answer.
        #[n(1)] Waiting,
        /// Both agree now, or had agreed before.
        #[n(2)] Accepted,
    }
}

wire_enum! {
    /// Why a contact did not change.
    #[derive(thiserror::Error)]
    pub enum ContactError {
        /// There is no such request or contact.
        #[n(1)]
        #[error("there is no such contact or request")]
        NotFound,
        /// The list is as long as the server lets it become.
        #[n(2)]
        #[error("the list of contacts is full")]
        Full,
        /// One is not one's own contact.
        #[n(3)]
        #[error("that is you")]
        Oneself,
        /// This home has nothing to do with the server that was named.
        #[n(4)]
        #[error("your server is not in touch with that server: its administrator can add it")]
        UnknownServer,
        /// As much waits for that server as this home keeps.
        #[n(5)]
        #[error("too much waits for that server already: try again when it answers")]
        QueueFull,
    }
}

request!(RequestContact: "contact/request/1", Contact, Authenticated => RequestedContact, ContactError);

wire_index! {
    /// What to do about somebody.
    pub enum ContactChange {
        /// Agree to their request, or to their having written as a stranger.
        #[n(1)] Accept,
        /// Turn their request down; they are not told.
        #[n(2)] Decline,
        /// Hear nothing of them any more; they are not told.
        #[n(3)] Block,
        /// Undo a block.
        #[n(4)] Unblock,
        /// End the contact, or withdraw a request.
        #[n(5)] Remove,
    }
}

wire_struct! {
    /// Changes how one stands to somebody.
    pub struct ChangeContact {
        /// To whom.
        #[n(0)] pub name: UserName,
        /// What.
        #[n(1)] pub change: ContactChange,
        /// Their home, when it is another one.
        #[n(2)] pub server: Option<ServerName>,
    }
}

request!(ChangeContact: "contact/change/1", Account, Authenticated => (), ContactError);

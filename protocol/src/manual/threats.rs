//! # Whom the protocol protects, and against what
//!
//! | who | can | cannot |
//! | --- | --- | --- |
//! | somebody on the network | see that two addresses speak QUIC, how much and when; cut it | read, change, replay or impersonate: TLS 1.3 with X25519MLKEM768, the server's root pinned or its name certified |
//! | a homeserver, its administrator, or who stole its disk | see account names, the contact graph, chains of statements, who sends envelopes of which size to whom and when; withhold them | read what is sealed; forge a statement, a message or a receipt; add a device or a reader without every client seeing it |
//! | another homeserver | see who of its users and of ours writes to whom, when, and how much; withhold what is for its users | speak for anybody whose chain does not begin at its root; read, change or forge what is sealed; be taken for another server, by a proof that is reflected or replayed |
//! | who stole a refresh token | end the session, loudly | use it: a refresh needs the device's key, and a second use ends the session |
//! | who stole an access token | nothing | open a connection: it needs a signature of the device's key over this very connection |
//! | who knows the password | log a device in that may ask for its certification, and nothing else | read or write anything: a device counts once another one or the recovery key has signed it |
//! | who stole a device, unlocked | read what it has, and write as its user until it is revoked | evict devices older than itself, replace the recovery key, read what is sealed after its revocation |
//! | a stranger | write one request, shown apart | learn of presence or receipts, drain one-time keys, tell a name that blocks them from one that is not there |
//!
//! ## What each rule answers
//!
//! *Recipients come from verified chains only.* A server that could name the recipients could name itself (Albrecht, Celi, Dowling and Jones
//! 2022, on Matrix). A message that is sealed for other devices than the live ones is refused as `stale`, and a client that is told so
//! verifies the new statements before it seals again.
//!
//! *Every signature has a domain.* A signature over a prekey that passes as one over a message is a forgery; see [`crate::key::Domain`].
//!
//! *Identifiers of different kinds are different types and different hashes.* See [`crate::id`].
//!
//! *One-time keys are not for strangers.* Draining them takes forward secrecy away from the first flight of everybody else ("Prekey Pogo",
//! 2025): a stranger's claim gets signed prekeys only, a claim is idempotent by its id, and a target's keys run out by quota, not at will.
//!
//! *Seniority is structural.* Linking by a code is what phishers ask for: a device that was linked a minute ago cannot evict the ones before
//! it, so its victim can always throw it out again.
//!
//! *A revocation brings a new per-user key.* [`crate::user::State::owes_rotation`] lets nothing else happen first.
//!
//! *A hub signs what it shows.* One that shows two homes two histories of a community has signed a contradiction: homes compare the signed heads,
//! and [`crate::community::Fork`] is the proof, which anybody can check by itself. From then on nothing is sealed for that community. A hub
//! that withholds the same from all of them is not found out by this.
//!
//! *A name is whose certificate it has.* A homeserver that nobody here has named proves a root key and claims a name. It is believed when whoever
//! has a public certificate for the name shows a record of the same root; an SRV record only points, and lends its target nothing. What is
//! pinned once is not changed by that. To look, a server connects where a stranger's name leads, so it never goes to addresses that are not
//! public, connects to those that it has looked at and to no others, and does it a few times a minute for each who has it look.
//!
//! *No rule of a chain looks at a clock.* Two honest machines with different clocks never disagree on what a chain says.

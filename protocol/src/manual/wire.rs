//! # How the bytes lie
//!
//! One UDP port, QUIC (RFC 9000), ALPN `rookery/1`, TLS 1.3 without early data: nothing that changes state can be replayed.
//!
//! A **request** is a bidirectional stream of its own. The asker writes two frames, the method's name and the encoded request, and finishes;
//! the server answers with one frame, `[0, [reply]]`, `[1, [error]]` or `[2, [refusal]]`. A **frame** is a length of four bytes, most
//! significant first, and that many bytes. `protocol/schema/REQUESTS.md` lists all methods; `protocol/schema/rookery.cddl` has their types.
//!
//! The **follow stream** begins as the request `follow/1`; after its answer each side keeps writing frames: the server
//! [`crate::session::FollowDown`], the device [`crate::session::FollowUp`].
//!
//! Everything is **CBOR** in the core deterministic encoding (RFC 8949 §4.2.1), with integer keys. A reader refuses any other form of the same
//! value, skips keys that it does not know, and bounds what it takes: 64 KiB a frame, 48 KiB a body, 1 MiB a request that says so.
//! Protocol Buffers promise no canonical form and postcard skips nothing that it does not know; both were weighed.
//!
//! What is **signed** travels as a byte string inside a structure with its signature, and is verified as it came. Nothing is ever encoded
//! again to be verified.
//!
//! ## Log-in, step by step
//!
//! 1. Connect; the connection is anonymous.
//! 2. `session/login/1` with name, password, the device's key, and a signature over the TLS exporter (RFC 8446 §7.5) of this connection. The
//!    answer is a refresh token and an access token (JWT, 15 minutes, bound to the key by `cnf`).
//! 3. `session/open/1` with the access token and a signature over exporter and token. The connection is the device's now; the server looks up
//!    whether session, device and account are live, and cuts the connection within a second when they no longer are.
//! 4. `follow/1`, and everything else.
//!
//! ## Homeservers among themselves
//!
//! The same streams and frames on connections of their own, ALPN `rookery-peer/1`, on which methods that begin with `peer/` are served and no
//! others but `server/info/1`.
//!
//! 1. Whoever dials greets by `peer/hello/1`: its record under its root, whom it means, a nonce. The answer is the other side's greeting and
//!    its proof, a signature of its online key over both greetings and the TLS exporter of this connection ([`crate::session::peer`]).
//! 2. It answers with its own proof, by `peer/prove/1`, and is taken or turned away. From then on each side asks the other.
//! 3. Both compare the heads of the chains that they copy from each other (`peer/heads/1`), then and every minute, and fetch what is new.
//! 4. What must arrive is handed over by `peer/forward/1`, a batch at a time, out of a durable queue: it leaves the queue when the other
//!    side has said what became of it, which it says when that is on disk.
//!
//! A message to somebody on another server is one `message/send/1` all the same. The home stores it, with the copies for the sender's other
//! devices, and answers when the receiver's home has it, or after a second that it waits for that (`awaits`). The sender's device asks by
//! `message/outstanding/1` what is not there yet, and what has come back to be sealed again.
//!
//! ## A message, step by step
//!
//! The sender seals one envelope for every live device of the receiver and for each other live device of their own, and hands all of them in
//! by `message/send/1` together with the heads of both chains that it sealed for. The home stores all or none, and answers when they are on
//! disk. If a head is old or an envelope too few or too many, it answers `stale` with the heads that hold. The same message id again gets the
//! first answer again, so that a sender who heard nothing asks once more without fear.
//!
//! A receiver takes envelopes from the follow stream in the order of their positions, stores what comes of each, and only then acknowledges.
//! A position is given once in the life of a database ([`crate::session::Cursor`] names the incarnation); what is not acknowledged comes again.

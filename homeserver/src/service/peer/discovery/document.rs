//! The document that a homeserver publishes under its name: `https://<name>/.well-known/rookery/server`.
//!
//! It is JSON, and holds the server's record as its root key has signed it. What stands beside that is for people: nothing but the record is
//! read. Whoever can put a document there owns the name; the signature ties it to the root.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rookery_protocol::{
    codec,
    name::ServerName,
    request::server::{ServerRecord, SignedServerRecord},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::identity::Record;

/// Where it is.
pub const PATH: &str = "/.well-known/rookery/server";

#[derive(Serialize)]
struct Written<'a> {
    name: &'a str,
    root: String,
    endpoint: Option<String>,
    record: String,
}

#[derive(Deserialize)]
struct Read {
    record: String,
}

/// Why a record says nothing about whose a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRecord {
    /// It is no document.
    #[error("what is published there is no such document")]
    Malformed,
    /// The root that it names has not signed it.
    #[error("the record there is not signed by its root key")]
    Forged,
    /// It is another server's.
    #[error("the record there is of a server of another name")]
    OtherName,
    /// It has ended.
    #[error("the record there has ended: its administrator publishes the new one")]
    Ended,
}

/// The document of a server.
#[must_use]
pub fn write(record: &Record) -> String {
    let stated = &record.stated;
    let written = Written {
        name: stated.name.as_str(),
        root: stated.root.server_id().to_string(),
        endpoint: stated.endpoint.as_ref().map(ToString::to_string),
        record: URL_SAFE_NO_PAD.encode(codec::encode(&record.signed)),
    };
    serde_json::to_string_pretty(&written).unwrap_or_default()
}

/// Reads the document that was found under `name`.
pub fn read(bytes: &[u8], name: &ServerName, now: Timestamp) -> Result<ServerRecord, NoRecord> {
    let read: Read = serde_json::from_slice(bytes).map_err(|_| NoRecord::Malformed)?;
    let record = URL_SAFE_NO_PAD.decode(read.record).map_err(|_| NoRecord::Malformed)?;
    let signed = codec::decode(&record).map_err(|_| NoRecord::Malformed)?;
    check(&signed, name, now)
}

/// Reads a record that the server at `name` has shown, which is of the root that it names, of that name, and has not ended.
pub fn check(
    signed: &SignedServerRecord,
    name: &ServerName,
    now: Timestamp,
) -> Result<ServerRecord, NoRecord> {
    let claimed: ServerRecord =
        codec::decode(signed.payload.as_slice()).map_err(|_| NoRecord::Malformed)?;
    let record = signed.verify(claimed.root.server_id()).map_err(|_| NoRecord::Forged)?;
    if record.name != *name {
        return Err(NoRecord::OtherName);
    }
    if record.has_ended(now) {
        return Err(NoRecord::Ended);
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::service::testing::{NOW, identity_of};

    fn garden() -> ServerName {
        "garden.example".parse().unwrap()
    }

    #[test]
    fn what_is_written_is_read_under_its_own_name_while_it_holds() {
        let identity = identity_of("garden.example", 2);
        let record = identity.record();
        let text = write(&record);
        assert_eq!(read(text.as_bytes(), &garden(), NOW), Ok(record.stated.clone()));
        let other = "nest.example".parse().unwrap();
        assert_eq!(read(text.as_bytes(), &other, NOW), Err(NoRecord::OtherName));
        let late = NOW.plus(Duration::from_hours(24 * 365));
        assert_eq!(read(text.as_bytes(), &garden(), late), Err(NoRecord::Ended));
    }

    #[test]
    fn a_record_that_its_root_has_not_signed_is_forged() {
        let (one, two) = (identity_of("garden.example", 2), identity_of("garden.example", 3));
        let signed = &one.record().signed;
        let mixed = SignedServerRecord {
            signature: two.record().signed.signature,
            payload: signed.payload.clone(),
        };
        assert_eq!(check(&mixed, &garden(), NOW), Err(NoRecord::Forged));
        assert!(check(signed, &garden(), NOW).is_ok());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&bytes, &garden(), NOW).is_err());
            let record = URL_SAFE_NO_PAD.encode(&bytes);
            let document = format!("{{\"record\":\"{record}\"}}");
            prop_assert!(read(document.as_bytes(), &garden(), NOW).is_err());
        }
    }
}

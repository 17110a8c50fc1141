//! What the root key says of a server: its name, its online key, where it is and until when that holds.

use std::{fs, io, path::Path, time::Duration};

use minicbor::{Decode, Encode};
use rookery_protocol::{
    codec,
    key::{Domain, SigningKey, VerifyingKey},
    name::{HostPort, ServerName},
    request::server::{ServerRecord, SignedServerRecord},
    session::peer::Oneself,
    time::Timestamp,
};

use super::{DataDirError, file::write_private};

/// How long a record holds.
pub const TERM: Duration = Duration::from_hours(24 * 90);
/// When a server that has its root key at hand makes the next one: while this much is left.
pub const RENEWED: Duration = Duration::from_hours(24 * 60);
/// When an administrator is told that it ends soon.
pub const SOON: Duration = Duration::from_hours(24 * 21);

/// A record, as it was signed and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Under the root's signature.
    pub signed: SignedServerRecord,
    /// What it says.
    pub stated: ServerRecord,
}

/// What an administrator says of a server.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// What it is called.
    pub name: Option<ServerName>,
    /// Where it listens for others; what was said before holds when this is absent.
    pub endpoint: Option<HostPort>,
}

impl Record {
    /// Signs what comes after `former`.
    pub(super) fn sign(
        root: &SigningKey,
        online: &SigningKey,
        former: Option<&ServerRecord>,
        said: &Said,
        now: Timestamp,
    ) -> Result<Self, codec::Malformed> {
        let name = former.map(|former| former.name.clone()).or_else(|| said.name.clone());
        let stated = ServerRecord {
            name: name.unwrap_or_else(host_name),
            root: root.verifying_key(),
            online: online.verifying_key(),
            // The time in it has a server that was restored from an old copy rise above the records that others have seen since.
            number: former
                .map_or(0, |former| former.number.saturating_add(1))
                .max(now.as_millis() / 1_000),
            since: now,
            until: now.plus(TERM),
            endpoint: said.endpoint.clone().or_else(|| former?.endpoint.clone()),
        };
        Ok(Self { signed: stated.sign(root)?, stated })
    }

    /// Reads the record in a file, if there is one. That its root signed it is checked; which root that is, is the caller's to know.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, DataDirError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(DataDirError::File { path: path.to_owned(), source }),
        };
        let damaged = || DataDirError::Damaged { path: path.to_owned() };
        let signed: SignedServerRecord = codec::decode(&bytes).map_err(|_| damaged())?;
        let stated = match codec::decode::<ServerRecord>(signed.payload.as_slice()) {
            Ok(claimed) => signed.verify(claimed.root.server_id()).map_err(|_| damaged())?,
            Err(_) => Former::read(&signed).ok_or_else(damaged)?,
        };
        Ok(Some(Self { signed, stated }))
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), DataDirError> {
        write_private(path, &codec::encode(&self.signed))
            .map_err(|source| DataDirError::File { path: path.to_owned(), source })
    }

    /// How long it still holds.
    #[must_use]
    pub fn left(&self, now: Timestamp) -> Duration {
        self.stated.until.since(now)
    }

    /// Who the server is to others, with the key that the record names.
    #[must_use]
    pub const fn oneself<'k>(&'k self, online: &'k SigningKey) -> Oneself<'k> {
        Oneself { signed: &self.signed, record: &self.stated, online }
    }
}

/// A record as version 0.1.0 wrote it: without an end.
#[derive(Decode, Encode)]
#[cbor(map)]
pub(super) struct Former {
    #[n(0)]
    pub(super) name: ServerName,
    #[n(1)]
    pub(super) root: VerifyingKey,
    #[n(2)]
    pub(super) online: VerifyingKey,
    #[n(3)]
    pub(super) number: u64,
    #[n(4)]
    pub(super) since: Timestamp,
}

impl Former {
    /// What it says, if its root signed it; it has ended, so that the next start renews it.
    fn read(signed: &SignedServerRecord) -> Option<ServerRecord> {
        let Self { name, root, online, number, since } =
            codec::decode(signed.payload.as_slice()).ok()?;
        root.verify(Domain::SERVER, signed.payload.as_slice(), &signed.signature).ok()?;
        Some(ServerRecord { name, root, online, number, since, until: since, endpoint: None })
    }
}

/// What the machine calls itself, made into a server name.
fn host_name() -> ServerName {
    let text = fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| fs::read_to_string("/etc/hostname"))
        .unwrap_or_default();
    let text = text.trim().to_ascii_lowercase().replace('_', "-");
    #[expect(clippy::expect_used, reason = "a literal that is a server name")]
    text.parse().unwrap_or_else(|_| "localhost".parse().expect("a server name"))
}

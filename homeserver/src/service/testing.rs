//! A server without a network, and people on it, for tests.

use rookery_protocol::{key::SigningKey, request::server::ServerRecord, time::Timestamp};

use crate::identity::Identity;

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

pub(crate) fn identity(seed: u8) -> Identity {
    let (root, online) = (SigningKey::from_seed(&[seed; 32]), SigningKey::from_seed(&[seed ^ 0x80; 32]));
    let name: rookery_protocol::name::ServerName = "nest.example".parse().unwrap();
    let (root_key, online_key) = (root.verifying_key(), online.verifying_key());
    let record = ServerRecord { name: name.clone(), root: root_key, online: online_key, number: 1, since: NOW };
    let record = record.sign(&root).unwrap();
    Identity { name, root, online, record }
}

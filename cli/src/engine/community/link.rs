//! Links to communities, as people pass them on.

use std::{fmt, str::FromStr};

use rookery_protocol::{
    id::{CommunityId, InviteId, ServerId},
    name::{HostPort, ServerName},
};

use crate::error::{CommandError, Kind};

/// A link to a community: `rookery://host:port/c#server=…&key=…&community=…&invite=…&secret=…`.
#[derive(Clone, Debug)]
pub(crate) struct CommunityLink {
    pub(crate) host: HostPort,
    pub(crate) server: Option<ServerName>,
    pub(crate) key: Option<ServerId>,
    pub(crate) community: CommunityId,
    pub(crate) secret: Option<([u8; 32], InviteId)>,
}

impl fmt::Display for CommunityLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "rookery://{}/c#community={}", self.host, self.community)?;
        if let Some(server) = &self.server {
            write!(formatter, "&server={server}")?;
        }
        if let Some(key) = &self.key {
            write!(formatter, "&key={key}")?;
        }
        if let Some((secret, invite)) = &self.secret {
            let secret = rookery_protocol::id::to_base32(secret);
            write!(formatter, "&invite={invite}&secret={secret}")?;
        }
        Ok(())
    }
}

impl FromStr for CommunityLink {
    type Err = CommandError;

    fn from_str(text: &str) -> Result<Self, CommandError> {
        let broken = || CommandError::new(Kind::Usage, "that is not a link to a community");
        let rest = text.strip_prefix("rookery://").ok_or_else(broken)?;
        let (place, fragment) = rest.split_once('#').ok_or_else(broken)?;
        let host = place.strip_suffix("/c").ok_or_else(broken)?.parse().map_err(|_| broken())?;
        let (mut server, mut key, mut community) = (None, None, None);
        let (mut invite, mut secret) = (None, None);
        for part in fragment.split('&') {
            let (name, value) = part.split_once('=').ok_or_else(broken)?;
            match name {
                "server" => server = Some(value.parse().map_err(|_| broken())?),
                "key" => key = Some(value.parse().map_err(|_| broken())?),
                "community" => community = Some(value.parse().map_err(|_| broken())?),
                "invite" => {
                    let number: u32 = value.parse().map_err(|_| broken())?;
                    invite = Some(InviteId::from_number(number));
                }
                "secret" => {
                    let bytes = rookery_protocol::id::from_base32(value).ok_or_else(broken)?;
                    let bytes: [u8; 32] = bytes.try_into().map_err(|_| broken())?;
                    secret = Some(bytes);
                }
                // What later versions add is passed over.
                _ => {}
            }
        }
        let community = community.ok_or_else(broken)?;
        Ok(Self { host, server, key, community, secret: secret.zip(invite) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_back() {
        let link = CommunityLink {
            host: "127.0.0.1:7665".parse().unwrap(),
            server: Some("nest.example".parse().unwrap()),
            key: Some(ServerId::from_bytes([1; 32])),
            community: CommunityId::from_bytes([2; 32]),
            secret: Some(([3; 32], InviteId::from_number(7))),
        };
        let read: CommunityLink = link.to_string().parse().unwrap();
        assert_eq!(read.to_string(), link.to_string());
        assert_eq!(read.secret, link.secret);
        assert_eq!(read.server, link.server);
        for broken in [
            "",
            "rookery://x/c#",
            "rookery://127.0.0.1:1/join#a=b",
            "rookery://127.0.0.1:1/c#community=x",
        ] {
            assert!(broken.parse::<CommunityLink>().is_err(), "{broken}");
        }
    }
}

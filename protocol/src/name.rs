//! Names that people type: account names, server names, addresses, and the links that carry them.

use std::{fmt, str::FromStr};

use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::{
    id::{InviteToken, NotAnId, ServerId},
    schema::leaf,
};

/// The port when none is named.
pub const DEFAULT_PORT: u16 = 7665;

/// Declares a name that is text under a rule.
macro_rules! text_name {
    ($(#[doc = $doc:expr])* $name:ident, $what:literal, $sample:literal, $rule:expr) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let rule: fn(&str) -> bool = $rule;
                if rule(text) { Ok(Self(text.to_owned())) } else { Err(NotAnId::new(text, $what)) }
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                encoder: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                encoder.str(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                decoder.str()?.parse().map_err(|_| minicbor::decode::Error::message(concat!("not ", $what)))
            }
        }

        leaf! { $name => "tstr", Self($sample.to_owned()); }
    };
}

text_name! {
    /// An account's name at its home: 2 to 32 of `a-z 0-9 . _ -`, beginning with a letter or digit.
    UserName, "an account name (2 to 32 of a-z 0-9 . _ -, beginning with a letter or digit)", "alice",
    |text| {
        (2..=32).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
            && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
    }
}

text_name! {
    /// A homeserver's name: a host name, 1 to 253 of `a-z 0-9 . -`.
    ServerName, "a server name (a host name in lower case)", "nest.example",
    |text| {
        (1..=253).contains(&text.len())
            && text.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            })
    }
}

impl ServerName {
    /// Whether the name can be looked up in the domain name system, and a public authority vouch for it: it has a dot, and is no IPv4 address.
    /// Any other name is one of a local network.
    #[must_use]
    pub fn is_domain(&self) -> bool {
        let last = self.0.rsplit('.').next().unwrap_or_default();
        self.0.contains('.') && !last.bytes().all(|byte| byte.is_ascii_digit())
    }
}

/// `alice@nest.example`, or `@alice` at one's own home.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The account.
    pub name: UserName,
    /// Its home; one's own when absent.
    pub server: Option<ServerName>,
}

impl FromStr for Address {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let wrong = |_| NotAnId::new(text, "an address such as @alice or alice@nest.example");
        let bare = text.strip_prefix('@').unwrap_or(text);
        let (name, server) = match bare.split_once('@') {
            Some((name, server)) => (name, Some(server.parse().map_err(wrong)?)),
            None => (bare, None),
        };
        Ok(Self { name: name.parse().map_err(wrong)?, server })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.server {
            Some(server) => write!(formatter, "{}@{server}", self.name),
            None => write!(formatter, "@{}", self.name),
        }
    }
}

/// Where a server listens: a host name or IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// A host name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The UDP port.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let wrong =
            || NotAnId::new(text, "a server address such as nest.example or 127.0.0.1:7665");
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
            (host, rest.strip_prefix(':'))
        } else {
            match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        let good =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
        if host.is_empty() || host.len() > 253 || !host.bytes().all(good) {
            return Err(wrong());
        }
        let port = port.map_or(Ok(DEFAULT_PORT), |port| port.parse().map_err(|_| wrong()))?;
        Ok(Self { host: host.to_ascii_lowercase(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

impl<C> Encode<C> for HostPort {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.str(&self.to_string())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for HostPort {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let wrong = |_| minicbor::decode::Error::message("not a server address");
        decoder.str()?.parse().map_err(wrong)
    }
}

leaf! { HostPort => "tstr", Self { host: "nest.example".to_owned(), port: DEFAULT_PORT }; }

/// `rookery://127.0.0.1:7665/join#…`: everything that a newcomer has to know of a server.
///
/// The fragment holds `server=<name>&key=<fingerprint>` and, in an invitation, `&invite=<token>`. Nobody else is to see it: a fragment is
/// what browsers do not send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinLink {
    /// Where the server listens.
    pub address: HostPort,
    /// What it calls itself.
    pub server: ServerName,
    /// Its root key's fingerprint, which the newcomer pins.
    pub key: ServerId,
    /// The right to register.
    pub invite: Option<InviteToken>,
}

impl FromStr for JoinLink {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let wrong = || {
            NotAnId::new(
                text.split('#').next().unwrap_or_default(),
                "a rookery:// link with its whole part after the #",
            )
        };
        let rest = text.trim().strip_prefix("rookery://").ok_or_else(wrong)?;
        let (place, fragment) = rest.split_once('#').ok_or_else(wrong)?;
        let address = place.strip_suffix("/join").ok_or_else(wrong)?.parse()?;
        let part = |name: &str| {
            fragment
                .split('&')
                .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
                .map(|(_, value)| value)
        };
        Ok(Self {
            address,
            server: part("server").ok_or_else(wrong)?.parse()?,
            key: part("key").ok_or_else(wrong)?.parse()?,
            invite: part("invite").map(str::parse).transpose()?,
        })
    }
}

impl fmt::Display for JoinLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "rookery://{}/join#server={}&key={}",
            self.address, self.server, self.key
        )?;
        self.invite.as_ref().map_or(Ok(()), |invite| write!(formatter, "&invite={invite}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_rule() {
        for good in ["al", "alice", "a.b_c-d", "0x", &"a".repeat(32)] {
            assert!(good.parse::<UserName>().is_ok(), "{good}");
        }
        for bad in ["", "a", "Alice", "-al", ".al", "al ice", "al@x", "älice", &"a".repeat(33)] {
            assert!(bad.parse::<UserName>().is_err(), "{bad}");
        }
        assert!("nest.example".parse::<ServerName>().is_ok());
        for bad in ["", "nest..example", "-a", "a-", "Nest", "a_b", "[::1]"] {
            assert!(bad.parse::<ServerName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_domain_has_a_dot_and_is_no_number() {
        let is_domain = |text: &str| text.parse::<ServerName>().unwrap().is_domain();
        assert!(is_domain("nest.example") && is_domain("1.nest.example") && is_domain("a.b2"));
        assert!(!is_domain("nest") && !is_domain("127.0.0.1") && !is_domain("nest.7"));
    }

    #[test]
    fn links_and_addresses_come_back_as_they_were() {
        for text in ["127.0.0.1:7665", "[::1]:9", "nest.example:7665"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
        assert_eq!("nest.example".parse::<HostPort>().unwrap().port, DEFAULT_PORT);
        let link = JoinLink {
            address: "127.0.0.1:7665".parse().unwrap(),
            server: "nest".parse().unwrap(),
            key: ServerId::from_bytes([9; 32]),
            invite: Some(InviteToken::from_bytes([1; 16])),
        };
        assert_eq!(link.to_string().parse::<JoinLink>().unwrap(), link);
        let secret = link.to_string();
        let broken = secret.replace("server=", "s=");
        assert!(
            !broken.parse::<JoinLink>().unwrap_err().to_string().contains("invite"),
            "an error repeats no secret"
        );
    }
}

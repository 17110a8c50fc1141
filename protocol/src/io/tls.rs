//! Who a server is to TLS.
//!
//! A server's root key (Ed25519) is the authority of a two-certificate chain: it signs itself, and a leaf whose key lives as long as the
//! process, or as long as the server's record where the root key is kept elsewhere. Links and `known_hosts` pin the root by its fingerprint, so that the leaf may change at will. A server with a domain may show a
//! certificate of the public web instead; then clients check that (`WebPKI`) and learn the root from `server/info`.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime, pem::PemObject,
    },
    server::ParsedCertificate,
};
use zeroize::Zeroizing;

use crate::{
    id::ServerId,
    key::{SigningKey, VerifyingKey},
    time::Timestamp,
    version::{ALPN_DEVICE, ALPN_PEER},
};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificate could be made or read.
    #[error("the certificate cannot be used: {0}")]
    Certificate(String),
    /// rustls refuses the configuration.
    #[error("TLS cannot be configured")]
    Configuration(#[from] rustls::Error),
}

/// How a client decides that a server is the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The root key has this fingerprint.
    Pinned(ServerId),
    /// Any root key will do; which it was is told afterwards, to be pinned.
    FirstContact,
    /// The certificate is good for the host's name by the public authorities that this machine trusts.
    WebPki,
    /// Any certificate: both sides prove themselves over the connection's exporter before anything is said
    /// ([`crate::session::peer`]), which nobody in the middle can.
    Proof,
}

/// What a connection is for, as its ALPN says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A device talks to its home.
    Device,
    /// Two homeservers talk to each other.
    Peer,
}

impl Protocol {
    /// The name in the handshake.
    #[must_use]
    pub const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Device => ALPN_DEVICE,
            Self::Peer => ALPN_PEER,
        }
    }
}

/// A server's certificate chain with its key, ready for use.
#[derive(Debug)]
pub struct ServerTls {
    pub(crate) config: Arc<rustls::ServerConfig>,
    /// Whose certificate it is, where a server made it itself.
    #[cfg(feature = "simulation")]
    pub(crate) root: Option<ServerId>,
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The ASN.1 around an Ed25519 seed in PKCS #8 (RFC 8410 §7).
const PKCS8_ED25519: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// The ASN.1 before an Ed25519 key in a certificate's subject public key info (RFC 8410 §4), without its outer sequence.
const SPKI_ED25519: [u8; 10] = [0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// A chain that a root has signed, with the key of its leaf.
struct Issued {
    root: rcgen::Certificate,
    leaf: rcgen::Certificate,
    key: rcgen::KeyPair,
}

impl Issued {
    /// Makes the root's own certificate, and a leaf under it for a fresh key, that ends with `until` if it ends.
    fn new(root: &SigningKey, until: Option<Timestamp>) -> Result<Self, TlsError> {
        let wrong = |error: rcgen::Error| TlsError::Certificate(error.to_string());
        let pkcs8 = [&PKCS8_ED25519[..], &root.to_seed()[..]].concat();
        let root_key = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(
            &PrivatePkcs8KeyDer::from(pkcs8),
            &rcgen::PKCS_ED25519,
        )
        .map_err(wrong)?;
        // RFC 5280 §4.1.2.5: this date says that there is no end. The pin is what ends trust in a root.
        let (begin, never) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(9999, 12, 31));
        let mut authority = rcgen::CertificateParams::default();
        authority.distinguished_name.push(rcgen::DnType::CommonName, "rookery root");
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        authority.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        (authority.not_before, authority.not_after) = (begin, never);
        let root_certificate = authority.self_signed(&root_key).map_err(wrong)?;
        let mut leaf =
            rcgen::CertificateParams::new(vec![PINNED_NAME.to_owned()]).map_err(wrong)?;
        leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let end = until.and_then(|until| Duration::from_millis(until.as_millis()).try_into().ok());
        let end = end.map(|since| rcgen::date_time_ymd(1970, 1, 1).saturating_add(since));
        (leaf.not_before, leaf.not_after) = (begin, end.unwrap_or(never));
        let leaf_key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(wrong)?;
        let issuer = rcgen::Issuer::from_params(&authority, &root_key);
        let leaf_certificate = leaf.signed_by(&leaf_key, &issuer).map_err(wrong)?;
        Ok(Self { root: root_certificate, leaf: leaf_certificate, key: leaf_key })
    }
}

impl ServerTls {
    /// Makes the root's own certificate, and a leaf under it for a fresh key that is nowhere but in this process.
    pub fn self_signed(root: &SigningKey) -> Result<Self, TlsError> {
        let issued = Issued::new(root, None)?;
        let chain = vec![issued.leaf.der().clone(), issued.root.der().clone()];
        let tls =
            Self::from_parts(chain, PrivatePkcs8KeyDer::from(issued.key.serialize_der()).into())?;
        #[cfg(feature = "simulation")]
        let tls = Self { root: Some(root.verifying_key().server_id()), ..tls };
        Ok(tls)
    }

    /// The same as PEM text, key and all, for a server that does not have its root key at hand; it ends with `until`.
    pub fn issue(root: &SigningKey, until: Timestamp) -> Result<Zeroizing<String>, TlsError> {
        let issued = Issued::new(root, Some(until))?;
        let key = Zeroizing::new(issued.key.serialize_pem());
        Ok(Zeroizing::new([key.as_str(), &issued.leaf.pem(), &issued.root.pem()].concat()))
    }

    /// Takes a certificate chain and its key from PEM text, as public authorities issue them.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let wrong = |error: rustls::pki_types::pem::Error| TlsError::Certificate(error.to_string());
        let chain =
            CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
        Self::from_parts(chain, PrivateKeyDer::from_pem_slice(key).map_err(wrong)?)
    }

    fn from_parts(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![ALPN_DEVICE.to_vec(), ALPN_PEER.to_vec()];
        // No state may change by replayed early data, so there is none.
        config.max_early_data_size = 0;
        Ok(Self {
            config: Arc::new(config),
            #[cfg(feature = "simulation")]
            root: None,
        })
    }
}

/// The name in the leaf of a pinned server: what is pinned is the key, not a name.
pub(crate) const PINNED_NAME: &str = "homeserver.rookery.invalid";

/// A client's TLS configuration, and where the server's identity shows up once the handshake is over.
pub(crate) fn client_config(
    trust: Trust,
    protocol: Protocol,
) -> Result<(rustls::ClientConfig, Arc<OnceLock<ServerId>>), TlsError> {
    let provider = provider();
    let seen = Arc::new(OnceLock::new());
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::WebPki => Arc::new(rustls_platform_verifier::Verifier::new(Arc::clone(&provider))?),
        Trust::Proof | Trust::Pinned(_) | Trust::FirstContact => Arc::new(RootVerifier {
            trust,
            provider: Arc::clone(&provider),
            seen: Arc::clone(&seen),
        }),
    };
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.alpn().to_vec()];
    Ok((config, seen))
}

/// A client's TLS configuration towards a web server, whose certificate is to be good for its name by the public authorities that this machine
/// trusts. On Linux, `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
pub(crate) fn web_config() -> Result<rustls::ClientConfig, TlsError> {
    let provider = provider();
    let verifier = Arc::new(rustls_platform_verifier::Verifier::new(Arc::clone(&provider))?);
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Checks that the chain ends in a self-signed Ed25519 root, that the root is the pinned one, and that it signed the leaf. Where a proof will
/// say who the other end is, it takes every certificate: the handshake has shown that whoever shows it has its key.
#[derive(Debug)]
struct RootVerifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
    seen: Arc<OnceLock<ServerId>>,
}

/// What TLS reports when the root is another one; [`super::ConnectError::WrongServer`] tells it to people.
pub(crate) const WRONG_ROOT: rustls::CertificateError = rustls::CertificateError::UnknownIssuer;

impl ServerCertVerifier for RootVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.trust == Trust::Proof {
            return Ok(ServerCertVerified::assertion());
        }
        let root = intermediates.last().ok_or(WRONG_ROOT)?;
        let mut roots = RootCertStore::empty();
        roots.add(root.clone().into_owned())?;
        let spki = roots
            .roots
            .first()
            .map(|anchor| anchor.subject_public_key_info.as_ref().to_vec())
            .unwrap_or_default();
        let key = spki
            .strip_prefix(&SPKI_ED25519[..])
            .and_then(VerifyingKey::from_slice)
            .ok_or(WRONG_ROOT)?;
        let id = key.server_id();
        // Kept even when it is the wrong one, so that the error can name it.
        let id = *self.seen.get_or_init(|| id);
        if let Trust::Pinned(pinned) = self.trust
            && pinned != id
        {
            return Err(WRONG_ROOT.into());
        }
        let leaf = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let between = intermediates.split_last().map_or(&[][..], |(_, between)| between);
        verify_server_cert_signed_by_trust_anchor(&leaf, &roots, between, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}

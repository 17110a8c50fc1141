//! One small document from a web server, over TLS 1.3 with a certificate of the public web.
//!
//! Written by hand: one request a connection, one answer of at most [`MAX_ANSWER`] bytes, no redirects, no cookies, no compression (RFC 9112).
//! The addresses are the caller's, who has looked at them; nothing here looks up a name.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustls::pki_types;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::tls::{TlsError, web_config};
use crate::name::ServerName;

/// How long a whole answer may be.
pub const MAX_ANSWER: usize = 32 * 1024;
/// How long one address may take to answer the first packet.
const CONNECT: Duration = Duration::from_secs(2);
/// How many of a host's addresses are tried.
const MAX_ADDRESSES: usize = 4;

/// What a web server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status: 200 is good.
    pub status: u16,
    /// For how long the answer may be kept, as the server says; absent when it does not say.
    pub max_age: Option<Duration>,
    /// The document.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    /// No address was given, or none answers.
    #[error("no web server answers there: {0}")]
    Unreachable(std::io::Error),
    /// The certificate is not good for the name.
    #[error("the web server's certificate is not taken: {0}")]
    Certificate(std::io::Error),
    /// TLS went wrong otherwise: the connection broke, or there is no TLS 1.3.
    #[error("the web server speaks no TLS 1.3, or the connection broke: {0}")]
    Tls(std::io::Error),
    /// TLS cannot be set up here.
    #[error(transparent)]
    Setup(#[from] TlsError),
    /// The answer broke off.
    #[error("the web server's answer broke off")]
    BrokeOff,
    /// The answer is too long, or is no HTTP.
    #[error("the web server's answer cannot be read")]
    Malformed,
}

impl HttpsError {
    /// Whether whoever is there has shown that it is of no use. Otherwise no whole answer came, and the next attempt may bring one.
    #[must_use]
    pub const fn is_an_answer(&self) -> bool {
        match self {
            Self::Certificate(_) | Self::Malformed => true,
            Self::Unreachable(_) | Self::Tls(_) | Self::Setup(_) | Self::BrokeOff => false,
        }
    }

    /// What has ended a handshake.
    fn of_handshake(error: std::io::Error) -> Self {
        let fault = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match fault {
            Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
                Self::Certificate(error)
            }
            _ => Self::Tls(error),
        }
    }
}

/// Asks the web server of `name`, at the first of `addresses` that answers, for `path`.
pub async fn get(
    addresses: &[SocketAddr],
    name: &ServerName,
    path: &str,
) -> Result<Answer, HttpsError> {
    let connector = TlsConnector::from(Arc::new(web_config()?));
    let sni = pki_types::ServerName::try_from(name.as_str().to_owned())
        .map_err(|error| TlsError::Certificate(error.to_string()))?;
    let socket = connect(addresses).await?;
    let mut stream = connector.connect(sni, socket).await.map_err(HttpsError::of_handshake)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {name}\r\nUser-Agent: rookeryd\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(|_| HttpsError::BrokeOff)?;
    let mut answer = vec![];
    let mut chunk = [0; 4096];
    loop {
        match parse(&answer, End::Open) {
            Err(Unread::Short) => {}
            read => return Ok(read?),
        }
        match stream.read(&mut chunk).await {
            Ok(0) => return Ok(parse(&answer, End::Closed)?),
            Ok(count) => answer.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(_) => return Err(HttpsError::BrokeOff),
        }
        if answer.len() > MAX_ANSWER {
            return Err(HttpsError::Malformed);
        }
    }
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, HttpsError> {
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for address in addresses.iter().take(MAX_ADDRESSES) {
        match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => last = error,
            Err(_) => last = std::io::ErrorKind::TimedOut.into(),
        }
    }
    Err(HttpsError::Unreachable(last))
}

/// Whether more may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// The server has ended its side in order.
    Closed,
}

/// Why there is no answer in what has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unread {
    /// The rest is not there.
    Short,
    /// Whatever may follow, it is no good HTTP.
    Malformed,
}

impl From<Unread> for HttpsError {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Short => Self::BrokeOff,
            Unread::Malformed => Self::Malformed,
        }
    }
}

/// What an answer begins with.
const BEGINNING: &[u8] = b"HTTP/1.";

/// Reads an answer, if it is whole and good HTTP.
fn parse(bytes: &[u8], end: End) -> Result<Answer, Unread> {
    if !BEGINNING.iter().zip(bytes).all(|(expected, byte)| expected == byte) {
        return Err(Unread::Malformed);
    }
    let head_length =
        bytes.windows(4).position(|window| window == b"\r\n\r\n").ok_or(Unread::Short)?;
    let (head, rest) = bytes.split_at_checked(head_length).ok_or(Unread::Short)?;
    let rest = rest.get(4..).ok_or(Unread::Short)?;
    let head = read_head(head).ok_or(Unread::Malformed)?;
    let body = match (head.is_chunked, head.length) {
        (true, _) => dechunk(rest)?,
        (false, Some(length)) => rest.get(..length).ok_or(Unread::Short)?.to_vec(),
        (false, None) if end == End::Closed => rest.to_vec(),
        (false, None) => return Err(Unread::Short),
    };
    Ok(Answer { status: head.status, max_age: head.max_age, body })
}

/// What stands before an answer's body.
struct Head {
    status: u16,
    length: Option<usize>,
    is_chunked: bool,
    max_age: Option<Duration>,
}

fn read_head(head: &[u8]) -> Option<Head> {
    let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
    let (_, status) = lines.next()?.split_once(' ')?;
    let status = status.get(..3)?.parse().ok()?;
    let (mut length, mut is_chunked, mut age, mut kept) = (None, false, 0_u64, None);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.parse::<usize>().ok()?),
            "transfer-encoding" => is_chunked = value.eq_ignore_ascii_case("chunked"),
            "age" => age = value.parse().unwrap_or(0),
            "cache-control" => kept = kept.or_else(|| max_age(value)),
            _ => {}
        }
    }
    let max_age = kept.map(|seconds: u64| Duration::from_secs(seconds.saturating_sub(age)));
    Some(Head { status, length, is_chunked, max_age })
}

/// For how many seconds an answer may be kept (RFC 9111 §5.2.2).
fn max_age(value: &str) -> Option<u64> {
    let mut found = None;
    for directive in value.split(',').map(|one| one.trim().to_ascii_lowercase()) {
        match directive.split_once('=') {
            Some(("max-age", seconds)) => found = seconds.trim_matches('"').parse().ok().or(found),
            None if directive == "no-store" || directive == "no-cache" => return Some(0),
            _ => {}
        }
    }
    found
}

/// The body out of its chunks, if the last one is there (RFC 9112 §7.1).
fn dechunk(mut rest: &[u8]) -> Result<Vec<u8>, Unread> {
    let mut body = vec![];
    loop {
        let line_length =
            rest.windows(2).position(|window| window == b"\r\n").ok_or(Unread::Short)?;
        let (line, after) = rest.split_at_checked(line_length).ok_or(Unread::Short)?;
        let size = size_of_chunk(line).ok_or(Unread::Malformed)?;
        let after = after.get(2..).ok_or(Unread::Short)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(after.get(..size).ok_or(Unread::Short)?);
        let after = after.get(size..).ok_or(Unread::Short)?;
        let (ending, next) = after.split_at_checked(2).ok_or(Unread::Short)?;
        if ending != b"\r\n" {
            return Err(Unread::Malformed);
        }
        rest = next;
    }
}

fn size_of_chunk(line: &[u8]) -> Option<usize> {
    let size = std::str::from_utf8(line).ok()?.split(';').next()?.trim();
    usize::from_str_radix(size, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Answer, Unread> {
        parse(text.as_bytes(), End::Open)
    }

    #[test]
    fn an_answer_is_read_by_its_length_by_its_chunks_or_to_its_end() {
        let found = |max_age, body: &str| {
            Ok(Answer { status: 200, max_age, body: body.as_bytes().to_vec() })
        };
        let hour = Some(Duration::from_hours(1));
        let by_length = "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=3700\r\nAge: 100\r\ncontent-length: 4\r\n\r\nbodymore";
        assert_eq!(read(by_length), found(hour, "body"));
        let by_chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbod\r\n1;x=y\r\ny\r\n0\r\n\r\n";
        assert_eq!(read(by_chunks), found(None, "body"));
        let to_its_end = "HTTP/1.0 200 OK\r\nCache-Control: no-store\r\n\r\nbody";
        assert_eq!(read(to_its_end), Err(Unread::Short), "more may come");
        let ended = parse(to_its_end.as_bytes(), End::Closed);
        assert_eq!(ended, found(Some(Duration::ZERO), "body"));
    }

    #[test]
    fn what_breaks_off_says_nothing_and_what_is_no_http_is_of_no_use() {
        let whole = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
        assert_eq!(read(whole).map(|answer| answer.status), Ok(404));
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbod\r\n1;x=y\r\ny\r\n0\r\n";
        for answer in [whole, chunked] {
            for length in 0..answer.len() {
                let part = parse(&answer.as_bytes()[..length], End::Closed);
                assert_eq!(part, Err(Unread::Short), "{length}");
            }
        }
        for bad in [
            "SSH-2.0-x",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 many\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nbody",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbodymore\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\nbody",
        ] {
            assert_eq!(parse(bad.as_bytes(), End::Closed), Err(Unread::Malformed), "{bad}");
        }
    }

    #[test]
    fn only_a_certificate_s_fault_says_something_of_a_handshake() {
        let expired = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let expired = std::io::Error::new(std::io::ErrorKind::InvalidData, expired);
        assert!(HttpsError::of_handshake(expired).is_an_answer());
        let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert!(!HttpsError::of_handshake(reset).is_an_answer());
    }

    #[tokio::test]
    async fn a_connection_that_is_ended_says_nothing() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ends = async { drop(listener.accept().await.unwrap()) };
        let (at, name) = ([address], "garden.example".parse().unwrap());
        let (answer, ()) = tokio::join!(get(&at, &name, "/"), ends);
        assert!(!answer.unwrap_err().is_an_answer());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            parse(&bytes, End::Open).ok();
            let mut headed = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            headed.extend(bytes);
            parse(&headed, End::Closed).ok();
        }
    }
}

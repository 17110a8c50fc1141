//! A small internet on loopback: a name server, a web server, and an authority that vouches for names.
//!
//! All of it is real: `rookeryd` asks the name server over UDP, fetches over TLS, and checks certificates as it does anywhere, but for the
//! authority, which `SSL_CERT_FILE` names. Each internet has loopback addresses of its own, so that many of them can have port 443 at once.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context as _, Result, bail};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::Acceptor,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
};
use tokio_rustls::LazyConfigAcceptor;

use crate::{
    homeserver::{Homeserver, Setup},
    impostor::Impostor,
    world::World,
};

/// Types of DNS records (RFC 1035 §3.2.2, RFC 2782).
const A: u16 = 1;
const SRV: u16 = 33;

/// What is known under names.
#[derive(Default)]
struct Known {
    addresses: BTreeMap<String, Ipv4Addr>,
    services: BTreeMap<String, (String, u16)>,
    documents: BTreeMap<String, String>,
    /// Every question that the name server was asked, and every path that was fetched.
    asked: Vec<String>,
    fetched: Vec<String>,
}

/// Whoever vouches for names.
struct Authority {
    issuer: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

/// A name server, a web server, and an authority.
pub struct Internet {
    known: Arc<Mutex<Known>>,
    authority: Arc<Authority>,
    folder: PathBuf,
    /// The first three parts of its addresses.
    network: [u8; 3],
    nameserver: SocketAddr,
    name_service: JoinSet<()>,
    _web_service: JoinSet<()>,
}

impl Internet {
    /// One in which nothing has a name yet.
    pub async fn new(world: &World) -> Result<Self> {
        let folder = world.path().join("internet");
        fs::create_dir_all(&folder)?;
        let authority = Arc::new(Authority::new()?);
        fs::write(folder.join("authority.pem"), authority.issuer.pem())?;
        let (network, web) = take_network().await?;
        let known = Arc::<Mutex<Known>>::default();
        let socket = UdpSocket::bind((host(network, 1), 0)).await?;
        let nameserver = socket.local_addr()?;
        let (mut name_service, mut web_service) = (JoinSet::new(), JoinSet::new());
        name_service.spawn(answer_names(socket, Arc::clone(&known)));
        web_service.spawn(answer_web(web, Arc::clone(&known), Arc::clone(&authority)));
        Ok(Self {
            known,
            authority,
            folder,
            network,
            nameserver,
            name_service,
            _web_service: web_service,
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A loopback address of its own, which the name server and the web server do not have; `number` is 2 to 250.
    #[must_use]
    pub fn host(&self, number: u8) -> Ipv4Addr {
        host(self.network, number)
    }

    /// A homeserver that lives in it, and may connect to loopback addresses.
    #[must_use]
    pub fn homeserver(&self, world: &World, name: &str) -> Setup {
        self.wary_homeserver(world, name).setting("ROOKERYD_DISCOVERY_PRIVATE_ADDRESSES", "allow")
    }

    /// A homeserver that lives in it, as homeservers are set up by themselves.
    #[must_use]
    pub fn wary_homeserver(&self, world: &World, name: &str) -> Setup {
        let authority = self.folder.join("authority.pem");
        world
            .homeserver(name)
            .setting("ROOKERYD_DISCOVERY_NAMESERVER", &self.nameserver.to_string())
            .setting("SSL_CERT_FILE", &authority.to_string_lossy())
    }

    /// Makes a certificate for `name`, for a homeserver of it: the files of its chain and its key.
    pub fn certificate(&self, name: &str) -> Result<[PathBuf; 2]> {
        let (certificate, key) = self.authority.issue(name)?;
        let files = ["chain", "key"].map(|what| self.folder.join(format!("{name}.{what}.pem")));
        let [chain_file, key_file] = &files;
        fs::write(chain_file, certificate.pem())?;
        fs::write(key_file, key.serialize_pem())?;
        Ok(files)
    }

    /// From now on `name` has that address.
    pub fn name(&self, name: &str, address: Ipv4Addr) {
        self.known().addresses.insert(name.to_owned(), address);
    }

    /// From now on the SRV record of `name` points at `target`.
    pub fn point(&self, name: &str, target: &str, port: u16) {
        let service = format!("_rookery._udp.{name}");
        self.known().services.insert(service, (target.to_owned(), port));
    }

    /// From now on the web server is that of `name`, and has `document` there.
    pub fn publish(&self, name: &str, document: &str) {
        self.name(name, host(self.network, 1));
        self.known().documents.insert(name.to_owned(), document.to_owned());
    }

    /// From now on the web server has what `server` prints to be published.
    pub async fn publish_for(&self, server: &Homeserver) -> Result<()> {
        let printed = server.admin(&["key", "well-known"]).await?.success()?.json()?;
        let document = printed.get("data").context("no document")?.to_string();
        self.publish(&server.ready().name, &document);
        Ok(())
    }

    /// The same for one that we play.
    pub fn publish_of(&self, impostor: &Impostor) {
        self.publish(impostor.record.name.as_str(), &impostor.document());
    }

    /// No name server answers any more.
    pub async fn end_names(&mut self) {
        self.name_service.shutdown().await;
    }

    /// What the name server was asked so far, such as `A garden.example`.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.known().asked.clone()
    }

    /// What was fetched so far, such as `garden.example/.well-known/rookery/server`.
    #[must_use]
    pub fn fetched(&self) -> Vec<String> {
        self.known().fetched.clone()
    }
}

fn host([first, second, third]: [u8; 3], number: u8) -> Ipv4Addr {
    Ipv4Addr::new(first, second, third, number)
}

/// Takes a network that no other internet has: whoever has its web server's port has it.
async fn take_network() -> Result<([u8; 3], TcpListener)> {
    static TURN: AtomicU32 = AtomicU32::new(0);
    let own = process::id().wrapping_mul(61);
    for _ in 0..1_000 {
        let turn = own.wrapping_add(TURN.fetch_add(1, Ordering::Relaxed));
        let [_, _, second, third] = turn.to_be_bytes();
        let network = [127, second | 0x80, third];
        match TcpListener::bind((host(network, 1), 443)).await {
            Ok(web) => return Ok((network, web)),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                bail!(
                    "port 443 of a loopback address is not to be had: run this as root, or set net.ipv4.ip_unprivileged_port_start to 443"
                );
            }
            Err(_) => {}
        }
    }
    bail!("every loopback network is taken");
}

impl Authority {
    fn new() -> Result<Self> {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "an authority of tests");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        let issuer = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate()?)?;
        Ok(Self { issuer })
    }

    fn issue(&self, name: &str) -> Result<(rcgen::Certificate, rcgen::KeyPair)> {
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()])?;
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let key = rcgen::KeyPair::generate()?;
        Ok((params.signed_by(&key, &self.issuer)?, key))
    }

    fn tls(&self, name: &str) -> Result<ServerConfig> {
        let (certificate, key) = self.issue(name)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS13])?;
        let chain = vec![certificate.der().clone()];
        Ok(builder.with_no_client_auth().with_single_cert(chain, key)?)
    }
}

async fn answer_names(socket: UdpSocket, known: Arc<Mutex<Known>>) {
    let mut buffer = [0; 1_500];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let query = buffer.get(..length).unwrap_or_default();
        let answer = answer_to(query, &mut known.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(answer) = answer {
            socket.send_to(&answer, from).await.ok();
        }
    }
}

/// The answer to one question (RFC 1035 §4.1), which nobody is to keep.
fn answer_to(query: &[u8], known: &mut Known) -> Option<Vec<u8>> {
    let (id, mut rest) = (query.get(..2)?, query.get(12..)?);
    let mut labels = vec![];
    while let Some((length, after)) = rest.split_first().filter(|(length, _)| **length > 0) {
        let (label, after) = after.split_at_checked(usize::from(*length))?;
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        rest = after;
    }
    let kind = u16::from_be_bytes(rest.get(1..3)?.try_into().ok()?);
    let question = query.get(12..query.len().checked_sub(rest.len())?.checked_add(5)?)?;
    let name = labels.join(".");
    let data = match kind {
        A => known.addresses.get(&name).map(|address| address.octets().to_vec()),
        SRV => known.services.get(&name).map(|(target, port)| {
            let mut data = [0, 1, 0, 1].to_vec();
            data.extend(port.to_be_bytes());
            for label in target.split('.') {
                data.push(u8::try_from(label.len()).unwrap_or_default());
                data.extend(label.as_bytes());
            }
            data.push(0);
            data
        }),
        _ => None,
    };
    let what = match kind {
        A => "A".to_owned(),
        SRV => "SRV".to_owned(),
        other => other.to_string(),
    };
    known.asked.push(format!("{what} {name}"));
    let is_there = known.addresses.contains_key(&name) || known.services.contains_key(&name);
    // An answer, recursion available; no such name where nothing is known of it.
    let mut answer = [id, &[0x81, if is_there { 0x80 } else { 0x83 }, 0, 1, 0]].concat();
    answer.extend([u8::from(data.is_some()), 0, 0, 0, 0]);
    answer.extend(question);
    if let Some(data) = data {
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 0]);
        answer.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        answer.extend(data);
    }
    Some(answer)
}

async fn answer_web(listener: TcpListener, known: Arc<Mutex<Known>>, authority: Arc<Authority>) {
    let mut streams = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (known, authority) = (Arc::clone(&known), Arc::clone(&authority));
        streams.spawn(async move {
            if let Err(error) = serve_web(stream, &known, &authority).await {
                eprintln!("the web server: {error:#}");
            }
        });
    }
}

/// Serves one request, under a certificate for the name that it is for.
async fn serve_web(stream: TcpStream, known: &Mutex<Known>, authority: &Authority) -> Result<()> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let name = start.client_hello().server_name().context("no name")?.to_owned();
    let mut stream = start.into_stream(Arc::new(authority.tls(&name)?)).await?;
    let mut request = vec![];
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await?);
    }
    let request = String::from_utf8(request)?;
    let path = request.split(' ').nth(1).context("no path")?.to_owned();
    let document = {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        known.fetched.push(format!("{name}{path}"));
        let found = known.documents.get(&name).filter(|_| path == "/.well-known/rookery/server");
        found.cloned()
    };
    let answer = match document {
        Some(document) => format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{document}\r\n0\r\n\r\n",
            document.len()
        ),
        None => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
    };
    stream.write_all(answer.as_bytes()).await?;
    Ok(stream.shutdown().await?)
}

/// An address at which nobody is to connect, and which notes who does.
pub struct Trap {
    /// How many packets and connections came.
    sprung: Arc<AtomicU32>,
    _listening: JoinSet<()>,
}

impl Trap {
    /// Listens at these ports of `address`, over UDP and TCP.
    pub async fn set(address: Ipv4Addr, ports: &[u16]) -> Result<Self> {
        let sprung = Arc::<AtomicU32>::default();
        let mut listening = JoinSet::new();
        for port in ports {
            let udp = UdpSocket::bind((address, *port)).await?;
            let tcp = TcpListener::bind((address, *port)).await?;
            let (by_udp, by_tcp) = (Arc::clone(&sprung), Arc::clone(&sprung));
            listening.spawn(async move {
                while udp.recv_from(&mut [0; 1]).await.is_ok() {
                    by_udp.fetch_add(1, Ordering::SeqCst);
                }
            });
            listening.spawn(async move {
                while tcp.accept().await.is_ok() {
                    by_tcp.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Ok(Self { sprung, _listening: listening })
    }

    /// How many packets and connections came so far.
    #[must_use]
    pub fn sprung(&self) -> u32 {
        self.sprung.load(Ordering::SeqCst)
    }
}

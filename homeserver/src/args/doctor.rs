//! What is wrong with this machine and this server, as far as it can be found out from here.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::Duration,
};

use clap::Subcommand;
use rookery_protocol::{
    name::ServerName,
    request::{
        Answer, admin,
        discovery::{Candidate, FindPeer, FoundPeer},
        peering::{Federation, ListPeers, PeerEntry, PeerLink, PeerStanding, ShowPolicy, TestPeer},
    },
    time::{Clock as _, SystemClock, Timestamp},
};
use serde_json::{Value, json};

use super::{
    Cli,
    output::{Failed, Kind, Report, time},
    peer::{advice, asked, rank, state},
};
use crate::{
    database,
    identity::{Absent, DataDir, KEY_FILES, SOON, custody},
    transport::admin::{AdminCallError, ask},
};

/// How many times the disk is asked to sync.
const SYNCS: usize = 20;
/// A commit waits for a sync: above this, people notice.
const SLOW_SYNC: Duration = Duration::from_millis(20);
/// The least room that a server should have.
const LOW_DISK: u64 = 1 << 30;
/// Files that a server may open: two for each connection of its administrator, its database, and room.
const FEW_FILES: u64 = 4_096;
/// What waits for a peer for longer than this is late.
const LATE: Duration = Duration::from_mins(5);
/// A clock before this program was written is wrong: 2026-01-01.
const EARLIEST: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// What can be looked at beside this machine and this server.
#[derive(Debug, Subcommand)]
pub(super) enum What {
    /// What this server has to do with others: policy, record, and each peer, which is connected to anew
    Federation {
        /// Only this server, which need not be a peer: it is looked for wherever it may be
        name: Option<ServerName>,
    },
}

/// What one look came to.
struct Finding {
    name: String,
    good: bool,
    detail: String,
    /// The place that it is about, where it is about one.
    candidate: Option<Candidate>,
}

impl Finding {
    fn new(name: impl Into<String>, good: bool, detail: impl Into<String>) -> Self {
        Self { name: name.into(), good, detail: detail.into(), candidate: None }
    }
}

/// Looks at everything.
pub(super) async fn doctor(cli: &Cli) -> Result<Report, Failed> {
    let data = cli.data()?;
    let mut findings = vec![configuration(cli), files(), clock()];
    if data.exists() {
        findings.extend([room(&data), sync_speed(&data), keys(&data), record(&data)]);
        findings.push(server(cli, &data).await);
    } else {
        let detail = format!("{} is not there: `rookeryd init` makes it", data.display());
        findings.push(Finding::new("data directory", false, detail));
    }
    told(cli, &findings)
}

/// What was found, and whether all is well.
fn told(cli: &Cli, findings: &[Finding]) -> Result<Report, Failed> {
    let (data, text) = written(findings);
    if findings.iter().all(|finding| finding.good) {
        return Ok(Report::new(data, text));
    }
    if cli.json {
        return Ok(Report::partial(data, text));
    }
    Err(Failed::new(Kind::Failed, format!("something is wrong:\n{text}")))
}

/// What was found, for programs and for people.
fn written(findings: &[Finding]) -> (Value, String) {
    let line = |finding: &Finding| {
        format!(
            "{}  {}: {}",
            if finding.good { "ok " } else { "BAD" },
            finding.name,
            finding.detail
        )
    };
    let text = findings.iter().map(line).collect::<Vec<_>>().join("\n");
    let checks: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let mut check =
                json!({ "name": finding.name, "ok": finding.good, "detail": finding.detail });
            if let (Value::Object(fields), Some(candidate)) = (&mut check, &finding.candidate) {
                let place = candidate.place.as_ref().map(ToString::to_string);
                fields.insert("rank".to_owned(), json!(rank(candidate.rank)));
                fields.insert("place".to_owned(), json!(place));
                fields.insert("reached".to_owned(), json!(candidate.is_good));
            }
            check
        })
        .collect();
    (json!({ "checks": checks }), text)
}

/// Looks at what this server has to do with others: with one of them, or with all.
pub(super) async fn federation(cli: &Cli, name: Option<&ServerName>) -> Result<Report, Failed> {
    let data = cli.data()?;
    let status = match ask(&data, &admin::Status {}).await? {
        Answer::Reply(status) => status,
        Answer::Error(_) => {
            return Err(Failed::because("the server answers what it never answers"));
        }
        Answer::Refused(refusal) => {
            return Err(Failed::new(Kind::Unavailable, refusal.to_string()));
        }
    };
    let mut findings = vec![record(&data), policy(cli).await?, fence(&status)];
    let peers = super::admin::list(cli, &ListPeers {}).await?.peers;
    let Some(name) = name else {
        for peer in &peers {
            findings.extend(peer_findings(cli, peer).await?);
        }
        return told(cli, &findings);
    };
    let peer = peers.iter().find(|peer| peer.name == *name);
    if let Some(peer) = peer {
        findings.extend(peer_findings(cli, peer).await?);
    }
    let found = asked(super::admin::call(cli, &FindPeer { name: name.clone() }).await?)?;
    let is_there = peer.is_some_and(|peer| peer.link == PeerLink::Up);
    findings.extend(whereabouts(name, &found, is_there));
    let is_nowhere = !found.candidates.iter().any(|candidate| candidate.is_good);
    if peer.is_none() && is_nowhere && found.owner.is_none() {
        let (data, text) = written(&findings);
        let nobody = format!("{name} is no peer, and is found nowhere:\n{text}");
        return Err(Failed::new(Kind::NotFound, nobody)
            .hint("`rookeryd peer list` shows all peers")
            .data(data));
    }
    told(cli, &findings)
}

/// Where a server was looked for, and whose its name is. One place where it is, is enough; and none, where it has connected by itself.
fn whereabouts(name: &ServerName, found: &FoundPeer, is_there: bool) -> Vec<Finding> {
    let is_found = is_there || found.candidates.iter().any(|candidate| candidate.is_good);
    let places = found.candidates.iter().map(|candidate| {
        let subject = format!("{name} by {}", rank(candidate.rank));
        let place = candidate.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        let detail = format!("{place}{}", candidate.outcome);
        Finding { candidate: Some(candidate.clone()), ..Finding::new(subject, is_found, detail) }
    });
    let owner = match (found.owner, found.pinned) {
        (Some(owner), Some(pinned)) if owner != pinned => {
            let detail = format!(
                "the root key {owner} is published for it, and {pinned} is pinned: ask its administrator"
            );
            Finding::new(format!("{name} owner"), false, detail)
        }
        (Some(owner), _) => {
            let by = found.by.map_or("", rank);
            Finding::new(
                format!("{name} owner"),
                true,
                format!("has the root key {owner}, by {by}"),
            )
        }
        // Whom an administrator has named needs nobody else's word.
        (None, pinned) => {
            let why = found.reason.as_deref().unwrap_or_default();
            let detail = format!("not found out: {why}");
            Finding::new(format!("{name} owner"), pinned.is_some(), detail)
        }
    };
    places.chain([owner]).collect()
}

async fn policy(cli: &Cli) -> Result<Finding, Failed> {
    let found = super::admin::list(cli, &ShowPolicy {}).await?;
    let detail = match found.federation {
        Federation::Off => {
            "off: there is nothing to do with any; `rookeryd policy federation allowlist` switches it on"
        }
        Federation::Allowlist => "allowlist: with those that `rookeryd peer add` names",
        Federation::Open => "open: with any that connects and owns the name it goes by",
    };
    Ok(Finding::new("policy", found.federation != Federation::Off, detail))
}

fn fence(status: &admin::StatusReport) -> Finding {
    let Some(since) = status.fenced else { return Finding::new("fence", true, "open") };
    let peers: Vec<String> = status.waits_for.iter().map(ToString::to_string).collect();
    let detail = format!("restored {}, and waits for {}", time(since), peers.join(", "));
    Finding::new("fence", false, detail)
}

/// How it stands with one peer: what was decided, what waits, and whether it can be reached now.
async fn peer_findings(cli: &Cli, peer: &PeerEntry) -> Result<Vec<Finding>, Failed> {
    let subject = |what: &str| format!("{} {what}", peer.name);
    let mut findings = vec![];
    if let Some(offered) = peer.offered {
        let detail = format!(
            "shows the root key {offered}: ask its administrator, then `rookeryd peer accept`"
        );
        findings.push(Finding::new(subject("root key"), false, detail));
    }
    if peer.standing != PeerStanding::Active {
        findings.push(Finding::new(subject("state"), true, state(peer)));
        return Ok(findings);
    }
    let detail = format!("{} since {}", state(peer), time(peer.since));
    findings.push(Finding::new(subject("connection"), peer.link == PeerLink::Up, detail));
    let waiting = match peer.oldest {
        Some(oldest) => format!("{}, the oldest since {}", peer.waiting, time(oldest)),
        None => peer.waiting.to_string(),
    };
    let is_late = peer.oldest.is_some_and(|oldest| SystemClock.now().since(oldest) > LATE);
    findings.push(Finding::new(subject("waiting"), !is_late, waiting));
    if peer.address.is_some() || (peer.name.is_domain() && peer.link != PeerLink::Up) {
        let tested = asked(super::admin::call(cli, &TestPeer { name: peer.name.clone() }).await?)?;
        let detail = match &tested.reason {
            None => format!("reached and proven in {} ms", tested.took_ms),
            Some(reason) => tested
                .failed
                .map_or_else(|| reason.clone(), |step| format!("{reason}: {}", advice(step))),
        };
        findings.push(Finding::new(subject("test"), tested.is_proven, detail));
    }
    Ok(findings)
}

fn configuration(cli: &Cli) -> Finding {
    match cli.load() {
        Ok(loaded) => {
            let half =
                loaded.config.certificate.is_some() != loaded.config.certificate_key.is_some();
            let missing = [&loaded.config.certificate, &loaded.config.certificate_key]
                .into_iter()
                .flatten()
                .find(|file| fs::read(file).is_err());
            match missing {
                Some(file) => {
                    Finding::new("certificate", false, format!("{} cannot be read", file.display()))
                }
                None if half => Finding::new(
                    "certificate",
                    false,
                    "tls.certificate and tls.certificate_key go together",
                ),
                None => Finding::new("configuration", true, "valid"),
            }
        }
        Err(_) => {
            Finding::new("configuration", false, "not valid: `rookeryd config check` says why")
        }
    }
}

fn files() -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    Finding::new("open files", most >= FEW_FILES, format!("at most {most}"))
}

fn clock() -> Finding {
    let now = SystemClock.now();
    Finding::new("clock", now >= EARLIEST, format!("it is {}", time(now)))
}

fn room(data: &Path) -> Finding {
    match rustix::fs::statvfs(data) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            Finding::new("disk space", free >= LOW_DISK, format!("{} MiB free", free >> 20))
        }
        Err(error) => Finding::new("disk space", false, error.to_string()),
    }
}

/// What a commit costs: the time of an fdatasync of 4 KiB.
fn sync_speed(data: &Path) -> Finding {
    let path = data.join("doctor.tmp");
    let measure = || -> io::Result<Vec<Duration>> {
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&path)?;
        let mut times = Vec::with_capacity(SYNCS);
        for _ in 0..SYNCS {
            let begun = tokio::time::Instant::now();
            file.write_all(&[0; 4096])?;
            file.sync_data()?;
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        Ok(times)
    };
    let measured = measure();
    fs::remove_file(&path).ok();
    match measured {
        Ok(times) => {
            let median = times.get(SYNCS / 2).copied().unwrap_or_default();
            let worst = times.last().copied().unwrap_or_default();
            let detail = format!("fsync takes {median:.1?}, at worst {worst:.1?} of {SYNCS}");
            Finding::new("disk speed", median <= SLOW_SYNC, detail)
        }
        Err(error) => Finding::new("disk speed", false, error.to_string()),
    }
}

fn keys(data: &Path) -> Finding {
    for (file, is_needed) in KEY_FILES {
        match fs::metadata(data.join(file)) {
            Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
                return Finding::new(
                    "keys",
                    false,
                    format!("{file} can be read by others: chmod 600 {file}"),
                );
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_needed => {}
            Err(error) => return Finding::new("keys", false, format!("{file}: {error}")),
        }
    }
    Finding::new("keys", true, "there, and private")
}

/// The server's record: one that ends is not taken by other homeservers any more.
fn record(data: &Path) -> Finding {
    match custody::look(data) {
        Ok(look) => {
            let left = look.record.left(SystemClock.now());
            let detail = format!("holds until {}", time(look.record.stated.until));
            let advice = if look.has_root {
                "the server renews it while it runs"
            } else {
                "renew it by `rookeryd key rotate --root-key FILE`"
            };
            Finding::new("record", left >= SOON, format!("{detail}; {advice}"))
        }
        Err(error) => Finding::new("record", false, error.to_string()),
    }
}

/// The server that runs; or the database, when none does.
async fn server(cli: &Cli, data: &Path) -> Finding {
    match ask(data, &admin::Status {}).await {
        Ok(Answer::Reply(report)) => {
            let writable = if report.writable { "can store" } else { "cannot store" };
            let detail =
                format!("runs on {}, {} database, {writable}", report.address, report.database);
            Finding::new("server", report.writable, detail)
        }
        Ok(_) => Finding::new(
            "server",
            false,
            "answers, but not as it should: is it of another version?",
        ),
        Err(AdminCallError::NotRunning { .. }) => match probe(cli, data).await {
            Ok(kind) => {
                Finding::new("server", true, format!("none runs; its {kind} database can store"))
            }
            Err(failed) => Finding::new(
                "server",
                false,
                format!("none runs, and its database fails: {failed}"),
            ),
        },
        Err(error) => Finding::new("server", false, error.to_string()),
    }
}

async fn probe(cli: &Cli, data: &Path) -> Result<String, String> {
    let lock = DataDir::take(data, Absent::Refuse).map_err(|error| error.to_string())?;
    let loaded = cli.load().map_err(|_| "the configuration is not valid".to_owned())?;
    let storage = database::open(loaded.config.database.as_deref(), lock.path()).await;
    let storage = storage.map_err(|error| error.to_string())?;
    let probed = storage.probe().await;
    storage.close().await;
    probed.map(|()| storage.kind().to_string()).map_err(|error| error.to_string())
}

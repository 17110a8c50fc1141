//! Making a server, running it, and asking how it is.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use rookery_protocol::{
    request::{Answer, admin},
    time::{Clock as _, SystemClock},
};
use serde_json::json;

use super::{
    Cli,
    output::{Failed, Kind, Report, say, time},
};
use crate::{
    config::{LIMITS, Loaded, Source},
    database,
    identity::{Absent, DataDir, write_private},
    lifecycle::{Lifecycle, Signals},
    server::{self, Ingredients},
    service::password::Passwords,
    telemetry,
    transport::admin::ask,
};

#[derive(Debug, Args)]
pub(super) struct Init {
    /// What the server calls itself, as in alice@NAME; the machine's host name when not given
    #[arg(long)]
    name: Option<String>,
    /// The database: sqlite:PATH or postgres://…
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where to listen (UDP); port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Where clients reach the server, for links, when that is not where it listens
    #[arg(long, value_name = "HOST[:PORT]")]
    advertise: Option<String>,
    /// What the server calls itself, as in alice@NAME; the machine's host name when not given
    #[arg(long)]
    name: Option<String>,
    /// The database: sqlite:PATH or postgres://…
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// How often things may be done: a file with settings as limits.* has them, or off
    #[arg(long, value_name = "FILE|off")]
    limits: Option<String>,
    /// A file that is written once the server takes connections: address, name, fingerprint and an invite as one JSON object
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Where to serve metrics and health over HTTP
    #[arg(long, value_name = "ADDRESS:PORT|off")]
    metrics: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Status {
    /// Wait until the server answers, at most so many seconds
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "30")]
    wait: Option<u64>,
}

/// Takes the data directory and opens what is in it.
pub(super) async fn open(cli: &Cli, loaded: Loaded, absent: Absent) -> Result<Ingredients, Failed> {
    let data = DataDir::take(&cli.data()?, absent)?;
    let storage = database::open(loaded.config.database.as_deref(), data.path()).await?;
    Ok(Ingredients {
        data,
        storage,
        config: loaded.config,
        clock: Arc::new(SystemClock),
        passwords: Passwords::default(),
    })
}

/// Makes a server and does not run it.
pub(super) async fn init(cli: &Cli, init: &Init) -> Result<Report, Failed> {
    let mut loaded = cli.load()?;
    set(&mut loaded, "server.name", init.name.as_deref(), "--name")?;
    set(&mut loaded, "storage.database", init.database.as_deref(), "--database")?;
    let path = cli.data()?;
    let data = DataDir::take(&path, Absent::Make)?;
    if data.has_identity() {
        return Err(crate::identity::DataDirError::Present { path }.into());
    }
    drop(data);
    let ingredients = open(cli, loaded, Absent::Make).await?;
    let said = server::said(&ingredients.config);
    let identity = ingredients.data.identity(&said, SystemClock.now())?;
    ingredients.storage.close().await;
    let (name, fingerprint) = (identity.name.to_string(), identity.server().to_string());
    let text = format!(
        "made {name} in {}\nfingerprint {fingerprint}\n`rookeryd serve` runs it",
        path.display()
    );
    Ok(Report::new(json!({ "data_dir": path, "name": name, "fingerprint": fingerprint }), text))
}

/// Runs a server until it is asked to stop.
pub(super) async fn serve(cli: &Cli, serve: &Serve) -> Result<Report, Failed> {
    let mut loaded = cli.load()?;
    set(&mut loaded, "server.listen", serve.listen.as_deref(), "--listen")?;
    set(&mut loaded, "server.advertise", serve.advertise.as_deref(), "--advertise")?;
    set(&mut loaded, "server.name", serve.name.as_deref(), "--name")?;
    set(&mut loaded, "storage.database", serve.database.as_deref(), "--database")?;
    set(&mut loaded, "metrics.listen", serve.metrics.as_deref(), "--metrics")?;
    match serve.limits.as_deref() {
        Some("off") => loaded.lift_limits(&Source::Flag("--limits off")),
        Some(file) => loaded.read_file(file.as_ref(), LIMITS)?,
        None => {}
    }
    telemetry::logs(&loaded.config).map_err(|error| Failed::usage(error.to_string()))?;
    let wanted = loaded.config.metrics;
    let metrics = wanted.map(|_| telemetry::metrics()).transpose();
    let metrics = metrics.map_err(|error| Failed::because(error.to_string()))?;
    let mut signals = Signals::listen().map_err(|error| Failed::because(error.to_string()))?;
    let ingredients = open(cli, loaded, Absent::Make).await?;
    let running = server::start(ingredients, metrics).await?;
    running.lifecycle.stop_on_panic();
    let invite = running.first_invite().await?.to_string();
    let address = running.address.to_string();
    let (name, fingerprint) = (
        running.services.identity.name.to_string(),
        running.services.identity.server().to_string(),
    );
    let ready =
        json!({ "address": address, "name": name, "fingerprint": fingerprint, "invite": invite });
    if let Some(file) = &serve.ready_file {
        write_private(file, format!("{ready}\n").as_bytes())
            .map_err(|error| Failed::because(format!("{}: {error}", file.display())))?;
    }
    if cli.json {
        say(&json!({ "schema": "rookery.admin/1", "ok": true, "data": ready }).to_string());
    } else {
        say(&format!(
            "{name} listens on {address}\nfingerprint {fingerprint}\ninvite      {invite}"
        ));
    }
    running.lifecycle.asked_to_stop(&mut signals).await;
    running.stop().await;
    if let Some(file) = &serve.ready_file {
        std::fs::remove_file(file).ok();
    }
    if Lifecycle::panicked() {
        return Err(Failed::because("a part of the server failed; it was stopped in order")
            .hint("its log says where; please report it"));
    }
    // What there was to say has been said.
    std::process::exit(0)
}

fn set(
    loaded: &mut Loaded,
    key: &str,
    value: Option<&str>,
    flag: &'static str,
) -> Result<(), Failed> {
    Ok(value.map_or(Ok(()), |value| loaded.set(key, value, Source::Flag(flag)))?)
}

/// Asks the server that runs how it is.
pub(super) async fn status(cli: &Cli, status: &Status) -> Result<Report, Failed> {
    let data = cli.data()?;
    let patience = Duration::from_secs(status.wait.unwrap_or(0));
    let begun = tokio::time::Instant::now();
    let report = loop {
        match ask(&data, &admin::Status {}).await {
            Ok(Answer::Reply(report)) => break report,
            Ok(Answer::Error(_)) => {
                return Err(Failed::because("the server answered what it never answers"));
            }
            Ok(Answer::Refused(refusal)) => {
                return Err(Failed::new(Kind::Unavailable, refusal.to_string()));
            }
            Err(error) if begun.elapsed() >= patience => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    let data = json!({
        "version": report.version,
        "since": time(report.since),
        "address": report.address,
        "name": report.name,
        "fingerprint": report.fingerprint,
        "database": report.database,
        "incarnation": report.incarnation,
        "users": report.users,
        "connections": report.connections,
        "waiting_envelopes": report.waiting_envelopes,
        "writable": report.writable,
        "fenced": report.fenced.map(time),
        "waits_for": report.waits_for.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    let waiting = report.fenced.map_or_else(String::new, |since| {
        let peers: Vec<String> = report.waits_for.iter().map(ToString::to_string).collect();
        format!(
            "\nrestored {}: changes nothing before it has asked {}; `rookeryd unfence` has it go on without",
            time(since),
            peers.join(", ")
        )
    });
    let text = format!(
        "{} listens on {} since {}\nfingerprint {}\n{} users, {} connections, {} envelopes waiting\ndatabase {}, {}; version {}{waiting}",
        report.name,
        report.address,
        time(report.since),
        report.fingerprint,
        report.users,
        report.connections,
        report.waiting_envelopes,
        report.database,
        if report.writable { "writable" } else { "not writable" },
        report.version,
    );
    Ok(if report.writable { Report::new(data, text) } else { Report::partial(data, text) })
}

//! With which other homeservers there is anything to do, decided while the server runs.

use clap::{Subcommand, ValueEnum};
use rookery_protocol::request::peering::{Federation, SetPolicy, ShowPolicy, Unfence};
use serde_json::json;

use super::{
    Cli, admin,
    output::{Failed, Report},
    peer::asked,
};

#[derive(Debug, Subcommand)]
pub(super) enum Policy {
    /// Show or decide with which other homeservers there is anything to do
    Federation {
        /// What holds from now on, and after the next start; shown when not given
        mode: Option<Mode>,
    },
}

/// With which there is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Mode {
    /// With none
    Off,
    /// With those that `peer add` names
    Allowlist,
    /// With any that connects
    Open,
    /// With those that the configuration says
    Configured,
}

/// Shows or decides it.
pub(super) async fn policy(cli: &Cli, verb: &Policy) -> Result<Report, Failed> {
    let Policy::Federation { mode } = verb;
    let decide = |federation| SetPolicy { federation };
    let found = match mode {
        None => admin::list(cli, &ShowPolicy {}).await?,
        Some(Mode::Off) => admin::list(cli, &decide(Some(Federation::Off))).await?,
        Some(Mode::Allowlist) => admin::list(cli, &decide(Some(Federation::Allowlist))).await?,
        Some(Mode::Open) => admin::list(cli, &decide(Some(Federation::Open))).await?,
        Some(Mode::Configured) => admin::list(cli, &decide(None)).await?,
    };
    let (holds, configured) = (word(found.federation), word(found.configured));
    let text = if holds == configured {
        format!("federation {holds}")
    } else {
        format!("federation {holds} (the configuration says {configured})")
    };
    Ok(Report::new(json!({ "federation": holds, "configured": configured }), text))
}

pub(super) const fn word(federation: Federation) -> &'static str {
    match federation {
        Federation::Off => "off",
        Federation::Allowlist => "allowlist",
        Federation::Open => "open",
    }
}

/// Has a restored server go on without what its peers may still have of it.
pub(super) async fn unfence(cli: &Cli, is_sure: bool) -> Result<Report, Failed> {
    if !is_sure {
        return Err(Failed::usage(
            "what the peers that were not asked have kept would be lost, and contradicted",
        )
        .hint(
            "`rookeryd status` says for whom the server waits; say --yes to go on without them",
        ));
    }
    asked(admin::call(cli, &Unfence {}).await?)?;
    Ok(Report::new(json!({ "fenced": false }), "the server goes on"))
}

//! Communities and groups, as far as their hub can see: names are sealed, so ids stand for them.

use clap::Subcommand;
use rookery_protocol::{
    codec,
    community::{CommunityKind, Fork},
    id::{ChannelId, CommunityId, to_base32},
    request::admin::{ChangeHosted, HostedChange, HostedCommunity, ListHosted, ShowHosted},
};
use serde_json::{Value, json};

use super::{
    Cli, admin,
    output::{Failed, Report, time},
};

#[derive(Debug, Subcommand)]
pub(super) enum Community {
    /// List the communities by id
    List {
        /// Only ids after this one
        #[arg(long, value_name = "ID")]
        after: Option<CommunityId>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one community
    Show {
        /// Which
        id: CommunityId,
    },
    /// Let nobody post in a community or change it; it can be read
    Freeze {
        /// Which
        id: CommunityId,
    },
    /// Undo freeze
    Unfreeze {
        /// Which
        id: CommunityId,
    },
    /// Erase a community but for its id, which is never given again
    Delete {
        /// Which
        id: CommunityId,
        /// Do it without asking
        #[arg(long)]
        yes: bool,
    },
}

/// Lists, shows and changes communities.
pub(super) async fn community(cli: &Cli, verb: &Community) -> Result<Report, Failed> {
    match verb {
        Community::List { after, limit } => {
            let found = admin::list(cli, &ListHosted { after: *after, limit: *limit }).await?;
            let mut lines: Vec<String> = found.communities.iter().map(line).collect();
            if let (true, Some(last)) = (found.more, found.communities.last()) {
                lines.push(format!("more follow: --after {}", last.community));
            }
            let communities: Vec<Value> = found.communities.iter().map(shown).collect();
            let value = json!({ "communities": communities, "more": found.more });
            Ok(Report::new(value, lines.join("\n")))
        }
        Community::Show { id } => {
            let found = admin::reply(cli, &ShowHosted { community: *id }).await?;
            let text =
                format!("{}\nfounder {}\nowner {}", line(&found), found.founder, found.owner);
            Ok(Report::new(shown(&found), text))
        }
        Community::Freeze { id } => change(cli, *id, HostedChange::Freeze, "frozen").await,
        Community::Unfreeze { id } => {
            change(cli, *id, HostedChange::Unfreeze, "no longer frozen").await
        }
        Community::Delete { id, yes } => {
            if !yes {
                return Err(Failed::usage(format!("deleting {id} cannot be undone"))
                    .hint("say --yes to do it; `community freeze` can be undone"));
            }
            change(cli, *id, HostedChange::Delete, "deleted; the id stays reserved").await
        }
    }
}

async fn change(
    cli: &Cli,
    community: CommunityId,
    change: HostedChange,
    done: &str,
) -> Result<Report, Failed> {
    admin::reply(cli, &ChangeHosted { community, change }).await?;
    let id = community.to_string();
    Ok(Report::new(json!({ "id": id }), format!("{id} is {done}")))
}

const fn kind(kind: CommunityKind) -> &'static str {
    match kind {
        CommunityKind::Community => "community",
        CommunityKind::Group => "group",
    }
}

/// What an administrator is told of a community whose hub has signed two histories.
fn doubt(entry: &HostedCommunity) -> String {
    let Some(forks) = entry.forks else { return String::new() };
    let hub = entry.hub.as_ref().map_or_else(|| "this server".to_owned(), ToString::to_string);
    format!(
        "\n! its hub, {hub}, has signed two histories that contradict each other: {forks} proofs, see --json"
    )
}

const fn state(entry: &HostedCommunity) -> &'static str {
    match entry {
        HostedCommunity { is_deleted: true, .. } => "deleted",
        HostedCommunity { is_frozen: true, .. } => "frozen",
        _ => "active",
    }
}

fn shown(entry: &HostedCommunity) -> Value {
    json!({
        "id": entry.community.to_string(),
        "kind": kind(entry.kind),
        "state": state(entry),
        "founder": entry.founder.to_string(),
        "owner": entry.owner.to_string(),
        "created": time(entry.created),
        "members": entry.members,
        "channels": entry.channels,
        "entries": entry.entries,
        "bytes": entry.bytes,
        "hub": entry.hub.as_ref().map(ToString::to_string),
        "forks": entry.forks.unwrap_or_default(),
        "proofs": entry.proofs.iter().flatten().map(proof).collect::<Vec<_>>(),
    })
}

/// What a proof shows, and the proof.
fn proof(fork: &Fork) -> Value {
    let Ok(shown) = fork.verify() else { return Value::Null };
    json!({
        "hub": shown.hub.to_string(),
        "channel": shown.channel.map(ChannelId::number),
        "seq": shown.seq,
        "one": shown.one.to_string(),
        "other": shown.other.to_string(),
        "proof": to_base32(&codec::encode(fork)),
    })
}

fn line(entry: &HostedCommunity) -> String {
    format!(
        "{}  {}  {}  {} members, {} channels, {} entries, {} KiB, since {}",
        entry.community,
        kind(entry.kind),
        state(entry),
        entry.members,
        entry.channels,
        entry.entries,
        entry.bytes.div_ceil(1_024),
        time(entry.created),
    ) + &doubt(entry)
}

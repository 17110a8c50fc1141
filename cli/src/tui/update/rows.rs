//! What sheets list, in words.

mod keys;
mod why;

pub(super) use self::{keys::keys, why::why};
use crate::{
    agent::verb::{
        ChannelLine, CommunityDetail, ContactLine, DeviceLine, LogLine, MemberLine, MessageLine,
        PeerLine, RoleLine, SessionLine, SettingLine, StatusLine, SuggestionLine, VerifiedLine,
        VerifyLine,
    },
    render,
    tui::{
        state::{Row, State},
        theme::{self, Role},
    },
};

fn field(text: &str) -> String {
    render::field(text)
}

pub(super) fn members(state: &State, lines: Vec<MemberLine>) -> Vec<Row> {
    lines
        .into_iter()
        .map(|line| {
            let mut words: Vec<String> = vec![];
            if line.owner {
                words.push("owner".to_owned());
            }
            words.extend(line.roles.iter().map(|role| field(role)));
            if let Some((presence, status)) = state.presence.get(&line.name) {
                words.push(presence.clone());
                words.extend(status.clone());
            }
            let name = state.short_name(&line.name).to_owned();
            let title = match &line.nickname {
                Some(nickname) => format!("{} ({name})", field(nickname)),
                None => name,
            };
            let key = format!("@{}", line.name);
            Row::choice(title, words.join(", "), key.clone(), Some(format!("/dm {key}")))
                .looking(theme::author(&line.name))
        })
        .collect()
}

pub(super) fn roles(lines: Vec<RoleLine>) -> Vec<Row> {
    let row = |line: RoleLine| {
        let name = field(&line.name);
        Row::choice(format!("{name}  rank {}", line.rank), line.permissions.join(", "), name, None)
    };
    lines.into_iter().map(row).collect()
}

pub(super) fn channels(lines: Vec<ChannelLine>) -> Vec<Row> {
    lines
        .into_iter()
        .map(|line| {
            let mut words = vec![line.kind.clone()];
            if line.private {
                words.push("private".to_owned());
            }
            if line.archived {
                words.push("archived".to_owned());
            }
            if line.slow_mode_s > 0 {
                words.push(format!("slow: {} s", line.slow_mode_s));
            }
            words.extend(line.topic.as_deref().map(field));
            let target = line.name.clone();
            let short = target.split_once('#').map_or(target.as_str(), |(_, name)| name);
            Row::choice(
                format!("#{}", field(short)),
                words.join(", "),
                short.to_owned(),
                Some(format!("/go {target}")),
            )
        })
        .collect()
}

pub(super) fn community(state: &State, detail: &CommunityDetail) -> Vec<Row> {
    let summary = &detail.summary;
    let mut rows = vec![
        Row::words(field(&summary.name), "").looking(Role::Heading),
        Row::words(detail.topic.as_deref().map(field).unwrap_or_default(), ""),
        Row::words(format!("{} members, {} channels", summary.members, summary.channels), ""),
        Row::words(format!("owner {}", state.short_name(&detail.owner)), ""),
        Row::words(format!("on the server {}", field(&detail.hub)), ""),
        Row::words(format!("joining: {}", detail.policy), ""),
        Row::words(format!("newcomers read: {}", detail.history), ""),
        Row::words(format!("epoch {}, log {} entries", detail.epoch, detail.log), ""),
    ];
    if let Some(alarm) = &summary.alarm {
        rows.push(
            Row::words(format!("! not to be believed: {}", field(alarm)), "").looking(Role::Error),
        );
    }
    for asking in &detail.asking {
        rows.push(Row::choice(
            format!("{} asks to come in", state.short_name(asking)),
            "",
            asking.clone(),
            Some(format!("/approve @{asking}")),
        ));
    }
    for invite in &detail.invites {
        let uses = invite.uses_left.map_or_else(|| "any".to_owned(), |left| left.to_string());
        let by = state.short_name(&invite.by);
        let until = invite.expires.as_deref().map(|at| format!("until {}", state.clock(at)));
        rows.push(Row::choice(
            format!("invitation {} by {by}, {uses} uses", invite.invite),
            until.unwrap_or_default(),
            "",
            Some(format!("/invite revoke {}", invite.invite)),
        ));
    }
    rows
}

pub(super) fn log(state: &State, lines: Vec<LogLine>) -> Vec<Row> {
    let mut rows: Vec<Row> = lines
        .into_iter()
        .map(|line| {
            let whom = line.whom.as_deref().map(|who| state.short_name(who).to_owned());
            let text = line.text.as_deref().map(|text| format!("\"{}\"", field(text)));
            let words: Vec<String> = [Some(line.what), whom, text].into_iter().flatten().collect();
            let by = state.short_name(&line.by);
            Row::words(format!("{:4} {by} {}", line.seq, words.join(" ")), "")
        })
        .collect();
    // The newest first: that is what somebody looks for.
    rows.reverse();
    rows
}

fn message_row(state: &State, line: &MessageLine) -> Row {
    let first = line.text.lines().next().unwrap_or_default();
    let text = match &line.file {
        Some(file) => format!("{} {}", file.words(), field(first)).trim_end().to_owned(),
        None => field(first),
    };
    let target = target_of(line);
    let title = format!(
        "{} {} in {}",
        state.clock(&line.at),
        state.short_name(&line.from),
        place(state, &target)
    );
    Row::choice(title, text, line.id.clone(), Some(format!("goto {target} {}", line.id)))
}

fn place(state: &State, target: &str) -> String {
    if target.starts_with('@') {
        return format!("@{}", state.short_name(target));
    }
    target.to_owned()
}

/// What a message's conversation is called in commands.
fn target_of(line: &MessageLine) -> String {
    if crate::engine::is_room(&line.with) { line.with.clone() } else { format!("@{}", line.with) }
}

pub(super) fn found(state: &State, lines: &[MessageLine], complete: bool) -> Vec<Row> {
    let mut rows: Vec<Row> = lines.iter().map(|line| message_row(state, line)).collect();
    if rows.is_empty() {
        rows.push(Row::words("Nothing was found.", ""));
    }
    if !complete {
        rows.push(
            Row::words("Still indexing: older messages may be missing.", "").looking(Role::Warning),
        );
    }
    rows
}

pub(super) fn pins(state: &State, lines: &[MessageLine]) -> Vec<Row> {
    let pinned = |line: &MessageLine| line.room.as_ref().is_some_and(|room| room.pinned);
    let mut rows: Vec<Row> =
        lines.iter().filter(|line| pinned(line)).map(|line| message_row(state, line)).collect();
    if rows.is_empty() {
        rows.push(Row::words("Nothing is pinned among the newest thousand messages.", ""));
    }
    rows
}

pub(super) fn checked(line: &VerifiedLine) -> Vec<Row> {
    let mut rows = vec![match &line.alarm {
        None => Row::words(format!("Every one of {} statements holds.", line.statements), "")
            .looking(Role::Good),
        Some(alarm) => Row::words(format!("! {}", field(alarm)), "").looking(Role::Error),
    }];
    rows.push(Row::words(format!("{} members", line.members), ""));
    if let Some(head) = &line.head {
        rows.push(Row::words("The last one's hash, the same for every member:", ""));
        rows.push(Row::words(head.clone(), "").looking(Role::Strong));
    }
    rows
}

pub(super) fn suggestions(state: &State, lines: Vec<SuggestionLine>) -> Vec<Row> {
    if lines.is_empty() {
        return vec![Row::words("Nobody who lets it be said.", "")];
    }
    let row = |line: SuggestionLine| {
        let shares = format!("{} communities, {} contacts shared", line.communities, line.contacts);
        let (name, key) = (state.short_name(&line.name).to_owned(), format!("@{}", line.name));
        Row::choice(name, shares, key.clone(), Some(format!("/contact {key}")))
            .looking(theme::author(&line.name))
    };
    lines.into_iter().map(row).collect()
}

pub(super) fn sessions(state: &State, lines: Vec<SessionLine>) -> Vec<Row> {
    let row = |line: SessionLine| {
        let here = if line.current { "this one, " } else { "" };
        let seen = format!("{here}last used {}", state.clock(&line.last_seen));
        Row::choice(field(&line.device), seen, line.id, None)
    };
    lines.into_iter().map(row).collect()
}

pub(super) fn peers(state: &State) -> Vec<Row> {
    if state.peers.is_empty() {
        return vec![Row::words("Your home is in touch with no other server.", "")];
    }
    let row = |line: &PeerLine| {
        let since = format!("{} since {}", line.state, state.clock(&line.since));
        let waits = match line.waiting {
            0 => String::new(),
            count => format!("{count} of your messages wait for it"),
        };
        let role = if line.is_up() { Role::Good } else { Role::Warning };
        Row::words(format!("{}  {since}", field(&line.server)), waits).looking(role)
    };
    state.peers.iter().map(row).collect()
}

pub(super) fn devices(state: &State, lines: Vec<DeviceLine>) -> Vec<Row> {
    lines
        .into_iter()
        .map(|line| {
            let mut words = vec![];
            if line.this {
                words.push("this one".to_owned());
            }
            if line.bot {
                words.push("a program".to_owned());
            }
            words.extend(
                line.last_seen.as_deref().map(|at| format!("last seen {}", state.clock(at))),
            );
            words.extend(
                line.waiting
                    .filter(|waiting| *waiting > 0)
                    .map(|waiting| format!("{waiting} letters wait for it")),
            );
            Row::choice(field(&line.name), words.join(", "), line.id, None)
        })
        .collect()
}

pub(super) fn contacts(state: &State, lines: Vec<ContactLine>) -> Vec<Row> {
    if lines.is_empty() {
        return vec![Row::words("Nobody yet: a adds somebody by name.", "")];
    }
    lines
        .into_iter()
        .map(|line| {
            let mut words = vec![match line.state.as_str() {
                "asked" => "you asked, they have not answered".to_owned(),
                "asking" => "asks to be a contact: y accepts, n declines".to_owned(),
                "stranger" => "wrote to you, is no contact".to_owned(),
                other => other.to_owned(),
            }];
            words.extend(line.trust.filter(|trust| trust != "unverified"));
            if let Some((presence, status)) = state.presence.get(&line.name) {
                words.push(presence.clone());
                words.extend(status.clone());
            }
            let name = state.short_name(&line.name).to_owned();
            let title = match &line.display_name {
                Some(display) => format!("{} ({name})", field(display)),
                None => name,
            };
            let key = format!("@{}", line.name);
            Row::choice(title, words.join(", "), key.clone(), Some(format!("/dm {key}")))
                .looking(theme::author(&line.name))
        })
        .collect()
}

pub(super) fn verify(line: &VerifyLine) -> Vec<Row> {
    let groups: Vec<&str> = line.safety_number.split_whitespace().collect();
    let mut rows = vec![
        Row::words("Compare with what their screen shows,", ""),
        Row::words("in person or by voice:", ""),
        Row::default(),
    ];
    rows.extend(groups.chunks(4).map(|four| Row::words(four.join("  "), "").looking(Role::Strong)));
    rows.push(Row::default());
    rows.push(match line.trust.as_str() {
        "verified" => Row::words("= verified", "").looking(Role::Verified),
        "changed" => Row::words("! their identity has changed since", "").looking(Role::Changed),
        _ => Row::words("? not verified yet", "").looking(Role::Unverified),
    });
    rows.push(Row::words("y same   n different   Esc later", "").looking(Role::Hint));
    rows
}

pub(super) fn settings(of: Option<&str>, lines: Vec<SettingLine>) -> Vec<Row> {
    lines
        .into_iter()
        .map(|line| {
            // Enter goes on to the next value, where there are only some.
            let here = line.values.iter().position(|value| *value == line.value).unwrap_or(0);
            let next = here.saturating_add(1).checked_rem(line.values.len()).unwrap_or(0);
            // The account has a setting of that name too.
            let command = match (of, line.name.as_str()) {
                (Some(_), "notifications") => "/notify".to_owned(),
                (_, name) => format!("/set {name}"),
            };
            let enter = format!("{command} {}", line.values.get(next).map_or("", String::as_str));
            let shown = field(&line.value);
            let detail =
                if line.values.is_empty() { String::new() } else { line.values.join(" | ") };
            let enter = Some(enter).filter(|_| of.is_none() || line.name != "draft");
            Row::choice(format!("{:14} {shown}", line.name), detail, line.name, enter)
        })
        .collect()
}

pub(super) fn account(state: &State, line: &StatusLine) -> Vec<Row> {
    let device = state.me.as_ref().map(|me| field(&me.device_name)).unwrap_or_default();
    let mut rows = vec![
        Row::words(line.name.clone(), "").looking(Role::Heading),
        Row::words(format!("this device: {device}, one of {}", line.devices), ""),
        Row::words(format!("server: {} at {}", line.server, line.address), ""),
    ];
    rows.extend(
        line.fingerprint.as_ref().map(|key| Row::words(format!("its fingerprint: {key}"), "")),
    );
    rows.push(Row::words(format!("{} queued, {} failed", line.queued, line.failed), ""));
    rows.extend(
        line.reason.as_deref().map(|why| Row::words(field(why), "").looking(Role::Warning)),
    );
    rows.push(Row::words(format!("rookery {}", line.software), "").looking(Role::Dim));
    rows
}

//! What must hold once nothing is wrong any more, seen from outside.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result, bail, ensure};
use futures::future::join_all;
use serde_json::Value;
use tokio::time::{Duration, Instant, sleep};

use super::{
    cast::Part,
    copies::{Copy, differences},
    stage::{Device, Room, Stage},
    strike::longest_queue,
    talk::Said,
};
use crate::{
    homeserver::Homeserver,
    oracle::{Ledger, Verdict},
    profile::Message,
};

/// How often it is looked again.
const LOOK: Duration = Duration::from_millis(300);
/// What comes twice does so by then.
const STILL: Duration = Duration::from_secs(2);

impl Stage {
    /// Waits until everybody has what they must have, at the latest until `deadline`; then makes sure that it stays so.
    /// Gives what is wrong.
    pub(super) async fn judge(&self, said: &Said, deadline: Instant) -> Vec<String> {
        let rooms = self.rooms();
        let views =
            self.devices.iter().flat_map(|device| rooms.iter().map(move |room| (device, room)));
        let views: Vec<_> = views.collect();
        let by_device = views.chunks(rooms.len()).map(async |views| {
            let mut wrong = vec![];
            for (device, room) in views {
                let seen = until(deadline, async || self.look(said, device, room).await).await;
                wrong.extend(seen.err().map(|error| format!("{error:#}")));
            }
            wrong
        });
        let mut wrong = join_all(by_device).await.concat();
        let queues = self.homes.iter().map(async |home| {
            let empty = async || {
                let waiting = longest_queue(home).await?;
                ensure!(waiting == 0, "I9: {waiting} still wait at {}", home.ready().name);
                Ok(())
            };
            until(deadline, empty).await
        });
        wrong.extend(
            join_all(queues)
                .await
                .into_iter()
                .filter_map(Result::err)
                .map(|error| format!("{error:#}")),
        );
        if !wrong.is_empty() {
            return wrong;
        }
        sleep(STILL).await;
        for (device, room) in views {
            wrong.extend(
                self.look(said, device, room).await.err().map(|error| format!("later, {error:#}")),
            );
        }
        wrong
    }

    /// Looks at one room on one device (I1, I2, I4, I5).
    async fn look(&self, said: &Said, device: &Device, room: &Room) -> Result<()> {
        let (label, person) = (device.profile.label(), device.person);
        let Some(target) = self.target(room, person)? else {
            return self.look_at_nothing(device, room).await;
        };
        let nothing = Ledger::default();
        let ledger = said.rooms.get(room).unwrap_or(&nothing);
        let count = ledger.acknowledged().saturating_add(1_000).to_string();
        let read = ["read", &target, "-n", &count, "--peek", "--json"];
        let shown = device.profile.run(&read).await?.success()?;
        let shown = crate::profile::messages(shown.json_lines()?)?;
        let verdict = ledger.judge(&shown);
        let is_gone = matches!(self.person(person)?.part, Part::Leaves | Part::IsSentAway);
        if *room != Room::Club || !is_gone {
            return verdict.ensure_clean(&format!("{label}, {target}"));
        }
        // Of what others say, they have what was said before they went, as far as it had come.
        let verdict = Verdict { lost: vec![], ..verdict };
        verdict.ensure_clean(&format!("{label}, {target}"))?;
        let withheld = said.withheld.get(&person);
        let is_withheld =
            |message: &&Message| withheld.is_some_and(|ids| ids.contains(&message.id));
        if let Some(message) = shown.iter().find(is_withheld) {
            bail!("I5: {label} is gone from {target}, and shows {:?}", message.text);
        }
        Ok(())
    }

    /// Makes sure that there is nothing of a room in which somebody has no part (I5).
    async fn look_at_nothing(&self, device: &Device, room: &Room) -> Result<()> {
        let name = match room {
            Room::Between(..) => return Ok(()),
            Room::Club => "club#general",
            Room::Bridge => "club#bridge",
            Room::Crew => "+crew",
        };
        let read = device.profile.run(&["read", name, "--peek", "--json"]).await?;
        ensure!(read.code() != 0, "I5: {} reads {name}: {read}", device.profile.label());
        Ok(())
    }

    /// What every member's client says of the communities: equal heads, equal state (I6), and the log holds (I7).
    pub(super) async fn compare(&self, deadline: Instant) -> Vec<String> {
        let mut wrong = vec![];
        for community in ["club", "+crew"] {
            let compared = until(deadline, async || self.compare_one(community).await).await;
            wrong.extend(compared.err().map(|error| format!("{error:#}")));
        }
        let devices = self
            .devices
            .iter()
            .map(async |device| until(deadline, async || is_at_rest(device).await).await.err());
        wrong.extend(
            join_all(devices).await.into_iter().flatten().map(|error| format!("{error:#}")),
        );
        wrong
    }

    async fn compare_one(&self, community: &str) -> Result<()> {
        let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for device in &self.devices {
            let part = self.person(device.person)?.part;
            let is_member = match community {
                "club" => !matches!(part, Part::Leaves | Part::IsSentAway),
                _ => self.is_of_crew(device.person),
            };
            if !is_member {
                continue;
            }
            let shown = device.profile.ask(&["community", "show", community]).await?;
            let held = device.profile.run(&["community", "verify", community]).await?;
            ensure!(held.code() == 0, "I7: on {}: {held}", device.profile.label());
            for word in ["alarm", "warning"] {
                ensure!(shown.get(word).is_none(), "I7: on {}: {shown}", device.profile.label());
            }
            seen.entry(state(&shown).to_string()).or_default().push(device.profile.label());
        }
        ensure!(seen.len() == 1, "I6: {community} differs: {seen:#?}");
        Ok(())
    }

    /// Looks into all logs for panics, ends the homes in order, and compares what they have on disk (I3, I6, I10).
    pub(super) async fn autopsy(&mut self) -> Result<Vec<String>> {
        let mut wrong = vec![];
        let logs = self.homes.iter().map(Homeserver::log_file);
        for log in logs.chain(self.devices.iter().map(|device| device.profile.log_file())) {
            let text = fs::read(&log).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let panicked = text.lines().filter(|line| line.contains("panicked at"));
            wrong.extend(panicked.map(|line| format!("I10: {}: {line}", log.display())));
        }
        for agent in &mut self.agents {
            agent.stop().await?;
        }
        let mut copies = vec![];
        for home in &mut self.homes {
            let name = home.ready().name.clone();
            ensure!(home.runs()?, "I10: {name} has ended by itself");
            let ended = home.stop().await?;
            if !ended.success() {
                wrong.push(format!("I10: {name} did not end in order: {ended}"));
            }
            copies.push((name, Copy::read(home.data()).await?));
        }
        for (name, copy) in &copies {
            ensure!(copy.len() > self.people.len(), "{name} has {} chains", copy.len());
        }
        wrong.extend(differences(&copies));
        Ok(wrong)
    }
}

/// What two members must agree on, of what `community show` says.
fn state(shown: &Value) -> Value {
    let same = [
        "id", "kind", "members", "owner", "hub", "policy", "history", "epoch", "log", "roles",
        "asking",
    ];
    same.iter().filter_map(|key| Some(((*key).to_owned(), shown.get(*key)?.clone()))).collect()
}

/// Makes sure that nothing waits on a device, nothing failed there, and no session was lost.
async fn is_at_rest(device: &Device) -> Result<()> {
    let status = device.profile.run(&["status", "--json"]).await?;
    let shown = status.json()?;
    let of =
        |key: &str| shown.get(key).and_then(Value::as_u64).with_context(|| format!("no {key}"));
    ensure!(of("queued")? == 0, "I9: on {}: {shown}", device.profile.label());
    ensure!(of("resets")? == 0, "a session was lost on {}: {shown}", device.profile.label());
    ensure!(status.code() == 0, "I9: on {}: {status}", device.profile.label());
    Ok(())
}

/// Tries `what` until it succeeds, or gives its last error at `deadline`.
async fn until<T>(deadline: Instant, what: impl AsyncFn() -> Result<T>) -> Result<T> {
    loop {
        match what().await {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => sleep(LOOK).await,
        }
    }
}

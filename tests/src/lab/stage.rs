//! What stands before anything happens: homes, links, people with their devices, and the rooms in which they talk.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use serde_json::Value;

use super::{
    Plan,
    cast::{HOMES, PEOPLE, Part, Person, people, seats},
    link::Link,
    namespace::{Ground, MOST, Namespace},
    schedule,
};
use crate::{
    faults::Unsynced,
    homeserver::Homeserver,
    process::{PATIENCE, Place, Running},
    profile::Profile,
    random::Random,
    world::{World, eventually},
};

/// Where every home listens.
const PORT: u16 = 7_665;
/// The bound of each home's queue for a peer, far below the default so that it can be reached.
pub(super) const PEER_ITEMS: u64 = 1_000;

/// One device of somebody.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) profile: Profile,
    pub(super) person: usize,
}

/// Where people talk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Room {
    /// Two people, by their numbers.
    Between(usize, usize),
    /// The community's open channel.
    Club,
    /// Its private channel.
    Bridge,
    /// The group.
    Crew,
}

/// All of it. What is first here goes first.
pub(super) struct Stage {
    pub(super) agents: Vec<Running>,
    pub(super) homes: Vec<Homeserver>,
    pub(super) links: BTreeMap<schedule::Link, Vec<Link>>,
    pub(super) devices: Vec<Device>,
    pub(super) people: Vec<Person>,
    /// The way into the community.
    pub(super) invitation: String,
    world: World,
    /// Those of the homes, and then those of the devices of each home.
    namespaces: Vec<Namespace>,
}

impl Stage {
    /// Builds it, while nothing is wrong yet.
    pub(super) async fn build(plan: &Plan, schedule: &schedule::Schedule) -> Result<Self> {
        let Plan { homes: count, devices, .. } = *plan;
        ensure!((3..=HOMES.len()).contains(&count), "a lab has 3 to {} homes", HOMES.len());
        let most = count.saturating_mul(PEOPLE.len());
        let range = count.saturating_mul(2)..=most;
        ensure!(range.contains(&devices), "with {count} homes, a lab has {range:?} devices");
        let ground = Ground::take()?;
        let namespaces = (0..count.saturating_mul(2).min(MOST))
            .map(|number| ground.namespace(number))
            .collect::<Result<Vec<_>>>()?;
        let world = World::new()?;
        let homes = start_homes(&world, count, &namespaces).await?;
        let mut random = Random::of(plan.seed).split();
        let mut links = join_homes(&homes, &namespaces, &mut random).await?;
        let people = people(count, devices);
        let mut stage = Self {
            agents: vec![],
            homes,
            links: BTreeMap::new(),
            devices: vec![],
            people,
            invitation: String::new(),
            world,
            namespaces,
        };
        for (number, person) in seats(count, devices).into_iter().enumerate() {
            let home = stage.person(person)?.home;
            let yard = stage.namespace(count.saturating_add(home))?;
            let port = 8_000_u16.checked_add(u16::try_from(number)?).context("a port")?;
            let near = SocketAddr::from((yard.near(), port));
            let far = SocketAddr::from((stage.namespace(home)?.far(), PORT));
            let link = Link::open(near, far, random.split()).await?;
            links.insert(schedule::Link::Device(number), vec![link]);
            let place = yard.place();
            stage.seat(number, person, place, near, schedule).await?;
        }
        stage.links = links;
        stage.acquaint().await?;
        stage.found().await?;
        Ok(stage)
    }

    pub(super) fn person(&self, number: usize) -> Result<&Person> {
        self.people.get(number).context("a person of the lab")
    }

    fn namespace(&self, number: usize) -> Result<&Namespace> {
        self.namespaces.get(number).context("a namespace of the lab")
    }

    fn home(&self, number: usize) -> Result<&Homeserver> {
        self.homes.get(number).context("a home of the lab")
    }

    /// How everybody writes somebody's name.
    pub(super) fn address(&self, person: usize) -> Result<String> {
        let person = self.person(person)?;
        Ok(format!("@{}@{}", person.name, self.home(person.home)?.ready().name))
    }

    /// The first device of somebody.
    pub(super) fn laptop(&self, person: usize) -> Result<&Profile> {
        let device = self.devices.iter().find(|device| device.person == person);
        Ok(&device.context("a device of a person")?.profile)
    }

    /// The person with that number in the row of those of a home.
    fn of_home(&self, home: usize, place: usize) -> Option<usize> {
        let at_home = self.people.iter().enumerate().filter(|(_, person)| person.home == home);
        at_home.map(|(number, _)| number).nth(place)
    }

    /// The founder of the community, who owns it.
    pub(super) fn owner(&self) -> Result<usize> {
        self.of_home(0, 0).context("the owner")
    }

    /// Whether somebody is one of those who read the private channel.
    pub(super) fn is_on_bridge(&self, person: usize) -> bool {
        [self.of_home(0, 0), self.of_home(1, 0)].contains(&Some(person))
    }

    /// Whether somebody is in the group: the first of each home.
    pub(super) fn is_of_crew(&self, person: usize) -> bool {
        self.people.get(person).is_some_and(|who| self.of_home(who.home, 0) == Some(person))
    }

    /// Who write to each other: those with the same place in homes that follow each other.
    pub(super) fn pairs(&self) -> Vec<(usize, usize)> {
        let homes = self.homes.len();
        let mut pairs = vec![];
        for place in 0..PEOPLE.len() {
            for home in 0..homes {
                let next = home.saturating_add(1).checked_rem(homes).unwrap_or(0);
                if let (Some(one), Some(other)) =
                    (self.of_home(home, place), self.of_home(next, place))
                {
                    pairs.push((one.min(other), one.max(other)));
                }
            }
        }
        pairs
    }

    /// The name of `room` on a device of `person`; nothing where they have no part in it.
    pub(super) fn target(&self, room: &Room, person: usize) -> Result<Option<String>> {
        Ok(match room {
            Room::Between(one, other) if *one == person => Some(self.address(*other)?),
            Room::Between(one, other) if *other == person => Some(self.address(*one)?),
            Room::Between(..) => None,
            Room::Club => Some("club#general".to_owned()),
            Room::Bridge => self.is_on_bridge(person).then(|| "club#bridge".to_owned()),
            Room::Crew => self.is_of_crew(person).then(|| "+crew".to_owned()),
        })
    }

    /// All rooms.
    pub(super) fn rooms(&self) -> Vec<Room> {
        let between = self.pairs().into_iter().map(|(one, other)| Room::Between(one, other));
        between.chain([Room::Club, Room::Bridge, Room::Crew]).collect()
    }

    /// Gives somebody a device at `place`, which reaches its home at `near`, and starts its agent.
    async fn seat(
        &mut self,
        number: usize,
        person: usize,
        place: Place,
        near: SocketAddr,
        schedule: &schedule::Schedule,
    ) -> Result<()> {
        let Person { name, home, .. } = self.person(person)?;
        let (name, home) = (name.clone(), *home);
        let has_one = self.devices.iter().any(|device| device.person == person);
        let what = if has_one { "phone" } else { "laptop" };
        let mut profile = self.world.profile(&name, what)?.at(place);
        let agent = schedule::Process::Agent(number);
        let jumps = |strike: &schedule::Strike| matches!(strike.fault, schedule::Fault::Clock(process, _) if process == agent);
        if schedule.strikes().iter().any(jumps) {
            profile = profile.with_faults(Unsynced::Stands).await?;
        }
        let invite = self.home(home)?.invite(1).await?;
        let link = by_way_of(&invite, near)?;
        if has_one {
            profile.link_to(self.laptop(person)?, &link).await?;
        } else {
            profile.register(&link).await?;
        }
        let running = profile.start_agent()?;
        profile.wait_until_connected().await?;
        self.agents.push(running);
        self.devices.push(Device { profile, person });
        Ok(())
    }

    /// Makes contacts of those who write to each other.
    async fn acquaint(&self) -> Result<()> {
        let befriend = async |(one, other): (usize, usize)| {
            let (first, second) = (self.laptop(one)?, self.laptop(other)?);
            let (asking, asked) = (self.address(one)?, self.address(other)?);
            first.ask(&["contact", "add", &asked]).await?;
            eventually(PATIENCE, async || second.ask(&["contact", "accept", &asking]).await)
                .await?;
            eventually(PATIENCE, async || {
                let listed = first.run(&["contact", "list", "--json"]).await?.success()?;
                let name = Value::from(asked.trim_start_matches('@'));
                let is_accepted = |line: &Value| {
                    line.get("name") == Some(&name) && line.get("state") == Some(&"accepted".into())
                };
                ensure!(listed.json_lines()?.iter().any(is_accepted), "{asked}: {listed}");
                Ok(())
            })
            .await
        };
        try_join_all(self.pairs().into_iter().map(befriend)).await?;
        Ok(())
    }

    /// Founds the community at the first home, with a private channel, and the group at the second.
    async fn found(&mut self) -> Result<()> {
        let owner = self.owner()?;
        let laptop = self.laptop(owner)?;
        laptop.ask(&["community", "create", "club"]).await?;
        self.invitation = laptop.link_into("club", &[]).await?;
        for (number, person) in self.people.iter().enumerate() {
            if person.part != Part::ComesLate && number != owner {
                self.laptop(number)?.ask(&["community", "join", &self.invitation]).await?;
            }
        }
        let second = self.of_home(1, 0).context("somebody at the second home")?;
        let reader = self.address(second)?;
        let laptop = self.laptop(owner)?;
        let bridge = ["channel", "create", "club", "bridge", "--private", "--users", &reader];
        // Whoever has just come from another server may not be known to this device yet.
        eventually(PATIENCE, async || laptop.ask(&bridge).await).await?;
        let crew = (0..self.people.len()).filter(|who| *who != second && self.is_of_crew(*who));
        let crew = crew.map(|who| self.address(who)).collect::<Result<Vec<_>>>()?;
        let mut words = vec!["group", "create", "crew"];
        words.extend(crew.iter().map(String::as_str));
        self.laptop(second)?.ask(&words).await?;
        Ok(())
    }
}

async fn start_homes(
    world: &World,
    count: usize,
    namespaces: &[Namespace],
) -> Result<Vec<Homeserver>> {
    let starting = HOMES.iter().zip(namespaces).take(count).map(|(name, namespace)| {
        world
            .homeserver(&format!("{name}.example"))
            .at(namespace.place(), (namespace.far(), PORT).into())
            .setting("ROOKERYD_STORAGE_PEER_ITEMS", &PEER_ITEMS.to_string())
            .faults(Unsynced::IsLost)
            .start()
    });
    try_join_all(starting).await
}

/// Makes all homes peers of each other: each reaches each by a link of its own.
async fn join_homes(
    homes: &[Homeserver],
    namespaces: &[Namespace],
    random: &mut Random,
) -> Result<BTreeMap<schedule::Link, Vec<Link>>> {
    let mut links: BTreeMap<schedule::Link, Vec<Link>> = BTreeMap::new();
    for (one, (home, own)) in homes.iter().zip(namespaces).enumerate() {
        for (other, (peer, theirs)) in homes.iter().zip(namespaces).enumerate() {
            if one == other {
                continue;
            }
            let port = 7_000_u16.checked_add(u16::try_from(other)?).context("a port")?;
            let near = SocketAddr::from((own.near(), port));
            let link = Link::open(near, (theirs.far(), PORT).into(), random.split()).await?;
            // Of two, the first leads from the home with the lesser number.
            let both = schedule::Link::Homes(one.min(other), one.max(other));
            links.entry(both).or_default().push(link);
            home.know_at(peer, &near.to_string()).await?;
        }
    }
    for (one, home) in homes.iter().enumerate() {
        for (other, peer) in homes.iter().enumerate() {
            if one != other {
                home.wait_for_peer(&peer.ready().name, "up").await?;
            }
        }
    }
    Ok(links)
}

/// An invitation with another address to reach the same server at.
fn by_way_of(invite: &str, near: SocketAddr) -> Result<String> {
    let rest = invite.strip_prefix("rookery://").context("an invitation")?;
    let (_, rest) = rest.split_once('/').context("an invitation")?;
    Ok(format!("rookery://{near}/{rest}"))
}

/// How long everything together may take before anything is wrong.
pub(super) const BUILDING: Duration = Duration::from_mins(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_leads_elsewhere_and_says_the_same() {
        let invite = "rookery://198.18.0.2:7665/join#server=nest.example&key=a&invite=b";
        let near = "198.18.0.5:8001".parse().unwrap();
        let wanted = "rookery://198.18.0.5:8001/join#server=nest.example&key=a&invite=b";
        assert_eq!(by_way_of(invite, near).unwrap(), wanted);
    }
}

//! A profile that has been in use for years: an account on a real server, and a store with as many messages as one wants.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use rookery_cli::{
    config::Place,
    e2ee::content::{Content, Text},
    engine::{Policy, index_next},
    store::{ContactRow, Message, MessageState, Post, Secret, Store, unlock},
};
use rookery_protocol::{
    community::Action,
    id::{ChainId, DeviceId, ItemId, UserId},
    name::{ServerName, UserName},
    time::{Clock as _, SystemClock, Timestamp},
};
use rookery_tests::liar::statement_of;
use serde_json::Value;

use crate::{
    server::{Server, now},
    wall::{rookery, run},
};

/// Rooms beside the one with Bob: one in six is a conversation, the others are channels.
pub(super) const ROOMS: usize = 300;
const CONVERSATIONS: usize = 49;
const COMMUNITIES: usize = 5;
/// Of 25 messages, so many are Bob's and Alice's.
const WITH_BOB: u64 = 3;
const OF: u64 = 25;
/// Messages that are committed at once.
const BATCH: u64 = 20_000;
/// So many that a common word is not in every message.
const WORDS: u64 = 50_000;
/// Between two messages.
const STEP: Duration = Duration::from_mins(1);

/// Alice with a full store, Bob with an empty one, and their server.
pub(super) struct Scene {
    pub(super) server: Server,
    /// How many messages Alice and Bob have between them.
    pub(super) with_bob: u64,
}

impl Scene {
    /// The scene that is in `directory`, or made there; in one that goes away without it.
    pub(super) async fn find(directory: Option<PathBuf>, messages: u64) -> anyhow::Result<Self> {
        let with_bob = (0..messages).filter(|number| is_with_bob(*number)).count();
        let with_bob = u64::try_from(with_bob)?;
        let made = directory.as_ref().map(|directory| directory.join("made"));
        let of = format!("{messages} messages");
        if let (Some(directory), Some(made)) = (&directory, &made)
            && let Ok(found) = std::fs::read_to_string(made)
        {
            let (what, address) = found.split_once(" at ").context("not a directory of mine")?;
            ensure!(what == of, "{} holds {what}, not {of}", directory.display());
            let server = Server::start_in(directory.clone(), address.trim().parse()?)?;
            return Ok(Self { server, with_bob });
        }
        let server = match directory {
            Some(directory) => Server::start_in(directory, free_address()?)?,
            None => Server::start()?,
        };
        let scene = Self { server, with_bob };
        scene.settle_in()?;
        scene.fill(messages).await?;
        if let Some(made) = made {
            std::fs::write(made, format!("{of} at {}", scene.server.address))?;
        }
        Ok(scene)
    }

    pub(super) fn home(&self, name: &str) -> PathBuf {
        self.server.directory.join(name)
    }

    /// What a command of somebody's says, as JSON.
    pub(super) fn ask(&self, name: &str, arguments: &[&str]) -> anyhow::Result<Value> {
        let mut command = rookery(&self.home(name))?;
        let output = command.args(arguments).arg("--json").stdout(Stdio::piped()).output()?;
        ensure!(output.status.success(), "{arguments:?} ended with {}", output.status);
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Accounts, a contact, communities with channels: all that a server has to agree to.
    fn settle_in(&self) -> anyhow::Result<()> {
        let password = self.server.directory.join("password");
        std::fs::write(&password, "a password for the load\n")?;
        for name in ["alice", "bob"] {
            let link = self.server.invite.to_string();
            let arguments = ["register", &link, name, "--password-file"];
            run(rookery(&self.home(name))?.args(arguments).arg(&password))?;
        }
        run(rookery(&self.home("alice"))?.args(["contact", "add", "@bob"]))?;
        run(rookery(&self.home("bob"))?.args(["contact", "accept", "@alice"]))?;
        let channels = ROOMS.saturating_sub(CONVERSATIONS).saturating_sub(1) / COMMUNITIES;
        for community in 0..COMMUNITIES {
            // `general` is one of them, and is there by itself.
            let names: Vec<String> =
                (1..channels).map(|number| format!("topic-{number}")).collect();
            let name = format!("club-{community}");
            let arguments = ["community", "create", &name, "--channels", &names.join(",")];
            run(rookery(&self.home("alice"))?.args(arguments))?;
        }
        // The first words, by which both come to know the other's keys.
        run(rookery(&self.home("bob"))?.args(["send", "@alice", "hello"]))?;
        run(rookery(&self.home("alice"))?.args(["send", "@bob", "hello to you"]))?;
        Ok(())
    }

    /// Writes the messages into Alice's store, as if they had come.
    async fn fill(&self, messages: u64) -> anyhow::Result<()> {
        let whoami = self.ask("alice", &["whoami"])?;
        let alice: UserId = text_at(&whoami, "user")?.parse()?;
        let bob: UserId = text_at(&self.ask("bob", &["whoami"])?, "user")?.parse()?;
        let store = open(&self.home("alice")).await?;
        let begun = now();
        let rooms = rooms_of(&store).await?;
        let filling = Filling { alice, bob, rooms, start: start(messages)? };
        let mut sequence = Sequence(1);
        let mut unit = store.write().await?;
        for number in 0..messages {
            let text = format!("message {number}: {}", sequence.words());
            if is_with_bob(number) {
                unit.add_message(&filling.direct(filling.bob, number, text)).await?;
            } else {
                match filling.room(number)? {
                    Kind::Person(user) => {
                        unit.add_message(&filling.direct(user, number, text)).await?;
                    }
                    Kind::Channel(chain) => {
                        unit.add_post(&filling.post(chain, number, text)?).await?;
                    }
                }
            }
            if number % BATCH == 0 {
                unit.commit().await?;
                unit = store.write().await?;
            }
        }
        unit.commit().await?;
        let written = begun.elapsed();
        let begun = now();
        while index_next(&store, Policy::DEFAULT).await? {}
        store.close().await;
        let size = std::fs::metadata(place(&self.home("alice"))?.store())?.len() >> 20;
        println!(
            "{messages} messages in {} rooms written in {:.0} s, indexed in {:.0} s: {size} MiB",
            filling.rooms.len().saturating_add(1),
            written.as_secs_f64(),
            begun.elapsed().as_secs_f64()
        );
        Ok(())
    }
}

/// Whether a message is one of Alice and Bob.
const fn is_with_bob(number: u64) -> bool {
    number % OF < WITH_BOB
}

fn place(home: &Path) -> anyhow::Result<Place> {
    Ok(Place::find(Some(home.to_owned()), None)?)
}

async fn open(home: &Path) -> anyhow::Result<Store> {
    Ok(unlock(&place(home)?, Secret::Found).await?)
}

/// So that the last of them was written an hour ago.
fn start(messages: u64) -> anyhow::Result<Timestamp> {
    let ago = STEP.saturating_mul(u32::try_from(messages)?).saturating_add(STEP.saturating_mul(60));
    let ago = u64::try_from(ago.as_millis())?;
    Ok(Timestamp::from_millis(SystemClock.now().as_millis().saturating_sub(ago)))
}

#[derive(Clone, Copy)]
enum Kind {
    Person(UserId),
    Channel(ChainId),
}

/// All rooms but the one with Bob. People are made up here; channels are those that the communities' logs have.
async fn rooms_of(store: &Store) -> anyhow::Result<Vec<Kind>> {
    let mut unit = store.write().await?;
    let mut rooms = vec![];
    let server: ServerName = "load.example".parse()?;
    for number in 0..CONVERSATIONS {
        let name: UserName = format!("person-{number}").parse()?;
        let user = person(u64::try_from(number)?);
        unit.put_name(user, &name).await?;
        let since = Timestamp::from_millis(1_700_000_000_000);
        unit.put_contact(&ContactRow::met(user, Some(name), server.clone(), since)).await?;
        rooms.push(Kind::Person(user));
    }
    for community in unit.communities().await? {
        for entry in unit.log_entries(community.community, 0, 10_000).await? {
            if let Action::ChannelSet(set) = statement_of(&entry)?.action {
                rooms.push(Kind::Channel(ChainId::of_channel(community.community, set.channel)));
            }
        }
    }
    unit.commit().await?;
    let wanted = ROOMS.saturating_sub(1);
    ensure!(rooms.len() == wanted, "{} rooms were made, not {wanted}", rooms.len());
    Ok(rooms)
}

fn person(number: u64) -> UserId {
    UserId::from_bytes([u8::try_from(number % 256).unwrap_or_default(); 32])
}

struct Filling {
    alice: UserId,
    bob: UserId,
    rooms: Vec<Kind>,
    start: Timestamp,
}

impl Filling {
    fn room(&self, number: u64) -> anyhow::Result<Kind> {
        let turn = usize::try_from(number)?.checked_rem(self.rooms.len()).unwrap_or(0);
        self.rooms.get(turn).copied().context("no rooms")
    }

    fn at(&self, number: u64) -> Timestamp {
        self.start.plus(STEP.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX)))
    }

    fn direct(&self, with: UserId, number: u64, text: String) -> Message {
        Message {
            conversation: with,
            item: ItemId::from_bytes(u128::from(number).to_be_bytes()),
            author: if number.is_multiple_of(2) { with } else { self.alice },
            device: DeviceId::from_bytes([1; 32]),
            at: self.at(number),
            text,
            state: MessageState::Read,
            reason: None,
            waits: None,
            stays: None,
            file: None,
        }
    }

    fn post(&self, chain: ChainId, number: u64, text: String) -> anyhow::Result<Post> {
        let content = Content::Text(Text {
            text,
            reply_to: None,
            thread: None,
            mentions: vec![],
            mentions_all: false,
            stays: None,
            file: None,
        });
        let rooms = u64::try_from(self.rooms.len())?;
        Ok(Post {
            chain,
            item: ItemId::from_bytes(u128::from(number).to_be_bytes()),
            author: person(number % 49),
            device: DeviceId::from_bytes([1; 32]),
            at: self.at(number),
            seq: number.checked_div(rooms),
            kind: content.kind(),
            content: content.encode(),
            state: MessageState::Read,
            reason: None,
            erased: None,
            hash: None,
            doubt: None,
        })
    }
}

/// The same sequence in every run (`SplitMix64`).
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// 3 to 16 words, of which some are far more frequent than others.
    fn words(&mut self) -> String {
        let count = self.below(14).saturating_add(3);
        let words: Vec<String> = (0..count)
            .map(|_| {
                let bound = self.below(WORDS).saturating_add(1);
                let bound = self.below(bound).saturating_add(1);
                word(self.below(bound))
            })
            .collect();
        words.join(" ")
    }
}

fn word(number: u64) -> String {
    const SYLLABLES: [&str; 16] = [
        "ka", "lo", "mi", "ne", "ru", "sa", "to", "vi", "be", "do", "fa", "gu", "hi", "jo", "pe",
        "zu",
    ];
    let mut rest = number.saturating_add(16);
    let mut word = String::new();
    while rest > 0 {
        let syllable = usize::try_from(rest % 16).ok().and_then(|index| SYLLABLES.get(index));
        word.push_str(syllable.copied().unwrap_or_default());
        rest /= 16;
    }
    word
}

fn text_at(answer: &Value, key: &str) -> anyhow::Result<String> {
    let found = answer.get(key).and_then(Value::as_str);
    Ok(found.with_context(|| format!("no {key} in {answer}"))?.to_owned())
}

/// An address that is free, and stays this scene's.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()?)
}

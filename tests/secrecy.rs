//! The server has nothing that anybody said: its files and its log are searched for all of it.

use std::fs;

use anyhow::{Result, bail, ensure};
use rookery_tests::{
    homeserver::Homeserver,
    process::PATIENCE,
    random::Random,
    search::{Needle, Search, files_below},
    world::{World, befriend},
};

#[tokio::test]
async fn nothing_that_was_said_is_in_the_servers_files_or_logs() -> Result<()> {
    let mut random = Random::from_seed(5)?;
    let world = World::new()?;
    let mut server = world.homeserver("nest").verbose().start().await?;
    let (alice, bob) = (world.profile("alice", "laptop")?, world.profile("bob", "laptop")?);
    alice.register(&server.ready().invite).await?;
    bob.register(&server.invite(1).await?).await?;
    let secrets = Secrets::new(&mut random);

    alice.ask(&["profile", "set", "--display-name", &secrets.display_name]).await?;
    alice.ask(&["profile", "set", "--status", &secrets.status]).await?;
    alice.ask(&["presence", "set", "busy", &secrets.status]).await?;
    befriend(&alice, &bob).await?;
    let phone = world.profile("alice", "phone")?;
    phone.link_to(&alice, &server.ready().invite).await?;
    let device = phone.ask(&["whoami"]).await?;
    let device = device.get("device").and_then(serde_json::Value::as_str).unwrap_or_default();
    alice.ask(&["device", "rename", device, &secrets.device_name]).await?;
    for text in &secrets.texts {
        alice.send("@bob", text).await?;
        bob.send("@alice", text).await?;
    }
    // They were said in earnest: the other side has them.
    let shown = bob.read_all("@alice", secrets.texts.len().saturating_mul(2), PATIENCE).await?;
    ensure!(secrets.texts.iter().all(|text| shown.iter().any(|message| message.text == *text)));

    secrets.are_nowhere(&server)?;
    server.stop().await?;
    secrets.are_nowhere(&server)
}

struct Secrets {
    texts: Vec<String>,
    display_name: String,
    status: String,
    device_name: String,
}

impl Secrets {
    fn new(random: &mut Random) -> Self {
        let mut words = |count: usize| -> String {
            (0..count).map(|_| random.word()).collect::<Vec<_>>().join(" ")
        };
        Self {
            // From one word to more than a page of the database.
            texts: [1, 1, 3, 8, 40, 700].map(&mut words).into(),
            display_name: words(2),
            status: words(3),
            device_name: words(1),
        }
    }

    /// Each of their words: a search for a whole text would miss one that is split over pages, or cut.
    fn words(&self) -> impl Iterator<Item = &str> {
        let names = [&self.display_name, &self.status, &self.device_name];
        self.texts.iter().chain(names).flat_map(|text| text.split(' '))
    }

    fn are_nowhere(&self, server: &Homeserver) -> Result<()> {
        let search = Search::for_words(self.words());
        // The account's name is clear to the server, so a search must find it, or it could find nothing.
        let control = Search::for_words(["alice"]);
        let mut sighted = false;
        for file in files_below(server.data())?.into_iter().chain([server.log_file()]) {
            let content = fs::read(&file)?;
            sighted |= control.first_in(&content).is_some();
            if let Some(Needle { word, form, .. }) = search.first_in(&content) {
                bail!("{word:?} stands as {form} in {}", file.display());
            }
        }
        ensure!(sighted, "the search is blind");
        Ok(())
    }
}

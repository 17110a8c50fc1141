//! A homeserver of a simulation: the real services over the storage in memory.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result};
use rookery_homeserver::{
    config::{Loaded, Source},
    identity::{Absent, DataDir},
    repository::{Storage as _, memory::Memory},
    server::{self, Ingredients, Running},
    service::password::Passwords,
};
use rookery_protocol::io::simulation::{Death, Network};

use super::{clock::VirtualClock, copy_folder, spot_of_home};

/// A homeserver, whether it runs or not.
pub(super) struct Home {
    pub(super) number: usize,
    /// Where each of its lives has its directory.
    folder: PathBuf,
    life: u32,
    pub(super) storage: Memory,
    pub(super) clock: Arc<VirtualClock>,
    pub(super) running: Option<Running>,
}

/// What a home calls itself.
pub(super) fn name_of_home(number: usize) -> String {
    format!("home{number}")
}

impl Home {
    /// A home with what `storage` and the directory `data` have; a new one where that is empty.
    pub(super) fn new(
        number: usize,
        storage: Memory,
        data: Option<&Path>,
        folder: &Path,
        clock: Arc<VirtualClock>,
    ) -> Result<Self> {
        let folder = folder.join(name_of_home(number));
        std::fs::create_dir_all(&folder)?;
        let home = Self { number, folder, life: 0, storage, clock, running: None };
        if let Some(data) = data {
            copy_folder(data, &home.data())?;
        }
        Ok(home)
    }

    /// Where this life has its directory.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.join(self.life.to_string())
    }

    /// Starts it.
    pub(super) async fn start(&mut self) -> Result<()> {
        let data = DataDir::take(&self.data(), Absent::Make)?;
        let mut loaded = Loaded::default();
        let listens = spot_of_home(self.number)?.listens().to_string();
        for (key, value) in [
            ("server.listen", listens.as_str()),
            ("server.advertise", listens.as_str()),
            ("server.name", &name_of_home(self.number)),
        ] {
            loaded.set(key, value, Source::Default)?;
        }
        loaded.lift_limits(&Source::Default);
        let clock = Arc::clone(&self.clock);
        let ingredients = Ingredients {
            data,
            storage: Arc::new(self.storage.clone()),
            config: loaded.config,
            clock,
            passwords: Passwords::default(),
        };
        self.running = Some(Box::pin(server::start(ingredients, None)).await?);
        Ok(())
    }

    /// Ends it at once: what it had committed stays, and nothing else.
    pub(super) async fn crash(&mut self, network: &Network, death: Death) -> Result<()> {
        let Some(running) = self.running.take() else { return Ok(()) };
        network.kill(spot_of_home(self.number)?, death);
        let storage = self.storage.cut();
        self.storage.close().await;
        self.storage = storage;
        let data = self.data();
        self.life = self.life.saturating_add(1);
        copy_folder(&data, &self.data())?;
        // What is left of it sees nobody, and can write nothing.
        running.lifecycle.drain.cancel();
        running.lifecycle.abort.cancel();
        #[expect(clippy::disallowed_methods, reason = "it ends with the runtime")]
        let _ending = tokio::spawn(running.stop());
        Ok(())
    }

    /// Ends it in order.
    pub(super) async fn stop(&mut self) -> Result<()> {
        let storage = self.storage.clone();
        self.running.take().context("it runs")?.stop().await;
        self.storage = storage.cut();
        Ok(())
    }

    /// What runs.
    pub(super) fn running(&self) -> Result<&Running> {
        self.running.as_ref().context("the home runs")
    }
}

//! A device of a simulation: the real engine over its real store.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result};
use rookery_cli::{
    agent::verb::{Call, Verb},
    config::Place,
    engine::Engine,
    error::{CommandError, Kind},
    store::{self, Secret},
};
use rookery_protocol::io::simulation::{Death, Network};
use tokio::{
    sync::{Notify, mpsc},
    time::Duration,
};

use super::{clock::VirtualClock, copy_folder, spot_of_device};

/// A device, whether its program runs or not.
pub(super) struct Device {
    pub(super) number: usize,
    folder: PathBuf,
    clock: Arc<VirtualClock>,
    state: RefCell<State>,
    /// Told when its program is killed.
    killed: Notify,
}

#[derive(Default)]
struct State {
    life: u32,
    engine: Option<Arc<Engine>>,
}

impl Device {
    /// A device with what the profile in `data` has.
    pub(super) fn new(
        number: usize,
        data: Option<&Path>,
        folder: &Path,
        clock: Arc<VirtualClock>,
    ) -> Result<Self> {
        let folder = folder.join(format!("device{number}"));
        std::fs::create_dir_all(&folder)?;
        let state = RefCell::default();
        let device = Self { number, folder, clock, state, killed: Notify::new() };
        if let Some(data) = data {
            copy_folder(data, &device.data())?;
        }
        Ok(device)
    }

    /// Where this life has its profile.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.join(self.state.borrow().life.to_string())
    }

    /// Where its profile is, as the program names it.
    pub(super) fn place(&self) -> Result<Place> {
        Ok(Place::find(Some(self.data()), None)?)
    }

    /// Starts its program.
    pub(super) async fn start(&self) -> Result<()> {
        let place = self.place()?;
        let store = store::unlock(&place, Secret::Found).await?;
        let clock = Arc::clone(&self.clock);
        let engine = Box::pin(Engine::open_at(place, store, clock)).await?;
        engine.start();
        self.state.borrow_mut().engine = Some(engine);
        Ok(())
    }

    /// Kills its program: what its store had committed stays, and nothing else.
    pub(super) fn crash(&self, network: &Network) -> Result<()> {
        let Some(engine) = self.state.borrow_mut().engine.take() else { return Ok(()) };
        network.kill(spot_of_device(self.number)?, Death::Reset);
        let data = self.data();
        let life = self.state.borrow().life.saturating_add(1);
        self.state.borrow_mut().life = life;
        copy_folder(&data, &self.data())?;
        self.killed.notify_waiters();
        #[expect(clippy::disallowed_methods, reason = "it ends with the runtime")]
        let _ending = tokio::spawn(async move { engine.stop(Duration::ZERO).await });
        Ok(())
    }

    /// Ends its program in order.
    pub(super) async fn stop(&self) -> Result<()> {
        let engine = self.state.borrow_mut().engine.take().context("it runs")?;
        engine.stop(Duration::from_secs(5)).await;
        Ok(())
    }

    /// The program, if it runs.
    pub(super) fn engine(&self) -> Option<Arc<Engine>> {
        self.state.borrow().engine.clone()
    }

    /// Asks its program something; an answer that the program did not live to give is none.
    pub(super) async fn ask<V: Verb>(&self, verb: V) -> Result<V::Reply, CommandError> {
        let dead = || CommandError::new(Kind::Failed, "the program was killed");
        let engine = self.engine().ok_or_else(dead)?;
        let (events, _kept) = mpsc::channel(16);
        tokio::select! {
            biased;
            () = self.killed.notified() => Err(dead()),
            answer = verb.run(Call::new(engine, events)) => answer,
        }
    }
}

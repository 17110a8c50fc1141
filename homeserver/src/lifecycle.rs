//! How a server ends: first it drains (begins nothing, finishes what has begun), then it aborts.

use std::{sync::Once, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long draining may take: the grace of service managers is 60 s or more, and a client waits 10 s for an answer.
pub const GRACE: Duration = Duration::from_secs(10);

/// The end of a server, for everything that runs in it. Copies are the same end.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    /// Begin nothing more.
    pub drain: CancellationToken,
    /// Stop at once.
    pub abort: CancellationToken,
    /// Everything that runs.
    pub tasks: TaskTracker,
}

/// The signals that ask for the end. From when this is made, they end nothing by themselves: before anybody is told that the server is ready.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens for them.
    pub fn listen() -> std::io::Result<Self> {
        let (terminate, interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt })
    }
}

impl Lifecycle {
    /// Waits for SIGTERM or SIGINT, or for a task that panicked.
    pub async fn asked_to_stop(&self, signals: &mut Signals) {
        tokio::select! {
            _ = signals.terminate.recv() => tracing::info!("stopping: SIGTERM"),
            _ = signals.interrupt.recv() => tracing::info!("stopping: SIGINT"),
            () = self.drain.cancelled() => {}
        }
    }

    /// Drains, and aborts what is not done after [`GRACE`].
    pub async fn stop(&self) {
        self.drain.cancel();
        self.tasks.close();
        if tokio::time::timeout(GRACE, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "aborting what is not done");
            self.abort.cancel();
            tokio::time::timeout(Duration::from_secs(1), self.tasks.wait()).await.ok();
        }
    }

    /// Has the server stop in order when any task panics: a task that is gone leaves a server that looks alive and is not.
    pub fn stop_on_panic(&self) {
        static ONCE: Once = Once::new();
        let drain = self.drain.clone();
        ONCE.call_once(move || {
            let former = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                former(panic);
                tracing::error!(place = ?panic.location().map(ToString::to_string), "a task panicked: stopping");
                PANICKED.store(true, std::sync::atomic::Ordering::SeqCst);
                drain.cancel();
            }));
        });
    }

    /// Whether a task panicked.
    #[must_use]
    pub fn panicked() -> bool {
        PANICKED.load(std::sync::atomic::Ordering::SeqCst)
    }
}

static PANICKED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

//! What is typed at the terminal, while this program is the one that reads it.

use futures::StreamExt as _;
use ratatui::crossterm::event::{Event, EventStream};

/// The reader of keys. One that was stopped leaves every later key to whoever reads the terminal next.
#[derive(Debug, Default)]
pub(super) struct Keyboard(Option<EventStream>);

impl Keyboard {
    /// Reads from now on.
    pub(super) fn start(&mut self) {
        self.0 = Some(EventStream::new());
    }

    /// Stops, and returns once nothing is read any more.
    pub(super) fn stop(&mut self) {
        if self.0.take().is_some() {
            // Dropping a stream only tells its thread to end, and until it has, it takes keys that were meant for the shell. A new stream
            // is made under the lock that the thread holds while it reads, and reads nothing itself before it is asked for a key.
            drop(EventStream::new());
        }
    }

    /// The next key, paste or change of the terminal; `None` if there is nobody at the terminal any more. Waits for ever while stopped.
    pub(super) async fn next(&mut self) -> Option<Event> {
        match &mut self.0 {
            Some(stream) => stream.next().await.and_then(Result::ok),
            None => std::future::pending().await,
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.stop();
    }
}

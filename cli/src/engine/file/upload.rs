//! Putting files: a durable queue, two at a time, each going on where it ended.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    time::Duration,
};

use rookery_protocol::{
    codec::Octets,
    delivery::Backoff,
    id::BlobId,
    io::client::{CallError, Client},
    request::{
        Refusal,
        file::{DropFile, PutFile, PutFileError},
    },
    time::Timestamp,
};
use tokio::{sync::Notify, time::Instant};

use super::{Engine, Pace, Stage, message_of, outgoing, throttled};
use crate::{
    engine::{draw, queue::Queued},
    store::{MessageState, Post, StoreError, Transfer, TransferTask},
};

/// Files that are put at once.
const AT_ONCE: usize = 2;
/// Files that are looked at for those.
const LOOKED_AT: u32 = 64;
/// How often one attempt goes on elsewhere than where it ended, because the server has something else, or less.
const MAX_ANEW: u32 = 2;
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// The wait while the server has no room, or too many are under way.
const SLOW: Duration = Duration::from_mins(5);
/// How often it is told how far a file has come.
const TELL: Duration = Duration::from_millis(500);

/// Why a file was not put.
#[derive(Debug)]
enum Unput {
    /// Try again, not before the time if one is given.
    Later(String, Option<Duration>),
    /// It never will be.
    Failed(String),
}

impl Queued for Transfer {
    type Line = BlobId;
    const QUEUE: &'static str = "files";

    fn line(&self) -> BlobId {
        self.file
    }

    fn not_before(&self) -> Timestamp {
        self.not_before
    }

    async fn fronts(engine: &Engine) -> Result<Vec<Self>, StoreError> {
        let mut waiting = engine.store.read().await?.transfers(LOOKED_AT).await?;
        let now = engine.now();
        // What is to be tried later holds up nobody.
        waiting.sort_by_key(|transfer| transfer.not_before > now);
        waiting.truncate(AT_ONCE);
        Ok(waiting)
    }

    fn wake(engine: &Engine) -> &Notify {
        &engine.transfers_wake
    }

    async fn attempt(self, engine: &Engine, client: &Client) {
        let outcome = match engine.store.read().await {
            Ok(mut unit) => unit.is_awaited(engine.user, &self).await,
            Err(error) => Err(error),
        };
        let outcome = match outcome {
            // Its message was taken back, or has expired.
            Ok(false) => Ok(()),
            Ok(true) => engine.transfer(client, &self).await,
            Err(error) => Err(Unput::Later(error.to_string(), None)),
        };
        engine.progress.forget(self.file);
        let written = match outcome {
            Ok(()) => engine.note_transferred(&self).await,
            Err(Unput::Failed(why)) => engine.give_up_transfer(&self, &why).await,
            Err(Unput::Later(why, wait)) => engine.postpone_transfer(client, self, why, wait).await,
        };
        if let Err(error) = written {
            tracing::error!(%error, "the queue of files cannot be written");
        }
        engine.timeline_changed();
    }
}

impl Engine {
    async fn transfer(&self, client: &Client, transfer: &Transfer) -> Result<(), Unput> {
        if transfer.task != TransferTask::Drop {
            return self.put_file(client, transfer).await;
        }
        match client.call_watched(&DropFile { file: transfer.file }).await {
            // A server that does not know how keeps none.
            Ok(()) | Err(CallError::Refused(Refusal::UnknownMethod)) => Ok(()),
            Err(error) => Err(Unput::Later(error.to_string(), None)),
        }
    }

    async fn put_file(&self, client: &Client, transfer: &Transfer) -> Result<(), Unput> {
        let Transfer { file, size, .. } = *transfer;
        let gone =
            |error: io::Error| Unput::Failed(format!("its sealed copy cannot be read: {error}"));
        let mut source = None;
        let (mut pace, mut anew) = (Pace::new(), 0_u32);
        let (mut offset, mut length, mut told) = (0_u64, 0_usize, Instant::now());
        loop {
            let bytes = self.sealed_part(file, &mut source, offset, length).map_err(gone)?;
            let request = PutFile { file, size, offset, bytes };
            let begun = Instant::now();
            match client.call_watched(&request).await {
                Ok(progress) if progress.have >= size => return Ok(()),
                Ok(progress) if length == 0 || progress.have > offset => offset = progress.have,
                answer @ (Ok(_)
                | Err(CallError::Request(
                    PutFileError::Gap { .. } | PutFileError::OtherHash,
                ))) => {
                    anew = anew.saturating_add(1);
                    if anew > MAX_ANEW {
                        let why = "the server does not keep what it is given";
                        return Err(Unput::Later(why.to_owned(), Some(SLOW)));
                    }
                    offset = match answer {
                        Ok(progress) => progress.have,
                        Err(CallError::Request(PutFileError::Gap { have })) => have,
                        Err(_) => 0,
                    };
                }
                Err(CallError::Refused(Refusal::Throttled { retry_after_ms })) => {
                    // The line is full for a moment, and the file goes on.
                    tokio::time::sleep(throttled(retry_after_ms)).await;
                    continue;
                }
                Err(error) => return Err(unput(error)),
            }
            if length > 0 {
                pace.note(begun.elapsed());
            }
            length = pace.0;
            self.progress.note(file, Stage::Under((offset, size)));
            if told.elapsed() >= TELL {
                told = Instant::now();
                self.timeline_changed();
            }
        }
    }

    /// The next part of a sealed copy. One without bytes asks how far the server has it, and needs no copy: all may be there.
    fn sealed_part<const MAX: usize>(
        &self,
        file: BlobId,
        source: &mut Option<File>,
        offset: u64,
        length: usize,
    ) -> io::Result<Octets<MAX>> {
        if length == 0 {
            return Octets::parse(vec![]).map_err(|_| io::ErrorKind::InvalidData.into());
        }
        let source = match source {
            Some(source) => source,
            None => source.insert(File::open(outgoing(&self.place, file))?),
        };
        part(source, offset, length)
    }

    async fn note_transferred(&self, transfer: &Transfer) -> Result<(), StoreError> {
        let mut unit = self.store.write().await?;
        unit.end_transfer(self.user, transfer).await?;
        unit.commit().await?;
        self.discard(transfer.file);
        self.outbox_wake.notify_one();
        self.postings_wake.notify_one();
        Ok(())
    }

    /// The message says why it was not sent; the sealed copy stays for a week, for another try.
    async fn give_up_transfer(&self, transfer: &Transfer, why: &str) -> Result<(), StoreError> {
        tracing::debug!(file = %transfer.file, why, "a file was given up");
        let mut unit = self.store.write().await?;
        unit.end_transfer(self.user, transfer).await?;
        match transfer.task {
            TransferTask::ForPerson { to, item } => {
                unit.dequeue(self.user, to, item).await?;
                unit.move_message(to, self.user, item, MessageState::Failed, Some(why)).await?;
            }
            TransferTask::ForChannel { chain, item } => {
                unit.dequeue_posting(self.user, chain, item).await?;
                if let Some(placed) = unit.post(chain, self.user, item).await? {
                    let (state, reason) = (MessageState::Failed, Some(why.to_owned()));
                    unit.update_post(&Post { state, reason, ..placed.post }).await?;
                }
            }
            TransferTask::Drop => {}
        }
        unit.commit().await
    }

    async fn postpone_transfer(
        &self,
        client: &Client,
        transfer: Transfer,
        why: String,
        wait: Option<Duration>,
    ) -> Result<(), StoreError> {
        if client.connection().lost().is_some() {
            return Ok(());
        }
        tracing::debug!(item = ?message_of(transfer.task), why, "a file has to wait");
        let mut backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
        for _ in 0..transfer.attempts.min(12) {
            backoff.next_delay(0);
        }
        let wait = wait.unwrap_or_else(|| backoff.next_delay(draw()));
        self.progress.note(transfer.file, Stage::Waits(why.clone()));
        let next = Transfer {
            not_before: self.now().plus(wait),
            attempts: transfer.attempts.saturating_add(1),
            trouble: Some(why),
            ..transfer
        };
        let mut unit = self.store.write().await?;
        unit.put_transfer(self.user, &next).await?;
        unit.commit().await
    }
}

/// A part of a sealed copy.
fn part<const MAX: usize>(
    source: &mut File,
    offset: u64,
    length: usize,
) -> io::Result<Octets<MAX>> {
    source.seek(SeekFrom::Start(offset))?;
    let most = u64::try_from(length.min(MAX)).unwrap_or(u64::MAX);
    let mut bytes = vec![];
    source.take(most).read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Octets::parse(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
}

fn unput(error: CallError<PutFileError>) -> Unput {
    match error {
        CallError::Request(PutFileError::ServerFull | PutFileError::TooMany) => {
            Unput::Later(error.to_string(), Some(SLOW))
        }
        CallError::Request(error) => Unput::Failed(error.to_string()),
        CallError::Refused(
            refusal @ (Refusal::TooLarge
            | Refusal::NotPermitted
            | Refusal::UnknownMethod
            | Refusal::Malformed),
        ) => Unput::Failed(refusal.to_string()),
        error => Unput::Later(error.to_string(), None),
    }
}

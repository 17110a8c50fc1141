//! Making the search index: what arrived is gathered into small segments, and those are merged into larger ones.
//!
//! A small one is made of [`Policy::unit`] messages, whenever as many have arrived; what is fewer stays outside, and is looked through anew
//! at every search. So a segment is written once, of whole units, and an unlucky moment costs nothing but doing it again.

use std::{sync::Arc, time::Duration};

use rookery_protocol::time::Timestamp;

use super::{Engine, community::merge};
use crate::{
    e2ee::content::{Attachment, Content, Text},
    search::{
        Document, Feature, Room,
        segment::{Builder, Damaged, Segment},
    },
    store::{Message, PlacedPost, SegmentRow, Store, StoreError, Told, Unit},
};

/// When segments are made and merged.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How many messages become a segment.
    pub unit: u32,
    /// How many segments of one level become one of the next.
    pub fan: usize,
    /// The level beyond which nothing is merged: what is merged has to fit into memory.
    pub top: u32,
}

impl Policy {
    /// Segments of 1,024 messages, of 16,384 and of 262,144.
    pub const DEFAULT: Self = Self { unit: 1_024, fan: 16, top: 2 };
}

/// How long changes are gathered before there is a look at what to index.
const GATHER: Duration = Duration::from_secs(1);
/// The wait between two units, so that whatever else wants the store has its turn.
const BREATH: Duration = Duration::from_millis(5);
/// The wait after something failed.
const RETRY: Duration = Duration::from_mins(5);

impl Engine {
    /// Keeps the index near the end of what has arrived, with a connection or without one.
    pub(super) async fn run_indexer(self: Arc<Self>) {
        let mut changes = self.timeline.subscribe();
        let mut wait = Duration::ZERO;
        loop {
            tokio::select! {
                () = self.drain.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            changes.mark_unchanged();
            wait = match index_next(&self.store, Policy::DEFAULT).await {
                Ok(true) => BREATH,
                Ok(false) => {
                    tokio::select! {
                        () = self.drain.cancelled() => return,
                        came = changes.changed() => if came.is_err() { return },
                    }
                    GATHER
                }
                Err(error) => {
                    tracing::warn!(%error, "the search index has to wait");
                    self.forget_damaged_index(&error).await.ok();
                    RETRY
                }
            };
        }
    }

    /// Drops the index when it is what is damaged; says whether it was.
    pub(super) async fn forget_damaged_index(
        &self,
        error: &StoreError,
    ) -> Result<bool, StoreError> {
        if !error.is_of_index() {
            return Ok(false);
        }
        let mut unit = self.store.write().await?;
        unit.forget_index().await?;
        unit.commit().await?;
        self.timeline_changed();
        Ok(true)
    }
}

/// Makes one segment, or merges some; says whether there was anything to do. Only one task may call it for a store.
pub async fn index_next(store: &Store, policy: Policy) -> Result<bool, StoreError> {
    let mut unit = store.read().await?;
    let segments = unit.segments().await?;
    if let Some(level) = crowded(&segments, policy) {
        let few: Vec<&SegmentRow> =
            segments.iter().filter(|row| row.head.level == level).take(policy.fan).collect();
        return merge_segments(store, unit, &few, level).await;
    }
    let after = indexed_through(&segments);
    let told = unit.told_after(after, policy.unit).await?;
    let Some(last) = told.last().map(Told::position) else { return Ok(false) };
    if told.len() < usize::try_from(policy.unit).unwrap_or(usize::MAX) {
        return Ok(false);
    }
    let builder = gather(&mut unit, told).await?;
    drop(unit);
    let mut unit = store.write().await?;
    unit.add_segment(&builder.build(0, after, last)).await?;
    unit.commit().await?;
    Ok(true)
}

/// Up to which position messages stand in segments.
pub(super) fn indexed_through(segments: &[SegmentRow]) -> u64 {
    segments.iter().map(|row| row.head.through).max().unwrap_or(0)
}

/// The lowest level with too many segments.
fn crowded(segments: &[SegmentRow], policy: Policy) -> Option<u32> {
    (0..policy.top)
        .find(|level| segments.iter().filter(|row| row.head.level == *level).count() >= policy.fan)
}

async fn merge_segments(
    store: &Store,
    mut reader: Unit,
    rows: &[&SegmentRow],
    level: u32,
) -> Result<bool, StoreError> {
    let mut parts = vec![];
    for row in rows {
        let blocks = reader.segment_blocks(row, 0..row.head.blocks()).await?;
        parts.push(Segment { head: row.head.clone(), blocks });
    }
    drop(reader);
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(false) };
    let (after, through) = (first.head.after, last.head.through);
    let merged = tokio::task::spawn_blocking(move || {
        let mut builder = Builder::default();
        for part in &parts {
            builder.merge(part)?;
        }
        Ok::<_, Damaged>(builder.build(level.saturating_add(1), after, through))
    });
    // It ends early only when the program does.
    let Ok(merged) = merged.await else { return Ok(false) };
    let merged = merged?;
    let mut unit = store.write().await?;
    for row in rows {
        unit.drop_segment(row).await?;
    }
    unit.add_segment(&merged).await?;
    unit.commit().await?;
    Ok(true)
}

/// What arrived, as it is found: a message under its own position, and the new text of an edited one under the position of the message.
pub(super) async fn gather(unit: &mut Unit, told: Vec<Told>) -> Result<Builder, StoreError> {
    let mut builder = Builder::default();
    for one in told {
        match one {
            Told::Direct(placed) => {
                let document = direct(placed.message);
                builder.add(placed.position, document.at, document.tokens());
            }
            Told::Channel(placed) => {
                if let Some((position, document)) = of_channel(unit, placed).await? {
                    builder.add(position, document.at, document.tokens());
                }
            }
        }
    }
    Ok(builder)
}

async fn of_channel(
    unit: &mut Unit,
    placed: PlacedPost,
) -> Result<Option<(u64, Document)>, StoreError> {
    let post = &placed.post;
    match post.said() {
        Content::Text(text) => {
            Ok(Some((placed.position, said(&placed, &text, text.text.clone(), false))))
        }
        Content::Edit(edit) if edit.target.author == post.author => {
            let target = unit.post(post.chain, edit.target.author, edit.target.item).await?;
            let Some(target) = target else { return Ok(None) };
            let Content::Text(text) = target.post.said() else { return Ok(None) };
            Ok(Some((target.position, said(&target, &text, edit.text, true))))
        }
        _ => Ok(None),
    }
}

/// A message as it is now; nothing for what is none, such as a reaction, and for what was erased.
pub(super) async fn current(unit: &mut Unit, told: &Told) -> Result<Option<Document>, StoreError> {
    match told {
        Told::Direct(placed) if placed.message.has_expired() => Ok(None),
        Told::Direct(placed) => Ok(Some(direct(placed.message.clone()))),
        Told::Channel(placed) => {
            let post = &placed.post;
            if post.erased.is_some() {
                return Ok(None);
            }
            let Content::Text(text) = post.said() else { return Ok(None) };
            let about = unit.about(post.chain, post.reference()).await?;
            let shown = merge(placed, &about);
            Ok(Some(said(placed, &text, shown.text, shown.is_edited)))
        }
    }
}

/// A text, and what the file is called that goes with it: it is found by both.
fn with_name(text: String, file: Option<&Attachment>) -> String {
    match file {
        Some(file) if text.is_empty() => file.name.clone(),
        Some(file) => format!("{text}\n{}", file.name),
        None => text,
    }
}

fn direct(message: Message) -> Document {
    let room = Room::Direct(message.conversation);
    let Message { author, at, text, file, .. } = message;
    let features = file.iter().map(|_| Feature::File).collect();
    Document { author, room, at, text: with_name(text, file.as_deref()), features }
}

fn said(placed: &PlacedPost, first: &Text, text: String, is_edited: bool) -> Document {
    let has = [
        (Feature::Mention, first.mentions_all || !first.mentions.is_empty()),
        (Feature::Reply, first.reply_to.is_some()),
        (Feature::Edit, is_edited),
        (Feature::File, first.file.is_some()),
    ];
    let features = has.into_iter().filter(|(_, has)| *has).map(|(feature, _)| feature).collect();
    let post = &placed.post;
    let at: Timestamp = post.at;
    let text = with_name(text, first.file.as_deref());
    Document { author: post.author, room: Room::Channel(post.chain), at, text, features }
}

//! The follow stream of a server that lies: whole chains as they are to be shown, and what is live.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Result;
use rookery_homeserver::service::{
    feed::{Feed, Live},
    follow, message,
};
use rookery_protocol::{
    codec,
    id::ChainId,
    io::SendStream,
    session::{Authenticated, FollowDown},
};

use super::Liar;

/// What goes down a follow stream.
pub(super) struct Down<'l> {
    pub(super) liar: &'l Liar,
    pub(super) who: Authenticated,
    pub(super) send: SendStream,
    pub(super) feed: Arc<Feed>,
    pub(super) position: u64,
    /// The last place that was told of each chain.
    pub(super) sent: BTreeMap<ChainId, Option<u64>>,
}

impl Down<'_> {
    pub(super) async fn run(&mut self) -> Result<()> {
        let mut told = self.liar.told.subscribe();
        self.tell_chains().await?;
        self.tell_mailbox().await?;
        self.put(&FollowDown::CaughtUp).await?;
        loop {
            tokio::select! {
                taken = self.feed.next() => {
                    if taken.replaced {
                        return Ok(());
                    }
                    self.pass_on(taken.items.into_iter().collect()).await?;
                    if taken.behind {
                        self.tell_mailbox().await?;
                    }
                }
                changed = told.changed() => {
                    changed?;
                    self.sent.values_mut().for_each(|sent| *sent = None);
                    self.tell_chains().await?;
                }
            }
        }
    }

    async fn pass_on(&mut self, items: Vec<Live>) -> Result<()> {
        for live in &items {
            match live {
                Live::Begin { chain, have } => drop(self.sent.insert(*chain, *have)),
                Live::End { chain } => drop(self.sent.remove(chain)),
                _ => {}
            }
        }
        // What certifies something goes before what it certifies.
        self.tell_chains().await?;
        for live in items {
            match live {
                Live::Envelope { position, frame } if position > self.position => {
                    self.position = position;
                    self.send.write_frame(&frame).await?;
                }
                Live::Notice(frame) => self.send.write_frame(&frame).await?,
                _ => {}
            }
        }
        Ok(())
    }

    async fn tell_chains(&mut self) -> Result<()> {
        let chains: Vec<ChainId> = self.sent.keys().copied().collect();
        for chain in chains {
            for entry in self.liar.shown(self.who.user, chain).await? {
                let sent = self.sent.get(&chain).copied().flatten();
                if sent < Some(entry.seq) {
                    self.sent.insert(chain, Some(entry.seq));
                    self.put(&FollowDown::Entry(entry)).await?;
                }
            }
        }
        Ok(())
    }

    async fn tell_mailbox(&mut self) -> Result<()> {
        loop {
            let services = self.liar.services();
            let page = follow::waiting(services, self.feed.device, self.position).await?;
            for waiting in &page.rows {
                let frame = message::frame(waiting.position, waiting.at, &waiting.envelope);
                self.send.write_frame(&frame).await?;
                self.position = waiting.position;
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    async fn put(&mut self, down: &FollowDown) -> Result<()> {
        Ok(self.send.write_frame(&codec::encode(down)).await?)
    }
}

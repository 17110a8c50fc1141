//! Answers as the lies make them.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use rookery_homeserver::{repository::chain::StoredChain, service::community::fork::chain_of};
use rookery_protocol::{
    chain::{Entry, SignedHead},
    codec::{self, MAX_BATCH, Octets},
    id::{BlobId, ChainId, ServerId, UserId},
    request::{
        Answer, Never, Request as _,
        blob::{BlobPart, GetBlob, GetBlobError},
        chain::{Entries, ReadChain, ReadError},
        community::{ManyEntries, PreviewError, PreviewLog, ReadChains},
        peer_place::{PeerListPlaces, PeerReadPlace, Places},
    },
};

use super::Liar;

impl Liar {
    /// The answer as the lies make it.
    pub(super) async fn changed(
        &self,
        to: UserId,
        method: &str,
        body: &[u8],
        honest: Vec<u8>,
    ) -> Result<Vec<u8>> {
        if method == ReadChain::METHOD {
            let ReadChain { chain, after, limit } = codec::decode(body)?;
            let answer: Answer<Entries, ReadError> = codec::decode_within(&honest, MAX_BATCH)?;
            return self.change_page(to, (chain, after, limit), answer).await;
        }
        if method == PreviewLog::METHOD {
            let PreviewLog { community, after, limit, .. } = codec::decode(body)?;
            let answer: Answer<Entries, PreviewError> = codec::decode_within(&honest, MAX_BATCH)?;
            return self.change_page(to, (ChainId::of_log(community), after, limit), answer).await;
        }
        if method == ReadChains::METHOD {
            let ReadChains { chains } = codec::decode_within(body, MAX_BATCH)?;
            let mut entries = vec![];
            // Even what they may not read: who lies about members shows their chains as well.
            for wanted in chains {
                let shown = self.shown(to, wanted.chain).await?;
                entries.extend(shown.into_iter().filter(|entry| wanted.after < Some(entry.seq)));
            }
            let reply = ManyEntries { entries, more: false };
            return Ok(codec::encode(&Answer::<_, Never>::Reply(reply)));
        }
        if method == GetBlob::METHOD {
            let GetBlob { blob, .. } = codec::decode(body)?;
            let answer: Answer<BlobPart, GetBlobError> = codec::decode_within(&honest, MAX_BATCH)?;
            return self.change_blob(to, blob, answer);
        }
        Ok(honest)
    }

    /// The answer to another homeserver as the lies make it.
    pub(super) async fn changed_for_peer(
        &self,
        to: ServerId,
        method: &str,
        body: &[u8],
        honest: Vec<u8>,
    ) -> Result<Vec<u8>> {
        if method == PeerReadPlace::METHOD {
            let request: PeerReadPlace = codec::decode(body)?;
            let answer: Answer<Entries, ReadError> = codec::decode_within(&honest, MAX_BATCH)?;
            if !matches!(answer, Answer::Reply(_)) {
                return Ok(honest);
            }
            let chain = chain_of(request.community, request.channel);
            let mut entries = self.shown_to_peer(to, chain).await?;
            let head = self.sign_end(chain, &entries).await?;
            entries.retain(|entry| request.after < Some(entry.seq));
            let more = entries.len() > 256;
            entries.truncate(256);
            let page = Entries { entries, head, more };
            return Ok(codec::encode(&Answer::<_, ReadError>::Reply(page)));
        }
        if method == PeerListPlaces::METHOD {
            let answer: Answer<Places, Never> = codec::decode_within(&honest, MAX_BATCH)?;
            let Answer::Reply(mut places) = answer else { return Ok(honest) };
            for place in &mut places.places {
                let chain = chain_of(place.community, place.channel);
                if let Some(last) = self.shown_to_peer(to, chain).await?.last() {
                    place.head = last.seen().into();
                }
            }
            return Ok(codec::encode(&Answer::<_, Never>::Reply(places)));
        }
        Ok(honest)
    }

    async fn shown_to_peer(&self, to: ServerId, chain: ChainId) -> Result<Vec<Entry>> {
        let entries = self.entries(chain).await?;
        let lie = Arc::clone(&self.lies().peers);
        Ok(lie(to, chain, entries))
    }

    /// The server's signed word that a chain ends as `entries` do.
    async fn sign_end(&self, chain: ChainId, entries: &[Entry]) -> Result<Option<SignedHead>> {
        let stored =
            self.services().storage.read().await?.chain(chain).await?.context("a chain")?;
        let head = entries.last().map(|last| last.seen().into());
        let signed = self.services().sign_head(&StoredChain { head, ..stored });
        signed.map_err(|refusal| anyhow::anyhow!("{refusal}"))
    }

    async fn change_page<E: codec::Wire>(
        &self,
        to: UserId,
        (chain, after, limit): (ChainId, Option<u64>, u32),
        honest: Answer<Entries, E>,
    ) -> Result<Vec<u8>> {
        let Answer::Reply(page) = honest else { return Ok(codec::encode(&honest)) };
        let shown = self.shown(to, chain).await?;
        let mut entries: Vec<Entry> =
            shown.into_iter().filter(|entry| after < Some(entry.seq)).collect();
        let limit = usize::try_from(limit)?;
        let more = entries.len() > limit;
        entries.truncate(limit);
        Ok(codec::encode(&Answer::<_, E>::Reply(Entries { entries, more, ..page })))
    }

    fn change_blob(
        &self,
        to: UserId,
        blob: BlobId,
        honest: Answer<BlobPart, GetBlobError>,
    ) -> Result<Vec<u8>> {
        let Answer::Reply(BlobPart { size, bytes }) = honest else {
            return Ok(codec::encode(&honest));
        };
        let lie = Arc::clone(&self.lies().blobs);
        let answer = match lie(to, blob, bytes.as_slice().to_vec()) {
            Some(bytes) => Answer::Reply(BlobPart { size, bytes: Octets::parse(bytes)? }),
            None => Answer::Error(GetBlobError::NotFound),
        };
        Ok(codec::encode(&answer))
    }
}

//! The journal: a user's private chain, sealed, in which their devices keep common state and the archive of direct messages.

use std::collections::HashMap;

use rookery_protocol::{
    chain::{HeadRef, Kind, Seen, Submission},
    id::{ChainId, ItemId},
    request::{
        Failure, Refusal,
        chain::{AppendJournal, AppendJournalError, Appended},
    },
    session::Authenticated,
};

use super::{Services, account, statement};
use crate::repository::{
    StorageError,
    chain::{Append, ChainKind, StoredEntry},
};

/// How many items one request has.
const MAX_ITEMS: usize = 256;

/// Appends the caller's items; one that is there already keeps its place.
pub async fn append(
    services: &Services,
    who: Authenticated,
    request: AppendJournal,
) -> Result<Appended, Failure<AppendJournalError>> {
    let denied = |reason: String| Failure::Error(AppendJournalError::Denied { reason });
    if !(1..=MAX_ITEMS).contains(&request.items.len()) {
        return Err(denied(format!("one to {MAX_ITEMS} items at once")));
    }
    let chain = ChainId::of_journal(who.user);
    let (_, key) = account::device_key(services, &who).await?;
    let mut items: Vec<ItemId> = Vec::with_capacity(request.items.len());
    for submission in &request.items {
        let item = submission.verify(chain).map_err(|error| denied(error.to_string()))?;
        if submission.signed.author() != Some(key) || submission.signed.signatures.len() != 1 {
            return Err(denied(
                "an item is signed by the device that appends it, and by nobody else".to_owned(),
            ));
        }
        if item.kind != Kind::Journal {
            return Err(denied("another kind of entry".to_owned()));
        }
        items.push(item.item_id);
    }
    store(services, who, chain, request.items, &items).await
}

async fn store(
    services: &Services,
    who: Authenticated,
    chain: ChainId,
    submissions: Vec<Submission>,
    items: &[ItemId],
) -> Result<Appended, Failure<AppendJournalError>> {
    let now = services.clock.now();
    let mut unit = services.storage.begin().await?;
    let stored = match unit.chain(chain).await? {
        Some(stored) => stored,
        None => {
            unit.create_chain(chain, ChainKind::Journal, who.user, 0, now).await?;
            unit.chain(chain).await?.ok_or(StorageError::Inconsistent { table: "chain" })?
        }
    };
    let mut places: HashMap<ItemId, u64> = unit.places(chain, items).await?.into_iter().collect();
    let mut head: Option<Seen> = stored.head.map(Into::into);
    let (mut entries, mut bytes) = (Vec::new(), stored.bytes);
    for (submission, item) in submissions.into_iter().zip(items) {
        if places.contains_key(item) {
            continue;
        }
        bytes = bytes.saturating_add(u64::try_from(submission.body.len()).unwrap_or(u64::MAX));
        let entry = submission.place(chain, stored.owner_epoch, head);
        head = Some(entry.seen());
        places.insert(*item, entry.seq);
        entries.push(StoredEntry {
            entry,
            item: *item,
            kind: Kind::Journal,
            author: who.device,
            at: now,
        });
    }
    let head: HeadRef = head.ok_or(Refusal::Internal)?.into();
    if !entries.is_empty() {
        if bytes > services.config.journal_bytes {
            return Err(Failure::Error(AppendJournalError::Full));
        }
        match unit.append_entries(chain, &entries).await? {
            Append::Done(_) => unit.commit().await?,
            // Another node came in between.
            Append::Stale(_) | Append::ItemExists => return Err(Refusal::Unavailable.into()),
            Append::NoChain => return Err(Refusal::Internal.into()),
        }
        for stored in &entries {
            services.feeds.push_chain(chain, &statement::live(&stored.entry));
        }
    }
    let places = items.iter().filter_map(|item| places.get(item).copied()).collect();
    Ok(Appended { places, head })
}

#[cfg(test)]
mod tests {
    use rookery_protocol::{
        key::SigningKey,
        request::chain::{ReadChain, ReadError},
        session::Principal,
        time::Timestamp,
    };

    use super::*;
    use crate::service::{
        chain,
        testing::{bench, item},
    };

    fn items(key: &SigningKey, who: Authenticated, numbers: std::ops::Range<u32>) -> AppendJournal {
        let chain = ChainId::of_journal(who.user);
        let one = |number| {
            let at = Timestamp::from_millis(1);
            Submission::sign(key, chain, item(number), Kind::Journal, vec![7; 100], at, None)
                .unwrap()
        };
        AppendJournal { items: numbers.map(one).collect() }
    }

    #[tokio::test]
    async fn an_item_that_is_there_already_keeps_its_place() {
        let bench = bench(&[]);
        let (alice, who, ..) = bench.person("alice").await;
        let key = &alice.device.key;
        assert_eq!(
            append(&bench.services, who, items(key, who, 0..3)).await.unwrap().places,
            [0, 1, 2]
        );
        assert_eq!(
            append(&bench.services, who, items(key, who, 1..5)).await.unwrap().places,
            [1, 2, 3, 4]
        );
        let request = ReadChain { chain: ChainId::of_journal(who.user), after: Some(1), limit: 2 };
        let read = chain::read(&bench.services, Principal::Device(who), request).await.unwrap();
        assert!(read.entries.len() == 2 && read.more);
        let head =
            read.head.unwrap().verify(bench.services.identity.online.verifying_key()).unwrap();
        assert_eq!(head.heads[0].seq, 4);
    }

    #[tokio::test]
    async fn a_journal_is_its_user_s_alone() {
        let bench = bench(&[("storage.journal_bytes", "250")]);
        let (alice, who, ..) = bench.person("alice").await;
        let (bob, bobs, ..) = bench.person("bob").await;
        let forged = append(&bench.services, who, items(&bob.device.key, who, 0..1)).await;
        assert!(matches!(forged, Err(Failure::Error(AppendJournalError::Denied { .. }))));
        append(&bench.services, who, items(&alice.device.key, who, 0..2)).await.unwrap();
        let full = append(&bench.services, who, items(&alice.device.key, who, 2..3)).await;
        assert_eq!(full, Err(Failure::Error(AppendJournalError::Full)));
        let request = ReadChain { chain: ChainId::of_journal(who.user), after: None, limit: 10 };
        let read = chain::read(&bench.services, Principal::Device(bobs), request).await;
        assert_eq!(read, Err(Failure::Error(ReadError::NotFound)));
    }
}

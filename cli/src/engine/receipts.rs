//! Receipts: told in batches, to contacts only, and never about receipts.

use std::collections::BTreeMap;

use rookery_protocol::{id::UserId, request::message::Purpose};

use super::{Engine, new_item};
use crate::{
    e2ee::payload::{self, Payload, ReceiptKind},
    store::{Receipt, StoreError},
};

/// Messages that one receipt speaks of at most: 200 ids are far below an envelope.
const BATCH: u32 = 200;

/// Puts receipts for the same person that say the same into one.
fn batches(receipts: &[Receipt]) -> BTreeMap<(UserId, bool), Vec<Receipt>> {
    let mut batches: BTreeMap<(UserId, bool), Vec<Receipt>> = BTreeMap::new();
    for receipt in receipts {
        batches.entry((receipt.to, receipt.read)).or_default().push(*receipt);
    }
    batches
}

impl Engine {
    /// Puts the receipts that are owed into the outbox, in batches.
    pub(super) async fn send_receipts(&self) -> Result<(), StoreError> {
        loop {
            if self.store.read().await?.receipts_owed(1).await?.is_empty() {
                return Ok(());
            }
            let mut unit = self.store.write().await?;
            let owed = unit.receipts_owed(BATCH).await?;
            for ((to, read), receipts) in batches(&owed) {
                // Whoever is no contact any more is told nothing.
                if unit.contact(to).await?.is_some_and(|contact| contact.is_accepted()) {
                    let kind = if read { ReceiptKind::Read } else { ReceiptKind::Delivered };
                    let messages = receipts.iter().map(|receipt| receipt.item).collect();
                    let payload = Payload::Receipt(payload::Receipt { kind, messages });
                    unit.enqueue(
                        self.user,
                        &self.outgoing(to, new_item(), Purpose::Receipt, &payload),
                    )
                    .await?;
                }
                for receipt in receipts {
                    unit.settle_receipt(receipt).await?;
                }
            }
            unit.commit().await?;
            self.outbox_wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rookery_protocol::id::ItemId;

    #[test]
    fn receipts_are_batched_by_person_and_kind() {
        let (bob, carol) = (UserId::from_bytes([1; 32]), UserId::from_bytes([2; 32]));
        let receipt =
            |to, number, read| Receipt { to, item: ItemId::from_bytes([number; 16]), read };
        let owed = [
            receipt(bob, 1, false),
            receipt(carol, 2, false),
            receipt(bob, 3, false),
            receipt(bob, 4, true),
        ];
        let batches = batches(&owed);
        let sizes: Vec<_> = batches.iter().map(|(key, receipts)| (*key, receipts.len())).collect();
        assert_eq!(sizes, [((bob, false), 2), ((bob, true), 1), ((carol, false), 1)]);
    }
}

//! What is true of the server as a whole.

use rookery_protocol::request::peering::Federation;

use super::at;
use crate::repository::Storage;

pub(super) async fn what_is_decided_lasts_until_it_is_taken_back(storage: &dyn Storage) {
    let mut view = storage.read().await.unwrap();
    assert_eq!(view.federation().await.unwrap(), None);
    assert_eq!(view.fenced().await.unwrap(), None);
    drop(view);
    for (federation, fenced) in
        [(Some(Federation::Off), None), (Some(Federation::Open), Some(at(7))), (None, None)]
    {
        let mut unit = storage.begin().await.unwrap();
        unit.set_federation(federation).await.unwrap();
        unit.set_fenced(fenced).await.unwrap();
        assert_eq!(unit.federation().await.unwrap(), federation);
        unit.commit().await.unwrap();
        let mut view = storage.read().await.unwrap();
        assert_eq!(view.federation().await.unwrap(), federation);
        assert_eq!(view.fenced().await.unwrap(), fenced);
    }
}

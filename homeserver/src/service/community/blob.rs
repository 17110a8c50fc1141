//! Blobs of communities: put in parts, checked when they are whole, given to whoever may read the log.

use rookery_protocol::{
    codec::Octets,
    id::UserId,
    request::{
        Failure, Refusal,
        blob::{
            BLOB_BYTES, BlobPart, BlobProgress, GetBlob, GetBlobError, PART_BYTES, PutBlob,
            PutBlobError,
        },
    },
    session::Authenticated,
};

use crate::{
    repository::{
        Repository, StorageError,
        blob::{BlobKey, StoredBlob},
    },
    service::{Services, parts::Hash},
};

/// How many blobs of one user no statement names: the epochs of a batch, and some that a lost connection left.
const MAX_UNNAMED: u32 = 64;

/// Puts the next part of a blob. What is there already is answered as the first time.
pub async fn put(
    services: &Services,
    who: Authenticated,
    request: PutBlob,
) -> Result<BlobProgress, Failure<PutBlobError>> {
    put_by(services, who.user, request).await
}

/// The same for a user of either side.
pub async fn put_by(
    services: &Services,
    user: UserId,
    request: PutBlob,
) -> Result<BlobProgress, Failure<PutBlobError>> {
    let PutBlob { community, blob, size, offset, bytes } = request;
    if size > BLOB_BYTES {
        return Err(Failure::Error(PutBlobError::TooLarge { limit: BLOB_BYTES }));
    }
    let key = BlobKey { community, blob, user };
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let mut unit = services.storage.begin().await?;
    let known = unit.blob(key).await?;
    if let Some(known) = known
        && known.size == size
        && known.have >= offset.saturating_add(length)
    {
        return Ok(BlobProgress { have: known.have });
    }
    if known.is_none() && unit.unnamed_blobs(user).await? >= MAX_UNNAMED {
        return Err(Failure::Error(PutBlobError::TooMany));
    }
    let now = services.clock.now();
    let have = match unit.append_blob(key, size, offset, bytes.as_slice(), now).await? {
        Ok(have) => have,
        Err(have) => return Err(Failure::Error(PutBlobError::Gap { have })),
    };
    if have == size && !is_it(&mut *unit, key, size).await? {
        unit.drop_blob(key).await?;
        unit.commit().await?;
        return Err(Failure::Error(PutBlobError::OtherHash));
    }
    unit.commit().await?;
    Ok(BlobProgress { have })
}

/// Whether a blob of which all is there is what its name says.
async fn is_it(unit: &mut dyn Repository, key: BlobKey, size: u64) -> Result<bool, StorageError> {
    let mut hash = Hash::new(size);
    while let Some((offset, most)) = hash.next() {
        hash.read(&unit.blob_bytes(key, offset, most).await?);
    }
    Ok(hash.name().ok_or(StorageError::Inconsistent { table: "blob_part" })? == key.blob)
}

/// Gives a part of a blob.
pub async fn get(
    services: &Services,
    who: Authenticated,
    request: GetBlob,
) -> Result<BlobPart, Failure<GetBlobError>> {
    if !services.may_look_at(who.user, request.community).await? {
        return Err(Failure::Error(GetBlobError::NotFound));
    }
    part(services, request).await
}

/// A part of a blob, whoever may have it.
pub async fn part(
    services: &Services,
    request: GetBlob,
) -> Result<BlobPart, Failure<GetBlobError>> {
    let not_found = || Failure::Error(GetBlobError::NotFound);
    let GetBlob { community, blob, offset, length } = request;
    let mut view = services.storage.read().await?;
    let stored: StoredBlob = view.whole_blob(community, blob).await?.ok_or_else(not_found)?;
    let most = u64::try_from(PART_BYTES).unwrap_or(u64::MAX);
    let bytes = view.blob_bytes(stored.key, offset, u64::from(length).min(most)).await?;
    let bytes = Octets::parse(bytes).map_err(|_| Refusal::Internal)?;
    Ok(BlobPart { size: stored.size, bytes })
}

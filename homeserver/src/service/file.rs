//! Files: put in parts, checked when they are whole, given to whoever knows their names.

use rookery_protocol::{
    codec::Octets,
    id::BlobId,
    request::{
        Failure, Refusal,
        blob::{BlobPart, BlobProgress, PART_BYTES},
        file::{DropFile, GetFileError, PutFile, PutFileError},
    },
    session::Authenticated,
};

use crate::{
    repository::{
        StorageError,
        file::{FileKey, FileUse, counted},
    },
    service::{Services, parts::Hash},
};

/// How many files of one user are not whole.
const MAX_UNFINISHED: u32 = 32;

/// Puts the next part of a file. What is there already is answered as the first time.
pub async fn put(
    services: &Services,
    who: Authenticated,
    request: PutFile,
) -> Result<BlobProgress, Failure<PutFileError>> {
    let PutFile { file, size, offset, bytes } = request;
    if size == 0 {
        return Err(Refusal::Malformed.into());
    }
    let key = FileKey { file, user: who.user };
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let mut unit = services.storage.begin().await?;
    let now = services.clock.now();
    let mut known = unit.file(key).await?;
    if known.is_some_and(|known| known.size != size) {
        // Nobody names one file by two sizes but by mistake: the other one begins anew.
        unit.drop_file(key).await?;
        known = None;
    }
    if known.is_none() {
        let used = unit.file_use(who.user).await?;
        check_room(services, size, used).map_err(Failure::Error)?;
        unit.begin_file(key, size, now).await?;
    }
    let have = known.map_or(0, |known| known.have);
    if have >= offset.saturating_add(length) {
        unit.commit().await?;
        return match known {
            Some(known) if known.have == size && !known.is_whole => finish(services, key).await,
            _ => Ok(BlobProgress { have }),
        };
    }
    let have = match unit.append_file(key, offset, bytes.as_slice(), now).await? {
        Ok(have) => have,
        Err(have) => return Err(Failure::Error(PutFileError::Gap { have })),
    };
    unit.commit().await?;
    if have == size { finish(services, key).await } else { Ok(BlobProgress { have }) }
}

/// Whether there is room for one more file of that size.
fn check_room(services: &Services, size: u64, used: FileUse) -> Result<(), PutFileError> {
    let config = &services.config;
    if size > config.file_bytes {
        return Err(PutFileError::TooLarge { limit: config.file_bytes });
    }
    if used.unfinished >= MAX_UNFINISHED {
        return Err(PutFileError::TooMany);
    }
    if used.of_user.saturating_add(counted(size)) > config.user_files_bytes {
        return Err(PutFileError::QuotaFull { limit: config.user_files_bytes });
    }
    if used.of_all.saturating_add(counted(size)) > config.all_files_bytes {
        return Err(PutFileError::ServerFull);
    }
    Ok(())
}

/// Checks a file of which all is there. It is read without a unit, so that nobody waits for a hash, and one file at a time, so that whoever
/// asks often has it read once.
async fn finish(services: &Services, key: FileKey) -> Result<BlobProgress, Failure<PutFileError>> {
    let _turn = services.checking.lock().await;
    let known = services.storage.read().await?.file(key).await?;
    // Whoever had the turn before may have dropped it.
    let known = known.ok_or(Failure::Error(PutFileError::OtherHash))?;
    let progress = BlobProgress { have: known.have };
    if known.is_whole || known.have < known.size {
        return Ok(progress);
    }
    let mut hash = Hash::new(known.size);
    while let Some((offset, most)) = hash.next() {
        hash.read(&services.storage.read().await?.file_bytes(key, offset, most).await?);
    }
    let mut unit = services.storage.begin().await?;
    // What was read in parts is one file if no other one has begun meanwhile: that would not be what was checked.
    if hash.name() == Some(key.file) && unit.finish_file(known, services.clock.now()).await? {
        unit.commit().await?;
        return Ok(progress);
    }
    if unit.file(key).await?.is_some_and(|now| now.begun == known.begun) {
        unit.drop_file(key).await?;
        unit.commit().await?;
    }
    Err(Failure::Error(PutFileError::OtherHash))
}

/// A part of a file that is kept here.
pub async fn part(
    services: &Services,
    file: BlobId,
    offset: u64,
    length: u32,
) -> Result<BlobPart, Failure<GetFileError>> {
    let mut view = services.storage.read().await?;
    let stored = view.whole_file(file).await?;
    let stored = stored.ok_or(Failure::Error(GetFileError::NotFound))?;
    let most = u64::try_from(PART_BYTES).unwrap_or(u64::MAX);
    let bytes = view.file_bytes(stored.key, offset, u64::from(length).min(most)).await?;
    let bytes = Octets::parse(bytes).map_err(|_| Refusal::Internal)?;
    Ok(BlobPart { size: stored.size, bytes })
}

/// Drops a file of the user's.
pub async fn drop_own(
    services: &Services,
    who: Authenticated,
    request: DropFile,
) -> Result<(), StorageError> {
    let mut unit = services.storage.begin().await?;
    unit.drop_file(FileKey { file: request.file, user: who.user }).await?;
    unit.commit().await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rookery_protocol::id::BlobId;

    use super::*;
    use crate::service::{
        retention,
        testing::{Bench, bench},
    };

    fn named(bytes: &[u8]) -> BlobId {
        BlobId::from_bytes(*blake3::hash(bytes).as_bytes())
    }

    fn portion(whole: &[u8], file: BlobId, from: usize, to: usize) -> PutFile {
        PutFile {
            file,
            size: u64::try_from(whole.len()).unwrap(),
            offset: u64::try_from(from).unwrap(),
            bytes: Octets::parse(whole[from..to].to_vec()).unwrap(),
        }
    }

    async fn put_whole(
        bench: &Bench,
        who: Authenticated,
        bytes: &[u8],
    ) -> Result<BlobProgress, Failure<PutFileError>> {
        put(&bench.services, who, portion(bytes, named(bytes), 0, bytes.len())).await
    }

    #[tokio::test]
    async fn a_file_is_there_when_all_of_it_has_come_and_goes_on_where_it_ended() {
        let bench = bench(&[]);
        let (_, who, ..) = bench.person("alice").await;
        let bytes: Vec<u8> = (0..1_000_u32).flat_map(u32::to_le_bytes).collect();
        let file = named(&bytes);
        let services = &bench.services;
        let ask = portion(&bytes, file, 0, 0);
        assert_eq!(put(services, who, ask.clone()).await.unwrap().have, 0);
        assert_eq!(put(services, who, portion(&bytes, file, 0, 1_500)).await.unwrap().have, 1_500);
        assert_eq!(put(services, who, ask).await.unwrap().have, 1_500, "how far it has come");
        let gap = put(services, who, portion(&bytes, file, 2_000, 4_000)).await;
        assert_eq!(gap, Err(Failure::Error(PutFileError::Gap { have: 1_500 })));
        let missing = part(services, file, 0, 10).await;
        assert_eq!(missing, Err(Failure::Error(GetFileError::NotFound)), "not whole");
        assert_eq!(
            put(services, who, portion(&bytes, file, 1_500, 4_000)).await.unwrap().have,
            4_000
        );
        assert_eq!(
            put(services, who, portion(&bytes, file, 1_500, 4_000)).await.unwrap().have,
            4_000
        );
        let got = part(services, file, 3_990, 100).await.unwrap();
        assert_eq!((got.size, got.bytes.as_slice()), (4_000, &bytes[3_990..]));
        drop_own(services, who, DropFile { file }).await.unwrap();
        assert_eq!(part(services, file, 0, 10).await, Err(Failure::Error(GetFileError::NotFound)));
    }

    #[tokio::test]
    async fn what_is_not_what_its_name_says_is_dropped_and_may_come_again() {
        let bench = bench(&[]);
        let (_, who, ..) = bench.person("alice").await;
        let file = named(b"words");
        let wrong = put(&bench.services, who, portion(b"swords", file, 0, 6)).await;
        assert_eq!(wrong, Err(Failure::Error(PutFileError::OtherHash)));
        assert_eq!(put_whole(&bench, who, b"words").await.unwrap().have, 5);
        // By another size, too, though the first one is there.
        let short = put(&bench.services, who, portion(b"word", file, 0, 2)).await;
        assert_eq!(short.unwrap().have, 2);
        assert_eq!(
            put(&bench.services, who, portion(b"", file, 0, 0)).await,
            Err(Refusal::Malformed.into())
        );
    }

    #[tokio::test]
    async fn what_waits_to_be_checked_is_checked_as_it_is_then() {
        let bench = bench(&[]);
        let (_, who, ..) = bench.person("alice").await;
        let (file, services) = (named(b"words"), &bench.services);
        // While another file is being checked, what has come is dropped, and something else begins under its name.
        let turn = services.checking.lock().await;
        let right = put_whole(&bench, who, b"words");
        let other = async {
            drop_own(services, who, DropFile { file }).await.unwrap();
            put(services, who, portion(b"snow", file, 0, 1)).await.unwrap();
            drop(turn);
        };
        let (right, ()) = tokio::join!(biased; right, other);
        assert_eq!(right.unwrap().have, 1, "how much there is now");
        assert_eq!(part(services, file, 0, 5).await, Err(Failure::Error(GetFileError::NotFound)));
        let turn = services.checking.lock().await;
        let right = put_whole(&bench, who, b"words");
        let other = async {
            drop_own(services, who, DropFile { file }).await.unwrap();
            let wrong = put(services, who, portion(b"swords", file, 0, 6));
            let (wrong, ()) = tokio::join!(biased; wrong, async { drop(turn) });
            wrong
        };
        let (right, wrong) = tokio::join!(biased; right, other);
        let refused = Err(Failure::Error(PutFileError::OtherHash));
        assert_eq!((right, wrong), (refused.clone(), refused), "the first to be checked drops it");
        assert_eq!(put_whole(&bench, who, b"words").await.unwrap().have, 5);
    }

    #[tokio::test]
    async fn files_are_bounded_each_by_user_and_together() {
        let bench = bench(&[
            ("storage.file_bytes", "10000"),
            ("storage.user_files_bytes", "15000"),
            ("storage.all_files_bytes", "24000"),
        ]);
        let (_, alice, ..) = bench.person("alice").await;
        let (_, bob, ..) = bench.person("bob").await;
        let too_large = put_whole(&bench, alice, &[1; 10_001]).await;
        assert_eq!(too_large, Err(Failure::Error(PutFileError::TooLarge { limit: 10_000 })));
        put_whole(&bench, alice, &[1; 10_000]).await.unwrap();
        let full = put_whole(&bench, alice, &[2; 5_100]).await;
        assert_eq!(full, Err(Failure::Error(PutFileError::QuotaFull { limit: 15_000 })));
        put_whole(&bench, bob, &[3; 10_000]).await.unwrap();
        let full = put_whole(&bench, bob, &[4; 4_100]).await;
        assert_eq!(full, Err(Failure::Error(PutFileError::ServerFull)));
        // A small one takes room as well.
        assert_eq!(
            put_whole(&bench, bob, &[4]).await.unwrap_err(),
            Failure::Error(PutFileError::ServerFull)
        );
        // What is dropped makes room, and nobody drops what is another's.
        drop_own(&bench.services, bob, DropFile { file: named(&[1; 10_000]) }).await.unwrap();
        assert!(part(&bench.services, named(&[1; 10_000]), 0, 1).await.is_ok());
        drop_own(&bench.services, alice, DropFile { file: named(&[1; 10_000]) }).await.unwrap();
        put_whole(&bench, alice, &[2; 5_100]).await.unwrap();
    }

    #[tokio::test]
    async fn nobody_begins_more_files_than_a_few() {
        let bench = bench(&[]);
        let (_, who, ..) = bench.person("alice").await;
        for number in 0..MAX_UNFINISHED {
            let bytes = number.to_le_bytes();
            put(&bench.services, who, portion(&bytes, named(&bytes), 0, 1)).await.unwrap();
        }
        let more = put_whole(&bench, who, b"words").await;
        assert_eq!(more, Err(Failure::Error(PutFileError::TooMany)));
        bench.clock.advance(Duration::from_hours(25));
        assert_eq!(
            retention::purge(&bench.services).await.unwrap().files,
            u64::from(MAX_UNFINISHED)
        );
        put_whole(&bench, who, b"words").await.unwrap();
    }

    #[tokio::test]
    async fn a_file_is_forgotten_when_it_was_kept_for_as_long_as_is_said() {
        let bench = bench(&[("retention.files", "30d")]);
        let (_, who, ..) = bench.person("alice").await;
        put_whole(&bench, who, b"words").await.unwrap();
        bench.clock.advance(Duration::from_hours(29 * 24));
        assert_eq!(retention::purge(&bench.services).await.unwrap().files, 0);
        bench.clock.advance(Duration::from_hours(2 * 24));
        assert_eq!(retention::purge(&bench.services).await.unwrap().files, 1);
    }
}

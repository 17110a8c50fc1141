//! Handing a batch in, and again when somebody else was faster.

use rookery_protocol::{
    codec,
    id::{BlobId, CommunityId},
    io::client::{CallError, Client},
    request::{
        blob::{PART_BYTES, PutBlob, PutBlobError},
        community::AppendLogError,
    },
};

use super::super::{
    super::{Engine, refusal::failed_as},
    abroad::hub_away,
    book::Book,
    fork::{HINT, hub_forked},
    log::Reader,
};
use super::Draft;
use crate::error::{CommandError, Kind as ErrorKind};

/// How often a batch is made anew when others state something meanwhile.
const TRIES: usize = 8;

impl Engine {
    /// States what `build` says, at the end of the log as it is now; again when somebody else was faster.
    pub(in super::super) async fn state_to(
        &self,
        community: CommunityId,
        build: impl Fn(&mut Draft<'_>) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let client = self.online().await?;
        self.check_stays(community).await?;
        for _ in 0..TRIES {
            let book = self.trusted(community).await?;
            let mut draft = Draft::begin(self, &book).await?;
            build(&mut draft)?;
            if draft.is_empty() {
                return Ok(());
            }
            draft.keep_secrets().await?;
            match draft.submit(&client).await {
                Ok(()) => {
                    self.fetch_log(&client, community, &Reader::Member).await?;
                    return Ok(());
                }
                Err(CallError::Request(AppendLogError::Stale { .. })) => {
                    self.fetch_log(&client, community, &Reader::Member).await?;
                }
                Err(error) => return Err(append_failed(error)),
            }
        }
        Err(CommandError::new(
            ErrorKind::Failed,
            "the community keeps changing; nothing was changed by this command",
        )
        .hint("try again"))
    }

    /// The community as it is shown, unless its hub was caught lying.
    pub(in super::super) async fn trusted(
        &self,
        community: CommunityId,
    ) -> Result<Book, CommandError> {
        let book = self.shown(community).await?.ok_or_else(|| {
            CommandError::new(ErrorKind::NotFound, "there is no such community here")
        })?;
        if let Some(why) = &book.row.alarm {
            return Err(CommandError::new(
                ErrorKind::Trust,
                format!("the community's server is not to be believed: {why}; nothing was sent"),
            )
            .hint(HINT));
        }
        Ok(book)
    }

    /// Puts a blob, part by part, going on where an earlier attempt ended.
    pub(super) async fn put_blob(
        &self,
        client: &Client,
        community: CommunityId,
        bytes: &[u8],
    ) -> Result<(), CallError<PutBlobError>> {
        let blob = BlobId::of(bytes);
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let mut offset = 0_usize;
        loop {
            let end = offset.saturating_add(PART_BYTES).min(bytes.len());
            let part = bytes.get(offset..end).unwrap_or_default().to_vec();
            let Ok(part) = codec::Octets::parse(part) else {
                return Err(CallError::Request(PutBlobError::OtherHash));
            };
            let begin = u64::try_from(offset).unwrap_or(u64::MAX);
            let request = PutBlob { community, blob, size, offset: begin, bytes: part };
            let have = match client.call_watched(&request).await {
                Ok(progress) => progress.have,
                Err(CallError::Request(PutBlobError::Gap { have })) if have < size => have,
                Err(error) => return Err(error),
            };
            if have >= size {
                return Ok(());
            }
            let next = usize::try_from(have).unwrap_or(usize::MAX);
            if next <= offset && offset > 0 {
                return Err(CallError::Request(PutBlobError::OtherHash));
            }
            offset = next.min(bytes.len());
        }
    }
}

/// Why the wraps of an epoch did not get there, as the batch's own failure.
pub(super) fn no_wraps(error: CallError<PutBlobError>) -> CallError<AppendLogError> {
    match error {
        CallError::Request(PutBlobError::HubForked { hub }) => {
            CallError::Request(AppendLogError::HubForked { hub })
        }
        CallError::Request(PutBlobError::HubAway { hub, since }) => {
            CallError::Request(AppendLogError::HubAway { hub, since })
        }
        CallError::Request(error) => {
            CallError::Request(AppendLogError::Incomplete { reason: error.to_string() })
        }
        CallError::Refused(refusal) => CallError::Refused(refusal),
        CallError::Lost(lost) => CallError::Lost(lost),
        CallError::Broken(error) => CallError::Broken(error),
        CallError::Malformed(error) => CallError::Malformed(error),
        CallError::TimedOut => CallError::TimedOut,
    }
}

/// What the hub says to a batch.
pub(in super::super) fn append_failed(error: CallError<AppendLogError>) -> CommandError {
    if let CallError::Request(AppendLogError::HubAway { hub, since }) = &error {
        return hub_away(hub, *since);
    }
    if let CallError::Request(AppendLogError::HubForked { hub }) = &error {
        return hub_forked(hub);
    }
    failed_as(error, |error| match error {
        AppendLogError::NotFound => ErrorKind::NotFound,
        AppendLogError::Denied { .. } | AppendLogError::Frozen | AppendLogError::TooMany => {
            ErrorKind::NotPermitted
        }
        _ => ErrorKind::Failed,
    })
}

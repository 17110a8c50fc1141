//! Frames: a length of four bytes, most significant first, and that many bytes.
//!
//! A frame carries its length because a stream that is dropped half-way looks finished to the reader (quinn's `SendStream` finishes on
//! drop): a short frame is an error, never a shorter message.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Why no frame was read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side announces more than is allowed.
    #[error("a frame of {length} bytes, where at most {limit} are allowed")]
    TooLarge {
        /// How many it announces.
        length: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// The stream ended inside a frame, or the connection is gone.
    #[error("the stream broke off")]
    Broken(#[from] std::io::Error),
}

/// Appends `payload` as a frame to `buffer`.
///
/// # Panics
///
/// Never: no payload of this protocol reaches 4 GiB.
pub fn put(buffer: &mut Vec<u8>, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    buffer.extend_from_slice(&length.to_be_bytes());
    buffer.extend_from_slice(payload);
}

/// Writes one frame. Not cancel-safe: a stream whose write was cancelled is broken.
pub async fn write_frame<W: AsyncWrite + Unpin>(
    stream: &mut W,
    payload: &[u8],
) -> Result<(), FrameError> {
    let mut buffer = Vec::with_capacity(payload.len().saturating_add(4));
    put(&mut buffer, payload);
    Ok(stream.write_all(&buffer).await?)
}

/// Reads one frame of at most `limit` bytes; `None` when the stream ended before it. Not cancel-safe.
pub async fn read_frame<R: AsyncRead + Unpin>(
    stream: &mut R,
    limit: usize,
) -> Result<Option<Vec<u8>>, FrameError> {
    let mut length = [0; 4];
    match stream.read(&mut length[..1]).await? {
        0 => return Ok(None),
        _ => stream.read_exact(&mut length[1..]).await?,
    };
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > limit {
        return Err(FrameError::TooLarge { length, limit });
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    Ok(Some(payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_comes_back_and_a_short_or_large_one_is_an_error() {
        let mut buffer = Vec::new();
        put(&mut buffer, b"words");
        assert_eq!(read_frame(&mut &buffer[..], 5).await.unwrap().unwrap(), b"words");
        assert!(matches!(
            read_frame(&mut &buffer[..], 4).await,
            Err(FrameError::TooLarge { length: 5, limit: 4 })
        ));
        for end in 1..buffer.len() {
            assert!(matches!(read_frame(&mut &buffer[..end], 5).await, Err(FrameError::Broken(_))));
        }
        assert!(read_frame(&mut &[][..], 5).await.unwrap().is_none());
    }
}

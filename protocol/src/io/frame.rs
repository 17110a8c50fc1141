//! Frames: a length of four bytes, most significant first, and that many bytes.
//!
//! A frame carries its length because a stream that is dropped half-way looks finished to the reader (quinn's `SendStream` finishes on
//! drop): a short frame is an error, never a shorter message.

use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

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
///
/// It takes nothing of what follows the frame: whoever reads many frames of one stream does it with a [`FrameReader`].
pub async fn read_frame<R: AsyncRead + Unpin>(
    stream: &mut R,
    limit: usize,
) -> Result<Option<Vec<u8>>, FrameError> {
    let mut length = [0; 4];
    match stream.read(&mut length[..1]).await? {
        0 => return Ok(None),
        _ => stream.read_exact(&mut length[1..]).await?,
    };
    let mut payload = vec![0; checked(length, limit)?];
    stream.read_exact(&mut payload).await?;
    Ok(Some(payload))
}

/// The length that was announced, if it is within `limit`.
fn checked(length: [u8; 4], limit: usize) -> Result<usize, FrameError> {
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > limit { Err(FrameError::TooLarge { length, limit }) } else { Ok(length) }
}

/// Reads the frames of one stream, and ahead: a whole short request is taken at once, where each reading costs more than the copy.
#[derive(Debug)]
pub struct FrameReader<R> {
    stream: R,
    /// What was read ahead. No memory is held while it is empty, so that an idle stream has none.
    ahead: Vec<u8>,
    /// How much of that has been given out.
    taken: usize,
}

/// How much is read ahead: a message to one device with its method.
const AHEAD: usize = 1024;

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads from `stream`.
    pub const fn new(stream: R) -> Self {
        Self { stream, ahead: Vec::new(), taken: 0 }
    }

    /// What is read from.
    pub const fn stream(&mut self) -> &mut R {
        &mut self.stream
    }

    /// Reads one frame of at most `limit` bytes; `None` when the stream ended before it. Not cancel-safe.
    pub async fn read_frame(&mut self, limit: usize) -> Result<Option<Vec<u8>>, FrameError> {
        if self.ahead.is_empty() && !self.read_ahead().await? {
            return Ok(None);
        }
        let mut length = [0; 4];
        self.read_exact(&mut length).await?;
        let mut payload = vec![0; checked(length, limit)?];
        self.read_exact(&mut payload).await?;
        Ok(Some(payload))
    }

    async fn read_exact(&mut self, target: &mut [u8]) -> Result<(), FrameError> {
        let mut done = self.take(target);
        while let Some(rest) = target.get_mut(done..).filter(|rest| !rest.is_empty()) {
            if rest.len() >= AHEAD {
                self.stream.read_exact(rest).await?;
                return Ok(());
            }
            if !self.read_ahead().await? {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
            done = done.saturating_add(self.take(rest));
        }
        Ok(())
    }

    /// Copies of what was read ahead as much as there is room for.
    fn take(&mut self, target: &mut [u8]) -> usize {
        let ahead = self.ahead.get(self.taken..).unwrap_or_default();
        let count = ahead.len().min(target.len());
        if let (Some(to), Some(from)) = (target.get_mut(..count), ahead.get(..count)) {
            to.copy_from_slice(from);
        }
        self.taken = self.taken.saturating_add(count);
        if self.taken == self.ahead.len() {
            (self.ahead, self.taken) = (Vec::new(), 0);
        }
        count
    }

    /// Reads what is there, when all that was read before is given out; whether there is anything.
    async fn read_ahead(&mut self) -> Result<bool, FrameError> {
        // Read onto the stack, not into a buffer that would be held while nothing comes.
        let stream = &mut self.stream;
        let read = std::future::poll_fn(|context| {
            let mut room = [0; AHEAD];
            let mut buffer = ReadBuf::new(&mut room);
            let read = Pin::new(&mut *stream).poll_read(context, &mut buffer);
            read.map_ok(|()| buffer.filled().to_vec())
        });
        self.ahead = read.await?;
        Ok(!self.ahead.is_empty())
    }
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

    #[tokio::test]
    async fn frames_that_are_read_ahead_come_one_by_one_however_they_arrive() {
        let frames = [vec![1; 3], vec![], vec![2; AHEAD + 9], vec![3; AHEAD - 9], vec![4; 5]];
        let mut buffer = Vec::new();
        for frame in &frames {
            put(&mut buffer, frame);
        }
        for piece in [1, 2, 7, AHEAD, buffer.len()] {
            let (mut near, far) = tokio::io::duplex(piece);
            let buffer = buffer.clone();
            let writing = async move { near.write_all(&buffer).await.unwrap() };
            let reading = async {
                let mut reader = FrameReader::new(far);
                for frame in &frames {
                    assert_eq!(reader.read_frame(2 * AHEAD).await.unwrap().as_ref(), Some(frame));
                }
                assert!(reader.read_frame(9).await.unwrap().is_none());
            };
            tokio::join!(writing, reading);
        }
    }

    #[tokio::test]
    async fn a_frame_that_is_read_ahead_and_is_short_or_large_is_an_error() {
        let mut buffer = Vec::new();
        put(&mut buffer, b"words");
        for end in 1..buffer.len() {
            let short = FrameReader::new(&buffer[..end]).read_frame(5).await;
            assert!(matches!(short, Err(FrameError::Broken(_))));
        }
        let large = FrameReader::new(&buffer[..]).read_frame(4).await;
        assert!(matches!(large, Err(FrameError::TooLarge { length: 5, limit: 4 })));
    }
}

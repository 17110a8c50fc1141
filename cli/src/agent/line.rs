//! JSON-RPC 2.0, one object a line.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
};

use super::MAX_LINE;
use crate::error::{CommandError, Kind};

/// The protocol's name, which every object carries.
pub const JSON_RPC: &str = "2.0";

/// A call, or a notification when it has no id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// `2.0`.
    pub jsonrpc: String,
    /// The caller's number for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Value>,
    /// Which verb.
    pub method: String,
    /// Its parameters.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub params: Value,
}

/// What the agent sends: an answer, or an event of a call under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Response {
    /// `2.0`.
    pub jsonrpc: String,
    /// Of which call; null when the line could not be read.
    #[serde(default)]
    pub id: Value,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why nothing came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RpcError>,
    /// `event`, in a notification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
}

/// JSON-RPC's error object. `code` is 1000 and the exit code; `data` is the [`CommandError`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RpcError {
    /// A number: -32700 to -32600 as JSON-RPC says, or 1000 and the exit code.
    pub code: i64,
    /// In words.
    pub message: String,
    /// Everything about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<CommandError>,
}

impl Request {
    /// A call.
    #[must_use]
    pub fn call(id: u64, method: &str, params: Value) -> Self {
        Self {
            jsonrpc: JSON_RPC.to_owned(),
            id: Some(id.into()),
            method: method.to_owned(),
            params,
        }
    }
}

impl Response {
    /// The answer to call `id`.
    #[must_use]
    pub fn answer(id: Value, outcome: Result<Value, CommandError>) -> Self {
        let mut response = Self::empty(id);
        match outcome {
            Ok(result) => response.result = Some(result),
            Err(error) => response.error = Some(error.into()),
        }
        response
    }

    /// An event of call `id`.
    #[must_use]
    pub fn event(id: &Value, event: &Value) -> Self {
        Self {
            method: Some("event".to_owned()),
            params: Some(serde_json::json!({ "call": id, "event": event })),
            ..Self::empty(Value::Null)
        }
    }

    /// A line that is no request.
    #[must_use]
    pub fn unreadable(code: i64, message: &str) -> Self {
        Self {
            error: Some(RpcError { code, message: message.to_owned(), data: None }),
            ..Self::empty(Value::Null)
        }
    }

    fn empty(id: Value) -> Self {
        Self {
            jsonrpc: JSON_RPC.to_owned(),
            id,
            result: None,
            error: None,
            method: None,
            params: None,
        }
    }
}

impl From<CommandError> for RpcError {
    fn from(error: CommandError) -> Self {
        let code = i64::from(error.kind.exit_code()).saturating_add(1000);
        Self { code, message: error.message.clone(), data: Some(error) }
    }
}

impl From<RpcError> for CommandError {
    fn from(error: RpcError) -> Self {
        error.data.unwrap_or_else(|| Self::new(Kind::Failed, error.message))
    }
}

/// Reads a request's line, of at most [`MAX_LINE`] bytes; nothing at the end of the stream. Cancelling loses what was read of the line so far.
pub async fn read_line<R: AsyncBufRead + Unpin>(reader: &mut R) -> std::io::Result<Option<String>> {
    read_line_of(reader, MAX_LINE).await
}

/// Reads a line of at most `longest` bytes.
pub async fn read_line_of<R: AsyncBufRead + Unpin>(
    reader: &mut R,
    longest: usize,
) -> std::io::Result<Option<String>> {
    let limit = u64::try_from(longest).unwrap_or(u64::MAX);
    let mut line = String::new();
    let read = reader.take(limit).read_line(&mut line).await?;
    if read == 0 {
        return Ok(None);
    }
    if !line.ends_with('\n') && read >= longest {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "a line is too long"));
    }
    Ok(Some(line))
}

/// Writes `value` as one line.
pub async fn write_line<W: AsyncWrite + Unpin>(
    writer: &mut W,
    value: &impl Serialize,
) -> std::io::Result<()> {
    let mut line = crate::render::json(value).map_err(std::io::Error::other)?;
    line.push('\n');
    writer.write_all(line.as_bytes()).await?;
    writer.flush().await
}

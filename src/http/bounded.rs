//! A request's body, read to a limit, so that whoever sends more still sees the answer.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderValue;
use axum::http::header::{CONNECTION, EXPECT, HeaderMap};
use axum::response::Response;
use http_body_util::BodyExt;

/// How long, and for how many bytes, a body that is too large is read on and thrown away. A connection that is closed on
/// unread bytes is reset, and its caller would not see the answer.
const DRAIN: (Duration, usize) = (Duration::from_secs(2), 64 << 20);

/// Why there is no body.
#[derive(Debug)]
pub(super) enum BodyError {
    /// It has more bytes than the limit; whether it was read to its end all the same.
    TooLarge(Drained),
    /// It ended before its end.
    Broken,
    /// It did not come in time.
    Slow,
}

/// The whole body, of at most `limit` bytes, if it comes within that time.
pub(super) async fn read(body: Body, headers: &HeaderMap, limit: usize, time: Duration) -> Result<Vec<u8>, BodyError> {
    tokio::time::timeout(time, whole(body, headers, limit)).await.unwrap_or(Err(BodyError::Slow))
}

async fn whole(mut body: Body, headers: &HeaderMap, limit: usize) -> Result<Vec<u8>, BodyError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit && headers.contains_key(EXPECT) {
        // The caller waits for leave to send the body.
        return Err(BodyError::TooLarge(Drained(false)));
    }
    let mut bytes = Vec::with_capacity(announced.min(limit));
    while let Some(data) = next(&mut body).await {
        let data = data?;
        if data.len() > limit - bytes.len() {
            return Err(BodyError::TooLarge(drain_for_a_while(body).await));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Whether nothing of a body is left on its connection, which can go on then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Drained(pub(super) bool);

/// Throws away the body of a request that is answered whatever is in it.
pub(super) async fn discard(body: Body, headers: &HeaderMap) -> Drained {
    if body.is_end_stream() {
        return Drained(true);
    }
    if headers.contains_key(EXPECT) { Drained(false) } else { drain_for_a_while(body).await }
}

async fn drain_for_a_while(body: Body) -> Drained {
    let (time, most) = DRAIN;
    // Whether the caller is done or not: it gets the same answer.
    Drained(tokio::time::timeout(time, drain(body, most)).await.unwrap_or(false))
}

async fn drain(mut body: Body, mut left: usize) -> bool {
    while let Some(data) = next(&mut body).await {
        let Ok(data) = data else { return false };
        match left.checked_sub(data.len()) {
            Some(rest) => left = rest,
            None => return false,
        }
    }
    true
}

impl Drained {
    /// The answer, which says that the connection ends with it where it must.
    pub(super) fn and(self, mut answer: Response) -> Response {
        if !self.0 {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

/// The next bytes; trailers are none.
async fn next(body: &mut Body) -> Option<Result<Bytes, BodyError>> {
    let frame = body.frame().await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()).map_err(|_| BodyError::Broken))
}

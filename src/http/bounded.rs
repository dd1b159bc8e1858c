//! A request's body, read to a limit, so that whoever sends more still sees the answer.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{EXPECT, HeaderMap};
use http_body_util::BodyExt;

/// How long, and for how many bytes, a body that is too large is read on and thrown away. A connection that is closed on
/// unread bytes is reset, and its caller would not see the answer.
const DRAIN: (Duration, usize) = (Duration::from_secs(2), 64 << 20);

/// Why there is no body.
#[derive(Debug)]
pub(super) enum BodyError {
    /// It has more bytes than the limit.
    TooLarge,
    /// It ended before its end.
    Broken,
}

/// The whole body, of at most `limit` bytes.
pub(super) async fn read(mut body: Body, headers: &HeaderMap, limit: usize) -> Result<Vec<u8>, BodyError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit && headers.contains_key(EXPECT) {
        // The caller waits for leave to send the body.
        return Err(BodyError::TooLarge);
    }
    let mut bytes = Vec::with_capacity(announced.min(limit));
    while let Some(data) = next(&mut body).await {
        let data = data?;
        if data.len() > limit - bytes.len() {
            drain_for_a_while(body).await;
            return Err(BodyError::TooLarge);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Throws away the body of a request that is refused whatever is in it.
pub(super) async fn discard(body: Body, headers: &HeaderMap) {
    if !headers.contains_key(EXPECT) {
        drain_for_a_while(body).await;
    }
}

async fn drain_for_a_while(body: Body) {
    let (time, most) = DRAIN;
    // Whether the caller is done or not: it gets the same answer.
    let _ = tokio::time::timeout(time, drain(body, most)).await;
}

async fn drain(mut body: Body, mut left: usize) {
    while let Some(Ok(data)) = next(&mut body).await
        && data.len() <= left
    {
        left -= data.len();
    }
}

/// The next bytes; trailers are none.
async fn next(body: &mut Body) -> Option<Result<Bytes, BodyError>> {
    let frame = body.frame().await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()).map_err(|_| BodyError::Broken))
}

//! Bodies of callbacks, read so that no number of senders can fill the memory.
//!
//! A usual event is small, and small bodies never wait. A long one needs a slot, and there are few: so senders that
//! hold all slots keep long events waiting for some seconds, but never the usual ones.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Longest body that is taken as an event, in bytes. A media with thousands of URLs makes a long one; no limit is
/// documented for HTTP.
pub const MAX_EVENT_BYTES: usize = 1024 * 1024;
/// An event of a media with twenty URLs has about 3 KiB. With 2,048 connections these come to 32 MiB.
const SMALL: usize = 16 * 1024;
/// Long bodies at once: 32 MiB.
const SLOTS: usize = 32;
/// The sender should have its answer within a second, also when that is to come again.
const SLOT_WITHIN: Duration = Duration::from_millis(700);
/// A body that takes longer is somebody holding the line.
const BODY_WITHIN: Duration = Duration::from_secs(4);

/// Reads bodies; holds the slots of long ones.
#[derive(Debug)]
pub(super) struct BodyReader(Semaphore);

/// A whole body. A long one keeps its slot until it is dropped.
#[derive(Debug)]
pub(super) struct ReadBody<'a> {
    pub(super) bytes: Vec<u8>,
    _slot: Option<SemaphorePermit<'a>>,
}

impl Default for BodyReader {
    fn default() -> Self {
        Self(Semaphore::new(SLOTS))
    }
}

impl BodyReader {
    /// Returns the body; or 413 (too long), 408 (too slow), 400 (broken off) or 503 (no slot: come again).
    pub(super) async fn read<B>(&self, headers: &HeaderMap, body: B) -> Result<ReadBody<'_>, StatusCode>
    where
        B: Body<Data = Bytes> + Send,
    {
        // Whoever says how long it will be need not send it first.
        let announced =
            headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|bytes| bytes > MAX_EVENT_BYTES as u64) {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        tokio::time::timeout(BODY_WITHIN, self.collect(body))
            .await
            .unwrap_or(Err(StatusCode::REQUEST_TIMEOUT))
    }

    async fn collect(&self, body: impl Body<Data = Bytes> + Send) -> Result<ReadBody<'_>, StatusCode> {
        let mut body = pin!(body);
        // Copied out of the connection's buffers: kept as they came, a few bytes each, they would hold many times
        // their own size. What was announced is not set aside: it may never come.
        let (mut bytes, mut slot) = (Vec::new(), None);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| StatusCode::BAD_REQUEST)?.into_data() else { continue };
            let length = bytes.len() + data.len();
            if length > MAX_EVENT_BYTES {
                return Err(StatusCode::PAYLOAD_TOO_LARGE);
            }
            if length > SMALL && slot.is_none() {
                let waited = tokio::time::timeout(SLOT_WITHIN, self.0.acquire()).await;
                slot = Some(waited.ok().and_then(Result::ok).ok_or(StatusCode::SERVICE_UNAVAILABLE)?);
                bytes.reserve_exact(MAX_EVENT_BYTES - bytes.len());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(ReadBody { bytes, _slot: slot })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt as _, stream};
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    fn piece() -> Result<Frame<Bytes>, Infallible> {
        Ok(Frame::data(vec![b' '; 8 * 1024].into()))
    }

    fn pieces(count: usize) -> impl Body<Data = Bytes> + Send {
        StreamBody::new(stream::iter((0..count).map(|_| piece())))
    }

    /// Sends some, then nothing more.
    fn stalled(count: usize) -> impl Body<Data = Bytes> + Send {
        StreamBody::new(stream::iter((0..count).map(|_| piece())).chain(stream::pending()))
    }

    async fn read(reader: &BodyReader, body: impl Body<Data = Bytes> + Send) -> Result<usize, StatusCode> {
        reader.read(&HeaderMap::new(), body).await.map(|body| body.bytes.len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_of_a_mebibyte_is_read_and_no_byte_more() {
        let reader = BodyReader::default();
        assert_eq!(read(&reader, pieces(128)).await, Ok(MAX_EVENT_BYTES));
        assert_eq!(read(&reader, pieces(129)).await, Err(StatusCode::PAYLOAD_TOO_LARGE));
        assert_eq!(read(&reader, stalled(3)).await, Err(StatusCode::REQUEST_TIMEOUT));
    }

    #[tokio::test(start_paused = true)]
    async fn senders_on_every_slot_keep_long_bodies_waiting_but_no_small_one() {
        let reader = BodyReader::default();
        let started = tokio::time::Instant::now();
        let holders = futures_util::future::join_all((0..SLOTS).map(|_| read(&reader, stalled(3))));
        let others = async {
            tokio::task::yield_now().await;
            assert_eq!(read(&reader, pieces(2)).await, Ok(SMALL));
            assert!(started.elapsed() < Duration::from_millis(100));
            assert_eq!(read(&reader, pieces(3)).await, Err(StatusCode::SERVICE_UNAVAILABLE));
            assert!(started.elapsed() < Duration::from_secs(1));
        };
        let (holders, ()) = tokio::join!(holders, others);
        assert!(holders.iter().all(|answer| *answer == Err(StatusCode::REQUEST_TIMEOUT)));
        assert_eq!(read(&reader, pieces(3)).await, Ok(3 * 8 * 1024), "the slots are free again");
    }
}

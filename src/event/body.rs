//! Bodies of callbacks, read so that no crowd of senders can fill the memory.
//!
//! A usual event is small, and small bodies never wait. A long one needs a seat, and there are few: so senders that
//! fill all seats keep long events waiting for some seconds, but never the usual ones.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Longest body that is taken as an event, in bytes. A media with thousands of URLs makes a long one; no limit is
/// documented for HTTP.
pub const MAX_EVENT_BYTES: usize = 1024 * 1024;
/// An event of a media with twenty URLs has about 3 KiB. With 2,048 connections these come to 32 MiB.
const SMALL: usize = 16 * 1024;
/// Long bodies at once: 32 MiB.
const SEATS: usize = 32;
/// The sender should have its answer within a second, also when that is to come again.
const SEAT_WITHIN: Duration = Duration::from_millis(700);
/// A body that takes longer is somebody holding the line.
const BODY_WITHIN: Duration = Duration::from_secs(4);

/// The room for bodies that are being read.
#[derive(Debug)]
pub(super) struct BodyRoom(Semaphore);

/// A whole body. A long one keeps its seat until it is dropped.
#[derive(Debug)]
pub(super) struct ReadBody<'a> {
    pub(super) bytes: Vec<u8>,
    _seat: Option<SemaphorePermit<'a>>,
}

impl BodyRoom {
    pub(super) fn new() -> Self {
        Self(Semaphore::new(SEATS))
    }

    /// The body; or 413 (too long), 408 (too slow), 400 (broken off) or 503 (no room: come again).
    pub(super) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<ReadBody<'_>, StatusCode> {
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

    async fn collect(&self, mut body: Body) -> Result<ReadBody<'_>, StatusCode> {
        // Copied out of the connection's buffers: kept as they came, a few bytes each, they would hold many times
        // their own size. What was announced is not set aside: it may never come.
        let (mut bytes, mut seat) = (Vec::new(), None);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| StatusCode::BAD_REQUEST)?.into_data() else { continue };
            let length = bytes.len() + data.len();
            if length > MAX_EVENT_BYTES {
                return Err(StatusCode::PAYLOAD_TOO_LARGE);
            }
            if length > SMALL && seat.is_none() {
                seat = Some(self.seat().await?);
                bytes.reserve_exact(MAX_EVENT_BYTES - bytes.len());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(ReadBody { bytes, _seat: seat })
    }

    async fn seat(&self) -> Result<SemaphorePermit<'_>, StatusCode> {
        match tokio::time::timeout(SEAT_WITHIN, self.0.acquire()).await {
            Ok(Ok(seat)) => Ok(seat),
            _ => Err(StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt as _, stream};

    use super::*;

    fn pieces(count: usize) -> Body {
        Body::from_stream(stream::iter(vec![Ok::<_, Infallible>(vec![b' '; 8 * 1024]); count]))
    }

    /// Sends some, then nothing more.
    fn stalled(count: usize) -> Body {
        let some = stream::iter(vec![Ok::<_, Infallible>(vec![b' '; 8 * 1024]); count]);
        Body::from_stream(some.chain(stream::pending()))
    }

    async fn read(room: &BodyRoom, body: Body) -> Result<usize, StatusCode> {
        room.read(&HeaderMap::new(), body).await.map(|body| body.bytes.len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_of_a_mebibyte_is_read_and_no_byte_more() {
        let room = BodyRoom::new();
        assert_eq!(read(&room, pieces(128)).await, Ok(MAX_EVENT_BYTES));
        assert_eq!(read(&room, pieces(129)).await, Err(StatusCode::PAYLOAD_TOO_LARGE));
        assert_eq!(read(&room, stalled(3)).await, Err(StatusCode::REQUEST_TIMEOUT));
    }

    #[tokio::test(start_paused = true)]
    async fn senders_on_every_seat_keep_long_bodies_waiting_but_no_small_one() {
        let room = BodyRoom::new();
        let started = tokio::time::Instant::now();
        let sitters = futures_util::future::join_all((0..SEATS).map(|_| read(&room, stalled(3))));
        let guests = async {
            tokio::task::yield_now().await;
            assert_eq!(read(&room, pieces(2)).await, Ok(SMALL));
            assert!(started.elapsed() < Duration::from_millis(100));
            assert_eq!(read(&room, pieces(3)).await, Err(StatusCode::SERVICE_UNAVAILABLE));
            assert!(started.elapsed() < Duration::from_secs(1));
        };
        let (sitters, ()) = tokio::join!(sitters, guests);
        assert!(sitters.iter().all(|answer| *answer == Err(StatusCode::REQUEST_TIMEOUT)));
        assert_eq!(read(&room, pieces(3)).await, Ok(3 * 8 * 1024), "the seats are free again");
    }
}

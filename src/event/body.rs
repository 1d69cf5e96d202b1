//! Bodies of callbacks, read so that no number of senders can fill the memory.
//!
//! A usual event is small, and small bodies never wait. A long one needs a slot, and there are few: so senders that
//! hold all slots keep long events waiting for some seconds, but never the usual ones.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::net::long_body;

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
pub(super) struct BodyReader {
    slots: Semaphore,
    room: Mutex<Room>,
}

/// The room for long bodies: one piece of memory while any is held, and none otherwise.
#[derive(Debug, Default)]
struct Room {
    free: Vec<BytesMut>,
    held: usize,
}

impl Room {
    fn take(&mut self) -> BytesMut {
        if self.held == 0 {
            let mut all = long_body::set_aside(SLOTS * MAX_EVENT_BYTES);
            self.free = (0..SLOTS).rev().map(|slot| all.split_off(slot * MAX_EVENT_BYTES)).collect();
        }
        self.held += 1;
        self.free.pop().unwrap_or_default()
    }

    fn give_back(&mut self, mut buffer: BytesMut) {
        self.held -= 1;
        if self.held == 0 {
            self.free = Vec::new();
        } else {
            buffer.clear();
            self.free.push(buffer);
        }
    }
}

/// A whole body. A long one keeps its slot until it is dropped.
#[derive(Debug)]
pub(super) struct ReadBody<'a> {
    bytes: BytesMut,
    slot: Option<(&'a Mutex<Room>, SemaphorePermit<'a>)>,
}

impl ReadBody<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for ReadBody<'_> {
    fn drop(&mut self) {
        // The slot is free only after its buffer.
        if let Some((room, _permit)) = self.slot.take() {
            let buffer = std::mem::take(&mut self.bytes);
            room.lock().unwrap_or_else(PoisonError::into_inner).give_back(buffer);
        }
    }
}

impl Default for BodyReader {
    fn default() -> Self {
        Self { slots: Semaphore::new(SLOTS), room: Mutex::default() }
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
        let mut read = ReadBody { bytes: BytesMut::new(), slot: None };
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| StatusCode::BAD_REQUEST)?.into_data() else { continue };
            let length = read.bytes.len() + data.len();
            if length > MAX_EVENT_BYTES {
                return Err(StatusCode::PAYLOAD_TOO_LARGE);
            }
            if length > SMALL && read.slot.is_none() {
                let waited = tokio::time::timeout(SLOT_WITHIN, self.slots.acquire()).await;
                let permit = waited.ok().and_then(Result::ok).ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
                let mut buffer = self.room.lock().unwrap_or_else(PoisonError::into_inner).take();
                buffer.extend_from_slice(&read.bytes);
                read = ReadBody { bytes: buffer, slot: Some((&self.room, permit)) };
            }
            read.bytes.extend_from_slice(&data);
        }
        Ok(read)
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
        reader.read(&HeaderMap::new(), body).await.map(|body| body.bytes().len())
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

    #[tokio::test(start_paused = true)]
    async fn long_bodies_share_one_piece_of_memory_and_leave_none() {
        let reader = BodyReader::default();
        let mut held = Vec::new();
        for _ in 0..SLOTS {
            held.push(reader.read(&HeaderMap::new(), pieces(128)).await.unwrap());
        }
        let places: Vec<_> = held.iter().map(|body| body.bytes().as_ptr() as usize).collect();
        let (first, last) = (places.iter().min().unwrap(), places.iter().max().unwrap());
        assert_eq!(last - first, (SLOTS - 1) * MAX_EVENT_BYTES);
        held.pop();
        held.push(reader.read(&HeaderMap::new(), pieces(127)).await.unwrap());
        assert_eq!(held[SLOTS - 1].bytes().as_ptr() as usize, places[SLOTS - 1]);
        held.clear();
        assert!(reader.room.lock().unwrap().free.is_empty());
    }
}

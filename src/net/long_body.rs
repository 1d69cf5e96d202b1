//! Memory for long bodies.

use bytes::BytesMut;

/// The common allocators take what is longer than this from the system and give it back there; what is shorter may come from
/// their heaps, and the first one that is freed raises the limit.
const FROM_SYSTEM: usize = 33 * 1024 * 1024;

/// Sets aside so many bytes in memory of their own, which goes back to the system when it is dropped.
///
/// A heap does not shrink while a small thing that lives on lies above what was freed: a process that reads long bodies there
/// keeps what the longest took, once for each thread. The memory set aside here is only taken where something is written.
pub(crate) fn set_aside(bytes: usize) -> BytesMut {
    BytesMut::with_capacity(bytes.max(FROM_SYSTEM))
}

//! HTTP and time, and nothing of VOD: the transport seam, retries, pace, clocks and a small server loop.
pub mod clock;
pub(crate) mod rng;
pub(crate) mod serve;
pub mod transport;

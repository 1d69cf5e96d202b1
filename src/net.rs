//! HTTP and time, and nothing of VOD: the transport seam, retries, pace, clocks, XML and a small server loop.

pub mod clock;
pub mod transport;

pub(crate) mod connector;
pub(crate) mod endpoint;
mod http_transport;
pub(crate) mod long_body;
pub(crate) mod pace;
mod proxies;
pub(crate) mod retry;
pub(crate) mod rng;
pub(crate) mod serve;
pub(crate) mod service_time;
pub(crate) mod tls;
pub(crate) mod xml;

pub use http_transport::{HttpOptions, HttpTransport, MAX_ANSWER_BYTES};

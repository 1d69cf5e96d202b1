//! Whether a node of the CDN serves the new file: it is asked for a URL, and the headers of its answer tell whether its copy was
//! stored after the submission.
//!
//! [`EdgeCheck`] asks, [`EdgeVerdict`] is what comes of it. One node is one node: the CDN has thousands, and what one of them
//! holds proves nothing of the others. What the headers mean, and how far that is known, stands in
//! [`docs::service`](crate::docs::service).

mod answer;
mod ask;
mod check;
mod judge;
mod node;
mod refusal;
mod sign;
mod target;
#[cfg(test)]
mod tests;
mod times;

pub use answer::{EdgeAnswer, EdgeVerdict};
pub(crate) use check::NO_TIME;
pub use check::{DEFAULT_SAMPLE, EdgeCheck, EdgeOptions, EdgeUrl, PER_HOST};
pub use node::EdgeNode;

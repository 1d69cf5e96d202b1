//! Hostile surroundings: what strangers send, and what else the world does to a run.

mod senders;

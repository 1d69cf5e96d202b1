//! Runs in a real PostgreSQL, which the tests start themselves. Where it is not installed, they say `skipped` and pass.

mod crashes;
mod fencing;
mod fleet;
mod inputs;
mod kills;
mod passwords;
mod pooler;
mod proxy;
mod server;
mod stops;
mod transport;

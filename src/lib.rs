//! stub
pub mod auth;
pub mod error;
pub mod ids;
pub mod net;
pub mod vod;
pub use error::{Error, ErrorKind, Result};

//! stub
pub mod auth;
pub mod error;
pub mod ids;
pub mod net;
pub use error::{Error, ErrorKind, Result};
#[cfg(feature = "emulator")]
pub mod emulator;

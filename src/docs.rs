//! Pages to read: how the service works, and how this crate is made.
//!
//! [`service`] tells what happens to a media id at the vendor's side, and what surprises there; [`design`] tells how a
//! run is driven, and why it is built as it is. The programs under `examples/` run without an account.

#[doc = include_str!("docs/service.md")]
pub mod service {}

#[doc = include_str!("docs/design.md")]
pub mod design {}

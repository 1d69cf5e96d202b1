//! The real binary, over real sockets on the loopback, as a script runs it: an empty `HOME`, no variables but those given.
//!
//! `cloud` is the emulator behind a port, `scenarios` say how it behaves; `shell` is a command line and `process` what
//! became of it; `marks` are secrets that must not show; `raw` (next to this file) is a server that says what a test tells it. The other modules hold promises,
//! one kind each.

mod cloud;
mod marks;
mod process;
mod scenarios;
mod shell;

mod callback_port;
mod credentials;
mod edge;
mod events;
mod exit_codes;
mod failures;
mod given;
mod hygiene;
mod lists;
mod network;
mod nonsense;
mod options;
mod output;
mod pages;
mod pipelines;
mod secrets;
mod signing;
mod stopping;
mod throttling;
mod two_stages;
mod urls;
mod verdict_cases;
mod waiting;
mod words;
mod words_of_service;

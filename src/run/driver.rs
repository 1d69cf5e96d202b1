//! The driver: the one loop of a run.
//!
//! It takes due work from the ledger, performs it, and turns each answer into a fact. It decides nothing about media
//! or tasks; it only knows how to call, how to stop and when to give up following. Calls run side by side as tasks of
//! their own; the client keeps their pace.

mod call_log;
mod calls;
mod edge;
mod ending;
mod event_loop;
mod fleet;
mod fleet_pace;
mod report;
mod run_journal;
mod shared_page;
mod start;
mod state;
mod stored;

pub(super) use start::{begin, decline, resume};

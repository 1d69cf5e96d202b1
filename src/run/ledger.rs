//! The ledger: what is known about a run. Pure: no I/O, no clock, no async.
//!
//! Facts go in through [`Ledger::apply`], due work comes out of [`Ledger::due`]. Everything a race can do (events
//! early, twice, late, forged, never; lookups empty, tasks not visible) is a sequence of facts, so every race is a
//! table test here. Applying a fact or taking work costs O(log n), or walks over the media of one job; only
//! what ends all submissions or all lookups, what ends a stage, a wait for so many media, and what begins a run walks over all rows.
//!
//! A media goes *planned* → *submitted* (a job id came back) → *accepted* (an event or a lookup named its tasks) →
//! *complete* or *failed*. What ends it is one pure function (`verdict`), given anew for each media that a fact touches: what was
//! named (`named`) against what was shown (`rows`). An event is a hint: it starts the polls of its tasks at once, and one
//! lookup a job confirms what it said. Where they differ the lookup wins.

mod batches;
mod counts;
mod edge;
mod events;
mod fleet;
mod jobs;
mod media;
mod named;
mod pending_events;
mod reopen;
mod rows;
mod settings;
mod stages;
mod state;
mod task_table;
mod tasks;
mod urls;
mod verdict;
mod view;
mod without_lookups;
mod work;

#[cfg(test)]
mod tests;

pub use crate::model::{Fact, Fault, Moment};
#[cfg(test)]
pub(crate) use settings::GRACE;
pub use settings::Settings;
pub use state::Ledger;
pub use work::{Slots, Work};

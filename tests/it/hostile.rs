//! Hostile or careless surroundings.

mod answers;
mod journal_files;
mod journal_trouble;
mod reports;
mod senders;
mod streams;

//! Hostile or careless surroundings, by case (H01 …).

mod answers;
mod journal_files;
mod journal_trouble;
mod reports;
mod senders;
mod streams;

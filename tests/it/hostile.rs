//! Hostile or careless surroundings, by case (H10 …): each promise is tested through the real binary.

mod journal_files;
mod journal_trouble;
mod reports;
mod streams;

//! Status words that are not documented: each is told once.

use std::collections::HashSet;

/// More different words than this are a service gone mad: they are not told.
const MOST: usize = 20;

#[derive(Debug, Default)]
pub(super) struct Words(HashSet<Box<str>>);

impl Words {
    /// Whether a word was not met before, and is worth telling.
    pub(super) fn is_new(&mut self, word: &str) -> bool {
        !self.0.contains(word) && self.0.len() < MOST && self.0.insert(word.into())
    }
}

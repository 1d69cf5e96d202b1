//! The copies that the pretend node holds.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

/// Most copies that are remembered.
const MOST: usize = 100_000;

/// A copy of one URL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredCopy {
    /// When the content came into the CDN.
    pub(crate) came: DateTime<Utc>,
    /// When the origin gave or confirmed it.
    pub(crate) confirmed: DateTime<Utc>,
    /// When this node stored it.
    pub(crate) stored: DateTime<Utc>,
}

/// The copies that requests made, by host and path.
#[derive(Debug, Default)]
pub(crate) struct Copies(HashMap<String, StoredCopy>);

impl Copies {
    pub(crate) fn get(&self, place: &str) -> Option<StoredCopy> {
        self.0.get(place).copied()
    }

    pub(crate) fn put(&mut self, place: &str, copy: StoredCopy) {
        if self.0.len() < MOST || self.0.contains_key(place) {
            self.0.insert(place.to_owned(), copy);
        }
    }
}

//! Rows of one kind, in the order in which they became known, and indices that fit the rows of one kind only.

use std::marker::PhantomData;
use std::ops::{self, Deref};

/// The place of a row among those of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Index<Kind>(u32, PhantomData<Kind>);

/// The kinds of rows. They have no values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum OfBatch {}
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum OfJob {}
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum OfMedia {}
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum OfTask {}

pub(crate) type BatchIndex = Index<OfBatch>;
pub(crate) type JobIndex = Index<OfJob>;
pub(crate) type MediaIndex = Index<OfMedia>;
pub(crate) type TaskIndex = Index<OfTask>;

impl<Kind> Index<Kind> {
    /// Rows are numbered from 0.
    pub(crate) const fn new(number: u32) -> Self {
        Self(number, PhantomData)
    }

    pub(crate) fn number(self) -> u32 {
        self.0
    }

    /// This row and those after it, so many in all.
    pub(crate) fn and_next(self, count: usize) -> impl DoubleEndedIterator<Item = Self> + use<Kind> {
        (self.0..self.0 + count as u32).map(Self::new)
    }
}

/// All rows of one kind.
#[derive(Debug)]
pub(crate) struct Table<Kind, Row>(Vec<Row>, PhantomData<Kind>);

impl<Kind, Row> Default for Table<Kind, Row> {
    fn default() -> Self {
        Self(Vec::new(), PhantomData)
    }
}

impl<Kind, Row> Table<Kind, Row> {
    /// The index that the next row will have.
    pub(crate) fn next(&self) -> Index<Kind> {
        Index::new(self.0.len() as u32)
    }

    pub(crate) fn push(&mut self, row: Row) -> Index<Kind> {
        let index = self.next();
        self.0.push(row);
        index
    }

    pub(crate) fn get(&self, index: Index<Kind>) -> Option<&Row> {
        self.0.get(index.0 as usize)
    }

    pub(crate) fn get_mut(&mut self, index: Index<Kind>) -> Option<&mut Row> {
        self.0.get_mut(index.0 as usize)
    }

    /// The indices of all rows.
    pub(crate) fn indices(&self) -> impl DoubleEndedIterator<Item = Index<Kind>> + use<Kind, Row> {
        Index::new(0).and_next(self.0.len())
    }
}

impl<Kind, Row> ops::Index<Index<Kind>> for Table<Kind, Row> {
    type Output = Row;
    fn index(&self, index: Index<Kind>) -> &Row {
        &self.0[index.0 as usize]
    }
}

impl<Kind, Row> ops::IndexMut<Index<Kind>> for Table<Kind, Row> {
    fn index_mut(&mut self, index: Index<Kind>) -> &mut Row {
        &mut self.0[index.0 as usize]
    }
}

impl<Kind, Row> Deref for Table<Kind, Row> {
    type Target = [Row];
    fn deref(&self) -> &[Row] {
        &self.0
    }
}

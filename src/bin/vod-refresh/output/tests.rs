//! Reports for the tests of all forms.

pub(super) mod sample;

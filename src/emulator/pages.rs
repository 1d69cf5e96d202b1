//! How `DescribeVodRefreshTasks` cuts its rows into pages, and what it says about them.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How rows are cut into pages and counted. The default is honest; the [page](super::telling) says what each field means.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pages {
    /// Most rows of a page, whatever was asked.
    pub size: Option<NonZeroUsize>,
    /// What the answer has as `PageSize`.
    pub size_named: SizeNamed,
    /// What it has as `TotalCount`.
    pub total: Total,
    /// So many rows move from the front to the end with each query.
    pub shift: usize,
}

/// What an answer has as `PageSize`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SizeNamed {
    /// The size by which the pages are cut.
    #[default]
    Right,
    /// The size that was asked for.
    Asked,
    /// Nothing.
    None,
}

/// What an answer has as `TotalCount`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Total {
    /// How many rows there are.
    #[default]
    Right,
    /// Nothing.
    None,
    /// Half of it.
    TooLow,
    /// 50 more.
    TooHigh,
    /// 0.
    Zero,
    /// The right number as a text.
    Text,
}

impl Pages {
    /// By how many rows the pages are cut where so many were asked for.
    pub(super) fn size(&self, asked: usize) -> usize {
        self.size.map_or(asked, |most| asked.min(most.get()))
    }

    /// The order of the rows after so many queries.
    pub(super) fn turn<T>(&self, rows: &mut [T], queries: usize) {
        if !rows.is_empty() {
            rows.rotate_left(self.shift.wrapping_mul(queries) % rows.len());
        }
    }

    /// Makes an honest answer name its sizes as it shall.
    pub(super) fn tell(&self, body: &mut Value, asked: usize) {
        let total = body["TotalCount"].as_u64().unwrap_or_default();
        let told = match self.total {
            Total::Right => Some(json!(total)),
            Total::None => None,
            Total::TooLow => Some(json!(total / 2)),
            Total::TooHigh => Some(json!(total + 50)),
            Total::Zero => Some(json!(0)),
            Total::Text => Some(json!(total.to_string())),
        };
        let size = match self.size_named {
            SizeNamed::Right => Some(body["PageSize"].clone()),
            SizeNamed::Asked => Some(json!(asked)),
            SizeNamed::None => None,
        };
        let Value::Object(fields) = body else { return };
        for (name, value) in [("TotalCount", told), ("PageSize", size)] {
            match value {
                Some(value) => fields.insert(name.into(), value),
                None => fields.remove(name),
            };
        }
    }
}

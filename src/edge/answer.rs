//! What one node said of one URL.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, Serializer};

use crate::net::clock::to_wire;

/// Whether a node's copy is newer than the submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EdgeVerdict {
    /// All that the node says of its copy is later than the submission.
    Fresh,
    /// The copy is older than the submission, for sure.
    Stale,
    /// The node had no copy: as it should be after a refresh, not after a preload.
    Absent,
    /// Anything else; the reason says what.
    Unknown,
}

impl EdgeVerdict {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Absent => "absent",
            Self::Unknown => "unknown",
        }
    }
}

/// What one node said of one URL. No field holds a signed URL, a key or a control character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EdgeAnswer {
    /// Address and port that were asked; the URL's host if no connection came about; a text that names the proxy where that
    /// chose the node.
    pub node: String,
    /// The status of the answer; `None` if none came.
    pub http_status: Option<u16>,
    /// `X-Cache`, at most 80 characters of it.
    pub cache: Option<String>,
    /// When the node stored its copy, by its own clock (`X-Swift-SaveTime`), else when the content came into the CDN
    /// (`Ali-Swift-Global-Savetime`).
    #[serde(serialize_with = "wire_time")]
    pub saved_at: Option<DateTime<Utc>>,
    /// `Age`: seconds since the origin was asked for the content.
    pub age_s: Option<u64>,
    /// Whether the copy is newer than the submission.
    pub verdict: EdgeVerdict,
    /// Why, in one sentence for people; what to do next where something can be done.
    pub reason: String,
}

fn wire_time<S: Serializer>(time: &Option<DateTime<Utc>>, to: S) -> Result<S::Ok, S::Error> {
    time.map(to_wire).serialize(to)
}

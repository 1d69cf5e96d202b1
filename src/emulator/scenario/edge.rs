//! How the pretend node of the CDN behaves.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;

/// How the node behaves that serves playback URLs at the emulator's own port, told by the `Host` of a request. The default is a
/// node in good health, with copies of a day ago.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EdgeScript {
    /// How old its copies are when their URLs are first handed in.
    #[serde(with = "duration")]
    pub copy_age: Duration,
    /// It has no copy of anything at first.
    pub cold: bool,
    /// Ends of URLs whose copies it keeps, whatever task completes; an empty text is the end of all.
    pub kept: Vec<String>,
    /// Ends of URLs whose copies are kept one level higher: the node drops its own, and fetches the old content again.
    pub kept_above: Vec<String>,
    /// Ends of URLs that the origin has not changed: it answers 304 to the node that asks again.
    pub unchanged: Vec<String>,
    /// URLs must be signed with this key, type A.
    pub auth_key: Option<String>,
    /// Hosts that `Referer` may name; empty: any, or none.
    pub referers: Vec<String>,
    /// Seconds that the node's clock is ahead of the cloud's.
    pub clock_offset: i64,
    /// Its answers have no headers of the CDN.
    pub bare: bool,
    /// `HEAD` is answered with this status.
    pub head_refused: Option<u16>,
}

impl Default for EdgeScript {
    fn default() -> Self {
        Self {
            copy_age: Duration::from_secs(24 * 3_600),
            cold: false,
            kept: Vec::new(),
            kept_above: Vec::new(),
            unchanged: Vec::new(),
            auth_key: None,
            referers: Vec::new(),
            clock_offset: 0,
            bare: false,
            head_refused: None,
        }
    }
}

impl EdgeScript {
    /// A node that keeps the copies of all URLs with this end.
    pub fn keeping(end: impl Into<String>) -> Self {
        Self { kept: vec![end.into()], ..Self::default() }
    }
}

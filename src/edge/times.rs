//! What the headers of a node say of times, and whether it had a copy.

use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode};

/// What times are believed: from 2001 to 2099, in Unix seconds.
const BELIEVED: std::ops::Range<i64> = 978_307_200..4_070_908_800;

/// The longest age that is believed: ten years, in seconds.
const LONGEST_AGE: i64 = 3_652 * 86_400;

/// The values of one header, and whether one of them makes no sense.
#[derive(Debug)]
pub(super) struct TimeHeader {
    pub(super) name: &'static str,
    pub(super) values: Vec<i64>,
    pub(super) is_unreadable: bool,
}

impl TimeHeader {
    fn read(headers: &HeaderMap, name: &'static str, read: impl Fn(&str) -> Option<i64>) -> Self {
        let mut header = Self { name, values: Vec::new(), is_unreadable: false };
        for value in headers.get_all(name) {
            match value.to_str().ok().and_then(|text| read(text.trim())) {
                Some(value) => header.values.push(value),
                None => header.is_unreadable = true,
            }
        }
        header
    }

    /// The oldest time: where there are several, one of them is that of an older copy.
    pub(super) fn time(&self) -> Option<DateTime<Utc>> {
        self.values.iter().min().and_then(|seconds| DateTime::from_timestamp(*seconds, 0))
    }
}

/// All that the headers say of times, in Unix seconds, and of the cache.
#[derive(Debug)]
pub(super) struct Times {
    /// When this node stored its copy, by its own clock.
    pub(super) saved: TimeHeader,
    /// When the content came into the CDN, by the clock of the node that asked the origin. Stays when the origin answers a later
    /// question with 304.
    pub(super) came: TimeHeader,
    /// When the origin gave or confirmed the content, by its clock.
    pub(super) date: TimeHeader,
    /// How long ago that was, in seconds, over all levels of the CDN.
    pub(super) age: TimeHeader,
    /// When the node made this answer, by its own clock, in milliseconds.
    pub(super) answered: Option<i64>,
    pub(super) cache: Cache,
}

impl Times {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?;
        let second = |seconds: &i64| BELIEVED.contains(seconds);
        let date = |text: &str| Some(DateTime::parse_from_rfc2822(text).ok()?.timestamp()).filter(second);
        Self {
            saved: TimeHeader::read(headers, "X-Swift-SaveTime", date),
            came: TimeHeader::read(headers, "Ali-Swift-Global-Savetime", |text| number(text).filter(second)),
            date: TimeHeader::read(headers, "Date", date),
            age: TimeHeader::read(headers, "Age", |text| number(text).filter(|age| *age <= LONGEST_AGE)),
            cache: Cache::read(headers),
            answered: headers.get("EagleId").and_then(|id| time_of_request(id.to_str().ok()?)),
        }
    }

    /// When the copy was stored, as far as the node says.
    pub(super) fn saved_at(&self) -> Option<DateTime<Utc>> {
        self.saved.time().or_else(|| self.came.time())
    }

    pub(super) fn age_s(&self) -> Option<u64> {
        self.age.values.iter().max().and_then(|age| u64::try_from(*age).ok())
    }

    /// Whether nothing here is the CDN's own.
    pub(super) fn say_nothing(&self) -> bool {
        self.saved.values.is_empty() && self.came.values.is_empty()
    }
}

/// The time inside a request id of the CDN: eight hex digits of an address, then Unix milliseconds in 13 digits.
fn time_of_request(id: &str) -> Option<i64> {
    let (address, rest) = id.split_at_checked(8)?;
    let digits = rest.get(..13)?;
    let is_id = address.bytes().all(|b| b.is_ascii_hexdigit()) && digits.bytes().all(|b| b.is_ascii_digit());
    let millis: i64 = is_id.then(|| digits.parse().ok())??;
    BELIEVED.contains(&(millis / 1_000)).then_some(millis)
}

/// Whether the node had a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cache {
    Hit,
    Miss,
    Untold,
}

impl Cache {
    fn read(headers: &HeaderMap) -> Self {
        let words: Vec<_> = headers
            .get_all("X-Cache")
            .iter()
            .map(|value| value.as_bytes().split(|b| b" ,;".contains(b)).next().unwrap_or_default())
            .collect();
        let any = |word: &[u8]| words.iter().any(|first| first.eq_ignore_ascii_case(word));
        // Where several levels speak, one hit means that the answer is a copy.
        match (any(b"HIT"), any(b"MISS")) {
            (true, _) => Self::Hit,
            (false, true) => Self::Miss,
            (false, false) => Self::Untold,
        }
    }
}

/// Whether an answer with this status and these headers leaves it open what a GET would say.
pub(super) fn tells_nothing(status: StatusCode, headers: &HeaderMap) -> bool {
    let is_of_cdn = headers.contains_key("X-Cache") || !Times::read(headers).say_nothing();
    match status.as_u16() {
        200 | 206 => !is_of_cdn,
        403 => !headers.contains_key("X-Tengine-Error"),
        400 | 405 | 501 => true,
        _ => false,
    }
}

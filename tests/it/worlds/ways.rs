//! The ways in which one world is told: what lies, what is late, what is dressed up. Each is rare enough that worlds stay
//! of many kinds, and common enough that some thousands of worlds have every pair of them.

use std::time::Duration;

use serde_json::{Value, json};

use super::world::Kind;
use crate::soak::lot::Lot;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lookups {
    Work,
    /// 403 `Forbidden.RAM`, always.
    Refused,
    /// The user switched them off.
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    None,
    Signed,
    Unsigned,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Total {
    True,
    Missing,
    Text,
    Low,
    High,
    Zero,
}

/// How a list of ids or URLs is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dress {
    Commas,
    CommaBlank,
    Semicolons,
    Blanks,
    Lines,
    JsonText,
    Array,
    Object,
}

#[derive(Debug, Clone)]
pub(super) struct Ways {
    pub(super) lookups: Lookups,
    pub(super) source: Source,
    pub(super) poll: Duration,
    pub(super) deadline: Duration,
    pub(super) latency: Duration,
    /// The answer to a submission takes longer.
    pub(super) submit_delay: Duration,
    /// How long a lookup shows nothing of a job of others.
    pub(super) silence: Duration,
    /// The lookup names task ids alone.
    pub(super) is_unnamed: bool,
    pub(super) is_schemeless: bool,
    pub(super) ids: Dress,
    pub(super) urls: Dress,
    /// An id is repeated for each of its URLs.
    pub(super) repeats_ids: bool,
    /// The rows of a media stand in two rows of one answer.
    pub(super) two_rows: bool,
    /// The word for what is not final.
    pub(super) pending: Value,
    /// Rows of a page where the server has a mind of its own.
    pub(super) page: Option<usize>,
    pub(super) names_page: bool,
    /// Pages begin elsewhere at the first looks at a task.
    pub(super) shifts: bool,
    pub(super) total: Total,
    /// A list of one is a lone object.
    pub(super) lone: bool,
    pub(super) bom: bool,
    /// Chance of an answer that is not the service's.
    pub(super) proxies: u64,
    pub(super) garbles: bool,
    pub(super) unknown_code: bool,
    /// Tasks of others that a listing shows.
    pub(super) crowd: u64,
    pub(super) heeds_filters: bool,
    /// Ids that answers to submissions name as missing, and nobody asked for.
    pub(super) junk_refusals: bool,
}

impl Ways {
    pub(super) fn draw(lot: &mut Lot, kind: Kind, is_big: bool) -> Self {
        let source = match lot.below(4) {
            _ if kind == Kind::Wait => Source::None,
            0 => Source::Signed,
            1 => Source::Unsigned,
            _ => Source::None,
        };
        let lookups = match lot.below(100) {
            _ if kind != Kind::Refresh => Lookups::Work,
            0..=7 if source != Source::None => Lookups::Refused,
            8..=15 if source != Source::None => Lookups::Off,
            _ => Lookups::Work,
        };
        let is_unnamed = !is_big && lot.percent(6);
        let is_schemeless = lot.percent(8);
        let dresses = [
            Dress::Commas,
            Dress::CommaBlank,
            Dress::Semicolons,
            Dress::Blanks,
            Dress::Lines,
            Dress::JsonText,
            Dress::Array,
            Dress::Object,
        ];
        let dress = |lot: &mut Lot| if lot.percent(50) { Dress::Commas } else { lot.one_of(&dresses) };
        let totals = [Total::Missing, Total::Text, Total::Low, Total::High, Total::Zero];
        let total = if is_unnamed {
            // Here the total is all there is to know how many rows there are.
            lot.one_of(&[Total::True, Total::Text])
        } else if lot.percent(70) {
            Total::True
        } else {
            lot.one_of(&totals)
        };
        let words = [json!("processing"), Value::Null, json!("Init"), json!(""), json!("queued")];
        let page = match lot.below(10) {
            0 if is_big => Some(10 + lot.below(30) as usize),
            0..=2 if !is_big => Some(1 + lot.below(4) as usize),
            _ => None,
        };
        Self {
            lookups,
            source,
            poll: Duration::from_secs(if is_big { 30 } else { 20 + lot.below(31) }),
            deadline: Duration::from_secs(1_200 + 60 * lot.below(11).min(lot.below(11))),
            latency: Duration::from_millis(lot.one_of(&[0, 40, 40, 250])),
            submit_delay: if lot.percent(20) { lot.ms(3_000) } else { Duration::ZERO },
            silence: if kind == Kind::Wait && lot.percent(20) { lot.ms(60_000) } else { Duration::ZERO },
            is_unnamed,
            is_schemeless,
            ids: dress(lot),
            urls: dress(lot),
            repeats_ids: lot.percent(30),
            two_rows: lot.percent(6),
            pending: lot.one_of(&words),
            page,
            names_page: lot.percent(60),
            shifts: !is_unnamed && lot.percent(10),
            total,
            lone: lot.percent(10),
            bom: lot.percent(4),
            proxies: if lot.percent(12) { 10 + lot.below(15) } else { 0 },
            garbles: lot.percent(4),
            unknown_code: lot.percent(4),
            crowd: if is_big && lot.percent(70) { lot.below(90) } else { 0 },
            heeds_filters: lot.percent(70),
            junk_refusals: lot.percent(3),
        }
    }
}

impl Dress {
    /// `Commas`, where the texts hold what another dress would take for a separator.
    pub(super) fn fit_for(self, texts: &[&str]) -> Self {
        let has_blanks = texts.iter().any(|text| text.contains(' '));
        match self {
            Self::CommaBlank | Self::Semicolons | Self::Blanks | Self::Lines if has_blanks => Self::Commas,
            _ => self,
        }
    }

    pub(super) fn put_on(self, texts: &[&str]) -> Value {
        match self {
            Self::Commas => json!(texts.join(",")),
            Self::CommaBlank => json!(texts.join(", ")),
            Self::Semicolons => json!(texts.join(";")),
            Self::Blanks => json!(texts.join(" ")),
            Self::Lines => json!(texts.join("\r\n")),
            Self::JsonText => json!(json!(texts).to_string()),
            Self::Array => json!(texts),
            Self::Object => json!({ "Item": texts }),
        }
    }
}

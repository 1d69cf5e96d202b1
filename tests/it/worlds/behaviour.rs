//! How the cloud of one world behaves: what lies, what is late, what is written otherwise. Each is rare enough that worlds stay
//! of many kinds, and common enough that some thousands of worlds have every pair of them.

use std::time::Duration;

use serde_json::{Value, json};

use super::world::Kind;
use crate::support::random::Rng;

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
pub(super) enum ListNotation {
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
pub(super) struct Behaviour {
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
    pub(super) ids: ListNotation,
    pub(super) urls: ListNotation,
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
    pub(super) foreign_tasks: u64,
    pub(super) heeds_filters: bool,
    /// Ids that answers to submissions name as missing, and nobody asked for.
    pub(super) junk_refusals: bool,
}

impl Behaviour {
    pub(super) fn draw(rng: &mut Rng, kind: Kind, is_big: bool) -> Self {
        let source = match rng.below(4) {
            _ if kind == Kind::Wait => Source::None,
            0 => Source::Signed,
            1 => Source::Unsigned,
            _ => Source::None,
        };
        let lookups = match rng.below(100) {
            _ if kind != Kind::Refresh => Lookups::Work,
            0..=7 if source != Source::None => Lookups::Refused,
            8..=15 if source != Source::None => Lookups::Off,
            _ => Lookups::Work,
        };
        let is_unnamed = !is_big && rng.percent(6);
        let is_schemeless = rng.percent(8);
        let notations = [
            ListNotation::Commas,
            ListNotation::CommaBlank,
            ListNotation::Semicolons,
            ListNotation::Blanks,
            ListNotation::Lines,
            ListNotation::JsonText,
            ListNotation::Array,
            ListNotation::Object,
        ];
        let notation =
            |rng: &mut Rng| if rng.percent(50) { ListNotation::Commas } else { rng.one_of(&notations) };
        let totals = [Total::Missing, Total::Text, Total::Low, Total::High, Total::Zero];
        let total = if is_unnamed {
            // Here the total is all there is to know how many rows there are.
            rng.one_of(&[Total::True, Total::Text])
        } else if rng.percent(70) {
            Total::True
        } else {
            rng.one_of(&totals)
        };
        let words = [json!("processing"), Value::Null, json!("Init"), json!(""), json!("queued")];
        let page = match rng.below(10) {
            0 if is_big => Some(10 + rng.below(30) as usize),
            0..=2 if !is_big => Some(1 + rng.below(4) as usize),
            _ => None,
        };
        Self {
            lookups,
            source,
            poll: Duration::from_secs(if is_big { 30 } else { 20 + rng.below(31) }),
            deadline: Duration::from_secs(1_200 + 60 * rng.below(11).min(rng.below(11))),
            latency: Duration::from_millis(rng.one_of(&[0, 40, 40, 250])),
            submit_delay: if rng.percent(20) { rng.ms(3_000) } else { Duration::ZERO },
            silence: if kind == Kind::Wait && rng.percent(20) { rng.ms(60_000) } else { Duration::ZERO },
            is_unnamed,
            is_schemeless,
            ids: notation(rng),
            urls: notation(rng),
            repeats_ids: rng.percent(30),
            two_rows: rng.percent(6),
            pending: rng.one_of(&words),
            page,
            names_page: rng.percent(60),
            shifts: !is_unnamed && rng.percent(10),
            total,
            lone: rng.percent(10),
            bom: rng.percent(4),
            proxies: if rng.percent(12) { 10 + rng.below(15) } else { 0 },
            garbles: rng.percent(4),
            unknown_code: rng.percent(4),
            foreign_tasks: if is_big && rng.percent(70) { rng.below(90) } else { 0 },
            heeds_filters: rng.percent(70),
            junk_refusals: rng.percent(3),
        }
    }
}

impl ListNotation {
    /// `Commas`, where the texts hold what another notation would take for a separator.
    pub(super) fn unambiguous_for(self, texts: &[&str]) -> Self {
        let has_blanks = texts.iter().any(|text| text.contains(' '));
        match self {
            Self::CommaBlank | Self::Semicolons | Self::Blanks | Self::Lines if has_blanks => Self::Commas,
            _ => self,
        }
    }

    pub(super) fn write(self, texts: &[&str]) -> Value {
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

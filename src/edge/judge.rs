//! What the headers of a node's answer say of its copy. Pure: the times are given.
//!
//! Each header that names a time is a witness: good to a second, and as wrong as the clock behind it. There are four clocks: the
//! node's, that of the node which asked the origin, the origin's, and ours, by which an age is counted. One of them may be wrong
//! without a trace, and the first three may be one, so a verdict takes witnesses of several clocks that agree. An age needs no clock
//! of theirs: no copy is older than the submission whose age is not.

use chrono::{DateTime, Utc};

use super::answer::EdgeVerdict;
use super::times::{Cache, TimeHeader, Times};
use crate::net::clock::to_wire;

/// Clocks of the service and of the CDN may differ by this much, in milliseconds.
const SLACK: i64 = 1_000;
/// A clock that differs from ours by more is off, in milliseconds. Headers have whole seconds.
const CLOCK_SLACK: i64 = 2_000;

/// When a node was asked, and answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange {
    /// When the URL was handed in, by the service's clock.
    pub(super) submitted_at: DateTime<Utc>,
    /// When the request left, by the service's clock.
    pub(super) sent_at: DateTime<Utc>,
    /// When the head of the answer was there, by the service's clock.
    pub(super) received_at: DateTime<Utc>,
}

/// A time that is known from and to, in Unix milliseconds.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: i64,
    to: i64,
}

/// One header, compared with the submission.
struct Witness<'a> {
    header: &'a TimeHeader,
    spans: Vec<Span>,
    /// Unix milliseconds.
    submitted: i64,
}

impl<'a> Witness<'a> {
    fn new(header: &'a TimeHeader, exchange: &Exchange, span: impl Fn(i64) -> Span) -> Self {
        let spans = header.values.iter().map(|value| span(*value)).collect();
        Self { header, spans, submitted: exchange.submitted_at.timestamp() * 1_000 }
    }

    /// Whether it names a time that is earlier for sure.
    fn is_older(&self) -> bool {
        self.spans.iter().any(|span| span.to <= self.submitted - SLACK)
    }

    /// Whether it is there, and all it names is earlier for sure, by this much at least, in milliseconds.
    fn is_all_older_by(&self, slack: i64) -> bool {
        self.is_there() && self.spans.iter().all(|span| span.to <= self.submitted - slack)
    }

    /// Whether it is there, and all it names is later for sure. The submission's time has whole seconds as well.
    fn is_newer(&self) -> bool {
        self.is_there() && self.spans.iter().all(|span| span.from >= self.submitted + 1_000 + SLACK)
    }

    fn is_there(&self) -> bool {
        !self.spans.is_empty()
    }

    fn when(&self) -> String {
        self.header.time().map(to_wire).unwrap_or_default()
    }
}

/// All witnesses of one answer.
struct Witnesses<'a> {
    saved: Witness<'a>,
    came: Witness<'a>,
    date: Witness<'a>,
    age: Witness<'a>,
    /// The same, if it was counted and not taken from a clock that is off.
    counted_age: Witness<'a>,
    cache: Cache,
    /// The request's id tells what the node's clock says.
    is_clock_known: bool,
    /// How far a clock is off, in milliseconds.
    off: i64,
    /// A header names a time that is still to come.
    is_ahead: bool,
    submission: String,
}

/// What the headers of a successful answer say of the copy, and why.
pub(super) fn judge(times: &Times, exchange: &Exchange) -> (EdgeVerdict, String) {
    let of = Witnesses::new(times, exchange);
    if let Some(reason) = of.why_stale() {
        return (EdgeVerdict::Stale, reason);
    }
    let doubts = of.doubts();
    if !doubts.is_empty() {
        return (EdgeVerdict::Unknown, doubts.join("; "));
    }
    if of.cache == Cache::Miss {
        return (EdgeVerdict::Absent, "the node had no copy".to_owned());
    }
    let (what, when) = match of.saved.is_there() {
        true => ("the node stored its copy", of.saved.when()),
        false => ("the content came into the CDN", of.came.when()),
    };
    (EdgeVerdict::Fresh, format!("{what} at {when}, after {}", of.submission))
}

impl<'a> Witnesses<'a> {
    fn new(times: &'a Times, exchange: &Exchange) -> Self {
        let (sent, received) = (exchange.sent_at.timestamp_millis(), exchange.received_at.timestamp_millis());
        let ahead = ahead(times, sent, received);
        let wide = ahead.to - ahead.from;
        // A clock that is off may be that of any of them, as where the node itself asked the origin.
        let of_clock = |at: i64| Span { from: at * 1_000 - ahead.to, to: at * 1_000 + 1_000 - ahead.from };
        let ago = |wide: i64| {
            move |age: i64| Span { from: sent - (age + 1) * 1_000 - wide, to: received - age * 1_000 + wide }
        };
        let saved = Witness::new(&times.saved, exchange, of_clock);
        let came = Witness::new(&times.came, exchange, of_clock);
        let date = Witness::new(&times.date, exchange, of_clock);
        let mut spans = saved.spans.iter().chain(&came.spans).chain(&date.spans);
        let is_ahead = spans.any(|span| span.from > received + CLOCK_SLACK);
        Self {
            is_ahead,
            saved,
            came,
            date,
            age: Witness::new(&times.age, exchange, ago(wide)),
            counted_age: Witness::new(&times.age, exchange, ago(0)),
            cache: times.cache,
            is_clock_known: times.answered.is_some(),
            off: ahead.to.max(-ahead.from),
            submission: format!("the submission at {}", to_wire(exchange.submitted_at)),
        }
    }

    /// Why the copy is older than the submission, if it is for sure.
    fn why_stale(&self) -> Option<String> {
        let Self { saved, came, age, counted_age, submission, .. } = self;
        // Content is as old as its copy at least. Were its age taken from clocks, one that makes it older makes no copy older.
        let is_sure = match counted_age.is_there() {
            true => counted_age.is_all_older_by(SLACK) && saved.is_all_older_by(SLACK),
            false => self.is_clock_known && saved.is_all_older_by(SLACK + CLOCK_SLACK),
        };
        if self.cache != Cache::Miss && is_sure && !came.is_newer() {
            return Some(format!("the node stored its copy at {}, before {submission}", saved.when()));
        }
        // The content is older than the copy where the node took it from another one.
        (age.is_all_older_by(SLACK) && came.is_all_older_by(SLACK)).then(|| {
            format!(
                "the content came into the CDN at {}, before {submission}, and nobody asked the origin since: the node has it from \
                 another node",
                came.when()
            )
        })
    }

    /// What speaks against `fresh`, or `absent` where the node had no copy.
    fn doubts(&self) -> Vec<String> {
        let Self { saved, came, date, age, submission, .. } = self;
        let mut doubts = Vec::new();
        let all = [saved, came, date, age];
        let unreadable = all.iter().filter(|witness| witness.header.is_unreadable);
        let unreadable: Vec<_> = unreadable.map(|witness| witness.header.name).collect();
        if !unreadable.is_empty() {
            doubts.push(format!("its {} can't be read", unreadable.join(" and ")));
        }
        if self.is_ahead {
            doubts.push("it names a time that is still to come".to_owned());
        }
        let is_miss = self.cache == Cache::Miss;
        let was_confirmed = age.is_newer() || date.is_newer();
        if came.is_older() && was_confirmed && !age.is_older() && (is_miss || !saved.is_older()) {
            let when = came.when();
            doubts.push(format!(
                "the content came into the CDN at {when}, before {submission}, and was confirmed since: perhaps the origin did not \
                 change it"
            ));
        } else if !is_miss {
            doubts.extend(self.doubts_of_a_copy());
        } else if saved.is_older() || came.is_older() || age.is_older() {
            doubts.push(format!("the node had no copy, and got one that may be older than {submission}"));
        }
        if !doubts.is_empty() && self.off > 0 {
            let off = self.off / 1_000;
            doubts.push(format!("the clock of the node, or of the origin, is off by {off} s"));
        }
        doubts
    }

    fn doubts_of_a_copy(&self) -> Option<String> {
        let Self { saved, came, date, age, submission, .. } = self;
        let needed = [came, date, age];
        let all = [saved, came, date, age];
        if !saved.is_there() && !came.is_there() {
            Some("no header of the CDN says when the copy was stored".to_owned())
        } else if let Some(missing) = needed.iter().find(|witness| !witness.is_there()) {
            Some(format!("it has no {}, without which the rest is not sure", missing.header.name))
        } else if all.iter().any(|witness| witness.is_older()) {
            Some(format!("its headers contradict each other about {submission}"))
        } else if !all.iter().all(|witness| witness.is_newer() || !witness.is_there()) {
            let close = format!("the copy was stored too close to {submission} to tell");
            Some(if self.off > 0 { "its headers leave it open".to_owned() } else { close })
        } else {
            None
        }
    }
}

/// How far the node's clock is ahead of the service's, from and to, in milliseconds. Contains 0, where it need not be off.
fn ahead(times: &Times, sent: i64, received: i64) -> Span {
    let of_id = times.answered.map(|at| Span { from: at, to: at });
    let of_age = match (&times.date.values[..], &times.age.values[..]) {
        ([date], [age]) => Some((date + age) * 1_000),
        _ => None,
    };
    let of_age = of_age.map(|at| Span { from: at, to: at + 2_000 });
    let mut ahead = Span { from: 0, to: 0 };
    for node in [of_id, of_age].into_iter().flatten() {
        if node.to < sent - CLOCK_SLACK {
            ahead.from = ahead.from.min(node.to - sent);
        } else if node.from > received + CLOCK_SLACK {
            ahead.to = ahead.to.max(node.from - received);
        }
    }
    ahead
}

//! Times, lengths and numbers as the page writes them.

use std::fmt::{self, Display};

use chrono::{DateTime, Utc};

pub(super) fn time(time: DateTime<Utc>) -> String {
    format!(
        r#"<time datetime="{}">{} UTC</time>"#,
        time.format("%Y-%m-%dT%H:%M:%SZ"),
        time.format("%Y-%m-%d %H:%M:%S")
    )
}

/// `45s`, `1m30s`, `2h`, `1h05m`.
pub(super) fn length(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes, rest) {
        (0, 0, rest) => format!("{rest}s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, rest) => format!("{minutes}m{rest:02}s"),
        (hours, 0, 0) => format!("{hours}h"),
        (hours, minutes, 0) => format!("{hours}h{minutes:02}m"),
        (hours, minutes, rest) => format!("{hours}h{minutes:02}m{rest:02}s"),
    }
}

/// The same from milliseconds, with a decimal where that is worth something: `0.4s`, `9.8s`, `12s`.
pub(super) fn span(millis: i64) -> String {
    match millis.max(0) {
        tenths @ 1..9_950 if tenths % 1_000 != 0 => format!("{:.1}s", (tenths as f64 / 1_000.0).max(0.1)),
        millis => length((millis + 500) / 1_000),
    }
}

/// `12,345`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A share in percent; what is there but rounds to nothing is not called nothing.
pub(super) fn share(part: u64, all: u64) -> String {
    match (part * 100 + all / 2).checked_div(all) {
        Some(0) | None if part > 0 => "under 1%".to_owned(),
        Some(percent) => format!("{percent}%"),
        None => "0%".to_owned(),
    }
}

/// A number with its noun.
pub(super) struct Count(pub(super) u64, pub(super) &'static str, pub(super) &'static str);

impl Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", grouped(self.0), if self.0 == 1 { self.1 } else { self.2 })
    }
}

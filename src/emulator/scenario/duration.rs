//! Durations in scenario files: `200ms`, `8s`, `1m30s`, `2h`. A bare number is refused: its unit would be a guess.
//! Days, blanks and long names of units, which `humantime` takes as well, are refused: a duration is written in one way.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

/// Ten years. More is a slip, and times so far away can't be written down.
pub(crate) const LONGEST: Duration = Duration::from_secs(87_600 * 3_600);

/// The moment `wait` from now; a wait of more than ten years, which only Rust code can ask for, counts as ten years.
pub(crate) fn later(now: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    now + wait.min(LONGEST)
}

/// Reads a sum of whole numbers with units, the units among `h`, `m`, `s`, `ms`.
fn parse(text: &str) -> Result<Duration, String> {
    let plain = text.trim();
    let is_plain =
        plain.ends_with(['h', 'm', 's']) && plain.bytes().all(|b| b.is_ascii_digit() || b"hms".contains(&b));
    match humantime::parse_duration(plain) {
        Ok(duration) if is_plain && duration <= LONGEST => Ok(duration),
        Ok(_) if is_plain => Err(format!("{text:?} is more than 87600h, ten years")),
        _ => Err(format!("{text:?} is no duration; write it like \"200ms\", \"8s\" or \"1m30s\"")),
    }
}

/// Writes what [`parse`] reads; parts of a millisecond are dropped.
fn print(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.min(LONGEST).as_millis()).unwrap_or(u64::MAX);
    let mut out = String::new();
    for (unit, milliseconds) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if rest >= milliseconds {
            let _ = write!(out, "{}{unit}", rest / milliseconds);
            rest %= milliseconds;
        }
    }
    if out.is_empty() { "0s".into() } else { out }
}

pub(crate) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&print(*duration))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(from)?).map_err(D::Error::custom)
}

/// The same for fields that may be left out.
pub(crate) mod option {
    use std::time::Duration;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::emulator::scenario::duration::{parse, print};

    pub(crate) fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        duration.map(print).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| parse(&text)).transpose().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_the_same() {
        for (text, ms) in [("200ms", 200), ("8s", 8_000), ("1m30s", 90_000), ("2h", 7_200_000), ("0s", 0)] {
            assert_eq!(parse(text).unwrap(), Duration::from_millis(ms), "{text}");
            assert_eq!(print(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in
            ["", "5", "s", "1.5s", "5 s", "-1s", "1d", "99999999999999999999h", "18446744073709551615h"]
        {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse("87600h").is_ok() && parse("87600h1ms").is_err());
    }
}

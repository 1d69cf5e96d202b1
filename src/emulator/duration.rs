//! Durations in scenario files: `200ms`, `8s`, `1m30s`, `2h`. A bare number is refused: its unit would be a guess.

use std::fmt::Write as _;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

/// Ten years. More is a slip, and times so far away can't be written down.
pub(super) const LONGEST: Duration = Duration::from_secs(87_600 * 3_600);

/// Reads a sum of whole numbers with units, the units among `h`, `m`, `s`, `ms`.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let complain = || format!("{text:?} is no duration; write it like \"200ms\", \"8s\" or \"1m30s\"");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(complain());
    }
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| complain())?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let milliseconds = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(complain()),
        };
        rest = &rest[letters..];
        let part = number.checked_mul(milliseconds).ok_or_else(complain)?;
        sum = sum.checked_add(Duration::from_millis(part)).ok_or_else(complain)?;
    }
    if sum > LONGEST {
        return Err(format!("{text:?} is more than 87600h, ten years"));
    }
    Ok(sum)
}

/// Writes what [`parse`] reads; parts of a millisecond are dropped.
fn print(span: Duration) -> String {
    let mut rest = span.as_millis();
    let mut out = String::new();
    for (size, unit) in [(3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")] {
        if rest >= size {
            let _ = write!(out, "{}{unit}", rest / size);
            rest %= size;
        }
    }
    if out.is_empty() { "0s".into() } else { out }
}

pub(super) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&print(*span))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(from)?).map_err(D::Error::custom)
}

/// The same for fields that may be left out.
pub(super) mod option {
    use super::*;

    pub(in crate::emulator) fn serialize<S: Serializer>(
        span: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match span {
            Some(span) => super::serialize(span, to),
            None => to.serialize_none(),
        }
    }

    pub(in crate::emulator) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        match Option::<String>::deserialize(from)? {
            Some(text) => parse(&text).map(Some).map_err(D::Error::custom),
            None => Ok(None),
        }
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

//! Durations as people write them: `200ms`, `15s`, `1h30m`.

use std::time::Duration;

use vod_refresh::LookupAfter;

/// How a duration looks, for messages.
const FORM: &str = "write it as `200ms`, `15s`, `30m` or `1h30m`";

/// A hundred years: a date that far from now still is one.
const LONGEST: Duration = Duration::from_secs(36_525 * 24 * 3_600);

/// Reads a duration. A bare number is refused: nobody can tell whether seconds or minutes were meant.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let bare =
        !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '_' | '-' | '+'));
    if bare {
        return Err(format!("a number needs its unit: {}", example(text)));
    }
    match humantime::parse_duration(text) {
        Ok(duration) if duration > LONGEST => Err("longer than a hundred years".to_owned()),
        parsed => parsed.map_err(|_| format!("not a duration: {FORM}")),
    }
}

/// The bare number with a unit, if it is a plain one.
fn example(number: &str) -> String {
    if number.len() < 10 && number.chars().all(|c| c.is_ascii_digit()) {
        format!("write `{number}s` for seconds or `{number}m` for minutes")
    } else {
        FORM.to_owned()
    }
}

/// Reads a duration that must be more than nothing.
pub(crate) fn parse_above_zero(text: &str) -> Result<Duration, String> {
    match parse(text)? {
        Duration::ZERO => Err("zero makes no sense here".to_owned()),
        duration => Ok(duration),
    }
}

/// Reads a duration or `never`.
pub(crate) fn parse_lookup_after(text: &str) -> Result<LookupAfter, String> {
    if text.trim().eq_ignore_ascii_case("never") {
        return Ok(LookupAfter::Never);
    }
    parse(text).map(LookupAfter::After).map_err(|why| format!("{why}, or `never`"))
}

/// Writes a duration in the form that [`parse`] reads, in one word.
pub(crate) fn format(duration: Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_forms_of_the_contract_are_read() {
        for (text, ms) in [
            ("200ms", 200),
            ("15s", 15_000),
            ("30m", 1_800_000),
            ("1h30m", 5_400_000),
            (" 2s ", 2_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_refused_with_the_right_form() {
        assert_eq!(
            parse("30").unwrap_err(),
            "a number needs its unit: write `30s` for seconds or `30m` for minutes"
        );
        for text in ["0", "1.5", "-3", "99999999999999999999"] {
            assert!(parse(text).unwrap_err().starts_with("a number needs its unit"), "{text}");
        }
        for text in ["", "s", "soon", "1x", "never", "99999999999999999999h"] {
            assert!(parse(text).unwrap_err().starts_with("not a duration"), "{text}");
        }
    }

    #[test]
    fn what_no_calendar_holds_is_refused() {
        assert!(parse("100y").is_ok());
        assert_eq!(parse("99999999999999h").unwrap_err(), "longer than a hundred years");
    }

    #[test]
    fn zero_is_refused_where_it_makes_no_sense() {
        assert!(parse_above_zero("0s").is_err());
        assert!(parse_above_zero("1ms").is_ok());
    }

    #[test]
    fn never_means_no_lookup_at_all() {
        assert_eq!(parse_lookup_after("never"), Ok(LookupAfter::Never));
        assert_eq!(parse_lookup_after("0s"), Ok(LookupAfter::After(Duration::ZERO)));
        assert!(parse_lookup_after("5").unwrap_err().ends_with("or `never`"));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(ms in 1u64..10_000_000_000) {
            let given = Duration::from_millis(ms);
            prop_assert_eq!(parse(&format(given)), Ok(given));
        }
    }
}

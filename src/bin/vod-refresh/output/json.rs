//! JSON: the report as one document or one line, notices as lines.

use serde::Serialize;
use vod_refresh::net::clock::{Clock as _, SystemClock, to_wire};
use vod_refresh::run::Notice;

/// A value as an indented document.
pub(crate) fn document(value: &impl Serialize) -> String {
    with_line_end(serde_json::to_string_pretty(value))
}

/// A value as one line.
pub(crate) fn line(value: &impl Serialize) -> String {
    with_line_end(serde_json::to_string(value))
}

/// A notice as one line, with its time first.
pub(crate) fn notice(notice: &Notice) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        at: String,
        #[serde(flatten)]
        notice: &'a Notice,
    }
    line(&Line { at: to_wire(SystemClock.now()), notice })
}

fn with_line_end(json: serde_json::Result<String>) -> String {
    // Our own types always have a JSON form; if one had not, the reader would see why.
    let mut text = json.unwrap_or_else(|why| serde_json::json!({ "error": why.to_string() }).to_string());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_one_line_with_its_time_first() {
        let line = notice(&Notice::Warning { message: "a\nb".into() });
        assert!(line.starts_with(r#"{"at":"2"#), "{line}");
        assert!(line.ends_with("Z\",\"event\":\"warning\",\"message\":\"a\\nb\"}\n"), "{line}");
    }
}

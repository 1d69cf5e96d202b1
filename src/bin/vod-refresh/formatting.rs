//! Text for people: escaping of what comes from outside, counts with their nouns, shell quoting.

use std::borrow::Cow;

/// Escapes everything in `text` that could move a cursor, break a line or turn the reading direction.
///
/// Media ids, URLs and error texts come from files and from the service; a terminal obeys what is in them.
pub(crate) fn escape_control(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmful(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Escapes what GitHub's runner, which reads every line of a step, would take for a command to itself: `::` at the start of
/// a line, and `##[` anywhere. JSON stays the same value, since there `\u0023` is another way to write `#`.
pub(crate) fn escape_workflow_commands(text: &str) -> Cow<'_, str> {
    if !text.contains("::") && !text.contains("##[") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for line in text.split_inclusive(['\n', '\r']) {
        let text = line.trim_start();
        let blanks = &line[..line.len() - text.len()];
        match text.strip_prefix("::") {
            Some(rest) => out.extend([blanks, r"\u{3a}:", rest]),
            None => out.push_str(line),
        }
    }
    Cow::Owned(out.replace("##[", r"#\u0023["))
}

fn is_harmful(c: char) -> bool {
    c.is_control() || turns_direction(c) || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// Whether a character turns the direction of writing.
pub(crate) fn turns_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `3 media`, `1 task`, `2 tasks`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    format!("{n} {}", plural(n, noun))
}

/// The form of `noun` for so many. Media is its own plural here, as in the service's pages.
pub(crate) fn plural(n: u64, noun: &str) -> Cow<'_, str> {
    match (n, noun, noun.strip_suffix('y')) {
        (1, ..) | (_, "media", _) => noun.into(),
        (_, _, Some(stem)) => format!("{stem}ies").into(),
        _ if noun.ends_with("ch") => format!("{noun}es").into(),
        _ => format!("{noun}s").into(),
    }
}

/// `1 media was`, `2 media were`.
pub(crate) fn count_was(n: u64, noun: &str) -> String {
    format!("{} {}", count(n, noun), if n == 1 { "was" } else { "were" })
}

/// The first `most` of these words, and how many more there are.
pub(crate) fn first_of<'a>(words: impl ExactSizeIterator<Item = &'a str>, most: usize) -> String {
    let more = words.len().saturating_sub(most);
    let first = words.take(most).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{first} and {more} more") } else { first }
}

/// Returns at most `limit` characters of `text`, with a sign where something is left out.
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Quotes one word of a POSIX shell command, where it needs that.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Returns a shell command from its words.
pub(crate) fn shell_line<I: AsRef<str>>(words: impl IntoIterator<Item = I>) -> String {
    words.into_iter().map(|word| shell_word(word.as_ref())).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(escape_control("a\u{1b}[2Jb\r\n\u{7}"), r"a\u{1b}[2Jb\r\n\u{7}");
        assert_eq!(escape_control("ok\u{202e}txt"), r"ok\u{202e}txt");
        assert_eq!(escape_control("媒体 é ok"), "媒体 é ok");
    }

    #[test]
    fn no_line_is_a_command_to_githubs_runner() {
        let said = "::set-output name=a::b\n  ::add-mask::x\na ::b::c\r::d\nx ##[add-path]y\n";
        let escaped = escape_workflow_commands(said);
        assert_eq!(
            escaped,
            "\\u{3a}:set-output name=a::b\n  \\u{3a}:add-mask::x\na ::b::c\r\\u{3a}:d\nx #\\u0023[add-path]y\n"
        );
        assert!(matches!(super::escape_workflow_commands("a ::b\n").as_ref(), "a ::b\n"));
    }

    #[test]
    fn json_with_escaped_commands_is_the_same_value() {
        let value = serde_json::json!({"id": "##[group]::x", "::a": ["::b::", "\n::c"]});
        let text = serde_json::to_string_pretty(&value).unwrap();
        let escaped = escape_workflow_commands(&text);
        assert!(!escaped.contains("##["), "{escaped}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
    }

    #[test]
    fn counts_have_their_plural() {
        assert_eq!(count(1, "task"), "1 task");
        assert_eq!(count(2, "batch"), "2 batches");
        assert_eq!(count(2, "directory"), "2 directories");
        assert_eq!(count(0, "task"), "0 tasks");
        assert_eq!(count(3, "media"), "3 media");
    }

    #[test]
    fn cutting_counts_characters() {
        assert_eq!(shorten("媒体媒体", 2), "媒体…");
        assert_eq!(shorten("ab", 2), "ab");
    }

    #[test]
    fn words_are_quoted_when_the_shell_would_split_or_expand_them() {
        for (word, quoted) in [
            ("c5ae61bf", "c5ae61bf"),
            ("http://127.0.0.1:80", "http://127.0.0.1:80"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$(rm)", "'$(rm)'"),
            ("it's", r"'it'\''s'"),
            ("a*", "'a*'"),
            ("~", "'~'"),
        ] {
            assert_eq!(shell_word(word), quoted);
        }
    }

    proptest! {
        #[test]
        fn a_quoted_word_holds_no_quote_that_is_not_escaped(word in "\\PC*") {
            let quoted = shell_word(&word);
            let unquoted = match quoted.strip_prefix('\'') {
                Some(rest) => rest.strip_suffix('\'').unwrap_or(rest).replace(r"'\''", "'"),
                None => quoted.clone(),
            };
            prop_assert_eq!(unquoted, word);
        }

        #[test]
        fn escaped_text_has_no_control_characters(text in any::<String>()) {
            prop_assert!(!escape_control(&text).chars().any(is_harmful));
        }
    }
}

//! Splits a command as a shell would, without a shell: nothing is expanded, nothing else is run.
//!
//! Blanks separate; single and double quotes group; outside quotes a backslash takes the next character as it is,
//! inside double quotes only `"`, `\`, `$` and the backquote; backslash and line end vanish together. This is what the
//! vendor's command line does with `process_command`. On Windows a backslash is literal, but `\"` inside double quotes.

use std::iter::Peekable;
use std::str::Chars;

/// The words of `command`; `Err` says what is wrong with it.
pub(super) fn split(command: &str, windows: bool) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = command.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            blank if blank.is_whitespace() => words.extend(word.take()),
            '\'' => single_quoted(&mut rest, word.get_or_insert_default())?,
            '"' => double_quoted(&mut rest, word.get_or_insert_default(), windows)?,
            '\\' if !windows => match rest.next() {
                Some('\n') => {}
                Some(plain) => word.get_or_insert_default().push(plain),
                None => return Err("it ends in a lone backslash"),
            },
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    if words.is_empty() { Err("it names no program") } else { Ok(words) }
}

fn single_quoted(rest: &mut Peekable<Chars<'_>>, word: &mut String) -> Result<(), &'static str> {
    for next in rest.by_ref() {
        match next {
            '\'' => return Ok(()),
            plain => word.push(plain),
        }
    }
    Err("a single quote is not closed")
}

fn double_quoted(
    rest: &mut Peekable<Chars<'_>>,
    word: &mut String,
    windows: bool,
) -> Result<(), &'static str> {
    while let Some(next) = rest.next() {
        match next {
            '"' => return Ok(()),
            '\\' => {
                let escaped = if windows { "\"" } else { "\"\\$`\n" };
                match rest.next_if(|c| escaped.contains(*c)) {
                    Some('\n') => {}
                    Some(plain) => word.push(plain),
                    None => word.push('\\'),
                }
            }
            plain => word.push(plain),
        }
    }
    Err("a double quote is not closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_would() {
        let table: &[(&str, &[&str])] = &[
            ("vod-cred --role \"vod refresh\"", &["vod-cred", "--role", "vod refresh"]),
            ("  a\tb\n", &["a", "b"]),
            ("a '' \"\"", &["a", "", ""]),
            (r#"a\ b "c\"d\\e\f\$" 'g\h"i'"#, &["a b", r#"c"d\e\f$"#, r#"g\h"i"#]),
            ("a\\\nb \"c\\\nd\"", &["ab", "cd"]),
            ("a$HOME;rm|b", &["a$HOME;rm|b"]),
        ];
        for (command, words) in table {
            assert_eq!(split(command, false).unwrap(), *words, "{command}");
        }
    }

    #[test]
    fn a_backslash_is_literal_on_windows() {
        assert_eq!(split(r#"C:\a\b.exe "c \"d\" \e""#, true).unwrap(), [r"C:\a\b.exe", r#"c "d" \e"#]);
    }

    #[test]
    fn what_is_not_closed_is_an_error() {
        for command in ["a 'b", "a \"b", "a\\", "", "  "] {
            assert!(split(command, false).is_err(), "{command}");
        }
    }
}

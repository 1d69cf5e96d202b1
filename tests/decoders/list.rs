//! A file of media ids.

use std::collections::HashSet;
use std::io::{self, Read};

use crate::ids::{IdList, ListFaults, MediaId};

/// Reads a list.
pub fn list(bytes: &[u8]) {
    let read = read(bytes);
    assert_eq!(read, self::read(Drops(bytes)), "how the bytes are cut into reads makes no difference");
    match &read {
        Ok(ids) => check_ids(ids),
        Err(faults) => check_faults(faults, bytes),
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let wanted = reference_parse(text);
        assert_eq!(read.is_ok(), wanted.is_some(), "{read:?} where {wanted:?} was to be expected");
        assert!(wanted.is_none_or(|wanted| read == Ok(wanted)), "{read:?}");
    }
}

fn read(reader: impl Read) -> Result<Vec<MediaId>, ListFaults> {
    let mut list = IdList::default();
    assert!(list.read("ids.txt", reader).is_ok());
    list.finish()
}

fn check_ids(ids: &[MediaId]) {
    let mut seen = HashSet::new();
    for id in ids {
        assert_eq!(MediaId::new(id.as_str()).as_ref(), Ok(id));
        assert!(!id.as_str().contains([',', '#']) && !id.as_str().contains(char::is_whitespace), "{id:?}");
        assert!(seen.insert(id), "{id} twice");
    }
}

fn check_faults(faults: &ListFaults, bytes: &[u8]) {
    assert!((1..=1_000).contains(&faults.shown.len()) && (faults.more == 0 || faults.shown.len() == 1_000));
    assert!(faults.count() <= bytes.len());
    let lines = 1 + bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    for text in &faults.shown {
        let rest = text.strip_prefix("ids.txt:").and_then(|rest| rest.split_once(": "));
        let line = rest.and_then(|(place, _)| place.split_once(':')?.0.parse().ok());
        assert!(
            line.is_some_and(|line: usize| (1..=lines).contains(&line)),
            "{text} names no line of {lines}"
        );
        assert!(text.len() < 4_096, "a fault stays small, whatever the word");
        let moves =
            |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!text.contains(moves), "{text:?} could move a terminal's cursor");
    }
}

/// The same, written down as the manual says it; `None` if something in it is no id.
fn reference_parse(text: &str) -> Option<Vec<MediaId>> {
    let bare = |line: &'_ str| {
        let line = line.split_once('#').map_or(line, |(line, _)| line);
        line.trim_start_matches('\u{feff}').to_owned()
    };
    let lines: Vec<String> = text.split(['\n', '\r']).map(bare).collect();
    let whole = lines.join("\n");
    let is_array = whole.trim_start().starts_with('[');
    if is_array && whole.matches('[').count() != whole.matches(']').count() {
        return None;
    }
    let separates = |c: char| c == ',' || c.is_whitespace() || is_array && "[]".contains(c);
    let words = |line: &str| -> Vec<String> {
        line.split(separates).filter(|word| !word.is_empty()).map(without_quotes).collect()
    };
    let mut rows: Vec<_> = lines.iter().map(|line| words(line)).filter(|row| !row.is_empty()).collect();
    if rows.first().is_some_and(|row| row.len() == 1 && is_column(&row[0])) {
        rows.remove(0);
    }
    let mut ids = Vec::new();
    for word in rows.concat() {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let has_letters = word.contains(|c: char| c.is_ascii_alphanumeric());
        let is_nothing = ["null", "none", "nil", "undefined", "nan"].contains(&word.to_lowercase().as_str());
        if is_column(&word) || !word.chars().all(plain) || !has_letters || is_nothing {
            return None;
        }
        ids.push(MediaId::new(word).ok()?);
    }
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    Some(ids)
}

fn without_quotes(word: &str) -> String {
    for quote in ['"', '\''] {
        if word.len() > 1 && word.starts_with(quote) && word.ends_with(quote) {
            return word[1..word.len() - 1].to_owned();
        }
    }
    word.to_owned()
}

fn is_column(word: &str) -> bool {
    let name = word.replace(|c: char| !c.is_ascii_alphanumeric(), "").to_lowercase();
    let names = ["mediaid", "mediaids", "videoid", "videoids", "id", "ids", "jobid", "mediarefreshjobid"];
    names.contains(&name.as_str())
}

/// A reader that gives one byte at a time.
struct Drops<'a>(&'a [u8]);

impl Read for Drops<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
        (self.0, into[0]) = (rest, *first);
        Ok(1)
    }
}

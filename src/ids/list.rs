//! Lists of ids out of a text: a file, a pipe. All that is wrong is named at once, with its place.
//!
//! Blanks, commas and line ends separate; `#` begins a comment that ends with its line. Lines may end as on any system and
//! have any length. Ids may stand in quotes, in a JSON array, or below the name of their column; a table with more columns,
//! JSON with objects and other kinds of files are refused. What is kept of a text that is no list is bounded, whatever it is.

use std::collections::HashSet;
use std::hash::Hash;
use std::io::{self, Read};
use std::str::FromStr;

use super::address::masked_address;
use super::id::{InvalidId, MAX_ID_BYTES, check_given};

/// More faults than this are counted, not shown.
const MAX_FAULTS_SHOWN: usize = 1_000;
/// Bytes of the longest text that is read: some millions of ids. A pipe that never ends must not fill the memory.
const MAX_TEXT_BYTES: u64 = 256 * 1024 * 1024;
/// A word of more bytes than this is shown by its beginning only.
const MAX_WORD_SHOWN: usize = 256;
const BYTE_ORDER_MARK: char = '\u{feff}';
/// How columns of ids are called, in small letters and without what joins words.
const COLUMNS: [&str; 8] =
    ["mediaid", "videoid", "mediaids", "videoids", "id", "ids", "jobid", "mediarefreshjobid"];
/// How files begin that hold no text, and what they are.
const OTHER_FILES: [(&[u8], &str); 5] = [
    (&[0xff, 0xfe], "is UTF-16: save the list as UTF-8"),
    (&[0xfe, 0xff], "is UTF-16: save the list as UTF-8"),
    (&[0x1f, 0x8b], "is compressed: unpack it, as with `gunzip -c FILE`, and give the list by `-`"),
    (b"PK\x03\x04", "is a ZIP file or a spreadsheet: save the column of ids as text"),
    (b"%PDF", "is a PDF: save the list as text"),
];

/// Collects ids, each once, in the order in which they came.
#[derive(Debug)]
pub struct IdList<Id> {
    ids: Vec<Id>,
    seen: HashSet<Id>,
    faults: ListFaults,
}

/// What is wrong with a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListFaults {
    /// One text for each fault, beginning with its place; the first 1,000. Control characters are escaped.
    pub shown: Vec<String>,
    /// How many more there are.
    pub more: usize,
}

impl ListFaults {
    /// How many faults there are.
    pub fn count(&self) -> usize {
        self.shown.len() + self.more
    }
}

impl<Id> Default for IdList<Id> {
    fn default() -> Self {
        Self { ids: Vec::new(), seen: HashSet::new(), faults: ListFaults::default() }
    }
}

impl<Id: FromStr<Err = InvalidId> + Clone + Eq + Hash> IdList<Id> {
    /// Adds the ids in `reader`; `name` says in faults where they stand: `ids.txt:3:1: …`, by line and column.
    ///
    /// # Errors
    ///
    /// What the reader says, or [`FileTooLarge`](io::ErrorKind::FileTooLarge) for more than 256 MiB; an id that is wrong
    /// is no error here, but one of [`finish`](Self::finish).
    pub fn read(&mut self, name: &str, reader: impl Read) -> io::Result<()> {
        let mut text = Vec::new();
        reader.take(MAX_TEXT_BYTES + 1).read_to_end(&mut text)?;
        if text.len() as u64 > MAX_TEXT_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 256 MiB"));
        }
        if let Some((_, what)) = OTHER_FILES.iter().find(|(begin, _)| text.starts_with(begin)) {
            self.fault(format!("{name}:1:1: {what}"));
            return Ok(());
        }
        let mut place = Place { name, line: 1, is_array: false, open_brackets: 0, has_words: false };
        let mut after_cr = false;
        for line in text.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            // A line end of two bytes counts once.
            if !(after_cr && line == b"\n") {
                if !self.add_line(&mut place, line) {
                    return Ok(());
                }
                place.line += 1;
            }
            after_cr = line.ends_with(b"\r");
        }
        if place.is_array && place.open_brackets != 0 {
            self.fault(format!("{name}:1:1: begins a JSON array that does not end: is the list whole?"));
        }
        Ok(())
    }

    /// Adds the ids of a line; `false` if the rest of the text is not worth reading.
    fn add_line(&mut self, place: &mut Place<'_>, line: &[u8]) -> bool {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let is_utf8 = std::str::from_utf8(line).is_ok();
        let line = String::from_utf8_lossy(line);
        // Files that were put together bring their marks along.
        let line = line.trim_start_matches(BYTE_ORDER_MARK);
        if !place.has_words {
            place.is_array |= line.trim_start().starts_with('[');
        }
        let is_array = place.is_array;
        let brackets = |bracket: char| line.matches(bracket).count() as i64;
        place.open_brackets += brackets('[') - brackets(']');
        let separates = |c: char| c == ',' || c.is_whitespace() || is_array && matches!(c, '[' | ']');
        let (mut column, mut counted) = (1, 0);
        for word in line.split(separates).filter(|word| !word.is_empty()) {
            let at = word.as_ptr().addr() - line.as_ptr().addr();
            column += line[counted..at].chars().count();
            counted = at;
            let is_first = !std::mem::replace(&mut place.has_words, true);
            let mut fault = |why: &str| {
                let (name, line, shown) = (place.name, place.line, shown(word));
                self.fault(format!("{name}:{line}:{column}: {shown:?} {why}"));
            };
            let text = unquoted(word);
            if is_first && word.starts_with(['{', '<']) {
                fault(match word.starts_with('{') {
                    true => "begins JSON with objects: give the ids alone, as `jq -r '.[].MediaId'` does",
                    false => "begins HTML or XML, which is no list of ids",
                });
                return false;
            }
            if COLUMNS.contains(&plain(text).as_str()) {
                let is_alone = line[at + word.len()..].chars().all(separates);
                if !(is_first && is_alone) {
                    fault("is the name of a column: give the column of ids alone, one id a line");
                    return false;
                }
            } else if !is_utf8 && word.contains(char::REPLACEMENT_CHARACTER) {
                fault("is not UTF-8");
            } else {
                match given(text) {
                    Ok(id) => self.push(id),
                    Err(why) => fault(&why.to_string()),
                }
            }
        }
        true
    }

    /// Adds an id that a person gave by itself, as an argument is; it may stand in quotes.
    ///
    /// # Errors
    ///
    /// Why it is none.
    pub fn add(&mut self, word: &str) -> Result<(), InvalidId> {
        given(unquoted(word)).map(|id| self.push(id))
    }

    /// Adds an id unless it is there already.
    pub fn push(&mut self, id: Id) {
        if self.seen.insert(id.clone()) {
            self.ids.push(id);
        }
    }

    /// Adds a fault that was found elsewhere.
    pub fn fault(&mut self, text: String) {
        if self.faults.shown.len() < MAX_FAULTS_SHOWN {
            self.faults.shown.push(text);
        } else {
            self.faults.more += 1;
        }
    }

    /// The ids, which may be none.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them.
    pub fn finish(self) -> Result<Vec<Id>, ListFaults> {
        if self.faults.shown.is_empty() { Ok(self.ids) } else { Err(self.faults) }
    }
}

/// Where in a text the next line stands.
struct Place<'a> {
    name: &'a str,
    line: usize,
    /// The text begins with `[`, so brackets separate as well.
    is_array: bool,
    /// How many more `[` than `]` there were.
    open_brackets: i64,
    /// A word has been read.
    has_words: bool,
}

fn given<Id: FromStr<Err = InvalidId>>(text: &str) -> Result<Id, InvalidId> {
    check_given(text, MAX_ID_BYTES)?;
    text.parse()
}

/// A word as faults show it.
fn shown(word: &str) -> String {
    let shown = masked_address(word);
    match shown.len() {
        0..=MAX_WORD_SHOWN => shown.into_owned(),
        _ => shown.chars().take(32).chain(['…']).collect(),
    }
}

/// `word` without the quotes around it, as JSON, CSV and other languages' lists have them.
fn unquoted(word: &str) -> &str {
    let inside = |quote: char| word.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(word)
}

/// A name as it is compared: `Media ID`, `media_id` and `MediaId` are one.
fn plain(text: &str) -> String {
    let letters = text.chars().take(MAX_ID_BYTES).filter(char::is_ascii_alphanumeric);
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::MediaId;

    fn read(bytes: &[u8]) -> Result<Vec<String>, Vec<String>> {
        let mut list = IdList::<MediaId>::default();
        list.read("ids.txt", bytes).unwrap();
        list.finish().map(|ids| ids.iter().map(ToString::to_string).collect()).map_err(|faults| faults.shown)
    }

    #[test]
    fn a_list_from_a_windows_editor_is_read() {
        let text =
            "\u{feff}m1\r\n\r\n# note, not an id\r\nm2 , m3,,m4\t m5   \r\nm1,m2 # twice\r\nm6#why\r\n";
        assert_eq!(read(text.as_bytes()).unwrap(), ["m1", "m2", "m3", "m4", "m5", "m6"]);
    }

    #[test]
    fn blanks_of_other_scripts_separate_however_long_the_line_is() {
        for blank in ["\u{3000}", "\u{a0}", "\u{2028}", "\u{85}", "\u{3000}\u{a0} "] {
            let ids: Vec<String> = (0..100).map(|n| format!("ca3a8f6e4957b658067095869a{n:03}e")).collect();
            assert_eq!(read(ids.join(blank).as_bytes()).unwrap(), ids, "{blank:?}");
            let long = format!("{}{blank}m2", "x".repeat(300));
            assert_eq!(read(long.as_bytes()).unwrap_err().len(), 1, "{blank:?}");
        }
    }

    #[test]
    fn all_that_is_bad_is_named_with_its_line() {
        let long = "x".repeat(300);
        let text = format!("ok\n\na\u{7}\r\n{long}\rb\u{1b}[1m\n");
        assert_eq!(
            read(text.as_bytes()).unwrap_err(),
            [
                r#"ids.txt:3:1: "a\u{7}" has the control character U+0007 in it"#.to_owned(),
                format!("ids.txt:4:1: \"{}…\" has 300 bytes, the limit is 64", &long[..32]),
                r#"ids.txt:5:1: "b\u{1b}[1m" has the control character U+001B in it"#.to_owned(),
            ]
        );
    }

    #[test]
    fn other_encodings_are_refused_with_their_line() {
        let error = read(b"ok\nm\xe9dia\n").unwrap_err();
        assert!(error[0].starts_with("ids.txt:2:1: ") && error[0].ends_with("is not UTF-8"), "{error:?}");
        let error = read(b"\xff\xfem\0\n\0").unwrap_err();
        assert!(error[0].contains("is UTF-16"), "{error:?}");
        assert!(read(b"\xef\xbbm1").unwrap_err()[0].contains("is not UTF-8"));
        assert!(read(b"\xef\xbb").unwrap_err()[0].contains("is not UTF-8"));
    }
    #[test]
    fn h20_lists_of_other_programs_are_read_as_meant() {
        for text in [
            "\"m1\"\n\"m2\"\n",
            "[\"m1\",\"m2\"]",
            " [\n  \"m1\",\n  \"m2\",\n]\n",
            "['m1', 'm2']",
            "[m1, m2]",
            "[\"m1\"]\n[\"m2\"] # two of `jq -c`\n",
            "MediaId\nm1\nm2\n",
            "\u{feff}\"VideoId\"\r\n\"m1\"\r\n\"m2\"\r\n",
            "# note\n\nmedia_id,\nm1,\nm2,\n",
            "m1\n\u{feff}m2\n",
        ] {
            assert_eq!(read(text.as_bytes()).unwrap(), ["m1", "m2"], "{text:?}");
        }
    }
    #[test]
    fn h20_what_is_no_list_of_ids_is_refused_with_line_and_column() {
        for (text, place, why) in [
            ("m1\n  m2/x\n", "2:3: \"m2/x\"", "has `/` in it, which no id has"),
            ("m1 https://u:MARK@h/x", "1:4: \"https://<secret>@h/x\"", "has `:` in it"),
            ("\u{201c}m1\u{201d}", "1:1: ", "the character U+201C in it"),
            ("m1\u{200b}", "1:1: ", "the character U+200B in it"),
            ("m1\0\n", "1:1: ", "the control character U+0000"),
            ("\"m1\"\nnull\n", "2:1: \"null\"", "is no id"),
            ("m1\n---\n", "2:1: \"---\"", "is no id"),
            ("m1\n\"m2", "2:1: ", "has `\"` in it"),
            ("m1\n\"\"\n", "2:1: ", "is empty"),
            ("m1;m2", "1:1: ", "has `;` in it"),
            ("\nMediaId,Title\nm1,Hello\n", "2:1: \"MediaId\"", "is the name of a column"),
            ("Title\tVideoId\nHello\tm1\n", "1:7: \"VideoId\"", "is the name of a column"),
            ("MediaId\nm1\nMediaId\nm2\n", "3:1: \"MediaId\"", "is the name of a column"),
            ("[{\"MediaId\":\"m1\"}]", "1:2: ", "begins JSON with objects"),
            ("{\"VideoId\":\"m1\"}\n{\"VideoId\":\"m2\"}\n", "1:1: ", "begins JSON with objects"),
            ("<!DOCTYPE html>\n<html>", "1:1: ", "begins HTML or XML"),
            ("[\"m1\",\n\"m2\"", "1:1: ", "begins a JSON array that does not end"),
            ("%PDF-1.7", "1:1: ", "is a PDF"),
            ("PK\u{3}\u{4}", "1:1: ", "is a ZIP file"),
        ] {
            let faults = read(text.as_bytes()).unwrap_err();
            assert_eq!(faults.len(), 1, "{text:?}: {faults:?}");
            assert!(faults[0].starts_with(&format!("ids.txt:{place}")), "{text:?}: {faults:?}");
            assert!(faults[0].contains(why), "{text:?}: {faults:?}");
        }
        assert!(read(&[0x1f, 0x8b, 8, 0]).unwrap_err()[0].contains("is compressed"));
    }

    #[test]
    fn a_list_without_ids_is_an_empty_one() {
        for text in ["", "\u{feff}", "# only a note", " ,\r\n,"] {
            assert_eq!(read(text.as_bytes()), Ok(Vec::new()), "{text:?}");
        }
    }

    #[test]
    fn faults_beyond_the_first_thousand_are_counted() {
        let mut list = IdList::<MediaId>::default();
        list.read("-", "\u{7}\n".repeat(1_234).as_bytes()).unwrap();
        let faults = list.finish().unwrap_err();
        assert_eq!((faults.shown.len(), faults.more, faults.count()), (1_000, 234, 1_234));
    }

    proptest! {
        #[test]
        fn every_id_comes_out_once_in_its_first_place(
            ids in prop::collection::vec("[a-f0-9]{1,12}", 1..60),
            separators in prop::collection::vec(0usize..7, 60),
        ) {
            let between = [",", "\n", "\r\n", " ", "\t", ", ", " # note\n"];
            let text: String = ids.iter().zip(&separators).map(|(id, &s)| format!("{id}{}", between[s])).collect();
            let mut seen = HashSet::new();
            let wanted: Vec<_> = ids.iter().filter(|id| seen.insert(*id)).cloned().collect();
            prop_assert_eq!(read(text.as_bytes()).unwrap(), wanted);
        }
    }
}

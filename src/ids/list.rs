//! Lists of ids out of a text: a file, a pipe. All that is wrong is named at once, with its place.
//!
//! Blanks, commas and line ends separate; `#` begins a comment that ends with its line. Lines may end as on any system and
//! have any length. What is kept of a text that is no list is bounded, whatever it is.

use std::collections::HashSet;
use std::hash::Hash;
use std::io::{self, Read};
use std::str::FromStr;

use super::id::{InvalidId, MAX_ID_BYTES};

/// More faults than this are counted, not shown.
const MAX_FAULTS_SHOWN: usize = 1_000;
/// Bytes of the longest text that is read: some millions of ids. A pipe that never ends must not fill the memory.
const MAX_TEXT_BYTES: u64 = 256 * 1024 * 1024;
/// A word of more bytes than this is shown by its beginning only.
const MAX_WORD_SHOWN: usize = 256;
const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

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
    /// Adds the ids in `reader`; `name` says in faults where they stand: `ids.txt:3: …`.
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
        if text.starts_with(&[0xff, 0xfe]) || text.starts_with(&[0xfe, 0xff]) {
            self.fault(format!("{name}:1: is UTF-16: save the list as UTF-8"));
            return Ok(());
        }
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
        let mut number = 1;
        let mut after_cr = false;
        for line in text.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            // A line end of two bytes counts once.
            if !(after_cr && line == b"\n") {
                self.add_line(name, number, line);
                number += 1;
            }
            after_cr = line.ends_with(b"\r");
        }
        Ok(())
    }

    fn add_line(&mut self, name: &str, number: usize, line: &[u8]) {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let is_utf8 = std::str::from_utf8(line).is_ok();
        let line = String::from_utf8_lossy(line);
        let separates = |c: char| c == ',' || c.is_whitespace();
        for word in line.split(separates).filter(|word| !word.is_empty()) {
            if word.len() > MAX_WORD_SHOWN {
                let why = InvalidId::TooLong { bytes: word.len(), limit: MAX_ID_BYTES };
                let start: String = word.chars().take(32).chain(['…']).collect();
                self.fault(format!("{name}:{number}: {start:?} {why}"));
            } else if !is_utf8 && word.contains(char::REPLACEMENT_CHARACTER) {
                self.fault(format!("{name}:{number}: {word:?} is not UTF-8"));
            } else {
                match word.parse() {
                    Ok(id) => self.push(id),
                    Err(why) => self.fault(format!("{name}:{number}: {word:?} {why}")),
                }
            }
        }
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
            let ids: Vec<String> = (0..100).map(|n| format!("ca3a8f6e4957b658067095869a{n:03}é")).collect();
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
                r#"ids.txt:3: "a\u{7}" has the control character U+0007 in it"#.to_owned(),
                format!("ids.txt:4: \"{}…\" has 300 bytes, the limit is 64", &long[..32]),
                r#"ids.txt:5: "b\u{1b}[1m" has the control character U+001B in it"#.to_owned(),
            ]
        );
    }

    #[test]
    fn other_encodings_are_refused_with_their_line() {
        let error = read(b"ok\nm\xe9dia\n").unwrap_err();
        assert!(error[0].starts_with("ids.txt:2: ") && error[0].ends_with("is not UTF-8"), "{error:?}");
        let error = read(b"\xff\xfem\0\n\0").unwrap_err();
        assert!(error[0].contains("is UTF-16"), "{error:?}");
        assert!(read(b"\xef\xbbm1").unwrap_err()[0].contains("is not UTF-8"));
        assert!(read(b"\xef\xbb").unwrap_err()[0].contains("is not UTF-8"));
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
            ids in prop::collection::vec("[a-z0-9]{1,12}", 1..60),
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

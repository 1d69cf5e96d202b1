//! Lists of ids, from arguments and files. All that is wrong is named at once, with its place.

use std::collections::HashSet;
use std::fmt::Display;
use std::fs::File;
use std::hash::Hash;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use vod_refresh::ids::InvalidId;

use crate::exit::Failure;

/// More of a word than this is not kept: it is no id, and a file without separators must not fill the memory.
const KEEP_BYTES: usize = 256;
/// More faults than this are counted, not shown.
const SHOW_FAULTS: usize = 1_000;

/// Collects ids, each once, in the order given.
pub(crate) struct IdList<Id> {
    /// `media id` or `job id`, for messages.
    noun: &'static str,
    ids: Vec<Id>,
    seen: HashSet<Id>,
    faults: Vec<String>,
    more_faults: usize,
    /// Whether a whole file could not be read: then it is not only ids that are wrong.
    unread: bool,
}

impl<Id: FromStr<Err = InvalidId> + Clone + Eq + Hash> IdList<Id> {
    pub(crate) fn new(noun: &'static str) -> Self {
        Self {
            noun,
            ids: Vec::new(),
            seen: HashSet::new(),
            faults: Vec::new(),
            more_faults: 0,
            unread: false,
        }
    }

    /// Adds ids from the command line, one an argument.
    pub(crate) fn add_arguments(&mut self, arguments: &[String]) {
        for (n, text) in arguments.iter().enumerate() {
            let place = format!("argument {}", n + 1);
            match text.parse() {
                Ok(id) => self.push(id),
                Err(InvalidId::Comma) => {
                    self.fault(format!("{place}: {text:?} has a comma in it: separate arguments by blanks"));
                }
                Err(why) => self.fault(format!("{place}: {text:?} {why}")),
            }
        }
    }

    /// Adds the ids in a file, or on standard input if it is `-`.
    pub(crate) fn add_file(&mut self, path: &Path) {
        let (name, read) = if path == Path::new("-") {
            ("stdin".to_owned(), self.add_reader("stdin", io::stdin().lock()))
        } else {
            let name = format!("{}", path.display());
            let read = File::open(path)
                .and_then(|file| self.add_reader(&crate::words::harmless(&name), io::BufReader::new(file)));
            (name, read)
        };
        if let Err(why) = read {
            self.unread = true;
            self.fault(format!("{}: cannot be read: {why}", crate::words::harmless(&name)));
        }
    }

    /// Adds the ids in `reader`; `name` says where they stand.
    fn add_reader(&mut self, name: &str, mut reader: impl Read) -> io::Result<()> {
        let mut words = Words::default();
        let mut chunk = [0; 16 * 1024];
        loop {
            let read = match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
                Err(why) => return Err(why),
            };
            for &byte in &chunk[..read] {
                if let Some(word) = words.next(byte) {
                    self.add_word(name, word);
                }
            }
        }
        if let Some(word) = words.end() {
            self.add_word(name, word);
        }
        Ok(())
    }

    fn add_word(&mut self, name: &str, word: Word) {
        let Word { line, bytes, length } = word;
        if length > bytes.len() {
            let start = String::from_utf8_lossy(&bytes[..32.min(bytes.len())]).into_owned();
            return self.fault(format!("{name}:{line}: {:?} {}", start + "…", InvalidId::TooLong(length)));
        }
        if line == 1 && (bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff])) {
            return self.fault(format!("{name}:{line}: is UTF-16: save the list as UTF-8"));
        }
        let Ok(text) = std::str::from_utf8(&bytes) else {
            let text = String::from_utf8_lossy(&bytes);
            return self.fault(format!("{name}:{line}: {text:?} is not UTF-8"));
        };
        // Blanks of other scripts (U+3000, U+00A0) separate as well.
        for text in text.split(char::is_whitespace).filter(|text| !text.is_empty()) {
            match text.parse() {
                Ok(id) => self.push(id),
                Err(why) => self.fault(format!("{name}:{line}: {text:?} {why}")),
            }
        }
    }

    fn push(&mut self, id: Id) {
        if self.seen.insert(id.clone()) {
            self.ids.push(id);
        }
    }

    fn fault(&mut self, text: String) {
        if self.faults.len() < SHOW_FAULTS {
            self.faults.push(text);
        } else {
            self.more_faults += 1;
        }
    }

    /// The ids; or everything that is wrong with them.
    pub(crate) fn finish(mut self) -> Result<Vec<Id>, Failure> {
        if !self.faults.is_empty() {
            let faults = self.faults.len() + self.more_faults;
            if self.more_faults > 0 {
                self.faults.push(format!("and {} more", self.more_faults));
            }
            let message = match faults {
                1 if self.unread => format!("the list of {}s cannot be read", self.noun),
                n if self.unread => format!("the list of {}s has {n} faults", self.noun),
                1 => format!("a {} is not usable", self.noun),
                n => format!("{n} {}s are not usable", self.noun),
            };
            return Err(Failure::usage(message).with_details(self.faults));
        }
        if self.ids.is_empty() {
            return Err(Failure::usage(format!("the list of {}s is empty", self.noun)));
        }
        Ok(self.ids)
    }
}

/// Ids from arguments and files together.
pub(crate) fn collect<Id>(
    noun: &'static str,
    arguments: &[String],
    files: &[PathBuf],
) -> Result<Vec<Id>, Failure>
where
    Id: FromStr<Err = InvalidId> + Clone + Eq + Hash + Display,
{
    let mut list = IdList::new(noun);
    list.add_arguments(arguments);
    for file in files {
        list.add_file(file);
    }
    list.finish()
}

/// One word of a list and its line.
struct Word {
    line: u64,
    bytes: Vec<u8>,
    /// As it was; more than `bytes` where the rest was not kept.
    length: usize,
}

/// Cuts bytes into words. Works byte by byte, so a line may have any length.
struct Words {
    line: u64,
    bytes: Vec<u8>,
    length: usize,
    in_comment: bool,
    after_cr: bool,
    /// Bytes of a byte order mark seen so far; `None` behind the place where one could be.
    mark: Option<usize>,
}

const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

impl Default for Words {
    fn default() -> Self {
        Self { line: 1, bytes: Vec::new(), length: 0, in_comment: false, after_cr: false, mark: Some(0) }
    }
}

impl Words {
    /// Takes a byte; gives back the word that it ends.
    fn next(&mut self, byte: u8) -> Option<Word> {
        if let Some(seen) = self.mark {
            if BYTE_ORDER_MARK[seen] == byte {
                self.mark = Some(seen + 1).filter(|&seen| seen < BYTE_ORDER_MARK.len());
                return None;
            }
            self.mark = None;
            for &held in &BYTE_ORDER_MARK[..seen] {
                self.take(held);
            }
        }
        self.take(byte)
    }

    fn take(&mut self, byte: u8) -> Option<Word> {
        let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
        match byte {
            b'\n' if after_cr => None,
            b'\n' | b'\r' => {
                let word = self.end();
                self.line += 1;
                self.in_comment = false;
                word
            }
            _ if self.in_comment => None,
            b'#' => {
                self.in_comment = true;
                self.end()
            }
            b',' | b' ' | b'\t' | 0x0b | 0x0c => self.end(),
            byte => {
                self.length += 1;
                if self.bytes.len() < KEEP_BYTES {
                    self.bytes.push(byte);
                }
                None
            }
        }
    }

    /// The word that is open, if there is one.
    fn end(&mut self) -> Option<Word> {
        if let Some(seen) = self.mark.take() {
            for &held in &BYTE_ORDER_MARK[..seen] {
                self.take(held);
            }
        }
        let length = std::mem::take(&mut self.length);
        (length > 0).then(|| Word { line: self.line, bytes: std::mem::take(&mut self.bytes), length })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vod_refresh::MediaId;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<String>, Vec<String>> {
        let mut list = IdList::<MediaId>::new("media id");
        list.add_reader("ids.txt", bytes).unwrap();
        list.finish().map(|ids| ids.iter().map(ToString::to_string).collect()).map_err(|f| f.lines())
    }

    #[test]
    fn a_list_from_a_windows_editor_is_read() {
        let text =
            "\u{feff}m1\r\n\r\n# note, not an id\r\nm2 , m3,,m4\t m5   \r\nm1,m2 # twice\r\nm6#why\r\n";
        assert_eq!(read(text.as_bytes()).unwrap(), ["m1", "m2", "m3", "m4", "m5", "m6"]);
    }

    #[test]
    fn all_that_is_bad_is_named_with_its_line() {
        let long = "x".repeat(300);
        let text = format!("ok\n\na\u{7}\r\n{long}\rb\u{1b}[1m\n");
        assert_eq!(
            read(text.as_bytes()).unwrap_err(),
            [
                "error: 3 media ids are not usable".to_owned(),
                r#"  ids.txt:3: "a\u{7}" has the control character U+0007 in it"#.to_owned(),
                format!("  ids.txt:4: \"{}…\" has 300 bytes, the limit is 64", &long[..32]),
                r#"  ids.txt:5: "b\u{1b}[1m" has the control character U+001B in it"#.to_owned(),
            ]
        );
    }

    #[test]
    fn other_encodings_are_refused_with_their_line() {
        let error = read(b"ok\nm\xe9dia\n").unwrap_err();
        assert!(error[1].starts_with("  ids.txt:2: ") && error[1].ends_with("is not UTF-8"), "{error:?}");
        let error = read(b"\xff\xfem\0\n\0").unwrap_err();
        assert!(error[1].contains("is UTF-16"), "{error:?}");
        assert!(read(b"\xef\xbbm1").unwrap_err()[1].contains("is not UTF-8"));
        assert!(read(b"\xef\xbb").unwrap_err()[1].contains("is not UTF-8"));
    }

    #[test]
    fn nothing_in_the_list_is_an_error() {
        for text in ["", "\u{feff}", "# only a note", " ,\r\n,"] {
            assert_eq!(
                read(text.as_bytes()).unwrap_err(),
                ["error: the list of media ids is empty"],
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_comma_inside_an_argument_is_refused() {
        let arguments = ["m1".to_owned(), "m2,m3".to_owned(), String::new()];
        let error = collect::<MediaId>("media id", &arguments, &[]).unwrap_err().lines();
        assert_eq!(error[1], r#"  argument 2: "m2,m3" has a comma in it: separate arguments by blanks"#);
        assert_eq!(error[2], r#"  argument 3: "" is empty"#);
    }

    #[test]
    fn an_unreadable_file_names_itself() {
        let files = [PathBuf::from("/nonexistent/list"), std::env::temp_dir()];
        let failure = collect::<MediaId>("media id", &["m1".to_owned()], &files).unwrap_err();
        assert_eq!(failure.exit_code().number(), 2);
        assert!(failure.lines()[1].starts_with("  /nonexistent/list: cannot be read: "));
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

        #[test]
        fn any_bytes_end_in_ids_or_in_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Err(lines) = read(&bytes) {
                prop_assert!(!lines.iter().any(|line| line.chars().any(char::is_control)));
            }
        }
    }
}

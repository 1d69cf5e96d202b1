//! Cuts the bytes of a list into words, byte by byte, so that a line may have any length.

/// More of a word than this is not kept: it is no id, and a file without separators must not fill the memory.
const KEEP_BYTES: usize = 256;
/// Bytes of the longest blank: U+3000 and its like.
const LONGEST_BLANK: usize = 3;
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// How many bytes the blank of another script (U+3000, U+00A0) has that `bytes` ends with; `None` if there is none.
fn blank_at_end(bytes: &[u8]) -> Option<usize> {
    (2..=LONGEST_BLANK).find(|&length| {
        let end = bytes.len().checked_sub(length).map(|start| &bytes[start..]);
        let mut letters = end.and_then(|end| std::str::from_utf8(end).ok()).unwrap_or_default().chars();
        matches!((letters.next(), letters.next()), (Some(letter), None) if letter.is_whitespace())
    })
}

/// One word of a list and its line.
pub(super) struct Word {
    pub(super) line: u64,
    pub(super) bytes: Vec<u8>,
    /// As it was; more than `bytes` where the rest was not kept.
    pub(super) length: usize,
}

/// What was seen so far.
pub(super) struct Words {
    line: u64,
    bytes: Vec<u8>,
    length: usize,
    in_comment: bool,
    after_cr: bool,
    /// Bytes of a byte order mark seen so far; `None` behind the place where one could be.
    mark: Option<usize>,
}

impl Default for Words {
    fn default() -> Self {
        Self { line: 1, bytes: Vec::new(), length: 0, in_comment: false, after_cr: false, mark: Some(0) }
    }
}

impl Words {
    /// Takes a byte; gives back the word that it ends.
    pub(super) fn next(&mut self, byte: u8) -> Option<Word> {
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
                if self.bytes.len() == KEEP_BYTES {
                    // The end is kept as well: a blank may be in it.
                    self.bytes.remove(KEEP_BYTES - LONGEST_BLANK);
                }
                self.bytes.push(byte);
                if byte.is_ascii() {
                    return None;
                }
                let blank = blank_at_end(&self.bytes)?;
                self.bytes.truncate(self.bytes.len() - blank);
                self.length -= blank;
                self.end()
            }
        }
    }

    /// The word that is open, if there is one.
    pub(super) fn end(&mut self) -> Option<Word> {
        if let Some(seen) = self.mark.take() {
            for &held in &BYTE_ORDER_MARK[..seen] {
                self.take(held);
            }
        }
        let length = std::mem::take(&mut self.length);
        (length > 0).then(|| Word { line: self.line, bytes: std::mem::take(&mut self.bytes), length })
    }
}

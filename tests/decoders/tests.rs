//! Each target over its corpus and over changed copies of it.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// What stands in the corpus folder of a target, by file name.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    assert!(files.len() >= 5, "{} has too little in it", folder.display());
    files
}

/// One change to a text of bytes; places are shares of its length.
#[derive(Debug, Clone)]
enum Edit {
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let ends = |a: &prop::sample::Index, b: &prop::sample::Index, length: usize| {
            let (a, b) = (a.index(length + 1), b.index(length + 1));
            a.min(b)..a.max(b)
        };
        match self {
            Self::Flip(at, bits) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Self::Flip(..) => {}
            Self::Insert(at, new) => {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Remove(a, b) => drop(bytes.drain(ends(a, b, bytes.len()))),
            Self::Repeat(a, b) => {
                let span = ends(a, b, bytes.len());
                let copy = bytes[span.clone()].to_vec();
                bytes.splice(span.end..span.end, copy);
            }
        }
    }
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let place = any::<prop::sample::Index>;
    let odd = prop::sample::select(vec![
        "\u{feff}",
        "\u{3000}",
        "\u{202e}",
        "\u{0}",
        "\r\n",
        "\"",
        "{",
        "}",
        "[[[[",
        "<a>",
        "</a>",
        "&#0;",
        "<![CDATA[",
        "1e400",
        "-1",
        "18446744073709551616",
        "null",
        ",",
        "\\ud800",
        "9999999h",
        super::SECRET_MARK,
    ]);
    let new =
        prop_oneof![odd.prop_map(|text| text.as_bytes().to_vec()), prop::collection::vec(any::<u8>(), 1..6)];
    let edit = prop_oneof![
        (place(), 1u8..).prop_map(|(at, bits)| Edit::Flip(at, bits)),
        (place(), new).prop_map(|(at, new)| Edit::Insert(at, new)),
        (place(), place()).prop_map(|(a, b)| Edit::Remove(a, b)),
        (place(), place()).prop_map(|(a, b)| Edit::Repeat(a, b)),
    ];
    prop::collection::vec(edit, 1..6)
}

/// The whole corpus, then 1,000 changed copies: the same ones in each run, since finding new ones is the fuzzer's part.
fn holds_for_the_corpus_and_its_kin(name: &str, target: fn(&[u8])) {
    let corpus = corpus(name);
    for (path, bytes) in &corpus {
        let met = std::panic::catch_unwind(|| target(bytes));
        assert!(met.is_ok(), "{} breaks a promise", path.display());
    }
    let config =
        Config { cases: 1_000, failure_persistence: None, rng_seed: RngSeed::Fixed(5), ..Config::default() };
    let texts = prop::sample::select(corpus.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>());
    let kin = (texts, edits()).prop_map(|(mut bytes, edits)| {
        edits.iter().for_each(|edit| edit.apply(&mut bytes));
        Escaped(bytes)
    });
    TestRunner::new(config)
        .run(&kin, |Escaped(bytes)| {
            target(&bytes);
            Ok(())
        })
        .unwrap();
}

/// Bytes that a failure shows as a text.
#[derive(Clone)]
struct Escaped(Vec<u8>);

impl std::fmt::Debug for Escaped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

#[test]
fn events_keep_their_promises() {
    holds_for_the_corpus_and_its_kin("event", super::event);
}

#[test]
fn callbacks_keep_their_promises() {
    holds_for_the_corpus_and_its_kin("callback", super::callback);
}

#[test]
fn answers_of_a_queue_keep_their_promises() {
    holds_for_the_corpus_and_its_kin("queue", super::queue);
}

#[test]
fn answers_of_the_service_keep_their_promises() {
    holds_for_the_corpus_and_its_kin("answer", super::answer);
}

#[test]
fn lists_of_ids_keep_their_promises() {
    holds_for_the_corpus_and_its_kin("list", super::list);
}

#[test]
fn files_of_credentials_keep_their_promises() {
    holds_for_the_corpus_and_its_kin("config", super::config);
}

#[cfg(feature = "emulator")]
#[test]
fn scenarios_keep_their_promises() {
    holds_for_the_corpus_and_its_kin("scenario", super::scenario);
}

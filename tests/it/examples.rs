//! Every program under `examples/` does what its first lines say, on its own, without an account.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

/// Far more than any of them needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Each example, its arguments, and what it is to say.
const EXAMPLES: [(&str, &[&str], &str); 10] = [
    ("credentials", &[], "complete, the vault was asked 2 times"),
    ("deploy_test", &[], "the call ended as partial\nsubmitted once, 3 lookups"),
    ("deploy_test", &["sh", "examples/deploy.sh"], "some URLs still serve the old copy"),
    (
        "edge_check",
        &[],
        "/intro/1.mp4: absent: the node had no copy\nhttps://media.example.test/intro/2.mp4: stale: ",
    ),
    ("progress", &[], "[####################] 6 of 6 URLs\npartial: 3 of 4"),
    ("queue_worker", &[], "complete: 1 events for 1 media\n0 messages are left in the queue"),
    ("receiver", &[], "complete, 1 event came in"),
    ("refresh", &[], "intro: complete (2 URLs)\nlesson: complete (2 URLs)\ngone: not_found (0 URLs)"),
    ("resume", &[], "complete: 4 URLs\nsubmitted 1 time"),
    ("urls", &[], "/subtitles/: complete\nhttps://cdn.example.com/bad.vtt: failed (the task failed: "),
];

/// Cargo builds the examples beside the tests.
fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap().join("examples");
    let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{name} is not built: `cargo test` builds it, or `cargo build --examples`");
    path
}

/// Runs one to its end and gives what it said.
fn output(name: &str, args: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let inherited = ["PATH", "SystemRoot", "TMPDIR"];
    let mut child = Command::new(binary(name))
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        // No keys, proxies and journals of whoever runs the tests.
        .env_clear()
        .envs(inherited.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .env(crate::support::program::HOME, home.path())
        .env("VOD_REFRESH", env!("CARGO_BIN_EXE_vod-refresh"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    // They say a few lines, which a pipe holds.
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{name} did not end within {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stdout).unwrap();
    let complaint = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{name} {args:?}: {:?}\n{said}\n{complaint}", ended.status.code());
    said
}

#[test]
fn each_example_runs_to_its_end_and_says_so() {
    for (name, args, telling) in EXAMPLES {
        // The script is one for a Unix shell.
        if cfg!(unix) || args.is_empty() {
            let said = output(name, args);
            assert!(said.contains(telling), "{name} {args:?} said:\n{said}");
        }
    }
}

#[test]
fn no_example_is_left_out() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let there: BTreeSet<String> = files
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let run: BTreeSet<String> = EXAMPLES.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(there, run);
}

//! What may stand at the path of a journal: another program's database, something else, an old or a read-only journal.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;
use vod_refresh::Journal;
use vod_refresh::emulator::Scenario;

use crate::support::program::{Cloud, Ended, Home};

/// The files of a folder with what is in them.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.is_file()).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn quick() -> Cloud {
    let quick = Duration::from_millis(50);
    Cloud::new(
        Scenario::new()
            .with(|s| s.job_delay = quick)
            .with(|s| s.task_duration = quick)
            .with(|s| s.urls_per_media = 1),
    )
}

/// The lines of commands that open a journal.
fn lines(cloud: &Cloud) -> [Vec<&str>; 4] {
    let endpoint = cloud.endpoint.as_str();
    let refresh = vec!["refresh", "m1", "--endpoint", endpoint, "--no-wait"];
    [refresh, vec!["runs"], vec!["status"], vec!["resume"]]
}

/// Every command refuses the file at `place`, saying `why`, and changes nothing in its folder.
#[track_caller]
fn is_refused(cloud: &Cloud, home: &Home, place: &str, why: &str) {
    let folder = home.path().join(place).parent().unwrap().to_owned();
    let before = files(&folder);
    for line in lines(cloud) {
        let ended = home.run(&[&line[..], &["--journal", place]].concat());
        assert_eq!(ended.code, Some(3), "{line:?}: {ended:?}");
        assert_eq!(ended.stderr.matches(why).count(), 1, "{line:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(home.path().join(place).to_str().unwrap()), "{}", ended.stderr);
        let after = files(&folder);
        assert!(before == after, "{line:?} has changed {:?}", after.keys());
    }
    assert_eq!(cloud.emulator.calls().len(), 0);
}

#[test]
fn h10_a_database_of_another_program_is_refused_and_not_a_byte_of_it_changes() {
    let (cloud, home) = (quick(), Home::new());
    for (n, settings) in [
        "PRAGMA user_version = 3;",
        "PRAGMA journal_mode = WAL;",
        "PRAGMA application_id = 252006675; PRAGMA user_version = 3;",
        "PRAGMA user_version = 3; CREATE TABLE run (id TEXT); CREATE TABLE fact (id TEXT);",
    ]
    .into_iter()
    .enumerate()
    {
        let place = format!("foreign{n}/notes.db");
        std::fs::create_dir(home.path().join(format!("foreign{n}"))).unwrap();
        let theirs = Connection::open(home.path().join(&place)).unwrap();
        theirs.execute_batch(settings).unwrap();
        theirs.execute_batch("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('mine');").unwrap();
        theirs.execute_batch("PRAGMA wal_checkpoint; INSERT INTO notes VALUES ('and this');").unwrap();
        // While it is in use, and after that.
        is_refused(&cloud, &home, &place, "another program");
        drop(theirs);
        is_refused(&cloud, &home, &place, "another program");
    }
}

#[test]
fn h10_a_foreign_database_whose_tables_are_in_its_log_is_refused() {
    let (cloud, home) = (quick(), Home::new());
    let path = home.path().join("notes.db");
    let theirs = Connection::open(&path).unwrap();
    theirs.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE notes (text TEXT);").unwrap();
    let kept = |name: &str| std::fs::read(home.path().join(name)).unwrap();
    let before = (kept("notes.db"), kept("notes.db-wal"));
    for line in lines(&cloud) {
        let ended = home.run(&[&line[..], &["--journal", "notes.db"]].concat());
        assert_eq!(ended.code, Some(3), "{line:?}: {ended:?}");
        assert!(ended.stderr.contains("another program"), "{}", ended.stderr);
        assert!(before == (kept("notes.db"), kept("notes.db-wal")), "{line:?} changed it");
    }
}

#[test]
fn h10_what_is_no_database_is_refused_and_stays_as_it_is() {
    let (cloud, home) = (quick(), Home::new());
    let text = "this is no database, and it is long enough to be sure of that".repeat(40);
    std::fs::create_dir_all(home.path().join("folder/inner")).unwrap();
    std::fs::write(home.path().join("folder/text"), &text).unwrap();
    std::fs::write(home.path().join("folder/short"), "x").unwrap();
    let fifo = home.path().join("folder/fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    is_refused(&cloud, &home, "folder/text", "it is no database");
    is_refused(&cloud, &home, "folder/short", "it is no database");
    is_refused(&cloud, &home, "folder/inner", "it is a folder");
    is_refused(&cloud, &home, "folder/fifo", "it is no regular file");
    let ended = home.run(&["refresh", "m1", "--endpoint", &cloud.endpoint, "--journal", "folder/text/j.db"]);
    assert_eq!((ended.code, cloud.emulator.calls().len()), (Some(3), 0), "{ended:?}");
    // What else is in that folder changes by itself.
    let ended = home.run(&["refresh", "m1", "--endpoint", &cloud.endpoint, "--journal", "/dev/null"]);
    assert!(ended.code == Some(3) && ended.stderr.contains("it is no regular file"), "{ended:?}");
}

#[test]
fn h10_a_journal_of_a_newer_version_is_left_as_it_is() {
    let (cloud, home) = (quick(), Home::new());
    let [refresh, ..] = lines(&cloud);
    assert_eq!(home.run(&[&refresh[..], &["--journal", "f/j.db"]].concat()).code, Some(0));
    Connection::open(home.path().join("f/j.db")).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let calls = cloud.emulator.calls().len();
    let before = files(&home.path().join("f"));
    for line in lines(&cloud) {
        let ended = home.run(&[&line[..], &["--journal", "f/j.db"]].concat());
        assert_eq!(ended.code, Some(3), "{line:?}: {ended:?}");
        assert!(ended.stderr.contains("a newer version of this tool wrote it"), "{}", ended.stderr);
        assert!(before == files(&home.path().join("f")), "{line:?} has changed it");
    }
    assert_eq!(cloud.emulator.calls().len(), calls);
}

const OLD: &str = include_str!("../../fixtures/journal-0.1.0.sql");

#[test]
fn h10_a_journal_of_0_1_0_is_taken_over_also_one_whose_tables_are_in_its_log() {
    let (cloud, home) = (quick(), Home::new());
    Connection::open(home.path().join("old.db")).unwrap().execute_batch(OLD).unwrap();
    let killed = Connection::open(home.path().join("killed.db")).unwrap();
    killed.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0").unwrap();
    killed.execute_batch(OLD).unwrap();
    for kind in ["", "-wal"] {
        let name = |stem| home.path().join(format!("{stem}.db{kind}"));
        std::fs::copy(name("killed"), name("crashed")).unwrap();
    }
    for place in ["old.db", "crashed.db"] {
        let runs = |place| home.run(&["runs", "-o", "json", "--journal", place]).json();
        assert_eq!(runs(place).as_array().unwrap().len(), 3, "{place}");
        let [refresh, ..] = lines(&cloud);
        let ended = home.run(&[&refresh[..], &["--journal", place]].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(runs(place).as_array().unwrap().len(), 4, "{place}");
        let now = Connection::open(home.path().join(place)).unwrap();
        let mark: i64 = now.query_row("PRAGMA application_id", [], |row| row.get(0)).unwrap();
        assert_ne!(mark, 0, "{place}: nobody knows whose it is");
    }
}

#[test]
fn h10_an_empty_file_becomes_a_journal_for_its_owner_alone() {
    let (cloud, home) = (quick(), Home::new());
    std::fs::write(home.path().join("empty.db"), "").unwrap();
    Connection::open(home.path().join("bare.db")).unwrap().execute_batch("VACUUM").unwrap();
    std::os::unix::fs::symlink("not-there-yet.db", home.path().join("link.db")).unwrap();
    for place in ["empty.db", "bare.db", "link.db", "new/deep/journal.db"] {
        let [refresh, ..] = lines(&cloud);
        let ended = home.run(&[&refresh[..], &["--journal", place]].concat());
        assert_eq!(ended.code, Some(0), "{place}: {ended:?}");
        assert_eq!(home.run(&["runs", "--journal", place]).stdout.lines().count(), 2, "{place}");
    }
    for made in ["not-there-yet.db", "new/deep/journal.db"] {
        let mode = std::fs::metadata(home.path().join(made)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600, "{made}");
    }
}

/// SQLite reads names that begin with `file:` as addresses, with parameters.
#[test]
fn h10_a_journal_may_have_any_name() {
    let (cloud, home) = (quick(), Home::new());
    let names = ["a b.db", "it's \"q\".db", "a?mode=memory", "100%41.db", "a\nb.db", "file:x.db", "ü#;&.db"];
    for name in names {
        let [refresh, ..] = lines(&cloud);
        for _ in 0..2 {
            let ended = home.run(&[&refresh[..], &["--journal", name]].concat());
            assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        }
        assert!(home.path().join(name).exists(), "{name}");
        let runs = home.run(&["runs", "-o", "json", "--journal", name]);
        assert_eq!(runs.json().as_array().unwrap().len(), 2, "{name}");
    }
    // In the library, names are not made absolute before.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let address = "file:/nowhere/at/all?mode=memory";
    assert!(runtime.block_on(Journal::open(home.path().join(address))).is_ok());
    assert!(home.path().join(address).exists());
}

#[test]
fn h10_eight_processes_that_open_a_new_journal_at_once_share_it() {
    let (cloud, home) = (quick(), Home::new());
    let [refresh, ..] = lines(&cloud);
    let children: Vec<_> = (0..8).map(|_| home.start(&refresh)).collect();
    for child in children {
        let ended = crate::support::program::end(child);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    assert_eq!(home.run(&["runs", "-o", "json"]).json().as_array().unwrap().len(), 8);
}

/// `line` as one who may do only what the modes of files allow, which root is not.
fn bound_by_modes(home: &Home, line: &[&str]) -> Ended {
    let mut command = home.wrapped("setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all", env!("CARGO_BIN_EXE_vod-refresh")]);
    command.args(line).output().unwrap().into()
}

#[test]
fn h14_runs_and_status_show_a_journal_that_cannot_be_written() {
    let (cloud, home) = (quick(), Home::new());
    let ended = home.run(&["refresh", "m1", "--endpoint", &cloud.endpoint, "-o", "json"]);
    let run = ended.json()["run_id"].clone();
    let (journal, folder) = (home.journal(), home.journal().parent().unwrap().to_owned());
    let modes = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for (of_file, of_folder) in [(0o400, 0o700), (0o600, 0o500), (0o400, 0o500)] {
        modes(&journal, of_file);
        modes(&folder, of_folder);
        let before = files(&folder);
        for _ in 0..2 {
            let runs = bound_by_modes(&home, &["runs", "-o", "json"]);
            assert_eq!(runs.code, Some(0), "{of_file:o} {of_folder:o}: {runs:?}");
            assert_eq!(runs.json()[0]["run_id"], run);
            let status = bound_by_modes(&home, &["status", "-o", "json"]);
            assert_eq!((status.code, &status.json()["run_id"]), (Some(0), &run), "{status:?}");
            assert_eq!(status.json()["outcome"], "complete");
        }
        assert!(before == files(&folder), "something was left behind");
        // What must write says so before it does anything.
        let calls = cloud.emulator.calls().len();
        let refused = bound_by_modes(&home, &["refresh", "m1", "--endpoint", &cloud.endpoint]);
        assert_eq!((refused.code, cloud.emulator.calls().len()), (Some(3), calls), "{refused:?}");
        assert!(refused.stderr.contains(journal.to_str().unwrap()), "{}", refused.stderr);
        modes(&folder, 0o700);
    }
    modes(&journal, 0o000);
    for line in [["runs"], ["status"], ["resume"]] {
        let refused = bound_by_modes(&home, &line);
        assert_eq!(refused.code, Some(3), "{refused:?}");
        assert!(refused.stderr.contains("ermission denied"), "{}", refused.stderr);
    }
}

/// A journal of 0.1.0 that nobody may write can't be carried over, and is shown all the same.
#[test]
fn h14_an_old_journal_that_cannot_be_written_is_shown() {
    let home = Home::new();
    let folder = home.path().join("old");
    std::fs::create_dir(&folder).unwrap();
    Connection::open(folder.join("old.db")).unwrap().execute_batch(OLD).unwrap();
    std::fs::set_permissions(folder.join("old.db"), std::fs::Permissions::from_mode(0o400)).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o500)).unwrap();
    let runs = bound_by_modes(&home, &["runs", "-o", "json", "--journal", "old/old.db"]);
    assert_eq!((runs.code, runs.json().as_array().unwrap().len()), (Some(0), 3), "{runs:?}");
}

#[test]
fn h18_the_file_shrinks_after_runs_are_forgotten() {
    let (cloud, home) = (quick(), Home::new());
    let runs = |count: usize| {
        let journal = Connection::open(home.journal()).unwrap();
        let body = format!("{{\"fact\":\"submitting\",\"batch\":0,\"filling\":\"{}\"}}", "x".repeat(1_000));
        journal.execute_batch("BEGIN").unwrap();
        for n in 0..count {
            let (run, day) = (format!("run-{n}"), 1 + n % 28);
            let began = format!("2020-02-{day:02}T00:00:00Z");
            let insert = "INSERT INTO run (id, started_at, media, outcome, finished_at, record)
                 VALUES (?1, ?2, 0, 'complete', ?2, '{}')";
            journal.execute(insert, [&run, &began]).unwrap();
            for number in 0..10 {
                let insert = "INSERT INTO fact (run, number, at_ms, body) VALUES (?1, ?2, 0, ?3)";
                journal.execute(insert, (&run, number, &body)).unwrap();
            }
        }
        journal.execute_batch("COMMIT").unwrap();
    };
    let refresh = ["refresh", "m1", "--endpoint", &cloud.endpoint];
    assert_eq!(home.run(&refresh).code, Some(0));
    let size = || std::fs::metadata(home.journal()).unwrap().len();
    let small = size();
    for _ in 0..2 {
        runs(500);
        assert!(size() > 5_000_000, "{}", size());
        assert_eq!(home.run(&refresh).code, Some(0));
        assert!(size() < small + 100_000, "{} after {small}", size());
    }
    assert_eq!(home.run(&["runs", "-o", "json"]).json().as_array().unwrap().len(), 3);
}

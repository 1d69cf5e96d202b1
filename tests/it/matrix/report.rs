//! What may go wrong when a run is over and its report is to be made: the binary, its files, its stdout, its journal.
//!
//! Everything is well when the run begins. Its tasks are held back until the harm is done, so nothing hangs on speed.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use vod_refresh::emulator::{MediaScript, Scenario, Which};

use crate::support::program::{Cloud, Ended, Home, SUBMIT, until};

/// The files a run can write, by their options.
pub(super) const FILES: [&str; 4] = ["--report", "--report-html", "--report-junit", "--metrics-file"];
pub(super) const FORMS: [&str; 3] = ["text", "json", "ndjson"];
pub(super) const VERDICTS: [&str; 3] = ["complete", "partial", "timeout"];

const FULL: &str = "/dev/full";
/// Lines of stderr that a person is meant to act upon.
const SAID: [&str; 4] = ["error: ", "warning: ", "  caused by: ", "  vod-refresh "];

/// What happens to one of the files.
pub(super) const OF_A_FILE: [&str; 5] =
    ["its folder is gone", "a folder in its place", "a link to nowhere", "a full device", "no room"];
/// What happens to stdout.
pub(super) const OF_STDOUT: [&str; 3] = ["nobody reads it", "a full device", "closed from the start"];
/// What happens to the journal.
pub(super) const OF_THE_JOURNAL: [&str; 4] =
    ["deleted", "locked for a second", "full", "no database any more"];
/// What happens to a file that GitHub Actions names.
pub(super) const OF_GITHUB: [&str; 2] = ["a folder", "a full device"];

/// One run of two media that waits for its tasks.
struct ReportCase {
    cloud: Cloud,
    home: Home,
    verdict: &'static str,
}

impl ReportCase {
    fn new(verdict: &'static str) -> Self {
        let held = |id: &str| MediaScript {
            task_ids: vec![id.into()],
            url_count: Some(1),
            never_complete: Which::All(true),
            ..MediaScript::default()
        };
        let bad = match verdict {
            "partial" => MediaScript::failing("InvalidDomain.NotFound", "Can't find domain."),
            _ => held("2"),
        };
        let scenario =
            Scenario::new().with(|s| s.job_delay = Duration::ZERO).with(|s| s.job_ids = vec!["J1".into()]);
        let cloud = Cloud::new(scenario.with_media("m1", held("1")).with_media("m2", bad));
        Self { cloud, home: Home::new(), verdict }
    }

    fn arguments(&self, form: &str, more: &[&str]) -> Vec<String> {
        let mut arguments = vec!["refresh", "m1", "m2", "--endpoint", &self.cloud.endpoint, "-o", form];
        arguments.extend(["--poll-interval", "100ms", "--max-rps", "50"]);
        if self.verdict == "timeout" {
            arguments.extend(["--timeout", "3s"]);
        }
        arguments.iter().chain(more).map(|argument| (*argument).to_owned()).collect()
    }

    /// Begins, does harm once tasks are looked at, lets the tasks end.
    fn run(&self, mut command: Command, harm: impl FnOnce(&Path, &mut Child)) -> Ended {
        let mut child = command.spawn().unwrap();
        self.cloud.wait_for("DescribeVodRefreshTasks", 1);
        harm(self.home.path(), &mut child);
        if self.verdict != "timeout" {
            for task in ["1", "2"] {
                self.cloud.emulator.complete_task(task);
            }
        }
        let ended: Ended = child.wait_with_output().unwrap().into();
        assert_eq!(self.cloud.emulator.count(SUBMIT), 1, "{ended:?}");
        ended
    }

    /// The exit code, and what stderr says beside the sums.
    fn cell(&self, ended: &Ended) -> String {
        let is_said = |line: &&str| SAID.iter().any(|start| line.starts_with(start));
        let home = fs::canonicalize(self.home.path()).unwrap();
        let said: Vec<String> =
            ended.stderr.lines().filter(is_said).map(|line| self.nameless(line, &home)).collect();
        let code = ended.code.map_or("killed".to_owned(), |code| code.to_string());
        [vec![code], said].concat().join("<br>")
    }

    fn nameless(&self, line: &str, home: &Path) -> String {
        let line = line.trim().replace(home.to_str().unwrap(), "~");
        let line = line.replace(self.home.path().to_str().unwrap(), "~").replace('|', "\\|");
        // With an id of its own each time.
        match line.strip_prefix("vod-refresh ") {
            Some(rest) => format!("says how to `{}`", rest.split(' ').next().unwrap()),
            None => line,
        }
    }
}

/// One file can't be written at the end; the others are, and so is stdout.
pub(super) fn file(fault: &str, option: &str, verdict: &'static str) -> String {
    let case = ReportCase::new(verdict);
    let home = case.home.path();
    let mut options = vec!["--no-journal".to_owned()];
    for file in FILES {
        let path = match fault {
            "a full device" if file == option => FULL.to_owned(),
            _ => format!("{file}.d/out").trim_start_matches('-').to_owned(),
        };
        fs::create_dir(home.join(format!("{file}.d").trim_start_matches('-'))).unwrap();
        options.extend([file.to_owned(), path]);
    }
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let arguments = case.arguments("json", &options);
    let command = match fault {
        "no room" => {
            let mut shell = case.home.wrapped("sh");
            let binary = env!("CARGO_BIN_EXE_vod-refresh");
            shell.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh", binary]).args(arguments);
            shell
        }
        _ => case.home.command(&arguments),
    };
    let folder = format!("{option}.d").trim_start_matches('-').to_owned();
    let ended = case.run(command, |home, _| match fault {
        "its folder is gone" => fs::remove_dir(home.join(&folder)).unwrap(),
        "a folder in its place" => fs::create_dir(home.join(&folder).join("out")).unwrap(),
        "a link to nowhere" => {
            std::os::unix::fs::symlink("no/such/folder", home.join(&folder).join("out")).unwrap();
        }
        _ => {}
    });
    let outcome = ended.json()["outcome"].clone();
    assert_eq!(outcome, verdict, "stdout has the report all the same: {ended:?}");
    for other in FILES.into_iter().filter(|other| *other != option && fault != "no room") {
        let folder = home.join(format!("{other}.d").trim_start_matches('-'));
        assert!(!fs::read_to_string(folder.join("out")).unwrap().is_empty(), "{other}");
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1, "{other}: something is left beside it");
    }
    if let Ok(left) = fs::read_dir(home.join(&folder)) {
        let drafts = left.filter(|file| file.as_ref().unwrap().file_name() != "out").count();
        assert_eq!(drafts, 0, "{option}: a draft is left");
    }
    case.cell(&ended)
}

/// Stdout takes nothing at the end; a file does.
pub(super) fn stdout(fault: &str, form: &str, verdict: &'static str) -> String {
    let case = ReportCase::new(verdict);
    let arguments = case.arguments(form, &["--no-journal", "--report", "r.json"]);
    let mut command = case.home.command(&arguments);
    match fault {
        "a full device" => {
            command.stdout(fs::File::options().write(true).open(FULL).unwrap());
        }
        "closed from the start" => {
            let binary = env!("CARGO_BIN_EXE_vod-refresh");
            command = case.home.wrapped("sh");
            command.args(["-c", "exec \"$@\" >&-", "sh", binary]).args(arguments).stdout(Stdio::null());
        }
        _ => {}
    }
    let ended =
        case.run(command, |_, child| drop(child.stdout.take().filter(|_| fault == "nobody reads it")));
    let report = fs::read_to_string(case.home.path().join("r.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["outcome"], verdict, "the file has the report all the same: {ended:?}");
    case.cell(&ended)
}

/// The journal can't be written any more when the run ends.
pub(super) fn journal(fault: &str, verdict: &'static str) -> String {
    let case = ReportCase::new(verdict);
    let command = case.home.command(&case.arguments("json", &[]));
    let path = case.home.journal();
    let mut locker = None;
    let ended = case.run(command, |_, _| match fault {
        "deleted" => fs::remove_dir_all(path.parent().unwrap()).unwrap(),
        "full" => {
            let full = "BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END";
            let sql = format!(
                "CREATE TRIGGER no_fact BEFORE INSERT ON fact {full}; CREATE TRIGGER no_end BEFORE UPDATE ON run {full};"
            );
            rusqlite::Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
        }
        "locked for a second" => {
            let other = rusqlite::Connection::open(&path).unwrap();
            until("the lock", || other.execute_batch("BEGIN IMMEDIATE").is_ok());
            locker = Some(std::thread::spawn(move || {
                std::thread::sleep(Duration::from_secs(1));
                other.execute_batch("COMMIT").unwrap();
            }));
        }
        _ => {
            for file in ["journal.db", "journal.db-wal"] {
                let file = path.with_file_name(file);
                let mut text = Vec::new();
                fs::File::open(&file).unwrap().read_to_end(&mut text).unwrap();
                fs::write(&file, vec![b'x'; text.len()]).unwrap();
            }
        }
    });
    if let Some(locker) = locker {
        locker.join().unwrap();
    }
    assert_eq!(ended.json()["outcome"], verdict, "stdout has the report all the same: {ended:?}");
    let next = case.home.run(&["status", "-o", "json"]);
    let (code, outcome) = (next.code.unwrap(), next.stdout.is_empty());
    let known = if outcome { "nothing".to_owned() } else { next.json()["outcome"].to_string() };
    format!("{}<br>`status` then shows {known} ({code})", case.cell(&ended))
}

/// A file that GitHub Actions names can't be written.
pub(super) fn github(fault: &str, variable: &str, verdict: &'static str) -> String {
    let case = ReportCase::new(verdict);
    let mut command = case.home.command(&case.arguments("json", &["--no-journal"]));
    fs::create_dir(case.home.path().join("folder")).unwrap();
    let path = if fault == "a folder" { case.home.path().join("folder") } else { FULL.into() };
    command.env("GITHUB_ACTIONS", "true").env(variable, path);
    let ended = case.run(command, |_, _| {});
    assert_eq!(ended.json()["outcome"], verdict, "{ended:?}");
    case.cell(&ended)
}

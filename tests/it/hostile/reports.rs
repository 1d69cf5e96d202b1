//! Where reports are written to: links, pipes, devices, folders of others.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use vod_refresh::emulator::Scenario;

use crate::support::program::{Cloud, Ended, Home};

fn cloud() -> Cloud {
    Cloud::new(Scenario::new().with(|s| s.urls_per_media = 1))
}

/// A run that only submits, with these options.
fn run(cloud: &Cloud, home: &Home, more: &[&str]) -> Ended {
    home.run(&[&["refresh", "m1", "--endpoint", &cloud.endpoint, "--no-wait"], more].concat())
}

#[track_caller]
fn outcome(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    serde_json::from_str::<Value>(&text).unwrap()["outcome"].clone()
}

const FORMS: [&str; 4] = ["--report", "--report-html", "--report-junit", "--metrics-file"];

#[test]
fn h12_a_link_to_a_file_that_is_not_there_yet_stays_and_its_target_is_written() {
    let (cloud, home) = (cloud(), Home::new());
    let at = |name: &str| home.path().join(name);
    std::fs::create_dir(at("real")).unwrap();
    for (n, form) in FORMS.into_iter().enumerate() {
        // A link to a link, the second of which is relative to its own folder.
        let (first, second) = (at(&format!("first{n}")), at(&format!("real/second{n}")));
        symlink(&second, &first).unwrap();
        symlink(format!("target{n}"), &second).unwrap();
        for _ in 0..2 {
            let ended = run(&cloud, &home, &[form, &format!("first{n}")]);
            assert_eq!(ended.code, Some(0), "{form}: {ended:?}");
            assert!(first.is_symlink() && second.is_symlink(), "{form}");
            let target = std::fs::symlink_metadata(at(&format!("real/target{n}"))).unwrap();
            assert!(target.is_file() && target.len() > 50, "{form}");
        }
    }
    assert_eq!(outcome(&at("first0")), "submitted");
    let left: Vec<_> = std::fs::read_dir(at("real")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left.len(), 8, "{left:?}");
}

#[test]
fn h12_what_cannot_be_written_at_the_end_is_told_before_anything_is_submitted() {
    let (cloud, home) = (cloud(), Home::new());
    let at = |name: &str| home.path().join(name);
    std::fs::create_dir(at("folder")).unwrap();
    std::fs::write(at("file"), "").unwrap();
    symlink("nowhere/at/all", at("lost")).unwrap();
    symlink("circle", at("circle")).unwrap();
    symlink("folder", at("to-folder")).unwrap();
    for form in FORMS {
        for place in ["folder", "to-folder", "no/folder", "file/x", "lost", "circle", "/", "."] {
            let ended = run(&cloud, &home, &[form, place]);
            assert_eq!(ended.code, Some(3), "{form} {place}: {ended:?}");
            assert!(ended.stderr.contains(&format!("cannot write {place}")), "{}", ended.stderr);
        }
    }
    for twice in [["r", "./r"], ["r", "folder/../r"], ["a", "real"], ["folder/x", "to-folder/x"]] {
        let _ = symlink("real", at("a"));
        let ended = run(&cloud, &home, &["--report", twice[0], "--report-html", twice[1]]);
        assert_eq!(ended.code, Some(2), "{twice:?}: {ended:?}");
        assert!(ended.stderr.contains("two reports go to the same file"), "{}", ended.stderr);
    }
    let ended = run(&cloud, &home, &["--journal", "j.db", "--report", "./j.db"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(cloud.emulator.calls().len(), 0);
}

#[test]
fn h12_devices_pipes_and_streams_are_written_to_as_they_are() {
    let (cloud, home) = (cloud(), Home::new());
    let ended = run(&cloud, &home, &["--report", "/dev/null", "--metrics-file", "/dev/stderr"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    assert!(ended.stderr.contains("# TYPE "), "{ended:?}");
    let ended = run(&cloud, &home, &["--report", "/dev/stdout", "-q"]);
    assert!(ended.code == Some(0) && ended.stdout.contains("\"schema\": 1"), "{ended:?}");

    let fifo = home.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let reader = std::thread::spawn({
        let fifo = fifo.clone();
        move || std::fs::read_to_string(fifo).unwrap()
    });
    assert_eq!(run(&cloud, &home, &["--report", "fifo"]).code, Some(0));
    assert!(reader.join().unwrap().contains("\"outcome\": \"submitted\""));
    // Nobody reads it: that costs this report, and nothing else.
    let begun = Instant::now();
    let ended = run(&cloud, &home, &["--report", "fifo", "--report-html", "page.html", "-o", "json"]);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!((ended.code, &ended.json()["outcome"]), (Some(1), &"submitted".into()), "{ended:?}");
    assert!(ended.stderr.contains("cannot write fifo"), "{}", ended.stderr);
    assert!(home.path().join("page.html").exists());
}

#[test]
fn h12_a_file_in_a_folder_that_takes_no_other_is_written_over() {
    let (cloud, home) = (cloud(), Home::new());
    let at = |name: &str| home.path().join(name);
    let shut = |mode| {
        std::fs::set_permissions(at("shut"), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    std::fs::create_dir(at("shut")).unwrap();
    std::fs::write(at("shut/r.json"), "x".repeat(100_000)).unwrap();
    shut(0o500);
    // Root is not bound by modes, unless it gives that up.
    let bound = |place: &str| -> Ended {
        let mut command = home.wrapped("setpriv");
        command.args(["--bounding-set=-all", "--inh-caps=-all", env!("CARGO_BIN_EXE_vod-refresh")]);
        command.args(["refresh", "m1", "--endpoint", &cloud.endpoint, "--no-wait", "--report", place]);
        command.output().unwrap().into()
    };
    let ended = bound("shut/r.json");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(outcome(&at("shut/r.json")), "submitted");
    let calls = cloud.emulator.calls().len();
    let ended = bound("shut/new.json");
    assert_eq!((ended.code, cloud.emulator.calls().len()), (Some(3), calls), "{ended:?}");
    assert!(ended.stderr.contains("cannot write shut/new.json"), "{}", ended.stderr);
    shut(0o700);
}

#[test]
fn h12_a_name_may_be_as_long_as_names_can_be() {
    let (cloud, home) = (cloud(), Home::new());
    let name = "r".repeat(255);
    assert_eq!(run(&cloud, &home, &["--report", &name]).code, Some(0));
    assert_eq!(outcome(&home.path().join(&name)), "submitted");
    assert_eq!(run(&cloud, &home, &["--report", &"r".repeat(256)]).code, Some(3));
}

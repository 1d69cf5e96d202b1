//! The password of a database: from where it comes, and that it goes nowhere.

use std::os::unix::fs::PermissionsExt;

use super::fencing::open_cloud;
use super::server::{PASSWORD, Server};
use crate::support::program::{Ended, Home, end};

#[test]
fn a_password_in_the_url_is_shown_nowhere_and_the_way_on_says_that_it_is_needed() {
    let Some(server) = Server::shared() else { return };
    let (cloud, home, database) = (open_cloud(), Home::new(), server.database());
    let url = database.url_of(&format!("needs_password:{PASSWORD}"));
    let line = ["refresh", "m1", "--endpoint", &cloud.endpoint, "--timeout", "4s", "-vv", "--journal", &url];
    let files = ["--report", "r.json", "--report-html", "r.html", "--report-junit", "r.xml"];
    let ended = home.run(&[&line[..], &files[..], &["-o", "json"]].concat());
    assert_eq!(ended.code, Some(8), "{ended:?}");
    let place = database.url_of("needs_password");
    assert!(ended.stderr.contains(&format!("--journal {place}")), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("give the password of the journal's database in PGPASSWORD"),
        "{}",
        ended.stderr
    );
    let written =
        ["r.json", "r.html", "r.xml"].map(|name| std::fs::read_to_string(home.path().join(name)).unwrap());
    let stored = database
        .sql("SELECT r::text FROM vod_refresh_run r UNION ALL SELECT f::text FROM vod_refresh_fact f");
    for text in written.iter().chain(&stored).chain([&ended.stdout, &ended.stderr]) {
        assert!(!text.contains(PASSWORD), "{text}");
    }

    cloud.complete(&["m1"]);
    let without = home.run(&ended.hint());
    assert_eq!(without.code, Some(3), "{without:?}");
    assert!(without.stderr.contains("asks for a password of user `needs_password`"), "{}", without.stderr);
    let child = home.command(&ended.hint()).env("PGPASSWORD", PASSWORD).spawn().unwrap();
    // Others of the machine see what was typed, and that holds no password.
    let seen = std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&seen).contains(PASSWORD));
    let resumed = end(child);
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert!(!resumed.stderr.contains("PGPASSWORD"), "{}", resumed.stderr);
}

#[test]
fn a_password_comes_from_the_file_that_only_its_owner_reads() {
    let Some(server) = Server::shared() else { return };
    let (home, database) = (Home::new(), server.database());
    let file = home.path().join(".pgpass");
    std::fs::write(&file, format!("127.0.0.1:{}:*:needs_password:{PASSWORD}\n", server.port)).unwrap();
    let url = database.tcp_url("needs_password", "");
    for (mode, code) in [(0o600, 0), (0o640, 3), (0o604, 3)] {
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        let ended = home.run(&["runs", "--journal", &url]);
        assert_eq!(ended.code, Some(code), "{mode:o}: {ended:?}");
        let says = ended.stderr.contains("is ignored: group or others may read it; `chmod 600` it");
        assert_eq!(says, code == 3, "{}", ended.stderr);
        assert!(!ended.stderr.contains(PASSWORD), "{}", ended.stderr);
    }
    let elsewhere = home.path().join("passwords");
    std::fs::rename(&file, &elsewhere).unwrap();
    std::fs::set_permissions(&elsewhere, PermissionsExt::from_mode(0o600)).unwrap();
    let mut command = home.command(&["runs", "--journal", &url]);
    assert_eq!(Ended::from(command.env("PGPASSFILE", &elsewhere).output().unwrap()).code, Some(0));
}

#[test]
fn a_wrong_password_is_not_shown_either() {
    let Some(server) = Server::shared() else { return };
    let (home, database) = (Home::new(), server.database());
    let from_url = home.run(&["runs", "--journal", &database.url_of("needs_password:wr0ng-pa55")]);
    let mut command = home.command(&["runs", "-vv", "--journal", &database.url_of("needs_password")]);
    let from_variable = Ended::from(command.env("PGPASSWORD", "wr0ng-pa55").output().unwrap());
    for ended in [from_url, from_variable] {
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(ended.stderr.contains("the password of user `needs_password` is wrong"), "{}", ended.stderr);
        assert!(!format!("{ended:?}").contains("wr0ng"), "{ended:?}");
    }
}

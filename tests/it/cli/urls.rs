//! `refresh-urls` and `preload-urls` as scripts meet them.

use super::cloud::Cloud;
use super::scenarios::quick;
use super::shell::Shell;
use crate::support::scripts::open_media;

const REFRESH: &str = "RefreshVodObjectCaches";

#[test]
fn lists_come_from_arguments_files_and_stdin_a_line_each() {
    let cloud = Cloud::new(quick());
    let shell =
        cloud.shell("preload-urls https://a.test/1 --from-file urls.txt --from-file - --poll-interval 100ms");
    let shell = shell
        .file("urls.txt", "\u{feff}https://a.test/2,x\r\n# no URL\r\n\r\n")
        .stdin("https://a.test/1\nb.test/3");
    let shell = shell.words("--output json").option_at("--metrics-file", "r.prom");
    let run = shell.run().exits(0);
    let metrics = std::fs::read_to_string(shell.path("r.prom")).unwrap();
    assert!(metrics.contains("\nvod_refresh_urls{state=\"complete\"} 3\n"), "{metrics}");
    let report = run.report();
    let urls: Vec<_> =
        report["urls"].as_array().unwrap().iter().map(|url| url["url"].as_str().unwrap()).collect();
    assert_eq!(urls, ["https://a.test/1", "https://a.test/2,x", "b.test/3"]);
}

#[test]
fn what_can_be_known_to_be_wrong_is_told_before_anything_is_sent() {
    let cloud = Cloud::new(quick());
    for (line, part) in [
        ("refresh-urls /1.mp4", "has no host"),
        (
            "refresh-urls https://例え.test/a.mp4",
            "has a host that is not ASCII: write it in its other form, as xn--…",
        ),
        ("refresh-urls https://a.test/1#t", "has a fragment"),
        ("refresh-urls https://a.test/1 --type directory", "has to end with a slash"),
        ("preload-urls https://a.test/1/", "only files can be prefetched"),
        ("refresh-urls --from-file /dev/null", "the list of URLs is empty"),
        ("refresh-urls --from-file /nonexistent", "cannot be read"),
        ("refresh-urls https://a.test/1 --callback-listen 127.0.0.1:0", "no event tells of URLs"),
    ] {
        cloud.shell(line).run().exits(2).says(part);
    }
    assert_eq!(cloud.count(REFRESH), 0);
}

/// The help, and with it the page of all options, names no option that is refused.
#[test]
fn the_help_names_no_option_about_events() {
    for command in ["refresh-urls", "preload-urls"] {
        let help = Shell::new(&format!("{command} --help")).run().exits(0).stdout;
        for option in
            ["--callback-listen", "--callback-url", "--callback-auth-key-file", "--allow-unsigned", "--queue"]
        {
            assert!(!help.contains(option), "{command}: {option}");
        }
        assert!(help.contains("--timeout"), "{help}");
    }
}

#[test]
fn folders_have_a_quota_of_their_own() {
    let cloud = Cloud::new(quick().with(|s| s.quota.dir_quota = 1));
    let run =
        |urls: &str| cloud.shell(&format!("refresh-urls {urls} --check-quota --poll-interval 100ms")).run();
    run("a.test/1/ a.test/2/").exits(5).says("1 directory left to refresh today, for 2");
    assert_eq!(cloud.count(REFRESH), 0);
    run("a.test/1/ a.test/2").exits(0);
}

#[test]
fn a_run_that_ran_out_of_time_is_carried_on_or_says_why_not() {
    let stuck = open_media();
    let cloud = Cloud::new(quick().with_media("https://a.test/1", stuck));
    let line = "refresh-urls https://a.test/1 --timeout 1s --poll-interval 100ms";
    let shell = cloud.shell(line);
    let run = shell.run().exits(8);
    cloud.shell(line).words("--no-journal").run().exits(8).says("run the same command again");
    let resumed =
        shell.instead(&format!("{} --timeout 1s", run.command_shown().replace(" --timeout 1h", ""))).run();
    resumed.exits(8);
    assert_eq!(cloud.count(REFRESH), 2, "the command that resumes submitted again");
}

//! What people read: the table, and the main errors, word for word.

use vod_refresh::emulator::{Fault, FaultRule, MediaScript, Which};

use super::cloud::{Cloud, SUBMIT};
use super::process::Finished;
use super::scenarios::{ms, quick, silent};
use super::shell::Shell;

/// The whole of what a run left behind, without what differs from run to run.
fn everything_printed(run: &Finished) -> String {
    let code = run.code.map_or("a signal".to_owned(), |code| code.to_string());
    format!("exit {code}\n--- stdout\n{}--- stderr\n{}", run.stdout, run.stderr)
}

pub(super) fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT");
    settings.add_filter(r"\b[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\b", "REQUEST-ID");
    settings.add_filter(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "RUN-ID");
    settings.add_filter(r"\b\d+s, \d+ calls", "Ns, N calls");
    settings.add_filter(r"(/[\w.-]+)+/\.(aliyun|alibabacloud)/", "HOME/.$2/");
    settings.add_filter(r"(/[\w.-]+)+/(list\.txt|key)\b", "$2");
    settings
}

/// The same for the files of a report.
pub(super) fn settings_of_reports() -> insta::Settings {
    let mut settings = settings();
    settings.add_filter(r#""\d{4}-[^"]+Z""#, "TIME");
    settings.add_filter(r#"timestamp="[^"]+""#, "TIME");
    settings.add_filter(r#"value="\d{4}-[^"]+""#, "TIME");
    settings.add_filter(r#"time="[\d.]+""#, "TOOK");
    settings.add_filter(r#"("unfinished_at": )(TIME|null)"#, "${1}SEEN");
    settings.add_filter(r"\b\d{11}\b", "TASK");
    settings.add_filter(r#"("[A-Z]\w+": )\d+"#, "${1}N");
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME");
    settings.add_filter(r#"("age_s": |"http_status": )\d+"#, "${1}N");
    settings.add_filter(r"(seconds(_sum|_bucket.*|_count)?|_total\{.*\}) [\d.]+", "$1 N");
    settings
}

#[track_caller]
pub(super) fn matches_snapshot(name: &str, run: &Finished) {
    let text = everything_printed(run);
    settings().bind(|| insta::assert_snapshot!(name, text));
}

fn urls(name: &str) -> Vec<String> {
    ["hd.mp4", "sd.m3u8"].map(|file| format!("https://cdn.example.test/{name}/{file}")).to_vec()
}

#[test]
fn a_run_whose_media_end_in_every_state_prints_the_known_table() {
    let named = |name| MediaScript { urls: urls(name), ..MediaScript::default() };
    let failing = MediaScript {
        failed_tasks: Which::At(vec![1]),
        failed_description: Some("Origin Timeout".into()),
        ..named("half")
    };
    let cloud = Cloud::new(
        quick()
            .with(|s| s.job_ids = vec!["J1".into()])
            .with_media("intro", named("intro"))
            .with_media("half", failing)
            .with_media("gone", MediaScript::missing())
            .with_media("secret", MediaScript::forbidden())
            .with_media("nowhere", MediaScript::failing("InvalidDomain.NotFound", "Can't find domain.")),
    );
    let run = cloud.shell("refresh intro half gone secret nowhere --poll-interval 100ms").run();
    // The order in which tasks and media end is the cloud's; the table has one of its own.
    let mut lines: Vec<_> = run.stderr.lines().map(str::to_owned).collect();
    lines[1..].sort_unstable();
    let stderr = lines.join("\n") + "\n";
    matches_snapshot("report_of_every_fate", &Finished { stderr, ..run });
}

#[test]
fn ndjson_prints_the_known_lines() {
    let one = MediaScript {
        urls: vec!["https://cdn.example.test/intro.mp4".into()],
        task_ids: vec!["T1".into()],
        ..MediaScript::default()
    };
    let cloud = Cloud::new(
        quick()
            .with(|s| s.job_ids = vec!["J1".into()])
            .with_media("intro", one)
            .with_media("gone", MediaScript::missing()),
    );
    let run = cloud.shell("refresh intro gone --poll-interval 100ms --output ndjson").run();
    let (lines, _report) = run.stdout.trim_end().rsplit_once('\n').unwrap();
    let mut settings = settings();
    settings.add_filter(r#""at":"[^"]+""#, r#""at":"TIME""#);
    settings.bind(|| insta::assert_snapshot!("ndjson", lines));
}

#[test]
fn a_timeout_prints_the_known_text() {
    let stuck =
        MediaScript { never_complete: Which::All(true), urls: urls("slow"), ..MediaScript::default() };
    let cloud = Cloud::new(
        quick()
            .with(|s| s.job_ids = vec!["J1".into()])
            .with_media("slow", stuck)
            .with(|s| s.task_duration = ms(60_000)),
    );
    let run = cloud.shell("refresh slow --timeout 3s --poll-interval 100ms").run();
    let stdout = without_percents(&run.stdout);
    let stderr = run.stderr.replace(&run.command_shown(), "COMMAND");
    matches_snapshot("timeout", &Finished { stdout, stderr, ..run });
}

/// `Refreshing 1%` is a matter of milliseconds.
fn without_percents(text: &str) -> String {
    let words = text.split('%').collect::<Vec<_>>();
    words
        .iter()
        .map(|part| part.trim_end_matches(|c: char| c.is_ascii_digit()))
        .collect::<Vec<_>>()
        .join("N%")
}

#[test]
fn the_main_errors_print_the_known_texts() {
    let cloud = Cloud::new(silent(quick()));
    matches_snapshot(
        "error_empty_list",
        &cloud.shell("refresh --from-file list.txt").file("list.txt", "# none\n").run(),
    );
    let bad = cloud.shell("refresh ok a,b --from-file list.txt").file("list.txt", "fine\nbe\u{7}ll\n");
    matches_snapshot("error_bad_ids", &bad.run());
    matches_snapshot("error_no_credentials", &Shell::new("refresh m1").run());
    let wrong = cloud.shell("refresh m1").env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "another");
    matches_snapshot("error_wrong_secret", &wrong.run());
    matches_snapshot(
        "error_unknown_key",
        &cloud.shell("refresh m1").env("ALIBABA_CLOUD_ACCESS_KEY_ID", "nobody").run(),
    );
    matches_snapshot("error_open_listener", &cloud.shell("refresh m1 --callback-listen 0.0.0.0:0").run());
    matches_snapshot("error_plain_http", &cloud.shell("refresh m1 --endpoint http://vod.example.test").run());
    matches_snapshot("error_bare_number", &cloud.shell("refresh m1 --timeout 30").run());
    let denied = Cloud::new(quick().with(|s| s.deny.push(SUBMIT.into())));
    matches_snapshot("error_permission", &denied.shell("refresh m1").run());
    let fault = Fault::error(400, "QuotaExceeded.Refresh");
    let used_up = Cloud::new(quick().with_fault(FaultRule::on(SUBMIT, fault)));
    matches_snapshot("error_quota", &used_up.shell("refresh m1").run());
}

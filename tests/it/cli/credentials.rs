//! Whose key signs, how one can tell, and what becomes of a run whose key ends before it does.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use vod_refresh::emulator::Sts;
use vod_refresh::net::clock::{Clock as _, SystemClock};

use super::cloud::{Cloud, QUERY_TASKS, SUBMIT};
use super::planted_secrets::{SECRET, TOKEN};
use super::process::Finished;
use super::scenarios::{ms, open_tasks, quick, silent};
use super::shell::Shell;
use crate::support::program::until;

const CONFIG: &str = ".aliyun/config.json";
const ROLE: &str = "acs:ram::1234567890123456:role/vod-refresh";
/// Looks at once and often.
const QUICKLY: &str = "--lookup-after 0s --poll-interval 100ms";

/// The file of the `aliyun` command with one profile, which is its current one.
fn config(name: &str, fields: &str) -> String {
    format!(r#"{{"current":"{name}","profiles":[{{"name":"{name}",{fields}}}]}}"#)
}

/// A command line with this file, and with no key in its environment.
fn with_config(cloud: &Cloud, line: &str, text: &str) -> Shell {
    Shell::new(line).env("VOD_REFRESH_ENDPOINT", cloud.url()).secret_file(CONFIG, text)
}

fn old_profile() -> String {
    config("old", &format!(r#""mode":"AK","access_key_id":"AKOLD","access_key_secret":"{SECRET}""#))
}

fn two_keys() -> Cloud {
    Cloud::new(silent(quick()).with(|s| s.keys.insert("AKOLD".into(), SECRET.into())))
}

/// The keys that signed, each once in a row.
fn signed_by(cloud: &Cloud) -> Vec<String> {
    let mut keys: Vec<_> = cloud.emulator.calls().into_iter().map(|call| call.key_id).collect();
    keys.retain(|key| !key.is_empty());
    keys.dedup();
    keys
}
#[test]
fn h25_keys_in_the_environment_beat_a_profile_that_is_left_over_and_an_option_beats_both() {
    let line = format!("refresh m1 {QUICKLY} -v");
    let cloud = two_keys();
    let shell = cloud.shell(&line).secret_file(CONFIG, old_profile());
    shell.run().exits(0).shows_no_secret();
    let left_over = shell.clone().env("ALIBABA_CLOUD_PROFILE", "gone").run().exits(0).shows_no_secret();
    left_over.says("environment goes before profile \"gone\", which ALIBABA_CLOUD_PROFILE names");
    assert_eq!(signed_by(&cloud), ["testid"]);
    shell.env("ALIBABA_CLOUD_PROFILE", "gone").words("--profile old").run().exits(0).shows_no_secret();
    assert_eq!(signed_by(&cloud), ["testid", "AKOLD"]);
    let without_keys = with_config(&cloud, &line, &old_profile()).env("ALIBABA_CLOUD_PROFILE", "gone");
    without_keys.run().exits(3).says("no profile \"gone\", which ALIBABA_CLOUD_PROFILE names");
}

/// The endpoint of the region is what a dry run shows.
#[test]
fn h24_the_region_of_the_profile_counts_where_no_other_is_given() {
    let text = old_profile().replace(r#""mode""#, r#""region_id":"cn-beijing","mode""#);
    let shell = Shell::new("refresh m1 --dry-run").secret_file(CONFIG, text);
    for (shell, host) in [
        (shell.clone(), "vod.cn-beijing"),
        (shell.clone().words("--profile old"), "vod.cn-beijing"),
        (shell.clone().env("ALIBABA_CLOUD_REGION_ID", "ap-southeast-1"), "vod.ap-southeast-1"),
        (shell.clone().env("VOD_REFRESH_REGION", "eu-central-1"), "vod.eu-central-1"),
        (shell.clone().words("--region cn-shenzhen"), "vod.cn-shenzhen"),
        (shell.with_keys(), "vod.cn-shanghai"),
    ] {
        let run = shell.run().exits(0);
        assert!(run.stdout.contains(&format!("https://{host}.aliyuncs.com/")), "{host}: {}", run.stdout);
    }
}

/// Who am I?
#[test]
fn doctor_names_the_source_of_the_key() {
    let cloud = two_keys();
    let doctor = cloud.shell("doctor").secret_file(CONFIG, old_profile());
    let env = doctor.run().exits(0).shows_no_secret();
    assert!(env.stdout.contains("of the environment, for good"), "{}", env.stdout);
    let old = doctor.words("--profile old").run().exits(0).shows_no_secret();
    assert!(old.stdout.contains("of the profile \"old\" of "), "{}", old.stdout);
    assert!(old.stdout.contains("/.aliyun/config.json, for good"), "{}", old.stdout);
}

#[test]
fn the_log_tells_what_each_source_said() {
    let cloud = two_keys();
    for line in ["doctor -v", "refresh m1 --no-wait -v"] {
        with_config(&cloud, line, &old_profile())
            .run()
            .exits(0)
            .shows_no_secret()
            .says("credentials: environment: none, ALIBABA_CLOUD_ACCESS_KEY_ID")
            .says("credentials: OIDC: none, ALIBABA_CLOUD_OIDC_PROVIDER_ARN")
            .says("credentials: config.json: key id AKOLD from profile \"old\" of ");
    }
}

#[test]
fn a_doctor_who_finds_nobody_lists_every_source_and_a_remedy() {
    let run = Shell::new("doctor").run().exits(3);
    for part in ["environment: none", "OIDC: none", "config.json: none", "credentials file: none"] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    assert!(run.stdout.contains("credentials URI: none") && run.stdout.contains("instance role: none"));
    assert!(run.stdout.contains("remedy: set the two `ALIBABA_CLOUD_ACCESS_KEY_…`"), "{}", run.stdout);
}

/// What is there and broken is named, and never passed over for another account.
#[test]
fn what_is_broken_ends_it_before_any_call_and_is_named() {
    let cloud = two_keys();
    let refused = |shell: Shell, parts: &[&str]| {
        let run = shell.run().exits(3).shows_no_secret();
        for part in parts {
            assert!(run.stderr.contains(part), "stderr lacks {part:?}: {}", run.stderr);
        }
    };
    let plain = |text: &str| with_config(&cloud, "refresh m1 -vv", text);
    let half = plain(&old_profile()).env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRET);
    refused(half, &["ALIBABA_CLOUD_ACCESS_KEY_SECRET is set but ALIBABA_CLOUD_ACCESS_KEY_ID is not"]);
    let half = plain(&old_profile()).env("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid");
    refused(half, &["ALIBABA_CLOUD_ACCESS_KEY_SECRET is not"]);
    let other = plain(&old_profile()).with_keys().words("--profile odl");
    refused(other, &["no profile \"odl\"", "config.json", "did you mean \"old\"?"]);
    let cut = old_profile().replace("}]}", "");
    refused(plain(&cut), &["/.aliyun/config.json: it is not JSON"]);
    let secretless = config("p", r#""mode":"AK","access_key_id":"AKOLD""#);
    refused(plain(&secretless), &["profile \"p\" of ", "config.json: field access_key_secret is missing"]);
    assert_eq!(cloud.emulator.calls().len(), 0);
}

#[test]
fn a_file_of_secrets_that_others_can_read_is_warned_of_and_used() {
    let cloud = two_keys();
    let shell = with_config(&cloud, "refresh m1 --no-wait", &old_profile());
    shell.run().exits(0).does_not_say("others can read it");
    std::fs::set_permissions(shell.path(CONFIG), std::fs::Permissions::from_mode(0o644)).unwrap();
    shell
        .run()
        .exits(0)
        .shows_no_secret()
        .says("config.json holds secrets and others can read it (mode 0644)");
}

/// A profile whose program is this script.
fn with_program(line: &str, script: &str) -> Shell {
    let shell = Shell::new(line);
    let path = shell.path("keys.sh").display().to_string();
    shell
        .file("keys.sh", script)
        .secret_file(CONFIG, config("p", &format!(r#""mode":"External","process_command":"/bin/sh {path}""#)))
}
#[test]
fn h26_the_words_and_the_status_of_a_program_that_fails_are_shown() {
    let script = format!("echo 'token: {SECRET}' >&2\necho 'log in first: `sso login`' >&2\nexit 7\n");
    for line in ["refresh m1", "doctor"] {
        let run = with_program(line, &script).run().exits(3);
        let all = run.stdout + &run.stderr;
        assert!(all.contains("the process failed (exit status: 7); it says: token: <secret> "), "{all}");
        assert!(all.contains("log in first: `sso login`") && !all.contains("sk/Mark"), "{all}");
    }
}

/// What it leaves behind holds its output open for as long as it likes.
#[test]
fn h26_a_program_that_leaves_a_process_behind_is_not_waited_for() {
    let cloud = Cloud::new(silent(quick()).with(|s| s.tokens.insert("testid".into(), "T1".into())));
    let script = format!("sleep 20 &\necho $! > number\necho '{}'\n", printed("T1"));
    let line = format!("refresh m1 {QUICKLY}");
    let shell = with_program(&line, &script).env("VOD_REFRESH_ENDPOINT", cloud.url());
    let begun = tokio::time::Instant::now();
    shell.run().exits(0);
    assert!(begun.elapsed().as_secs() < 15, "{:?}", begun.elapsed());
    let number = std::fs::read_to_string(shell.path("number")).unwrap();
    Command::new("kill").arg(number.trim()).status().unwrap();
}

/// A list on stdin is not the program's.
#[test]
fn h26_a_program_does_not_read_the_list_on_stdin() {
    let cloud = Cloud::new(silent(quick()).with(|s| s.tokens.insert("testid".into(), "T1".into())));
    let script = format!("cat > /dev/null\necho '{}'\n", printed("T1"));
    let line = format!("refresh --from-file - {QUICKLY}");
    with_program(&line, &script).env("VOD_REFRESH_ENDPOINT", cloud.url()).stdin("m1\n").run().exits(0);
    assert_eq!(cloud.calls(SUBMIT)[0].params["MediaIds"], "m1");
}

/// A cloud whose one key has a token, and tasks that stay open until the test completes them.
fn with_token() -> Cloud {
    Cloud::new(
        silent(quick())
            .with(|s| s.tokens.insert("testid".into(), "T1".into()))
            .with(|s| s.default_media = open_tasks()),
    )
}

/// Ends the token of a run that waits, once the run looks at its tasks.
fn end_the_token(cloud: &Cloud) {
    until("a look at a task", || cloud.count(QUERY_TASKS) > 1);
    cloud.emulator.set_token("testid", "T2");
}

fn complete(cloud: &Cloud) {
    for task in ["1", "2"] {
        cloud.emulator.complete_task(task);
    }
}

fn refusals(cloud: &Cloud) -> usize {
    let calls = cloud.emulator.calls();
    calls.iter().filter(|call| call.outcome == "InvalidSecurityToken.Expired").count()
}

/// What a process prints that gives keys out.
fn printed(token: &str) -> String {
    format!(
        r#"{{"mode":"StsToken","access_key_id":"testid","access_key_secret":"testsecret","sts_token":"{token}"}}"#
    )
}

/// With a process for a source.
#[test]
fn a_token_that_dies_in_the_middle_is_fetched_anew_and_nothing_is_sent_twice() {
    let cloud = with_token();
    let shell = Shell::new("refresh m1").words(QUICKLY).env("VOD_REFRESH_ENDPOINT", cloud.url());
    let (script, keys, asked) = (shell.path("keys.sh"), shell.path("keys.json"), shell.path("asked"));
    let command = format!("/bin/sh {}", script.display());
    let shell = shell
        .file("keys.sh", format!("echo once >> {}\ncat {}\n", asked.display(), keys.display()))
        .secret_file("keys.json", printed("T1"))
        .secret_file(CONFIG, config("p", &format!(r#""mode":"External","process_command":"{command}""#)));
    let run = shell.start();
    run.wait_for_line("submitted 1 media");
    std::fs::write(&keys, printed("T2")).unwrap();
    end_the_token(&cloud);
    until("a refusal", || refusals(&cloud) > 0);
    complete(&cloud);
    run.finish().exits(0);
    assert_eq!(cloud.count(SUBMIT), 1);
    let asked = std::fs::read_to_string(asked).unwrap();
    assert_eq!(asked.lines().count(), 2, "once to begin with and once for the renewal");
}

/// With a token that nobody renews: the run ends as refused, and goes on with the next token.
#[test]
fn a_token_in_the_environment_that_dies_ends_the_run_which_another_token_carries_on() {
    let cloud = with_token();
    let shell = cloud.shell("refresh m1").words(QUICKLY).env("ALIBABA_CLOUD_SECURITY_TOKEN", "T1");
    let run = shell.start();
    run.wait_for_line("submitted 1 media");
    end_the_token(&cloud);
    let run = run.finish().exits(4).says("InvalidSecurityToken.Expired").says("hint: get a new STS token");
    let job = cloud.first_job();
    assert!(run.stdout.contains("unfinished"), "{}", run.stdout);
    let command = run.command_shown();
    assert!(command.starts_with("vod-refresh resume "), "{command}");
    complete(&cloud);
    let again = shell.instead(&format!("{command} -o json"));
    again.clone().run().exits(4);
    let run = again.env("ALIBABA_CLOUD_SECURITY_TOKEN", "T2").run().exits(0);
    assert_eq!(run.report()["media"][0]["job_id"], job);
    assert_eq!(cloud.count(SUBMIT), 1);
}

/// With a program that has no new one: the hint is about the program, and not about variables that nobody set.
#[test]
fn a_program_that_fails_in_the_middle_is_what_the_hint_is_about() {
    let cloud = with_token();
    let script = format!(
        "test -e asked && {{ echo 'log in again' >&2; exit 3; }}\ntouch asked\necho '{}'\n",
        printed("T1")
    );
    let line = format!("refresh m1 {QUICKLY}");
    let run = with_program(&line, &script).env("VOD_REFRESH_ENDPOINT", cloud.url()).start();
    run.wait_for_line("submitted 1 media");
    end_the_token(&cloud);
    let run = run.finish().exits(4).says("log in again").says("the source of the credentials failed");
    run.does_not_say("ALIBABA_CLOUD_");
}

/// Keys that live two seconds, and tasks of five.
fn short_lived() -> Cloud {
    let life = ms(2_000);
    let sts = Sts { life: Some(life), ..Sts::default() };
    Cloud::new(
        silent(quick())
            .with(|s| s.task_duration = ms(5_000))
            .with(|s| s.sts = sts)
            .with(|s| s.credentials_uri.life = life),
    )
}

/// C08 for keys that a service gives out: of a credentials URI, of a role, and of a role by OIDC.
#[test]
fn keys_that_live_for_seconds_are_renewed_all_through_the_run() {
    let role = format!(
        r#""mode":"RamRoleArn","access_key_id":"testid","access_key_secret":"testsecret","ram_role_arn":"{ROLE}""#
    );
    let line = format!("refresh m1 {QUICKLY}");
    std::thread::scope(|threads| {
        for kind in ["CredentialsUri", "AssumeRole", "AssumeRoleWithOIDC"] {
            let (line, role) = (&line, &role);
            threads.spawn(move || {
                let cloud = short_lived();
                let shell = Shell::new(line)
                    .env("VOD_REFRESH_ENDPOINT", cloud.url())
                    .env("ALIBABA_CLOUD_STS_ENDPOINT", cloud.url());
                let shell = match kind {
                    "CredentialsUri" => {
                        shell.env("ALIBABA_CLOUD_CREDENTIALS_URI", format!("{}/credentials", cloud.url()))
                    }
                    "AssumeRole" => shell.secret_file(CONFIG, config("p", role)),
                    _ => {
                        let token = shell.path("token").display().to_string();
                        shell
                            .secret_file("token", "a.b.c\n")
                            .env("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "acs:ram::1:oidc-provider/ci")
                            .env("ALIBABA_CLOUD_OIDC_TOKEN_FILE", token)
                            .env("ALIBABA_CLOUD_ROLE_ARN", ROLE)
                    }
                };
                shell.run().exits(0);
                assert_eq!(cloud.count(SUBMIT), 1, "{kind}");
                assert!(cloud.count(kind) >= 3, "{kind}: {}", cloud.count(kind));
            });
        }
    });
}

/// The session of a browser login ends when it ends.
fn session(minutes: i64) -> String {
    let end = SystemClock.now().timestamp() + minutes * 60;
    let fields = format!(
        r#""mode":"CloudSSO","access_key_id":"testid","access_key_secret":"testsecret","sts_token":"{TOKEN}","sts_expiration":{end}"#
    );
    config("sso", &fields)
}

#[test]
fn a_key_that_ends_before_the_timeout_and_cannot_be_renewed_is_warned_of() {
    let cloud = Cloud::new(silent(quick()).with(|s| s.tokens.insert("testid".into(), TOKEN.into())));
    let run = |timeout: &str| -> Finished {
        let line = format!("refresh m1 {QUICKLY} --timeout {timeout}");
        with_config(&cloud, &line, &session(20)).run().exits(0).shows_no_secret()
    };
    let warned = run("1h").says("warning: the credential from profile \"sso\" of ");
    warned.says("before `--timeout` does and can't be renewed").says(" ends 40m");
    run("10m").does_not_say("can't be renewed");
}

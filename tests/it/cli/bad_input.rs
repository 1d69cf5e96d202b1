//! What users give: lists of other programs, addresses with secrets in them, values that nothing can be made of.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Stdio};

use super::cloud::{Cloud, PUBLIC_URL, SUBMIT};
use super::process::Finished;
use super::scenarios::{open_tasks, quick, silent};
use super::shell::{BINARY, Shell};
use crate::support::raw_server::ClosedPort;

/// Stands in passwords and tokens of addresses.
const SECRET: &str = "HuntedSecret";

/// Fails if the secret is in what a command printed or left behind.
#[track_caller]
fn without_secret(shell: &Shell, run: Finished) -> Finished {
    let files = shell.files().into_iter().map(|(path, bytes)| (path.display().to_string(), bytes));
    let streams = [("stdout", &run.stdout), ("stderr", &run.stderr)];
    let streams = streams.map(|(name, text)| (name.to_owned(), text.clone().into_bytes()));
    for (place, bytes) in files.chain(streams) {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        assert!(!text.contains(&SECRET.to_lowercase()), "it is in {place}:\n{run:?}");
    }
    run
}

/// `line` as a step on GitHub, at the highest log level.
fn on_github(line: &str) -> Shell {
    let shell = Shell::new("-vv").words(line).with_keys().env("GITHUB_ACTIONS", "true");
    let summary = shell.path("summary.md").display().to_string();
    let output = shell.path("output.txt").display().to_string();
    let shell = shell.file("summary.md", "").file("output.txt", "");
    shell.env("GITHUB_STEP_SUMMARY", summary).env("GITHUB_OUTPUT", output)
}

/// As a process: what is sent is what was meant.
#[test]
fn h20_lists_as_other_programs_write_them_are_sent_as_meant_or_not_at_all() {
    let cloud = Cloud::new(silent(quick()).with(|s| s.urls_per_media = 1));
    for (text, ids) in [
        ("\"m1\"\n\"m2\"\n", "m1,m2"),
        ("[\n  \"m1\",\n  \"m2\"\n]\n", "m1,m2"),
        ("MediaId\r\nm1\r\nm2\r\n", "m1,m2"),
        ("m1\u{a0}m2", "m1,m2"),
    ] {
        let before = cloud.count(SUBMIT);
        cloud.shell("refresh --from-file - --no-wait").stdin(text).run().exits(0);
        let calls = cloud.calls(SUBMIT);
        assert_eq!((calls.len(), calls[before].params["MediaIds"].as_str()), (before + 1, ids), "{text:?}");
    }
    cloud.shell("refresh --no-wait").arg("\"m1\"").run().exits(0);
    assert_eq!(cloud.calls(SUBMIT)[4].params["MediaIds"], "m1", "an argument of `$(jq .id)`");
    let sent = cloud.emulator.calls().len();
    for (text, place) in [
        ("m1\nMediaId,Title\n", "list.txt:2:1: \"MediaId\" is the name of a column"),
        ("[{\"MediaId\": \"m1\"}]", "list.txt:1:2: "),
        ("m1 <b>\n", "list.txt:1:4: \"<b>\" has `<` in it"),
        (
            "https://u:HuntedSecret@h/m1?t=HuntedSecret\n",
            "list.txt:1:1: \"https://<secret>@h/m1?<secret>\" has `:`",
        ),
    ] {
        let shell = cloud.shell("refresh --from-file list.txt -vv").file("list.txt", text);
        shell.run().exits(2).says(place).does_not_say(SECRET);
    }
    cloud
        .shell("refresh https://u:HuntedSecret@h/m1")
        .run()
        .exits(2)
        .says("argument 1: ")
        .does_not_say(SECRET);
    assert_eq!(cloud.emulator.calls().len(), sent);
}

/// Addresses that are refused.
#[test]
fn h23_passwords_and_tokens_in_addresses_that_are_refused_show_nowhere() {
    let addresses = [
        "https://user:HuntedSecret@h.test",
        "user:HuntedSecret@h.test",
        "https://us er:HuntedSecret@h.test",
        "https://user:Hunt@Secret/HuntedSecret@h.test",
        "https://h.test?token=HuntedSecret",
        "https://h.test/queues/q?Signature=HuntedSecret",
        "ftp://h.test#HuntedSecret",
        "https:/user:HuntedSecret@h.test/queues/q",
    ];
    let lines = [
        "refresh m1 --endpoint",
        "refresh m1 --dry-run --endpoint",
        "wait J1 --task-endpoint",
        "quota --endpoint",
        "doctor -o json --endpoint",
        "callback get --endpoint",
        "refresh m1 --queue",
        "doctor --queue",
        "callback set --yes --queue",
        "refresh m1 --region",
        "refresh m1 --unknown-option",
        "refresh m1 --output",
    ];
    std::thread::scope(|threads| {
        for line in lines {
            threads.spawn(move || {
                for address in addresses {
                    let shell = on_github(line).env("ALIBABA_CLOUD_STS_ENDPOINT", address).arg(address);
                    let run = without_secret(&shell, shell.run());
                    assert!(matches!(run.code, Some(2 | 3)), "{line} {address}: {run:?}");
                }
            });
        }
    });
    for address in addresses {
        let shell = on_github("refresh m1").arg(format!("--endpoint={address}"));
        without_secret(&shell, shell.run()).exits(2);
    }
    for name in ["VOD_REFRESH_ENDPOINT", "VOD_REFRESH_TASK_ENDPOINT", "VOD_REFRESH_REGION"] {
        let shell = on_github("refresh m1").env(name, addresses[0]);
        without_secret(&shell, shell.run()).exits(2).says("<secret>@h.test");
    }
}

/// Callback URLs that are right, and hold a token all the same.
#[test]
fn h23_a_callback_url_is_sent_whole_and_shown_without_its_secrets() {
    const URL: &str = "https://user:HuntedSecret@cb.example.test/vod/hook?token=HuntedSecret";
    const MASKED: &str = "https://<secret>@cb.example.test/vod/hook?<secret>";
    let cloud = Cloud::new(silent(quick()));
    let shell = |line: &str| on_github(line).env("VOD_REFRESH_ENDPOINT", cloud.url()).arg(URL);
    for line in ["refresh m1 --dry-run --callback-url", "refresh m1 --dry-run -o json --callback-url"] {
        let shell = shell(line);
        let run = without_secret(&shell, shell.run()).exits(0);
        assert!(
            run.stdout.contains("%3Csecret%3E%40cb") || run.stdout.contains("<secret>@cb"),
            "{}",
            run.stdout
        );
    }
    let whole = shell("refresh m1 --no-wait --callback-url");
    without_secret(&whole, whole.run()).exits(0);
    assert!(cloud.calls(SUBMIT)[0].params["UserData"].contains(URL), "VOD gets it whole");
    let set = shell("callback set --yes --callback-url");
    let run = without_secret(&set, set.run()).exits(0);
    assert!(run.stdout.contains(&format!("+ url             {MASKED}")), "{}", run.stdout);
    for line in ["doctor --callback-url", "doctor -o json --callback-url", "callback sign --callback-url"] {
        let shell = shell(line).env("VOD_REFRESH_CALLBACK_AUTH_KEY", "Abc123Key");
        without_secret(&shell, shell.run()).exits(0);
    }
    let other = on_github("doctor --callback-url").env("VOD_REFRESH_ENDPOINT", cloud.url()).arg(PUBLIC_URL);
    let run = without_secret(&other, other.run()).exits(0);
    assert!(
        run.stdout.contains(&format!("the account has {MASKED}, here it is {PUBLIC_URL}")),
        "{}",
        run.stdout
    );
    for bad in [
        "ftp://user:HuntedSecret@h/x",
        "https://user:HuntedSecret@h:0/x",
        "https://h/x#HuntedSecret",
        "HuntedSecret@",
    ] {
        let shell = on_github("refresh m1 --callback-url").arg(bad);
        without_secret(&shell, shell.run()).exits(2).says("--callback-url");
    }
}

/// What the journal does not keep must be given again, and the command that is shown says so.
#[test]
fn h23_a_run_with_a_token_in_its_callback_url_is_resumed_with_the_url_given_again() {
    const URL: &str = "https://cb.example.test/vod/hook?token=HuntedSecret";
    let cloud = Cloud::new(silent(quick()).with(|s| s.default_media = open_tasks()));
    let options = "--lookup-after 0s --poll-interval 100ms";
    let shell = on_github(&format!("refresh m1 {options} --timeout 2s --callback-listen 127.0.0.1:0"))
        .env("VOD_REFRESH_ENDPOINT", cloud.url());
    let run = shell.clone().arg("--callback-url").arg(URL).run().exits(8);
    let run = without_secret(&shell, run).says("put in what stands for `<secret>`");
    let command = run.command_shown();
    assert!(command.ends_with("--callback-url 'https://cb.example.test/vod/hook?<secret>'"), "{command}");
    shell.clone().instead(&command).run().exits(2).says("put in what stands for `<secret>`");
    let bare = command.split(" --callback-url").next().unwrap();
    shell.clone().instead(bare).run().exits(3).says("give `--callback-url` again");
    for task in ["1", "2"] {
        cloud.emulator.complete_task(task);
    }
    let whole = shell.clone().instead(&command.replace("<secret>", "token=HuntedSecret"));
    without_secret(&shell, whole.run()).exits(0);
}

/// Proxies.
#[test]
fn h23_passwords_of_proxies_show_nowhere() {
    let nobody = ClosedPort::new();
    for value in
        [format!("http://me:HuntedSecret@{}", nobody.address), "http://me:Hunt Secret@HuntedSecret@:x".into()]
    {
        for line in ["refresh m1 --timeout 1s", "doctor"] {
            let shell =
                on_github(line).words("--endpoint https://vod.example.test").env("HTTPS_PROXY", &*value);
            without_secret(&shell, shell.run());
        }
    }
}

/// Values of which nothing can be made: the option is named, and nothing is sent.
#[test]
fn values_that_cannot_be_meant_are_named_with_their_option() {
    for (option, value, part) in [
        ("--endpoint", "::1", "brackets"),
        ("--endpoint", "https://h:65536", "port"),
        ("--task-endpoint", "https://h:0", "task endpoint \"https://h:0\""),
        ("--endpoint", "https://m\u{fc}nchen.test", "Punycode"),
        ("--endpoint", "", "--endpoint"),
        ("--region", "cn shanghai", "\"cn shanghai\" is no region id"),
        ("--region", "https://h", "\"https://h\" is no region id"),
        ("--queue", "http://1.mns.test/queues/q", "plain HTTP"),
        ("--queue", "https://h:0/queues/q", "port"),
        ("--callback-url", "https://h:65536/x", "--callback-url"),
        ("--callback-url", "https://h/x#y", "fragment"),
        ("--max-rps", "0", "--max-rps"),
        ("--max-rps", "NaN", "--max-rps"),
        ("--timeout", "99999999999999999999h", "--timeout"),
        ("--poll-interval", "1e9s", "--poll-interval"),
        ("--callback-listen", "127.0.0.1:65536", "--callback-listen"),
    ] {
        let run = Shell::new("refresh m1").with_keys().arg(option).arg(value).run();
        assert!(matches!(run.code, Some(2 | 3)), "{option} {value}: {run:?}");
        assert!(run.stderr.contains(part), "{option} {value}: {}", run.stderr);
    }
    let long = format!("https://h.test/{}", "x".repeat(256 - "https://h.test/".len()));
    let shell = |url: &str| Shell::new("refresh m1 --dry-run --callback-url").with_keys().arg(url);
    shell(&long).run().exits(0);
    shell(&format!("{long}x")).run().exits(2).says("it has 257 bytes, VOD takes 256");
}

#[test]
fn what_is_not_utf8_is_named_and_an_empty_variable_is_none() {
    let odd = OsStr::from_bytes(b"caf\xe9");
    let run = |change: &dyn Fn(&mut Command)| {
        let mut command = Command::new(BINARY);
        command.env_clear().args(["refresh", "m1", "--dry-run"]).stdin(Stdio::null());
        change(&mut command);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for name in ["VOD_REFRESH_ENDPOINT", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_PROFILE"] {
        let (code, stderr) = run(&|command| {
            command.env(name, odd);
        });
        assert!(code == Some(3) && stderr.contains(&format!("{name} is not UTF-8")), "{stderr}");
        let (code, stderr) = run(&|command| {
            command.env(name, "");
        });
        assert_eq!(code, Some(0), "{name}: {stderr}");
    }
    let (code, stderr) = run(&|command| {
        command.arg("--region").arg(odd);
    });
    assert!(code == Some(2) && stderr.contains("argument 5 is not UTF-8: \"caf"), "{stderr}");
}

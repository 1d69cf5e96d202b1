//! What can be asked for. Help, completions and the man page all come from these definitions.

#![expect(clippy::doc_markdown, reason = "these comments are help texts, and a terminal shows no backticks")]

pub(crate) mod account;
#[cfg(feature = "emulator")]
pub(crate) mod emulator;
pub(crate) mod runs;
pub(crate) mod shared;
mod values;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  vod-refresh demo                                  see it work, no account needed
  vod-refresh refresh 0a1b2c… 3d4e5f…               purge two media and wait for every URL
  vod-refresh preload --from-file ids.txt --output json > report.json
  vod-refresh wait c5ae61bf…                        wait for a job that is under way
  vod-refresh resume                                carry on what was interrupted

Credentials come from the profile of --profile, else from ALIBABA_CLOUD_ACCESS_KEY_ID and
ALIBABA_CLOUD_ACCESS_KEY_SECRET (a temporary key with ALIBABA_CLOUD_SECURITY_TOKEN), OIDC,
~/.aliyun/config.json, ~/.alibabacloud/credentials.ini, a credentials URI or the instance's role.

Exit codes: 0 complete, 2 usage, 3 config, 4 refused, 5 quota, 6 failed, 7 partial, 8 timeout,
9 unavailable, 130 and 143 interrupted, 1 a fault of vod-refresh.";

/// Refresh (purge) or preload Alibaba Cloud VOD media on the CDN, and wait until every URL is done.
#[derive(Debug, Parser)]
#[command(name = "vod-refresh", version, after_help = EXAMPLES, max_term_width = 100, propagate_version = true)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) messages: shared::MessageArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Purge the CDN copies of media and wait until every task has ended
    #[command(after_help = REFRESH_EXAMPLES)]
    Refresh(Box<runs::MediaArgs>),
    /// Prefetch media to the CDN and wait until every task has ended
    #[command(after_help = PRELOAD_EXAMPLES)]
    Preload(Box<runs::MediaArgs>),
    /// Wait for jobs that somebody else submitted
    #[command(after_help = WAIT_EXAMPLES)]
    Wait(Box<runs::WaitArgs>),
    /// Carry on a run that was interrupted, killed or timed out
    #[command(after_help = RESUME_EXAMPLES)]
    Resume(Box<runs::ResumeArgs>),
    /// Show one run from the journal, without waiting
    #[command(after_help = STATUS_EXAMPLES)]
    Status(Box<runs::StatusArgs>),
    /// List the runs in the journal, newest first
    Runs(runs::RunsArgs),
    /// Show or change the account's event settings; produce or check a callback signature
    #[command(subcommand)]
    Callback(account::CallbackCommand),
    #[cfg(feature = "emulator")]
    /// Run a local stand-in for VOD, with scripted faults
    #[command(after_help = EMULATOR_EXAMPLES)]
    Emulator(emulator::EmulatorArgs),
    #[cfg(feature = "emulator")]
    /// See the main job done against the emulator; needs no account
    Demo(emulator::DemoArgs),
    /// Print a shell's completions
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the man page, or that of a command
    #[command(after_help = "Example:\n  vod-refresh man | man -l -")]
    Man {
        /// The command
        command: Option<String>,
    },
    /// Show today's remaining refresh and preload quota
    #[command(after_help = "Example:\n  vod-refresh quota --output json")]
    Quota(account::QuotaArgs),
    /// Check clock, credentials, permissions, event settings and quota, a line each
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(Box<account::DoctorArgs>),
}

impl Command {
    /// The words of the commands that [`Self::is_run`] tells of.
    pub(crate) const RUNS: [&str; 4] = ["refresh", "preload", "wait", "resume"];

    /// Whether it drives a run to its end, so that pipelines want to know what became of it.
    pub(crate) fn is_run(&self) -> bool {
        matches!(self, Self::Refresh(_) | Self::Preload(_) | Self::Wait(_) | Self::Resume(_))
    }
}

const REFRESH_EXAMPLES: &str = "\
Examples:
  vod-refresh refresh 0a1b2c… 3d4e5f…
  vod-refresh refresh --from-file ids.txt --timeout 30m --output json > report.json
  cut -f1 list.tsv | vod-refresh refresh --from-file - --formats m3u8,mp4
  vod-refresh refresh 0a1b2c… --callback-listen :8080 \\
    --callback-url https://ci.example.com/vod --callback-auth-key-file key.txt

Under GitHub Actions it also writes a step summary, annotations and outputs.";
const PRELOAD_EXAMPLES: &str = "\
Examples:
  vod-refresh preload 0a1b2c… 3d4e5f… --definitions HD,4K
  vod-refresh preload --from-file ids.txt --no-wait
  vod-refresh preload 0a1b2c… --result-type multiple --slice-count 5 --timeout 2h

Under GitHub Actions it also writes a step summary, annotations and outputs.";
const DOCTOR_EXAMPLES: &str = "\
Examples:
  vod-refresh doctor
  vod-refresh doctor --output json --callback-url https://ci.example.com/vod \\
    --callback-auth-key-file key.txt

Give it the options of your run.
  fail  a run can't do its work; the exit code says why, as for a run
  warn  it can, but not as configured, or nobody knows; exit 0";
const WAIT_EXAMPLES: &str = "\
Examples:
  vod-refresh wait c5ae61bf…
  vod-refresh wait c5ae61bf… 7d02f9aa… --timeout 10m --output ndjson
  vod-refresh wait c5ae61bf… --media-file ids.txt   done once all of these have ended

Under GitHub Actions it also writes a step summary, annotations and outputs.";
const RESUME_EXAMPLES: &str = "\
The run goes on with its own options (endpoint, region, events, limits); those given here go before them. Its timeout \
begins anew. Credentials are read anew, and so is the callback key unless it came from a file. With --lookup-after 0s \
it asks about jobs whose events never came.

Examples:
  vod-refresh resume                                the newest unfinished run
  vod-refresh resume 0197f3c2-… --timeout 30m

Under GitHub Actions it also writes a step summary, annotations and outputs.";
const STATUS_EXAMPLES: &str = "\
Its calls are those of all processes that drove the run. With --check, the run's own options say which service is \
asked; those given here go before them. It listens for no events.

Examples:
  vod-refresh status                                the newest run
  vod-refresh status 0197f3c2-… --check --output json";
#[cfg(feature = "emulator")]
const EMULATOR_EXAMPLES: &str = r#"Examples:
  vod-refresh emulator --listen 127.0.0.1:8089
  vod-refresh emulator --listen 127.0.0.1:8089 --scenario faults.json

Then, elsewhere:
  export ALIBABA_CLOUD_ACCESS_KEY_ID=testid ALIBABA_CLOUD_ACCESS_KEY_SECRET=testsecret
  vod-refresh refresh m1 m2 --endpoint http://127.0.0.1:8089

A scenario. Every field may be left out; the library's page on `emulator::scenario` has them all:
  {"callback": {"url": "http://127.0.0.1:8080/", "key": "Abc123Key"}, "task_duration": "4s",
   "media": {"gone": {"missing": true}, "half": {"url_count": 2, "failed_tasks": [1]}},
   "faults": [{"action": "RefreshMediaPlayUrls", "times": 2,
               "fault": {"throttle": {"status": 503, "code": "Throttling"}}}]}

What came in is at /_emulator/calls, what went out at /_emulator/events."#;
const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  vod-refresh completions bash > ~/.local/share/bash-completion/completions/vod-refresh
  vod-refresh completions zsh > ~/.zfunc/_vod-refresh";

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, error::ErrorKind};

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_of_the_contract_is_known() {
        let line = "vod-refresh refresh m1 --from-file a --from-file - --formats mp4,m3u8 --definitions HD,4K \
            --stream-type video --result-type multiple --slice-count 3 --extend text --callback-listen :0 \
            --callback-url http://h/ --callback-auth-key-file k --allow-unsigned-callbacks --lookup-after never \
            --poll-interval 2s --timeout 1h --timeout-exit-code 0 --no-resubmit --fail-fast --max-rps 5 \
            --region cn-beijing --endpoint http://localhost:1 --task-endpoint http://localhost:1 \
            --signature-version v3 --ca-file ca.pem --allow-http --no-journal --output json --report r --report-html h \
            --report-junit j --metrics-file m --progress never --color never -q --log-format json";
        assert!(parse(line).is_ok(), "{:?}", parse(line).err());
        assert!(
            parse("vod-refresh preload m1 --no-wait --queue u --profile p --check-quota --dry-run").is_ok()
        );
        assert!(
            parse("vod-refresh wait J1 J2 --timeout 20s --callback-listen localhost:0 --output ndjson")
                .is_ok()
        );
        assert!(parse("vod-refresh wait J1 --media m1,m2 --media m3 --media-file - --expect 4").is_ok());
        assert!(parse("vod-refresh preload m1 --journal j.db --keep 30days --outcome-wait 10s").is_ok());
        assert!(
            parse("vod-refresh resume r1 --timeout 5m --outcome-wait 0s --journal j.db --callback-listen :0")
                .is_ok()
        );
        assert!(
            parse("vod-refresh status r1 --check --region cn-beijing --timeout 5s --report-html h").is_ok()
        );
        for command in [
            "resume",
            "status x --check",
            "runs --output json",
            "quota -o json",
            "doctor --callback-url http://h/",
            "callback get --app-id a",
            "callback set --callback-url http://h/ --yes",
            "callback delete -y",
        ] {
            assert!(parse(&format!("vod-refresh {command}")).is_ok(), "{command}");
        }
    }

    #[test]
    fn wrong_usage_is_refused() {
        for line in [
            "refresh m1 --timeout 30",
            "refresh m1 --timeout 0s",
            "refresh m1 --poll-interval 0s",
            "refresh m1 --slice-count 21",
            "refresh m1 --max-rps 0",
            "refresh m1 --endpoint=",
            "refresh m1 --no-wait --fail-fast",
            "refresh m1 --no-wait --lookup-after 5s",
            "refresh m1 --allow-unsigned-callbacks",
            "refresh m1 -q -v",
            "wait",
            "wait --media m1",
            "wait J1 --no-wait",
            "wait J1 --expect 0",
            "wait J1 --expect",
            "wait J1 --media",
            "refresh m1 --journal j --no-journal",
            "refresh m1 --no-journal --keep 1h",
            "resume r1 r2",
            "status --no-journal",
            "refresh m1 --output yaml",
            "quota --output ndjson",
            "callback set",
            "callback set --queue no-url",
            "callback set --callback-url http://h/ --queue https://1.mns.r.aliyuncs.com/queues/q",
        ] {
            assert_eq!(parse(&format!("vod-refresh {line}")).unwrap_err().exit_code(), 2, "{line}");
        }
        assert_eq!(parse("vod-refresh --version").unwrap_err().kind(), ErrorKind::DisplayVersion);
        assert!(parse("vod-refresh refrsh m1").unwrap_err().to_string().contains("'refresh'"));
        assert!(
            parse("vod-refresh refresh m1 --tiemout 3s").unwrap_err().to_string().contains("'--timeout'")
        );
    }

    #[test]
    fn the_help_holds_the_whole_contract() {
        let mut command = Cli::command();
        let help = command.render_long_help().to_string();
        for word in [
            "refresh", "preload", "wait", "resume", "status", "runs", "quota", "callback", "doctor",
            "emulator", "demo",
        ] {
            assert!(help.contains(&format!("  {word} ")), "{word}");
        }
        let refresh = command.find_subcommand_mut("refresh").unwrap().render_long_help().to_string();
        for word in ["--journal", "--queue", "--profile", "--no-journal", "--check-quota", "--dry-run"] {
            assert!(refresh.contains(word), "{word}");
        }
    }

    #[cfg(feature = "emulator")]
    #[test]
    fn the_scenario_in_the_help_is_one() {
        let start = EMULATOR_EXAMPLES.find('{').unwrap();
        let end = EMULATOR_EXAMPLES.rfind('}').unwrap();
        vod_refresh::emulator::Scenario::from_json(&EMULATOR_EXAMPLES[start..=end]).unwrap();
    }

    /// The parser breaks longer lines, and a command that is broken can't be copied.
    #[test]
    fn no_example_is_wider_than_a_help() {
        fn check(command: &clap::Command) {
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in text.lines().filter(|line| line.starts_with(' ')) {
                assert!(line.chars().count() <= 100, "{}: {line}", command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn every_option_has_a_help_text() {
        fn check(command: &clap::Command) {
            for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}

//! Commands and their options, as plain data. Help, completions and the man page all come from these definitions.

#![expect(clippy::doc_markdown, reason = "these comments are help texts, and a terminal shows no backticks")]

pub(crate) mod account;
#[cfg(feature = "emulator")]
pub(crate) mod emulator;
pub(crate) mod runs;
pub(crate) mod shared;
mod values;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

/// Refresh (purge) or preload Alibaba Cloud VOD media on the CDN, and wait until every URL is done.
#[derive(Debug, Parser)]
#[command(name = "vod-refresh", version, max_term_width = 100, propagate_version = true)]
#[command(after_help = include_str!("args/examples/overview.txt").trim_end())]
#[command(args_override_self = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) messages: shared::MessageArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Purge the CDN copies of media and wait until every task has ended
    #[command(after_help = include_str!("args/examples/refresh.txt").trim_end())]
    Refresh(Box<runs::RefreshArgs>),
    /// Prefetch media to the CDN and wait until every task has ended
    #[command(after_help = include_str!("args/examples/preload.txt").trim_end())]
    Preload(Box<runs::MediaArgs>),
    /// Purge URLs and directories, of media or not, and wait until every task has ended
    #[command(after_help = include_str!("args/examples/refresh-urls.txt").trim_end())]
    RefreshUrls(Box<runs::RefreshUrlsArgs>),
    /// Prefetch URLs, of media or not, and wait until every task has ended
    #[command(after_help = include_str!("args/examples/preload-urls.txt").trim_end())]
    PreloadUrls(Box<runs::PreloadUrlsArgs>),
    /// Wait for jobs that somebody else submitted
    #[command(after_help = include_str!("args/examples/wait.txt").trim_end())]
    Wait(Box<runs::WaitArgs>),
    /// Carry on a run that was interrupted, killed or timed out
    #[command(after_help = include_str!("args/examples/resume.txt").trim_end())]
    Resume(Box<runs::ResumeArgs>),
    /// Show one run from the journal, without waiting
    #[command(after_help = include_str!("args/examples/status.txt").trim_end())]
    Status(Box<runs::StatusArgs>),
    /// List the runs in the journal, newest first
    Runs(runs::RunsArgs),
    /// Show or change the account's event settings; produce or check a callback signature
    #[command(subcommand)]
    Callback(account::CallbackCommand),
    #[cfg(feature = "emulator")]
    /// Run a local stand-in for VOD, with scripted faults
    #[command(after_help = include_str!("args/examples/emulator.txt").trim_end())]
    Emulator(emulator::EmulatorArgs),
    #[cfg(feature = "emulator")]
    /// See the main job done against the emulator; needs no account
    Demo(emulator::DemoArgs),
    /// Print a shell's completions
    #[command(after_help = include_str!("args/examples/completions.txt").trim_end())]
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
    /// Print the JSON Schema of the report, with a description of every field
    #[command(after_help = "Example:\n  vod-refresh report-schema > report.schema.json")]
    ReportSchema,
    /// Show today's remaining refresh and preload quota
    #[command(after_help = "Example:\n  vod-refresh quota --output json")]
    Quota(account::QuotaArgs),
    /// Check clock, credentials, permissions, event settings and quota, a line each
    #[command(after_help = include_str!("args/examples/doctor.txt").trim_end())]
    Doctor(Box<account::DoctorArgs>),
}

impl Command {
    /// The names of the commands for which [`Self::is_run`] holds.
    pub(crate) const RUNS: [&str; 6] =
        ["refresh", "preload", "refresh-urls", "preload-urls", "wait", "resume"];

    /// Whether the command drives a run to its end, so that pipelines want to know its outcome.
    pub(crate) fn is_run(&self) -> bool {
        matches!(
            self,
            Self::Refresh(_)
                | Self::Preload(_)
                | Self::RefreshUrls(_)
                | Self::PreloadUrls(_)
                | Self::Wait(_)
                | Self::Resume(_)
        )
    }
}

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
        assert!(
            parse("vod-refresh refresh-urls a.test/1 --type ignore-params --force --no-resubmit").is_ok()
        );
        assert!(parse("vod-refresh preload-urls --from-file - --area overseas --l2 --check-quota").is_ok());
        assert!(parse("vod-refresh refresh m1 --then-preload --fail-fast --check-quota").is_ok());
        // What a script adds to every command does no harm, and the last of two values counts.
        let twice = "vod-refresh refresh m1 --no-wait --poll-interval 1s --lookup-after 1s --fail-fast -o json -o text";
        assert!(parse(twice).is_ok(), "{:?}", parse(twice).err());
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
            "refresh m1 --no-wait --then-preload",
            "refresh m1 --no-wait --verify-edge",
            "refresh-urls a.test/1 --no-wait --verify-edge",
            "preload m1 --then-preload",
            "refresh-urls a.test/1 --then-preload",
            "refresh m1 --allow-unsigned-callbacks",
            "refresh m1 -q -v",
            "wait",
            "refresh-urls",
            "preload-urls a.test/1 --force",
            "refresh-urls a.test/1 --formats mp4",
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
            "refresh",
            "preload",
            "refresh-urls",
            "preload-urls",
            "wait",
            "resume",
            "status",
            "runs",
            "quota",
            "callback",
            "doctor",
            "emulator",
            "demo",
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
        let help = include_str!("args/examples/emulator.txt");
        let (start, end) = (help.find('{').unwrap(), help.rfind('}').unwrap());
        vod_refresh::emulator::Scenario::from_json(&help[start..=end]).unwrap();
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

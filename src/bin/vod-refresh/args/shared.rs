//! Options that several commands take: events, waiting, connection, output, journal, messages.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use vod_refresh::{EdgeNode, LookupAfter, RunOptions};

use super::values::{absolute_path, callback_url, event_address, header, text};
use crate::duration;
use crate::exit::ExitCode;

/// Options of every command that drives a run or shows one.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) events: EventArgs,
    #[command(flatten)]
    pub(crate) waiting: WaitingArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) edge: EdgeArgs,
}

/// Whether nodes of the CDN serve the new files.
#[derive(Debug, Args)]
#[command(next_help_heading = "Edge")]
pub(crate) struct EdgeArgs {
    /// Once everything is complete, ask a node of the CDN whether its copy of each URL is newer than the submission; an older
    /// copy fails its media. Other nodes may have other copies [default: don't ask]
    #[arg(long)]
    pub(crate) verify_edge: bool,
    /// Ask this node, such as `203.0.113.7` or `203.0.113.7:443`; may be given again [default: the one that DNS gives here]
    #[arg(long, value_name = "IP[:PORT]", requires = "verify_edge")]
    pub(crate) edge_node: Vec<EdgeNode>,
    /// Send this header to the nodes, such as `Referer: https://www.example.com/`; may be given again [default: none]
    #[arg(long, value_name = "NAME:VALUE", requires = "verify_edge", value_parser = header)]
    pub(crate) edge_header: Vec<(HeaderName, HeaderValue)>,
    /// Sign the URLs with the key in this file, as the CDN's URL authentication of type A wants it [default: unsigned]
    #[arg(long, value_name = "FILE", requires = "verify_edge")]
    pub(crate) edge_auth_key_file: Option<PathBuf>,
    /// Ask for this many URLs at most, spread over all of them [default: 200]
    #[arg(long, value_name = "N", requires = "verify_edge", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) edge_sample: Option<u32>,
}

impl EdgeArgs {
    /// The options as words, for a command that carries a run on. Headers other than the usual one may be secret.
    pub(crate) fn arguments(&self) -> Vec<String> {
        if !self.verify_edge {
            return Vec::new();
        }
        let mut words = vec!["--verify-edge".to_owned()];
        let mut put = |option: &str, value: String| words.extend([option.to_owned(), value]);
        self.edge_node.iter().for_each(|node| put("--edge-node", node.to_string()));
        for (name, value) in self.edge_header.iter().filter(|(name, _)| name == http::header::REFERER) {
            put("--edge-header", format!("{name}:{}", value.to_str().unwrap_or_default()));
        }
        if let Some(path) = &self.edge_auth_key_file {
            put("--edge-auth-key-file", path.display().to_string());
        }
        if let Some(sample) = self.edge_sample {
            put("--edge-sample", sample.to_string());
        }
        words
    }
}

/// Where events come in, and who may send them. The journal keeps these options: they must hold no secret.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Events")]
#[serde(default)]
pub(crate) struct EventArgs {
    /// Receive events at this address, such as `:8080`; port 0 picks one and prints it [default: off, jobs are looked up]
    #[arg(long, value_name = "ADDR", value_parser = event_address)]
    pub(crate) callback_listen: Option<SocketAddr>,
    /// The public URL that VOD calls: signatures are checked against it, and VOD is asked to call it
    /// [default: http://ADDR/ when listening]
    #[arg(long, value_name = "URL", value_parser = callback_url)]
    pub(crate) callback_url: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) key: KeyArgs,
    /// Listen on an address other than loopback without a key all the same [default: refuse, exit 3]
    #[arg(long, requires = "callback_listen")]
    pub(crate) allow_unsigned_callbacks: bool,
    /// Receive events from this SMQ queue: `https://ACCOUNT.mns.REGION.aliyuncs.com/queues/NAME`
    /// [default: off]
    #[arg(long, value_name = "URL", value_parser = text())]
    pub(crate) queue: Option<String>,
}

impl EventArgs {
    /// Whether events can come in at all.
    pub(crate) fn any(&self) -> bool {
        self.callback_listen.is_some() || self.queue.is_some()
    }
}

/// The key of `X-VOD-SIGNATURE`. Never an option: others can read those.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeyArgs {
    /// File with the key of X-VOD-SIGNATURE; a second line is accepted during rotation
    /// [env: VOD_REFRESH_CALLBACK_AUTH_KEY=key[,key]] [default: none]
    #[arg(long, value_name = "FILE", value_parser = absolute_path)]
    pub(crate) callback_auth_key_file: Option<PathBuf>,
}

/// How long to wait, and how often to ask.
#[derive(Debug, Args)]
#[command(next_help_heading = "Waiting")]
pub(crate) struct WaitingArgs {
    /// Look up a job whose events have not come within this time; `never` makes no lookup at all, and events alone decide
    /// [default: 15s; at once without an event source]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_lookup_after)]
    pub(crate) lookup_after: Option<LookupAfter>,
    /// First wait between two polls of a task; grows to 15s, or 60s for preload [default: 2s; 10s for preload]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_above_zero)]
    pub(crate) poll_interval: Option<Duration>,
    /// How long the whole run may take; remote work goes on after it [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_above_zero)]
    pub(crate) timeout: Option<Duration>,
    /// Exit with this code when the time of --timeout has passed
    #[arg(long, value_name = "N", default_value_t = ExitCode::DEFAULT_TIMEOUT)]
    pub(crate) timeout_exit_code: u8,
    /// Stop waiting at the first failure [default: finish the rest]
    #[arg(long)]
    pub(crate) fail_fast: bool,
}

impl WaitingArgs {
    /// `options` with what was given here.
    pub(crate) fn over(&self, mut options: RunOptions) -> RunOptions {
        options.lookup_after = self.lookup_after.or(options.lookup_after);
        options.poll_interval = self.poll_interval.or(options.poll_interval);
        options.fail_fast |= self.fail_fast;
        options.timeout = self.timeout.unwrap_or(options.timeout);
        options
    }
}

/// Which service, how signed, how fast. The journal keeps these options: they must hold no secret.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Connection")]
#[serde(default)]
pub(crate) struct ConnectionArgs {
    /// Region of the VOD service [env: VOD_REFRESH_REGION, ALIBABA_CLOUD_REGION_ID]
    /// [default: the profile's region, else cn-shanghai]
    #[arg(long, value_name = "REGION", value_parser = text())]
    pub(crate) region: Option<String>,
    /// Another endpoint: emulator, gateway. `http://` is for this machine only [env: VOD_REFRESH_ENDPOINT]
    /// [default: by region]
    #[arg(long, value_name = "URL", value_parser = text())]
    pub(crate) endpoint: Option<String>,
    /// Endpoint for task and quota queries [env: VOD_REFRESH_TASK_ENDPOINT] [default: --endpoint, else cn-shanghai]
    #[arg(long, value_name = "URL", value_parser = text())]
    pub(crate) task_endpoint: Option<String>,
    /// How requests are signed: HMAC-SHA1, or ACS3-HMAC-SHA256 [default: v1]
    #[arg(long, value_enum, value_name = "VERSION")]
    pub(crate) signature_version: Option<Version>,
    /// Cap on API calls per second for each action [default: 20; task queries begin with 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) max_rps: Option<u32>,
    /// Trust the certificates in this PEM file too [env: SSL_CERT_FILE] [default: the system's only]
    #[arg(long, value_name = "FILE", value_parser = absolute_path)]
    pub(crate) ca_file: Option<PathBuf>,
    /// Allow plain HTTP to other hosts than this machine [default: refuse, exit 3]
    #[arg(long)]
    pub(crate) allow_http: bool,
    /// Profile of the vendor's configuration files to take credentials from
    /// [env: ALIBABA_CLOUD_PROFILE, after keys in the environment] [default: the credential chain]
    #[arg(long, value_name = "NAME", value_parser = text())]
    pub(crate) profile: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Version {
    V1,
    V3,
}

/// The form of the result, and the files it goes to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// What goes to stdout: a table, the report, or one event a line and the report last
    #[arg(long, short = 'o', value_enum, value_name = "FORM", default_value_t = Form::Text)]
    pub(crate) output: Form,
    /// Write the JSON report here too [default: off]
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Write the report as an HTML page here [default: off]
    #[arg(long, value_name = "FILE")]
    pub(crate) report_html: Option<PathBuf>,
    /// Write the report as JUnit XML here [default: off]
    #[arg(long, value_name = "FILE")]
    pub(crate) report_junit: Option<PathBuf>,
    /// Write the counts as text for Prometheus here [default: off]
    #[arg(long, value_name = "FILE")]
    pub(crate) metrics_file: Option<PathBuf>,
}

impl OutputArgs {
    /// All files that will be written.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let files = [&self.report, &self.report_html, &self.report_junit, &self.metrics_file];
        files.into_iter().flatten().map(PathBuf::as_path)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// A table
    Text,
    /// The report
    Json,
    /// One event a line, and the report last
    Ndjson,
}

/// Which journal.
#[derive(Args)]
#[command(next_help_heading = "Journal")]
pub(crate) struct JournalFileArgs {
    /// Where runs are kept: a file, or a PostgreSQL database as postgres://USER@HOST/DB, from which any machine resumes (the
    /// password in PGPASSWORD or ~/.pgpass) [env: VOD_REFRESH_JOURNAL]
    /// [default: $XDG_STATE_HOME/vod-refresh/journal.db, else ~/.local/state/vod-refresh/journal.db]
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) journal: Option<PathBuf>,
}

/// A URL may hold a password.
impl std::fmt::Debug for JournalFileArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JournalFileArgs").finish_non_exhaustive()
    }
}

/// The journal of a new run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Journal")]
pub(crate) struct JournalArgs {
    #[command(flatten)]
    pub(crate) file: JournalFileArgs,
    /// Keep no journal: a run that is cut short can then not be resumed [default: keep one]
    #[arg(long, conflicts_with = "journal")]
    pub(crate) no_journal: bool,
    /// Forget runs that ended longer ago than this [default: 90days]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_above_zero, conflicts_with = "no_journal")]
    pub(crate) keep: Option<Duration>,
}

/// What goes to stderr. Every command takes these options.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Messages (on stderr)")]
pub(crate) struct MessageArgs {
    /// Draw a live view; else a line at least every 30 s shows life. `auto` draws on a terminal, without `CI`, `NO_COLOR`
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = When::Auto)]
    pub(crate) progress: When,
    /// Colour words in tables and messages
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = When::Auto)]
    pub(crate) color: When,
    /// Say nothing but errors [default: say what happens]
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Log what happens; twice for every detail [default: warnings only]
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Format of the messages
    #[arg(long, global = true, value_enum, value_name = "FORM", default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum When {
    /// On a terminal, and never with `CI` or `NO_COLOR` set
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

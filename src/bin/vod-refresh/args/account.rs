//! Options of the commands about the account: `quota`, `doctor`, `callback`.

use clap::{Args, Subcommand, ValueEnum};
use vod_refresh::smq::QueueUrl;

use super::shared::{ConnectionArgs, EventArgs, KeyArgs};
use super::values::{callback_url, public_queue, text};

#[derive(Debug, Args)]
pub(crate) struct QuotaArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) output: AnswerArgs,
}

/// `doctor` takes the options of a run, so that it looks at what the run would use.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) app: AppArgs,
    #[command(flatten)]
    pub(crate) events: EventArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) output: AnswerArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct AnswerArgs {
    /// What goes to stdout
    #[arg(long = "output", short = 'o', value_enum, value_name = "FORM", default_value_t = AnswerForm::Text)]
    pub(crate) form: AnswerForm,
}

/// The form of an answer that is no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AnswerForm {
    /// Lines for people
    Text,
    /// One JSON document
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct AppArgs {
    /// The application whose event settings are meant [default: app-1000000]
    #[arg(long, value_name = "ID", value_parser = text())]
    pub(crate) app_id: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CallbackCommand {
    /// Print the two headers that VOD would send
    #[command(after_help = include_str!("examples/callback_sign.txt").trim_end())]
    Sign(SignArgs),
    /// Check a signature: exit 0 if it fits, 4 if not
    Verify(VerifyArgs),
    /// Show the account's event settings; a key is never printed
    #[command(after_help = "Example:\n  vod-refresh callback get --output json")]
    Get(GetArgs),
    /// Switch the refresh event on and say where events go; everything else is kept
    #[command(after_help = include_str!("examples/callback_set.txt").trim_end())]
    Set(Box<SetArgs>),
    /// Remove the account's event settings
    Delete(ChangeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The URL as configured at VOD, character for character
    #[arg(long, value_name = "URL", value_parser = callback_url)]
    pub(crate) callback_url: String,
    /// Unix seconds of sending [default: now]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(0..=999_999_999_999))]
    pub(crate) timestamp: Option<i64>,
    #[command(flatten)]
    pub(crate) key: KeyArgs,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The URL as configured at VOD, character for character
    #[arg(long, value_name = "URL", value_parser = callback_url)]
    pub(crate) callback_url: String,
    /// What X-VOD-TIMESTAMP says
    #[arg(long, value_name = "SECONDS", value_parser = text(), allow_hyphen_values = true)]
    pub(crate) timestamp: String,
    /// What X-VOD-SIGNATURE says
    #[arg(long, value_name = "HEX", value_parser = text())]
    pub(crate) signature: String,
    #[command(flatten)]
    pub(crate) key: KeyArgs,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    pub(crate) app: AppArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) output: AnswerArgs,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("target").required(true).args(["callback_url", "queue"]))]
pub(crate) struct SetArgs {
    /// Post events to this URL
    #[arg(long, value_name = "URL", value_parser = callback_url)]
    pub(crate) callback_url: Option<String>,
    /// Put events into this SMQ queue, as `https://ACCOUNT.mns.REGION.aliyuncs.com/queues/NAME`
    #[arg(long, value_name = "URL", value_parser = public_queue, conflicts_with = "callback_auth_key_file")]
    pub(crate) queue: Option<QueueUrl>,
    #[command(flatten)]
    pub(crate) key: KeyArgs,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

/// What every change of the account's event settings takes.
#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    #[command(flatten)]
    pub(crate) app: AppArgs,
    /// Change the account without asking [default: ask; without a terminal, refuse]
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

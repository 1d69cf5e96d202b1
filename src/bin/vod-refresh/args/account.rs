//! The account side: `quota`, `doctor`, `callback get|set|delete`.

use clap::{Args, ValueEnum};
use vod_refresh::smq::QueueUrl;

use super::connection::ConnectionArgs;
use super::events::{EventArgs, KeyArgs, url};
use super::media::text;
use crate::queue_url::public_queue;

/// The form of an answer that is no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AnswerForm {
    /// Lines for people
    Text,
    /// One JSON document
    Json,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct AnswerArgs {
    /// What goes to stdout
    #[arg(long = "output", short = 'o', value_enum, value_name = "FORM", default_value_t = AnswerForm::Text)]
    pub(crate) form: AnswerForm,
}

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
pub(crate) struct AppArgs {
    /// The application whose event settings are meant [default: app-1000000]
    #[arg(long, value_name = "ID", value_parser = text())]
    pub(crate) app_id: Option<String>,
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
    #[arg(long, value_name = "URL", value_parser = url)]
    pub(crate) callback_url: Option<String>,
    /// Put events into this SMQ queue, as `https://ACCOUNT.mns.REGION.aliyuncs.com/queues/NAME`
    #[arg(long, value_name = "URL", value_parser = public_queue, conflicts_with = "callback_auth_key_file")]
    pub(crate) queue: Option<QueueUrl>,
    #[command(flatten)]
    pub(crate) key: KeyArgs,
    #[command(flatten)]
    pub(crate) app: AppArgs,
    #[command(flatten)]
    pub(crate) consent: ConsentArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    pub(crate) app: AppArgs,
    #[command(flatten)]
    pub(crate) consent: ConsentArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ConsentArgs {
    /// Change the account without asking [default: ask; without a terminal, refuse]
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
}

//! `callback`: signatures from the shell.

use clap::{Args, Subcommand};

use super::account::{DeleteArgs, GetArgs, SetArgs};
use super::events::{KeyArgs, url};
use super::media::text;

#[derive(Debug, Subcommand)]
pub(crate) enum CallbackCommand {
    /// Print the two headers that VOD would send
    #[command(
        after_help = "Example:\n  vod-refresh callback sign --callback-url https://ci.example.com/vod \\\n    \
                      --callback-auth-key-file key.txt"
    )]
    Sign(SignArgs),
    /// Check a signature: exit 0 if it fits, 4 if not
    Verify(VerifyArgs),
    /// Show the account's event settings; a key is never printed
    #[command(after_help = "Example:\n  vod-refresh callback get --output json")]
    Get(GetArgs),
    /// Switch the refresh event on and say where events go; everything else is kept
    #[command(after_help = SET_EXAMPLES)]
    Set(Box<SetArgs>),
    /// Remove the account's event settings
    Delete(DeleteArgs),
}

const SET_EXAMPLES: &str = "\
Examples:
  vod-refresh callback set --callback-url https://ci.example.com/vod \\
    --callback-auth-key-file key.txt
  vod-refresh callback set --queue https://1234567890.mns.cn-shanghai.aliyuncs.com/queues/vod --yes";

#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The URL as configured at VOD, character for character
    #[arg(long, value_name = "URL", value_parser = url)]
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
    #[arg(long, value_name = "URL", value_parser = url)]
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

//! `callback`: signatures from the shell.

use clap::{Args, Subcommand};

use super::NotYet;
use super::events::{KeyArgs, url};
use super::media::text;

#[derive(Debug, Subcommand)]
pub(crate) enum CallbackCommand {
    /// Print the two headers that VOD would send
    #[command(
        after_help = "Example:\n  vod-refresh callback sign --callback-url https://ci.example.com/vod \
                            --callback-auth-key-file key.txt"
    )]
    Sign(SignArgs),
    /// Check a signature: exit 0 if it fits, 4 if not
    Verify(VerifyArgs),
    /// Show the account's event settings
    #[command(hide = true, disable_help_flag = true)]
    Get(NotYet),
    /// Change the account's event settings
    #[command(hide = true, disable_help_flag = true)]
    Set(NotYet),
    /// Remove the account's event settings
    #[command(hide = true, disable_help_flag = true)]
    Delete(NotYet),
}

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

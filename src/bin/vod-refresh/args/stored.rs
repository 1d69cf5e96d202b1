//! `resume`, `status` and `runs`: what the journal knows.

use clap::Args;
use vod_refresh::journal::RunRecord;

use super::journal::PlaceArgs;
use super::media::LostAnswerArgs;
use super::output::Form;
use super::run::RunArgs;
use crate::settings::Settings;

/// `resume`: a run, and what is to be different this time.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The run [default: the newest unfinished one]
    #[arg(value_name = "RUN_ID")]
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) answers: LostAnswerArgs,
    #[command(flatten)]
    pub(crate) stored: StoredArgs,
}

/// `status`: a run, and whether to ask about it.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The run [default: the newest one]
    #[arg(value_name = "RUN_ID")]
    pub(crate) run: Option<String>,
    /// Ask the service once about everything that is open; nothing is submitted [default: the journal only]
    #[arg(long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) stored: StoredArgs,
}

/// Where a stored run is found, and what is to be different from how it was begun.
#[derive(Debug, Args)]
pub(crate) struct StoredArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

impl StoredArgs {
    /// The settings that the run was begun with, with what was given here before them.
    pub(crate) fn over(&self, record: &RunRecord) -> Settings {
        let begun = Settings::of(&record.settings);
        let RunArgs { connection, events, .. } = &self.run;
        Settings { connection: connection.or(&begun.connection), events: events.or(&begun.events) }
    }
}

/// `runs`: which journal, and the form of the list.
#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// What goes to stdout: a table (text), an array (json), or an object a line (ndjson)
    #[arg(long, short = 'o', value_enum, value_name = "FORM", default_value_t = Form::Text, hide_possible_values = true)]
    pub(crate) output: Form,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

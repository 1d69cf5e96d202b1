//! The journal of a command: where it is, opened there, and the option that leads there again.

use std::path::PathBuf;

use chrono::TimeDelta;
use vod_refresh::journal::{Journal, KEEP};
use vod_refresh::net::clock::{Clock as _, SystemClock};
use vod_refresh::{Error, ErrorKind};

use crate::args::shared::{JournalArgs, JournalFileArgs};
use crate::environment::{Environment, variable};
use crate::exit::{Failure, Result};

/// An open journal.
pub(crate) struct JournalHandle {
    pub(crate) journal: Journal,
    /// Whether commands find this journal without an option or a variable.
    is_default: bool,
}

impl JournalHandle {
    /// The journal for a new run, if it is to have one. Old runs are dropped, which also shows that it can be written.
    pub(crate) async fn for_new_run(args: &JournalArgs, environment: &Environment) -> Result<Option<Self>> {
        if args.no_journal {
            return Ok(None);
        }
        let (path, is_default) = locate(&args.file, environment)?;
        let journal = Journal::open(path).await.map_err(unusable)?;
        // `--keep` may reach back further than the calendar: then everything is kept.
        let keep = TimeDelta::from_std(args.keep.unwrap_or(KEEP)).ok();
        if let Some(before) = keep.and_then(|keep| SystemClock.now().checked_sub_signed(keep)) {
            journal.prune(before).await.map_err(unusable)?;
        }
        Ok(Some(Self { journal, is_default }))
    }

    /// The journal that is there already, opened for what is to be done with it; an empty place gives back its path, and
    /// nothing is made.
    pub(crate) async fn existing(
        args: &JournalFileArgs,
        access: Access,
        environment: &Environment,
    ) -> Result<Result<Self, PathBuf>> {
        let (path, is_default) = locate(args, environment)?;
        if !path.exists() {
            return Ok(Err(path));
        }
        let journal = match access {
            Access::Read => Journal::open_to_read(path).await?,
            Access::Write => Journal::open(path).await?,
        };
        Ok(Ok(Self { journal, is_default }))
    }

    /// The options that lead to this journal.
    pub(crate) fn arguments(&self) -> Vec<String> {
        if self.is_default {
            return Vec::new();
        }
        vec!["--journal".to_owned(), self.journal.place().to_owned()]
    }
}

/// What a command does with a journal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access {
    Read,
    Write,
}

/// A new run's journal that can't be used, with what can be done.
pub(crate) fn unusable(error: Error) -> Failure {
    let is_config = error.kind() == ErrorKind::Config;
    let advice =
        is_config.then(|| "`--journal FILE` keeps it elsewhere, `--no-journal` keeps none".to_owned());
    Failure::from(error).with_details(Vec::from_iter(advice))
}

/// The journal's path, and whether nothing but the default leads there.
fn locate(args: &JournalFileArgs, environment: &Environment) -> Result<(PathBuf, bool)> {
    let folder = |name| environment.variable(name).map(PathBuf::from);
    if let Some(path) = args.journal.clone().or_else(|| folder(variable::JOURNAL)) {
        return Ok((std::path::absolute(&path).unwrap_or(path), false));
    }
    // A relative path in XDG_STATE_HOME is invalid and to be ignored, says its specification.
    let absolute = |name| folder(name).filter(|path| path.is_absolute());
    let state = absolute(variable::STATE_HOME)
        .or_else(|| absolute(variable::HOME).map(|home| home.join(".local").join("state")));
    match state {
        Some(state) => Ok((state.join("vod-refresh").join("journal.db"), true)),
        None => Err(Failure::config(format!(
            "no place for the journal: neither {} nor {} names a folder; give `--journal FILE`, or go without with \
             `--no-journal`",
            variable::STATE_HOME,
            variable::HOME
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(given: Option<&str>, variables: &[(&'static str, &str)]) -> Result<(PathBuf, bool), Failure> {
        let pairs = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let args = JournalFileArgs { journal: given.map(PathBuf::from) };
        locate(&args, &Environment::of_test(pairs))
    }

    #[test]
    fn the_option_goes_before_the_variable_and_that_before_the_state_folder() {
        let all =
            [(variable::JOURNAL, "/v.db"), (variable::STATE_HOME, "/state"), (variable::HOME, "/home/me")];
        assert_eq!(place(Some("/o.db"), &all).unwrap(), ("/o.db".into(), false));
        assert_eq!(place(None, &all).unwrap(), ("/v.db".into(), false));
        assert_eq!(place(None, &all[1..]).unwrap(), ("/state/vod-refresh/journal.db".into(), true));
        let home = ("/home/me/.local/state/vod-refresh/journal.db".into(), true);
        assert_eq!(place(None, &all[2..]).unwrap(), home);
        let relative = [(variable::STATE_HOME, "state"), (variable::HOME, "/home/me")];
        assert_eq!(place(None, &relative).unwrap(), home);
    }

    #[test]
    fn no_place_at_all_names_both_ways_out() {
        let failure = place(None, &[(variable::HOME, "")]).unwrap_err();
        assert_eq!(failure.exit_code().number(), 3);
        let text = failure.lines().concat();
        assert!(text.contains("--journal") && text.contains("--no-journal"), "{text}");
    }
}

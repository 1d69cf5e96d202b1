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
        let (place, is_default) = locate(&args.file, environment)?;
        let journal = place.open(Access::Write).await.map_err(unusable)?;
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
        let (place, is_default) = locate(args, environment)?;
        match place {
            Place::File(path) if !path.exists() => Ok(Err(path)),
            Place::Database(url) => {
                // No tables are made to find out that there is no run.
                let looking = Journal::connect_to_read(&url).await?;
                let is_to_write = matches!(access, Access::Write) && !looking.runs().await?.is_empty();
                let journal = if is_to_write { Journal::connect(&url).await? } else { looking };
                Ok(Ok(Self { journal, is_default }))
            }
            place => Ok(Ok(Self { journal: place.open(access).await?, is_default })),
        }
    }

    /// Whether the option that leads to this journal lacks the password that was in it.
    pub(crate) fn lacks_password(&self) -> bool {
        self.journal.hides_password()
    }

    /// The options that lead to this journal.
    pub(crate) fn arguments(&self) -> Vec<String> {
        if self.is_default {
            return Vec::new();
        }
        vec!["--journal".to_owned(), self.journal.place().to_owned()]
    }
}

/// Where a journal is.
#[derive(PartialEq)]
enum Place {
    File(PathBuf),
    /// The URL of a database. It may hold a password.
    Database(String),
}

impl Place {
    fn of(given: PathBuf) -> Self {
        match given.to_str().filter(|text| is_database(text)) {
            Some(url) => Self::Database(url.to_owned()),
            None => Self::File(std::path::absolute(&given).unwrap_or(given)),
        }
    }

    async fn open(self, access: Access) -> Result<Journal, Error> {
        match (self, access) {
            (Self::File(path), Access::Read) => Journal::open_to_read(path).await,
            (Self::File(path), Access::Write) => Journal::open(path).await,
            (Self::Database(url), Access::Read) => Journal::connect_to_read(&url).await,
            (Self::Database(url), Access::Write) => Journal::connect(&url).await,
        }
    }
}

fn is_database(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    scheme.is_some_and(|scheme| ["postgres", "postgresql"].contains(&scheme.as_str()))
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

/// The journal's place, and whether nothing but the default leads there.
fn locate(args: &JournalFileArgs, environment: &Environment) -> Result<(Place, bool)> {
    let folder = |name| environment.variable(name).map(PathBuf::from);
    if let Some(path) = args.journal.clone().or_else(|| folder(variable::JOURNAL)) {
        return Ok((Place::of(path), false));
    }
    // A relative path in XDG_STATE_HOME is invalid and to be ignored, says its specification.
    let absolute = |name| folder(name).filter(|path| path.is_absolute());
    let state = absolute(variable::STATE_HOME)
        .or_else(|| absolute(variable::HOME).map(|home| home.join(".local").join("state")));
    match state {
        Some(state) => Ok((Place::File(state.join("vod-refresh").join("journal.db")), true)),
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
        match located(given, variables)? {
            (Place::File(path), is_default) => Ok((path, is_default)),
            (Place::Database(_), _) => panic!("a database"),
        }
    }

    #[test]
    fn a_url_is_a_database_and_everything_else_a_file() {
        let urls = ["postgres://h/d", "postgresql://u:p@h/d", "Postgres://h"];
        for url in urls {
            assert!(located(Some(url), &[]).unwrap().0 == Place::Database(url.to_owned()), "{url}");
            assert!(located(None, &[(variable::JOURNAL, url)]).unwrap().0 == Place::Database(url.to_owned()));
        }
        for path in ["/postgres://h/d", "/postgres", "/file:x"] {
            assert!(located(Some(path), &[]).unwrap().0 == Place::File(path.into()), "{path}");
        }
    }

    fn located(given: Option<&str>, variables: &[(&'static str, &str)]) -> Result<(Place, bool), Failure> {
        let pairs = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let args = JournalFileArgs { journal: given.map(PathBuf::from) };
        locate(&args, &Environment::of_test(pairs))
    }

    #[test]
    fn the_option_goes_before_the_variable_and_that_before_the_state_folder() {
        let drive = if cfg!(windows) { "C:" } else { "" };
        let [option, set, state, home] =
            ["/o.db", "/v.db", "/state", "/home/me"].map(|path| format!("{drive}{path}"));
        let all = [(variable::JOURNAL, &*set), (variable::STATE_HOME, &*state), (variable::HOME, &*home)];
        assert_eq!(place(Some(&option), &all).unwrap(), (PathBuf::from(&option), false));
        assert_eq!(place(None, &all).unwrap(), (PathBuf::from(&set), false));
        let below = |folder: &str, rest| (PathBuf::from(folder).join(rest), true);
        assert_eq!(place(None, &all[1..]).unwrap(), below(&state, "vod-refresh/journal.db"));
        let relative = [(variable::STATE_HOME, "state"), (variable::HOME, &*home)];
        let home = below(&home, ".local/state/vod-refresh/journal.db");
        assert_eq!(place(None, &all[2..]).unwrap(), home);
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

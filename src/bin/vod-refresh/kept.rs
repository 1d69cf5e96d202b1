//! Where runs are kept: the place of the journal, and the journal opened there.

use std::path::{Path, PathBuf};

use vod_refresh::journal::{Journal, KEEP};
use vod_refresh::net::clock::{Clock as _, SystemClock};
use vod_refresh::{Error, ErrorKind};

use crate::args::journal::{JournalArgs, PlaceArgs};
use crate::exit::Failure;
use crate::formatting::escape_control;
use crate::world::{World, variable};

/// An open journal and its place.
pub(crate) struct Kept {
    pub(crate) journal: Journal,
    place: Place,
}

struct Place {
    path: PathBuf,
    is_default: bool,
}

/// The journal for a new run, if it is to have one. Old runs are dropped, which also shows that it can be written.
pub(crate) async fn for_new_run(args: &JournalArgs, world: &World) -> Result<Option<Kept>, Failure> {
    if args.no_journal {
        return Ok(None);
    }
    let place = Place::find(&args.place, world)?;
    let journal = Journal::open(&place.path).await.map_err(explained)?;
    let keep = args.keep.unwrap_or(KEEP);
    // So long that there is no such time: everything is kept.
    let before =
        chrono::TimeDelta::from_std(keep).ok().and_then(|keep| SystemClock.now().checked_sub_signed(keep));
    if let Some(before) = before {
        journal.prune(before).await.map_err(explained)?;
    }
    Ok(Some(Kept { journal, place }))
}

/// The journal that is there already; an empty place gives back its path, and nothing is made.
pub(crate) async fn existing(args: &PlaceArgs, world: &World) -> Result<Result<Kept, PathBuf>, Failure> {
    let place = Place::find(args, world)?;
    if !place.path.exists() {
        return Ok(Err(place.path));
    }
    let journal = Journal::open(&place.path).await.map_err(Failure::from)?;
    Ok(Ok(Kept { journal, place }))
}

/// An error of the journal before anything was submitted, with what can be done.
pub(crate) fn explained(error: Error) -> Failure {
    let of_journal = error.kind() == ErrorKind::Config && error.message().starts_with("the journal ");
    let failure = Failure::from(error);
    if !of_journal {
        return failure;
    }
    failure.with_details(vec!["`--journal FILE` keeps it elsewhere, `--no-journal` keeps none".to_owned()])
}

/// A path for people.
pub(crate) fn shown(path: &Path) -> String {
    escape_control(&path.display().to_string())
}

impl Kept {
    /// The options that lead to this journal.
    pub(crate) fn words(&self) -> Vec<String> {
        if self.place.is_default {
            return Vec::new();
        }
        vec!["--journal".to_owned(), self.place.path.display().to_string()]
    }
}

impl Place {
    fn find(args: &PlaceArgs, world: &World) -> Result<Self, Failure> {
        let given = args.journal.clone().or_else(|| world.variable(variable::JOURNAL).map(PathBuf::from));
        if let Some(path) = given {
            let path = std::path::absolute(&path).unwrap_or(path);
            return Ok(Self { path, is_default: false });
        }
        // A relative path in XDG_STATE_HOME is invalid and to be ignored, says its specification.
        let folder = |name| world.variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = folder(variable::STATE_HOME)
            .or_else(|| folder(variable::HOME).map(|home| home.join(".local").join("state")));
        match state {
            Some(state) => Ok(Self { path: state.join("vod-refresh").join("journal.db"), is_default: true }),
            None => Err(Failure::config(format!(
                "no place for the journal: neither {} nor {} names a folder; give `--journal FILE`, or go without with \
                 `--no-journal`",
                variable::STATE_HOME,
                variable::HOME
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(given: Option<&str>, variables: &[(&'static str, &str)]) -> Result<(PathBuf, bool), Failure> {
        let pairs = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let args = PlaceArgs { journal: given.map(PathBuf::from) };
        Place::find(&args, &World::of(pairs)).map(|place| (place.path, place.is_default))
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

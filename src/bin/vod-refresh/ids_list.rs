//! Lists of ids, from arguments and files. All that is wrong is named at once, with its place.

use std::fs::File;
use std::hash::Hash;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use vod_refresh::ids::{IdList, InvalidId, ListFaults, masked_address};

use crate::exit::{Failure, Result};
use crate::files::shown;

/// Where an id stands that is a bare word on the command line.
pub(crate) const ARGUMENT: &str = "argument";

/// Ids from the command line and from files together, each once, in the order given. `noun` is `media id` or `job id`,
/// `place` where `words` stand on the command line: [`ARGUMENT`], or an option.
pub(crate) fn collect<Id>(noun: &str, place: &str, words: &[String], files: &[PathBuf]) -> Result<Vec<Id>>
where
    Id: FromStr<Err = InvalidId> + Clone + Eq + Hash,
{
    let mut list = IdList::default();
    for (n, text) in words.iter().enumerate() {
        if let Err(why) = list.add(text) {
            let hint = if text.contains(',') { ": separate arguments by blanks" } else { "" };
            list.fault(format!("{place} {}: {:?} {why}{hint}", n + 1, masked_address(text)));
        }
    }
    // Whether a whole file could not be read: then it is not only ids that are wrong.
    let mut unread = false;
    for path in files {
        let (name, opened) = open(path);
        let read = opened.and_then(|file| list.read(&name, file));
        if let Err(why) = read {
            unread = true;
            list.fault(format!("{name}: cannot be read: {why}"));
        }
    }
    match list.finish() {
        Ok(ids) if ids.is_empty() => Err(Failure::usage(format!("the list of {noun}s is empty"))),
        Ok(ids) => Ok(ids),
        Err(faults) => Err(failure(noun, faults, unread)),
    }
}

/// URLs from the command line and from files together, in the order given: a line each, since a URL may hold commas.
pub(crate) fn urls(words: &[String], files: &[PathBuf]) -> Result<Vec<String>> {
    let mut urls = words.to_vec();
    for path in files {
        let (name, opened) = open(path);
        let read = opened.and_then(io::read_to_string);
        let text =
            read.map_err(|why| Failure::usage(format!("the list of URLs {name} cannot be read: {why}")))?;
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        urls.extend(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned));
    }
    if urls.is_empty() { Err(Failure::usage("the list of URLs is empty")) } else { Ok(urls) }
}

/// The name of a list, and its contents; `-` is stdin.
fn open(path: &Path) -> (String, io::Result<Box<dyn io::Read>>) {
    match path == Path::new("-") {
        true => ("stdin".to_owned(), Ok(Box::new(io::stdin().lock()))),
        false => (shown(path), File::open(path).map(|file| Box::new(file) as Box<dyn io::Read>)),
    }
}

fn failure(noun: &str, faults: ListFaults, unread: bool) -> Failure {
    let message = match faults.count() {
        1 if unread => format!("the list of {noun}s cannot be read"),
        n if unread => format!("the list of {noun}s has {n} faults"),
        1 => format!("a {noun} is not usable"),
        n => format!("{n} {noun}s are not usable"),
    };
    let mut details = faults.shown;
    if faults.more > 0 {
        details.push(format!("and {} more", faults.more));
    }
    Failure::usage(message).with_details(details)
}

#[cfg(test)]
mod tests {
    use vod_refresh::MediaId;

    use super::*;

    #[test]
    fn a_list_without_ids_is_an_error() {
        let error = collect::<MediaId>("media id", ARGUMENT, &[], &[]).unwrap_err();
        assert_eq!(error.lines(), ["error: the list of media ids is empty"]);
    }

    #[test]
    fn a_comma_inside_an_argument_is_refused() {
        let arguments = ["m1".to_owned(), "m2,m3".to_owned(), String::new()];
        let failure = collect::<MediaId>("media id", ARGUMENT, &arguments, &[]).unwrap_err();
        let error = failure.lines();
        assert_eq!(error[0], "error: 2 media ids are not usable");
        assert_eq!(error[1], r#"  argument 2: "m2,m3" has a comma in it: separate arguments by blanks"#);
        assert_eq!(error[2], r#"  argument 3: "" is empty"#);
    }

    #[test]
    fn an_unreadable_file_names_itself() {
        let files = [PathBuf::from("/nonexistent/list"), std::env::temp_dir()];
        let failure = collect::<MediaId>("media id", ARGUMENT, &["m1".to_owned()], &files).unwrap_err();
        assert_eq!(failure.exit_code().number(), 2);
        assert!(failure.lines()[1].starts_with("  /nonexistent/list: cannot be read: "));
    }
}

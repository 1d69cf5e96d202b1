//! Asks the user before something of the account is changed.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::exit::Failure;

/// Whether `question` is answered with yes, by `--yes` or at the terminal.
///
/// Fails where nobody can be asked: a script must say what it wants. The prompt is no result, so it goes to stderr;
/// it is shown even when quiet.
pub(crate) fn confirmed(yes: bool, question: &str) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::usage("nothing was changed: there is no terminal to ask at, so give `--yes`"));
    }
    let _ = write!(io::stderr(), "{question} [y/N] ").and_then(|()| io::stderr().flush());
    let mut line = String::new();
    // An end of the input is a no.
    let _ = io::stdin().lock().read_line(&mut line);
    Ok(is_yes(&line))
}

fn is_yes(line: &str) -> bool {
    ["y", "yes"].contains(&line.trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for (line, yes) in [("y\n", true), ("YES\r\n", true), ("\n", false), ("no", false), ("yep", false)] {
            assert_eq!(is_yes(line), yes, "{line:?}");
        }
    }
}

//! `completions` and `man`: from the same definition as the help.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::{ExitCode, Failure, Result};
use crate::printer::Printer;

pub(crate) fn completions(shell: Shell, printer: &Printer) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "vod-refresh", &mut script);
    printer.out(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::Complete)
}

pub(crate) fn man(command: Option<&str>, printer: &Printer) -> Result<ExitCode> {
    let mut definition = Cli::command();
    definition.build();
    let page = match command {
        None => definition,
        Some(name) => {
            let known = definition.find_subcommand(name).cloned();
            let known = known.ok_or_else(|| Failure::usage(format!("there is no command {name:?}")))?;
            known.display_name(format!("vod-refresh-{name}"))
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text).map_err(|why| {
        vod_refresh::Error::new(vod_refresh::ErrorKind::Internal, "no man page").with_source(why)
    })?;
    printer.out(&String::from_utf8_lossy(&text))?;
    Ok(ExitCode::Complete)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_offer_what_there_is() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "vod-refresh", &mut script);
            let script = String::from_utf8(script).unwrap();
            for word in ["preload", "doctor", "no-journal", "callback-listen", "timeout", "ndjson"] {
                assert!(script.contains(word), "{shell} {word}");
            }
        }
    }
}

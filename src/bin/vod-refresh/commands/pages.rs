//! `completions` and `man`, from the same definition as the help; `report-schema`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::{ExitCode, Failure, Result};
use crate::printer::Printer;

pub(crate) fn completions(shell: Shell, printer: &Printer) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "vod-refresh", &mut script);
    printer.out(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::COMPLETE)
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
    Ok(ExitCode::COMPLETE)
}

/// Prints the JSON Schema of the report; `tests/it/schema.rs` checks every report of the tests against it.
pub(crate) fn report_schema(printer: &Printer) -> Result<ExitCode> {
    printer.out(include_str!("../../../docs/report.schema.json"))?;
    Ok(ExitCode::COMPLETE)
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

    const PAGE: &str = "src/docs/options.md";

    /// The page of commands and options is made from their definition.
    #[cfg_attr(not(feature = "emulator"), ignore = "the page has the commands of the emulator")]
    #[test]
    fn the_options_page_is_up_to_date() {
        let page = options_page();
        if std::env::var_os("VOD_REFRESH_OPTIONS_PAGE").is_some() {
            std::fs::write(PAGE, &page).unwrap();
        }
        let anew = "VOD_REFRESH_OPTIONS_PAGE=write cargo test --bin vod-refresh options_page";
        // Git may check files out with other line ends.
        let there = std::fs::read_to_string(PAGE).unwrap().replace("\r\n", "\n");
        assert!(there == page, "{PAGE} is out of date; make it anew: {anew}");
    }

    /// Commands with options of their own, by their whole names.
    fn leaves(above: &str, command: &clap::Command) -> Vec<(String, clap::Command)> {
        let below = command
            .get_subcommands()
            .filter(|command| !command.is_hide_set() && command.get_name() != "help")
            .flat_map(|command| {
                let name = format!("{above} {}", command.get_name()).trim().to_owned();
                if command.has_subcommands() { leaves(&name, command) } else { vec![(name, command.clone())] }
            });
        below.collect()
    }

    fn options_page() -> String {
        let mut page = String::from(
            "# Commands and options\n\nThis page is made from the definitions that `--help` and `man` print. Durations are written as \
             `200ms`, `15s`, `30m` or `1h30m`.\nSecrets are never options: see [Credentials](credentials.md).\n\n\
             | command | what it does |\n| --- | --- |\n",
        );
        let mut root = Cli::command();
        root.build();
        let commands = leaves("", &root);
        // Each option once for all commands that describe it alike: its heading, its row, and these commands.
        let mut options: Vec<(String, String, Vec<&str>)> = Vec::new();
        for (name, command) in &commands {
            let words = command.get_positionals().map(|argument| format!(" {argument}")).collect::<String>();
            page += &format!("| `{name}{words}` | {} |\n", command.get_about().unwrap());
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let Some(long) = argument.get_long().filter(|long| !["help", "version"].contains(long))
                else {
                    continue;
                };
                let (heading, row) =
                    (argument.get_help_heading().unwrap_or("Of single commands"), row(long, argument));
                match options.iter_mut().find(|(of, same, _)| of == heading && *same == row) {
                    Some((_, _, takers)) => takers.push(name),
                    None => options.push((heading.to_owned(), row, vec![name])),
                }
            }
        }
        while let Some((heading, ..)) = options.first().cloned() {
            page += &format!("\n## {heading}\n");
            while let Some((_, _, takers)) = options.iter().find(|(of, ..)| *of == heading).cloned() {
                let all = takers.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                let all = if takers.len() == commands.len() { "every command".to_owned() } else { all };
                page += &format!("\nTaken by {all}:\n\n| option | meaning |\n| --- | --- |\n");
                let is_next = |(of, _, by): &mut (String, _, Vec<&str>)| *of == heading && *by == takers;
                page.extend(options.extract_if(.., is_next).map(|(_, row, _)| row));
            }
        }
        page
    }

    fn row(long: &str, argument: &clap::Arg) -> String {
        let names = argument.get_value_names().into_iter().flatten().map(|name| format!(" {name}"));
        let takes = argument.get_action().takes_values();
        let value: String = if takes { names.collect() } else { String::new() };
        let short = argument.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
        let mut help =
            argument.get_help().map(|help| help.to_string().replace('\n', " ")).unwrap_or_default();
        if argument.is_required_set() {
            help += " [required]";
        }
        let values = argument.get_possible_values();
        if takes && !values.is_empty() {
            let names: Vec<&str> = values.iter().map(clap::builder::PossibleValue::get_name).collect();
            help += &format!(" [one of: {}]", names.join(", "));
        }
        let is_shown = takes && !argument.is_hide_default_value_set();
        if let Some(default) = argument.get_default_values().first().filter(|_| is_shown) {
            help += &format!(" [default: {}]", default.to_string_lossy());
        }
        format!("| {short}`--{long}{}` | {} |\n", value.replace('|', "\\|"), help.replace('|', "\\|"))
    }
}

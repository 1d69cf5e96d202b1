//! The command line of `vod-refresh`: parse, run, say how it ended.

mod advice;
mod args;
mod callback_keys;
mod commands;
mod duration;
mod environment;
mod exit;
mod files;
mod formatting;
mod ids_list;
mod journal_handle;
mod live_region;
mod logs;
mod next_command;
mod output;
mod printer;
mod progress;
mod settings;
mod setup;
mod signals;
mod terminal_writer;
mod timezone;

use std::future::Future;

use clap::Parser as _;
use clap::error::{ContextKind, ContextValue};
use vod_refresh::ids::masked_address;
use vod_refresh::{Error, ErrorKind};

use crate::args::shared::MessageArgs;
use crate::args::{Cli, Command};
use crate::environment::Environment;
use crate::exit::{ExitCode, Result};
use crate::output::github::GitHub;
use crate::printer::Printer;

fn main() -> std::process::ExitCode {
    // A panic has been printed by then; scripts know only the codes of the contract.
    let code = std::panic::catch_unwind(command_line).unwrap_or(ExitCode::INTERNAL);
    std::process::ExitCode::from(code.number())
}

fn command_line() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version come here too. A reader that went away is no error.
        Err(answer) if !answer.use_stderr() => {
            let _ = answer.print();
            return ExitCode::COMPLETE;
        }
        Err(answer) => {
            refuse(answer);
            return ExitCode::USAGE;
        }
    };
    let printer = Printer::new(&cli.messages);
    printer.start();
    logs::start(&cli.messages, &printer);
    let environment = Environment::of_process(printer.clone());
    let code =
        match environment.check().and_then(|()| block_on(commands::execute(&cli.command, &environment))) {
            Ok(code) => code,
            Err(failure) => {
                printer.fail(failure.lines());
                if let Some(github) = GitHub::detect(&environment).filter(|_| cli.command.is_run()) {
                    github.report_failure(&failure);
                }
                failure.exit_code()
            }
        };
    printer.finish();
    code
}

/// Says what is wrong with a command line. A value that is shown may be an address with a password, or a secret header.
fn refuse(mut answer: clap::Error) {
    let is_header = match answer.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) => option.starts_with("--edge-header"),
        _ => false,
    };
    for kind in [ContextKind::InvalidValue, ContextKind::InvalidArg, ContextKind::InvalidSubcommand] {
        if let Some(ContextValue::String(text)) = answer.get(kind) {
            let is_secret = is_header && kind == ContextKind::InvalidValue && !text.is_empty();
            let masked = if is_secret { "<secret>".to_owned() } else { masked_address(text).into_owned() };
            answer.insert(kind, ContextValue::String(masked));
        }
    }
    let environment = Environment::of_process(Printer::new(&MessageArgs::default()));
    let printer = &environment.printer;
    let Some(github) = GitHub::detect(&environment) else {
        let _ = answer.print();
        printer.write_stderr(not_utf8(&answer).as_bytes());
        return;
    };
    let text = answer.to_string() + &not_utf8(&answer);
    printer.write_stderr(text.as_bytes());
    // Which command it was to be is not known where the line can't be parsed.
    if std::env::args().nth(1).is_some_and(|word| Command::RUNS.contains(&word.as_str())) {
        github.report_usage_error(&text);
    }
}

/// Which argument is not UTF-8, where that is what is wrong: the parser does not say it.
fn not_utf8(answer: &clap::Error) -> String {
    let is_that = answer.kind() == clap::error::ErrorKind::InvalidUtf8;
    let bad = std::env::args_os().enumerate().find(|(_, word)| is_that && word.to_str().is_none());
    bad.map(|(n, word)| format!("argument {n} is not UTF-8: {:?}\n", masked_address(&word.to_string_lossy())))
        .unwrap_or_default()
}

/// Runs `work` on a runtime of its own, on this thread.
fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Error::new(ErrorKind::Internal, "no runtime").with_source(why))?;
    let result = runtime.block_on(work);
    // A name lookup that hangs must not hold up the end.
    runtime.shutdown_background();
    result
}

//! The command line of `vod-refresh`: parse, run, say how it ended.

mod advice;
mod args;
mod carry_on;
mod commands;
mod consent;
mod duration;
mod exit;
mod files;
mod formatting;
mod ids_list;
mod kept;
mod keys;
mod listen;
mod live_region;
mod logs;
mod output;
mod printer;
mod progress;
mod queue_url;
mod settings;
mod signals;
mod terminal_writer;
mod timezone;
mod world;

use clap::Parser as _;
use vod_refresh::vod::TaskType;

use crate::args::talk::TalkArgs;
use crate::args::{Cli, Command};
use crate::commands::{callback, doctor, media, pages, quota, resume, runs, status, wait};
use crate::exit::{ExitCode, Failure};
use crate::output::github::GitHub;
use crate::printer::Printer;
use crate::world::World;

fn main() -> std::process::ExitCode {
    // A panic has been printed by then; scripts know only the codes of the contract.
    let code = std::panic::catch_unwind(command_line).unwrap_or(ExitCode::Internal);
    std::process::ExitCode::from(code.number())
}

fn command_line() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => {
            // Help and version come here too. A reader that went away is no error.
            if !answer.use_stderr() {
                let _ = answer.print();
                return ExitCode::Complete;
            }
            misunderstood(&answer);
            return ExitCode::Usage;
        }
    };
    let printer = Printer::new(&cli.talk);
    logs::start(&cli.talk, &printer);
    let world = World::real();
    let code = match dispatch(&cli.command, &world, &printer) {
        Ok(code) => code,
        Err(failure) => {
            printer.fail(&failure.lines());
            if let Some(github) = GitHub::detect(&world, &printer).filter(|_| cli.command.is_run()) {
                github.report_failure(&failure);
            }
            failure.exit_code()
        }
    };
    printer.finish();
    code
}

/// Says what is wrong with a command line.
fn misunderstood(answer: &clap::Error) {
    let (world, printer) = (World::real(), Printer::new(&TalkArgs::default()));
    let Some(github) = GitHub::detect(&world, &printer) else {
        let _ = answer.print();
        return;
    };
    let told = answer.to_string();
    printer.write_stderr(told.as_bytes());
    // Which command it was to be is not known where the line can't be parsed.
    if std::env::args().nth(1).is_some_and(|word| Command::RUNS.contains(&word.as_str())) {
        github.report_usage_error(&told);
    }
}

fn dispatch(command: &Command, world: &World, printer: &Printer) -> Result<ExitCode, Failure> {
    match command {
        Command::Refresh(args) => media::execute(TaskType::Refresh, args, world, printer),
        Command::Preload(args) => media::execute(TaskType::Preload, args, world, printer),
        Command::Wait(args) => wait::execute(args, world, printer),
        Command::Callback(command) => callback::execute(command, world, printer),
        #[cfg(feature = "emulator")]
        Command::Emulator(args) => commands::emulator::execute(args, printer),
        #[cfg(feature = "emulator")]
        Command::Demo(args) => commands::demo::execute(args, printer),
        Command::Completions { shell } => pages::completions(*shell, printer),
        Command::Man { command } => pages::man(command.as_deref(), printer),
        Command::Resume(args) => resume::execute(args, world, printer),
        Command::Status(args) => status::execute(args, world, printer),
        Command::Runs(args) => runs::execute(args, world, printer),
        Command::Quota(args) => quota::execute(args, world, printer),
        Command::Doctor(args) => doctor::execute(args, world, printer),
    }
}

//! The command line of `vod-refresh`: parse, run, say how it ended.

mod args;
mod block;
mod carry_on;
mod commands;
mod consent;
mod exit;
mod files;
mod ids_list;
mod kept;
mod keys;
mod listen;
mod logs;
mod output;
mod printer;
mod progress;
mod queue_url;
mod settings;
mod signals;
mod span;
mod words;
mod world;
mod zone;

use clap::Parser as _;
use vod_refresh::vod::TaskType;

use crate::args::{Cli, Command};
use crate::commands::{callback, doctor, media, pages, quota, resume, runs, status, wait};
use crate::exit::{ExitCode, Failure};
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
            let _ = answer.print();
            return if answer.use_stderr() { ExitCode::Usage } else { ExitCode::Complete };
        }
    };
    let printer = Printer::new(&cli.talk);
    logs::start(&cli.talk, &printer);
    match dispatch(&cli.command, &World::real(), &printer) {
        Ok(code) => code,
        Err(failure) => {
            printer.fail(&failure.lines());
            failure.exit_code()
        }
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

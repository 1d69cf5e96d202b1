//! The commands, and which arguments lead to which.

mod callback;
#[cfg(feature = "emulator")]
mod demo;
mod doctor;
mod dry_run;
#[cfg(feature = "emulator")]
mod emulator;
mod pages;
mod quota;
pub(crate) mod refresh;
mod run;
mod stored;

use vod_refresh::vod::TaskType;

use crate::args::Command;
use crate::args::account::CallbackCommand;
use crate::environment::Environment;
use crate::exit::{ExitCode, Failure};
use crate::printer::Printer;

/// Does what `command` asks for.
pub(crate) async fn execute(
    command: &Command,
    environment: &Environment,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    match command {
        Command::Refresh(args) => refresh::media(TaskType::Refresh, args, environment, printer).await,
        Command::Preload(args) => refresh::media(TaskType::Preload, args, environment, printer).await,
        Command::Wait(args) => refresh::wait(args, environment, printer).await,
        Command::Resume(args) => stored::resume(args, environment, printer).await,
        Command::Status(args) => stored::status(args, environment, printer).await,
        Command::Runs(args) => stored::list(args, environment, printer).await,
        Command::Quota(args) => quota::show(args, environment, printer).await,
        Command::Doctor(args) => doctor::examine(args, environment, printer).await,
        Command::Callback(command) => match command {
            CallbackCommand::Sign(args) => callback::sign(args, environment, printer),
            CallbackCommand::Verify(args) => callback::verify(args, environment, printer),
            CallbackCommand::Get(args) => callback::get(args, environment, printer).await,
            CallbackCommand::Set(args) => callback::set(args, environment, printer).await,
            CallbackCommand::Delete(args) => callback::delete(args, environment, printer).await,
        },
        #[cfg(feature = "emulator")]
        Command::Emulator(args) => emulator::serve(args, printer).await,
        #[cfg(feature = "emulator")]
        Command::Demo(args) => demo::show(args, printer).await,
        Command::Completions { shell } => pages::completions(*shell, printer),
        Command::Man { command } => pages::man(command.as_deref(), printer),
    }
}

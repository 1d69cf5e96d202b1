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
mod task;

use crate::args::Command;
use crate::args::account::CallbackCommand;
use crate::environment::Environment;
use crate::exit::{ExitCode, Result};

/// Does what `command` asks for.
pub(crate) async fn execute(command: &Command, environment: &Environment) -> Result<ExitCode> {
    match command {
        Command::Refresh(args) => refresh::refresh(args, environment).await,
        Command::Preload(args) => refresh::preload(args, environment).await,
        Command::RefreshUrls(args) => refresh::refresh_urls(args, environment).await,
        Command::PreloadUrls(args) => refresh::preload_urls(args, environment).await,
        Command::Wait(args) => refresh::wait(args, environment).await,
        Command::Resume(args) => stored::resume(args, environment).await,
        Command::Status(args) => stored::status(args, environment).await,
        Command::Runs(args) => stored::list(args, environment).await,
        Command::Quota(args) => quota::show(args, environment).await,
        Command::Doctor(args) => doctor::examine(args, environment).await,
        Command::Callback(command) => match command {
            CallbackCommand::Sign(args) => callback::sign(args, environment),
            CallbackCommand::Verify(args) => callback::verify(args, environment),
            CallbackCommand::Get(args) => callback::get(args, environment).await,
            CallbackCommand::Set(args) => callback::set(args, environment).await,
            CallbackCommand::Delete(args) => callback::delete(args, environment).await,
        },
        #[cfg(feature = "emulator")]
        Command::Emulator(args) => emulator::serve(args, &environment.printer).await,
        #[cfg(feature = "emulator")]
        Command::Demo(args) => demo::show(args.output, &environment.printer).await,
        Command::Completions { shell } => pages::completions(*shell, &environment.printer),
        Command::Man { command } => pages::man(command.as_deref(), &environment.printer),
        Command::ReportSchema => pages::report_schema(&environment.printer),
    }
}

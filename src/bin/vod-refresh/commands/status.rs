//! `status`: what is known of a run, without waiting.

use vod_refresh::{LookupAfter, RunOptions};

use super::block_on;
use super::run::{self, Options, Task};
use super::stored::{self, Default};
use crate::args::stored::StatusArgs;
use crate::carry_on::{self, Way};
use crate::exit::{ExitCode, Failure};
use crate::kept::Kept;
use crate::output;
use crate::printer::Printer;
use crate::settings::Settings;
use crate::world::World;

pub(crate) fn execute(args: &StatusArgs, world: &World, printer: &Printer) -> Result<ExitCode, Failure> {
    block_on(show(args, world, printer))
}

async fn show(args: &StatusArgs, world: &World, printer: &Printer) -> Result<ExitCode, Failure> {
    let (kept, run) = stored::find(&args.place, args.run.as_deref(), Default::Newest, world).await?;
    let settings = Settings::of(&run.record.settings);
    let settings = Settings {
        connection: args.connection.or(&settings.connection),
        events: args.events.or(&settings.events),
    };
    let run_options = asking(args.waiting.over(run.record.options.clone()));
    if args.check && run.outcome.is_none() {
        if kept.journal.lock(&run.record.run).await?.is_some() {
            let options = Options {
                run: run_options,
                settings,
                kept: Some(kept),
                again: args.connection.words(),
                timeout_exit_code: args.waiting.timeout_exit_code,
                output: &args.output,
            };
            return run::run(Task::Check(Box::new(run)), options, world, printer).await;
        }
        printer.say("another process is driving this run: what it wrote down is as fresh as can be");
    }
    output::check_files(&args.output)?;
    let report = run.report();
    let filed = output::write_files(&report, &args.output);
    let printed = output::print(&report, args.output.output, printer);
    tell_how_to_carry_on(&report, &settings, &run_options, &kept, printer);
    Failure::all([filed, printed].into_iter().filter_map(Result::err)).map_or(Ok(ExitCode::Complete), Err)
}

/// The run's options, for one look around.
fn asking(mut options: RunOptions) -> RunOptions {
    options.fail_fast = false;
    options.wait = true;
    // It may have been for events alone to tell; here nobody listens for any.
    options.lookup_after = options.lookup_after.filter(|after| *after != LookupAfter::Never);
    options
}

fn tell_how_to_carry_on(
    report: &vod_refresh::Report,
    settings: &Settings,
    options: &RunOptions,
    kept: &Kept,
    printer: &Printer,
) {
    let way = Way {
        connection: &settings.connection,
        timeout: options.timeout,
        poll_interval: options.poll_interval,
        kept: Some(kept),
        again: &[],
    };
    for line in carry_on::lines(report, &way) {
        printer.say(&line);
    }
}

//! `status`: what is known of a run, without waiting.

use vod_refresh::{LookupAfter, RunOptions};

use super::block_on;
use super::run::{self, Options, Task};
use super::stored::{self, Default};
use crate::args::stored::StatusArgs;
use crate::carry_on::{self, Way};
use crate::exit::{ExitCode, Failure};
use crate::output;
use crate::printer::Printer;
use crate::world::World;

pub(crate) fn execute(args: &StatusArgs, world: &World, printer: &Printer) -> Result<ExitCode, Failure> {
    block_on(show(args, world, printer))
}

async fn show(args: &StatusArgs, world: &World, printer: &Printer) -> Result<ExitCode, Failure> {
    let given = &args.stored;
    let (kept, run) = stored::find(&given.place, args.run.as_deref(), Default::Newest, world).await?;
    let settings = given.over(&run.record);
    let run_options = asking(given.run.waiting.over(run.record.options.clone()));
    if args.check && run.outcome.is_none() {
        if kept.journal.lock(&run.record.run).await?.is_some() {
            let options = Options {
                again: given.run.connection.words(),
                ..Options::new(&given.run, run_options, settings, Some(kept))
            };
            return run::run(Task::Check(Box::new(run)), options, world, printer).await;
        }
        printer.say("another process is driving this run: what it wrote down is as fresh as can be");
    }
    output::check_files(&given.run.output)?;
    let report = run.report();
    let awaited = carry_on::awaited(&run.record.order);
    let way = Way { awaited, ..Way::of(&settings.connection, &run.record.options, Some(&kept)) };
    let next = carry_on::next(&report, &way);
    let filed = output::write_files(&report, next.as_ref(), &given.run.output);
    let printed = output::print(&report, given.run.output.output, printer);
    report.notes.iter().for_each(|note| printer.warn(note));
    carry_on::lines(&report, next.as_ref(), &way).iter().for_each(|line| printer.say(line));
    Failure::all([filed, printed]).map(|()| ExitCode::Complete)
}

/// The run's options, for one look around.
fn asking(mut options: RunOptions) -> RunOptions {
    options.fail_fast = false;
    options.wait = true;
    // It may have been for events alone to tell; here nobody listens for any.
    options.lookup_after = options.lookup_after.filter(|after| *after != LookupAfter::Never);
    options
}

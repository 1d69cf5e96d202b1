//! `resume`: a run goes on where it was.

use super::block_on;
use super::run::{self, Options, Task};
use super::stored::{self, Default};
use crate::args::stored::ResumeArgs;
use crate::duration;
use crate::exit::{ExitCode, Failure};
use crate::printer::Printer;
use crate::world::World;

pub(crate) fn execute(args: &ResumeArgs, world: &World, printer: &Printer) -> Result<ExitCode, Failure> {
    block_on(carry_on(args, world, printer))
}

async fn carry_on(args: &ResumeArgs, world: &World, printer: &Printer) -> Result<ExitCode, Failure> {
    let given = &args.stored;
    let (kept, run) =
        stored::find(&given.place, args.run.as_deref(), Default::NewestUnfinished, world).await?;
    let id = &run.record.run;
    if let Some(outcome) = run.outcome {
        return Err(Failure::usage(format!("run {id} has ended: {}", outcome.as_str()))
            .with_details(vec![format!("`vod-refresh status {id}` shows it")]));
    }
    let settings = given.over(&run.record);
    let mut run_options = args.answers.over(given.run.waiting.over(run.record.options.clone()));
    // Whoever resumes wants to see the end, also of a run that was only to submit.
    run_options.wait = true;
    let mut again = given.run.connection.words();
    again.extend(given.run.events.words());
    again.extend(given.run.waiting.words());
    again.extend(args.answers.words());
    let timeout = duration::format(run_options.timeout);
    let options = Options { again, ..Options::new(&given.run, run_options, settings, Some(kept)) };
    printer.say(&format!("carrying on run {id}, for {timeout} at most"));
    run::run(Task::Stored(Box::new(run)), options, world, printer).await
}

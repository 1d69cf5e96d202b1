//! `wait`: jobs that somebody else submitted.

use vod_refresh::JobId;

use super::block_on;
use super::run::{self, Task};
use crate::args::WaitArgs;
use crate::exit::{ExitCode, Failure};
use crate::ids_list;
use crate::printer::Printer;
use crate::world::World;

pub(crate) fn execute(args: &WaitArgs, world: &World, printer: &Printer) -> Result<ExitCode, Failure> {
    run::refuse_unbuilt(&args.events, &args.connection)?;
    let jobs = ids_list::collect::<JobId>("job id", &args.jobs, &[])?;
    block_on(run::run(Task::Jobs(jobs), args.waiting.options(), args.into(), world, printer))
}

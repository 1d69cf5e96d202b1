//! `wait`: jobs that somebody else submitted.

use vod_refresh::{JobId, RunOptions};

use super::block_on;
use super::run::{self, Options, Task};
use crate::args::WaitArgs;
use crate::exit::{ExitCode, Failure};
use crate::printer::Printer;
use crate::world::World;
use crate::{ids_list, kept};

pub(crate) fn execute(args: &WaitArgs, world: &World, printer: &Printer) -> Result<ExitCode, Failure> {
    let jobs = ids_list::collect::<JobId>("job id", &args.jobs, &[])?;
    block_on(async {
        let run_options = args.run.waiting.over(RunOptions::default());
        let kept = kept::for_new_run(&args.journal, world).await?;
        let options = Options::new(&args.run, run_options, args.run.settings(world), kept);
        run::run(Task::Jobs(jobs), options, world, printer).await
    })
}

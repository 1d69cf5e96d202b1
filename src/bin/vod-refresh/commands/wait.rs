//! `wait`: jobs that somebody else submitted.

use vod_refresh::{JobId, RunOptions};

use super::block_on;
use super::run::{self, Options, Task};
use crate::args::WaitArgs;
use crate::exit::{ExitCode, Failure};
use crate::printer::Printer;
use crate::settings::Settings;
use crate::world::World;
use crate::{ids_list, kept};

pub(crate) fn execute(args: &WaitArgs, world: &World, printer: &Printer) -> Result<ExitCode, Failure> {
    let jobs = ids_list::collect::<JobId>("job id", &args.jobs, &[])?;
    block_on(async {
        let options = Options {
            run: args.waiting.over(RunOptions::default()),
            settings: Settings { connection: args.connection.settled(world), events: args.events.settled() },
            kept: kept::for_new_run(&args.journal, world).await?,
            again: Vec::new(),
            timeout_exit_code: args.waiting.timeout_exit_code,
            output: &args.output,
        };
        run::run(Task::Jobs(jobs), options, world, printer).await
    })
}

//! `wait`: jobs that somebody else submitted.

use vod_refresh::{JobId, MediaId, RunOptions, WaitRequest};

use super::block_on;
use super::run::{self, Options, Task};
use crate::args::{TheirMediaArgs, WaitArgs};
use crate::exit::{ExitCode, Failure};
use crate::ids_list::{self, ARGUMENT};
use crate::kept;
use crate::printer::Printer;
use crate::world::World;

pub(crate) fn execute(args: &WaitArgs, world: &World, printer: &Printer) -> Result<ExitCode, Failure> {
    let request = request(args)?;
    block_on(async {
        let run_options = args.run.waiting.over(RunOptions::default());
        let kept = kept::for_new_run(&args.journal, world).await?;
        let options = Options::new(&args.run, run_options, args.run.settings(world), kept);
        run::run(Task::Jobs(request), options, world, printer).await
    })
}

/// What the arguments and files say.
pub(crate) fn request(args: &WaitArgs) -> Result<WaitRequest, Failure> {
    let mut request = WaitRequest::new(ids_list::collect::<JobId>("job id", ARGUMENT, &args.jobs, &[])?);
    let TheirMediaArgs { media, media_file, expect } = &args.theirs;
    if !(media.is_empty() && media_file.is_empty()) {
        let named = ids_list::collect::<MediaId>("media id", "--media", media, media_file)?;
        request = request.with_media(named);
    }
    if let Some(count) = *expect {
        request = request.with_expect(count);
    }
    request.check()?;
    Ok(request)
}

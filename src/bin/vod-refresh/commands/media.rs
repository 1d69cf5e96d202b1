//! `refresh` and `preload`.

use vod_refresh::vod::TaskType;
use vod_refresh::{MediaId, RefreshRequest, RunOptions};

use super::run::{self, Options, Task};
use super::{block_on, dry_run, quota};
use crate::args::media::MediaArgs;
use crate::exit::{ExitCode, Failure};
use crate::ids_list::{self, ARGUMENT};
use crate::kept;
use crate::printer::Printer;
use crate::world::World;

pub(crate) fn execute(
    task_type: TaskType,
    args: &MediaArgs,
    world: &World,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    block_on(execute_in(task_type, args, world, printer))
}

/// The same, inside a runtime that is there already.
pub(crate) async fn execute_in(
    task_type: TaskType,
    args: &MediaArgs,
    world: &World,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let request = request(task_type, args)?;
    let settings = args.run.settings(world);
    if args.submitting.dry_run {
        return dry_run::show(&request, &settings.connection, args.run.output.output, world, printer).await;
    }
    if args.submitting.check_quota {
        quota::check(&settings.connection.client(world).await?, &request, printer).await?;
    }
    let mut run_options = args.submitting.answers.over(args.run.waiting.over(RunOptions::default()));
    run_options.wait = !args.submitting.no_wait;
    let kept = kept::for_new_run(&args.journal, world).await?;
    let options = Options::new(&args.run, run_options, settings, kept);
    run::run(Task::Media(request), options, world, printer).await
}

fn request(task_type: TaskType, args: &MediaArgs) -> Result<RefreshRequest, Failure> {
    let media = ids_list::collect::<MediaId>("media id", ARGUMENT, &args.media, &args.choice.from_file)?;
    let filters = args.choice.filters();
    filters.check()?;
    let mut request = RefreshRequest::new(task_type, media).with_filters(filters);
    if let Some(text) = &args.choice.extend {
        request = request.with_extend(text);
    }
    if let Some(url) = &args.run.events.callback_url {
        request = request.with_callback_url(url);
    }
    Ok(request)
}

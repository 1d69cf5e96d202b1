//! `refresh` and `preload`.

use vod_refresh::vod::TaskType;
use vod_refresh::{MediaId, RefreshRequest};

use super::run::{self, Task};
use super::{block_on, dry_run, quota};
use crate::args::media::MediaArgs;
use crate::exit::{ExitCode, Failure};
use crate::ids_list;
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
    run::refuse_unbuilt(&args.events, &args.connection)?;
    let mut options = args.waiting.options();
    options.wait = !args.submitting.no_wait;
    options.resubmit = !args.submitting.no_resubmit;
    let request = request(task_type, args)?;
    if args.submitting.dry_run {
        return dry_run::show(&request, &args.connection, args.output.output, world, printer).await;
    }
    if args.submitting.check_quota {
        quota::check(&args.connection.client(world).await?, &request, printer).await?;
    }
    let task = Task::Media(request);
    run::run(task, options, args.into(), world, printer).await
}

fn request(task_type: TaskType, args: &MediaArgs) -> Result<RefreshRequest, Failure> {
    let media = ids_list::collect::<MediaId>("media id", &args.media, &args.choice.from_file)?;
    let filters = args.choice.filters();
    filters.check()?;
    let mut request = RefreshRequest::new(task_type, media).with_filters(filters);
    if let Some(text) = &args.choice.extend {
        request = request.with_extend(text);
    }
    if let Some(url) = &args.events.callback_url {
        request = request.with_callback_url(url);
    }
    Ok(request)
}

//! `refresh`, `preload` and `wait`: new runs.

use vod_refresh::vod::TaskType;
use vod_refresh::{JobId, MediaId, RefreshRequest, RunOptions, WaitRequest};

use super::run::{self, Plan, Task};
use super::{dry_run, quota};
use crate::args::runs::{ExpectedMediaArgs, MediaArgs, WaitArgs};
use crate::args::shared::{JournalArgs, RunArgs};
use crate::environment::Environment;
use crate::exit::{ExitCode, Result};
use crate::ids_list::{self, ARGUMENT};
use crate::journal_handle::JournalHandle;
use crate::settings::Settings;
use crate::setup;

/// `refresh` and `preload`.
pub(crate) async fn media(
    task_type: TaskType,
    args: &MediaArgs,
    environment: &Environment,
) -> Result<ExitCode> {
    let request = media_request(task_type, args)?;
    let settings = Settings::new(&args.run, environment);
    let submission = &args.submission;
    if submission.dry_run {
        let form = args.run.output.output;
        return dry_run::show(&request, &settings.connection, form, environment).await;
    }
    if submission.check_quota {
        let client = setup::client(&settings.connection, environment).await?;
        quota::check(&client, &request, &environment.printer).await?;
    }
    let mut options = submission.lost_answers.over(args.run.waiting.over(RunOptions::default()));
    options.wait = !submission.no_wait;
    let plan = plan(options, settings, &args.run, &args.journal, environment).await?;
    run::run(Task::Media(request), plan, environment).await
}

/// `wait`.
pub(crate) async fn wait(args: &WaitArgs, environment: &Environment) -> Result<ExitCode> {
    let request = wait_request(args)?;
    let options = args.run.waiting.over(RunOptions::default());
    let settings = Settings::new(&args.run, environment);
    let plan = plan(options, settings, &args.run, &args.journal, environment).await?;
    run::run(Task::Jobs(request), plan, environment).await
}

async fn plan<'a>(
    options: RunOptions,
    settings: Settings,
    args: &'a RunArgs,
    journal: &JournalArgs,
    environment: &Environment,
) -> Result<Plan<'a>> {
    let journal = JournalHandle::for_new_run(journal, environment).await?;
    let repeated = settings.not_kept();
    Ok(Plan { options, settings, journal, repeated, args })
}

fn media_request(task_type: TaskType, args: &MediaArgs) -> Result<RefreshRequest> {
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

/// The jobs, and what the arguments and files say of their media.
pub(crate) fn wait_request(args: &WaitArgs) -> Result<WaitRequest> {
    let mut request = WaitRequest::new(ids_list::collect::<JobId>("job id", ARGUMENT, &args.jobs, &[])?);
    let ExpectedMediaArgs { media, media_file, expect } = &args.expected;
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

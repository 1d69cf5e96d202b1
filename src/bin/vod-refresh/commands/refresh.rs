//! `refresh`, `preload`, their twins for URLs, and `wait`: new runs.

use vod_refresh::vod::{Area, ObjectType, TaskType};
use vod_refresh::{JobId, MediaId, RefreshRequest, RunOptions, UrlRequest, WaitRequest};

use super::dry_run;
use super::run::{self, Plan, Task};
use crate::args::runs::{
    ExpectedMediaArgs, MediaArgs, PreloadUrlsArgs, RefreshArgs, RefreshUrlsArgs, UrlArea, UrlRunArgs,
    UrlType, WaitArgs,
};
use crate::args::shared::{JournalArgs, RunArgs};
use crate::environment::Environment;
use crate::exit::{ExitCode, Failure, Result};
use crate::ids_list::{self, ARGUMENT};
use crate::journal_handle::JournalHandle;
use crate::settings::Settings;

/// `refresh`.
pub(crate) async fn refresh(args: &RefreshArgs, environment: &Environment) -> Result<ExitCode> {
    let request = media_request(TaskType::Refresh, &args.media)?.with_then_preload(args.then_preload);
    media(request, &args.media, environment).await
}

/// `preload`.
pub(crate) async fn preload(args: &MediaArgs, environment: &Environment) -> Result<ExitCode> {
    media(media_request(TaskType::Preload, args)?, args, environment).await
}

async fn media(request: RefreshRequest, args: &MediaArgs, environment: &Environment) -> Result<ExitCode> {
    let settings = Settings::new(&args.run, environment);
    let submission = &args.submission;
    if submission.dry_run {
        let form = args.run.output.output;
        return dry_run::show(&request, &settings.connection, form, environment).await;
    }
    let mut options = submission.lost_answers.over(args.run.waiting.over(RunOptions::default()));
    options.wait = !submission.no_wait;
    let plan = plan(options, settings, submission.check_quota, &args.run, &args.journal, environment).await?;
    run::run(Task::Media(request), plan, environment).await
}

/// `refresh-urls`.
pub(crate) async fn refresh_urls(args: &RefreshUrlsArgs, environment: &Environment) -> Result<ExitCode> {
    let mut request = UrlRequest::new(TaskType::Refresh, urls_of(&args.common)?);
    request.force = args.force;
    request.object_type = args.object_type.map(|object_type| match object_type {
        UrlType::File => ObjectType::File,
        UrlType::Directory => ObjectType::Directory,
        UrlType::Regex => ObjectType::Regex,
        UrlType::IgnoreParams => ObjectType::IgnoreParams,
    });
    urls(request, &args.common, environment).await
}

/// `preload-urls`.
pub(crate) async fn preload_urls(args: &PreloadUrlsArgs, environment: &Environment) -> Result<ExitCode> {
    let mut request = UrlRequest::new(TaskType::Preload, urls_of(&args.common)?);
    request.l2 = args.l2;
    request.area = args.area.map(|area| match area {
        UrlArea::Domestic => Area::Domestic,
        UrlArea::Overseas => Area::Overseas,
    });
    urls(request, &args.common, environment).await
}

fn urls_of(args: &UrlRunArgs) -> Result<Vec<String>> {
    ids_list::urls(&args.urls.urls, &args.urls.from_file)
}

async fn urls(request: UrlRequest, args: &UrlRunArgs, environment: &Environment) -> Result<ExitCode> {
    let UrlRunArgs { submission, run: args, journal, .. } = args;
    request.check()?;
    let settings = Settings::new(args, environment);
    if settings.events.any() {
        return Err(Failure::usage(
            "no event tells of URLs: leave out `--callback-listen` and `--queue`; the answers name the tasks",
        ));
    }
    if submission.dry_run {
        return dry_run::show_urls(&request, &settings.connection, args.output.output, environment).await;
    }
    let mut options = args.waiting.over(RunOptions::default());
    options.resubmit &= !submission.no_resubmit;
    options.wait = !submission.no_wait;
    let plan = plan(options, settings, submission.check_quota, args, journal, environment).await?;
    run::run(Task::Urls(request), plan, environment).await
}

/// `wait`.
pub(crate) async fn wait(args: &WaitArgs, environment: &Environment) -> Result<ExitCode> {
    let request = wait_request(args)?;
    let options = args.run.waiting.over(RunOptions::default());
    let settings = Settings::new(&args.run, environment);
    let plan = plan(options, settings, false, &args.run, &args.journal, environment).await?;
    run::run(Task::Jobs(request), plan, environment).await
}

async fn plan<'a>(
    options: RunOptions,
    settings: Settings,
    check_quota: bool,
    args: &'a RunArgs,
    journal: &JournalArgs,
    environment: &Environment,
) -> Result<Plan<'a>> {
    let journal = run::within(options.timeout, JournalHandle::for_new_run(journal, environment)).await?;
    let repeated = settings.not_kept();
    Ok(Plan { options, settings, journal, repeated, check_quota, args })
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

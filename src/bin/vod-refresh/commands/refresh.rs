//! `refresh`, `preload`, their twins for URLs, and `wait`: new runs.

use vod_refresh::vod::TaskType;
use vod_refresh::{JobId, MediaId, RefreshRequest, RunOptions, UrlRequest, WaitRequest};

use super::dry_run;
use super::run::{self, Before, Plan};
use super::task::Task;
use crate::args::runs::{
    ExpectedMediaArgs, MediaArgs, PreloadUrlsArgs, RefreshArgs, RefreshUrlsArgs, SubmissionArgs, UrlRunArgs,
    WaitArgs,
};
use crate::args::shared::{JournalArgs, RunArgs};
use crate::environment::Environment;
use crate::exit::{ExitCode, Failure, Result};
use crate::ids_list::{self, ARGUMENT};
use crate::journal_handle::JournalHandle;
use crate::next_command::ResumeContext;
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
    let options = args.lost_answers.over(args.run.waiting.over(RunOptions::default()));
    let submission = Some(&args.submission);
    begin(Task::Media(request), options, submission, &args.run, &args.journal, environment).await
}

/// `refresh-urls`.
pub(crate) async fn refresh_urls(args: &RefreshUrlsArgs, environment: &Environment) -> Result<ExitCode> {
    let mut request = UrlRequest::new(TaskType::Refresh, urls_of(&args.common)?);
    request.force = args.force;
    request.object_type = args.object_type;
    urls(request, &args.common, environment).await
}

/// `preload-urls`.
pub(crate) async fn preload_urls(args: &PreloadUrlsArgs, environment: &Environment) -> Result<ExitCode> {
    let mut request = UrlRequest::new(TaskType::Preload, urls_of(&args.common)?);
    request.l2 = args.l2;
    request.area = args.area;
    urls(request, &args.common, environment).await
}

fn urls_of(args: &UrlRunArgs) -> Result<Vec<String>> {
    ids_list::urls(&args.urls.urls, &args.urls.from_file)
}

async fn urls(request: UrlRequest, args: &UrlRunArgs, environment: &Environment) -> Result<ExitCode> {
    let UrlRunArgs { submission, no_resubmit, run: args, journal, .. } = args;
    request.check()?;
    if args.events.any() {
        return Err(Failure::usage(
            "no event tells of URLs: leave out `--callback-listen` and `--queue`; the answers name the tasks",
        ));
    }
    let mut options = args.waiting.over(RunOptions::default());
    options.resubmit &= !no_resubmit;
    begin(Task::Urls(request), options, Some(submission), args, journal, environment).await
}

/// `wait`.
pub(crate) async fn wait(args: &WaitArgs, environment: &Environment) -> Result<ExitCode> {
    let request = wait_request(args)?;
    let options = args.run.waiting.over(RunOptions::default());
    begin(Task::Jobs(request), options, None, &args.run, &args.journal, environment).await
}

/// Begins a new run, or shows what it would send. `submission` is `None` where others have submitted.
async fn begin(
    task: Task,
    mut options: RunOptions,
    submission: Option<&SubmissionArgs>,
    args: &RunArgs,
    journal: &JournalArgs,
    environment: &Environment,
) -> Result<ExitCode> {
    let settings = Settings::new(args, environment);
    if submission.is_some_and(|submission| submission.dry_run) {
        return dry_run::show(&task, &settings.connection, args.output.output, environment).await;
    }
    options.wait = submission.is_none_or(|submission| !submission.no_wait);
    let check_quota = submission.is_some_and(|submission| submission.check_quota);
    let signals = run::signals(environment)?;
    let stop = signals.stop();
    let opening = JournalHandle::for_new_run(journal, environment);
    let journal = tokio::select! {
        biased;
        // The run that follows is not begun: nothing would be written there.
        () = stop.cancelled() => None,
        journal = run::within(options.timeout, Before::Journal, opening) => journal?,
    };
    let awaited = match &task {
        Task::Jobs(request) => Some(request.clone()),
        _ => None,
    };
    let (own_timeout, repeated) = (options.timeout, settings.not_kept());
    let context = ResumeContext { settings, options, own_timeout, journal, awaited, repeated };
    run::run(task, Plan { context, check_quota, args, signals }, environment).await
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

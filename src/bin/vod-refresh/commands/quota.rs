//! `quota`, and `--check-quota` of a run.

use vod_refresh::vod::{ObjectAction, ObjectType, RefreshQuota};
use vod_refresh::{Error, ErrorKind, RefreshRequest, TaskType, UrlRequest, VodClient};

use super::task::Task;
use crate::args::account::{AnswerForm, QuotaArgs};
use crate::environment::Environment;
use crate::exit::{ExitCode, Result};
use crate::formatting::count;
use crate::output::json;
use crate::printer::Printer;
use crate::setup::account_client;

pub(crate) async fn show(args: &QuotaArgs, environment: &Environment) -> Result<ExitCode> {
    let client = account_client(&args.connection, environment).await?;
    let quota = client.describe_vod_refresh_quota().await?;
    environment.printer.out(&match args.output.form {
        AnswerForm::Text => table(&quota),
        AnswerForm::Json => json::document(&quota),
    })?;
    Ok(ExitCode::COMPLETE)
}

fn table(quota: &RefreshQuota) -> String {
    let rows = [
        ("URLs to refresh", quota.url_remain, quota.url_quota),
        ("URLs to preload", quota.preload_remain, quota.preload_quota),
        ("directories to refresh", quota.dir_remain, quota.dir_quota),
        ("URLs to block", quota.block_remain, quota.block_quota),
    ];
    let number = |n: Option<u64>| n.map_or("?".to_owned(), |n| n.to_string());
    let line =
        |(what, left, all): &(&str, _, _)| format!("{what:<24}{} of {} left\n", number(*left), number(*all));
    // What the service does not speak of has no line.
    rows.iter().filter(|(_, left, all)| left.is_some() || all.is_some()).map(line).collect()
}

/// What a run needs of one quota.
struct Need {
    count: u64,
    left: Option<u64>,
    noun: &'static str,
    task_type: TaskType,
    /// What it is for.
    of: String,
}

/// Refuses what the quota can't cover.
pub(super) async fn check(client: &VodClient, task: &Task, printer: &Printer) -> Result<(), Error> {
    let quota = client.describe_vod_refresh_quota().await?;
    let needs = match task {
        Task::Media(request) => of_media(request, &quota),
        Task::Urls(request) => of_urls(request, &quota),
        _ => Vec::new(),
    };
    for Need { count: needed, left, noun, task_type, of } in needs {
        let Some(left) = left else {
            printer.warn("the service does not say how much of the quota is left");
            continue;
        };
        let verb = task_type.as_str().to_lowercase();
        let text = format!("{} left to {verb} today, for {of}", count(left, noun));
        if left < needed {
            return Err(Error::new(ErrorKind::Quota, text));
        }
        printer.say(&text);
    }
    Ok(())
}

/// A media needs one URL at least. Where media are preloaded afterwards, both quotas count.
fn of_media(request: &RefreshRequest, quota: &RefreshQuota) -> Vec<Need> {
    let media = request.media.len() as u64;
    let of = format!(
        "{}; each URL of a media counts, and how many those are can't be known before",
        count(media, "media")
    );
    let preload = request.then_preload.then_some(TaskType::Preload);
    let need = |task_type| Need {
        count: media,
        left: quota.remaining(task_type),
        noun: "URL",
        task_type,
        of: of.clone(),
    };
    [request.task_type].into_iter().chain(preload).map(need).collect()
}

/// Folders have a quota of their own.
fn of_urls(request: &UrlRequest, quota: &RefreshQuota) -> Vec<Need> {
    let is_folder = |url: &&String| {
        matches!(request.action(url), ObjectAction::Refresh { object_type: ObjectType::Directory, .. })
    };
    let folders = request.urls.iter().filter(is_folder).count() as u64;
    let others = request.urls.len() as u64 - folders;
    let task_type = request.task_type;
    let need = |count: u64, left, noun| Need { count, left, noun, task_type, of: count.to_string() };
    let all = [need(others, quota.remaining(task_type), "URL"), need(folders, quota.dir_remain, "directory")];
    all.into_iter().filter(|need| need.count > 0).collect()
}

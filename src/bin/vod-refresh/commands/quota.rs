//! `quota`, and `--check-quota` of a run.

use vod_refresh::vod::{ObjectAction, ObjectType, RefreshQuota};
use vod_refresh::{Error, ErrorKind, RefreshRequest, TaskType, UrlRequest, VodClient};

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
    Ok(ExitCode::Complete)
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

/// Refuses a request that the quota can't cover; where media are preloaded afterwards, that of both.
pub(crate) async fn check(client: &VodClient, request: &RefreshRequest, printer: &Printer) -> Result<()> {
    let quota = client.describe_vod_refresh_quota().await?;
    let preload = request.then_preload.then_some(TaskType::Preload);
    for task_type in [request.task_type].into_iter().chain(preload) {
        let Some(left) = quota.remaining(task_type) else {
            printer.warn("the service does not say how much of the quota is left");
            continue;
        };
        let (suffices, text) = compare(left, task_type, request.media.len() as u64);
        if !suffices {
            return Err(Error::new(ErrorKind::Quota, text).into());
        }
        printer.say(&text);
    }
    Ok(())
}

/// Refuses URLs that the quota can't cover. Folders have a quota of their own.
pub(crate) async fn check_urls(client: &VodClient, request: &UrlRequest, printer: &Printer) -> Result<()> {
    let quota = client.describe_vod_refresh_quota().await?;
    let is_folder = |url: &&String| {
        matches!(request.action(url), ObjectAction::Refresh { object_type: ObjectType::Directory, .. })
    };
    let folders = request.urls.iter().filter(is_folder).count() as u64;
    let others = request.urls.len() as u64 - folders;
    let kind = request.task_type.as_str().to_lowercase();
    for (wanted, left, nouns) in
        [(others, quota.remaining(request.task_type), "URLs"), (folders, quota.dir_remain, "directories")]
    {
        match left {
            _ if wanted == 0 => {}
            None => printer.warn("the service does not say how much of the quota is left"),
            Some(left) => {
                let text = format!("{left} {nouns} left to {kind} today, for {wanted}");
                if left < wanted {
                    return Err(Error::new(ErrorKind::Quota, text).into());
                }
                printer.say(&text);
            }
        }
    }
    Ok(())
}

/// Whether `left` can cover so many media, and why.
fn compare(left: u64, task_type: TaskType, media: u64) -> (bool, String) {
    let kind = task_type.as_str().to_lowercase();
    let text = format!(
        "{} left to {kind} today, for {}; each URL of a media counts, and how many those are can't be known before",
        count(left, "URL"),
        count(media, "media")
    );
    (left >= media, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_needs_one_url_at_least() {
        let (suffices, text) = compare(4, TaskType::Preload, 5);
        assert!(!suffices && text.starts_with("4 URLs left to preload today, for 5 media;"), "{text}");
        assert!(compare(5, TaskType::Preload, 5).0);
    }
}

//! `quota`, and `--check-quota` of a run.

use vod_refresh::vod::{RefreshQuota, TaskType};
use vod_refresh::{Error, ErrorKind, RefreshRequest, VodClient};

use super::{account_client, block_on};
use crate::args::account::{AnswerForm, QuotaArgs};
use crate::exit::{ExitCode, Failure};
use crate::formatting::count;
use crate::output::json;
use crate::printer::Printer;
use crate::world::World;

pub(crate) fn execute(args: &QuotaArgs, world: &World, printer: &Printer) -> Result<ExitCode, Failure> {
    block_on(async {
        let quota = account_client(&args.connection, world).await?.describe_vod_refresh_quota().await?;
        printer.out(&match args.output.form {
            AnswerForm::Text => table(&quota),
            AnswerForm::Json => json::document(&quota),
        })?;
        Ok(ExitCode::Complete)
    })
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

/// What is left, against what a run needs at least.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Enough(String),
    TooLittle(String),
    Unknown,
}

/// Refuses a request that the quota can't cover.
pub(crate) async fn check(
    client: &VodClient,
    request: &RefreshRequest,
    printer: &Printer,
) -> Result<(), Failure> {
    let quota = client.describe_vod_refresh_quota().await?;
    match verdict(quota.remaining(request.task_type), request) {
        Verdict::Enough(text) => printer.say(&text),
        Verdict::TooLittle(text) => return Err(Error::new(ErrorKind::Quota, text).into()),
        Verdict::Unknown => printer.warn("the service does not say how much of the quota is left"),
    }
    Ok(())
}

fn verdict(left: Option<u64>, request: &RefreshRequest) -> Verdict {
    let Some(left) = left else { return Verdict::Unknown };
    let media = request.media.len() as u64;
    let kind = match request.task_type {
        TaskType::Refresh => "refresh",
        TaskType::Preload => "preload",
    };
    let text = format!(
        "{} left to {kind} today, for {}; each URL of a media counts, and how many those are can't be known before",
        count(left, "URL"),
        count(media, "media")
    );
    if left < media { Verdict::TooLittle(text) } else { Verdict::Enough(text) }
}

#[cfg(test)]
mod tests {
    use vod_refresh::MediaId;

    use super::*;

    fn media(count: usize) -> RefreshRequest {
        RefreshRequest::new(TaskType::Preload, (0..count).map(|n| MediaId::new(format!("m{n}")).unwrap()))
    }

    #[test]
    fn a_media_needs_one_url_at_least() {
        assert!(
            matches!(verdict(Some(4), &media(5)), Verdict::TooLittle(text) if text.starts_with("4 URLs left to preload today, for 5 media;"))
        );
        assert!(matches!(verdict(Some(5), &media(5)), Verdict::Enough(_)));
        assert_eq!(verdict(None, &media(5)), Verdict::Unknown);
    }
}

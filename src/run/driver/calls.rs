//! The calls of a run: work becomes a call, its answer becomes a fact.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::JoinError;

use super::fleet::{Fleet, Member};
use super::state::{Done, Driver};
use crate::error::{Error, ErrorKind, Fate, Result};
use crate::ids::{JobId, RequestId, TaskId, masked_address};
use crate::model::{Fact, Fault, Order};
use crate::run::batch::{UrlBatch, submission};
use crate::run::ledger::Work;
use crate::vod::{
    JobRow, ObjectTasks, RefreshMediaPlayUrls, Submission, TaskPage, TaskRows, VodClient, is_about_call,
    is_about_task, normal_form,
};

/// Tasks may be dated a little before the call that made them: clocks differ by a second or two.
const WINDOW_MARGIN: Duration = Duration::from_secs(120);

/// A search for URLs whose answer was lost allows two seconds between the clocks, so that it finds no task of an earlier submission.
const CLOCK_MARGIN: Duration = Duration::from_secs(2);
/// Most pages of such a search, 50 rows each: other people's tasks of the same minute stand among ours.
const MOST_PAGES: u32 = 200;

/// The service forgets tasks after so long. Source: "DescribeVodRefreshTasks", `StartTime`.
pub(super) const HISTORY: Duration = Duration::from_secs(3 * 86_400);

impl Driver<'_> {
    /// Starts the call for a piece of work.
    pub(super) fn begin(&mut self, work: Work) {
        let client = self.client.clone();
        match work {
            Work::FindUrls { batch, sent_at } => {
                let Some(urls) = self.ledger.urls_of_batch(batch).cloned() else { return };
                let sent_at = self.client.local_time() - self.now().since(sent_at);
                self.in_flight.submit += 1;
                self.spawn(
                    async move { Done::UrlsSearched(batch, find_urls(&client, &urls, sent_at).await) },
                );
            }
            Work::Submit { batch } => {
                if let Some(urls) = self.ledger.urls_of_batch(batch).cloned() {
                    self.in_flight.submit += 1;
                    self.spawn(async move {
                        Done::UrlsSubmitted(batch, client.hand_over_urls(urls.action, &urls.urls).await)
                    });
                    return;
                }
                let Some(request) = self.submission(batch) else { return };
                self.in_flight.submit += 1;
                self.spawn(
                    async move { Done::Submitted(batch, client.refresh_media_play_urls(&request).await) },
                );
            }
            Work::QueryJob { job } => {
                self.in_flight.query_job += 1;
                self.spawn(async move {
                    let rows = client.get_media_refresh_jobs(&job).await;
                    Done::JobQueried(job, rows)
                });
            }
            Work::PollTask { task } => {
                self.in_flight.poll_task += 1;
                let needs_no_more_pages = self.ledger.needs_no_more_pages(&task);
                let (now, kind) = (self.now(), self.ledger.task_type_now());
                let spared_for = self.ledger.spares_sample(now, &task);
                let sampling = self.fleet.as_ref().map(Fleet::shared).zip(spared_for);
                self.spawn(async move {
                    if let Some((shared, spared_for)) = sampling
                        && !shared.may_sample(kind, spared_for).await
                    {
                        return Done::SampleSpared(task);
                    }
                    let rows = client.task_rows(&task, needs_no_more_pages).await;
                    Done::TaskPolled(task, rows)
                });
            }
            Work::ListTasks { page, filter } => {
                self.in_flight.poll_task += 1;
                let (window, round) = (self.window(), self.ledger.round());
                // At the deadline nobody is waited for.
                let has_time = self.now() < self.deadline;
                let fleet = self.fleet.as_mut().filter(|_| has_time);
                let shared = fleet.and_then(|fleet| fleet.listing(round));
                self.spawn(async move {
                    let (answer, other_key) = match shared {
                        Some(shared) => shared.page(&client, filter.as_ref(), page).await,
                        None => (client.list_refresh_tasks(window, filter.as_ref(), page).await, None),
                    };
                    Done::TasksListed { page, filter, answer, other_key }
                });
            }
            // Notes are facts: the loop applies them itself.
            Work::Apply(_) => {}
        }
    }

    /// Boxed here: a call is a large future, and a task is moved several times before it runs.
    fn spawn(&mut self, call: impl Future<Output = Done> + Send + 'static) {
        self.calls.spawn(Box::pin(call));
    }

    fn submission(&self, batch: u32) -> Option<RefreshMediaPlayUrls> {
        let Order::Refresh(request) = &self.record.order else { return None };
        let task_type = self.ledger.task_type_of(batch).unwrap_or(request.task_type);
        Some(submission(request, task_type, &self.record.run, batch, self.ledger.batch(batch)))
    }

    /// The time in which all tasks of this run were made, by the service's clock.
    ///
    /// It ends where no more can come, so that other people's new tasks do not move ours from page to page.
    fn window(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        let (now, age) = (self.client.service_time(), self.now());
        let complete = self.ledger.complete_since().unwrap_or(age);
        let from = (age.since_start() + WINDOW_MARGIN).min(HISTORY - WINDOW_MARGIN);
        (now - from, now - age.since(complete + WINDOW_MARGIN))
    }

    /// Looks at what other runs know, if there is something to ask about and it is time.
    pub(super) async fn look_at_others(&mut self) {
        let (now, window) = (self.now(), self.window());
        // A run alone does not pay for what only others could want to know.
        let Some(fleet) = self.fleet.as_mut().filter(|_| !self.once) else { return };
        let is_complete = self.ledger.complete_since().is_some();
        let (estimate, (known, open)) = (self.ledger.estimate(), self.ledger.listable());
        let has_something = self.ledger.is_task_due(now) || self.ledger.waits_for_others(now);
        if !fleet.is_look_due(has_something, estimate.weight() > 0) {
            return;
        }
        let me = Member {
            run: self.record.run.clone(),
            kind: self.ledger.task_type_now(),
            from: window.0.timestamp(),
            to: is_complete.then(|| window.1.timestamp()),
            known,
            open,
            estimate,
            key: fleet.key().to_owned(),
            task: self.ledger.any_listable().cloned(),
            has_left: false,
        };
        let (others, estimate) = fleet.look(me).await;
        self.ledger.learn_of_others(now, others, estimate);
    }

    /// Turns what a call brought into facts.
    pub(super) fn done(&mut self, done: Result<Done, JoinError>, facts: &mut Vec<Fact>) {
        let done = match done {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return,
        };
        match done {
            Done::Submitted(..) | Done::UrlsSubmitted(..) | Done::UrlsSearched(..) => {
                self.in_flight.submit -= 1;
            }
            Done::JobQueried(..) => self.in_flight.query_job -= 1,
            Done::TaskPolled(..) | Done::TasksListed { .. } | Done::SampleSpared(..) => {
                self.in_flight.poll_task -= 1;
            }
        }
        match done {
            Done::Submitted(batch, answer) => self.submitted(batch, answer, facts),
            Done::UrlsSubmitted(batch, answer) => self.urls_submitted(batch, answer, facts),
            Done::UrlsSearched(batch, answer) => facts.extend(self.urls_searched(batch, answer)),
            Done::JobQueried(job, answer) => facts.extend(self.job_queried(job, answer)),
            Done::TaskPolled(task, answer) => facts.extend(self.task_polled(task, answer)),
            Done::TasksListed { page, filter, answer, other_key } => {
                if let Some(fleet) = &mut self.fleet {
                    fleet.page_came();
                    if let (Some(key), Ok(answer)) = (other_key, &answer) {
                        // Ids of tasks are unique: who sees ours is of our account.
                        let is_ours = self.ledger.has_any_of(&answer.rows);
                        fleet.judge_key(key, is_ours);
                        if !is_ours {
                            return self.begin(Work::ListTasks { page, filter });
                        }
                    } else if let Ok(answer) = &answer {
                        fleet.learn_keys(&answer.rows);
                    }
                }
                self.listed(page, filter.is_some(), answer, facts);
            }
            Done::SampleSpared(task) => {
                let now = self.now();
                self.ledger.sample_spared(now, &task);
            }
        }
    }

    fn submitted(&mut self, batch: u32, answer: Result<Submission>, facts: &mut Vec<Fact>) {
        let error = match answer {
            Ok(Submission { job: None, request_id, .. }) if self.ledger.may_be_foreign() => {
                let message = "this access key has none of the media, and another one began the run: resume it with that one";
                Error::new(ErrorKind::NotFound, message)
                    .with_action("RefreshMediaPlayUrls")
                    .with_request_id(request_id)
            }
            Ok(Submission { job, not_found, forbidden, unrecognised, request_id }) => {
                self.warn_of_unrecognised(&unrecognised, request_id.as_ref());
                return facts.push(Fact::Submitted { batch, job, not_found, forbidden, request_id });
            }
            Err(error) => error,
        };
        self.not_submitted(batch, error, facts);
    }

    fn urls_submitted(&mut self, batch: u32, answer: Result<ObjectTasks>, facts: &mut Vec<Fact>) {
        match answer {
            Ok(ObjectTasks { tasks, unread, request_id }) => {
                let unread = unread.into_iter().next();
                self.warn(unread.as_ref().map(|id| {
                    format!("the service names a task whose id can't be read, so what no other task shows stays unfinished: {id}")
                }));
                facts.push(Fact::UrlsSubmitted { batch, tasks, unread, request_id });
            }
            Err(error) => self.not_submitted(batch, error, facts),
        }
    }

    fn urls_searched(&mut self, batch: u32, answer: Result<Vec<TaskId>>) -> Option<Fact> {
        match answer {
            Ok(tasks) if tasks.is_empty() => Some(Fact::UrlsNotFound { batch }),
            Ok(tasks) => Some(Fact::UrlsSubmitted { batch, tasks, unread: None, request_id: None }),
            // Sent again without a search, it might be done twice.
            Err(error) => self.give_up(error),
        }
    }

    fn not_submitted(&mut self, batch: u32, error: Error, facts: &mut Vec<Fact>) {
        // Another account's word about the media of the first is none: the batch is still to be sent.
        let is_refusal =
            matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Refused | ErrorKind::Rejected);
        if is_refusal && self.ledger.may_be_foreign() {
            facts.push(Fact::Withdrawn { batch });
            return facts.extend(self.give_up(error));
        }
        let fault = Fault::from(&error);
        if error.fate() == Fate::Unknown {
            return facts.push(Fact::OutcomeUnknown { batch, fault });
        }
        // Stopped before it left: with a journal it is still to be sent, and without one the end of the run says why.
        if self.soft_stop.is_cancelled() {
            return facts.push(Fact::Withdrawn { batch });
        }
        facts.push(Fact::NotSubmitted { batch, fault: fault.clone() });
        // Refused for its content, another batch may still pass. Everything else hits them all.
        if error.kind() != ErrorKind::Rejected {
            facts.push(Fact::Halted { fault });
        }
    }

    /// Ids that the service refused and nobody asked for may be ours in another spelling: they are looked for in the lookup.
    fn warn_of_unrecognised(&self, ids: &[String], request_id: Option<&RequestId>) {
        if !ids.is_empty() {
            let (count, first) = (ids.len(), &ids[0]);
            let under = request_id.map(|id| format!(" (request id {id})")).unwrap_or_default();
            self.warn(format!(
                "the service refuses {count} media that were not asked for, the first is `{first}`{under}: what the lookup shows counts"
            ));
        }
    }

    fn job_queried(&mut self, job: JobId, answer: Result<Vec<JobRow>>) -> Option<Fact> {
        match answer {
            Ok(rows) => Some(Fact::JobQueried { job, rows }),
            Err(error) if self.ledger.is_closing(&job) => {
                Some(Fact::JobUnclear { job, fault: (&error).into() })
            }
            Err(error) if self.events.is_some() && is_denial(&error) => {
                Some(Fact::LookupsRefused { fault: (&error).into() })
            }
            Err(error) if error.code().is_some_and(is_about_call) => match self.can_do_without(&job) {
                true => Some(Fact::LookupFailed { job, fault: (&error).into() }),
                false => self.give_up(unserved(error, self.client.endpoint())),
            },
            // No code about a job is documented: any other may mean the request.
            Err(error) if error.kind() == ErrorKind::Rejected => {
                Some(Fact::JobUnclear { job, fault: (&error).into() })
            }
            Err(error) if error.kind().is_retryable() && self.can_do_without(&job) => {
                Some(Fact::LookupFailed { job, fault: (&error).into() })
            }
            Err(error) => self.give_up(error),
        }
    }

    /// Whether a lookup that failed for good is not needed: tasks can be followed by what events said.
    fn can_do_without(&self, job: &JobId) -> bool {
        // A run that is ending cuts calls short: that is no failure.
        self.events.is_some() && !self.soft_stop.is_cancelled() && self.ledger.events_suffice(job)
    }

    fn task_polled(&mut self, task: TaskId, answer: Result<TaskRows>) -> Option<Fact> {
        match answer {
            Ok(TaskRows { rows, total }) => Some(Fact::TaskSeen { task, rows, total }),
            Err(error) if error.code().is_some_and(is_about_call) => {
                self.give_up(unserved(error, self.client.task_endpoint()))
            }
            Err(error) if error.kind() == ErrorKind::Rejected => {
                let fault = (&error).into();
                let is_final = error.code().is_some_and(is_about_task) && !self.ledger.may_be_foreign();
                Some(match is_final {
                    true => Fact::TaskRefused { task, fault },
                    false => Fact::TaskUnclear { task, fault },
                })
            }
            Err(error) => self.give_up(error),
        }
    }

    fn listed(&mut self, page: u32, is_narrowed: bool, answer: Result<TaskPage>, facts: &mut Vec<Fact>) {
        let answer = match answer {
            Ok(answer) => answer,
            // It may be the filter: no run ends for that. What else is wrong, the next call will say.
            Err(_) if is_narrowed => return facts.push(Fact::ListingRefused),
            // Single polls may still be allowed; if they are not, they will say so.
            Err(error) => match error.kind() {
                ErrorKind::Rejected | ErrorKind::Refused | ErrorKind::NotFound | ErrorKind::Quota => {
                    return facts.push(Fact::ListingRefused);
                }
                _ => return facts.extend(self.give_up(error)),
            },
        };
        if answer.rows.len() < answer.rows_on_page {
            // A row that can't be read may be one of ours.
            return facts.push(Fact::ListingRefused);
        }
        let is_last = answer.ends_listing(page);
        facts.push(Fact::Listed { page, rows: answer.rows, total: answer.total, is_last });
    }

    /// Following up has become impossible. The first reason counts; a run that is ending anyway has its own.
    fn give_up(&mut self, error: Error) -> Option<Fact> {
        if !self.soft_stop.is_cancelled() {
            self.fatal.get_or_insert(error);
        }
        None
    }
}

/// Looks for the tasks of URLs that were handed over then by our clock. Empty unless rows of all of them are there: those that are
/// not shown yet may have tasks of their own.
///
/// A row counts that is of the same kind and dated between the submission and now. Rows are dated by the service's clock, of which
/// the page's own answer tells; the window of the first search may be of ours yet.
async fn find_urls(client: &VodClient, urls: &UrlBatch, sent_at: DateTime<Utc>) -> Result<Vec<TaskId>> {
    let wanted: HashSet<Vec<u8>> = urls.urls.iter().map(|url| normal_form(url)).collect();
    let signed_ahead = client.signed_ahead();
    let until = |ahead| client.local_time() + signed_ahead.max(ahead) + CLOCK_MARGIN;
    let (mut tasks, mut found) = (Vec::new(), HashSet::new());
    for page in 1..=MOST_PAGES {
        let ahead = client.service_ahead();
        let window = (sent_at + signed_ahead.min(ahead) - CLOCK_MARGIN, until(ahead));
        let listed = client.list_refresh_tasks(window, None, page).await?;
        let is_last = listed.rows_on_page == 0;
        let ahead = client.service_ahead();
        let time_of_ours = sent_at + ahead - CLOCK_MARGIN..=until(ahead);
        for row in listed.rows {
            let url = normal_form(&row.object_path);
            let is_of_now = row.created_at.is_some_and(|created| time_of_ours.contains(&created));
            let is_type = |word: &&str| {
                row.object_type.as_deref().is_some_and(|found| found.eq_ignore_ascii_case(word))
            };
            if is_of_now && urls.action.row_types().iter().any(is_type) && wanted.contains(&url) {
                found.insert(url);
                if !tasks.contains(&row.task) {
                    tasks.push(row.task);
                }
            }
        }
        if is_last || found.len() == wanted.len() {
            break;
        }
    }
    Ok(if found.len() == wanted.len() { tasks } else { Vec::new() })
}

/// The host refuses a call whatever it is for. That says nothing of what was submitted, and another host may serve it.
fn unserved(error: Error, endpoint: &str) -> Error {
    let why =
        format!("; {} does not serve this call: name another region or endpoint", masked_address(endpoint));
    error.with_kind(ErrorKind::Unavailable).with_message_suffix(&why)
}

/// The permission for one call is missing, while the credentials themselves are good.
fn is_denial(error: &Error) -> bool {
    let code = error.code().unwrap_or_default().to_ascii_lowercase();
    error.kind() == ErrorKind::Refused && (code.starts_with("forbidden") || code == "nopermission")
}

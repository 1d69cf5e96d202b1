//! The calls of a run: work becomes a call, its answer becomes a fact.

use tokio::task::JoinError;

use super::Driver;
use crate::error::{Error, ErrorKind, Fate, Result};
use crate::ids::{JobId, TaskId};
use crate::run::batch::user_data;
use crate::run::ledger::{Fact, Fault, Work};
use crate::vod::{JobRow, RefreshMediaPlayUrls, Submission, TaskRows};

/// A call that came back.
pub(super) enum Done {
    Submitted(u32, Result<Submission>),
    LookedUp(JobId, Result<Vec<JobRow>>),
    Looked(TaskId, Result<TaskRows>),
}

impl Driver<'_> {
    /// Starts the call for a piece of work.
    pub(super) fn begin(&mut self, work: Work) {
        let client = self.client.clone();
        match work {
            Work::Submit { batch } => {
                let Some(request) = self.submission(batch) else { return };
                self.in_flight.submit += 1;
                self.calls.spawn(async move {
                    Done::Submitted(batch, client.refresh_media_play_urls(&request).await)
                });
            }
            Work::LookUp { job } => {
                self.in_flight.look_up += 1;
                self.calls.spawn(async move {
                    let rows = client.get_media_refresh_jobs(&job).await;
                    Done::LookedUp(job, rows)
                });
            }
            Work::Look { task } => {
                self.in_flight.look += 1;
                self.calls.spawn(async move {
                    let rows = client.task_rows(&task).await;
                    Done::Looked(task, rows)
                });
            }
            Work::Note(fact) => {
                let now = self.now();
                self.ledger.apply(now, fact);
            }
        }
    }

    fn submission(&self, batch: u32) -> Option<RefreshMediaPlayUrls> {
        let request = self.request.as_ref()?;
        let mut submission = RefreshMediaPlayUrls::new(request.task_type, self.ledger.batch(batch).to_vec());
        submission.filters = request.filters.clone();
        submission.user_data = Some(user_data(request, &self.run, batch));
        Some(submission)
    }

    /// Takes in what a call brought.
    pub(super) fn done(&mut self, done: Result<Done, JoinError>) {
        let done = match done {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return,
        };
        match done {
            Done::Submitted(batch, answer) => {
                self.in_flight.submit -= 1;
                self.submitted(batch, answer);
            }
            Done::LookedUp(job, answer) => {
                self.in_flight.look_up -= 1;
                self.looked_up(job, answer);
            }
            Done::Looked(task, answer) => {
                self.in_flight.look -= 1;
                self.looked(task, answer);
            }
        }
    }

    fn submitted(&mut self, batch: u32, answer: Result<Submission>) {
        let error = match answer {
            Ok(Submission { job, not_found, forbidden, request_id }) => {
                return self.note(Fact::Submitted { batch, job, not_found, forbidden, request_id });
            }
            Err(error) => error,
        };
        let fault = Fault::from(&error);
        if error.fate() == Fate::Unknown {
            return self.note(Fact::OutcomeUnknown { batch, fault });
        }
        self.note(Fact::NotSubmitted { batch, fault: fault.clone() });
        // Refused for its content, another batch may still pass. Everything else hits them all.
        if error.kind() != ErrorKind::Rejected {
            self.note(Fact::Halted { fault });
        }
    }

    fn looked_up(&mut self, job: JobId, answer: Result<Vec<JobRow>>) {
        match answer {
            Ok(rows) => self.note(Fact::LookedUp { job, rows }),
            Err(error) if self.events.is_some() && is_denial(&error) => {
                self.note(Fact::LookupsRefused { fault: (&error).into() });
            }
            Err(error) if error.kind() == ErrorKind::Rejected => {
                self.note(Fact::JobRefused { job, fault: (&error).into() });
            }
            Err(error) => self.give_up(error),
        }
    }

    fn looked(&mut self, task: TaskId, answer: Result<TaskRows>) {
        match answer {
            Ok(TaskRows { rows, all }) => self.note(Fact::TaskSeen { task, rows, all }),
            Err(error) if error.kind() == ErrorKind::Rejected => {
                self.note(Fact::TaskRefused { task, fault: (&error).into() });
            }
            Err(error) => self.give_up(error),
        }
    }

    fn note(&mut self, fact: Fact) {
        let now = self.now();
        self.ledger.apply(now, fact);
    }

    /// Following up has become impossible. The first reason counts; a run that is ending anyway has its own.
    fn give_up(&mut self, error: Error) {
        if !self.soft_stop.is_cancelled() {
            self.fatal.get_or_insert(error);
        }
    }
}

/// The permission for one call is missing, while the credentials themselves are good.
fn is_denial(error: &Error) -> bool {
    let code = error.code().unwrap_or_default().to_ascii_lowercase();
    error.kind() == ErrorKind::Refused && (code.starts_with("forbidden") || code == "nopermission")
}
